package arch

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root   = "../.."
	module = "github.com/flyball/flyball"
)

// rule is one row of the import table.
type rule struct {
	mayImport   map[string]bool // nil: everything
	neverImport []string        // import path prefixes
	standalone  bool            // no third-party package, even transitively
}

func cells(s string) []string {
	var out []string
	for _, c := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' }) {
		if c = strings.TrimSpace(c); c != "" {
			out = append(out, c)
		}
	}
	return out
}

func readTable(t *testing.T) map[string]rule {
	t.Helper()
	f, err := os.Open(filepath.Join(root, "docs/architecture.md"))
	require.NoError(t, err)
	defer f.Close()
	rules := map[string]rule{}
	inTable := false
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line := sc.Text()
		if strings.HasPrefix(line, "| package | may import") {
			inTable = true
			continue
		}
		if !strings.HasPrefix(line, "|") {
			inTable = false
		}
		if !inTable || strings.HasPrefix(line, "|---") {
			continue
		}
		col := strings.Split(strings.Trim(line, "|"), "|")
		require.Len(t, col, 3, line)
		var r rule
		if may := strings.TrimSpace(col[1]); may != "everything" {
			r.mayImport = map[string]bool{}
			for _, p := range cells(may) {
				if p != "nothing" {
					r.mayImport[p] = true
				}
			}
		}
		for _, p := range cells(col[2]) {
			if p == "third-party" {
				r.standalone = true
				continue
			}
			r.neverImport = append(r.neverImport, p)
		}
		rules[strings.TrimSpace(col[0])] = r
	}
	require.NotEmpty(t, rules, "docs/architecture.md has no import table")
	return rules
}

// pkg is what go list says of a package. Imports and Deps leave the tests' imports out.
type pkg struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
	Deps       []string
	Dir        string
	GoFiles    []string
}

func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func listPackages(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Standard,Imports,Deps,Dir,GoFiles"}, args...)...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var pkgs []pkg
	for dec := json.NewDecoder(out); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		pkgs = append(pkgs, p)
	}
	require.NoError(t, cmd.Wait())
	return pkgs
}

func TestImportsFollowTheTable(t *testing.T) {
	rules := readTable(t)
	standard := map[string]bool{}
	for _, p := range listPackages(t, "std") {
		standard[p.ImportPath] = true
	}
	seen := map[string]bool{}
	for _, p := range listPackages(t, "./...") {
		seen[p.name()] = true
		r, ok := rules[p.name()]
		if !ok {
			t.Errorf("package %s is not in the import table of docs/architecture.md", p.name())
			continue
		}
		for _, v := range violations(p, r, standard) {
			t.Error(v)
		}
	}
	for name := range rules {
		if !seen[name] {
			t.Errorf("the import table has a row for %s, and there is no such package", name)
		}
	}
}

// violations lists what the package imports and its row does not allow.
func violations(p pkg, r rule, standard map[string]bool) []string {
	var out []string
	for _, dep := range p.Deps {
		own, isOwn := strings.CutPrefix(dep, module+"/")
		switch {
		case isOwn && r.mayImport != nil && !r.mayImport[own]:
			out = append(out, fmt.Sprintf("%s depends on %s, which its row does not allow", p.name(), own))
		case r.standalone && !isOwn && !standard[dep]:
			out = append(out, fmt.Sprintf("%s depends on third-party %s", p.name(), dep))
		}
	}
	for _, imp := range p.Imports {
		for _, never := range r.neverImport {
			if imp == never || strings.HasPrefix(imp, never+"/") {
				out = append(out, fmt.Sprintf("%s imports %s, which its row forbids", p.name(), imp))
			}
		}
	}
	return out
}

// The checker itself can fail.
func TestViolationsAreFound(t *testing.T) {
	p := pkg{ImportPath: module + "/decider", Deps: []string{module + "/store", "github.com/x/y", "os"}, Imports: []string{"os", "net/http"}}
	r := rule{mayImport: map[string]bool{}, neverImport: []string{"os", "net"}, standalone: true}
	require.Equal(t, []string{
		"decider depends on store, which its row does not allow",
		"decider depends on third-party github.com/x/y",
		"decider imports os, which its row forbids",
		"decider imports net/http, which its row forbids",
	}, violations(p, r, map[string]bool{"os": true}))
}

// clockless are the packages without a clock: the same input gives the same output.
var clockless = []string{"decider", "query", "internal/loop"}

func TestTheMiddleHasNoClock(t *testing.T) {
	for _, dir := range clockless {
		eachFile(t, dir, func(path string, fset *token.FileSet, f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					switch sel.Sel.Name {
					case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker":
						t.Errorf("%s: time.%s: time is an argument here", fset.Position(n.Pos()), sel.Sel.Name)
					}
				}
				return true
			})
		})
	}
}

func TestEveryPackageSaysWhatItTakesGivesKnowsAndNeverDoes(t *testing.T) {
	for _, p := range listPackages(t, "./...") {
		if p.Name == "main" {
			continue
		}
		doc, err := os.ReadFile(filepath.Join(p.Dir, "doc.go"))
		if err != nil {
			t.Errorf("%s has no doc.go", p.name())
			continue
		}
		for _, word := range []string{"Takes:", "Gives:", "Knows:", "Never:"} {
			if !strings.Contains(string(doc), "// "+word) {
				t.Errorf("%s/doc.go has no line %q", p.name(), word)
			}
		}
	}
}

func TestFilesAndFunctionsStayShort(t *testing.T) {
	total := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || generated(path) {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		lines := strings.Count(string(src), "\n")
		total[filepath.Dir(path)] += lines
		if lines > 400 {
			t.Errorf("%s has %d lines; the limit is 400", path, lines)
		}
		return nil
	})
	require.NoError(t, err)
	for _, dir := range sortedKeys(total) {
		if total[dir] > 3000 {
			t.Errorf("package %s has %d lines; the limit is 3000", dir, total[dir])
		}
		eachFile(t, strings.TrimPrefix(dir, root+"/"), func(_ string, fset *token.FileSet, f *ast.File) {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > 60 {
						t.Errorf("%s: %s has %d lines; the limit is 60", fset.Position(fn.Pos()), fn.Name.Name, n)
					}
				}
			}
		})
	}
}

func sortedKeys(m map[string]int) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func generated(path string) bool {
	return strings.HasPrefix(filepath.Base(path), "zz_generated") || strings.HasSuffix(path, ".pb.go") || strings.HasSuffix(path, ".pb.gw.go")
}

// eachFile parses the non-test, non-generated files of a folder of the module.
func eachFile(t *testing.T, dir string, fn func(string, *token.FileSet, *ast.File)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || generated(path) {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		fn(path, fset, f)
	}
}
