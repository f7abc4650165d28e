package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wallClock are the files that may ask what time it is in the world, and why. All else may only ask how long ago something
// was: a time that comes from time.Now knows that by the monotonic clock, however the wall clock jumps, until it is made a
// number.
var wallClock = map[string]string{
	"taskmanager/chain.go":                 "processing time, which is the wall clock's",
	"taskmanager/step_process.go":          "processing time",
	"taskmanager/step_keyed.go":            "windows of processing time",
	"taskmanager/step_join.go":             "joins in windows of processing time",
	"taskmanager/operator/firing.go":       "processing time",
	"internal/connector/file/partition.go": "event time: folders are named by it",
	"internal/nexmark/timeline.go":         "event time of made-up events",
	"internal/readable/readable.go":        "times that stand in states, for people",
	"internal/format/scalar/time.go":       "times that stand in files",
	"internal/nexmark/reference/events.go": "event time of files",
}

func TestNothingWaitsForTheWallClock(t *testing.T) {
	const root = ".."
	used := map[string]bool{}
	for _, f := range files(t) {
		product := slices.ContainsFunc([]string{"abi", "host", "internal", "jobmanager", "taskmanager"}, func(d string) bool { return below(f.dir, d) })
		if f.test || !product || below(f.dir, "internal/clustertest") || below(f.dir, "internal/connector/connectortest") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, filepath.Join(root, f.path), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !losesMonotonic(call) {
				return true
			}
			used[f.path] = true
			if wallClock[f.path] == "" {
				t.Errorf("%s: a time is made a number, which jumps with the wall clock: compare times that come from time.Now, or say in wallClock why", set.Position(call.Pos()))
			}
			return true
		})
	}
	for path := range wallClock {
		if !used[path] {
			t.Errorf("%s no longer asks the wall clock: take it out of wallClock", path)
		}
	}
}

// losesMonotonic says whether a call makes a time a number or the other way, or takes its monotonic reading out.
func losesMonotonic(call *ast.CallExpr) bool {
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if strings.HasPrefix(s.Sel.Name, "Unix") {
		return true
	}
	if s.Sel.Name != "Round" || len(call.Args) != 1 {
		return false
	}
	zero, ok := call.Args[0].(*ast.BasicLit)
	return ok && zero.Value == "0"
}
