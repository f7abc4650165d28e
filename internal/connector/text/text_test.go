package text

import (
	"encoding/binary"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

func row(t *testing.T, codec abi.Codec, set func(w *abi.RowWriter)) []byte {
	t.Helper()
	s, err := abi.ParseSchema(codec)
	if err != nil {
		t.Fatal(err)
	}
	var w abi.RowWriter
	w.Reset(s)
	set(&w)
	return w.AppendTo(nil)
}

func TestFormat(t *testing.T) {
	const counts = "row(start: ms, key: utf8, value: i64)"
	count := row(t, counts, func(w *abi.RowWriter) {
		w.SetI64(0, 1000)
		w.SetBytes(1, []byte("whale"))
		w.SetI64(2, -3)
	})
	price := row(t, "row(price: decimal(5, 2))", func(w *abi.RowWriter) { w.SetBytes(0, abi.AppendDecimal(nil, 0, 1250)) })
	minus := int64(-42)
	tests := []struct {
		codec   abi.Codec
		columns []string
		value   []byte
		want    string
	}{
		{"utf8", nil, []byte("as it is"), "as it is"},
		{"i64", nil, binary.LittleEndian.AppendUint64(nil, uint64(minus)), "-42"},
		{"row(price: decimal(5, 2))", nil, price, "12.50"},
		{counts, nil, count, "1000\twhale\t-3"},
		{counts, []string{"value", " key"}, count, "-3\twhale"},
	}
	for _, tt := range tests {
		f, err := NewFormat(tt.codec, tt.columns)
		if err != nil {
			t.Errorf("%s %q: %v", tt.codec, tt.columns, err)
			continue
		}
		if got, err := f.Append([]byte("> "), tt.value); err != nil || string(got) != "> "+tt.want {
			t.Errorf("%s %q: got %q, %v, want %q", tt.codec, tt.columns, got, err, tt.want)
		}
	}
}

func TestFormatRefuses(t *testing.T) {
	for _, tt := range []struct {
		codec   abi.Codec
		columns []string
		want    string
	}{
		{"utf8", []string{"key"}, "columns: key (the records are utf8, which has no fields)"},
		{"row(a: list(i64))", nil, `columns: field "a" is a list, which has no text form`},
		{"row(a: i64)", []string{"b"}, `columns: no field "b" in row(a: i64)`},
	} {
		if _, err := NewFormat(tt.codec, tt.columns); err == nil || err.Error() != tt.want {
			t.Errorf("%s %q: got %v, want %s", tt.codec, tt.columns, err, tt.want)
		}
	}
	f, err := NewFormat("row(a: i64)", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Append(nil, []byte("short")); err == nil {
		t.Error("a row of 5 bytes was taken")
	}
}
