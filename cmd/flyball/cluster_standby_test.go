package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Two instances, each with a store of its own. One holds the Lease and writes; the other scrapes and decides as well, and
// when the first is killed it goes on from its own windows and history.
func TestTheStandbyTakesOver(t *testing.T) {
	c := startCluster(t)
	d := newDial(t)
	c.kubectl("", "create", "namespace", "two")
	d.set("/x", 35)
	c.apply(idleDeployment("two", "x") + autoscalerManifest("two", "x", "Deployment", "1h", d.source("/x")))
	holder := func() string {
		return c.kubectl("", "get", "lease", "-n", "flyball-system", "flyball", "--ignore-not-found", "-o", "jsonpath={.spec.holderIdentity}")
	}
	first := c.process(t.TempDir())
	c.eventually("the first writes", func() bool { return *c.deployment("two", "x").Spec.Replicas == 4 })
	leader := holder()
	require.NotEmpty(t, leader)
	writes := c.watchWrites()
	second := c.process(t.TempDir())
	c.eventually("the second decides too", second.ready)
	require.Equal(t, leader, holder(), "and does not take the Lease")

	first.kill(t)
	d.set("/x", 55)
	killed := time.Now()
	c.eventually("the second writes", func() bool { return *c.deployment("two", "x").Spec.Replicas == 6 })
	require.NotEqual(t, leader, holder())
	w := <-writes
	require.EqualValues(t, 6, w.to, "one write, the right one")
	require.Empty(t, writes)
	require.Greater(t, w.at.Sub(killed), 2*time.Second, "not before the Lease has run out")
}
