package query

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// PromQL has no variables, so while an expression is parsed and bound, $window stands as a duration that nobody writes by chance.
const (
	windowName     = "$window"
	windowLiteral  = "86399993ms"
	windowRendered = "23h59m59s993ms" // how Prometheus prints windowLiteral
	windowDuration = 86399993 * time.Millisecond
)

// parseWithWindow parses PromQL that may name $window as a range, and counts how often it does. In the tree each is windowDuration.
func parseWithWindow(text string) (expr parser.Expr, windows int, err error) {
	if strings.Contains(text, windowLiteral) || strings.Contains(text, windowRendered) {
		return nil, 0, fmt.Errorf("the duration %s is reserved: use another", windowRendered)
	}
	literal := replaceOutsideStrings(text, windowName, windowLiteral)
	expr, err = newParser().ParseExpr(literal)
	if err != nil {
		msg := strings.ReplaceAll(err.Error(), windowLiteral, windowName)
		if strings.Contains(text, windowName) {
			msg += " ($window may stand only as a range in square brackets)"
		}
		return nil, 0, errors.New(msg)
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.MatrixSelector:
			windows += isWindow(n.Range)
		case *parser.SubqueryExpr:
			windows += isWindow(n.Range)
		}
		return nil
	})
	if named := strings.Count(literal, windowLiteral); named != windows {
		return nil, 0, errors.New("$window may stand only as a range in square brackets, as in rate(m[$window])")
	}
	return expr, windows, nil
}

func isWindow(d time.Duration) int {
	if d == windowDuration {
		return 1
	}
	return 0
}

// withRange gives the expression's text for one range of time.
func (b *Bound) withRange(d time.Duration) string {
	return replaceOutsideStrings(b.text, windowName, fmt.Sprintf("%dms", d.Milliseconds()))
}

// replaceOutsideStrings replaces old, where no identifier goes on behind it, everywhere but in string literals.
func replaceOutsideStrings(s, old, replacement string) string {
	return rewrite(s, func(literal string) string { return literal }, func(rest string) (string, int) {
		if strings.HasPrefix(rest, old) && !goesOn(rest[len(old):]) {
			return replacement, len(old)
		}
		return rest[:1], 1
	})
}

// rewrite copies a query. Each string literal goes through onLiteral; at each byte elsewhere onCode says what to write and how many
// bytes that stands for; comments are left out, since they say nothing that must survive.
// PromQL and MetricsQL agree on the syntax: "…" and '…' with backslash escapes, `…` without, # to the end of the line.
func rewrite(s string, onLiteral func(string) string, onCode func(rest string) (string, int)) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		text, n := "", 0
		switch c := s[i]; c {
		case '"', '\'', '`':
			n = stringLen(s[i:])
			text = onLiteral(s[i : i+n])
		case '#':
			if n = strings.IndexByte(s[i:], '\n'); n < 0 {
				n = len(s) - i
			}
		default:
			text, n = onCode(s[i:])
		}
		out.WriteString(text)
		i += n
	}
	return out.String()
}

// stringLen is the length of the string literal that s begins with; all of s when it is not closed.
func stringLen(s string) int {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quote != '`':
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// goesOn says that an identifier continues at the start of s.
func goesOn(s string) bool {
	if s == "" {
		return false
	}
	c := s[0]
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
