package print

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
)

func TestSinkPrintsLines(t *testing.T) {
	sink, err := NewSink(nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	w, err := sink.Open(context.Background(), connector.SinkTask{Value: abi.CodecUTF8, Print: func(line []byte) { lines = append(lines, string(line)) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(connectortest.Values(t, "a", "b"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(lines, []string{"a", "b"}) {
		t.Errorf("printed %q", lines)
	}
}
