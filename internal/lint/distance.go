package lint

import (
	"slices"
	"strings"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// near is how many edits a misspelt name may be from the one that was meant.
const near = 2

// nearest is the one of names that word most likely stands for: at most near edits away, upper and lower case being equal,
// and longer than these; "" when there is none, or when word is one of them.
func nearest(word string, names []string) string {
	if slices.Contains(names, word) {
		return ""
	}
	best, least := "", near+1
	for _, name := range names {
		if d := v1alpha1.Distance(strings.ToLower(word), strings.ToLower(name)); d < least && len(name) > 2*near {
			best, least = name, d
		}
	}
	return best
}
