package lint

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhoseAnExternalScalerIs(t *testing.T) {
	shipped := &checker{}
	told := &checker{scalers: []string{"flyball.gpu:8091", "scaler.example:443"}}
	for address, whose := range map[string][2]scaler{
		"flyball.flyball-system:8091":                      {ours, theirs},
		" Flyball.flyball-system.svc.cluster.local.:8091 ": {ours, theirs},
		"flyball.flyball-system":                           {unclear, theirs}, // the port is part of it
		"flyball.gpu.svc:8091":                             {unclear, ours},
		"flyball:8091":                                     {unclear, theirs},
		"scaler.example:443":                               {theirs, ours},
		"flyball.example.com:8091":                         {theirs, theirs},
		"myflyballs.example:9090":                          {theirs, theirs},
		"":                                                 {theirs, theirs},
	} {
		require.Equal(t, whose, [2]scaler{shipped.whose(address), told.whose(address)}, address)
	}
}
