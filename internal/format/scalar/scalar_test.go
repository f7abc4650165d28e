package scalar

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestTimesAreRead(t *testing.T) {
	at := time.Date(2026, 1, 31, 23, 59, 59, 50_000_000, time.UTC).UnixMilli()
	var times Times
	for text, want := range map[string]int64{
		"2026-01-31T23:59:59.050":       at,
		"2026-01-31 23:59:59.050":       at,
		"2026-01-31T23:59:59.050Z":      at,
		"2026-01-31T23:59:59.05":        at,
		"2026-01-31T23:59:59.05Z":       at,
		"2026-01-31T23:59:59.050999999": at,
		"2026-01-31T23:59:59":           at - 50,
		"2026-02-01T01:29:59.050+01:30": at,
		"2026-01-31T20:59:59,050-0300":  at,
		"1970-01-01T00:00:00.000":       0,
		"1969-12-31T23:59:59.999":       -1,
		"0000-01-01T00:00:00.000":       minTime,
		"9999-12-31T23:59:59.999":       maxTime,
	} {
		if got, ok := times.Parse([]byte(text)); !ok || got != want {
			t.Errorf("%s: %d, %v (expected %d)", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "2026-01-31", "2026-01-31T23:59", "2026-02-29T00:00:00", "2026-13-01T00:00:00", "2026-00-01T00:00:00",
		"2026-01-31T24:00:00", "2026-01-31T23:60:00", "2026-01-31T23:59:60", "2026-01-31t23:59:59", "2026-01-31T23:59:59.",
		"2026-01-31T23:59:59.0501234567", "2026-01-31T23:59:59.05x", "2026-01-31T23:59:59.0:0", "2026-01-31T23:59:59+1:30", "2026-01-31T23:59:59 UTC", "x026-01-31T23:59:59",
		"2026/01/31T23:59:59",
	} {
		if got, ok := times.Parse([]byte(text)); ok {
			t.Errorf("%s: read as %d", text, got)
		}
	}
}

func TestTimesAreWrittenAsTheyAreRead(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var times Times
	for range 10_000 {
		ms := minTime + random.Int64N(maxTime-minTime+1)
		for style, layout := range map[TimeStyle]string{TimeISO: "2006-01-02T15:04:05.000Z", TimeSQL: "2006-01-02 15:04:05.000"} {
			text, err := AppendTime(nil, ms, style)
			if want := time.UnixMilli(ms).UTC().Format(layout); err != nil || string(text) != want {
				t.Fatalf("%d: %s, %v (expected %s)", ms, text, err, want)
			}
			if got, ok := times.Parse(text); !ok || got != ms {
				t.Fatalf("%s: %d, %v (expected %d)", text, got, ok, ms)
			}
		}
	}
	for _, ms := range []int64{minTime - 1, maxTime + 1} {
		if text, err := AppendTime(nil, ms, TimeISO); err == nil {
			t.Errorf("%d: %s", ms, text)
		}
	}
}

func TestDecimalsAreRead(t *testing.T) {
	for _, c := range []struct {
		text             string
		precision, scale int
		want             string // unscaled, empty: none
	}{
		{"12.34", 12, 2, "1234"}, {"-12.3", 12, 2, "-1230"}, {"0", 1, 0, "0"}, {"-0.00", 3, 2, "0"}, {"12.3400", 12, 2, "1234"},
		{"12.345", 12, 2, ""}, {"1.25e3", 12, 2, "125000"}, {"1250E-2", 12, 2, "1250"}, {"1e400", 38, 0, ""}, {"0e999999999999", 38, 2, "0"},
		{"1e-400", 38, 0, ""}, {"1234567890123456789012345678901234567.8", 38, 1, "12345678901234567890123456789012345678"},
		{"99999999999999999999999999999999999999", 38, 0, "99999999999999999999999999999999999999"},
		{"100000000000000000000000000000000000000", 38, 0, ""}, {"999.99", 4, 2, ""}, {"99.99", 4, 2, "9999"},
		{"", 4, 2, ""}, {"-", 4, 2, ""}, {"01", 4, 2, ""}, {"1.", 4, 2, ""}, {".5", 4, 2, ""}, {"1e", 4, 2, ""}, {"1x", 4, 2, ""}, {"1e+1", 4, 2, "1000"},
		{strings.Repeat("9", 60), 38, 0, ""},
	} {
		d, ok := ParseDecimal([]byte(c.text), c.precision, c.scale)
		if ok != (c.want != "") || ok && unscaled(d).String() != c.want {
			t.Errorf("%s as decimal(%d, %d): %v, %v (expected %q)", c.text, c.precision, c.scale, unscaled(d), ok, c.want)
		}
	}
}

func TestDecimalsThatDoNotFit(t *testing.T) {
	if d, ok := DecimalOfBytes(append([]byte{1}, make([]byte, 16)...)); ok {
		t.Errorf("17 bytes: %v", unscaled(d))
	}
	if d, ok := DecimalOfBytes(append([]byte{0x80}, make([]byte, 15)...)); ok {
		t.Errorf("-2^127: %v", unscaled(d))
	}
	if d, ok := (Decimal{Lo: 125}).Rescale(-1); ok {
		t.Errorf("12.5 without its fraction: %v", unscaled(d))
	}
	if d, ok := (Decimal{Hi: 1 << 62}).Rescale(1); ok {
		t.Errorf("2^126 times ten: %v", unscaled(d))
	}
}

func unscaled(d Decimal) *big.Int {
	n := new(big.Int).SetUint64(d.Hi)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(d.Lo))
	if d.Negative {
		n.Neg(n)
	}
	return n
}

func TestDecimalsAreWrittenAsTheyAreRead(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		scale := random.IntN(39)
		n := new(big.Int).SetUint64(random.Uint64())
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(random.Uint64()))
		n.Mod(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(1+random.IntN(38))), nil))
		if random.IntN(2) == 0 {
			n.Neg(n)
		}
		want := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale)
		abs := new(big.Int).Abs(n)
		d := Decimal{Negative: n.Sign() < 0, Hi: new(big.Int).Rsh(abs, 64).Uint64(), Lo: new(big.Int).And(abs, new(big.Int).SetUint64(1<<64-1)).Uint64()}
		hi, lo := d.Halves()
		if DecimalOf(hi, lo) != d {
			t.Fatalf("%v: halves %d %d", n, hi, lo)
		}
		p := AppendDecimalBytes(nil, hi, lo)
		if len(p) > 1 && p[0] == byte(int8(p[1])>>7) {
			t.Fatalf("%v: %x is not the shortest", n, p)
		}
		for range 3 {
			if back, ok := DecimalOfBytes(p); !ok || back != d {
				t.Fatalf("%v: %x is read as %v, %v", n, p, unscaled(back), ok)
			}
			p = append([]byte{byte(int8(p[0]) >> 7)}, p...)
		}
		if up, ok := d.Rescale(1); ok {
			if down, ok := up.Rescale(-1); !ok || down != d {
				t.Fatalf("%v: rescaled to and fro it is %v, %v", n, unscaled(down), ok)
			}
		}
		text := AppendDecimal(nil, hi, lo, scale)
		if string(text) != want {
			t.Fatalf("%v with scale %d: %s (expected %s)", n, scale, text, want)
		}
		if back, ok := ParseDecimal(text, 38, scale); !ok || back != d {
			t.Fatalf("%s read: %v, %v", text, back, ok)
		}
	}
}
