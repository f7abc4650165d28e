//go:build faults

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// durables are the directories of a run that must outlive a power cut, and what is asked of each on the way to a decision.
var durables = []struct {
	dir string
	ops []op
}{
	{"checkpoints", []op{opCreate, opWrite, opSync, opLink, opRemove, opSyncDir}},
	{"jobmanager", []op{opWrite, opSync}},
	{"job/output", []op{opCreate, opWrite, opSync, opRename, opSyncDir}},
}

// disks break what files lie on.
func disks() (all []scenario) {
	for _, part := range [][]scenario{ioErrors(), powerCuts(), slowDisks()} {
		all = append(all, part...)
	}
	for i := range all {
		all[i].prepare = onDisks
	}
	return all
}

// onDisks puts what lasts on disks that can be broken, and what is kept beside it.
func onDisks(x *run) {
	for _, d := range durables {
		x.mount(d.dir)
	}
	x.mount("state")
}

// disk is that of a directory.
func (x *run) disk(name string) *disk {
	for _, d := range x.disks {
		if d.name == name {
			return d
		}
	}
	x.t.Fatalf("%s is on no disk of its own", name)
	return nil
}

// meets waits until a breakage was met so often. What fails to write may end, and is started again.
func (x *run) meets(d *disk, b *breakage, times int) {
	x.t.Helper()
	x.until(30*time.Second, fmt.Sprintf("%s of %s", b.what, d.name), func(ctx context.Context) bool {
		for _, p := range x.processes() {
			if !p.runs() && b.do != cuts {
				x.effect("%s ended by itself", p.name)
				p.start()
			}
		}
		x.look(ctx)
		return d.met(b) >= times
	})
}

// blackout takes the power from the machine, and gives it back. Of what was not durable all is lost; with luck, any part.
func (x *run) blackout(luck *rand.Rand) {
	x.t.Helper()
	x.power.cut()
	for _, p := range x.processes() {
		_ = p.cmd.Process.Kill()
	}
	for _, p := range x.processes() {
		<-p.ended
	}
	x.power = &power{off: make(chan struct{})}
	how := map[bool]string{true: "lost", false: "lost or torn"}[luck == nil]
	for _, d := range x.disks {
		d.stop()
		if d.cut(luck) > 0 {
			x.effect("power cut: %s in %s", how, d.name)
		}
		d.start()
	}
}

// maybe is luck, every other time.
func (x *run) maybe() *rand.Rand {
	if x.random.IntN(2) == 0 {
		return x.random
	}
	return nil
}

// cutBefore cuts the power before something is done.
func (x *run) cutBefore(dir string, o op, luck *rand.Rand) {
	x.t.Helper()
	d := x.disk(dir)
	b := d.set(breakage{what: "power cut before a " + string(o), ops: []op{o}, after: x.random.IntN(20), do: cuts})
	x.meets(d, b, 1)
	x.blackout(luck)
	d.lift(b)
	x.mended()
}

// powerCuts lose what was not made durable.
func powerCuts() (all []scenario) {
	all = append(all, scenario{row: "16", name: "at random", workload: workload.WideChain, pace: 250 * time.Millisecond, remark: true, fault: func(x *run) {
		x.killed = true
		for range 3 {
			x.completes(1 + x.random.IntN(2))
			x.pass(x.someTime(500 * time.Millisecond))
			x.blackout(x.maybe())
			x.mended()
		}
	}})
	for _, d := range durables {
		for _, o := range d.ops {
			all = append(all, scenario{row: "16", name: fmt.Sprintf("before a %s in %s", o, d.dir), fullOnly: o != opSync, fault: func(x *run) {
				x.completes(1)
				x.cutBefore(d.dir, o, x.maybe())
			}})
		}
	}
	for _, w := range []*workload.Workload{workload.WideChain, totals} {
		all = append(all, scenario{row: "17", name: "a disk that says it has synced", workload: w, fault: lyingDisk, end: func(*run) {},
			env: []string{"WASMILL_CHECKPOINT_RETAINED=20"}}) // some are older
	}
	all = append(all, scenario{row: "17", name: "parts of writes, in any order", workload: workload.HashChain, records: 60_000, pace: 400 * time.Millisecond, fault: func(x *run) {
		for range 3 {
			x.completes(1)
			d := durables[x.random.IntN(len(durables))]
			x.cutBefore(d.dir, opSync, x.random)
		}
	}})
	return all
}

