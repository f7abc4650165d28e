// Package connectortest is the suite that every source and every sink must pass: what the engine relies on, whatever the
// system behind it.
package connectortest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
)

// Source checks a bounded source: every record is read exactly once whatever the parallelism and however little is asked
// for at a time, and a split read again gives the same records.
func Source(t *testing.T, src connector.Source, want []string) {
	t.Helper()
	if !src.Bounded() {
		t.Fatal("the suite reads sources to their end, and this one is not bounded")
	}
	slices.Sort(want)
	for _, parallelism := range []int{1, 2, 7} {
		for _, most := range []int{1, 3, 1024} {
			splits, err := src.Enumerate(context.Background(), parallelism)
			if err != nil {
				t.Fatalf("enumerate for parallelism %d: %v", parallelism, err)
			}
			seen := map[string]bool{}
			var got []string
			for _, s := range splits.Splits {
				if seen[s.ID] {
					t.Errorf("parallelism %d: two splits are called %s", parallelism, s.ID)
				}
				seen[s.ID] = true
				records := Read(t, src, s, most)
				if again := Read(t, src, s, 5); !slices.Equal(records, again) {
					t.Errorf("split %s: %d records, and %d others when read again", s.ID, len(records), len(again))
				}
				if most == 3 {
					positions(t, src, s, records)
				}
				got = append(got, records...)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("parallelism %d, %d at a time: got %d records, want %d\ngot  %.20q\nwant %.20q", parallelism, most, len(got), len(want), got, want)
			}
		}
	}
}

// positions checks that a reader that is opened where another stands gives exactly the rest.
func positions(t *testing.T, src connector.Source, s connector.Split, records []string) {
	t.Helper()
	r, err := src.Open(context.Background(), s)
	if err != nil {
		t.Fatalf("open %s: %v", s.ID, err)
	}
	defer r.Close()
	b := abi.NewBuilder(src.Columns())
	now := time.Unix(0, 0)
	for given := 0; ; {
		at := s
		at.Position = slices.Clone(r.Position())
		if given%(1+len(records)/50) != 0 && given != len(records) {
			// every one would take the square of the time
		} else if rest := Read(t, src, at, 64); !slices.Equal(rest, records[given:]) {
			t.Fatalf("split %s at %s: %d records (expected %d)", s.ID, at.Position, len(rest), len(records)-given)
		}
		if given == len(records) {
			return
		}
		b.Reset()
		p, err := r.Poll(b, 1, 64<<10, now)
		if err != nil {
			t.Fatalf("poll %s: %v", s.ID, err)
		}
		given += b.Len()
		if b.Len() == 0 && p.Wake.After(now) {
			now = p.Wake
		}
	}
}

// Read reads a split to its end, at most so many records at a time, and returns the values.
func Read(t *testing.T, src connector.Source, s connector.Split, most int) []string {
	t.Helper()
	r, err := src.Open(context.Background(), s)
	if err != nil {
		t.Fatalf("open %s: %v", s.ID, err)
	}
	defer r.Close()
	b := abi.NewBuilder(src.Columns())
	now := time.Unix(0, 0)
	var values []string
	for {
		b.Reset()
		p, err := r.Poll(b, most, 64<<10, now)
		if err != nil {
			t.Fatalf("poll %s: %v", s.ID, err)
		}
		if b.Len() > most {
			t.Fatalf("poll %s: %d records (asked for %d)", s.ID, b.Len(), most)
		}
		batch := Parse(t, b)
		for i := range batch.N {
			values = append(values, string(batch.Value(i)))
		}
		switch {
		case p.Done:
			return values
		case b.Len() > 0:
		case p.Wake.After(now):
			now = p.Wake
		default:
			t.Fatalf("poll %s: no records, not done, and wake at %v when it is %v", s.ID, p.Wake, now)
		}
	}
}

// Parse encodes what b holds and parses it.
func Parse(t testing.TB, b *abi.Builder) *abi.Batch {
	t.Helper()
	var batch abi.Batch
	if err := batch.Parse(b.Encode(abi.AlignedBytes(b.Size()))); err != nil {
		t.Fatal(err)
	}
	return &batch
}

// Values makes a batch of values.
func Values(t *testing.T, values ...string) *abi.Batch {
	t.Helper()
	b := abi.NewBuilder(abi.ColumnValues)
	for _, v := range values {
		b.Append(abi.Record{Value: []byte(v)})
	}
	return Parse(t, b)
}

// Keyed makes a batch with these columns of values. The key of each is its first byte, and its event time lies so many hours
// behind the Unix epoch as it has bytes; a value without a byte has no time.
func Keyed(t *testing.T, cols abi.Columns, values ...string) *abi.Batch {
	t.Helper()
	b := abi.NewBuilder(cols)
	for _, v := range values {
		r := abi.Record{Value: []byte(v), Key: []byte(v[:min(len(v), 1)]), Timestamp: int64(len(v)) * time.Hour.Milliseconds()}
		if v == "" {
			r.Timestamp = abi.NoTimestamp
		}
		b.Append(r)
	}
	return Parse(t, b)
}

