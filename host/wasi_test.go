package host

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host/module"
)

// What inspection lets through is what the engine provides.
func TestHostFunctionsAreThoseInspectionKnows(t *testing.T) {
	var have []string
	for _, f := range hostFunctions() {
		if f.module == module.MeterModule {
			continue
		}
		have = append(have, f.module+"."+f.name)
		want, ok := module.HostFunction(f.module, f.name)
		if !ok || !sameTypes(f.params, want.Params) || !sameTypes(f.results, want.Results) {
			t.Errorf("%s.%s: %v -> %v (inspection expects %v)", f.module, f.name, f.params, f.results, want)
		}
	}
	known := len(module.HostFunctions(abi.ImportModule)) + len(module.HostFunctions(module.WASIModule))
	if slices.Sort(have); len(slices.Compact(have)) != known {
		t.Errorf("%d host functions (inspection knows %d)", len(have), known)
	}
}

func sameTypes(a []api.ValueType, b []module.ValueType) bool {
	return slices.EqualFunc(a, b, func(a api.ValueType, b module.ValueType) bool { return byte(a) == byte(b) })
}

func words(s string) (w []uint32) {
	for ; len(s) >= 4; s = s[4:] {
		w = append(w, binary.LittleEndian.Uint32([]byte(s)))
	}
	return w
}

func TestStdioBecomesLogLines(t *testing.T) {
	var lines []string
	i := hostile(t, InstanceConfig{Log: func(level abi.LogLevel, text string) { lines = append(lines, fmt.Sprint(level, text)) }})
	if _, err := do(i, 11); err != nil {
		t.Fatal(err)
	}
	i.Close(t.Context())
	if got := strings.Join(lines, "|"); got != "2one|2two|2three|3warn" {
		t.Errorf("log %q", got)
	}
}

func TestLogRateAndLineLengthAreBounded(t *testing.T) {
	var lines []string
	i := hostile(t, InstanceConfig{Log: func(_ abi.LogLevel, text string) { lines = append(lines, text) }})
	if _, err := do(i, 10, 5*linesAtOnce); err != nil {
		t.Fatal(err)
	}
	if len(lines) < linesAtOnce || len(lines) > 2*linesAtOnce {
		t.Errorf("%d lines (expected about %d)", len(lines), linesAtOnce)
	}
	i.lines.filled = time.Now().Add(-time.Second)
	lines = nil
	if _, err := do(i, 10, 1); err != nil || len(lines) != 2 || !strings.Contains(lines[0], "lines dropped") {
		t.Errorf("%v %q", err, lines)
	}
	if got := clean(strings.Repeat("ä", maxLineBytes), 5); got != "ää…" {
		t.Errorf("clean cut to %q", got)
	}
	if got := clean("a\xffb", 5); got != "a\uFFFDb" {
		t.Errorf("clean made %q", got)
	}
}

func TestRandomnessIsSeeded(t *testing.T) {
	m := load(t, engine(t), "hostile")
	random := func(seed uint64) string {
		i := start(t, m, InstanceConfig{Seed: seed})
		open(t, i, 0, toOutput(0, abi.ColumnValues))
		effects, err := do(i, 13)
		if err != nil {
			t.Fatal(err)
		}
		return emitted(effects)[0]
	}
	if random(1) != random(1) || random(1) == random(2) {
		t.Error("randomness does not follow the seed")
	}
}

func TestClockIsTheTimeOfTheBatchAndWaitingMovesIt(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	effects, err := do(i, 14)
	if err != nil {
		t.Fatal(err)
	}
	out := emitted(effects)[0]
	le := binary.LittleEndian
	before, after := le.Uint64([]byte(out)), le.Uint64([]byte(out[8:]))
	if before != 5000e6 || after != before+5e6 {
		t.Errorf("clock %d, then %d after a wait of 5 ms (expected 5000 ms and 5005 ms)", before, after)
	}
	if w := words(out); w[4] != 77 || w[5] != 1 {
		t.Errorf("event of user data %d, %d events (expected 77 and 1)", w[4], w[5])
	}
}

func TestWhatWASIDoesNotGive(t *testing.T) {
	i := hostile(t, InstanceConfig{})
	effects, err := do(i, 15)
	if err != nil {
		t.Fatal(err)
	}
	want := []uint32{uint32(errnoBadf), uint32(errnoNotcapable), 0, 0, 0}
	if got := words(emitted(effects)[0]); !slices.Equal(got, want) {
		t.Errorf("fd_prestat_get, path_open, sched_yield, fd_read answered %v (expected %v)", got, want)
	}
}

func TestMetricsAreHandedOverOnceACall(t *testing.T) {
	var got []string
	i := hostile(t, InstanceConfig{Metric: func(kind abi.MetricKind, name string, value int64) {
		got = append(got, fmt.Sprint(kind, name, value))
	}})
	if _, err := do(i, 12, 0); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, " "); s != "1seen5 2level7" {
		t.Errorf("metrics %q", s)
	}
}

func TestStartFunctionAndManifestSection(t *testing.T) {
	e := engine(t)
	in := inspect(t, e, "start")
	if in.Manifest.Name != "start" {
		t.Errorf("manifest %+v", in.Manifest)
	}
	var lines []string
	start(t, load(t, e, "start"), InstanceConfig{ManifestID: in.ManifestID, Log: func(_ abi.LogLevel, text string) { lines = append(lines, text) }})
	if len(lines) != 1 || lines[0] != "started" {
		t.Errorf("log %q", lines)
	}
}
