package abi

import (
	"encoding/binary"
	"testing"

	"github.com/wasmill/wasmill/internal/allocs"
)

// put32 returns an edit that writes v at offset at.
func put32(at int, v uint32) func([]byte) []byte {
	return func(p []byte) []byte {
		binary.LittleEndian.PutUint32(p[at:], v)
		return p
	}
}

func cut(n int) func([]byte) []byte { return func(p []byte) []byte { return p[:n] } }

// Each case edits a golden encoding, so that one thing is wrong, and says how the decoder names it.
func TestDecodersNameTheFault(t *testing.T) {
	batch := func(p []byte) error { return new(Batch).Parse(p) }
	header := func(p []byte) error { _, _, err := ParseCallHeader(p); return err }
	handle := func(p []byte) error { _, err := ParseHandle(p); return err }
	params := func(p []byte) error { _, err := ParseParams(p); return err }
	failure := func(p []byte) error { _, err := ParseFailure(p); return err }
	entry := func(p []byte) error { _, _, err := NextReplyEntry(p); return err }
	state := func(p []byte) error { _, err := ParseStateRequests(nil, p); return err }
	action := func(p []byte) error { _, _, err := NextAction(p[16:40]); return err }
	for _, c := range []struct {
		name   string
		decode func([]byte) error
		edit   func([]byte) []byte
		want   string
	}{
		{"batch-all", batch, cut(31), "batch: 31 bytes (expected >= 32)"},
		{"batch-all", batch, func(p []byte) []byte { return p[4:] }, "batch: address is not a multiple of 8"},
		{"batch-all", batch, put32(0, 2), "batch.version: 2 (expected 1)"},
		{"batch-all", batch, put32(4, 0x1ff), "batch.columns: unknown column bit 8"},
		{"batch-all", batch, put32(12, 168), "batch.size: 168 (have 176 bytes)"},
		{"batch-all", batch, put32(8, 4), "batch.size: 176 (columns 0xff, n 4 need 216)"},
		{"batch-all", batch, put32(8, 1<<31), "batch.size: 176 (columns 0xff, n 2147483648 need 62813896784)"},
		{"batch-all", batch, put32(16, 9), "batch.size: 176 (columns 0xff, n 3 need 184)"},
		{"batch-all", batch, put32(56, 1), "batch.keys.offsets[0]: 1 (expected 0)"},
		{"batch-all", batch, put32(60, 4), "batch.keys.offsets[2]: 3 (expected >= 4)"},
		{"batch-all", batch, put32(84, 5), "batch.values.offsets[3]: 5 (expected 4, the section's length)"},
		{"batch-all", batch, put32(132, 2), "batch.headers.offsets[3]: 2 (expected 3, the section's length)"},
		{"batch-all", batch, put32(88, 0x040100), "batch.kinds[2]: 4 (expected 0 <= kind <= 3)"},
		{"call-header", header, cut(39), "call header: 39 bytes (expected >= 40)"},
		{"call-header", header, put32(0, 48), "call header.size: 48 (expected 40 <= size <= 40, a multiple of 8)"},
		{"call-header-longer", header, put32(0, 44), "call header.size: 44 (expected 40 <= size <= 64, a multiple of 8)"},
		{"handle", handle, put32(0, 160), "handle: size does not match the 168 bytes given"},
		{"handle", handle, put32(4, 5), "handle.functions[4]: 0 bytes (expected >= 24)"},
		{"handle", handle, put32(4, 3), "handle: 40 bytes behind the last function"},
		{"handle", handle, put32(32, 48), "handle.functions[1].size: 48 (1 outputs, 0 bytes of configuration)"},
		{"handle", handle, put32(40, 1), "handle.functions[1].upstream: 1 (expected < 1)"},
		{"handle", handle, put32(88, 1<<30), "handle.functions[2].size: 56 (1073741824 outputs, 5 bytes of configuration)"},
		{"params", params, cut(7), "params: 7 bytes (expected >= 8)"},
		{"params", params, put32(0, 4), "params[3]: 0 bytes (expected >= 8)"},
		{"params", params, put32(0, 2), "params: 24 bytes behind the last"},
		{"params", params, put32(8, 1<<31), "params[0]: name of 2147483648 and value of 6 bytes in 64"},
		{"failure", failure, cut(15), "failure: 15 bytes (expected >= 16)"},
		{"failure", failure, put32(8, 90), "failure: message of 90 and trace of 16 bytes in 48"},
		{"state-put", state, cut(7), "state: 7 bytes (expected >= 8)"},
		{"state-put", state, put32(0, 3), "state.requests[2]: 0 bytes (expected >= 32)"},
		{"state-put", state, put32(0, 1), "state: 32 bytes behind the last request"},
		{"state-put", state, put32(36, 1<<31), "state.requests[0].size: 48 (key of 5, value of 2147483648 bytes, 80 left)"},
		{"reply", entry, cut(15), "reply: 15 bytes (expected >= 16)"},
		{"reply", entry, put32(0, 44), "reply.size: 44 (expected 16 <= size <= 128, a multiple of 8)"},
		{"reply", action, put32(16, 32), "reply action.size: 32 (expected 16 <= size <= 24, a multiple of 8)"},
		{"reply", action, put32(20, 11), "reply action.op: 11 (expected 1 <= op <= 10)"},
		{"reply", action, put32(24, 9), "reply action.length: 9 in 24 bytes"},
	} {
		if got := message(c.decode(c.edit(golden(t, c.name)))); got != c.want {
			t.Errorf("%s: %q\nexpected %q", c.name, got, c.want)
		}
	}
}

func TestBatchesAreEncodedWithoutAllocation(t *testing.T) {
	b := NewBuilder(ColumnTimestamps | ColumnKeys | ColumnValues)
	dst := AlignedBytes(1 << 16)
	key, value := []byte("whale"), []byte("white")
	var parsed Batch
	round := func() {
		b.Reset()
		for k := range 1024 {
			b.Append(Record{Timestamp: int64(k), Key: key, Value: value})
		}
		if err := parsed.Parse(b.Encode(dst)); err != nil || parsed.N != 1024 {
			t.Fatal(parsed.N, err)
		}
	}
	round()
	if n := allocs.PerRun(10, round); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func TestGroupsAreEncodedWithoutAllocation(t *testing.T) {
	var w GroupsWriter
	key, values, times := []byte("whale"), [][]byte{[]byte("1"), []byte("22")}, []int64{1, 2}
	round := func() {
		w.Reset()
		for range 100 {
			w.Begin(Group{Key: key})
			w.List(ListInput0, 0, 2, times, values)
			w.EndGroup()
		}
		if w.Len() != 100 || len(w.Bytes()) != w.Size() {
			t.Fatal(w.Len(), w.Size())
		}
	}
	round()
	if n := allocs.PerRun(10, round); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}
