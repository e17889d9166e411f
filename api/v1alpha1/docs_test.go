package v1alpha1_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// settingsTable is the defaults as docs/policy.md has them.
func settingsTable() string {
	type row struct {
		field  string
		keys   []string
		ours   map[decider.Strategy]string
		aibrix []string
	}
	rows, order := map[string]*row{}, []string{}
	for _, d := range v1alpha1.Defaults() {
		r := rows[d.Setting]
		if r == nil {
			r = &row{field: d.Field, ours: map[decider.Strategy]string{}}
			rows[d.Setting], order = r, append(order, d.Setting)
		}
		r.ours[d.Strategy] = d.Value
		if d.AIBrix != "" {
			r.aibrix = append(r.aibrix, string(d.Strategy)+" "+d.AIBrix)
		}
		for _, key := range d.Keys {
			if !strings.Contains(strings.Join(r.keys, " "), "`"+key+"`") {
				r.keys = append(r.keys, "`"+key+"`")
			}
		}
	}
	var b strings.Builder
	b.WriteString("| setting | spec field | annotations | KPA | APA | HPA | AIBrix, where it differs |\n|---|---|---|---|---|---|---|\n")
	for _, name := range order {
		r := rows[name]
		field := ""
		if r.field != "" {
			field = "`" + r.field + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, field, strings.Join(r.keys, " "),
			r.ours[decider.KPA], r.ours[decider.APA], r.ours[decider.HPA], strings.Join(r.aibrix, ", "))
	}
	return b.String()
}

// switchesTable is the annotations that have no default but off.
func switchesTable() string {
	inDefaults := map[string]bool{}
	for _, d := range v1alpha1.Defaults() {
		inDefaults[d.Setting] = true
	}
	var b strings.Builder
	b.WriteString("| annotation | value | strategies | what it does |\n|---|---|---|---|\n")
	for _, a := range v1alpha1.Annotations() {
		if a.Setting == "" || inDefaults[a.Setting] {
			continue
		}
		var strategies []string
		for _, s := range a.Strategies {
			strategies = append(strategies, string(s))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", a.Key, a.Range, strings.Join(strategies, " "), a.Note)
	}
	return b.String()
}

// withoutEffectTable is the annotations that set nothing, and why.
func withoutEffectTable() string {
	var b strings.Builder
	b.WriteString("| annotation | | |\n|---|---|---|\n")
	for _, a := range v1alpha1.Annotations() {
		if a.Setting != "" {
			continue
		}
		verdict := "refused"
		if a.Supported {
			verdict = "accepted, no effect"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a.Key, verdict, a.Note)
	}
	return b.String()
}

// The documentation, the code and the conversion have one table of defaults.
func TestDocsHaveTheDefaultsOfTheCode(t *testing.T) {
	doc, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{settingsTable(), switchesTable(), withoutEffectTable()} {
		if !strings.Contains(string(doc), table) {
			t.Errorf("docs/policy.md does not have this table:\n%s", table)
		}
	}
}
