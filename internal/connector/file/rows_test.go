package file

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
)

const idNameAt abi.Codec = "row(id: i64, name: utf8?, at: ms?)"

// typed is a source of values of the codec.
func typed(t *testing.T, codec abi.Codec, config map[string]string) *Source {
	t.Helper()
	s, err := source(t, config).(*Source).For(codec)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Source)
}

// everything is what splits hold, records and what is none: read at most so many at a time, by readers that are closed and opened again
// where they stand.
func everything(t *testing.T, s *Source, splits []connector.Split, most int) (all []string) {
	t.Helper()
	for _, split := range splits {
		for done := false; !done; {
			r, err := s.Open(context.Background(), split)
			if err != nil {
				t.Fatal(err)
			}
			for range 1 + rand.IntN(3) {
				b := abi.NewBuilder(s.Columns())
				p, err := r.Poll(b, most, 1<<20, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				if n := b.Len() + len(p.Bad); n > most {
					t.Fatalf("%d records and faults (asked for %d)", n, most)
				}
				batch := connectortest.Parse(t, b)
				for i := range batch.N {
					all = append(all, string(batch.Value(i)))
				}
				for _, bad := range p.Bad {
					all = append(all, bad.Where+": "+bad.Err.Error()+": "+string(bad.Bytes))
				}
				split.Position = slices.Clone(r.Position())
				if done = p.Done; done {
					break
				}
			}
			r.Close()
		}
	}
	slices.Sort(all)
	return all
}

// Rows and bad records of a file are the same, with the same places, however it is cut and wherever its readers stop.
func TestRowsAreReadOnce(t *testing.T) {
	var text strings.Builder
	text.WriteString("\ufeff")
	rows := 0
	for i := range 120 {
		switch {
		case i%23 == 0:
			fmt.Fprintf(&text, "{\"id\":\"%d\"}\n", i)
			rows++
		case i%17 == 0:
			text.WriteString(" \r\n\n")
		default:
			fmt.Fprintf(&text, "{\"id\":%d,\"name\":%q,\"u\":[%d]}\r\n", i, strings.Repeat("x", i%50), i)
			rows++
		}
	}
	path := write(t, filepath.Join(t.TempDir(), "in.json"), []byte(text.String()))
	s := typed(t, idNameAt, map[string]string{"path": path, "format": "json"})
	want := everything(t, s, cut(whole(t, path), 1<<30), 1<<20)
	if len(want) != rows {
		t.Fatalf("%d records and faults (expected %d)", len(want), rows)
	}
	first := slices.IndexFunc(want, func(s string) bool { return strings.HasPrefix(s, path+", byte 9: id: ") })
	if first < 0 || !strings.HasSuffix(want[first], `: {"id":"0"}`) {
		t.Errorf("the first line is no fault at byte 9 of the file, with its bytes")
	}
	for _, step := range []int64{5, 57, 1000} {
		for _, most := range []int{1, 7, 1024} {
			if got := everything(t, s, cut(whole(t, path), step), most); !slices.Equal(got, want) {
				t.Errorf("cut every %d bytes, %d at a time: %d records and faults (expected %d)", step, most, len(got), len(want))
			}
		}
	}
	packedPath := write(t, filepath.Join(t.TempDir(), "in.json.gz"), packed(t, "gz", text.String()))
	place := regexp.MustCompile("^" + regexp.QuoteMeta(path) + `, byte \d+`)
	for i := range want {
		want[i] = strings.Replace(place.ReplaceAllString(want[i], "$0 of its text"), path, packedPath, 1)
	}
	slices.Sort(want)
	if got := everything(t, s, cut(whole(t, packedPath), 1), 7); !slices.Equal(got, want) {
		t.Errorf("compressed: %d records and faults (expected %d)", len(got), len(want))
	}
}

func TestRowsHaveTheirEventTime(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "in.json"), []byte(`{"a":{"at":"1970-01-01T00:00:00.005"},"b":{"at":7}}
{"a":null,"b":{"at":7}}
{"b":{"at":null},"c.d":9}
{}
`))
	const codec = `row(a: row(at: ms)?, b: row(at: ms?)?, "c.d": i64?)`
	s := typed(t, codec, map[string]string{"path": path, "format": "json", "timestamps": "a.at, b.at, c.d"})
	splits, err := s.Enumerate(context.Background(), 1)
	if err != nil || !splits.Ordered {
		t.Fatalf("%+v, %v (expected ordered splits)", splits, err)
	}
	r, err := s.Open(context.Background(), splits.Splits[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := abi.NewBuilder(s.Columns())
	if _, err := r.Poll(b, 10, 1<<20, time.Time{}); err != nil {
		t.Fatal(err)
	}
	batch := connectortest.Parse(t, b)
	for i, want := range []int64{5, 7, 9, abi.NoTimestamp} {
		if i >= batch.N || batch.Timestamp(i) != want {
			t.Errorf("record %d of %d: expected the time %d", i, batch.N, want)
		}
	}
}

func TestJSONValuesAsTheyStand(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "in.json"), []byte("{\"a\" : 1}\n[1,]\n7\n"))
	s := typed(t, abi.CodecJSON, map[string]string{"path": path, "format": "json"})
	want := []string{path + `, byte 13: "]" (expected a value): [1,]`, "7", `{"a" : 1}`}
	if got := everything(t, s, cut(whole(t, path), 1<<30), 10); !slices.Equal(got, want) {
		t.Errorf("got %q (expected %q)", got, want)
	}
}

