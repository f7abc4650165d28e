// Package internal_test guards the shape of the repository: who may import what, and that every package says what it is.
package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/wasmill/wasmill"

// rule says what a folder must not import, and why. Folders are relative to the repository and include what is below.
type rule struct {
	who     string   // the folder that the rule is about; "" is every folder
	except  []string // folders in it that the rule is not about
	never   []string // import paths, with all below them
	but     []string // import paths below never that are allowed
	because string
	tests   bool // the rule is also about test files
}

var rules = []rule{
	{
		who: "jobmanager", never: ours("taskmanager", "host"),
		because: "the control plane runs without Wasm; Inspect is handed to it by cmd",
	},
	{
		who: "taskmanager", never: ours("jobmanager"),
		because: "JobManager and TaskManagers meet in internal/wire",
	},
	{
		who: "taskmanager", never: []string{"net/http"},
		because: "what leaves a TaskManager for guests goes through internal/egress, which knows what is granted",
	},
	{
		who: "host", never: []string{module, "net/http"}, but: ours("abi", "host", "internal/jsonfault"),
		because: "a guest is testable without a cluster",
	},
	{
		who: "abi", never: []string{module}, but: ours("abi"),
		because: "the contract sits at the bottom",
	},
	{
		who: "internal/graph", never: []string{module}, but: ours("abi", "internal/graph"),
		because: "nouns sit just above the contract",
	},
	{
		who: "internal", except: []string{"internal/clustertest"}, never: ours("jobmanager", "taskmanager", "host", "cmd"),
		because: "shared means below",
	},
	{
		who: "internal/nexmark", never: []string{module}, but: ours("internal/nexmark"),
		because: "what the events are depends on nothing",
	},
	owns("github.com/tetratelabs/wazero", "host", "abi/conformance"), // the kit plays a host of its own
	owns("github.com/quic-go/quic-go", "internal/transport", "internal/clustertest"),
	owns("github.com/dgraph-io", "taskmanager/state/spill"), // Badger, and what makes its files
	owns("github.com/aws", "internal/blob"),
	owns("github.com/twmb/avro", "internal/format/avrorow"),
	owns("github.com/parquet-go/parquet-go", "internal/format/parquetrow"),
	owns("github.com/labstack/echo", "jobmanager/rest"),
	owns("github.com/hashicorp/raft", "jobmanager/ha"),
	owns("github.com/knadh/koanf", "internal/config"),
	owns("github.com/spf13/cobra", "cmd/wasmill"),
	owns("github.com/vbauerster/mpb", "cmd/wasmill"),
	owns("github.com/hanwen/go-fuse", "test/faults"), // disks that fail; no binary has it
}

func ours(folders ...string) []string {
	paths := make([]string, len(folders))
	for i, f := range folders {
		paths[i] = module + "/" + f
	}
	return paths
}

// owns is the rule for a foreign library, which only its owners import.
func owns(library string, owners ...string) rule {
	return rule{except: owners, never: []string{library}, tests: true, because: "one foreign library, one package: replacing it touches " + owners[0] + " only"}
}

func TestImportsFollowTheArchitecture(t *testing.T) {
	for _, f := range files(t) {
		for _, r := range rules {
			if !below(f.dir, r.who) || slices.ContainsFunc(r.except, func(e string) bool { return below(f.dir, e) }) || (f.test && !r.tests) {
				continue
			}
			for _, path := range f.imports {
				if anyBelow(path, r.never) && !anyBelow(path, r.but) {
					t.Errorf("%s imports %s: %s (ARCHITECTURE.md has the table)", f.path, path, r.because)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range files(t) {
		if !f.test {
			documented[f.dir] = documented[f.dir] || f.doc
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment: say in two or three sentences what it knows and what it refuses to know", dir)
		}
	}
}

func TestRulesSeeWhatTheyForbid(t *testing.T) {
	if !anyBelow(module+"/host/meter", ours("host")) || anyBelow(module+"/hosting", ours("host")) || !below("jobmanager/rest", "jobmanager") || !below("abi", "") {
		t.Error("paths are not compared by their elements")
	}
	if len(files(t)) < 20 {
		t.Error("the repository was not found")
	}
}

// file is one Go file of the repository's main module.
type file struct {
	path, dir string
	test, doc bool
	imports   []string
}

func files(t *testing.T) []file {
	t.Helper()
	const root = ".."
	var all []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(root, path, d.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f := file{path: rel, dir: filepath.Dir(rel), test: strings.HasSuffix(path, "_test.go"), doc: parsed.Doc != nil}
		for _, i := range parsed.Imports {
			f.imports = append(f.imports, strings.Trim(i.Path.Value, `"`))
		}
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// skip leaves out what is not the main module's code: hidden folders, test data, other modules.
func skip(root, path, name string) error {
	if path == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// below says whether path is folder or lies in it.
func below(path, folder string) bool {
	return folder == "" || path == folder || strings.HasPrefix(path, folder+"/")
}

func anyBelow(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return below(path, f) })
}
