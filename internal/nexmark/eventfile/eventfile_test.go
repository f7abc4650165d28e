package eventfile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/nexmark"
)

var everything = [nexmark.Kinds]nexmark.Wanted{nexmark.All, nexmark.All, nexmark.All}

// written is a file of made-up events, and the same as lines.
func written(t testing.TB, n uint64, boundaries bool) (file []byte, lines []string) {
	t.Helper()
	p := nexmark.Standard()
	p.Events, p.OutOfOrder = n, 50*time.Millisecond
	g, err := nexmark.NewGenerator(p)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	var e nexmark.Event
	for place := range n {
		if boundaries && place%g.Group() == 0 {
			if err := w.Boundary(); err != nil {
				t.Fatal(err)
			}
		}
		g.Make(&e, g.Number(place), &everything)
		lines = append(lines, string(nexmark.AppendJSON(nil, &e)))
		if err := w.Append(&e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Bytes() != int64(out.Len()) {
		t.Errorf("%d bytes were written (expected %d)", w.Bytes(), out.Len())
	}
	return out.Bytes(), lines
}

func open(file []byte) (*File, error) { return Open(bytes.NewReader(file), int64(len(file))) }

// read reads all events of all blocks.
func read(file []byte) (lines []string, err error) {
	f, err := open(file)
	if err != nil {
		return nil, err
	}
	var e nexmark.Event
	for i := range f.Blocks {
		events, err := f.Read(i)
		if err != nil {
			return nil, err
		}
		for events.Left() > 0 {
			if _, err := events.Next(&e, &everything); err != nil {
				return nil, err
			}
			lines = append(lines, string(nexmark.AppendJSON(nil, &e)))
		}
	}
	return lines, nil
}

func TestFileHasTheEvents(t *testing.T) {
	for _, n := range []uint64{0, 1, 7777} {
		file, want := written(t, n, n%2 == 0)
		got, err := read(file)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d events: %d were read, %v", n, len(got), err)
		}
		if perEvent := float64(len(file)) / float64(n); n > 1 && perEvent > 180 {
			t.Errorf("%.0f bytes an event (expected <= 180)", perEvent)
		}
	}
}

// A block can be read by itself, from any event, and its times are those of the index; where a boundary was said they are in order.
func TestBlocks(t *testing.T) {
	file, lines := written(t, 20_000, true)
	f, err := open(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Blocks) < 20 || f.Events != 20_000 {
		t.Fatalf("%d events in %d blocks", f.Events, len(f.Blocks))
	}
	first, newest, ordered := 0, int64(0), 0
	events := &Events{file: f}
	for i, b := range f.Blocks {
		if b.Oldest >= newest {
			ordered++
		}
		newest = max(newest, b.Newest)
		if err := events.Begin(i); err != nil {
			t.Fatal(err)
		}
		if err := events.Skip(3); err != nil {
			t.Fatal(err)
		}
		var e nexmark.Event
		made, err := events.Next(&e, &[nexmark.Kinds]nexmark.Wanted{nexmark.Bid: 1})
		if err != nil || made != (e.Kind == nexmark.Bid) || string(nexmark.AppendJSON(nil, &e)) != lines[first+3] {
			t.Errorf("block %d: event 3 is %v, wanted: %v, %v", i, e.Kind, made, err)
		}
		if e.Time < b.Oldest || e.Time > b.Newest || events.Left() != int(b.Events)-4 {
			t.Errorf("block %d: event 3 at %d, %d are left (expected %d to %d, %d)", i, e.Time, events.Left(), b.Oldest, b.Newest, b.Events-4)
		}
		first += int(b.Events)
	}
	if ordered != 40 { // groups of 500 events, each of more bytes than a block
		t.Errorf("%d of %d blocks follow those before in time (expected 40)", ordered, len(f.Blocks))
	}
}

// The bytes of the package's comment.
func TestBytes(t *testing.T) {
	e := nexmark.Event{Kind: nexmark.Bid, Time: 7}
	e.Numbers[nexmark.BidAuction], e.Numbers[nexmark.BidBidder], e.Numbers[nexmark.BidPrice], e.Numbers[nexmark.BidTime] = 1000, 1001, 250, 7
	e.Texts[nexmark.BidChannel], e.Texts[nexmark.BidURL] = []byte("a"), []byte("b")
	if got := hex.EncodeToString(appendEvent(nil, &e, 7)); got != "0200d00fd20ff4030161016200" {
		t.Errorf("%s", got)
	}
}

// Whatever byte is changed, and wherever the file is cut off, that is noticed.
func TestDamageIsNoticed(t *testing.T) {
	file, _ := written(t, 2000, false)
	for i := 0; i < len(file); i += 1 + i/50 {
		other := slices.Clone(file)
		other[i] ^= 0x10
		if _, err := read(other); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotWhole) {
			t.Errorf("byte %d of %d is another: %v", i, len(file), err)
		}
		if _, err := read(file[:i]); !errors.Is(err, ErrNotWhole) {
			t.Errorf("cut off at %d of %d: %v", i, len(file), err)
		}
	}
	if _, err := read([]byte(strings.Repeat("{\"event_type\":0}\n", 100))); !errors.Is(err, ErrNotWhole) {
		t.Errorf("another file: %v", err)
	}
}

// Whatever bytes a block has, reading it ends in events or in an error.
func FuzzEvents(f *testing.F) {
	file, _ := written(f, 20, false)
	f.Add(file[len(head):200])
	f.Fuzz(func(t *testing.T, p []byte) {
		events := &Events{file: &File{Blocks: []Block{{Events: 1 << 31}}}, rest: p}
		var e nexmark.Event
		for {
			if _, err := events.Next(&e, &everything); err != nil {
				if !errors.Is(err, ErrDamaged) {
					t.Fatal(err)
				}
				return
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	file, lines := written(b, 20_000, false)
	f, err := open(file)
	if err != nil {
		b.Fatal(err)
	}
	events := &Events{file: f}
	var e nexmark.Event
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		for i := range f.Blocks {
			if err := events.Begin(i); err != nil {
				b.Fatal(err)
			}
			for events.Left() > 0 {
				if _, err := events.Next(&e, &everything); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(lines)), "ns/event")
}
