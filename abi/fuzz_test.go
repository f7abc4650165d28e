package abi

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Decoders read bytes that a tenant's module wrote. Whatever they get, they do not panic, and what they accept means the
// same when it is written again.

// seeds adds the golden encodings whose names begin with prefix.
func seeds(f *testing.F, prefix string) {
	files, err := filepath.Glob("testdata/" + prefix + "*.hex")
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden encodings %s*: %v", prefix, err)
	}
	for _, file := range files {
		f.Add(golden(f, strings.TrimSuffix(filepath.Base(file), ".hex")))
	}
}

func aligned(p []byte) []byte {
	q := AlignedBytes(len(p))
	copy(q, p)
	return q
}

func FuzzBatchParse(f *testing.F) {
	seeds(f, "batch")
	f.Fuzz(func(t *testing.T, p []byte) {
		p = aligned(p)
		var b Batch
		if b.Parse(p) != nil || b.N > 8*len(p) {
			return
		}
		const built = ColumnTimestamps | ColumnKeys | ColumnValues | ColumnKinds | ColumnHashes | ColumnHeaders
		w := NewBuilder(b.Columns & built)
		rows := make([]uint32, b.N)
		for i := range rows {
			rows[i] = uint32(i)
			if b.Columns&ColumnKeys != 0 {
				_ = b.Key(i)
			}
			if b.Columns&ColumnValues != 0 {
				_ = b.Value(i)
			}
			_ = b.Timestamp(i)
		}
		w.AppendRows(&b, rows, b.Hashes)
		var again Batch
		if err := again.Parse(w.Encode(AlignedBytes(w.Size()))); err != nil {
			t.Fatal(err)
		}
		b.KeyNulls, b.ValueNulls, b.Columns = nil, nil, b.Columns&built
		if !reflect.DeepEqual(b, again) {
			t.Errorf("%+v\nwritten again as\n%+v", b, again)
		}
	})
}

func FuzzCallHeader(f *testing.F) {
	seeds(f, "call-header")
	f.Fuzz(func(t *testing.T, p []byte) {
		h, rest, err := ParseCallHeader(p)
		if err != nil {
			return
		}
		again := make([]byte, CallHeaderBytes)
		h.Put(again)
		if !bytes.Equal(again[4:], p[4:CallHeaderBytes]) || len(rest) > len(p)-CallHeaderBytes {
			t.Errorf("%x written again as %x, %d bytes behind it", p, again, len(rest))
		}
	})
}

func FuzzHandle(f *testing.F) {
	seeds(f, "handle")
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := ParseHandle(p)
		if err != nil {
			return
		}
		again, err := ParseHandle(h.Append(nil))
		if err != nil || !reflect.DeepEqual(h, again) {
			t.Errorf("%+v written again as %+v, %v", h, again, err)
		}
	})
}

func FuzzParams(f *testing.F) {
	seeds(f, "params")
	f.Fuzz(func(t *testing.T, p []byte) {
		params, err := ParseParams(p)
		if err != nil {
			return
		}
		again, err := ParseParams(AppendParams(nil, params))
		if err != nil || !maps.Equal(params, again) {
			t.Errorf("%v written again as %v, %v", params, again, err)
		}
	})
}

func FuzzFailure(f *testing.F) {
	seeds(f, "failure")
	f.Fuzz(func(t *testing.T, p []byte) {
		failure, err := ParseFailure(p)
		if err != nil {
			return
		}
		again, err := ParseFailure(failure.Append(nil))
		if err != nil || *failure != *again {
			t.Errorf("%+v written again as %+v, %v", failure, again, err)
		}
	})
}

func FuzzStateRequests(f *testing.F) {
	seeds(f, "state")
	f.Fuzz(func(t *testing.T, p []byte) {
		requests, err := ParseStateRequests(nil, p)
		if err != nil {
			return
		}
		again, err := ParseStateRequests(nil, AppendStateRequests(nil, requests))
		if err != nil || !reflect.DeepEqual(requests, again) {
			t.Errorf("%+v written again as %+v, %v", requests, again, err)
		}
	})
}

func FuzzReply(f *testing.F) {
	seeds(f, "reply")
	f.Fuzz(func(t *testing.T, p []byte) {
		for len(p) > 0 {
			entry, rest, err := NextReplyEntry(p)
			if err != nil {
				return
			}
			if len(rest) >= len(p) {
				t.Fatalf("an entry of %d bytes leaves %d", len(p), len(rest))
			}
			actions := entry.Actions
			for range entry.Count {
				a, left, err := NextAction(actions)
				if err != nil {
					return
				}
				if len(left) >= len(actions) || len(a.Value) > len(actions) {
					t.Fatalf("action %+v of %d bytes leaves %d", a, len(actions), len(left))
				}
				actions = left
			}
			p = rest
		}
	})
}

func FuzzSchema(f *testing.F) {
	for _, c := range []string{everything, "row(a: i64)", `row("a b": utf8?, "\"\\": list(row(x: decimal(38, 0)?)))`} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchema(Codec(text))
		if err != nil {
			return
		}
		again, err := ParseSchema(s.Codec())
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("%s printed as %s: %v", text, s.Codec(), err)
		}
	})
}

func FuzzRow(f *testing.F) {
	for name, codec := range map[string]string{
		"row-count": "row(key: utf8, value: i64)", "row-window": "row(start: ms, end: ms, key: utf8, value: i64)", "row-all": everything,
		"row-65": string(wideSchema().Codec()), "key-composite": "row(word: utf8?, a: f64, b: f64)", "key-nullable": "row(word: utf8?)",
	} {
		f.Add(codec, golden(f, name))
	}
	f.Fuzz(func(t *testing.T, codec string, p []byte) {
		s, err := ParseSchema(Codec(codec))
		if err != nil || Validate(s, p) != nil {
			return
		}
		if again := rewrite(s, p); !bytes.Equal(again, p) {
			t.Errorf("%s: %x is written as %x: one row has two spellings", codec, p, again)
		}
	})
}

func FuzzKey(f *testing.F) {
	for name, codec := range map[string]string{
		"key-i64": "i64", "key-utf8": "utf8", "key-f64": "f64", "key-f64-nan": "f64", "key-composite": "row(word: utf8?, a: f64, b: f64)",
	} {
		f.Add(codec, golden(f, name))
	}
	f.Fuzz(func(t *testing.T, codec string, p []byte) {
		k, err := NewKeyCodec(Codec(codec))
		if err == nil {
			_ = k.Check(p)
		}
	})
}

func TestGoldenFilesAreAllRead(t *testing.T) {
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil {
		t.Fatal(err)
	}
	read, err := os.ReadFile("golden_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".hex"); !bytes.Contains(read, []byte(`"`+name+`"`)) {
			t.Errorf("%s: no test reads it", file)
		}
	}
}
