// Package conformance_test is the conformance kit: it runs the scenarios of testdata against the conformance guest of
// every SDK, or against the one that -guest names. It knows what a guest answers to what it is handed, and nothing of how
// an SDK comes to the answer. README.md says how to run it against a new SDK.
package conformance_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

var guest = flag.String("guest", "", "run the scenarios against this .wasm `file` only")

func TestScenarios(t *testing.T) {
	scenarios, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scenarios) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for name, wasm := range guests(t, usualGuest) {
		t.Run(name, func(t *testing.T) {
			for _, path := range scenarios {
				scenario := strings.TrimSuffix(filepath.Base(path), ".txt")
				t.Run(scenario, func(t *testing.T) { run(t, path, &script{wasm: wasm}) })
				// A guest's memory is only a cache: with a new instance for every call the results are the same.
				t.Run(scenario+"-replaced", func(t *testing.T) { run(t, path, &script{wasm: wasm, replace: true}) })
			}
		})
	}
}

func run(t *testing.T, path string, s *script) {
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
}

// The guests of an SDK, by their names in the manifest.
const (
	usualGuest     = "conformance"
	processGuest   = "conformance-process"
	operatorsGuest = "conformance-operators"
)

// guests returns the modules of the name given, by SDK. They are built here where their compiler is at hand: Go's always,
// those of C and Rust not everywhere, so that their guests lie in testdata too.
func guests(t *testing.T, name string) map[string][]byte {
	t.Helper()
	if *guest != "" {
		wasm := read(t, *guest)
		if s, err := newStage(t, wasm, nil, false); err == nil && s.manifest.Name != name {
			t.Skipf("%s is the guest %q, not %q", *guest, s.manifest.Name, name)
		}
		return map[string][]byte{filepath.Base(*guest): wasm}
	}
	suffix := strings.TrimPrefix(name, usualGuest)
	all := make(map[string][]byte)
	for language, built := range map[string]bool{"c": hasTools("clang-19", "wasm-ld-19"), "rust": hasFile(rustSysroot)} {
		dir := "testdata"
		if built {
			dir = t.TempDir()
			build(t, exec.Command("./build.sh", dir, language+suffix))
		}
		all[language] = read(t, filepath.Join(dir, language+suffix+".wasm"))
	}
	sdk := filepath.Join("..", "..", "guest-sdk", "go")
	source := "./conformance/" + strings.TrimPrefix(suffix, "-")
	if _, err := os.Stat(filepath.Join(sdk, source)); err != nil {
		t.Logf("there is no guest %q in Go: %v", name, err)
		return all
	}
	golang := filepath.Join(t.TempDir(), "go.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-o", golang, source)
	cmd.Dir = sdk
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	build(t, cmd)
	all["go"] = read(t, golang)
	return all
}

// rustSysroot is where `make need-rust` has put Rust's standard library for WebAssembly.
const rustSysroot = "../../bin/rust/sysroot"

func hasFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func hasTools(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		_, err := exec.LookPath(name)
		return err != nil
	})
}

func build(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build a guest: %v: %v\n%s", cmd, err, out)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}
