package actuator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// tables are the rows of the page's tables, by the first heading cell; backticks are gone.
func tables(t *testing.T, path string) map[string][][]string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	out, table := map[string][][]string{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			table = ""
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "`", ""))
		}
		switch {
		case table == "":
			table = cells[0]
			out[table] = [][]string{}
		case strings.HasPrefix(cells[0], "-"):
		default:
			out[table] = append(out[table], cells)
		}
	}
	return out
}

// constants are the strings of reasons.go's const blocks: types of conditions, their reasons, reasons of events.
func constants(t *testing.T) [][]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	require.NoError(t, err)
	var out [][]string
	for _, d := range file.Decls {
		var block []string
		for _, s := range d.(*ast.GenDecl).Specs {
			for _, v := range s.(*ast.ValueSpec).Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				require.NoError(t, err)
				block = append(block, text)
			}
		}
		out = append(out, block)
	}
	return out
}

const page = "../docs/conditions.md"

func TestThePageOfConditionsIsComplete(t *testing.T) {
	page, known := tables(t, page), constants(t)
	require.Len(t, known, 3)
	column := func(table string, i int) []string {
		var out []string
		for _, row := range page[table] {
			out = append(out, row[i])
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	require.ElementsMatch(t, known[0], column("condition", 0))
	// Some reasons bear the name of a condition.
	reasons := slices.DeleteFunc(column("condition", 2), func(r string) bool { return slices.Contains(known[0], r) })
	require.ElementsMatch(t, known[1], reasons)
	events := column("event", 0)
	require.Subset(t, events, known[2])
	require.Subset(t, append(slices.Concat(known...), Ready), events)
	for _, row := range page["condition"] {
		if row[1] == "True" && slices.Contains([]string{Conflict, Paused, Delegated}, row[0]) {
			require.Contains(t, events, row[2], "an event announces it")
		}
	}
	require.Subset(t, events, []string{PodsUnschedulable, QuotaExhausted})
	for name, rows := range page {
		for _, row := range rows {
			require.NotContains(t, row, "", "%s %v: say what it means and what to do", name, row)
		}
	}
}

// documented says that the page has every condition of the status.
func documented(t *testing.T, s v1alpha1.PodAutoscalerStatus) {
	t.Helper()
	rows := tables(t, page)["condition"]
	for _, c := range s.Conditions {
		require.True(t, slices.ContainsFunc(rows, func(row []string) bool {
			return row[0] == c.Type && strings.Contains(row[1], string(c.Status)) && row[2] == c.Reason
		}), "%s is missing: %s %s %s", page, c.Type, c.Status, c.Reason)
	}
}
