// Package conformance_test is the conformance kit: it runs the scenarios of testdata against the conformance guest of
// every SDK, or against the one that -guest names. It knows what a guest answers to what it is handed, and nothing of how
// an SDK comes to the answer. README.md says how to run it against a new SDK.
package conformance_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
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
	for name, wasm := range guests(t) {
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

// guests returns the modules to run against, by name. Go guests are built here; compilers of other languages are not at
// hand everywhere, so their guests lie in testdata.
func guests(t *testing.T) map[string][]byte {
	t.Helper()
	if *guest != "" {
		return map[string][]byte{filepath.Base(*guest): read(t, *guest)}
	}
	built := filepath.Join(t.TempDir(), "go.wasm")
	build := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-o", built, "./conformance")
	build.Dir = filepath.Join("..", "..", "guest-sdk", "go")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the Go guest: %v\n%s", err, out)
	}
	return map[string][]byte{"go": read(t, built), "c": read(t, "testdata/c.wasm")}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}
