package file

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector/text"
)

// Bounds of the directories of partitions.
const (
	maxSegments     = 8   // of a template
	maxSegmentBytes = 255 // of a directory's name, as file systems have it
	maxKeyBytes     = 120 // of a key in one; a longer one ends in its hash
	keptKeyBytes    = 100 // of a longer one
)

// noValue is what stands in a path for an empty key, or for the time of a record without event time. It is the name that
// Hive, Spark and Flink give and know.
const noValue = "__HIVE_DEFAULT_PARTITION__"

// partitioning says which directory below that of the sink a record belongs to: a template such as "dt={yyyy}-{MM}-{dd}/{key}"
// of its event time in UTC and its key. A nil one has no directories.
type partitioning struct {
	segments [][]part
	timed    bool
	step     int64 // in ms, up to a day: records of one step have the same time in their path
	months   int64 // the same, of a template without days; 0: it has
	keyed    bool
}

// part is a piece of a directory's name: text, or a field.
type part struct {
	text  string
	field string // as in fields, or "key"; empty: text
}

// fields are those of time, the longest first.
var fields = []string{"yyyy", "MM", "dd", "HH", "mm"}

// setStep settles how long the path stays the same, by its shortest field.
func (p *partitioning) setStep(shortest int) {
	p.timed = shortest >= 0
	switch shortest {
	case 0, 1:
		p.months = []int64{12, 1}[shortest]
	case 2, 3, 4:
		p.step = []time.Duration{24 * time.Hour, time.Hour, time.Minute}[shortest-2].Milliseconds()
	}
}

// parsePartitioning reads a template.
func parsePartitioning(template string) (*partitioning, error) {
	p := &partitioning{}
	names := strings.Split(template, "/")
	if len(names) > maxSegments {
		return nil, fmt.Errorf("%d directories deep (expected <= %d)", len(names), maxSegments)
	}
	shortest := -1
	for _, name := range names {
		parts, err := parseName(name)
		if err != nil {
			return nil, err
		}
		p.segments = append(p.segments, parts)
		for _, part := range parts {
			shortest = max(shortest, slices.Index(fields, part.field))
			p.keyed = p.keyed || part.field == "key"
		}
	}
	p.setStep(shortest)
	if !p.timed && !p.keyed {
		return nil, errors.New("no field in it (expected some of {yyyy}, {MM}, {dd}, {HH}, {mm} and {key})")
	}
	return p, nil
}

// parseName reads the name of one directory.
func parseName(name string) (parts []part, err error) {
	if name == "" || name[0] == '.' || name[0] == '_' {
		return nil, fmt.Errorf("a directory is called %q (expected a name that does not begin with . or _)", name)
	}
	longest := 0
	for rest := name; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if strings.ContainsFunc(before, func(r rune) bool { return r < ' ' || r == 0x7f || r == '}' }) {
			return nil, fmt.Errorf("%q: a control character or a } without {", name)
		}
		if before != "" {
			parts = append(parts, part{text: before})
			longest += len(before)
		}
		if !found {
			break
		}
		field, behind, closed := strings.Cut(after, "}")
		known := slices.Contains(fields, field)
		if !closed || !known && field != "key" {
			return nil, fmt.Errorf("%q: {%s (expected {yyyy}, {MM}, {dd}, {HH}, {mm} or {key})", name, field)
		}
		longest += map[bool]int{true: len(noValue), false: maxKeyBytes}[known]
		parts = append(parts, part{field: field})
		rest = behind
	}
	if longest > maxSegmentBytes {
		return nil, fmt.Errorf("%q: a name of up to %d bytes (expected <= %d)", name, longest, maxSegmentBytes)
	}
	return parts, nil
}

// columns are those that a record's directory depends on.
func (p *partitioning) columns() (cols abi.Columns) {
	if p != nil && p.keyed {
		cols |= abi.ColumnKeys
	}
	if p != nil && p.timed {
		cols |= abi.ColumnTimestamps
	}
	return cols
}

