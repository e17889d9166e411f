package decider

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// rules reads the Rule constants out of decision.go.
func rules(t *testing.T) []Rule {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "decision.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []Rule
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Rule" {
			name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, Rule(name))
		}
		return true
	})
	if len(all) == 0 {
		t.Fatal("no Rule constants found in decision.go")
	}
	return all
}

// Each rule has a script that shows it at work, a sentence, and a section in docs/policy.md.
func TestEveryRuleIsShownSaidAndDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules(t) {
		script, err := os.ReadFile("testdata/" + string(r) + ".txt")
		if err != nil {
			t.Errorf("rule %s has no script: %v", r, err)
		}
		if !regexp.MustCompile(`-> .* ` + string(r) + `:`).Match(script) {
			t.Errorf("testdata/%s.txt never shows the rule", r)
		}
		if _, ok := sentences[r]; !ok {
			t.Errorf("rule %s has no sentence in explain.go", r)
		}
		if !strings.Contains(string(doc), "\n### "+string(r)+"\n") {
			t.Errorf("rule %s has no section in docs/policy.md", r)
		}
	}
}
