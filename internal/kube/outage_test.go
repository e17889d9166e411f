package kube_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/kube"
)

// The API server goes away and comes back. The caches keep what they had, and go on from there.
func TestOutage(t *testing.T) {
	w := newWorld(t, "testdata/loose.yaml", "testdata/crds.yaml")
	k, namespace := w.follow(t)
	w.deployment(t, namespace, "chat", 2)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	at := target(t, k, pa, func(at kube.Target) bool { return at.StatusReplicas == 2 })
	before := pods(t, k, at, 2)

	// Pods that are owned through others are known through an outage as well.
	f := w.owned(t, "fleets", "Fleet", namespace, "fleet", nil, "", map[string]any{"spec": map[string]any{"replicas": int64(1)}})
	f.Object["status"] = map[string]any{"replicas": int64(1), "selector": "app=fleet"}
	_, err := w.dynamic.Resource(testResource("fleets")).Namespace(namespace).UpdateStatus(t.Context(), f, metav1.UpdateOptions{})
	require.NoError(t, err)
	g := w.owned(t, "groups", "Group", namespace, "group", f, "Fleet", nil)
	w.pod(t, namespace, "of-group", "fleet", controller(g, "test.flyball.dev/v1", "Group"))
	fleet := target(t, k, w.autoscaler(t, k, namespace, "fleet", "test.flyball.dev/v1", "Fleet", "fleet"), any1)
	pods(t, k, fleet, 1)

	// One that nobody can read stops no other.
	w.create(t, v1alpha1.Resource, namespace, map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.Kind, "metadata": map[string]any{"name": "broken"},
		"spec": map[string]any{"maxReplicas": "many"},
	})
	eventually(t, func() error {
		if len(k.Unreadable()) != 1 || len(k.Autoscalers()) != 2 {
			return fmt.Errorf("%v, %d autoscalers", k.Unreadable(), len(k.Autoscalers()))
		}
		return nil
	})
	for _, err := range k.Unreadable() {
		require.ErrorContains(t, err, namespace+"/broken")
		require.ErrorContains(t, err, "spec.maxReplicas")
		require.ErrorContains(t, err, "apply the CRD")
	}
	eventually(t, k.Unsynced)

	require.NoError(t, w.StopAPI())
	_, err = k.ReadMetric(t.Context(), pa, v1alpha1.MetricSource{MetricSourceType: v1alpha1.TypeExternal, TargetMetric: "queue"}, at, nil)
	require.ErrorContains(t, err, "connection refused")
	require.NotErrorIs(t, err, kube.ErrNoMetric)
	k.ExpireOwners()
	drain(k) // passes in which unknown things would be tried again
	now, err := k.Target(pa)
	require.NoError(t, err)
	require.Equal(t, at.UID, now.UID)
	require.Equal(t, before, k.Pods(now))
	require.Len(t, k.Pods(fleet), 1, "owners that can't be read again are as they were")
	require.Len(t, k.Autoscalers(), 2)
	require.True(t, k.HasSynced())

	require.NoError(t, w.StartAPI(t.Context()))
	eventually(t, func() error {
		_, err := w.AppsV1().Deployments(namespace).Patch(t.Context(), "chat", types.MergePatchType,
			[]byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{}, "scale")
		return err
	})
	target(t, k, pa, func(at kube.Target) bool { return at.Replicas == 3 })
	pods(t, k, at, 3)
	eventually(t, func() error {
		if len(k.Pods(fleet)) != 1 {
			return errors.New("the Fleet's pod is gone")
		}
		return nil
	})
}