// identify appends what tells the directory of record i from others: the step of its time, and its key. That is cheaper
// than the path.
func (p *partitioning) identify(dst []byte, b *abi.Batch, i int) []byte {
	if p == nil {
		return dst
	}
	if p.timed {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.stepOf(b.Timestamp(i))))
	}
	if p.keyed && b.Columns&abi.ColumnKeys != 0 {
		dst = append(dst, b.Key(i)...)
	}
	return dst
}

// stepOf numbers the steps of time.
func (p *partitioning) stepOf(timestamp int64) int64 {
	if timestamp == abi.NoTimestamp {
		return math.MinInt64
	}
	if p.months > 0 {
		year, month, _ := time.UnixMilli(timestamp).UTC().Date()
		return floor(int64(year)*12+int64(month-1), p.months)
	}
	return floor(timestamp, p.step)
}

// begin is when a step begins.
func (p *partitioning) begin(step int64) time.Time {
	if p.months > 0 {
		return time.Date(0, time.January+time.Month(step*p.months), 1, 0, 0, 0, 0, time.UTC)
	}
	return time.UnixMilli(step * p.step).UTC()
}

func floor(n, by int64) int64 {
	if n%by < 0 {
		return n/by - 1
	}
	return n / by
}

// path is the directory of what identify has told, below that of the sink and with slashes.
func (p *partitioning) path(id []byte, keys *text.Format) (string, error) {
	if p == nil {
		return "", nil
	}
	step := int64(math.MinInt64)
	if p.timed {
		step, id = int64(binary.LittleEndian.Uint64(id)), id[8:]
	}
	var key string
	if p.keyed && len(id) > 0 {
		shown, err := keys.Append(nil, id)
		if err != nil {
			return "", fmt.Errorf("key: %w", err)
		}
		key = string(shown)
	}
	names := make([]string, len(p.segments))
	for i, parts := range p.segments {
		names[i] = p.name(parts, step, keyName(key))
	}
	return strings.Join(names, "/"), nil
}

// name is that of one directory. Without a time, all from its first field of time to its last one is noValue.
func (p *partitioning) name(parts []part, step int64, key string) string {
	var out strings.Builder
	timeless := step == math.MinInt64
	last := -1 // of the fields of time
	for i, part := range parts {
		if slices.Contains(fields, part.field) {
			last = i
		}
	}
	for i := 0; i < len(parts); i++ {
		ofTime := slices.Contains(fields, parts[i].field)
		switch {
		case ofTime && timeless:
			out.WriteString(noValue)
			i = last
		case ofTime:
			out.WriteString(timeField(p.begin(step), parts[i].field))
		case parts[i].field == "key":
			out.WriteString(key)
		default:
			out.WriteString(parts[i].text)
		}
	}
	return out.String()
}

func timeField(at time.Time, field string) string {
	return map[string]string{
		"yyyy": fmt.Sprintf("%04d", at.Year()), "MM": fmt.Sprintf("%02d", int(at.Month())), "dd": fmt.Sprintf("%02d", at.Day()),
		"HH": fmt.Sprintf("%02d", at.Hour()), "mm": fmt.Sprintf("%02d", at.Minute()),
	}[field]
}

// keyName is a key as a part of a directory's name. All bytes but ASCII letters, digits, "-", "_" and "." are
// percent-encoded, and so are "." and "_" at its beginning: whatever the key is, it names neither another directory nor a
// hidden one. A long key is cut, and has a hash of the whole behind "~", which stands in no other key.
func keyName(key string) string {
	if key == "" {
		return noValue
	}
	const hexDigits = "0123456789ABCDEF"
	name := make([]byte, 0, maxKeyBytes)
	kept := 0 // bytes of name before the one that is over keptKeyBytes
	for i := 0; i < len(key) && len(name) <= maxKeyBytes; i++ {
		c := key[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || i > 0 && (c == '_' || c == '.')
		if plain {
			name = append(name, c)
		} else {
			name = append(name, '%', hexDigits[c>>4], hexDigits[c&15])
		}
		if len(name) <= keptKeyBytes {
			kept = len(name)
		}
	}
	if len(name) <= maxKeyBytes {
		return string(name)
	}
	sum := sha256.Sum256([]byte(key))
	return string(name[:kept]) + "~" + hex.EncodeToString(sum[:8])
}
