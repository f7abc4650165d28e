//go:build !wasip1

package wasmill

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func countByWord(job *Env) {
	lines := Source(job, Files(job.Param("input", "what to read")).OffsetTimestamps())
	words := FlatMap(lines, "split", func(line string, emit func(string)) {})
	size := time.Duration(job.ParamIntOr("window", 10)) * time.Millisecond
	KeyBy(words, "word", func(w string) string { return w }).Window(Tumbling(size)).
		Count().UID("counts").Parallelism(2).
		SinkTo(FileSink(job.Param("output")).Columns("start", "key", "value").
			Partition("{yyyy}/{key}").RollSize(1 << 20).RollInterval(time.Minute)).Name("result")
}

func TestManifestHasTheGraphInFixedOrder(t *testing.T) {
	want := `{"abi":1,"name":"test","sdk":"go 0.1.0","features":[1,8],` +
		`"params":[{"name":"input","required":true,"doc":"what to read"},{"name":"window","default":"10"},{"name":"output","required":true}],` +
		`"functions":[{"id":0,"name":"split","kind":"flatMap","inputs":["utf8"],"output":"utf8"},` +
		`{"id":1,"name":"word","kind":"key","inputs":["utf8"],"key":"utf8","output":"utf8"}],` +
		`"operators":[{"name":"files","kind":"source","connector":{"type":"file","config":{"format":"lines","path":"a \"b\"\\","timestamps":"offset"}},"watermarks":{},"output":"utf8"},` +
		`{"name":"split","kind":"flatMap","function":"split","inputs":[{"from":"files"}],"output":"utf8"},` +
		`{"name":"word","kind":"key","function":"word","inputs":[{"from":"split"}],"key":"utf8","output":"utf8"},` +
		`{"name":"count","uid":"counts","kind":"count","inputs":[{"from":"word"}],"window":{"kind":"tumbling","sizeMs":500},"parallelism":2,"output":"row(start: ms, end: ms, key: utf8, value: i64)"},` +
		`{"name":"result","kind":"sink","inputs":[{"from":"count"}],"connector":{"type":"file","config":{"columns":"start,key,value","partition":"{yyyy}/{key}","path":"out","rollInterval":"1m0s","rollSize":"1048576"}}}]}`
	h := newHost(t, countByWord)
	for range 3 {
		got := h.describe(setting{"input", `a "b"\`}, setting{"output", "out"}, setting{"window", "500"})
		if got != want {
			t.Fatalf("manifest\n%s\nwant\n%s", got, want)
		}
	}
	if !json.Valid([]byte(want)) {
		t.Error("the manifest is not JSON")
	}
}

func TestManifestOfEveryOperatorIsJSON(t *testing.T) {
	type average struct{ n, sum int64 }
	RegisterCodec("test.average",
		func(dst []byte, a average) []byte { return appendI64(appendI64(dst, a.n), a.sum) },
		func(p []byte) average { return average{decodeI64(p[:8]), decodeI64(p[8:])} })
	mean := Aggregator[int64, average, float64]{
		Create: func() average { return average{} },
		Add:    func(a average, v int64) average { return average{a.n + 1, a.sum + v} },
		Merge:  func(a, b average) average { return average{a.n + b.n, a.sum + b.sum} },
		Result: func(a average) float64 { return float64(a.sum) / float64(a.n) },
	}
	h := newHost(t, func(job *Env) {
		a := Source(job, Generator().Count(10).Rate(5).Seed(1).Size(8)).Parallelism(1)
		b := Source(job, Files("x"))
		both := Union(a, Filter(b, "long", func(s string) bool { return len(s) > 3 })).Name("both")
		timed := AssignTimestamps(both, "time", func(string) int64 { return 0 }, 3*time.Second)
		sizes := KeyValueBy(Map(timed, "trim", strings.TrimSpace), "size", func(s string) (string, int64) { return s, int64(len(s)) })
		sizes.Sum().UID("s1").SinkTo(Print())
		sizes.Window(Tumbling(time.Second)).Sum().UID("s2").SinkTo(Blackhole().Rate(7))
		sizes.Reduce("largest", func(a, b int64) int64 { return max(a, b) }).UID("s3").SinkTo(Print())
		ReduceTo(sizes, "largest-text", func(a, b int64) int64 { return max(a, b) },
			func(k string, v int64) string { return k }).UID("s4").SinkTo(Print())
		Aggregate(sizes, "mean", mean).UID("s5").SinkTo(Print())
		AggregateWindow(sizes.Window(Tumbling(time.Minute)), "mean-by-minute", mean).UID("s6").SinkTo(Print())
	})
	manifest := h.describe()
	var m struct {
		Features  []int
		Functions []struct{ Name, Kind, Key, Accumulator, Output string }
		Operators []struct {
			Name, UID, Kind string
			Parallelism     int
		}
	}
	if err := json.Unmarshal([]byte(manifest), &m); err != nil {
		t.Fatalf("manifest: %v\n%s\n%+v", err, manifest, h.failures)
	}
	if len(m.Features) != 3 || len(m.Operators) != 19 {
		t.Errorf("features %v, %d operators (expected 3 and 19)", m.Features, len(m.Operators))
	}
	for _, f := range m.Functions {
		if f.Name == "mean" && (f.Kind != "aggregate" || f.Key != "utf8" || f.Accumulator != "test.average" || f.Output != "row(key: utf8, value: f64)") {
			t.Errorf("function %+v", f)
		}
	}
	seen := make(map[string]bool)
	for _, o := range m.Operators {
		if seen[o.Name] {
			t.Errorf("operator %q stands twice", o.Name)
		}
		seen[o.Name] = true
	}
}

func TestDefinitionIsRefusedWithEveryProblem(t *testing.T) {
	h := newHost(t, func(job *Env) {
		words := Source(job, Files(job.Param("input")))
		job.ParamIntOr("window", 0)
		keyed := KeyBy(words, "word", func(w string) string { return w })
		keyed.Count().Name("totals").SinkTo(Print()).Parallelism(0)
		keyed.Reduce("word", func(a, _ string) string { return a }).UID("r").SinkTo(Print())
		keyed.Sum().UID("s").SinkTo(Print())
		Map(words, "parse", func(string) []int { return nil })
		Map(words, "sieve", func(s string) string { return s }).OnTrap(Skip).DeadLetters().SinkTo(Print())
		KeyBy(words, "riddle", func(s string) string { return s }).OnTrap(Skip).DeadLetters().SinkTo(Print())
	})
	if m := h.describe(setting{"window", "soon"}); m != "" {
		t.Fatalf("manifest %s (expected none)", m)
	}
	for _, want := range []string{
		`operator "totals" keeps state and has no uid`,
		`operator "print": parallelism 0 (expected >= 1)`,
		`function "word": defined twice`,
		`operator "sieve": DeadLetters (expected a source or function with OnTrap(DeadLetter))`,
		`operator "riddle": DeadLetters (expected a source or function with OnTrap(DeadLetter))`,
		`sum behind "word": values of codec utf8`,
		`function "parse": type []int has no codec`,
		`parameter "window": "soon" (expected a whole number)`,
	} {
		if len(h.failures) != 1 || !strings.Contains(h.failures[0].message, want) {
			t.Errorf("failures %+v\nlack %q", h.failures, want)
		}
	}
}

// Dead letters are the last side output: behind those of a process function, and behind the late records of a window.
func TestDeadLettersAreTheLastSideOutput(t *testing.T) {
	h := newHost(t, func(job *Env) {
		words := Source(job, Files("x"))
		keyed := KeyBy(words, "word", func(w string) string { return w })
		taken := Map(words, "take", func(s string) string { return s }).OnTrap(DeadLetter)
		taken.SinkTo(Print())
		Map(taken.DeadLetters(), "tell", func(l Letter) string { return l.Unit + l.Cause }).SinkTo(Print())
		side, late := NewSide[string](job, "side"), NewSide[string](job, "late")
		p := Process(keyed, "process", ProcessFunction[string, string, string]{
			Sides: []SideOutput{side}, Process: func(c *Context[string, string], v string) { c.Emit(v) },
		}).UID("p").OnTrap(DeadLetter)
		w := keyed.Window(Tumbling(time.Second)).Late(late).Reduce("longest", func(a, _ string) string { return a }).UID("w").OnTrap(DeadLetter)
		spelled := KeyBy(words, "spell", func(w string) string { return w }).OnTrap(DeadLetter)
		spelled.Count().UID("c").SinkTo(Print())
		spelled.DeadLetters().SinkTo(Print()).Name("unspelled")
		Union(p.DeadLetters(), w.DeadLetters()).SinkTo(Print()).Name("letters")
		near := ProcessJoined(IntervalJoin(keyed, keyed).Between(0, time.Second), "near", func(c *JoinContext[string, string], a, b string) { c.Emit(a + b) }).UID("n").OnTrap(DeadLetter)
		near.DeadLetters().SinkTo(Print()).Name("apart")
	})
	m := h.describe()
	for _, want := range []string{
		`{"name":"tell","kind":"map","function":"tell","inputs":[{"from":"take","side":1}]`,
		`{"name":"union","kind":"union","inputs":[{"from":"process","side":2},{"from":"longest","side":2}],"output":"row(unit: utf8, key: bytes?, cause: utf8, bytes: bytes)"}`,
		`{"name":"spell","kind":"key","function":"spell","inputs":[{"from":"files"}],"key":"utf8","output":"utf8","onTrap":"deadLetter"}`,
		`{"name":"unspelled","kind":"sink","inputs":[{"from":"spell","side":1}],`,
		`{"name":"apart","kind":"sink","inputs":[{"from":"near","side":3}],`,
		`"features":[1,2,5,8]`,
	} {
		if !strings.Contains(m, want) {
			t.Errorf("manifest\n%s\nlacks %s", m, want)
		}
	}
}

func TestMissingParametersReadAsEmptyAtUpload(t *testing.T) {
	h := newHost(t, countByWord)
	if h.describe() == "" {
		t.Errorf("describe without parameters: %+v", h.failures)
	}
}

// Rows of files are of the codec of their type, whose event time the host takes from fields.
func TestRowsOfFiles(t *testing.T) {
	h := newHost(t, func(job *Env) {
		rows := Source(job, JSONFiles[KeyValue[string, int64]]("in").Timestamps(4*time.Second, "a.at", "value")).OnTrap(DeadLetter)
		rows.SinkTo(FileSink("out").JSON().Times("sql"))
		rows.DeadLetters().SinkTo(Print())
		all := Union(Source(job, CSVFiles[KeyValue[string, int64]]("in").Header().Delimiter("tab").QuotedNewlines()).Name("csv"),
			Source(job, CSVFiles[KeyValue[string, int64]]("in").Names("a", "key", "value")).Name("named"),
			Source(job, AvroFiles[KeyValue[string, int64]]("in")).Name("avro"),
			Source(job, ParquetFiles[KeyValue[string, int64]]("in")).Name("parquet"))
		all.SinkTo(FileSink("csv").CSV().Header().Delimiter(";").AllUpdates())
		all.SinkTo(FileSink("avro").Avro().Compression("zstd"))
		Source(job, Nexmark[KeyValue[string, int64]]("bid", 4*time.Second).With("events", "1000")).SinkTo(Blackhole())
		all.SinkTo(FileSink("parquet").Parquet())
	})
	m := h.describe()
	for _, want := range []string{
		`{"name":"files","kind":"source","connector":{"type":"file","config":{"format":"json","path":"in","timestamps":"a.at,value"}},` +
			`"watermarks":{"outOfOrderMs":4000},"output":"row(key: utf8, value: i64)","onTrap":"deadLetter"}`,
		`"inputs":[{"from":"files"}],"connector":{"type":"file","config":{"format":"json","path":"out","times":"sql"}}`,
		`"inputs":[{"from":"files","side":1}],"connector":{"type":"print"`,
		`"features":[1,8]`,
		`"config":{"delimiter":"tab","format":"csv","header":"true","path":"in","quotedNewlines":"true"}}`,
		`"config":{"format":"csv","names":"a,key,value","path":"in"}}`,
		`"config":{"format":"avro","path":"in"}}`,
		`"config":{"format":"parquet","path":"in"}}`,
		`"config":{"format":"parquet","path":"parquet"}}`,
		`"config":{"delimiter":";","format":"csv","header":"true","path":"csv","updates":"all"}}`,
		`"config":{"compression":"zstd","format":"avro","path":"avro"}}`,
		`{"name":"nexmark","kind":"source","connector":{"type":"nexmark","config":{"events":"1000","kind":"bid"}},"watermarks":{"outOfOrderMs":4000},"output":"row(key: utf8, value: i64)"}`,
	} {
		if !strings.Contains(m, want) {
			t.Errorf("manifest %s\nlacks %s", m, want)
		}
	}
}
