package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/wasmill/wasmill/internal/api"
)

// count writes 17141 as 17,141.
func count(n int64) string { return humanize.Comma(n) }

// size writes bytes in powers of ten: 240 KB.
func size(n int64) string {
	if n < 0 {
		n = 0
	}
	return strings.Replace(humanize.Bytes(uint64(n)), "kB", "KB", 1)
}

// rate writes a number a second in three digits: 3.10 M, 291 k.
func rate(perSecond float64) string {
	value, unit := humanize.ComputeSI(perSecond)
	digits := 0
	if unit != "" {
		digits = max(0, 2-int(math.Log10(value)))
	}
	return strings.TrimSpace(strconv.FormatFloat(value, 'f', digits, 64) + " " + unit)
}

// seconds writes a short duration: 0.4 s, 12 s, 3m 20s.
func seconds(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.3f s", d.Seconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return age(d)
}

// age writes a long duration in its two largest units: 3d 4h.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// plural writes 1 file, 2 files.
func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

// lifetime is how long a job has been there, or was.
func lifetime(j *api.Job, now time.Time) time.Duration {
	if j.Ended != nil {
		now = *j.Ended
	}
	return now.Sub(j.Created)
}

// shortest returns a prefix length at which all ids of the jobs differ, at least 6.
func shortest(jobs []api.Job) int {
	const least = 6
	n := least
	for i := range jobs {
		for j := range jobs[:i] {
			a, b := string(jobs[i].ID), string(jobs[j].ID)
			for n < len(a) && n < len(b) && a[:n] == b[:n] {
				n++
			}
		}
	}
	return n
}

func prefix(s string, n int) string { return s[:min(n, len(s))] }
