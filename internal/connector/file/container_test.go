package file

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
	"github.com/wasmill/wasmill/internal/format/jsonrow"
	"github.com/wasmill/wasmill/internal/format/parquetrow"
)

// written is the one file that a sink makes of rows, which are given as JSON.
func written(t testing.TB, codec abi.Codec, config map[string]string, lines []string) string {
	t.Helper()
	b := builderOf(t, codec, lines)
	config["path"] = t.TempDir()
	sink, err := NewSink(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	w, err := sink.Open(ctx, connector.SinkTask{Job: "j", Attempt: 1, Value: codec})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(connectortest.Parse(t, b), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Commit(ctx, "j", 1, connectortest.Prepared(t, w)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(config["path"], finalName("j", 1, 0, 0))
}

// builderOf holds rows, which are given as JSON.
func builderOf(t testing.TB, codec abi.Codec, lines []string) *abi.Builder {
	t.Helper()
	schema, err := abi.ParseSchema(codec)
	if err != nil {
		t.Fatal(err)
	}
	d := jsonrow.NewDecoder(schema)
	b := abi.NewBuilder(abi.ColumnValues)
	for _, line := range lines {
		row, err := d.Decode(nil, []byte(line))
		if err != nil {
			t.Fatal(err)
		}
		b.Append(abi.Record{Value: row})
	}
	return b
}

// numberedRows are n rows as JSON, of which some have no name.
func numberedRows(n int) (lines []string) {
	for i := range n {
		name := fmt.Sprintf("%q", strings.Repeat("x", i%90))
		if i%101 == 100 {
			name = "null"
		}
		lines = append(lines, fmt.Sprintf(`{"id":%d,"name":%s,"unwanted":[{"a":%d}],"at":"2026-01-31T23:59:59.050"}`, i, name, i))
	}
	return lines
}

const wide abi.Codec = "row(id: i64, name: utf8?, unwanted: list(row(a: i64)), at: ms?)"

// What a sink has written is read by a source, each row once however the file is cut and wherever readers stop.
func TestContainersAreReadOnce(t *testing.T) {
	const rows = 6000
	for _, config := range []map[string]string{
		{"format": "avro", "compression": "none"}, {"format": "avro", "compression": "zstd"}, {"format": "avro"},
	} {
		t.Run(config["format"]+" "+config["compression"], func(t *testing.T) {
			path := written(t, wide, config, numberedRows(rows))
			s := typed(t, "row(at: ms, name: utf8, id: i64)", map[string]string{"path": path, "format": config["format"], "timestamps": "at"})
			file, err := s.measure(path)
			if err != nil {
				t.Fatal(err)
			}
			want := everything(t, s, cut(file, 1<<30), 1000)
			bad := slices.IndexFunc(want, func(s string) bool { return strings.HasPrefix(s, path+", ") })
			if len(want) != rows || bad < 0 || !strings.Contains(want[bad], ": name: null (expected a value)") {
				t.Fatalf("%d rows and faults (expected %d), a fault: %v", len(want), rows, bad >= 0)
			}
			if n := len(slices.Compact(slices.Clone(want))); n != rows {
				t.Errorf("%d different rows and faults (expected %d)", n, rows)
			}
			for _, step := range []int64{701, 20_011, file.Size / 2} {
				if got := everything(t, s, cut(file, step), 777); !slices.Equal(got, want) {
					t.Errorf("cut every %d bytes: %d rows and faults (expected %d)", step, len(got), len(want))
				}
			}
		})
	}
}

// Of a Parquet file each row group is read by itself, from any row on.
func TestRowGroupsAreReadOnce(t *testing.T) {
	const rows = 3000
	schema, err := abi.ParseSchema(wide)
	if err != nil {
		t.Fatal(err)
	}
	e, err := parquetrow.NewEncoder(wide, nil, "snappy")
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := e.Begin(&file, 50_000)
	if err != nil {
		t.Fatal(err)
	}
	d := jsonrow.NewDecoder(schema)
	for _, line := range numberedRows(rows) {
		row, err := d.Decode(nil, []byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(t.TempDir(), "in.parquet"), file.Bytes())
	s := typed(t, "row(at: ms, name: utf8, id: i64)", map[string]string{"path": path, "format": "parquet", "timestamps": "at"})
	splits, err := s.Enumerate(context.Background(), 2)
	if err != nil || len(splits.Splits) < 3 || !splits.Ordered {
		t.Fatalf("%d splits, %v", len(splits.Splits), err)
	}
	want := everything(t, s, splits.Splits, 1<<20)
	bad := slices.IndexFunc(want, func(s string) bool {
		return strings.HasPrefix(s, path+", row 101 of row group 0: name: null (expected a value)")
	})
	if n := len(slices.Compact(slices.Clone(want))); n != rows || bad < 0 {
		t.Fatalf("%d different rows and faults (expected %d), the first fault: %v", n, rows, bad >= 0)
	}
	for _, most := range []int{1, 100, 777} {
		if got := everything(t, s, splits.Splits, most); !slices.Equal(got, want) {
			t.Errorf("%d at a time: %d rows and faults (expected %d)", most, len(got), len(want))
		}
	}
}

// A file that is damaged fails by name, wherever that is, or is read as it was.
func TestDamagedContainersAreRefused(t *testing.T) {
	for _, config := range []map[string]string{{"format": "avro", "compression": "none"}, {"format": "avro"}, {"format": "parquet"}} {
		path := written(t, wide, config, numberedRows(3000))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(data); at += len(data)/37 + 1 {
			for _, damage := range []func() []byte{
				func() []byte { d := slices.Clone(data); d[at] ^= 0x55; return d },
				func() []byte { return data[:at] },
			} {
				broken := write(t, filepath.Join(t.TempDir(), "broken"), damage())
				s := typed(t, wide, map[string]string{"path": broken, "format": config["format"]})
				if err := readAll(s); err != nil && !strings.Contains(err.Error(), "input "+broken) {
					t.Errorf("byte %d: %v", at, err)
				}
			}
		}
	}
}

// readAll reads a source to its end.
func readAll(s *Source) error {
	splits, err := s.Enumerate(context.Background(), 2)
	if err != nil {
		return err
	}
	for _, split := range splits.Splits {
		r, err := s.Open(context.Background(), split)
		if err != nil {
			return err
		}
		defer r.Close()
		b := abi.NewBuilder(s.Columns())
		for done := false; !done; {
			b.Reset()
			p, err := r.Poll(b, 1000, 1<<20, time.Time{})
			if err != nil {
				return err
			}
			done = p.Done
		}
	}
	return nil
}

func TestContainersMustHaveTheRowsFields(t *testing.T) {
	for format, want := range map[string]string{
		"avro": `field "id": the file has long (expected what makes utf8)`, "parquet": `field "id": the file has INT(64,true) (expected what makes utf8)`,
	} {
		path := written(t, wide, map[string]string{"format": format}, numberedRows(10))
		s := typed(t, "row(id: utf8)", map[string]string{"path": path, "format": format})
		if _, err := s.Enumerate(context.Background(), 1); err == nil || err.Error() != "file source: input "+path+": "+want {
			t.Errorf("%s: %v (expected %s)", format, err, want)
		}
		text := write(t, filepath.Join(t.TempDir(), "text"), []byte("id,name\n"))
		s = typed(t, "row(id: i64)", map[string]string{"path": text, "format": format})
		if _, err := s.Enumerate(context.Background(), 1); err == nil || !strings.HasPrefix(err.Error(), "file source: input "+text+": no ") {
			t.Errorf("%s: %v", format, err)
		}
	}
}
