// Package statetest is the suite that every state.Store passes.
package statetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// Run tests stores that open makes; each is closed by the suite.
func Run(t *testing.T, open func(t *testing.T) state.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, state.Store)
	}{
		{"WordsCountLikeAMap", wordsCountLikeAMap},
		{"BytesHoldTheLastValue", bytesHoldTheLastValue},
		{"RowsResolveSelected", rowsResolveSelected},
		{"EqualHashesAreDifferentKeys", equalHashesAreDifferentKeys},
		{"NamespacesAreDroppedWhole", namespacesAreDroppedWhole},
		{"ScanMeetsEveryEntryOnce", scanMeetsEveryEntryOnce},
		{"KindIsFixed", kindIsFixed},
		{"OddKeys", oddKeys},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			c.test(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

var words = state.Spec{Operator: "counts", Name: "count", Kind: state.Words}
var values = state.Spec{Operator: "sums", Name: "accumulator", Kind: state.Bytes}

// Batch makes a batch of keys, and their hashes.
func Batch(keys ...string) (*abi.Batch, []uint64) {
	w := abi.NewBuilder(abi.ColumnKeys)
	hashes := make([]uint64, len(keys))
	for i, k := range keys {
		w.Append(abi.Record{Key: []byte(k)})
		hashes[i] = xxhash.Sum64String(k)
	}
	var b abi.Batch
	w.View(&b)
	return &b, hashes
}

func table(t *testing.T, s state.Store, spec state.Spec, ns state.Namespace) state.Table {
	t.Helper()
	tab, err := s.Table(spec, ns)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func resolve(t *testing.T, tab state.Table, rows []uint32, b *abi.Batch, hashes []uint64) []state.Entry {
	t.Helper()
	n := len(rows)
	if rows == nil {
		n = b.N
	}
	entries := make([]state.Entry, n)
	if err := tab.Resolve(b, rows, hashes, entries); err != nil {
		t.Fatal(err)
	}
	return entries
}

func wordsCountLikeAMap(t *testing.T, s state.Store) {
	tab := table(t, s, words, state.Global)
	want := map[string]uint64{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var keys []string
		for range 100 {
			k := fmt.Sprint("key ", r.IntN(1+r.IntN(5000)))
			keys = append(keys, k)
			want[k]++
		}
		b, hashes := Batch(keys...)
		entries := resolve(t, tab, nil, b, hashes)
		for _, e := range entries {
			*tab.Word(e)++
		}
	}
	got := map[string]uint64{}
	each(t, tab, func(e state.Entry) { got[string(tab.Key(e))] = *tab.Word(e) })
	compare(t, got, want)
	if tab.Len() != len(want) {
		t.Errorf("Len is %d (expected %d)", tab.Len(), len(want))
	}
}

func bytesHoldTheLastValue(t *testing.T, s state.Store) {
	tab := table(t, s, values, 7)
	want := map[string]string{}
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 300 {
		keys := []string{fmt.Sprint(r.IntN(500)), fmt.Sprint(r.IntN(500)), fmt.Sprint(1000 + i)}
		b, hashes := Batch(keys...)
		for k, e := range resolve(t, tab, nil, b, hashes) {
			old, ok := want[keys[k]]
			if got := tab.Value(e); string(got) != old || ok != (got != nil) {
				t.Fatalf("value of %s is %q (expected %q)", keys[k], got, old)
			}
			v := bytes.Repeat([]byte{byte(i)}, r.IntN(2000))
			if err := tab.SetValue(e, v); err != nil {
				t.Fatal(err)
			}
			want[keys[k]] = string(v)
		}
	}
	got := map[string]string{}
	each(t, tab, func(e state.Entry) { got[string(tab.Key(e))] = string(tab.Value(e)) })
	compare(t, got, want)
}

func rowsResolveSelected(t *testing.T, s state.Store) {
	tab := table(t, s, words, 1)
	b, hashes := Batch("a", "b", "c", "a", "d")
	entries := resolve(t, tab, []uint32{3, 1, 0}, b, hashes)
	if entries[0] != entries[2] || entries[0] == entries[1] {
		t.Errorf("entries of a, b, a are %v", entries)
	}
	if tab.Len() != 2 {
		t.Errorf("%d entries (expected those of a and b)", tab.Len())
	}
}

func equalHashesAreDifferentKeys(t *testing.T, s state.Store) {
	tab := table(t, s, words, 1)
	b, hashes := Batch("one", "two", "three", "one")
	for i := range hashes {
		hashes[i] = 42
	}
	e := resolve(t, tab, nil, b, hashes)
	if e[0] != e[3] || e[0] == e[1] || e[1] == e[2] || e[0] == e[2] {
		t.Errorf("entries of one, two, three, one under one hash are %v", e)
	}
}

func namespacesAreDroppedWhole(t *testing.T, s state.Store) {
	b, hashes := Batch("x", "y")
	for _, ns := range []state.Namespace{30, -10, 20} {
		tab := table(t, s, words, ns)
		for _, e := range resolve(t, tab, nil, b, hashes) {
			*tab.Word(e) += uint64(ns + 100)
		}
	}
	if err := s.Drop(words, 20); err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(words, 21); err != nil {
		t.Fatal(err)
	}
	got, err := s.Namespaces(words)
	if err != nil || !slices.Equal(got, []state.Namespace{-10, 30}) {
		t.Errorf("namespaces %v, %v (expected -10 and 30)", got, err)
	}
	again := table(t, s, words, 20)
	if again.Len() != 0 {
		t.Errorf("a dropped namespace has %d entries", again.Len())
	}
	for _, e := range resolve(t, again, nil, b, hashes) {
		if w := *again.Word(e); w != 0 {
			t.Errorf("a value of a dropped namespace came back: %d", w)
		}
	}
	kept := table(t, s, words, 30)
	for _, e := range resolve(t, kept, nil, b, hashes) {
		if w := *kept.Word(e); w != 130 {
			t.Errorf("value %d (expected 130)", w)
		}
	}
	if s.Size() <= 0 {
		t.Errorf("size is %d", s.Size())
	}
}

func scanMeetsEveryEntryOnce(t *testing.T, s state.Store) {
	tab := table(t, s, words, state.Global)
	var keys []string
	for i := range 1000 {
		keys = append(keys, fmt.Sprint(i))
	}
	b, hashes := Batch(keys...)
	resolve(t, tab, nil, b, hashes)
	var got []string
	each(t, tab, func(e state.Entry) { got = append(got, string(tab.Key(e))) })
	slices.Sort(got)
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		t.Errorf("%d keys scanned (expected %d)", len(got), len(keys))
	}
}

func kindIsFixed(t *testing.T, s state.Store) {
	table(t, s, words, 1)
	if _, err := s.Table(state.Spec{Operator: words.Operator, Name: words.Name, Kind: state.Bytes}, 2); err == nil {
		t.Error("a state of words was opened as one of bytes")
	}
}

func oddKeys(t *testing.T, s state.Store) {
	tab := table(t, s, values, 1)
	keys := []string{"", "\x00", "\x00\x00", string(make([]byte, 3<<20)), "a"}
	b, hashes := Batch(keys...)
	for i, e := range resolve(t, tab, nil, b, hashes) {
		if err := tab.SetValue(e, []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range resolve(t, tab, nil, b, hashes) {
		if string(tab.Key(e)) != keys[i] || string(tab.Value(e)) != fmt.Sprint(i) {
			t.Errorf("key %d of %d bytes: found %d bytes with value %q", i, len(keys[i]), len(tab.Key(e)), tab.Value(e))
		}
	}
}

func each(t *testing.T, tab state.Table, visit func(state.Entry)) {
	t.Helper()
	dst := make([]state.Entry, 64)
	for cursor := uint64(0); ; {
		n, next, err := tab.Scan(cursor, dst)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		for _, e := range dst[:n] {
			visit(e)
		}
		cursor = next
	}
}

func compare[V comparable](t *testing.T, got, want map[string]V) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Fatalf("%q has %v (expected %v)", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d keys (expected %d)", len(got), len(want))
	}
}
