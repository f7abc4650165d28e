package file

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector/connectortest"
	"github.com/wasmill/wasmill/internal/connector/text"
)

// pathOf is the directory of a record.
func pathOf(t *testing.T, template string, codec abi.Codec, timestamp int64, key string) string {
	t.Helper()
	p, err := parsePartitioning(template)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := text.NewFormat(codec, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := abi.NewBuilder(abi.ColumnValues | p.columns())
	b.Append(abi.Record{Timestamp: timestamp, Key: []byte(key)})
	path, err := p.path(p.identify(nil, connectortest.Parse(t, b), 0), keys)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPartitionPaths(t *testing.T) {
	at := time.Date(2026, 2, 28, 7, 5, 59, 999e6, time.UTC).UnixMilli()
	const none = "__HIVE_DEFAULT_PARTITION__"
	tests := []struct {
		template string
		time     int64
		key      string
		want     string
	}{
		{"{yyyy}/{MM}/{dd}/{HH}/{mm}", at, "", "2026/02/28/07/05"},
		{"dt={yyyy}-{MM}-{dd}/hour={HH}", at, "", "dt=2026-02-28/hour=07"},
		{"{yyyy}", 0, "", "1970"},
		{"{yyyy}", at, "", "2026"},
		{"{yyyy}/{MM}", -1, "", "1969/12"},
		{"{MM}", at, "", "02"},
		{"{yyyy}-{MM}", -62198755200000, "", "-001-01"},
		{"{yyyy}{MM}{dd}", -1, "", "19691231"},
		{"{HH}{mm}", -60_001, "", "2358"},
		{"{yyyy}-{MM}", 253402300800000, "", "10000-01"},
		{"dt={yyyy}-{MM}-{dd}/{HH}", abi.NoTimestamp, "", "dt=" + none + "/" + none},
		{"{key}/y{yyyy}-{MM}z", abi.NoTimestamp, "k", "k/y" + none + "z"},
		{"{key}", at, "plain_key-1.txt", "plain_key-1.txt"},
		{"k={key}", at, "", "k=" + none},
		{"{key}", at, "a/b", "a%2Fb"},
		{"{key}", at, "..", "%2E."},
		{"{key}", at, ".", "%2E"},
		{"{key}", at, "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"},
		{"{key}", at, "_hidden", "%5Fhidden"},
		{"{key}", at, none, "%5F_HIVE_DEFAULT_PARTITION__"},
		{"{key}", at, "100%", "100%25"},
		{"{key}", at, "a~b=c d\x00\n", "a%7Eb%3Dc%20d%00%0A"},
		{"{key}", at, "größe", "gr%C3%B6%C3%9Fe"},
		{"{key}", at, strings.Repeat("k", 120), strings.Repeat("k", 120)},
		{"{key}", at, strings.Repeat("k", 121), strings.Repeat("k", 100) + "~41cab6bc48d89432"},
	}
	for _, tt := range tests {
		if got := pathOf(t, tt.template, abi.CodecUTF8, tt.time, tt.key); got != tt.want {
			t.Errorf("%s of %d and %q: %q (expected %q)", tt.template, tt.time, tt.key, got, tt.want)
		}
	}
	if got := pathOf(t, "{key}", abi.CodecI64, 0, "\xfe\xff\xff\xff\xff\xff\xff\xff"); got != "-2" {
		t.Errorf("an i64: %q", got)
	}
}

// Records whose paths are the same are known to be of one partition, so that they get into one file.
func TestPartitionsAreAsLongAsTheirNames(t *testing.T) {
	for template, want := range map[string]int{"{yyyy}": 2, "{yyyy}-{MM}": 24, "{yyyy}{MM}{dd}": 731, "{dd}/{HH}": 731 * 24} {
		p, err := parsePartitioning(template)
		if err != nil {
			t.Fatal(err)
		}
		steps, first := map[int64]bool{}, time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
		for at := first; at.Year() < 2025; at = at.Add(time.Hour) {
			steps[p.stepOf(at.UnixMilli())] = true
		}
		if len(steps) != want {
			t.Errorf("%s: two years have %d partitions (expected %d)", template, len(steps), want)
		}
	}
}

// Whatever a key is, it names one directory, which is below the sink's, is not hidden, and is no other key's.
func TestNoKeyEscapes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const letters = "./\\%~_-aA0\x00\n=\xff\u00e9"
	keys := map[string]string{}
	for range 20_000 {
		key := make([]byte, 1+random.IntN(150))
		for i := range key {
			key[i] = letters[random.IntN(len(letters))]
		}
		name := keyName(string(key))
		if !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\\x00\n") || name[0] == '.' || name[0] == '_' || len(name) > maxKeyBytes {
			t.Fatalf("key %q: %q (%d bytes)", key, name, len(name))
		}
		if other, taken := keys[name]; taken && other != string(key) {
			t.Fatalf("keys %q and %q are both %q", key, other, name)
		}
		keys[name] = string(key)
	}
	// The longest name that a template allows fits into a directory.
	p, err := parsePartitioning("{key}-{key}" + strings.Repeat("x", 14))
	if err != nil {
		t.Fatal(err)
	}
	if name := p.name(p.segments[0], 0, keyName(fmt.Sprintf("%0120d", 1))); len(name) != maxSegmentBytes {
		t.Errorf("%d bytes (expected %d)", len(name), maxSegmentBytes)
	}
}
