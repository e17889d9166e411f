package lint

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
)

// shippedScaler is where KEDA finds flyball when it is installed as it comes.
const shippedScaler = "flyball.flyball-system:8091"

// question is what a ScaledObject asks an external scaler.
type question struct {
	address string // of the scaler, as it is written
	about   string // namespace/name of the autoscaler, if the scaler is flyball
	whose   scaler
}

// scaler says whose an external scaler's address is.
type scaler string

const (
	ours    scaler = "ours"
	unclear scaler = "unclear" // it has our name, and only the service that runs knows
	theirs  scaler = "theirs"
)

// questions are those of a ScaledObject's triggers; none of one that is malformed.
func (c *checker) questions(o *object) []question {
	triggers, _ := o.triggers()
	var out []question
	for _, t := range triggers {
		if t.Type != "external" && t.Type != "external-push" {
			continue
		}
		q := question{address: t.Metadata["scalerAddress"], about: cmp.Or(t.Metadata["target"], o.name)}
		if !strings.Contains(q.about, "/") {
			q.about = o.namespace + "/" + q.about
		}
		q.whose = c.whose(q.address)
		out = append(out, q)
	}
	return out
}

// whose tells from the addresses that are given as those of the service. Without any, an address with our name may be that of
// an installation elsewhere.
func (c *checker) whose(address string) scaler {
	known := c.scalers
	if len(known) == 0 {
		known = []string{shippedScaler}
	}
	is := scalerAddress(address)
	switch {
	case slices.ContainsFunc(known, func(k string) bool { return scalerAddress(k) == is }):
		return ours
	case len(c.scalers) == 0 && ourName(is):
		return unclear
	}
	return theirs
}

// ourName says that an address is that of a service flyball, in the namespace of who asks or in another one.
func ourName(address string) bool {
	host, _, err := net.SplitHostPort(address)
	service, namespace, _ := strings.Cut(host, ".")
	return err == nil && service == "flyball" && !strings.Contains(namespace, ".")
}

// scalerAddress is the same for all ways to write one address in a cluster, as it is for internal/kube, which decides.
func scalerAddress(written string) string {
	host, port, err := net.SplitHostPort(strings.TrimSpace(written))
	if err != nil {
		host, port = strings.TrimSpace(written), ""
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	host = strings.TrimSuffix(strings.TrimSuffix(host, ".cluster.local"), ".svc")
	return net.JoinHostPort(host, port)
}

// asked finds the first question about an autoscaler to a scaler.
func asked(questions []question, about string, whose scaler) (question, bool) {
	i := slices.IndexFunc(questions, func(q question) bool { return q.whose == whose && q.about == about })
	if i < 0 {
		return question{}, false
	}
	return questions[i], true
}

// advised says how a ScaledObject that is in the autoscaler's way would ask for its advice.
func (a *autoscaler) advised(questions []question) string {
	for _, q := range questions {
		switch q.whose {
		case ours, unclear:
			return fmt.Sprintf(", or let KEDA act on this autoscaler's advice: its trigger asks about %s; write target: %s there", q.about, a.name)
		case theirs:
			return fmt.Sprintf("; if %q is flyball's address, say so with --scaler-addresses, here and to flyball run", q.address)
		}
	}
	return ""
}
