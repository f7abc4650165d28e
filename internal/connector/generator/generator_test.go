package generator

import (
	"context"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
)

func source(t *testing.T, config map[string]string) connector.Source {
	t.Helper()
	s, err := NewSource(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSource(t *testing.T) {
	config := map[string]string{"count": "2500", "seed": "9", "size": "20"}
	src := source(t, config)
	splits, err := src.Enumerate(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := connectortest.Read(t, src, splits.Splits[0], 1000)
	if len(want) != 2500 || len(want[0]) != 20 || want[0] == want[1] {
		t.Fatalf("%d records, the first %.2q", len(want), want)
	}
	connectortest.Source(t, src, want)
	config["rate"] = "1000"
	connectortest.Source(t, source(t, config), want)
}

// The rate holds over ten seconds of given time, whoever asks how often.
func TestSourceRate(t *testing.T) {
	for _, every := range []time.Duration{time.Millisecond, 7 * time.Millisecond, 300 * time.Millisecond} {
		src := source(t, map[string]string{"rate": "1000"})
		splits, err := src.Enumerate(context.Background(), 2)
		if err != nil {
			t.Fatal(err)
		}
		r, err := src.Open(context.Background(), splits.Splits[1])
		if err != nil {
			t.Fatal(err)
		}
		b := abi.NewBuilder(src.Columns())
		begin := time.Unix(100, 0)
		for now := begin; now.Sub(begin) < 10*time.Second; now = now.Add(every) {
			if _, err := r.Poll(b, 1024, 1<<20, now); err != nil {
				t.Fatal(err)
			}
		}
		if n := b.Len(); n < 4800 || n > 5002 {
			t.Errorf("asked every %v: %d records in 10 s of half of 1,000 a second", every, n)
		}
	}
}

func TestSourceRefuses(t *testing.T) {
	for config, want := range map[[2]string]string{
		{"count", "-1"}: `generator source: count: "-1" (expected a whole number >= 0)`,
		{"rate", "x"}:   `generator source: rate: "x" (expected records a second, >= 0)`,
		{"rate", "NaN"}: `generator source: rate: "NaN" (expected records a second, >= 0)`,
		{"size", "0"}:   `generator source: size: "0" (expected 1 <= bytes <= 1048576)`,
		{"speed", "1"}:  `generator source: unknown option "speed" (known: count, rate, seed, size)`,
	} {
		if _, err := NewSource(map[string]string{config[0]: config[1]}); err == nil || err.Error() != want {
			t.Errorf("%v: got %v, want %s", config, err, want)
		}
	}
}
