package actuator

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flyball/flyball/decider"
)

// Because is the decision's explanation in one line: what asked for the count, and what had the last word where that is
// something else. Empty when there is no decision.
func Because(d decider.Decision) string {
	if len(d.Reasons) == 0 {
		return ""
	}
	first, last := d.Reasons[0], d.Reasons[len(d.Reasons)-1]
	if len(d.Reasons) == 1 {
		return first.String()
	}
	return first.String() + "; " + last.String()
}

// truncate cuts s to at most n bytes, whole runes, and marks the cut.
func truncate(s string, n int) string {
	const mark = "…"
	if len(s) <= n {
		return s
	}
	n -= len(mark)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimSpace(s[:n]) + mark
}

func count(n int32) string { return strconv.Itoa(int(n)) }
