package controlplane

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheCacheKeyFollowsEverythingThePackagesAreBuiltFrom(t *testing.T) {
	same := func() recipe {
		return recipe{goMod: []byte("module m"), goSum: []byte("sum"), environment: "go1.26.7 linux amd64", flags: []string{"-trimpath", "-ldflags", "-s"}}
	}
	key := cacheKey(same())
	require.Len(t, key, 16)
	require.Equal(t, key, cacheKey(same()))
	for name, change := range map[string]func(*recipe){
		"go.mod":       func(r *recipe) { r.goMod = []byte("module n") },
		"go.sum":       func(r *recipe) { r.goSum = []byte("sun") },
		"Go version":   func(r *recipe) { r.environment = "go1.26.8 linux amd64" },
		"architecture": func(r *recipe) { r.environment = "go1.26.7 linux arm64" },
		"flags":        func(r *recipe) { r.flags[2] = "-s -w" },
		"a moved byte": func(r *recipe) { r.goMod, r.goSum = []byte("module ms"), []byte("um") },
	} {
		changed := same()
		change(&changed)
		require.NotEqual(t, key, cacheKey(changed), name)
	}
	elsewhere := same()
	elsewhere.module = "/another/checkout"
	require.Equal(t, key, cacheKey(elsewhere), "two checkouts share what is the same")
}

func TestTheVersionComesFromTheNestedModule(t *testing.T) {
	r, err := newRecipe(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^go1\.\S+ \w+ \w+$`, r.environment)
	ldflags := r.flags[len(r.flags)-1]
	require.Regexp(t, `k8s\.io/component-base/version\.gitVersion=v1\.\d+\.\d+ `, ldflags)
	for _, p := range programs {
		require.Contains(t, string(r.goMod), "\t"+p.pkg+"\n", "go mod tidy of deploy/controlplane does not know it")
	}
}

func TestABuildThatIsCancelledLeavesNothing(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("FLYBALL_CACHE", cache)
	left := filepath.Join(cache, "controlplane", "building-of-a-killed-process")
	require.NoError(t, os.MkdirAll(left, 0o755))
	t.Setenv("GOCACHE", t.TempDir()) // it would take minutes
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var log strings.Builder
	_, err := Build(ctx, &log)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Contains(t, log.String(), "building etcd (1 of 4)")
	require.NotContains(t, log.String(), "built etcd")
	entries, err := os.ReadDir(filepath.Join(cache, "controlplane"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "lock", entries[0].Name())
}

func TestTheSecondBuilderWaitsForTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, func(time.Duration) { t.Error("nobody else has it") })
	require.NoError(t, err)

	var free sync.Once
	unlock2, err := lock(t.Context(), path, func(time.Duration) { free.Do(unlock) }) // told to wait; the first is done then
	require.NoError(t, err)
	defer unlock2()

	ctx, cancel := context.WithCancel(t.Context())
	_, err = lock(ctx, path, func(time.Duration) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
}

func TestOnlyCRDsAreTaken(t *testing.T) {
	crds, err := parseCRDs([]byte("# a comment\n---\nkind: CustomResourceDefinition\nmetadata: {name: a}\n---\n---\nkind: CustomResourceDefinition\nmetadata: {name: b}\n"))
	require.NoError(t, err)
	require.Len(t, crds, 2)
	require.Equal(t, "b", crds[1].GetName())
	_, err = parseCRDs([]byte("kind: Pod\nmetadata: {name: a}"))
	require.ErrorContains(t, err, `Pod "a" is not a CustomResourceDefinition`)
	_, err = parseCRDs([]byte("- a list"))
	require.Error(t, err)
}

func FuzzParseCRDs(f *testing.F) {
	f.Add([]byte("kind: CustomResourceDefinition\nmetadata: {name: a}\n---\n"))
	f.Add([]byte("kind: [1]\nmetadata: 3"))
	f.Add([]byte("---\n---\n- x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		crds, err := parseCRDs(data)
		for _, crd := range crds {
			if err == nil && crd.GetName() == "" {
				t.Error("a CRD without a name")
			}
		}
	})
}
