package nexmark

import "time"

var latest = time.Date(9001, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// timeline says when each event happens: at one rate, or at two in turn, half a period each.
type timeline struct {
	start             int64 // milliseconds
	first, next       uint64
	half              uint64 // milliseconds; 0: one rate
	inFirst, inPeriod uint64 // events in the first half of a period, in both
}

func newTimeline(p *Parameters) timeline {
	t := timeline{start: p.Start.UnixMilli(), first: p.Rate}
	if p.NextRate > 0 && p.NextRate != p.Rate {
		t.next, t.half = p.NextRate, uint64(p.RatePeriod.Milliseconds())/2
		t.inFirst = t.first * t.half / 1000
		t.inPeriod = t.inFirst + t.next*t.half/1000
	}
	return t
}

// at is the event time of an event.
func (t timeline) at(number uint64) int64 {
	if t.half == 0 {
		return t.start + int64(number*1000/t.first)
	}
	period, within := number/t.inPeriod, number%t.inPeriod
	ms := period * 2 * t.half
	if within < t.inFirst {
		return t.start + int64(ms+within*1000/t.first)
	}
	return t.start + int64(ms+t.half+(within-t.inFirst)*1000/t.next)
}

// AppendTime writes milliseconds since the Unix epoch as 2026-01-01T00:00:00.050, in UTC, with another separator in the
// place of T if need be. Years have four digits.
func AppendTime(dst []byte, ms int64, separator byte) []byte {
	t := time.UnixMilli(ms).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, year, 4)
	dst = appendDigits(append(dst, '-'), int(month), 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, separator), hour, 2)
	dst = appendDigits(append(dst, ':'), minute, 2)
	dst = appendDigits(append(dst, ':'), second, 2)
	return appendDigits(append(dst, '.'), t.Nanosecond()/int(time.Millisecond), 3)
}

func appendDigits(dst []byte, n, digits int) []byte {
	at := len(dst)
	dst = append(dst, "0000"[:digits]...)
	for i := at + digits - 1; i >= at; i-- {
		dst[i] = '0' + byte(n%10)
		n /= 10
	}
	return dst
}
