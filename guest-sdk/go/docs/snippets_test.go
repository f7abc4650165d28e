// Package docs holds the Go snippets of the documentation against the SDK that they use.
package docs

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var snippet = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// packages are those that a snippet may use without saying so.
var packages = map[string]string{
	"wasmill": "github.com/wasmill/wasmill/guest-sdk/go/wasmill", "time": "time", "strings": "strings", "slices": "slices", "strconv": "strconv",
	"fmt": "fmt", "math": "math", "bytes": "bytes", "maps": "maps", "cmp": "cmp", "iter": "iter",
}

// A snippet is a part of a program, of which it is known that job is its Env. Other names that it does not declare itself are
// let pass, and so are calls that are given them and what is made of those; all else must be Go, and be in the packages that it
// uses: functions, methods, fields, and the types and number of what they are given.
func TestSnippetsAreOfTheSDK(t *testing.T) {
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	sources := newSources(t, fset)
	seen := 0
	for _, page := range append(pages, "../../../README.md") {
		if filepath.Base(page) == "flink.md" {
			continue // its jobs stand in an example, and run
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range snippet.FindAllSubmatchIndex(text, -1) {
			seen++
			line := 1 + strings.Count(string(text[:at[2]]), "\n")
			for _, problem := range check(fset, sources, string(text[at[2]:at[3]])) {
				t.Errorf("%s, snippet at line %d: %s", filepath.Base(page), line, problem)
			}
		}
	}
	if seen == 0 {
		t.Error("no snippet was found")
	}
}

// What is wrong in a snippet is told, and what it leaves open is not.
func TestWrongSnippetsAreFound(t *testing.T) {
	fset := token.NewFileSet()
	sources := newSources(t, fset)
	for text, wrong := range map[string]bool{
		`wasmill.Count(words).SinkTo(wasmill.Nowhere())`:                              true,
		`s := wasmill.NewListState[string](job, "s").Forever()`:                       true,
		`s := wasmill.NewListState[string](job, "s").TTL("an hour")`:                  true,
		`s := wasmill.NewListState[string](job, 5)`:                                   true,
		`s := wasmill.NewListState[string](job, "s"`:                                  true,
		`s := wasmill.NewListState[string](job, "s").TTL(2 * time.Hour)`:              false,
		"type total struct{ n int }\n\nfunc (t total) twice() int { return 2 * t.n }": false,
	} {
		if problems := check(fset, sources, text); len(problems) > 0 != wrong {
			t.Errorf("%s: %q (expected problems: %t)", text, problems, wrong)
		}
	}
}

// from imports packages as the module of a directory sees them.
type from struct {
	types.ImporterFrom
	dir string
}

func (f from) Import(path string) (*types.Package, error) {
	return f.ImportFrom(path, f.dir, 0)
}

func newSources(t *testing.T, fset *token.FileSet) from {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return from{importer.ForCompiler(fset, "source", nil).(types.ImporterFrom), dir}
}

// check is what is wrong in a snippet: declarations, or statements of a function.
func check(fset *token.FileSet, sources types.Importer, text string) (problems []string) {
	head := "package snippet\n"
	if !strings.Contains(text, "import ") {
		for name, path := range packages {
			if strings.Contains(text, name+".") {
				head += fmt.Sprintf("import %s %q\n", name, path)
			}
		}
		if strings.Contains(text, "wasmill.") {
			head += "var job *wasmill.Env\n"
		}
	}
	file, err := parse(fset, head, text)
	if err != nil {
		return []string{err.Error()}
	}
	config := types.Config{Importer: sources, Error: func(err error) {
		e := err.(types.Error)
		if undefined, is := strings.CutPrefix(e.Msg, "undefined: "); !e.Soft && (!is || strings.Contains(undefined, ".")) {
			problems = append(problems, e.Msg)
		}
	}}
	_, _ = config.Check("snippet", fset, []*ast.File{file}, nil)
	return problems
}

func parse(fset *token.FileSet, head, text string) (*ast.File, error) {
	if strings.HasPrefix(text, "package ") {
		return parser.ParseFile(fset, "", text, parser.SkipObjectResolution)
	}
	file, err := parser.ParseFile(fset, "", head+text, parser.SkipObjectResolution)
	if err == nil {
		return file, nil
	}
	return parser.ParseFile(fset, "", head+"func _() {\n"+text+"\n}\n", parser.SkipObjectResolution)
}
