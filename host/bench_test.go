package host

import (
	"bytes"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
)

// thousand is a batch of 1,024 records of 100 bytes.
func thousand() *abi.Builder {
	b := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnValues)
	value := make([]byte, 100)
	for k := range value {
		value[k] = 'a' + byte(k%26)
	}
	for k := range 1024 {
		b.Append(abi.Record{Timestamp: int64(k), Value: value})
	}
	return b
}

func TestProcessAllocatesNothing(t *testing.T) {
	i := guest(t, engine(t), "upper", InstanceConfig{Metric: func(abi.MetricKind, string, int64) {}})
	b := thousand()
	process := func() {
		if _, err := i.Process(0, &header, b); err != nil {
			t.Fatal(err)
		}
	}
	process()
	if n := allocs.PerRun(100, process); n != 0 {
		t.Errorf("%v allocations a call (expected 0)", n)
	}
}

func TestKeyedAllocatesNothing(t *testing.T) {
	i := start(t, load(t, engine(t), "upper"), InstanceConfig{})
	open(t, i, 0, toOutput(2, 0))
	var g abi.GroupsWriter
	g.Reset()
	value := [][]byte{make([]byte, 8)}
	for range 100 {
		g.Begin(abi.Group{Key: []byte("whale")})
		g.List(abi.ListInput0, 0, 1, nil, value)
		g.EndGroup()
	}
	keyed := func() {
		if _, err := i.Keyed(0, abi.VerbAccumulate, &header, &g, nil); err != nil {
			t.Fatal(err)
		}
	}
	keyed()
	if n := allocs.PerRun(100, keyed); n != 0 {
		t.Errorf("%v allocations a call (expected 0)", n)
	}
}

// An empty call: what it costs to enter and leave a guest.
func BenchmarkEmptyProcess(b *testing.B) {
	i := guest(b, engine(b), "hostile", InstanceConfig{})
	in := deed(0, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Process(0, &header, in); err != nil {
			b.Fatal(err)
		}
	}
}

// A batch of 1,024 records of 100 bytes in and out; function 0 looks at every byte, function 1 at none.
func BenchmarkBatch(b *testing.B) {
	for function, name := range []string{"upper", "same"} {
		b.Run(name, func(b *testing.B) {
			i := start(b, load(b, engine(b), "upper"), InstanceConfig{})
			open(b, i, 0, toOutput(uint32(function), abi.ColumnValues))
			in := thousand()
			b.SetBytes(int64(in.Size()))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := i.Process(0, &header, in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/record")
			want := []func([]byte) []byte{bytes.ToUpper, bytes.Clone}[function]
			checkBatch(b, i, in, want)
		})
	}
}

// checkBatch calls once more and holds what comes out against what went in.
func checkBatch(b *testing.B, i *Instance, in *abi.Builder, want func([]byte) []byte) {
	b.Helper()
	var given abi.Batch
	in.View(&given)
	effects, err := i.Process(0, &header, in)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, e := range effects.Emits {
		for k := range e.Batch.N {
			if n < given.N && !bytes.Equal(e.Batch.Value(k), want(given.Value(n))) {
				b.Fatalf("record %d: %q (expected %q)", n, e.Batch.Value(k), want(given.Value(n)))
			}
			n++
		}
	}
	if n != given.N {
		b.Fatalf("%d records came out of %d", n, given.N)
	}
}

// A call of a host function by a guest.
func BenchmarkHostCall(b *testing.B) {
	i := guest(b, engine(b), "hostile", InstanceConfig{})
	in := deed(20, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Process(0, &header, in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/hostcall")
}

func BenchmarkInstantiate(b *testing.B) {
	m := load(b, engine(b), "upper")
	for b.Loop() {
		i, err := m.Instantiate(b.Context(), InstanceConfig{})
		if err != nil {
			b.Fatal(err)
		}
		i.Close(b.Context())
	}
}
