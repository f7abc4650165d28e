package nexmark

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
	"github.com/wasmill/wasmill/internal/nexmark"
	"github.com/wasmill/wasmill/internal/nexmark/eventfile"
)

// eventFile writes the events that a generator makes of a configuration.
func eventFile(t *testing.T, config map[string]string) string {
	t.Helper()
	g := generatorOf(source(t, config))
	var out bytes.Buffer
	w, err := eventfile.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	var e nexmark.Event
	for place := range g.Events {
		if place%g.Group() == 0 {
			err = errors.Join(err, w.Boundary())
		}
		g.Make(&e, g.Number(place), &[nexmark.Kinds]nexmark.Wanted{nexmark.All, nexmark.All, nexmark.All})
		err = errors.Join(err, w.Append(&e))
	}
	path := filepath.Join(t.TempDir(), "events.bin")
	if err := errors.Join(err, w.Close(), os.WriteFile(path, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileSource(t *testing.T) {
	made := map[string]string{"events": "1000", "out-of-order": "40ms", "rate": "1000"}
	path := eventFile(t, made)
	for _, kind := range []string{"", "auction"} {
		read := source(t, map[string]string{"path": path, "kind": kind})
		want := all(t, read)
		connectortest.Source(t, read, slices.Clone(want))
		made["kind"] = kind
		if same := all(t, source(t, made)); !slices.Equal(want, same) {
			t.Errorf("kind %q: %d rows, and %d others without the file", kind, len(want), len(same))
		}
	}
	if empty := all(t, source(t, map[string]string{"path": eventFile(t, map[string]string{"events": "1"}), "kind": "bid"})); len(empty) != 0 {
		t.Errorf("%d bids among no events", len(empty))
	}
}

// A file is cut up where the events behind are younger, unless that leaves too little to share.
func TestFileSplits(t *testing.T) {
	for _, c := range []struct {
		name        string
		config      map[string]string
		parallelism int
		ordered     bool
	}{
		{"in order", map[string]string{"events": "20000"}, 4, true},
		{"groups", map[string]string{"events": "20000", "out-of-order": "200ms"}, 4, true},
		{"one group", map[string]string{"events": "20000", "out-of-order": "2s"}, 4, false},
		{"one group for one", map[string]string{"events": "20000", "out-of-order": "2s"}, 1, true},
		{"one block", map[string]string{"events": "20"}, 4, true},
	} {
		s := source(t, map[string]string{"path": eventFile(t, c.config)})
		splits, err := s.Enumerate(context.Background(), c.parallelism)
		if err != nil {
			t.Fatal(err)
		}
		newest, seen := int64(0), 0
		inOrder := true
		for _, split := range splits.Splits {
			times := times(t, s, split)
			seen += len(times)
			inOrder = inOrder && slices.Min(times) >= newest
			newest = max(newest, slices.Max(times))
			if split.Bytes == 0 {
				t.Errorf("%s: split %s has no bytes", c.name, split.ID)
			}
		}
		if splits.Ordered != c.ordered || inOrder != c.ordered || seen < 20 || c.config["events"] == "20000" && len(splits.Splits) < c.parallelism {
			t.Errorf("%s: %d splits said to be in order: %v, in order: %v (expected %v), %d events", c.name, len(splits.Splits), splits.Ordered, inOrder, c.ordered, seen)
		}
	}
}

// times are the timestamps of a split.
func times(t *testing.T, s *Source, split connector.Split) []int64 {
	t.Helper()
	r, err := s.Open(context.Background(), split)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := abi.NewBuilder(s.Columns())
	for done := false; !done; {
		p, err := r.Poll(b, 1<<20, 1<<30, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		done = p.Done
	}
	return connectortest.Parse(t, b).Timestamps
}

func TestFileFaults(t *testing.T) {
	path := eventFile(t, map[string]string{"events": "5000"})
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := source(t, map[string]string{"path": path})
	splits, err := s.Enumerate(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(eventFile(t, map[string]string{"events": "5000", "seed": "1"}))
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(content)
	damaged[100] ^= 1
	for _, c := range []struct {
		name       string
		content    []byte
		enumerated string // the error when it is enumerated, then when it is read
		read       string
	}{
		{"cut off", content[:len(content)-1], "is no whole file of events: it has no index at its end", "is no whole file of events: it has no index at its end"},
		{"JSON", []byte(strings.Repeat("{}\n", 100)), "is no whole file of events: it has no index at its end", "is no whole file of events: it has no index at its end"},
		{"damaged", damaged, "", "damaged: block 0 at byte 8 has another checksum"},
		{"replaced", other, "", "is another file than when the job began: put it back"},
	} {
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.Enumerate(context.Background(), 1)
		refused(t, c.name, err, path, c.enumerated)
		_, err = s.Open(context.Background(), splits.Splits[0])
		refused(t, c.name, err, path, c.read)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = s.Enumerate(context.Background(), 1)
	refused(t, "gone", err, path, "does not exist")
	located, err := source(t, map[string]string{"path": "events.bin"}).At("/data")
	if err != nil || located["path"] != "/data/events.bin" {
		t.Errorf("%v, %v", located, err)
	}
	if made, err := source(t, map[string]string{"events": "5"}).At(""); err != nil || made["events"] != "5" {
		t.Errorf("%v, %v", made, err)
	}
}

func refused(t *testing.T, name string, err error, path, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	var fault *connector.Error
	if !errors.As(err, &fault) || !strings.Contains(err.Error(), path+" "+want) {
		t.Errorf("%s: %v (expected a fault of the user: %s %s)", name, err, path, want)
	}
}
