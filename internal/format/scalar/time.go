// Package scalar reads and writes single values as text formats have them: times, decimals. It knows no format.
package scalar

import (
	"encoding/binary"
	"fmt"
	"time"
)

// TimeStyle is how times are written.
type TimeStyle uint8

const (
	TimeISO    TimeStyle = iota // 2026-01-31T23:59:59.050Z
	TimeSQL                     // 2026-01-31 23:59:59.050
	TimeMillis                  // 1769903999050
)

// TimeStyles are the styles by the names that options have for them.
var TimeStyles = map[string]TimeStyle{"iso": TimeISO, "sql": TimeSQL, "ms": TimeMillis}

// Times written as text lie in the years 0 to 9999, in milliseconds since the Unix epoch.
var (
	minTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	maxTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() - 1
)

const dayMillis = 24 * 60 * 60 * 1000

// Times reads times. It remembers the last date, as one follows the other in most inputs.
type Times struct {
	year6 uint64 // the first 8 bytes of the date, "2026-01-"
	day   uint16 // the last 2
	days  int64  // since the epoch
}

// Parse reads a time such as 2026-01-31T23:59:59.050 or 2026-01-31 23:59:59: a date, T or a space, hours, minutes and
// seconds, then up to 9 digits of a fraction, of which three count, and a zone, Z or +hh:mm; without one it is UTC.
func (t *Times) Parse(b []byte) (ms int64, ok bool) {
	if len(b) < 19 || b[10] != 'T' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	if year6, day := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:]); year6 != t.year6 || day != t.day || day == 0 {
		days, ok := parseDate(b[:10])
		if !ok {
			return 0, false
		}
		t.year6, t.day, t.days = year6, day, days
	}
	hour, minute, second := two(b[11], b[12]), two(b[14], b[15]), two(b[17], b[18])
	if hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	ms = t.days*dayMillis + int64(hour)*3600000 + int64(minute)*60000 + int64(second)*1000
	if len(b) == 23 && b[19] == '.' { // as nearly all are
		f, g := two(b[20], b[21]), uint(b[22])-'0'
		if f <= 99 && g <= 9 {
			return ms + int64(f*10+g), true
		}
	}
	rest := b[19:]
	if len(rest) > 0 && (rest[0] == '.' || rest[0] == ',') {
		n, weight := 1, int64(100)
		for ; n < len(rest) && rest[n]-'0' <= 9; n++ {
			ms += int64(rest[n]-'0') * weight
			weight /= 10
		}
		if n == 1 || n > 10 {
			return 0, false
		}
		rest = rest[n:]
	}
	offset, ok := parseZone(rest)
	return ms - offset, ok
}

// two is a number of two digits; more than 99 when they are none.
func two(a, b byte) uint {
	x, y := uint(a)-'0', uint(b)-'0'
	if x > 9 || y > 9 {
		return 100
	}
	return x*10 + y
}

func parseDate(b []byte) (days int64, ok bool) {
	century, year, month, day := two(b[0], b[1]), two(b[2], b[3]), two(b[5], b[6]), two(b[8], b[9])
	if b[4] != '-' || b[7] != '-' || century > 99 || year > 99 || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, false
	}
	at := time.Date(int(century*100+year), time.Month(month), int(day), 0, 0, 0, 0, time.UTC)
	return at.Unix() / (24 * 60 * 60), at.Day() == int(day)
}

// parseZone returns how far before UTC a zone's clocks are ahead, in milliseconds.
func parseZone(b []byte) (ms int64, ok bool) {
	switch {
	case len(b) == 0 || len(b) == 1 && b[0] == 'Z':
		return 0, true
	case b[0] != '+' && b[0] != '-':
		return 0, false
	}
	hour, minute := uint(100), uint(100)
	switch {
	case len(b) == 6 && b[3] == ':':
		hour, minute = two(b[1], b[2]), two(b[4], b[5])
	case len(b) == 5:
		hour, minute = two(b[1], b[2]), two(b[3], b[4])
	}
	if hour > 23 || minute > 59 {
		return 0, false
	}
	ms = int64(hour*60+minute) * 60000
	if b[0] == '-' {
		ms = -ms
	}
	return ms, true
}

// AppendTime writes a time in a style other than TimeMillis, as UTC.
func AppendTime(dst []byte, ms int64, style TimeStyle) ([]byte, error) {
	if ms < minTime || ms > maxTime {
		return dst, fmt.Errorf("time %d ms (expected the years 0 to 9999)", ms)
	}
	at := time.UnixMilli(ms).UTC()
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	dst = append(dst, '0'+byte(year/1000), '0'+byte(year/100%10), '0'+byte(year/10%10), '0'+byte(year%10), '-')
	dst = append(appendTwo(dst, int(month)), '-')
	dst = append(appendTwo(dst, day), " T"[1-style])
	dst = append(appendTwo(dst, hour), ':')
	dst = append(appendTwo(dst, minute), ':')
	dst = append(appendTwo(dst, second), '.')
	f := at.Nanosecond() / 1e6
	dst = append(dst, '0'+byte(f/100), '0'+byte(f/10%10), '0'+byte(f%10))
	if style == TimeISO {
		dst = append(dst, 'Z')
	}
	return dst, nil
}

func appendTwo(dst []byte, n int) []byte { return append(dst, '0'+byte(n/10), '0'+byte(n%10)) }