// lyingDisk loses files of a checkpoint that was decided. That is seen; a job that has shown nothing since goes back. What one
// that is refused has shown is right.
func lyingDisk(x *run) {
	x.completes(3)
	d := x.disk("checkpoints")
	b := d.set(breakage{what: "sync that does nothing", ops: []op{opSync}, path: "/files/", times: 1 + x.random.IntN(2), do: lies})
	x.meets(d, b, b.times)
	x.completes(2)
	x.blackout(x.maybe())
	d.lift(b)
	x.slow(false)
	for _, p := range x.processes() {
		p.start()
	}
	j := x.terminal()
	switch {
	case j.State == api.JobFinished:
		x.note = "exact"
		if err := x.workload.Verify(x.path("job"), x.input); err != nil {
			x.t.Error(err)
		}
	case x.workload == totals || j.Failure.Kind != wire.KindState || !strings.Contains(j.Failure.Message, "files/"):
		x.t.Errorf("the job is %s: %+v (expected FAILED, naming a file, if it has shown output)", j.State, j.Failure)
	default:
		x.note = "refused"
		x.isBeginning("a disk that lies")
		x.rewinds()
	}
}

// rewinds goes on with a failed job from its newest checkpoint that is whole: without what was committed since, which comes
// again, the output is exact.
func (x *run) rewinds() {
	x.t.Helper()
	v, err := x.client.VerifyCheckpoints(context.Background(), x.job)
	if err != nil {
		x.t.Fatal(err)
	}
	whole := checkpoint.ID(0)
	for _, c := range v.Checkpoints {
		if len(c.Faults) == 0 {
			whole = max(whole, c.ID)
		}
	}
	again := 0
	for _, path := range x.parts("") {
		if x.checkpointOf(path) > whole {
			again++
			if err := os.Remove(path); err != nil {
				x.t.Fatal(err)
			}
		}
	}
	if whole == 0 || again == 0 {
		x.t.Fatalf("checkpoint %d is whole, and %d files were committed since (expected some of both)", whole, again)
	}
	x.rewind = true
	x.goOn()
	x.finish()
	x.note += fmt.Sprintf(", gone on with from checkpoint %d: exact", whole)
}

// ioErrors have the disk refuse to read or to write.
func ioErrors() (all []scenario) {
	for _, dir := range []string{"checkpoints", "job/output", "jobmanager", "state"} {
		all = append(all, scenario{row: "15", name: "EIO on write in " + dir, fullOnly: dir == "state", fault: func(x *run) {
			x.completes(1)
			d := x.disk(dir)
			b := d.set(breakage{what: "EIO on write", ops: []op{opWrite, opSync}, after: x.random.IntN(5), times: 1 + x.random.IntN(10), do: deed(x.random.IntN(2)), errno: syscall.EIO})
			x.meets(d, b, 1)
			x.pass(x.someTime(time.Second))
			d.lift(b)
			x.mended()
		}})
		if dir == "state" { // nobody syncs it
			continue
		}
		all = append(all, scenario{row: "15", name: "fsync fails once in " + dir, fault: func(x *run) {
			x.completes(1)
			d := x.disk(dir)
			b := d.set(breakage{what: "fsync fails and loses", ops: []op{opSync}, after: x.random.IntN(10), times: 1, do: loses, errno: syscall.EIO})
			x.meets(d, b, 1)
			x.keepRunning(2)
			d.lift(b)
			x.blackout(nil) // what the failed fsync was about is seen to be lost
			x.mended()
		}})
	}
	return append(all, scenario{row: "15", name: "EIO on read", fault: func(x *run) {
		x.completes(2)
		d := x.disk("checkpoints")
		b := d.set(breakage{what: "EIO on read", ops: []op{opRead}, do: refuse, errno: syscall.EIO})
		for _, tm := range x.tms {
			tm.kill()
		}
		x.forget()
		for _, tm := range x.tms {
			tm.start()
		}
		x.meets(d, b, 5)
		x.pass(x.someTime(2 * time.Second))
		d.lift(b)
		x.mended()
	}})
}