// Sink checks a transactional sink of utf8 values, keyed by utf8. visible lists the records that a reader of the sink's system sees, in
// any order. The suite checks that nothing is visible before its commit, that a commit may be repeated, in part too, that
// what was not prepared vanishes, and that an abort removes what lost attempts prepared and nothing else; and all that with
// records of many keys and times between two prepares, too.
func Sink(t *testing.T, sink connector.Sink, visible func() []string) {
	t.Helper()
	ctx := context.Background()
	const job = "0123456789ab"
	expect := func(when string, want ...string) {
		t.Helper()
		got := visible()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%s: visible %q, want %q", when, got, want)
		}
	}
	cols, err := sink.Columns(abi.CodecUTF8, abi.CodecUTF8)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(0, 0)
	write := func(w connector.Writer, values ...string) {
		t.Helper()
		ready, err := w.Write(Keyed(t, cols, values...), now)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		if ready.After(now) {
			now = ready
		}
	}
	open := func(attempt uint32, subtask int, values ...string) connector.Writer {
		t.Helper()
		w, err := sink.Open(ctx, connector.SinkTask{Job: job, Attempt: attempt, Subtask: subtask, Parallelism: 2, Key: abi.CodecUTF8, Value: abi.CodecUTF8})
		if err != nil {
			t.Fatalf("open subtask %d of attempt %d: %v", subtask, attempt, err)
		}
		if len(values) > 0 {
			write(w, values...)
		}
		return w
	}
	end := func(w connector.Writer) []connector.Committable {
		t.Helper()
		p := Prepared(t, w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return p
	}

	killed := open(1, 0, "lost with its process") // never closed: what SIGKILL leaves
	defer killed.Close()
	failed := open(1, 1, "lost")
	if err := failed.Close(); err != nil {
		t.Fatalf("close without prepare: %v", err)
	}
	end(open(2, 0, "prepared by an attempt that then failed"))
	expect("before any commit")

	many := open(3, 0, "a")
	first, settle, err := many.Prepare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if none := Prepared(t, many); len(none) != 0 {
		t.Fatalf("prepare of nothing: %v", none)
	}
	write(many, "b")
	if settle != nil {
		if err := settle(ctx); err != nil { // beside what is written behind it
			t.Fatal(err)
		}
	}
	a, b := slices.Concat(first, end(many)), end(open(3, 1, "c"))
	empty := end(open(3, 2))
	expect("prepared")
	if err := sink.Abort(ctx, job, 3); err != nil {
		t.Fatalf("abort: %v", err)
	}
	if err := sink.Commit(ctx, job, 7, a); err != nil {
		t.Fatalf("commit of a part: %v", err)
	}
	expect("committed in part", "a", "b")
	all := slices.Concat(a, b, empty)
	for range 2 {
		if err := sink.Commit(ctx, job, 7, all); err != nil {
			t.Fatalf("commit: %v", err)
		}
		expect("committed", "a", "b", "c")
	}
	if err := sink.Abort(ctx, job, 4); err != nil {
		t.Fatalf("abort after commit: %v", err)
	}
	expect("aborted after the commit", "a", "b", "c")

	lot := lots()
	w := open(4, 0)
	defer w.Close()
	for chunk := range slices.Chunk(lot, 100) {
		write(w, chunk...)
	}
	expect("a lot was written", "a", "b", "c")
	ended := end(w)
	expect("a lot was prepared", "a", "b", "c")
	for _, p := range [][]connector.Committable{ended[:len(ended)/2], ended, ended} {
		if err := sink.Commit(ctx, job, 8, p); err != nil {
			t.Fatalf("commit of a lot: %v", err)
		}
	}
	expect("a lot was committed", append([]string{"a", "b", "c"}, lot...)...)
	if err := sink.Abort(ctx, job, 5); err != nil {
		t.Fatalf("abort after all: %v", err)
	}
	expect("aborted after all", append([]string{"a", "b", "c"}, lot...)...)
}

// lots are values with 200 keys, whose times go to and fro.
func lots() (all []string) {
	for i := range 600 {
		v := []byte(fmt.Sprintf("?%d", i*i))
		v[0] = byte(i*7%200) + 33
		all = append(all, string(v)+strings.Repeat("-", i%5))
	}
	return all
}

// Prepared ends the output of a writer, and settles it.
func Prepared(t testing.TB, w connector.Writer) []connector.Committable {
	t.Helper()
	prepared, settle, err := w.Prepare(context.Background())
	if err == nil && settle != nil {
		err = settle(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}
