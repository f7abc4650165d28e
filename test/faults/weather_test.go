//go:build faults

package faults

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// everywhere are all directions.
func (x *run) everywhere() (all []direction) {
	for a := range len(x.processes()) {
		for b := range a {
			all = append(all, x.between([]int{a}, []int{b})...)
		}
	}
	return all
}

// brew makes links bad until the function that it returns is called; what became of their packets is the effect.
func (x *run) brew(links []direction, w weather) (clear func()) {
	for _, d := range links {
		x.net.worsen(d.from, d.to, w)
	}
	return func() {
		var sum counts
		for _, d := range links {
			x.net.heal(d.from, d.to)
			sum.add(x.net.counted(d.from, d.to))
		}
		if sum.faults() > 0 {
			x.effect("%s", sum)
		}
	}
}

// badLinks is row 8.
func badLinks() (all []scenario) {
	for _, b := range []struct {
		name     string
		weather  weather
		fullOnly bool
	}{
		{"loss 1 %", weather{loss: 0.01}, true},
		{"loss 5 %, overtaken, doubled", weather{loss: 0.05, overtaken: 0.05, twice: 0.05}, false},
		{"loss 20 %", weather{loss: 0.2}, false},
		{"bursts of losses", weather{burst: 0.005}, true},
		{"overtaken", weather{overtaken: 0.3}, true},
		{"doubled", weather{twice: 0.3}, true},
		{"all at once", weather{loss: 0.05, burst: 0.001, overtaken: 0.05, twice: 0.05, damage: 0.02, shorten: 0.02, jitter: 5 * time.Millisecond}, true},
	} {
		all = append(all, scenario{row: "8", name: b.name, networked: true, fullOnly: b.fullOnly, fault: func(x *run) {
			x.completes(1)
			attempt := x.attempt()
			begun := time.Now()
			clear := x.brew(x.everywhere(), b.weather)
			x.completes(4)
			clear()
			x.note = fmt.Sprintf("%d restarts, 4 checkpoints in %.1f s", x.attempt()-attempt, time.Since(begun).Seconds())
		}, last: func(x *run) { x.compare(b.weather) }})
	}
	return all
}

// slowWeather is a link of 1 Mbit/s and 200 ms, more or less.
var slowWeather = weather{rate: 1_000_000 / 8, delay: 200 * time.Millisecond, jitter: 50 * time.Millisecond}

// slowLinks is row 7. A checkpoint that waits behind the records is slow with the link; one that overtakes them is not.
func slowLinks() (all []scenario) {
	for _, unaligned := range []bool{false, true} {
		s := scenario{row: "7", name: "slow link", networked: true, fullOnly: !unaligned, workload: workload.Ledger, records: 700_000, pace: 150 * time.Millisecond,
			env: []string{"WASMILL_CHECKPOINT_RETAINED=100"}}
		if *full {
			s.records *= 3
		}
		if unaligned {
			s.name += ", unaligned"
			s.env = append(s.env, "WASMILL_CHECKPOINT_UNALIGNED=true")
		}
		s.fault = func(x *run) { slowLink(x, unaligned) }
		all = append(all, s)
	}
	return all
}

// slowdown is how much longer an unaligned checkpoint may take, besides a round trip of the link, which nothing can overtake;
// headroom is how much more memory a TaskManager may have.
const (
	slowdown = 10
	headroom = 64 << 20
)

func slowLink(x *run, unaligned bool) {
	x.t.Helper()
	x.completes(5)
	normal := mean(x.durations(0))
	from := x.last
	before := x.resident()
	blocked, _ := x.sources()
	clear := x.brew(x.between([]int{1}, []int{2}), slowWeather)
	begun := time.Now()
	most := int64(0)
	limit := 10 * time.Second
	if *full {
		limit = time.Minute
	}
	for time.Since(begun) < limit {
		x.pass(100 * time.Millisecond)
		most = max(most, x.resident())
	}
	x.completes(1)
	took := time.Since(begun)
	after, tasks := x.sources()
	slow := mean(x.durations(from + 1)) // that was on its way when the link became slow
	clear()
	share := float64(after-blocked) / float64(took) / float64(max(tasks, 1))
	x.note = fmt.Sprintf("a checkpoint took %s, then %s; sources stood for %.0f %%; memory grew by %d MiB", normal.Round(time.Millisecond),
		slow.Round(time.Millisecond), 100*share, (most-before)>>20)
	if share < 0.2 {
		x.t.Errorf("sources stood for %.0f %% of the time (expected >= 20 %%: back-pressure reaches them)", 100*share)
	}
	if most > before+headroom {
		x.t.Errorf("a TaskManager has %d MiB (it had %d before; expected <= %d more)", most>>20, before>>20, headroom>>20)
	}
	if limit := slowdown*normal + 2*(slowWeather.delay+slowWeather.jitter); unaligned && slow > limit {
		x.t.Errorf("a checkpoint took %s (%s before; expected < %s)", slow, normal, limit)
	}
}

// durations are those of the retained checkpoints behind one.
func (x *run) durations(behind checkpoint.ID) (all []time.Duration) {
	x.t.Helper()
	x.until(10*time.Second, "the JobManager tells the checkpoints", func(ctx context.Context) bool {
		retained, err := x.client.JobCheckpoints(ctx, x.job)
		for _, c := range retained {
			if c.ID > behind {
				all = append(all, c.Duration)
			}
		}
		return err == nil
	})
	return all
}

func mean(all []time.Duration) (sum time.Duration) {
	for _, d := range all {
		sum += d
	}
	return sum / time.Duration(max(len(all), 1))
}

// sources is how long the job's source tasks have waited for their receivers, all together, and how many there are.
func (x *run) sources() (blocked time.Duration, tasks int) {
	x.t.Helper()
	var plan *api.Plan
	x.until(10*time.Second, "the JobManager tells what tasks do", func(ctx context.Context) (ok bool) {
		var err error
		plan, err = x.client.JobPlan(ctx, x.job)
		return err == nil
	})
	for _, t := range plan.Tasks {
		if t.Metrics.InputRead > 0 {
			blocked += time.Duration(t.Metrics.BlockedNs)
			tasks++
		}
	}
	return blocked, tasks
}

// resident is the memory of the largest TaskManager.
func (x *run) resident() (most int64) {
	x.t.Helper()
	for _, tm := range x.tms {
		pages, err := strconv.ParseInt(tm.proc("statm", 1), 10, 64)
		if err != nil {
			x.t.Fatal(err)
		}
		most = max(most, pages*int64(os.Getpagesize()))
	}
	return most
}

// proc is a field of a file of /proc about the process.
func (p *process) proc(file string, field int) string {
	p.x.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file))
	if err != nil {
		p.x.t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if field >= len(fields) {
		p.x.t.Fatalf("/proc/%d/%s: %q", p.cmd.Process.Pid, file, text)
	}
	return fields[field]
}
