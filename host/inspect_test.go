package host

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host/module"
)

func TestInspectTellsWhatAModuleIs(t *testing.T) {
	wasm := guestBytes(t, "upper")
	in := inspect(t, engine(t), "upper")
	if in.ID != hashOf(wasm) || in.Size != len(wasm) || in.MeteredID != hashOf(in.Metered) || in.ManifestID != hashOf(in.ManifestBytes) {
		t.Errorf("hashes and size: %+v", in)
	}
	if got := strings.Join(in.Imports, " "); !strings.Contains(got, "wasmill.emit") || strings.Contains(got, module.MeterModule) {
		t.Errorf("imports %q", got)
	}
	if got := strings.Join(in.Exports, " "); !strings.Contains(got, abi.ExportKeyed) || in.Functions == 0 || in.MemoryMin == 0 {
		t.Errorf("exports %q, %d functions, %d pages", got, in.Functions, in.MemoryMin)
	}
}

func TestInspectRefusesWithThePlace(t *testing.T) {
	wasm := guestBytes(t, "upper")
	for name, c := range map[string]struct {
		wasm []byte
		want string
	}{
		"not a module":   {[]byte("hello, world"), ""},
		"a component":    {[]byte("\x00asm\x0d\x00\x01\x00"), "component"},
		"cut off":        {wasm[:len(wasm)/2], ""},
		"unknown import": {bytes.Replace(wasm, []byte("\x04emit"), []byte("\x04omit"), 1), "wasmill.omit"},
		"newer ABI":      {bytes.Replace(wasm, []byte("wasmill_abi_1"), []byte("wasmill_abi_9"), 1), "speaks ABI 9"},
		"no process":     {bytes.Replace(wasm, []byte(abi.ExportProcess), []byte("wasmill_protest"), 1), abi.ExportProcess},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := engine(t).Inspect(context.Background(), c.wasm, nil)
			var refusal *module.Error
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v (expected a refusal with %q)", err, c.want)
			}
		})
	}
}

// i32.add without operands parses, and is for the compiler to refuse.
func TestInspectRefusesCodeThatIsNotValid(t *testing.T) {
	wasm := guestBytes(t, "start")
	m, err := module.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	f := m.Functions[len(m.Functions)-1] // process: i32.const 0
	wasm = bytes.Clone(wasm)
	wasm[f.Code], wasm[f.Code+1] = 0x6a, 0x01
	_, err = engine(t).Inspect(context.Background(), wasm, nil)
	var refusal *module.Error
	if !errors.As(err, &refusal) || refusal.Place != "code" {
		t.Errorf("error %v (expected a refusal of the code)", err)
	}
}

func TestInspectRefusesTooMuchMemory(t *testing.T) {
	e := newEngine(t, Config{MemoryLimit: 65536})
	_, err := e.Inspect(context.Background(), guestBytes(t, "upper"), nil)
	var refusal *module.Error
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "memory pages") {
		t.Errorf("error %v", err)
	}
	in := inspect(t, engine(t), "upper")
	m, err := e.Load(context.Background(), in.MeteredID, func(context.Context) ([]byte, error) { return in.Metered, nil })
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Instantiate(context.Background(), InstanceConfig{})
	wantError(t, err, KindMemoryLimit, "begins with")
}

func TestManifestFeatures(t *testing.T) {
	for _, c := range []struct {
		manifest abi.Manifest
		keyed    bool
		want     string
	}{
		{abi.Manifest{ABI: 1, Features: []abi.Feature{1, 2, 8}}, true, ""},
		{abi.Manifest{ABI: 2}, true, "manifest.abi: 2 (expected 1)"},
		{abi.Manifest{ABI: 1, Features: []abi.Feature{99}}, true, "feature 99, which this version of Wasmill does not know"},
		{abi.Manifest{ABI: 1, Functions: []abi.Function{{States: []abi.State{{Name: "total", Version: 2, Migrates: true}}}}}, true,
			`manifest.functions[0].states[0].migrates: state "total" can be migrated, but the module does not export wasmill_migrate`},
		{abi.Manifest{ABI: 1, Features: []abi.Feature{1, 2}}, false, "does not export wasmill_keyed"},
	} {
		err := checkManifest(&c.manifest, c.keyed, false)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v (expected %q)", c.manifest, err, c.want)
		}
	}
}

// A guest's manifest is its SDK's doing: the error says where it breaks off being JSON, once, and in JSON's words.
func TestManifestThatIsNotJSON(t *testing.T) {
	wasm, err := os.ReadFile("../test/guests/not-json.wasm")
	if err != nil {
		t.Fatal(err)
	}
	_, err = engine(t).Inspect(context.Background(), wasm, nil)
	e := wantError(t, err, KindManifest)
	if want := "describe: manifest: byte 2: invalid character 'h' in literal true (expecting 'r')"; err.Error() != want {
		t.Errorf("error %q (expected %q)", err, want)
	}
	if want := "the SDK must answer one JSON object: see abi/README.md"; e.Hint != want {
		t.Errorf("hint %q (expected %q)", e.Hint, want)
	}
}

func TestCacheThatCannotBeWrittenDoesNotMatter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	e, err := NewEngine(context.Background(), Config{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Inspect(context.Background(), guestBytes(t, "upper"), nil); err != nil {
		t.Error(err)
	}
}
