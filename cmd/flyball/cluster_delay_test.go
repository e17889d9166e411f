package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/store"
)

// A scale-down delay of 0s as an annotation is no delay: the count falls as soon as the window's need does and the panic is
// over. The same key among the labels, where nothing reads it, is never silent: a warning when it is applied, a condition, an
// event; and the default delay holds.
func TestADelayAmongTheLabelsIsNotSilent(t *testing.T) {
	c := startCluster(t)
	d := newDial(t)
	c.kubectl("", "apply", "-f", "../../deploy/install.yaml")
	c.kubectl("", "create", "namespace", "delay")
	manifest := func(name string) string {
		return autoscalerManifest("delay", name, "Deployment", "0s", d.source("/"+name))
	}
	asLabel := strings.Replace(manifest("label"), "annotations: {autoscaling.aibrix.ai/scale-down-delay: 0s}",
		`labels: {autoscaling.aibrix.ai/scale-down-delay: "0s"}`, 1)
	d.set("/annotation", 35)
	d.set("/label", 35)
	c.apply(idleDeployment("delay", "annotation") + idleDeployment("delay", "label"))
	// A policy takes effect a moment after it is applied.
	c.eventually("kubectl apply warns", func() bool {
		c.kubectl("", "delete", "fpa", "-n", "delay", "label", "--ignore-not-found")
		warned := c.kubectl(asLabel, "apply", "-f", "-")
		return strings.Contains(warned, "Warning:") && strings.Contains(warned, `autoscaling.aibrix.ai/scale-down-delay: "0s"`) && strings.Contains(warned, "annotations")
	})
	require.NotContains(t, c.kubectl(manifest("annotation"), "apply", "-f", "-"), "Warning:")
	s := c.flyball(t.TempDir())
	for _, name := range []string{"annotation", "label"} {
		c.eventually(name+" scales up", func() bool { return *c.deployment("delay", name).Spec.Replicas == 4 })
	}
	c.eventually("a condition names the label", func() bool {
		said := c.condition("delay", "label", "ValidSpec")
		return strings.HasPrefix(said, "True MisplacedSetting") && strings.Contains(said, "move it to metadata.annotations")
	})
	c.eventually("an event does too", func() bool {
		return strings.Contains(c.kubectl("", "describe", "fpa", "-n", "delay", "label"), "MisplacedSetting")
	})

	writes := c.watchWrites()
	d.set("/annotation", 5)
	d.set("/label", 5)
	fell := time.Now()
	var seen []int32
	for last := int32(4); last != 1; {
		w := <-writes
		require.Equal(t, "delay/annotation", w.name)
		seen, last = append(seen, w.to), w.to
	}
	// The window is 6 s and empties while 35 becomes 5; the panic threshold was last reached while it was full.
	require.Less(t, time.Since(fell), 25*time.Second, "%v: a window, a panic of one window, a tick; the rest is for a slow machine", seen)
	entries := c.entries(s, "delay", "annotation")
	for i, e := range entries[1:] {
		if e.At.After(fell) && e.Proposal < e.From { // what windows and panic ask for, before any delay
			require.Equal(t, e.Proposal, e.To, "the first decision that may fall does")
			require.Equal(t, entries[i].To, entries[i].Proposal, "and the one before, a tick earlier, could not")
			require.LessOrEqual(t, e.At.Sub(entries[i].At), 2*time.Second)
			require.Less(t, e.Outcome.At.Sub(e.At), 2*time.Second, "written within its tick")
			break
		}
	}
	c.eventually("the default delay holds", func() bool {
		return strings.HasPrefix(c.condition("delay", "label", "ScalingLimited"), "True ScaleDownDelayed")
	})
	require.EqualValues(t, 4, *c.deployment("delay", "label").Spec.Replicas)
}

// entries are what the journal holds of an autoscaler's decisions, oldest first.
func (c *cluster) entries(s *service, namespace, name string) decider.History {
	c.t.Helper()
	uid := c.kubectl("", "get", "fpa", "-n", namespace, name, "-o", "jsonpath={.metadata.uid}")
	keys, err := s.store.Journal().Keys(loop.KindEntry)
	require.NoError(c.t, err)
	var out decider.History
	for _, key := range keys {
		if !strings.HasPrefix(key, uid+"/") {
			continue
		}
		require.NoError(c.t, s.store.Journal().Range(loop.KindEntry, key, time.Time{}, time.Now(), func(rec store.Record) error {
			var e decider.Entry
			err := json.Unmarshal(rec.Data, &e)
			out = append(out, e)
			return err
		}))
	}
	require.NotEmpty(c.t, out)
	return out
}
