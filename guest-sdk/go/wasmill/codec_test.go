package wasmill

import (
	"encoding/hex"
	"math"
	"reflect"
	"testing"
)

// golden holds a codec to bytes that the host's own encoder wrote, and back.
func golden[T any](t *testing.T, name string, c codec[T], v T, want string) {
	t.Helper()
	p := c.append(nil, v)
	if got := hex.EncodeToString(p); got != want {
		t.Errorf("%s: %s\nwant %s", name, got, want)
	}
	if back := c.decode(p); !reflect.DeepEqual(back, v) {
		t.Errorf("%s: read back as %v (expected %v)", name, back, v)
	}
	if tail := c.append([]byte("before"), v); hex.EncodeToString(tail[6:]) != want {
		t.Errorf("%s: other bytes behind others: %x", name, tail[6:])
	}
}

func TestCodecsWriteTheBytesOfTheSpecification(t *testing.T) {
	golden(t, "utf8", utf8, "whale", "7768616c65")
	golden(t, "bytes", octets, []byte{1, 2}, "0102")
	golden(t, "i64", i64, -2, "feffffffffffffff")
	golden(t, "f64", f64, 0.5, "000000000000e03f")
	golden(t, "row(utf8, i64)", keyValueCodec(utf8, i64), KeyValue[string, int64]{"whale", 1239},
		"00000000000000001800000005000000d7040000000000007768616c65000000")
	golden(t, "row of an empty text", keyValueCodec(utf8, i64), KeyValue[string, int64]{"", -1},
		"00000000000000001800000000000000ffffffffffffffff")
	golden(t, "row(i64, bytes)", keyValueCodec(i64, octets), KeyValue[int64, []byte]{7, []byte("12345678")},
		"0000000000000000070000000000000018000000080000003132333435363738")
	golden(t, "windowed", windowedCodec(utf8, f64), Windowed[string, float64]{Window{1000, 2000}, "ahab", 0.5},
		"0000000000000000e803000000000000d0070000000000002800000004000000000000000000e03f6168616200000000")
	golden(t, "row in a row", keyValueCodec(keyValueCodec(utf8, i64), utf8),
		KeyValue[KeyValue[string, int64], string]{KeyValue[string, int64]{"a", 1}, "b"},
		"00000000000000001800000020000000380000000100000000000000000000001800000001000000010000000000000061000000000000006200000000000000")
}

func TestKeysOfEqualNumbersHaveEqualBytes(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{math.Copysign(0, -1), "0000000000000000"},
		{math.Float64frombits(0xfff8000000000001), "000000000000f87f"},
		{-2.5, "00000000000004c0"},
	} {
		if got := hex.EncodeToString(f64.appendKey(nil, c.v)); got != c.want {
			t.Errorf("key of %v: %s (expected %s)", c.v, got, c.want)
		}
	}
	row := keyValueCodec(f64, i64).appendKey(nil, KeyValue[float64, int64]{math.Copysign(0, -1), 1})
	if got, want := hex.EncodeToString(row), "000000000000000000000000000000000100000000000000"; got != want {
		t.Errorf("row key of -0: %s (expected %s)", got, want)
	}
}

type order struct {
	id    int64
	buyer string
}

func (*order) CodecName() string            { return "acme.order" }
func (o *order) AppendTo(dst []byte) []byte { return append(appendI64(dst, o.id), o.buyer...) }
func (o *order) ReadFrom(p []byte)          { o.id, o.buyer = decodeI64(p[:8]), string(p[8:]) }

type point struct{ x, y byte }

func init() {
	RegisterCodec("acme.point",
		func(dst []byte, p point) []byte { return append(dst, p.x, p.y) },
		func(p []byte) point { return point{p[0], p[1]} })
}

func TestTypesBringTheirOwnCodecs(t *testing.T) {
	e := newEnv("test", nil)
	golden(t, "by interface", codecOf[order](e, "f"), order{3, "ishmael"}, "0300000000000000"+hex.EncodeToString([]byte("ishmael")))
	golden(t, "by functions", codecOf[point](e, "f"), point{1, 2}, "0102")
	golden(t, "int", codecOf[int](e, "f"), -2, "feffffffffffffff")
	names := []string{codecOf[order](e, "f").name, codecOf[KeyValue[point, int]](e, "f").name, codecOf[Windowed[string, order]](e, "f").name}
	want := []string{"acme.order", "row(key: bytes, value: i64)", "row(start: ms, end: ms, key: utf8, value: bytes)"}
	if !reflect.DeepEqual(names, want) || len(e.problems) != 0 {
		t.Errorf("codecs %q, problems %v (expected %q)", names, e.problems, want)
	}
	codecOf[map[string]int](e, "parse")
	if len(e.problems) != 1 {
		t.Errorf("problems: %v (expected one, of the map)", e.problems)
	}
}
