package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/allocs"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
)

// An obstacle in the way of one file leaves none of the others visible.
func TestSinkCommitsAllOrNothing(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	sink, err := NewSink(map[string]string{"path": dir})
	if err != nil {
		t.Fatal(err)
	}
	var prepared []connector.Committable
	for subtask := range 3 {
		w, err := sink.Open(ctx, connector.SinkTask{Job: "j", Attempt: 1, Subtask: subtask, Value: abi.CodecUTF8})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(connectortest.Values(t, "x"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		p := connectortest.Prepared(t, w)
		prepared = append(prepared, p...)
		w.Close()
	}
	obstacle := write(t, filepath.Join(dir, finalName("j", 1, 2, 0)), nil)
	if err := sink.Commit(ctx, "j", 1, prepared); err == nil || !strings.Contains(err.Error(), obstacle+": something else has that name") {
		t.Errorf("got %v", err)
	}
	if files, _ := filepath.Glob(dir + "/part-*"); len(files) != 1 {
		t.Errorf("visible: %q", files)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := sink.Commit(ctx, "j", 1, prepared); err != nil {
		t.Error(err)
	}
}

func TestSink(t *testing.T) {
	for name, config := range map[string]map[string]string{
		"plain":                {},
		"rolled by size":       {"rollSize": "1KiB"},
		"rolled by time":       {"rollInterval": "2s"},
		"partitioned by key":   {"partition": "k={key}"},
		"partitioned by time":  {"partition": "{yyyy}-{MM}-{dd}/{HH}"},
		"partitioned by both":  {"partition": "dt={yyyy}-{MM}-{dd}/{HH}/{key}"},
		"partitioned and roll": {"partition": "{key}", "rollSize": "1KiB", "rollInterval": "3s"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made", "on", "demand")
			config["path"] = dir
			sink, err := NewSink(config)
			if err != nil {
				t.Fatal(err)
			}
			connectortest.Sink(t, sink, func() []string { return lines(t, dir) })
			if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
				t.Errorf("hidden files are left: %q", left)
			}
		})
	}
}

// visible are the files below dir that a reader sees, by their paths from there.
func visible(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func lines(t *testing.T, dir string) (all []string) {
	t.Helper()
	for _, name := range visible(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(data), "\n") {
			t.Errorf("%s is not whole: %q", name, data)
		}
		all = append(all, strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")...)
	}
	return all
}

// opened is a writer of records that are keyed by utf8.
func opened(t *testing.T, config map[string]string) (connector.Sink, *writer) {
	t.Helper()
	sink, err := NewSink(config)
	if err != nil {
		t.Fatal(err)
	}
	w, err := sink.Open(context.Background(), connector.SinkTask{Job: "j", Attempt: 1, Key: abi.CodecUTF8, Value: abi.CodecUTF8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return sink, w.(*writer)
}

// put writes one record.
func put(t *testing.T, w *writer, timestamp int64, key, value string, now time.Time) error {
	t.Helper()
	b := abi.NewBuilder(abi.ColumnValues | abi.ColumnKeys | abi.ColumnTimestamps)
	b.Append(abi.Record{Timestamp: timestamp, Key: []byte(key), Value: []byte(value)})
	_, err := w.Write(connectortest.Parse(t, b), now)
	return err
}

// commit prepares and commits what was written, as a checkpoint does.
func commit(t *testing.T, sink connector.Sink, w *writer, checkpoint uint64) {
	t.Helper()
	p := connectortest.Prepared(t, w)
	if err := sink.Commit(context.Background(), "j", checkpoint, p); err != nil {
		t.Fatal(err)
	}
}

func TestSinkNamesItsFiles(t *testing.T) {
	dir := t.TempDir()
	sink, w := opened(t, map[string]string{"path": dir, "partition": "dt={yyyy}-{MM}-{dd}/k={key}"})
	at := time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC).UnixMilli()
	for _, r := range []struct {
		time int64
		key  string
	}{{at, "a"}, {at, "../b"}, {at + 1000, "a"}, {at, "a"}, {abi.NoTimestamp, ""}} {
		if err := put(t, w, r.time, r.key, "x", time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, sink, w, 7)
	if err := put(t, w, at, "a", "y", time.Time{}); err != nil {
		t.Fatal(err)
	}
	commit(t, sink, w, 8)
	want := strings.Join([]string{
		"dt=2026-01-31/k=%2E.%2Fb/part-j-7-0-1", "dt=2026-01-31/k=a/part-j-7-0-0", "dt=2026-01-31/k=a/part-j-8-0-4",
		"dt=2026-02-01/k=a/part-j-7-0-2", "dt=__HIVE_DEFAULT_PARTITION__/k=__HIVE_DEFAULT_PARTITION__/part-j-7-0-3",
	}, "\n")
	if got := strings.Join(visible(t, dir), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSinkRolls(t *testing.T) {
	tests := []struct {
		name, size, interval string
		every                time.Duration // between two records of 101 bytes
		want                 []int         // records in each file
	}{
		{"by size", "1KiB", "", time.Second, []int{11, 11, 8}},
		{"by time", "", "10s", time.Second, []int{10, 10, 10}},
		{"by time, with gaps", "", "10s", 15 * time.Second, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"by what comes first", "1KiB", "8s", time.Second, []int{8, 8, 8, 6}},
		{"not at all", "1GiB", "1h", time.Second, []int{30}},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		sink, w := opened(t, map[string]string{"path": dir, "rollSize": tt.size, "rollInterval": tt.interval})
		for i := range 30 {
			if err := put(t, w, 0, "", strings.Repeat("x", 100), time.Unix(0, 0).Add(time.Duration(i)*tt.every)); err != nil {
				t.Fatal(err)
			}
		}
		if got := visible(t, dir); len(got) > 0 {
			t.Errorf("%s: visible before the commit: %q", tt.name, got)
		}
		commit(t, sink, w, 1)
		for n, want := range tt.want {
			data, err := os.ReadFile(filepath.Join(dir, finalName("j", 1, 0, n)))
			if got := strings.Count(string(data), "\n"); err != nil || got != want {
				t.Errorf("%s: file %d: %d records (expected %d), %v", tt.name, n, got, want, err)
			}
		}
		if got := visible(t, dir); len(got) != len(tt.want) {
			t.Errorf("%s: %d files (expected %d)", tt.name, len(got), len(tt.want))
		}
	}
}

// However many partitions there are, a writer holds only so many files; what it has ended is neither lost nor seen.
func TestSinkBoundsItsOpenFiles(t *testing.T) {
	dir := t.TempDir()
	sink, w := opened(t, map[string]string{"path": dir, "partition": "{key}"})
	const keys, rounds = 2 * maxOpen, 2
	for i := range keys * rounds {
		if err := put(t, w, 0, strings.Repeat("k", 1+i%keys), "x", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if len(w.open) > maxOpen || len(w.buffers) > maxOpen {
			t.Fatalf("%d files are open, with %d buffers at rest (expected <= %d)", len(w.open), len(w.buffers), maxOpen)
		}
	}
	commit(t, sink, w, 1)
	if got := visible(t, dir); len(got) != keys*rounds { // each came back when its file had made room
		t.Errorf("%d files (expected %d)", len(got), keys*rounds)
	}
	for i := range keys { // the one that was used last stays
		if err := errors.Join(put(t, w, 0, "often", "x", time.Time{}), put(t, w, 0, strings.Repeat("k", 1+i), "x", time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, sink, w, 2)
	if often, _ := filepath.Glob(dir + "/often/*"); len(often) != 1 {
		t.Errorf("the partition that is written to all the time has %d files (expected 1)", len(often))
	}
}

func TestSinkRefusesTooManyFiles(t *testing.T) {
	dir := t.TempDir()
	_, w := opened(t, map[string]string{"path": dir})
	w.done = make([]*pending, maxFiles)
	err := put(t, w, 0, "", "x", time.Time{})
	var user *connector.Error
	if !errors.As(err, &user) || !strings.Contains(err.Error(), "a subtask has begun 10000 files since the last checkpoint") {
		t.Errorf("got %v", err)
	}
	w.done = nil
}

// What stands where a directory must be fails the attempt, before a checkpoint counts on it.
func TestSinkTellsWhatStandsInTheWay(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "taken"), nil)
	_, w := opened(t, map[string]string{"path": dir, "partition": "{key}"})
	if err := errors.Join(put(t, w, 0, "free", "x", time.Time{}), put(t, w, 0, "taken", "x", time.Time{})); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.Prepare(context.Background())
	var user *connector.Error
	if !errors.As(err, &user) || err.Error() != "file sink: output directory "+dir+"/taken is not writable: not a directory" {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(dir + "/.*"); len(left) > 0 {
		t.Errorf("hidden files are left: %q", left)
	}
}

// A directory that somebody has cleared away between the promise and the commit is made again.
func TestSinkCommitsIntoADirectoryThatIsGone(t *testing.T) {
	dir := t.TempDir()
	sink, w := opened(t, map[string]string{"path": dir, "partition": "a/{key}"})
	if err := put(t, w, 0, "b", "x", time.Time{}); err != nil {
		t.Fatal(err)
	}
	p := connectortest.Prepared(t, w)
	if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sink.Commit(context.Background(), "j", 1, p); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(lines(t, dir), " "); got != "x" {
			t.Errorf("visible: %q", got)
		}
	}
}

// A directory that the job has had may be put back: it is not made anew, what is missed is no fault in what the user gave, and what
// was left in it is still to be removed. Of a job that begins it is made, or the job is refused.
func TestSinkMayFindItsDirectoryAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	sink, w := opened(t, map[string]string{"path": dir})
	if err := put(t, w, 0, "", "x", time.Time{}); err != nil {
		t.Fatal(err)
	}
	connectortest.Prepared(t, w)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	passes := func(what string, err error) {
		t.Helper()
		var fault *connector.Error
		if !errors.As(err, &fault) || !fault.Passes || fault.Hint == "" || fault.Error() != "file sink: output directory "+dir+" is not writable: no such file or directory" {
			t.Errorf("%s while it is away: %v, %+v", what, err, fault)
		}
	}
	passes("write", put(t, w, 0, "", "y", time.Time{}))
	again := connector.SinkTask{Job: "j", Attempt: 2, Parallelism: 1, Value: "utf8", Ran: true}
	_, err := sink.Open(t.Context(), again)
	passes("open", err)
	if err := sink.Abort(t.Context(), "j", 2); !errors.Is(err, connector.ErrGone) {
		t.Errorf("abort while it is away: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made anew: %v", err)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	next, err := sink.Open(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := sink.Abort(t.Context(), "j", 2); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(dir + "/.*"); len(left) > 0 {
		t.Errorf("hidden files are left: %q", left)
	}
	var fault *connector.Error
	none, err := NewSink(map[string]string{"path": filepath.Join(os.DevNull, "out")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Open(t.Context(), connector.SinkTask{Value: "utf8"}); !errors.As(err, &fault) || fault.Passes {
		t.Errorf("of a job that begins: %v, %+v (expected that it is refused)", err, fault)
	}
}

func TestSinkWritesWithoutAllocating(t *testing.T) {
	_, w := opened(t, map[string]string{"path": t.TempDir(), "partition": "{yyyy}/{key}"})
	b := abi.NewBuilder(abi.ColumnValues | abi.ColumnKeys | abi.ColumnTimestamps)
	for i := range 1000 {
		b.Append(abi.Record{Timestamp: int64(i) << 27, Key: []byte{byte('a' + i%10)}, Value: []byte("value")})
	}
	batch := connectortest.Parse(t, b)
	once := func() {
		if _, err := w.Write(batch, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	once()
	if len(w.open) != 50 {
		t.Fatalf("%d partitions", len(w.open))
	}
	if n := allocs.PerRun(10, once); n > 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func BenchmarkSink(b *testing.B) {
	for name, config := range map[string]map[string]string{
		"plain": {}, "rolled": {"rollSize": "64MiB", "rollInterval": "1m"}, "partitioned": {"partition": "{yyyy}-{MM}-{dd}/{key}"},
	} {
		b.Run(name, func(b *testing.B) {
			config["path"] = b.TempDir()
			sink, err := NewSink(config)
			if err != nil {
				b.Fatal(err)
			}
			w, err := sink.Open(context.Background(), connector.SinkTask{Job: "j", Attempt: 1, Key: abi.CodecUTF8, Value: abi.CodecUTF8})
			if err != nil {
				b.Fatal(err)
			}
			records := abi.NewBuilder(abi.ColumnValues | abi.ColumnKeys | abi.ColumnTimestamps)
			for i := range 1024 {
				records.Append(abi.Record{Timestamp: int64(i), Key: []byte{byte('a' + i%16)}, Value: []byte(strings.Repeat("x", 99))})
			}
			var batch abi.Batch
			if err := batch.Parse(records.Encode(abi.AlignedBytes(records.Size()))); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := w.Write(&batch, time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1024), "ns/record")
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func TestSinkRefuses(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "file"), nil)
	sink, err := NewSink(map[string]string{"path": filepath.Join(file, "out")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = sink.Open(context.Background(), connector.SinkTask{Job: "j", Value: abi.CodecUTF8})
	var user *connector.Error
	if !errors.As(err, &user) || err.Error() != "file sink: output directory "+file+"/out is not writable: not a directory" {
		t.Errorf("a directory below a file: got %v", err)
	}
	if _, err := sink.Columns("", "row(a: i64"); err == nil {
		t.Error("a broken codec was taken")
	}
	for config, want := range map[string]string{
		"":                                "path: empty (expected a directory)",
		"paht=x":                          `unknown option "paht" (known: path, format, times, header, delimiter, compression, columns, partition, rollSize, rollInterval, updates)`,
		"format=xml":                      `format: "xml" (expected lines, json, csv, avro, parquet)`,
		"header=true":                     "header, delimiter: given (expected format csv, and not lines)",
		"header=yes":                      `header: "yes" (expected true or false)`,
		"delimiter=ab":                    `delimiter: "ab" (expected a character of ASCII other than a quote, or tab)`,
		"compression=zstd":                "compression: given (expected format avro or parquet, and not lines)",
		"times=sql":                       "times: given (expected format json or csv, and not lines)",
		"rollSize=1":                      `rollSize: "1" (expected a size of at least 1KiB, for example 128MiB)`,
		"rollSize=-5MiB":                  `rollSize: "-5MiB" (expected a size of at least 1KiB, for example 128MiB)`,
		"rollInterval=1ms":                `rollInterval: "1ms" (expected a duration of at least 100ms, for example 1m)`,
		"rollInterval=60":                 `rollInterval: "60" (expected a duration of at least 100ms, for example 1m)`,
		"partition=a":                     "partition: no field in it (expected some of {yyyy}, {MM}, {dd}, {HH}, {mm} and {key})",
		"partition=/{key}":                `partition: a directory is called "" (expected a name that does not begin with . or _)`,
		"partition={key}/":                `partition: a directory is called "" (expected a name that does not begin with . or _)`,
		"partition={key}/..":              `partition: a directory is called ".." (expected a name that does not begin with . or _)`,
		"partition={key}/.x":              `partition: a directory is called ".x" (expected a name that does not begin with . or _)`,
		"partition={hour}":                `partition: "{hour}": {hour (expected {yyyy}, {MM}, {dd}, {HH}, {mm} or {key})`,
		"partition={key":                  `partition: "{key": {key (expected {yyyy}, {MM}, {dd}, {HH}, {mm} or {key})`,
		"partition=key}{key}":             `partition: "key}{key}": a control character or a } without {`,
		"partition={key}{key}x{key}":      `partition: "{key}{key}x{key}": a name of up to 361 bytes (expected <= 255)`,
		"partition=1/2/3/4/5/6/7/8/{key}": "partition: 9 directories deep (expected <= 8)",
	} {
		m := map[string]string{}
		if key, value, ok := strings.Cut(config, "="); ok {
			m["path"], m[key] = "x", value
		}
		if _, err := NewSink(m); err == nil || err.Error() != "file sink: "+want {
			t.Errorf("%q: got %v, want %s", config, err, want)
		}
	}
	if _, err := NewSink(map[string]string{"path": "x", "format": "json", "times": "us"}); err == nil || err.Error() != `file sink: times: "us" (expected iso, sql or ms)` {
		t.Errorf("unknown times: got %v", err)
	}
	keyed, err := NewSink(map[string]string{"path": "x", "partition": "{key}"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyed.Columns("", abi.CodecUTF8); err == nil || err.Error() != "file sink: partition: {key}, but the records have no key" {
		t.Errorf("records without a key: got %v", err)
	}
}

// A committed file that somebody moved away cannot be told from one that was lost: it is an error, not a success.
func TestSinkCommitNamesWhatIsLost(t *testing.T) {
	dir := t.TempDir()
	sink, _ := NewSink(map[string]string{"path": dir})
	w, err := sink.Open(context.Background(), connector.SinkTask{Job: "j", Attempt: 1, Value: abi.CodecUTF8})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(connectortest.Values(t, "x"), time.Time{})
	p := connectortest.Prepared(t, w)
	w.Close()
	if err := os.Remove(filepath.Join(dir, pendingName("j", 1, 0, 0))); err != nil {
		t.Fatal(err)
	}
	if err := sink.Commit(context.Background(), "j", 3, p); err == nil || !strings.Contains(err.Error(), "file sink: commit "+dir+"/part-j-3-0-0") {
		t.Errorf("got %v", err)
	}
}

// What Commit would refuse is known without trying, and what lasts is told from what may pass.
func TestSinkExaminesWhatItWouldCommit(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	sink, err := NewSink(map[string]string{"path": dir})
	if err != nil {
		t.Fatal(err)
	}
	var prepared []connector.Committable
	for subtask := range 6 {
		w, err := sink.Open(ctx, connector.SinkTask{Job: "j", Attempt: 1, Subtask: subtask, Value: abi.CodecUTF8})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(connectortest.Values(t, "x"), time.Time{})
		prepared = append(prepared, connectortest.Prepared(t, w)...)
		w.Close()
	}
	final := func(subtask int) string { return filepath.Join(dir, finalName("j", 3, subtask, 0)) }
	pending := func(subtask int) string { return filepath.Join(dir, pendingName("j", 1, subtask, 0)) }
	for _, err := range []error{
		os.Remove(pending(1)),                             // removed
		os.WriteFile(final(2), nil, 0o666),                // in the way
		os.WriteFile(pending(3), nil, 0o666),              // cut off
		os.Rename(pending(4), final(4)),                   // committed
		os.Rename(pending(5), final(5)),                   // committed, and
		os.WriteFile(final(5), []byte("too long"), 0o666), // replaced
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	found, err := sink.(connector.Examiner).Examine(ctx, "j", 3, prepared)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range found {
		if o.Name != final(o.Prepared) {
			t.Errorf("file %d is called %s", o.Prepared, o.Name)
		}
		one := sink.Commit(ctx, "j", 3, prepared[o.Prepared:o.Prepared+1])
		if one == nil || one.Error() != o.Err.Error() || errors.Is(one, connector.ErrGone) != errors.Is(o.Err, connector.ErrGone) {
			t.Errorf("file %d: Commit says %v, Examine %v", o.Prepared, one, o.Err)
		}
		got = append(got, fmt.Sprint(o.Prepared, " ", errors.Is(o.Err, connector.ErrGone)))
	}
	if want := "[1 true 2 false 3 true 5 true]"; fmt.Sprint(got) != want {
		t.Errorf("obstacles %s (expected %s)", fmt.Sprint(got), want)
	}
	if left := visible(t, dir); len(left) != 3 {
		t.Errorf("looking has changed what is visible: %q", left)
	}
}

// A file that is not what was prepared is not committed, nor said to have been: whoever has cut it off can put it back.
func TestSinkCommitsWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	sink, _ := NewSink(map[string]string{"path": dir})
	w, err := sink.Open(context.Background(), connector.SinkTask{Job: "j", Attempt: 1, Value: abi.CodecUTF8})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(connectortest.Values(t, "one", "two"), time.Time{})
	p := connectortest.Prepared(t, w)
	w.Close()
	for _, name := range []string{pendingName("j", 1, 0, 0), finalName("j", 3, 0, 0)} { // before, and when it is committed again
		path := filepath.Join(dir, name)
		for _, n := range []int{0, 7} {
			if err := os.WriteFile(path, []byte("one\ntwo\n")[:n], 0o666); err != nil {
				t.Fatal(err)
			}
			if err := sink.Commit(context.Background(), "j", 3, p); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("has %d bytes (expected the 8 that were written)", n)) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if err := os.WriteFile(path, []byte("one\ntwo\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := sink.Commit(context.Background(), "j", 3, p); err != nil {
			t.Errorf("%s: %v when it is back", name, err)
		}
	}
}
