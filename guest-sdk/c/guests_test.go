package c_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/graph"
)

const guestsDir = "../../test/guests"

// The guests of the end-to-end tests, and what becomes of each when it is uploaded and submitted without parameters:
// part of the error, or nothing when it starts.
var guests = map[string]string{
	"aggregates":        "",
	"alarms":            "",
	"asking":            "",
	"bad":               "",
	"bad-batch":         "",
	"bad-pointer":       "",
	"baskets":           "",
	"braid":             "",
	"chatty":            "",
	"cycle":             "cycle",
	"dealt":             "",
	"drift":             "",
	"enrich":            "",
	"exit":              "",
	"fail":              "",
	"first":             "",
	"flood":             "",
	"folds":             "",
	"formats":           "",
	"frames":            "",
	"generate":          "",
	"grow":              "",
	"hashchain":         "",
	"huge-memory":       "memory",
	"huge-table":        "table",
	"ledger":            "",
	"lies":              "",
	"measured":          "",
	"met":               "",
	"moved":             "",
	"moved-2":           "",
	"moved-3":           "",
	"nearby":            "",
	"nexmark":           "",
	"newer-abi":         "wasmill_abi_9",
	"no-describe":       "wasmill_describe",
	"no-marker":         "wasmill_abi_1",
	"no-operators":      "operators: empty",
	"no-sink":           "sink",
	"not-json":          "describe: manifest: byte 2: invalid",
	"numbers":           "",
	"partitions":        "",
	"recent":            "",
	"roster":            "",
	"passthrough":       "",
	"poison":            "",
	"recurse":           "",
	"rules":             "",
	"running":           "",
	"sleepy-state":      "",
	"spin":              "",
	"spin-in-describe":  "describe",
	"sums":              "",
	"sweep":             "",
	"together":          "",
	"trap":              "",
	"trap-in-describe":  "describe",
	"unkeyed-count":     "key",
	"updates":           "",
	"unknown-connector": "",
	"unknown-feature":   "99",
	"unknown-import":    "teleport",
	"versioned":         "",
	"weary":             "",
	"whole":             "",
	"windows":           "",
	"windows-2":         "",
	"wordcount-c":       "",
}

func TestGuestsAreTakenOrRefused(t *testing.T) {
	ctx := context.Background()
	engine, err := host.NewEngine(ctx, host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(ctx)
	files, err := filepath.Glob("../../test/guests/*.wasm")
	if err != nil || len(files) != len(guests) {
		t.Errorf("%d guests, %v (expected %d)", len(files), err, len(guests))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".wasm")
		want, known := guests[name]
		err := submit(ctx, engine, file)
		switch {
		case !known:
			t.Errorf("%s: not in the table of this test", name)
		case err == nil && want != "":
			t.Errorf("%s: taken (expected an error with %q)", name, want)
		case err != nil && (want == "" || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v (expected %q)", name, err, want)
		}
	}
}

// The guests that are committed were built of the sources that are, as far as SOURCES knows them.
func TestGuestsAreBuiltOfTheirSources(t *testing.T) {
	sources, err := os.ReadFile(filepath.Join(guestsDir, "SOURCES"))
	if err != nil {
		t.Fatal(err)
	}
	built := map[string]string{}
	for line := range strings.Lines(string(sources)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		built[name] = sum
	}
	files, err := filepath.Glob(filepath.Join(guestsDir, "*.[ch]"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d sources, %v", len(files), err)
	}
	for _, file := range append(files, filepath.Join(guestsDir, "../../examples/wordcount/c/wordcount.c")) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(guestsDir, file)
		if err != nil {
			t.Fatal(err)
		}
		was, known := built[name] // one that is not is new, and its module with it
		if sum := sha256.Sum256(data); known && hex.EncodeToString(sum[:]) != was {
			t.Errorf("%s is not what the guests were built of: run test/guests/build.sh, and commit those that it is about and SOURCES", file)
		}
	}
}

// The guests that are committed declare what their sources make them declare with the SDK as it is. Of code that has changed
// otherwise they may lag behind: else each change of the SDK would be one of all of them.
func TestGuestsDeclareWhatTheirSourcesMake(t *testing.T) {
	compiler, err := os.ReadFile(filepath.Join(guestsDir, "COMPILER"))
	if err != nil {
		t.Fatal(err)
	}
	clang := cmp.Or(os.Getenv("CLANG"), "clang-19")
	version, err := exec.CommandContext(t.Context(), clang, "--version").Output()
	if has, _, _ := strings.Cut(string(version), "\n"); err != nil || has != strings.TrimSpace(string(compiler)) {
		t.Skipf("%s is %q, %v; they were built with %q", clang, has, err, compiler)
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), filepath.Join(guestsDir, "build.sh"), dir).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	ctx := context.Background()
	engine, err := host.NewEngine(ctx, host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(ctx)
	files, err := filepath.Glob(filepath.Join(guestsDir, "*.wasm"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d guests, %v", len(files), err)
	}
	for _, file := range files {
		is, made := declared(t, engine, file), declared(t, engine, filepath.Join(dir, filepath.Base(file)))
		if is != made {
			t.Errorf("%s declares other things than what its source makes now: run test/guests/build.sh and commit it\n%s\n(expected %s)", file, is, made)
		}
	}
}

// declared is what a host sees of a guest, or why it refuses it.
func declared(t *testing.T, engine *host.Engine, file string) string {
	wasm, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	i, err := engine.Inspect(t.Context(), wasm, nil)
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), " in wasmill_") // where a guest is ended that spins is nothing that it declares
		return "refused: " + why
	}
	return fmt.Sprintf("imports %q, exports %q, %s, %v", i.Imports, i.Exports, i.ManifestBytes, i.DescribeError)
}

// submit does with a module what an upload and a submission do.
func submit(ctx context.Context, engine *host.Engine, file string) error {
	wasm, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	inspected, err := engine.Inspect(ctx, wasm, nil)
	if err != nil {
		return err
	}
	if inspected.DescribeError != nil {
		return inspected.DescribeError
	}
	_, err = graph.FromManifest(inspected.Manifest, graph.Module{ID: graph.ModuleID(inspected.ID)}, graph.Options{Parallelism: 1})
	return err
}
