package file

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
)

// Each change is written with its op in front of the fields of a row, or of a value that is none, in every format of lines.
func TestChangesAreWrittenWithTheirOp(t *testing.T) {
	schema, err := abi.ParseSchema("row(key: utf8, value: i64, note: utf8?)")
	if err != nil {
		t.Fatal(err)
	}
	row := func(key string, value int64) []byte {
		var w abi.RowWriter
		w.Reset(schema)
		w.SetBytes(0, []byte(key))
		w.SetI64(1, value)
		return w.AppendTo(nil)
	}
	number := func(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
	for _, c := range []struct {
		name   string
		codec  abi.Codec
		config map[string]string
		values [][]byte
		want   []string
	}{
		{"rows", schema.Codec(), nil, [][]byte{row("a", 1), row("a", 1), row("a", 2), row("b", -5)},
			[]string{"+I\ta\t1\t", "-U\ta\t1\t", "+U\ta\t2\t", "-D\tb\t-5\t"}},
		{"JSON", schema.Codec(), map[string]string{"format": "json", "columns": "value,key"}, [][]byte{row("a", 1), row("a", 1), row("a", 2), row("b", -5)},
			[]string{`{"op":"+I","value":1,"key":"a"}`, `{"op":"-U","value":1,"key":"a"}`, `{"op":"+U","value":2,"key":"a"}`, `{"op":"-D","value":-5,"key":"b"}`}},
		{"CSV", schema.Codec(), map[string]string{"format": "csv", "columns": "key,op"}, [][]byte{row("a", 1), row("a", 1), row("a", 2), row("b", -5)},
			[]string{"a,+I", "a,-U", "a,+U", "b,-D"}},
		{"text", abi.CodecUTF8, nil, [][]byte{[]byte("x"), []byte("x"), []byte("y"), nil}, []string{"+I\tx", "-U\tx", "+U\ty", "-D\t"}},
		{"numbers", abi.CodecI64, map[string]string{"format": "json"}, [][]byte{number(1), number(1), number(2), number(3)},
			[]string{`{"op":"+I","value":1}`, `{"op":"-U","value":1}`, `{"op":"+U","value":2}`, `{"op":"-D","value":3}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			config := map[string]string{"path": dir, "updates": "all"}
			for k, v := range c.config {
				config[k] = v
			}
			sink, err := NewSink(config)
			if err != nil {
				t.Fatal(err)
			}
			cols, err := sink.Columns("", c.codec)
			if err != nil {
				t.Fatal(err)
			}
			b := abi.NewBuilder(cols)
			for i, v := range c.values {
				b.Append(abi.Record{Kind: abi.ChangeKind(i), Value: v})
			}
			w, err := sink.Open(context.Background(), connector.SinkTask{Job: "j", Attempt: 1, Value: c.codec})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(connectortest.Parse(t, b), time.Time{}); err != nil {
				t.Fatal(err)
			}
			if err := sink.Commit(context.Background(), "j", 1, connectortest.Prepared(t, w)); err != nil {
				t.Fatal(err)
			}
			if got := lines(t, dir); !slices.Equal(got, c.want) {
				t.Errorf("%q (expected %q)", got, c.want)
			}
		})
	}
}

func TestChangesThatCannotBeWritten(t *testing.T) {
	for codec, want := range map[abi.Codec]string{
		"row(op: utf8)": `updates: all, but the records have a field "op" (expected none: it says what change a row is)`,
		"mine":          "updates: all of records of codec mine: ",
	} {
		sink, err := NewSink(map[string]string{"path": "x", "updates": "all"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Columns("", codec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v (expected %s)", codec, err, want)
		}
	}
	if _, err := NewSink(map[string]string{"path": "x", "updates": "some"}); err == nil || err.Error() != `file sink: updates: "some" (expected final or all)` {
		t.Errorf("got %v", err)
	}
}
