package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/actuator"
)

// secondUser has the rights of flyballUser, so that the audit log tells two instances apart.
const secondUser = "system:serviceaccount:flyball-system:second"

// Two instances, each with a store of its own. The standby scrapes at a phase of its own and decides for the same autoscalers.
// The leader is killed while the count is not what the load asks for: the standby writes what the leader last proposed, from
// its own windows and history, as soon as the Lease lets it. No two ever write at once.
func TestTheStandbyTakesOver(t *testing.T) {
	c := startCluster(t)
	c.kubectl("", "create", "clusterrolebinding", "second", "--clusterrole=flyball", "--serviceaccount=flyball-system:second")
	c.kubectl("", "create", "rolebinding", "second", "-n", "flyball-system", "--role=flyball-lease", "--serviceaccount=flyball-system:second")
	d := newDial(t)
	c.kubectl("", "create", "namespace", "two")
	d.set("/x", 15)
	d.set("/w", 45)
	for _, name := range []string{"x", "w"} {
		c.apply(idleDeployment("two", name) + autoscalerManifest("two", name, "Deployment", "1h", d.source("/"+name)))
	}
	replicas := func(name string) int32 { return *c.deployment("two", name).Spec.Replicas }
	begun := time.Now()
	leader := c.process(t.TempDir())
	c.eventually("each gets its own count", func() bool { return replicas("x") == 2 && replicas("w") == 5 })
	standby := c.processAs(secondUser, t.TempDir())
	c.eventually("the standby decides too", standby.ready)
	<-time.After(10 * time.Second) // its windows of 6 s are full, its history has more than one decision

	c.kubectl("", "scale", "-n", "two", "deployment/w", "--replicas=3") // and nobody is there to put it right
	leader.kill(t)
	killed := time.Now()
	d.set("/x", 35)
	c.eventually("the standby puts it right", func() bool { return replicas("w") == 5 })
	// The Lease is renewed every 2 s; that of the dead runs out after 15 s, and then a try comes within 2 s.
	require.Less(t, time.Since(killed), actuator.LeaseDuration+5*time.Second+2*time.Second)
	c.eventually("and decides for the load step", func() bool { return replicas("x") == 4 })

	var renewed time.Time // by the dead
	writes := map[string][]time.Time{}
	for _, r := range c.requests(begun, flyballUser, secondUser) {
		switch {
		case r.what() == "update leases" && r.User.Username == flyballUser && r.Response.Code == 200:
			renewed = r.Received
		case r.what() == "update deployments/scale" && r.Response.Code == 200:
			var scale struct{ Spec struct{ Replicas int32 } }
			require.NoError(t, json.Unmarshal(r.Body, &scale))
			require.Contains(t, map[string][]int32{"x": {2, 4}, "w": {5}}[r.Object.Name], scale.Spec.Replicas)
			writes[r.User.Username] = append(writes[r.User.Username], r.Received)
		}
	}
	require.NotEmpty(t, writes[flyballUser])
	require.NotEmpty(t, writes[secondUser])
	first := slices.MinFunc(writes[secondUser], time.Time.Compare)
	require.True(t, first.After(slices.MaxFunc(writes[flyballUser], time.Time.Compare)))
	require.GreaterOrEqual(t, first.Sub(renewed), actuator.LeaseDuration-time.Second, "not before the dead leader's Lease has run out")
}
