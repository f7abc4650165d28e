package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
)

func source(t *testing.T, config map[string]string) connector.Source {
	t.Helper()
	s, err := NewSource(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// whole is a file as it is measured.
func whole(t testing.TB, path string) span {
	t.Helper()
	f, err := new(Source).measure(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func packed(t *testing.T, codec, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	switch codec {
	case "gz":
		z := gzip.NewWriter(&b)
		z.Write([]byte(text))
		z.Close()
	case "zst":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		z.Write([]byte(text))
		z.Close()
	}
	return b.Bytes()
}

func TestSourceReadsEveryLineOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.txt"), []byte("one\ntwo\r\n\nfour"))
	write(t, filepath.Join(dir, "b.txt"), []byte("five\n"))
	write(t, filepath.Join(dir, "c.txt.gz"), packed(t, "gz", "six\nseven"))
	write(t, filepath.Join(dir, "d.txt.zst"), packed(t, "zst", "eight\n"))
	write(t, filepath.Join(dir, "empty.txt"), nil)
	src := source(t, map[string]string{"path": filepath.Join(dir, "*")})
	connectortest.Source(t, src, []string{"one", "two", "", "four", "five", "six", "seven", "eight"})
}

// A line belongs to the split that its first byte lies in, wherever the cuts fall.
func TestSourceCutAnywhere(t *testing.T) {
	text := "a\nbb\n\nccc\r\nlonger than most\nlast"
	path := write(t, filepath.Join(t.TempDir(), "f"), []byte(text))
	src := source(t, map[string]string{"path": path, "timestamps": "offset"})
	want := "a bb  ccc longer than most last"
	for step := int64(1); step <= int64(len(text))+1; step++ {
		var got []string
		for _, s := range cut(whole(t, path), step) {
			got = append(got, connectortest.Read(t, src, s, 2)...)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("cut every %d bytes: got %q", step, got)
		}
	}
}

func TestSourceTimestampsAreOffsets(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "f"), []byte("a\nbb\r\n\nccc"))
	src := source(t, map[string]string{"path": path, "timestamps": "offset"})
	b := abi.NewBuilder(src.Columns())
	for _, s := range cut(whole(t, path), 4) {
		r, err := src.Open(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := r.Poll(b, 10, 1<<20, time.Time{}); err != nil || !p.Done {
			t.Fatalf("poll: %+v, %v", p, err)
		}
		r.Close()
	}
	if got := fmt.Sprint(connectortest.Parse(t, b).Timestamps); got != "[0 2 6 7]" {
		t.Errorf("timestamps: got %s, want [0 2 6 7]", got)
	}
}

func TestSourceLongLines(t *testing.T) {
	long := strings.Repeat("x", 3*readBytes+17)
	path := write(t, filepath.Join(t.TempDir(), "f"), []byte("short\n"+long+"\nend\n"))
	src := source(t, map[string]string{"path": path})
	connectortest.Source(t, src, []string{"short", long, "end"})

	for name, over := range map[string][]byte{
		"alone": bytes.Repeat([]byte("y"), abi.MaxRecordBytes+1), "with its end": append(bytes.Repeat([]byte("y"), abi.MaxRecordBytes+1), "\nend\n"...),
	} {
		path = write(t, filepath.Join(t.TempDir(), "g"), over)
		r, err := source(t, map[string]string{"path": path}).Open(context.Background(), cut(whole(t, path), 1<<30)[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Poll(abi.NewBuilder(abi.ColumnValues), 1, 1, time.Time{}); err == nil || !strings.Contains(err.Error(), "line longer than 16777216 bytes") {
			t.Errorf("a line over the limit, %s: got %v", name, err)
		}
		r.Close()
	}
}

func TestSourceRefuses(t *testing.T) {
	dir := t.TempDir()
	tests := []struct{ config, want string }{
		{"path=" + dir + "/none.txt", "file source: input " + dir + "/none.txt does not exist"},
		{"path=" + dir + "/*.csv", "file source: no file matches input " + dir + "/*.csv"},
		{"path=" + dir, "file source: input " + dir + " is a directory"},
		{"path=/proc/cpuinfo", "file source: input /proc/cpuinfo does not tell its size"},
		{"path=/dev/null", "file source: input /dev/null is not a regular file"},
	}
	for _, tt := range tests {
		key, value, _ := strings.Cut(tt.config, "=")
		_, err := source(t, map[string]string{key: value}).Enumerate(context.Background(), 1)
		var user *connector.Error
		if !errors.As(err, &user) || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.config, err, tt.want)
		}
	}
	for config, want := range map[string]string{
		"":             "file source: path: empty (expected a file or a pattern)",
		"format=xml":   `file source: format: "xml" (expected lines, json, csv, avro, parquet)`,
		"timestamps=x": `file source: timestamps: "x" (expected offset, or nothing; of the fields of rows, a format such as json)`,
		"header=true":  "file source: header, delimiter, names, quotedNewlines: given (expected format csv, and not lines)",
		"delimiter=\"": `file source: delimiter: "\"" (expected a character of ASCII other than a quote, or tab)`,
		"paht=x":       `file source: unknown option "paht" (known: path, format, timestamps; of csv: header, delimiter, names, quotedNewlines)`,
	} {
		m := map[string]string{}
		if key, value, ok := strings.Cut(config, "="); ok {
			m[key] = value
		}
		if _, err := NewSource(m); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", config, err, want)
		}
	}
}

func TestSourceTellsRuinedCompression(t *testing.T) {
	zipped := packed(t, "gz", strings.Repeat("line of text\n", 1000))
	path := write(t, filepath.Join(t.TempDir(), "f.gz"), zipped[:len(zipped)/2])
	src := source(t, map[string]string{"path": path})
	r, err := src.Open(context.Background(), cut(whole(t, path), 1<<30)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := abi.NewBuilder(abi.ColumnValues)
	for {
		p, err := r.Poll(b, 1024, 1<<20, time.Time{})
		if err != nil {
			var user *connector.Error
			if !errors.As(err, &user) || !strings.Contains(err.Error(), "file source: input "+path+" is cut off behind byte ") {
				t.Errorf("got %v", err)
			}
			return
		}
		if p.Done {
			t.Fatal("half a file was read without an error")
		}
	}
}

// What is not compressed at all is told when it is opened, and is not worth another try.
func TestSourceTellsWhatIsNotCompressed(t *testing.T) {
	for _, name := range []string{"f.gz", "f.zst"} {
		path := write(t, filepath.Join(t.TempDir(), name), []byte("plain text, whatever it is called"))
		src := source(t, map[string]string{"path": path})
		r, err := src.Open(context.Background(), cut(whole(t, path), 1<<30)[0])
		if err == nil {
			_, err = r.Poll(abi.NewBuilder(abi.ColumnValues), 10, 1<<20, time.Time{})
			r.Close()
		}
		var user *connector.Error
		if !errors.As(err, &user) || !strings.Contains(err.Error(), "input "+path+" is damaged behind byte 0 of its text: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A file that has become shorter since it was cut into splits is an error in whichever split notices.
func TestSourceTellsAFileThatShrank(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "f"), []byte("one\ntwo\nthree"))
	src := source(t, map[string]string{"path": path})
	for _, s := range []span{{Path: path, End: 20}, {Path: path, Start: 8, End: 14}, {Path: path, Start: 17, End: 20}} {
		r, err := src.Open(context.Background(), split(s, "s"))
		if err == nil {
			_, err = r.Poll(abi.NewBuilder(abi.ColumnValues), 10, 1<<20, time.Time{})
			r.Close()
		}
		var user *connector.Error
		if !errors.As(err, &user) || !strings.Contains(err.Error(), "input "+path+" ended at byte ") {
			t.Errorf("%+v: got %v", s, err)
		}
	}
}

func TestPatternsLeaveDirectoriesOut(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), []byte("one\n"))
	if err := os.Mkdir(filepath.Join(dir, "b"), 0o777); err != nil {
		t.Fatal(err)
	}
	connectortest.Source(t, source(t, map[string]string{"path": dir + "/*"}), []string{"one"})
}

func TestPollAllocatesNothing(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "f"), bytes.Repeat([]byte("the quick brown fox\n"), 200_000))
	src := source(t, map[string]string{"path": path})
	r, err := src.Open(context.Background(), cut(whole(t, path), 1<<30)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := abi.NewBuilder(abi.ColumnValues)
	poll := func() {
		b.Reset()
		if _, err := r.Poll(b, 1024, 64<<10, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	poll()
	if n := allocs.PerRun(100, poll); n > 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func BenchmarkSourceLines(b *testing.B) {
	line := bytes.Repeat([]byte("x"), 99)
	path := filepath.Join(b.TempDir(), "f")
	const lines = 100_000
	if err := os.WriteFile(path, bytes.Repeat(append(line, '\n'), lines), 0o666); err != nil {
		b.Fatal(err)
	}
	src, err := NewSource(map[string]string{"path": path})
	if err != nil {
		b.Fatal(err)
	}
	builder := abi.NewBuilder(abi.ColumnValues)
	b.ReportAllocs()
	b.ResetTimer()
	total := 0
	for range b.N {
		r, err := src.Open(context.Background(), cut(whole(b, path), 1<<30)[0])
		if err != nil {
			b.Fatal(err)
		}
		for done := false; !done; {
			builder.Reset()
			p, err := r.Poll(builder, 1024, 64<<10, time.Time{})
			if err != nil {
				b.Fatal(err)
			}
			total += builder.Len()
			done = p.Done
		}
		r.Close()
	}
	if total != lines*b.N {
		b.Fatalf("read %d lines, want %d", total, lines*b.N)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(total), "ns/record")
}
