package c_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/graph"
)

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
