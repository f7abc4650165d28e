// Package pace holds readers of made-up records to a rate. Time is given to it.
package pace

import "time"

// Pace holds a reader to a rate. One that was not asked for long does not catch up by more than a second: a rate is a pace, not
// a debt.
type Pace struct {
	Rate float64 // records a second; 0: any number

	begun time.Time
	made  float64 // records since begun
}

// Allowance is how many records may be made now, and when the next one may be if that is none.
func (p *Pace) Allowance(now time.Time, most int) (int, time.Time) {
	if p.Rate == 0 {
		return most, time.Time{}
	}
	if p.begun.IsZero() {
		p.begun = now
	}
	due := now.Sub(p.begun).Seconds()*p.Rate + 1
	if behind := due - p.made; behind > p.Rate+1 {
		p.made = due - p.Rate - 1
	}
	if n := int(due - p.made); n > 0 {
		return min(n, most), time.Time{}
	}
	wait := time.Duration((p.made + 1 - due) / p.Rate * float64(time.Second))
	return 0, now.Add(max(wait, time.Millisecond))
}

// Made says that so many records were made.
func (p *Pace) Made(n int) { p.made += float64(n) }
