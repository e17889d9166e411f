package kube_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/kube"
)

// One control plane for all: it takes seconds to start. The stories share nothing else.
func TestCluster(t *testing.T) {
	w := newWorld(t, "testdata/crds.yaml")
	t.Run("WithoutTheCRDItSaysWhatToInstall", w.withoutTheCRD)
	if t.Failed() {
		return
	}
	for name, story := range map[string]func(*testing.T){
		"RolloutHasPodsOfBothReplicaSets":         w.rollout,
		"SamePodNameInTwoNamespaces":              w.twoNamespaces,
		"RecreatedStatefulSetPodIsAnotherPod":     w.recreatedPod,
		"PodsOfOthersDoNotCount":                  w.foreignPods,
		"ReplicaSetAsTarget":                      w.replicaSet,
		"CustomResourceOwnsPodsThroughOthers":     w.customResource,
		"KindsThatCanNotBeScaled":                 w.notScalable,
		"KindInstalledLater":                      w.lateKind,
		"TargetComesGoesAndComesBack":             w.comesAndGoes,
		"IdleClusterCostsNoRequests":              w.idle,
		"StatusWritesAreNotNews":                  w.statusWrites,
		"WatchEndsWithTheLastTargetOfItsResource": w.watchEnds,
		"ForbiddenSaysWhatToGrant":                w.forbidden,
		"GPUExportersByLabel":                     w.gpuExporters,
		"MetricsAPIs":                             w.metricsAPIs,
		"RivalsAppearAndGo":                       w.rivals,
		"QuotaIsUsedUpAndRaised":                  w.quota,
		"WhatCanBeDoneWithoutIsAskedForOnce":      w.without,
		"AnotherControllerAndAnotherCRD":          w.foreign,
		"PassingErrorsAreWaitedFor":               w.passing,
	} {
		t.Run(name, story)
	}
}

func any1(kube.Target) bool { return true }

func (w *world) withoutTheCRD(t *testing.T) {
	k, namespace := w.follow(t)
	eventually(t, func() error {
		if err := k.Unsynced(); err == nil || !strings.Contains(err.Error(), "kubectl apply -f deploy/crd") {
			return fmt.Errorf("no hint: %v", err)
		}
		return nil
	})
	require.False(t, k.HasSynced())
	w.apply(t, crdResource, ourCRD)
	eventually(t, k.Unsynced)
	require.Empty(t, k.Autoscalers())
	d := w.deployment(t, namespace, "chat", 1)
	pa := w.autoscaler(t, k, namespace, "chat", "", "Deployment", "chat")
	require.Equal(t, d.UID, target(t, k, pa, any1).UID)
}

func (w *world) rollout(t *testing.T) {
	k, namespace := w.follow(t)
	d := w.deployment(t, namespace, "chat", 2)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	at := target(t, k, pa, func(at kube.Target) bool { return at.StatusReplicas == 2 })
	require.Equal(t, d.UID, at.UID)
	require.Equal(t, "deployments", at.GVR.Resource)
	require.Equal(t, "app=chat", at.Selector.String())
	require.EqualValues(t, 2, at.Replicas)
	pods(t, k, at, 2)

	// A new image: one pod of the new ReplicaSet is added, and as it never gets ready both old ones stay.
	_, err := w.AppsV1().Deployments(namespace).Patch(t.Context(), "chat", types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"vllm","image":"vllm:2"}]}}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	owners := map[types.UID]int{}
	for _, p := range pods(t, k, at, 3) {
		owners[metav1.GetControllerOf(p).UID]++
	}
	require.Len(t, owners, 2)
	now := target(t, k, pa, func(at kube.Target) bool { return at.Generation == 2 })
	require.NotEqual(t, at.ResourceVersion, now.ResourceVersion)

	_, err = w.AppsV1().Deployments(namespace).Patch(t.Context(), "chat", types.MergePatchType,
		[]byte(`{"spec":{"replicas":5}}`), metav1.PatchOptions{}, "scale")
	require.NoError(t, err)
	target(t, k, pa, func(at kube.Target) bool { return at.Replicas == 5 && at.Generation == 3 })
}