// forget removes the copies that TaskManagers have kept on their own disks.
func (x *run) forget() {
	x.t.Helper()
	for _, tm := range x.tms {
		if err := os.RemoveAll(x.path("state", tm.name)); err != nil {
			x.t.Fatal(err)
		}
	}
}

// keepRunning waits for checkpoints, and starts processes that have ended.
func (x *run) keepRunning(checkpoints int) {
	x.up = true
	x.completes(checkpoints)
	x.up = false
}

// slowDisks and slow processes make a straggler.
func slowDisks() []scenario {
	return []scenario{
		{row: "20", name: "fsync takes 5 s on a TaskManager", workload: workload.WideChain, pace: 250 * time.Millisecond, env: []string{"WASMILL_CHECKPOINT_TIMEOUT=1s", "WASMILL_CHECKPOINT_TOLERATED_FAILURES=10"}, fault: func(x *run) {
			x.completes(1)
			attempt := x.attempt()
			d, slow := x.disk("checkpoints"), x.tms[x.random.IntN(2)]
			b := d.set(breakage{what: "fsync takes 5 s", ops: []op{opSync}, by: func() int { return slow.cmd.Process.Pid }, do: delays, delay: 5 * time.Second})
			x.until(30*time.Second, "checkpoints time out", func(context.Context) bool {
				return strings.Count(x.jm.log(), "checkpoint given up") >= 2
			})
			if j, err := x.client.GetJob(context.Background(), x.job); err != nil || j.GivenUp == nil || !strings.Contains(j.GivenUp.Cause, slow.name) {
				x.t.Errorf("the job does not show %s as the straggler: %+v, %v", slow.name, j, err)
			}
			d.lift(b)
			x.mended()
			x.sameAttempt(attempt)
			x.stragglerShown(slow)
		}},
		{row: "20", name: "a TaskManager has 10 % of a core", workload: workload.Ledger, pace: 250 * time.Millisecond, env: []string{"WASMILL_CHECKPOINT_TIMEOUT=5s"}, fault: func(x *run) {
			x.completes(1)
			attempt := x.attempt()
			slow := x.tms[x.random.IntN(2)]
			for range 30 {
				slow.signal(syscall.SIGSTOP)
				x.pass(90 * time.Millisecond)
				slow.signal(syscall.SIGCONT)
				x.pass(10 * time.Millisecond)
			}
			x.effect("%s had 10 %% of its time", slow.name)
			x.mended()
			x.sameAttempt(attempt)
		}},
	}
}

// sameAttempt wants no restart.
func (x *run) sameAttempt(as graph.Attempt) {
	x.t.Helper()
	if now := x.attempt(); now != as {
		x.t.Errorf("attempt %d runs (expected %d: nothing had failed)", now, as)
	}
}

// stragglerShown wants the JobManager to say whom a checkpoint waited for.
func (x *run) stragglerShown(slow *process) {
	x.t.Helper()
	for _, line := range strings.Split(x.jm.log(), "\n") {
		if strings.Contains(line, "checkpoint given up") && !strings.Contains(line, slow.name) {
			x.t.Errorf("%s is not named: %s", slow.name, line)
		}
	}
}
