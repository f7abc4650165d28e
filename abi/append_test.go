package abi

import (
	"bytes"
	"fmt"
	"testing"
)

const allBuilt = ColumnTimestamps | ColumnKeys | ColumnValues | ColumnKinds | ColumnHashes | ColumnHeaders

func sampleBatch(t testing.TB, cols Columns, n int) *Batch {
	w := NewBuilder(cols)
	for i := range n {
		w.Append(Record{
			Timestamp: int64(i) * 10, Kind: ChangeKind(i % 4), Hash: uint64(i) * 7,
			Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "value %d", i*i), Headers: fmt.Appendf(nil, "h%d", i%3),
		})
	}
	var b Batch
	if err := b.Parse(w.Encode(AlignedBytes(w.Size()))); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestAppendRowsAndRangeCopyLikeAppend(t *testing.T) {
	for _, have := range []Columns{allBuilt, ColumnValues, ColumnKeys | ColumnHashes, 0} {
		for _, want := range []Columns{allBuilt, ColumnKeys, ColumnTimestamps | ColumnValues, 0} {
			b := sampleBatch(t, have, 20)
			hashes := make([]uint64, b.N)
			for i := range hashes {
				hashes[i] = uint64(i) * 7
			}
			one, rows, ranged := NewBuilder(want), NewBuilder(want), NewBuilder(want)
			index := []uint32{}
			for i := 5; i < 15; i++ {
				index = append(index, uint32(i))
				r := Record{Timestamp: b.Timestamp(i), Hash: hashes[i]}
				if b.KeyOffs != nil {
					r.Key = b.Key(i)
				}
				if b.ValueOffs != nil {
					r.Value = b.Value(i)
				}
				if b.Kinds != nil {
					r.Kind = ChangeKind(b.Kinds[i])
				}
				if b.HeaderOffs != nil {
					r.Headers = b.Headers[b.HeaderOffs[i]:b.HeaderOffs[i+1]]
				}
				one.Append(r)
			}
			rows.AppendRows(b, index[:4], hashes)
			rows.AppendRows(b, index[4:], hashes)
			ranged.AppendRange(b, 5, 9, hashes)
			ranged.AppendRange(b, 9, 15, hashes)
			expected := one.Encode(AlignedBytes(one.Size()))
			if got := rows.Encode(AlignedBytes(rows.Size())); !bytes.Equal(got, expected) {
				t.Errorf("columns %#x of %#x: AppendRows gives\n%x, expected\n%x", want, have, got, expected)
			}
			if got := ranged.Encode(AlignedBytes(ranged.Size())); !bytes.Equal(got, expected) {
				t.Errorf("columns %#x of %#x: AppendRange gives\n%x, expected\n%x", want, have, got, expected)
			}
		}
	}
}

func TestViewIsWhatParseReads(t *testing.T) {
	b := sampleBatch(t, allBuilt, 9)
	w := NewBuilder(allBuilt)
	w.AppendRange(b, 0, b.N, b.Hashes)
	var v Batch
	w.View(&v)
	if v.N != b.N || v.Columns != b.Columns {
		t.Fatalf("view has n %d, columns %#x (expected %d, %#x)", v.N, v.Columns, b.N, b.Columns)
	}
	for i := range v.N {
		if !bytes.Equal(v.Key(i), b.Key(i)) || !bytes.Equal(v.Value(i), b.Value(i)) || v.Timestamp(i) != b.Timestamp(i) || v.Hashes[i] != b.Hashes[i] {
			t.Errorf("record %d differs", i)
		}
	}
}

func TestAppendValueIsAppend(t *testing.T) {
	for _, cols := range []Columns{ColumnValues, ColumnValues | ColumnTimestamps} {
		want, got := NewBuilder(cols), NewBuilder(cols)
		for i, v := range []string{"one", "", "three"} {
			want.Append(Record{Timestamp: int64(i), Value: []byte(v)})
			got.AppendValue(append(got.Values(), v...), int64(i))
		}
		if g, w := got.Encode(AlignedBytes(got.Size())), want.Encode(AlignedBytes(want.Size())); !bytes.Equal(g, w) {
			t.Errorf("columns %#x: got\n%x, expected\n%x", cols, g, w)
		}
	}
}
