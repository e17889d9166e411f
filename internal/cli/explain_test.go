package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever is written for a time, it is one, or the error says what to write.
func FuzzParseAt(f *testing.F) {
	for _, s := range []string{"", "10m", "1h30m", "0", "2026-01-01T12:00:00Z", "2026-01-01T12:00:00.5+01:00", "yesterday", "-5m", "1767268800"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := parseAt(s)
		if err != nil {
			require.ErrorContains(t, err, "neither a time such as")
			return
		}
		require.GreaterOrEqual(t, at.ago, time.Duration(0), "a time ago is never ahead")
	})
}
