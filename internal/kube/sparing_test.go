package kube_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/flyball/flyball/internal/kube"
)

// What is refused time and again is asked for rarely; what fails otherwise, as often as the informer likes.
func TestWhatIsRefusedIsAskedForRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		answer := error(apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", errors.New("no")))
		lw := kube.Sparing(&cache.ListWatch{ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			asked++
			return &corev1.NodeList{}, answer
		}}, func() time.Duration { return 5 * time.Minute })
		list := func(times int) {
			for range times {
				_, err := lw.ListWithContext(t.Context(), metav1.ListOptions{})
				require.ErrorIs(t, err, answer)
				time.Sleep(45 * time.Second)
			}
		}
		list(kube.RefusedOften)
		require.Equal(t, kube.RefusedOften, asked)
		list(80) // an hour
		require.LessOrEqual(t, asked, kube.RefusedOften+12)
		require.GreaterOrEqual(t, asked, kube.RefusedOften+8, "but for ever: it may be granted")

		time.Sleep(5 * time.Minute)
		asked, answer = 0, apierrors.NewInternalError(errors.New("etcd"))
		list(40)
		require.Equal(t, 40, asked)
		answer = nil
		list(1)
	})
}