func TestSourcesOfRowsRefuse(t *testing.T) {
	for _, c := range []struct {
		config string
		codec  abi.Codec
		want   string
	}{
		{"", idNameAt, "format: lines, but the source's records are rows (expected json, csv, avro, parquet)"},
		{"format=json", "utf8", "format: json, but the source's records are utf8 (expected a row or json)"},
		{"format=json", "row(a: i65)", `codec "row(a: i65)": byte 7`},
		{"format=json&timestamps=at", "json", `timestamps: "at" (records of codec json have no fields: expected a row)`},
		{"format=json&timestamps=name", idNameAt, `timestamps: "name": field "name" is utf8 (expected ms, or i64 of milliseconds)`},
		{"format=json&timestamps=at,b.at", idNameAt, `timestamps: "b.at": no field "b" in row(id: i64, name: utf8?, at: ms?)`},
		{"format=avro", "json", "format: avro, but the source's records are json (expected a row)"},
		{"format=csv", "row(l: list(i64))", `field "l" is a list, which CSV has no form of`},
		{"format=csv&names=a,b", "row(c: i64)", `no column "c" (the columns are ["a" "b"])`},
		{"format=json&timestamps=at.x", idNameAt, `timestamps: "at.x": field "at" is ms, which has no fields`},
	} {
		config := map[string]string{"path": "x"}
		for option := range strings.SplitSeq(c.config, "&") {
			if key, value, ok := strings.Cut(option, "="); ok {
				config[key] = value
			}
		}
		if _, err := source(t, config).(*Source).For(c.codec); err == nil || !strings.HasPrefix(err.Error(), "file source: "+c.want) {
			t.Errorf("%s, %s: %v\nexpected %s", c.config, c.codec, err, c.want)
		}
	}
}

// Records of CSV are the same however their file is cut, with a header and without; one whose columns may have line ends in them
// is not cut.
func TestCSVIsReadOnce(t *testing.T) {
	var plain, quoted strings.Builder
	rows := 0
	for i := range 150 {
		line := fmt.Sprintf("%d,\"a,\"\"%s\"\"\",unwanted,2026-01-31T23:59:59.050\r\n", i, strings.Repeat("x", i%40))
		if i%11 == 0 {
			line = "1,2\n"
		}
		plain.WriteString(line)
		quoted.WriteString(strings.Replace(line, "a,", "a,\n", 1))
		rows++
	}
	dir := t.TempDir()
	for name, c := range map[string]struct {
		config map[string]string
		text   string
	}{
		"names":    {map[string]string{"names": "id,name,u,at"}, plain.String()},
		"header":   {map[string]string{"header": "true"}, "\ufeffid,name,\"u\",at\n" + plain.String()},
		"newlines": {map[string]string{"header": "true", "quotedNewlines": "true"}, "id,name,u,at\n" + quoted.String()},
	} {
		c.config["format"], c.config["timestamps"] = "csv", "at"
		c.config["path"] = write(t, filepath.Join(dir, name+".csv"), []byte(c.text))
		s := typed(t, idNameAt, c.config)
		file, err := s.measure(c.config["path"])
		if err != nil {
			t.Fatal(err)
		}
		want := everything(t, s, cut(file, 1<<30), 1<<20)
		if len(want) != rows {
			t.Fatalf("%s: %d records and faults (expected %d)", name, len(want), rows)
		}
		steps := []int64{5, 100}
		if name == "newlines" {
			steps = []int64{1 << 30}
		}
		for _, step := range steps {
			if got := everything(t, s, cut(file, step), 7); !slices.Equal(got, want) {
				t.Errorf("%s, cut every %d bytes: %d records and faults (expected %d)", name, step, len(got), len(want))
			}
		}
		c.config["path"] = write(t, filepath.Join(dir, name+".csv.zst"), packed(t, "zst", c.text))
		s = typed(t, idNameAt, c.config)
		if file, err = s.measure(c.config["path"]); err != nil {
			t.Fatal(err)
		}
		if got := everything(t, s, cut(file, 1), 7); len(got) != rows {
			t.Errorf("%s, compressed: %d records and faults (expected %d)", name, len(got), rows)
		}
	}
}

func TestQuotedNewlinesAreFound(t *testing.T) {
	text := `a,"b` + "\n" + `""c",d` + "\n" + `e"f`
	for cut := range len(text) {
		inside := false
		n := recordEnd([]byte(text[:cut]), &inside)
		if n < 0 {
			if n = recordEnd([]byte(text[cut:]), &inside); n >= 0 {
				n += cut
			}
		}
		if want := strings.LastIndexByte(text, '\n'); n != want {
			t.Errorf("looked at in two parts, %d bytes first: %d (expected %d)", cut, n, want)
		}
	}
}

func TestHeadersMustHaveTheRowsColumns(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "in.csv"), []byte("id,Name\n1,x\n"))
	s := typed(t, "row(id: i64, name: utf8)", map[string]string{"path": path, "format": "csv", "header": "true"})
	_, err := s.Enumerate(context.Background(), 1)
	if want := `file source: input ` + path + `: no column "name" (the columns are ["id" "Name"])`; err == nil || err.Error() != want {
		t.Errorf("%v (expected %s)", err, want)
	}
}
