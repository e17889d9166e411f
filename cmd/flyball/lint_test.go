package main

import (
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/lint"
	"github.com/flyball/flyball/internal/loop"
)

// TestLintOfMalformedManifests reads archives of manifests that are wrong in one way each. A manifest is checked alone, or
// with the others of its directory. The file want has, a line each, the findings there must be: all up to "~" as it is
// printed, and a part of the text; after "! ", the beginning of a finding that there must not be. No other errors
// may be there.
func TestLintOfMalformedManifests(t *testing.T) {
	archives, err := filepath.Glob("testdata/lint/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, archives)
	packs, err := collector.LoadPacks()
	require.NoError(t, err)
	manifests := 0
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			require.NoError(t, err)
			var want []string
			var sets [][]lint.File
			bySet := map[string]int{}
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
					continue
				}
				manifests++
				set := path.Dir(f.Name)
				if set == "." {
					set = f.Name
				}
				if _, ok := bySet[set]; !ok {
					bySet[set] = len(sets)
					sets = append(sets, nil)
				}
				sets[bySet[set]] = append(sets[bySet[set]], lint.File{Name: f.Name, Data: f.Data})
			}
			var got []lint.Finding
			for _, files := range sets {
				got = append(got, lint.Check(files, loop.Binder{Lookup: lookup(packs), MetricsAPIs: true, NativeHPAs: true}).Findings...)
			}
			compareFindings(t, want, got)
		})
	}
	assert.GreaterOrEqual(t, manifests, 30)
}

func compareFindings(t *testing.T, want []string, got []lint.Finding) {
	t.Helper()
	expected := map[int]bool{}
	var printed strings.Builder
	for _, f := range got {
		printed.WriteString(f.String() + "\n")
	}
	for _, w := range want {
		if absent, is := strings.CutPrefix(w, "! "); is {
			assert.NotContains(t, "\n"+printed.String(), "\n"+absent)
			continue
		}
		head, part, ok := strings.Cut(w, "~ ")
		require.True(t, ok, "want has no ~: %s", w)
		found := false
		for i, f := range got {
			rest, is := strings.CutPrefix(f.String(), head)
			if is && rest == f.Text && strings.Contains(f.Text, part) {
				found, expected[i] = true, true
			}
		}
		assert.True(t, found, "no such finding: %s\namong:\n%s", w, printed.String())
	}
	for i, f := range got {
		assert.False(t, f.Severity == lint.Error && !expected[i], "an error that nothing expects: %s", f)
	}
}
