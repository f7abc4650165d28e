package blackhole

import (
	"context"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
)

func TestSinkKeepsItsRate(t *testing.T) {
	sink, err := NewSink(map[string]string{"rate": "100"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := sink.Open(context.Background(), connector.SinkTask{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Unix(5, 0)
	now := begin
	batch := connectortest.Values(t, make([]string, 25)...)
	for range 40 {
		ready, err := w.Write(batch, now)
		if err != nil {
			t.Fatal(err)
		}
		now = ready
	}
	if took := now.Sub(begin); took != 10*time.Second {
		t.Errorf("1,000 records at 100 a second took %v", took)
	}
	if ready, _ := w.Write(batch, now.Add(time.Hour)); ready != now.Add(time.Hour+250*time.Millisecond) {
		t.Errorf("after an idle hour it is ready at %v: idleness is not saved up", ready)
	}
}

func TestSinkRefuses(t *testing.T) {
	for config, want := range map[[2]string]string{
		{"rate", "fast"}:    `blackhole sink: rate: "fast" (expected records a second, >= 0)`,
		{"path", "x"}:       `blackhole sink: unknown option "path" (known: rate, updates)`,
		{"updates", "some"}: `blackhole sink: updates: "some" (expected final or all)`,
	} {
		if _, err := NewSink(map[string]string{config[0]: config[1]}); err == nil || err.Error() != want {
			t.Errorf("%v: got %v, want %s", config, err, want)
		}
	}
}
