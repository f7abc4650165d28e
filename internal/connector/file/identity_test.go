package file

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
)

// numbered is about n bytes of lines, no two of which are the same.
func numbered(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %07d\n", i)
	}
	return b.Bytes()
}

// rewritten puts other content in the place of a file, as a new one, and at another time.
func rewritten(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path+".new", data, 0o666), os.Rename(path+".new", path), os.Chtimes(path, time.Time{}, time.Unix(1e9, 0))); err != nil {
		t.Fatal(err)
	}
}

// altered puts other bytes into a file.
func altered(t *testing.T, path string, at int64, with string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(with), at)
	if err := errors.Join(err, f.Close(), os.Chtimes(path, time.Time{}, time.Unix(1e9, 0))); err != nil {
		t.Fatal(err)
	}
}

// rest reads a split from a position to its end.
func rest(src connector.Source, s connector.Split) (lines []string, err error) {
	r, err := src.Open(context.Background(), s)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := abi.NewBuilder(src.Columns())
	var batch abi.Batch
	for {
		b.Reset()
		p, err := r.Poll(b, 1000, 1<<20, time.Time{})
		if err != nil {
			return lines, err
		}
		if err := batch.Parse(b.Encode(abi.AlignedBytes(b.Size()))); err != nil {
			return lines, err
		}
		for i := range batch.N {
			lines = append(lines, string(batch.Value(i)))
		}
		if p.Done {
			return lines, nil
		}
	}
}

// Between a checkpoint and what goes on from it an input may be copied, touched and appended to, and nothing else.
func TestSourceKnowsItsFileAgain(t *testing.T) {
	const large = 3 << 20
	tests := []struct {
		name   string
		size   int
		change func(t *testing.T, path string, data []byte, position int64)
		want   string // empty: it goes on
	}{
		{"nothing", 1000, func(*testing.T, string, []byte, int64) {}, ""},
		{"a copy", large, func(t *testing.T, path string, data []byte, _ int64) { rewritten(t, path, data) }, ""},
		{"touched", large, func(t *testing.T, path string, data []byte, _ int64) { altered(t, path, 0, "") }, ""},
		{"grown", large, func(t *testing.T, path string, data []byte, _ int64) { altered(t, path, int64(len(data)), "more\n") }, ""},
		{"a grown copy", 1000, func(t *testing.T, path string, data []byte, _ int64) {
			rewritten(t, path, append(bytes.Clone(data), "more\n"...))
		}, ""},
		{"another of its size", large, func(t *testing.T, path string, data []byte, _ int64) {
			rewritten(t, path, bytes.ReplaceAll(data, []byte("line"), []byte("LINE")))
		}, "is not the file that the job began with: its first "},
		{"a small one's byte", 1000, func(t *testing.T, path string, data []byte, _ int64) { altered(t, path, 777, "X") }, "is not the file that the job began with: its first "},
		{"its last byte", large, func(t *testing.T, path string, data []byte, _ int64) { altered(t, path, int64(len(data))-1, "X") }, "is not the file that the job began with: its first "},
		{"bytes just before the position", large, func(t *testing.T, path string, data []byte, position int64) {
			altered(t, path, position-500, "X")
		}, "is not the file that was read: the 1024 bytes before byte "},
		{"shorter", large, func(t *testing.T, path string, data []byte, _ int64) { rewritten(t, path, data[:len(data)-1]) }, " bytes, but had "},
		{"a prefix that was read", large, func(t *testing.T, path string, data []byte, position int64) { rewritten(t, path, data[:position]) }, " bytes, but had "},
		{"empty", 1000, func(t *testing.T, path string, data []byte, _ int64) { rewritten(t, path, nil) }, "has 0 bytes, but had "},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "f")
		data := numbered(tt.size)
		write(t, path, data)
		src := source(t, map[string]string{"path": path})
		splits, err := src.Enumerate(context.Background(), 1)
		if err != nil {
			t.Fatal(err)
		}
		s := splits.Splits[len(splits.Splits)/2]
		want := connectortest.Read(t, src, s, 100)
		r, err := src.Open(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		b := abi.NewBuilder(src.Columns())
		if _, err := r.Poll(b, len(want)/2, 1<<20, time.Time{}); err != nil {
			t.Fatal(err)
		}
		s.Position = r.Position()
		r.Close()
		var at position
		if err := json.Unmarshal(s.Position, &at); err != nil {
			t.Fatal(err)
		}
		tt.change(t, path, data, at.Offset)
		got, err := rest(src, s)
		var user *connector.Error
		switch {
		case tt.want == "" && (err != nil || strings.Join(got, "\n") != strings.Join(want[b.Len():], "\n")):
			t.Errorf("%s: %d lines, %v (expected %d)", tt.name, len(got), err, len(want)-b.Len())
		case tt.want != "" && (!errors.As(err, &user) || !strings.Contains(err.Error(), "input "+path+" ") || !strings.Contains(err.Error(), tt.want) || user.Hint == ""):
			t.Errorf("%s: %d lines, %v (expected %q)", tt.name, len(got), err, tt.want)
		}
	}
}