func (w *world) twoNamespaces(t *testing.T) {
	_, other := w.follow(t)
	k, namespace := w.follow(t, other)
	w.statefulSet(t, namespace, "web", 1)
	w.statefulSet(t, other, "web", 1)
	here := w.autoscaler(t, k, namespace, "web", "apps/v1", "StatefulSet", "web")
	there := w.autoscaler(t, k, other, "web", "apps/v1", "StatefulSet", "web")
	a := pods(t, k, target(t, k, here, any1), 1)[0]
	b := pods(t, k, target(t, k, there, any1), 1)[0]
	require.Equal(t, a.Name, b.Name)
	require.NotEqual(t, a.UID, b.UID)
	require.Equal(t, namespace, a.Namespace)

	here = here.DeepCopy()
	here.Spec.ScaleTargetRef.Namespace = other
	_, err := k.Target(here)
	require.ErrorIs(t, err, kube.ErrOtherNamespace)
}

func (w *world) recreatedPod(t *testing.T) {
	k, namespace := w.follow(t)
	w.statefulSet(t, namespace, "web", 1)
	pa := w.autoscaler(t, k, namespace, "web", "apps/v1", "StatefulSet", "web")
	at := target(t, k, pa, any1)
	before := pods(t, k, at, 1)[0]
	now := int64(0)
	require.NoError(t, w.CoreV1().Pods(namespace).Delete(t.Context(), before.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	eventually(t, func() error {
		if p := k.Pods(at); len(p) != 1 || p[0].UID == before.UID || p[0].Name != before.Name {
			return fmt.Errorf("pods %v", names(p))
		}
		return nil
	})
}

func (w *world) foreignPods(t *testing.T) {
	k, namespace := w.follow(t)
	w.deployment(t, namespace, "chat", 1)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	at := target(t, k, pa, any1)
	mine := names(pods(t, k, at, 1))

	// Others that the Deployment's selector app=chat matches: of a StatefulSet, of a Group, and of nobody.
	s := w.statefulSet(t, namespace, "other", 1)
	w.pod(t, namespace, "of-statefulset", "chat", controller(s, "apps/v1", "StatefulSet"))
	g := w.owned(t, "groups", "Group", namespace, "group", nil, "", nil)
	w.pod(t, namespace, "of-group", "chat", controller(g, "test.flyball.dev/v1", "Group"))
	w.pod(t, namespace, "of-nobody", "chat")

	// The caches are in order: once one more of the Deployment's own is there, the others would be too.
	_, err := w.AppsV1().Deployments(namespace).Patch(t.Context(), "chat", types.MergePatchType,
		[]byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{}, "scale")
	require.NoError(t, err)
	got := names(pods(t, k, at, 2))
	require.Contains(t, got, mine[0])
	for _, name := range got {
		require.True(t, strings.HasPrefix(name, "chat-"), got)
	}

	// A pod that was its own and got another label is not: its ReplicaSet lets go of it, and makes another.
	_, err = w.CoreV1().Pods(namespace).Patch(t.Context(), mine[0], types.MergePatchType, []byte(`{"metadata":{"labels":{"app":"debug"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	eventually(t, func() error {
		if got := names(k.Pods(at)); len(got) != 2 || got[0] == mine[0] || got[1] == mine[0] {
			return fmt.Errorf("pods %v", got)
		}
		return nil
	})
}

func (w *world) replicaSet(t *testing.T) {
	k, namespace := w.follow(t)
	w.deployment(t, namespace, "chat", 1)
	var name string
	eventually(t, func() error {
		list, err := w.AppsV1().ReplicaSets(namespace).List(t.Context(), metav1.ListOptions{})
		if err == nil && len(list.Items) != 1 {
			return fmt.Errorf("%d ReplicaSets", len(list.Items))
		}
		name = list.Items[0].Name
		return err
	})
	pa := w.autoscaler(t, k, namespace, "chat", "", "ReplicaSet", name)
	at := target(t, k, pa, any1)
	require.Equal(t, "replicasets", at.GVR.Resource)
	pods(t, k, at, 1)
}

func (w *world) customResource(t *testing.T) {
	k, namespace := w.follow(t)
	f := w.owned(t, "fleets", "Fleet", namespace, "fleet", nil, "", map[string]any{"spec": map[string]any{"replicas": int64(2)}})
	pa := w.autoscaler(t, k, namespace, "fleet", "test.flyball.dev/v1", "Fleet", "fleet")

	// Its controller has not said yet which pods are its own.
	at := fails(t, k, pa, kube.ErrNoSelector, "labelSelectorPath")
	require.EqualValues(t, 2, at.Replicas)
	require.Empty(t, k.Pods(at))
	f.Object["status"] = map[string]any{"replicas": int64(2), "selector": "app=fleet"}
	_, err := w.dynamic.Resource(testResource("fleets")).Namespace(namespace).UpdateStatus(t.Context(), f, metav1.UpdateOptions{})
	require.NoError(t, err)
	at = target(t, k, pa, func(at kube.Target) bool { return at.StatusReplicas == 2 })

	// Fleet → Group → Group → pod, and Fleet → pod; and a Group of nobody.
	outer := w.owned(t, "groups", "Group", namespace, "outer", f, "Fleet", nil)
	inner := w.owned(t, "groups", "Group", namespace, "inner", outer, "Group", nil)
	alien := w.owned(t, "groups", "Group", namespace, "alien", nil, "", nil)
	w.pod(t, namespace, "of-alien", "fleet", controller(alien, "test.flyball.dev/v1", "Group"))
	w.pod(t, namespace, "helper", "router", controller(f, "test.flyball.dev/v1", "Fleet")) // the selector does not match it
	w.pod(t, namespace, "direct", "fleet", controller(f, "test.flyball.dev/v1", "Fleet"))
	first := w.pod(t, namespace, "indirect", "fleet", controller(inner, "test.flyball.dev/v1", "Group"))
	require.Equal(t, []string{"direct", "indirect"}, names(pods(t, k, at, 2)))

	// Three Groups are read once each, however many pods they have, and forgotten with the last of them.
	second := w.pod(t, namespace, "indirect-2", "fleet", controller(inner, "test.flyball.dev/v1", "Group"))
	pods(t, k, at, 3)
	reads := map[string]int{}
	for _, r := range w.requests(t, namespace) {
		if strings.HasPrefix(r, "get ") && strings.Contains(r, "/groups/") {
			reads[r]++
		}
	}
	require.Len(t, reads, 3)
	for r, n := range reads {
		if !strings.HasSuffix(r, "/alien") { // nobody's is asked again after a while
			require.Equal(t, 1, n, r)
		}
	}
	now := int64(0)
	for _, p := range []*corev1.Pod{first, second} {
		require.NoError(t, w.CoreV1().Pods(namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	}
	pods(t, k, at, 1)
	eventually(t, func() error {
		if n := k.OwnersKnown(); n > 1 {
			return fmt.Errorf("%d owners are remembered", n)
		}
		return nil
	})
}

func (w *world) notScalable(t *testing.T) {
	k, namespace := w.follow(t)
	fails(t, k, w.autoscaler(t, k, namespace, "a", "test.flyball.dev/v1", "Group", "g"), kube.ErrNoScale, "has no scale subresource")
	fails(t, k, w.autoscaler(t, k, namespace, "b", "example.com/v1", "Nothing", "g"), kube.ErrNoScale, "install its CRD")
	fails(t, k, w.autoscaler(t, k, namespace, "c", "", "Fleet", "g"), kube.ErrNoScale, "scaleTargetRef.apiVersion")
	fails(t, k, w.autoscaler(t, k, namespace, "d", "v1", "Namespace", "g"), kube.ErrNoScale, "no namespace")
	w.owned(t, "blinds", "Blind", namespace, "b", nil, "", map[string]any{"spec": map[string]any{"replicas": int64(1)}})
	at := fails(t, k, w.autoscaler(t, k, namespace, "e", "test.flyball.dev/v1", "Blind", "b"), kube.ErrNoSelector, "labelSelectorPath")
	require.Empty(t, k.Pods(at))
	eventually(t, k.Unsynced) // an error is an answer

	// A version that is not served is read in the one that is.
	w.deployment(t, namespace, "old", 1)
	pa := w.autoscaler(t, k, namespace, "old", "apps/v1beta1", "Deployment", "old")
	require.Equal(t, "v1", target(t, k, pa, any1).GVR.Version)
}

func (w *world) lateKind(t *testing.T) {
	k, namespace := w.follow(t)
	pa := w.autoscaler(t, k, namespace, "late", "test.flyball.dev/v1", "Late", "late")
	fails(t, k, pa, kube.ErrNoScale, "install its CRD")
	w.apply(t, crdResource, "testdata/late.yaml")
	fails(t, k, pa, kube.ErrTargetNotFound, "create it")
	w.owned(t, "lates", "Late", namespace, "late", nil, "", map[string]any{
		"spec": map[string]any{"replicas": int64(3)}, "status": map[string]any{"replicas": int64(3), "selector": "app=late"},
	})
	require.EqualValues(t, 3, target(t, k, pa, any1).Replicas)

	// Removed with all its objects, and installed again.
	require.NoError(t, w.dynamic.Resource(crdResource).Delete(t.Context(), "lates.test.flyball.dev", metav1.DeleteOptions{}))
	fails(t, k, pa, kube.ErrNoScale, "install its CRD")
	w.apply(t, crdResource, "testdata/late.yaml")
	fails(t, k, pa, kube.ErrTargetNotFound, "create it")
	late := map[string]any{"spec": map[string]any{"replicas": int64(4)}, "status": map[string]any{"replicas": int64(4), "selector": "app=late"}}
	w.owned(t, "lates", "Late", namespace, "late", nil, "", late)
	require.EqualValues(t, 4, target(t, k, pa, any1).Replicas)
}

func (w *world) comesAndGoes(t *testing.T) {
	k, namespace := w.follow(t)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	fails(t, k, pa, kube.ErrTargetNotFound, "create it")
	first := w.deployment(t, namespace, "chat", 1)
	require.Equal(t, first.UID, target(t, k, pa, any1).UID)
	require.NoError(t, w.AppsV1().Deployments(namespace).Delete(t.Context(), "chat", metav1.DeleteOptions{}))
	fails(t, k, pa, kube.ErrTargetNotFound, "create it")
	second := w.deployment(t, namespace, "chat", 1)
	require.Equal(t, second.UID, target(t, k, pa, any1).UID)
	require.NotEqual(t, first.UID, second.UID)
}

func (w *world) idle(t *testing.T) {
	k, namespace := w.follow(t)
	w.deployment(t, namespace, "chat", 1)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	at := target(t, k, pa, func(at kube.Target) bool { return at.StatusReplicas == 1 })
	pods(t, k, at, 1)
	settled := func() []string {
		var got []string
		for quiet := 0; quiet < 3; {
			now := slices.DeleteFunc(w.requests(t, namespace), func(r string) bool {
				// What is served is asked each 30 s, which is 200 ms here.
				return slices.Contains([]string{"get /openapi/v3", "get /api", "get /apis"}, r)
			})
			if len(now) == len(got) {
				quiet++
			} else {
				got, quiet = now, 0
			}
			<-time.After(300 * time.Millisecond) // more than one pass of the Kube, which comes every 200 ms
		}
		return got
	}
	before := settled()
	for range 1000 {
		now, err := k.Target(pa)
		require.NoError(t, err)
		require.Len(t, k.Pods(now), 1)
	}
	require.Equal(t, before, settled())
	var scales int
	for _, r := range before {
		if strings.HasSuffix(r, "/deployments/chat/scale") {
			scales++
		}
	}
	require.NotZero(t, scales)
	require.LessOrEqual(t, scales, 5, "one for each change of the Deployment at most") // created, status thrice
}

func (w *world) statusWrites(t *testing.T) {
	k, namespace := w.follow(t)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	fails(t, k, pa, kube.ErrTargetNotFound, "")
	eventually(t, k.Unsynced)
	version := kube.Version(pa)
	drain(k)
	patch := func(body string, subresource ...string) {
		_, err := w.dynamic.Resource(v1alpha1.Resource).Namespace(namespace).Patch(t.Context(), "chat", types.MergePatchType, []byte(body), metav1.PatchOptions{}, subresource...)
		require.NoError(t, err)
	}
	patch(`{"status":{"desiredScale":3,"actualScale":1}}`, "status")
	eventually(t, func() error {
		if pa = k.Autoscalers()[0]; pa.Status.DesiredScale != 3 {
			return fmt.Errorf("%+v", pa.Status)
		}
		return nil
	})
	select {
	case <-k.Changed():
		t.Fatal("a write of the status is news")
	case <-time.After(300 * time.Millisecond): // it would come at once
	}
	require.Equal(t, version, kube.Version(pa))

	// An annotation is news, though it does not move the generation.
	patch(`{"metadata":{"annotations":{"autoscaling.aibrix.ai/scale-down-delay":"1m"}}}`)
	<-k.Changed()
	eventually(t, func() error {
		if pa = k.Autoscalers()[0]; kube.Version(pa) == version {
			return fmt.Errorf("the version is still %s", version)
		}
		return nil
	})
	require.EqualValues(t, 1, pa.Generation)
}

func drain(k *kube.Kube) {
	for {
		select {
		case <-k.Changed():
		case <-time.After(500 * time.Millisecond):
			return
		}
	}
}

func (w *world) watchEnds(t *testing.T) {
	k, namespace := w.follow(t)
	w.deployment(t, namespace, "chat", 1)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	target(t, k, pa, any1)
	require.Equal(t, []string{"deployments"}, k.Watched())
	require.NoError(t, w.dynamic.Resource(v1alpha1.Resource).Namespace(namespace).Delete(t.Context(), "chat", metav1.DeleteOptions{}))
	eventually(t, func() error {
		if len(k.Watched()) > 0 {
			return fmt.Errorf("watched: %v", k.Watched())
		}
		return nil
	})
	_, err := k.Target(pa)
	require.ErrorIs(t, err, kube.ErrUnread)
}

func (w *world) forbidden(t *testing.T) {
	const user = "flyball-of-a-hurried-admin"
	k, err := kube.New(kube.Options{Config: w.As(user)})
	require.NoError(t, err)
	run(t, k)
	eventually(t, func() error {
		if err := k.Unsynced(); err == nil || !strings.Contains(err.Error(), "grant get, list and watch on podautoscalers") {
			return fmt.Errorf("no hint: %v", err)
		}
		return nil
	})
	watch := []string{"list", "watch"}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"podautoscalers"}, Verbs: watch},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: watch},
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: watch},
	}}
	role, err = w.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{})
	require.NoError(t, err)
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: user}},
	}
	_, err = w.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{})
	require.NoError(t, err)

	// It may see autoscalers and pods, and no target. That is an answer too, one for each autoscaler.
	eventually(t, k.Unsynced)
	_, namespace := w.follow(t)
	d := w.deployment(t, namespace, "chat", 1)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	hint := func(words string) func() error {
		return func() error {
			if _, err := k.Target(pa); err == nil || !strings.Contains(err.Error(), words) {
				return fmt.Errorf("no hint: %v", err)
			}
			return nil
		}
	}
	eventually(t, hint("grant get, list and watch on deployments.apps"))
	grant := func(rule rbacv1.PolicyRule) {
		role.Rules = append(role.Rules, rule)
		role, err = w.RbacV1().ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	grant(rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: watch})
	eventually(t, hint(`grant get, update and patch on deployments/scale in group "apps"`))
	grant(rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments/scale"}, Verbs: []string{"get"}})
	require.Equal(t, d.UID, target(t, k, pa, any1).UID)
	require.NoError(t, w.dynamic.Resource(v1alpha1.Resource).Namespace(namespace).Delete(t.Context(), "chat", metav1.DeleteOptions{}))
}

func (w *world) gpuExporters(t *testing.T) {
	k, namespace := w.follow(t)
	p := w.pod(t, namespace, "dcgm-x", "dcgm")
	require.Empty(t, k.GPUExporters())
	_, err := w.CoreV1().Pods(namespace).Patch(t.Context(), p.Name, types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"app.kubernetes.io/name":"dcgm-exporter"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	eventually(t, func() error {
		if got := names(k.GPUExporters()); len(got) != 1 || got[0] != "dcgm-x" {
			return fmt.Errorf("exporters %v", got)
		}
		return nil
	})
	_, err = kube.New(kube.Options{Config: w.Config(), GPUSelector: "a in ("})
	require.ErrorContains(t, err, "label selector")
}
