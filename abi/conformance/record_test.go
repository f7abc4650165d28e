package conformance_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
)

var kinds = []string{abi.Insert: "insert", abi.UpdateBefore: "update-before", abi.UpdateAfter: "update-after", abi.Delete: "delete"}

// parseBatch reads records, one a line: a value, and what else the record has. The batch has the columns that any of
// them names.
//
//	"whale" key="w" at=7 kind=delete headers="h" hash=12
//	1024 x "sea"
func parseBatch(c codecs, text string) (*abi.Builder, error) {
	var columns abi.Columns
	var records []abi.Record
	for _, s := range strings.Split(text, "\n") {
		l := &line{s}
		if !l.more() {
			continue
		}
		n := l.times()
		r, has, err := l.record(c)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", s, err)
		}
		columns |= has
		records = append(records, slices.Repeat([]abi.Record{r}, n)...)
	}
	b := abi.NewBuilder(columns)
	for _, r := range records {
		b.Append(r)
	}
	return b, nil
}

func (l *line) record(c codecs) (r abi.Record, columns abi.Columns, err error) {
	r.Timestamp = abi.NoTimestamp
	for l.more() && err == nil {
		switch {
		case l.takes("key="):
			columns |= abi.ColumnKeys
			r.Key, err = l.encoded(c.key)
		case l.takes("headers="):
			columns |= abi.ColumnHeaders
			r.Headers, err = l.encoded(abi.CodecBytes)
		case l.takes("at="):
			columns |= abi.ColumnTimestamps
			if !l.takes("none") {
				r.Timestamp, err = l.integer()
			}
		case l.takes("hash="):
			columns |= abi.ColumnHashes
			var hash int64
			hash, err = l.integer()
			r.Hash = uint64(hash)
		case l.takes("kind="):
			columns |= abi.ColumnKinds
			var kind any
			kind, err = l.value()
			r.Kind = abi.ChangeKind(slices.Index(kinds, string(kind.(number))))
		default:
			columns |= abi.ColumnValues
			r.Value, err = l.encoded(c.value)
		}
	}
	return r, columns, err
}

func (l *line) integer() (int64, error) {
	v, err := l.value()
	if err != nil {
		return 0, err
	}
	n, _ := v.(number)
	return strconv.ParseInt(string(n), 10, 64)
}

// printEffects prints what was emitted, output by output, and the timestamp that was reported. In which batches the
// records came is the SDK's choice.
func (h *handle) printEffects(e *host.Effects) string {
	records := make(map[uint32][]string)
	for _, emit := range e.Emits {
		for i := range emit.Batch.N {
			records[emit.Output] = append(records[emit.Output], printRecord(h.outputs[emit.Output], &emit.Batch, i))
		}
	}
	var out strings.Builder
	for _, number := range slices.Sorted(maps.Keys(records)) {
		for _, r := range fold(records[number]) {
			fmt.Fprintf(&out, "%d: %s\n", number, r)
		}
	}
	if e.HasWatermark {
		fmt.Fprintf(&out, "watermark %d\n", e.Watermark)
	}
	if out.Len() == 0 && len(e.Reply) == 0 {
		return "nothing\n"
	}
	return out.String()
}

func printRecord(c codecs, b *abi.Batch, i int) string {
	var parts []string
	if b.Columns&abi.ColumnValues != 0 {
		parts = append(parts, printValue(c.value, b.Value(i)))
	}
	if b.Columns&abi.ColumnKeys != 0 {
		parts = append(parts, "key="+printKey(c.key, b.Key(i)))
	}
	if t := b.Timestamp(i); t != abi.NoTimestamp { // which is as good as no column
		parts = append(parts, fmt.Sprintf("at=%d", t))
	}
	if b.Columns&abi.ColumnKinds != 0 {
		parts = append(parts, "kind="+kinds[b.Kinds[i]])
	}
	if b.Columns&abi.ColumnHeaders != 0 {
		parts = append(parts, "headers="+printText(string(b.Headers[b.HeaderOffs[i]:b.HeaderOffs[i+1]])))
	}
	if len(parts) == 0 {
		return "without columns"
	}
	return strings.Join(parts, " ")
}

// fold makes one line of records that follow each other in a simple way, so that people can read what a thousand are:
//
//	1024 x "sea"                  equal ones
//	700 x "a", "bb", "ccc"        a few, again and again
//	1 to 3000 kind=delete         numbers that count up, with the rest equal
func fold(records []string) (lines []string) {
	for len(records) > 0 {
		n, line := 1, records[0]
		if up := countsUp(records); up > 3 {
			first, rest, _ := counted(records[0])
			n, line = up, strings.TrimRight(fmt.Sprintf("%d to %d %s", first, first+up-1, rest), " ")
		}
		for period := 1; period <= 4 && n == 1; period++ {
			if times := repeats(records, period); times > 2 {
				n, line = times*period, fmt.Sprintf("%d x %s", times, strings.Join(records[:period], ", "))
			}
		}
		lines = append(lines, line)
		records = records[n:]
	}
	return lines
}

// counted splits a record that begins with a number.
func counted(record string) (n int, rest string, ok bool) {
	before, rest, _ := strings.Cut(record, " ")
	n, err := strconv.Atoi(before)
	return n, rest, err == nil
}

// countsUp returns how many of the first records count up.
func countsUp(records []string) (up int) {
	first, rest, ok := counted(records[0])
	for ok && up < len(records) {
		n, r, isNumber := counted(records[up])
		if !isNumber || n != first+up || r != rest {
			break
		}
		up++
	}
	return up
}

// repeats returns how often the first records come one after the other.
func repeats(records []string, period int) int {
	n := period
	for n < len(records) && records[n] == records[n-period] {
		n++
	}
	return n / period
}