// A file that is written to while it is open is noticed before what was read then is given out.
func TestSourceNoticesChangesWhileItReads(t *testing.T) {
	const size = 3 * readBytes
	tests := []struct {
		name   string
		change func(t *testing.T, path string, data []byte)
		want   string
	}{
		{"grown", func(t *testing.T, path string, data []byte) { altered(t, path, int64(len(data)), "more\n") }, ""},
		{"replaced by another file", func(t *testing.T, path string, data []byte) { rewritten(t, path, bytes.ToUpper(data)) }, ""}, // the old one is still open
		{"written to", func(t *testing.T, path string, data []byte) { altered(t, path, readBytes+17, "X") }, "was changed while it was read, at byte "},
		{"written to and grown", func(t *testing.T, path string, data []byte) {
			altered(t, path, 0, "X")
			altered(t, path, int64(len(data)), "more\n")
		}, "is not the file that the job began with"},
		{"cut off", func(t *testing.T, path string, data []byte) {
			if err := os.Truncate(path, size/2); err != nil {
				t.Fatal(err)
			}
		}, "was changed while it was read, at byte "},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "f")
		data := numbered(size)
		write(t, path, data)
		src := source(t, map[string]string{"path": path})
		r, err := src.Open(context.Background(), cut(whole(t, path), 1<<30)[0])
		if err != nil {
			t.Fatal(err)
		}
		b := abi.NewBuilder(src.Columns())
		poll := func() (bool, error) {
			p, err := r.Poll(b, 1<<20, 64<<10, time.Time{})
			return p.Done, err
		}
		if _, err := poll(); err != nil {
			t.Fatal(err)
		}
		tt.change(t, path, data)
		done := false
		for err == nil && !done {
			done, err = poll()
		}
		r.Close()
		var lines bytes.Buffer
		batch := connectortest.Parse(t, b)
		for i := range batch.N {
			fmt.Fprintf(&lines, "%s\n", batch.Value(i))
		}
		var user *connector.Error
		switch {
		case tt.want == "" && (err != nil || !bytes.Equal(lines.Bytes(), data)):
			t.Errorf("%s: %d bytes, %v (expected %d)", tt.name, lines.Len(), err, len(data))
		case tt.want != "" && (!errors.As(err, &user) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v (expected %q)", tt.name, err, tt.want)
		case tt.want != "" && !bytes.HasPrefix(data, lines.Bytes()):
			t.Errorf("%s: lines that it did not have were given out", tt.name)
		}
	}
}

// Splits and positions that were saved before there were sums are gone on with.
// A file that is not there may be put back: that is no fault in what the user gave, and says what helps.
func TestSourceMayFindItsFileAgain(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "in.txt"), numbered(1000))
	src, err := NewSource(map[string]string{"path": path})
	if err != nil {
		t.Fatal(err)
	}
	splits, err := src.Enumerate(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	var fault *connector.Error
	if _, err := src.Open(context.Background(), splits.Splits[0]); !errors.As(err, &fault) || !fault.Passes || fault.Hint == "" || fault.Error() != "file source: input "+path+" is gone" {
		t.Errorf("while it is away: %v, %+v", err, fault)
	}
	if _, err := src.Enumerate(context.Background(), 1); !errors.As(err, &fault) || fault.Passes {
		t.Errorf("of a job that begins: %v, %+v (expected that it is refused)", err, fault)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if got := connectortest.Read(t, src, splits.Splits[0], 100); len(got) == 0 {
		t.Error("nothing is read when it is back")
	}
}

func TestSourceTakesPositionsWithoutSums(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "f"), []byte("one\ntwo\nthree\n"))
	s := split(span{Path: path, End: 14}, "s")
	s.Position = json.RawMessage(`{"offset":4}`)
	if got, err := rest(source(t, map[string]string{"path": path}), s); err != nil || strings.Join(got, " ") != "two three" {
		t.Errorf("%q, %v", got, err)
	}
}

// All of a small file counts, and of a large one its beginning, its end and something between.
func TestFingerprints(t *testing.T) {
	for _, size := range []int{0, 1, sampleBytes - 1, sampleBytes, sampleBytes + 1, samples * sampleBytes, samples*sampleBytes + 1, 5 << 20} {
		data := numbered(size)[:size]
		sum := func() string {
			s, err := fingerprint(bytes.NewReader(data), int64(size))
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			return s
		}
		before := sum()
		step := 1
		if size > samples*sampleBytes {
			step = size - 1 // the ends
		}
		for at := 0; at < size; at += max(step, 97) {
			data[at] ^= 1
			if sum() == before {
				t.Errorf("%d bytes: byte %d does not count", size, at)
			}
			data[at] ^= 1
		}
	}
	if _, err := fingerprint(bytes.NewReader(nil), 1); err == nil {
		t.Error("a file that is shorter has a fingerprint")
	}
}

// What is appended behind a last line without an end is no part of it, nor is a file that is appended to a compressed one read.
func TestSourceEndsWhereItsFileEnded(t *testing.T) {
	packed := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(text)); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ was, appended string }{
		"f": {"one\ntwo", "more\nthree\n"}, "g": {"one\ntwo\n", "three\n"}, "f.gz": {packed("one\ntwo"), packed("more\nthree\n")},
	} {
		path := write(t, filepath.Join(t.TempDir(), name), []byte(c.was))
		src := source(t, map[string]string{"path": path})
		splits, err := src.Enumerate(context.Background(), 1)
		if err != nil || len(splits.Splits) != 1 {
			t.Fatalf("%+v, %v", splits, err)
		}
		altered(t, path, int64(len(c.was)), c.appended)
		if got, err := rest(src, splits.Splits[0]); err != nil || strings.Join(got, " ") != "one two" {
			t.Errorf("%s: %q, %v (expected one two)", name, got, err)
		}
	}
}
