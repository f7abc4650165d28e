//go:build faults

package faults

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/failpoint"
)

// So long stays in the network what a process has said: the others have done without it since. A connection outlives it.
const (
	lateAck    = 4 * time.Second         // the lease is over by then, and another attempt runs
	lateCommit = 2500 * time.Millisecond // the JobManager is there again
	lateData   = 3500 * time.Millisecond // a way; a handshake takes two, and has 5 s
)

// latecomers are the part of row 10 that is about one kind of message each, which must be refused by number when it comes.
func latecomers() (all []scenario) {
	for _, s := range []scenario{
		{name: "an acknowledgement that is late", fault: lateAcknowledgement,
			prepare: func(x *run) { x.tms[0].fault = fmt.Sprintf("%s=stop@%d", failpoint.AsyncUpload, 3+x.random.IntN(3)) }},
		{name: "a commit that is late", fault: lateCommits,
			prepare: func(x *run) { x.jm.fault = fmt.Sprintf("%s=stop@%d", failpoint.DecisionLogged, 2+x.random.IntN(3)) }},
		{name: "data that is late", fault: lateRecords,
			prepare: func(x *run) { x.delay(1, 2, lateData) }},
	} {
		s.row, s.networked, s.workload, s.env, s.pace = "10", true, workload.WideChain, short, 300*time.Millisecond
		all = append(all, s)
	}
	return all
}

// delay has what process a sends to b stay in the network for so long, from now on.
func (x *run) delay(a, b int, by time.Duration) {
	x.net.worsen(x.addrOf(a), x.addrOf(b), weather{delay: by})
}

// refuses waits until something of a kind is refused.
func (x *run) refuses(kind string, before map[string]int) {
	x.t.Helper()
	if !x.waitRefused(kind, before, 20*time.Second) {
		x.t.Fatalf("no %s was refused by number", kind)
	}
}

// waitRefused says whether something of a kind is refused in time.
func (x *run) waitRefused(kind string, before map[string]int, limit time.Duration) bool {
	x.t.Helper()
	for begun := time.Now(); time.Since(begun) < limit; x.pass(20 * time.Millisecond) {
		if n := x.refused()[kind] - before[kind]; n > 0 {
			x.effect("%s that was late, refused by number: %d", kind, n)
			return true
		}
	}
	return false
}

// lateAcknowledgement has a TaskManager upload its part of a checkpoint, and its acknowledgement come when the next attempt runs.
func lateAcknowledgement(x *run) {
	zombie, before := x.tms[0], x.refused()
	x.until(30*time.Second, "a file is written", func(context.Context) bool { return zombie.stopped() })
	x.delay(1, 0, lateAck)
	zombie.signal(syscall.SIGCONT)
	x.until(lateAck, "the TaskManager is lost", func(ctx context.Context) bool {
		o, err := x.client.Overview(ctx)
		return err == nil && o.TaskManagers == len(x.tms)-1
	})
	x.refuses("acknowledge", before)
	x.onTime(1, 0)
	x.assemble()
	x.mended()
}

// lateCommits has the order to commit a checkpoint come to TaskManagers when the next JobManager has begun its epoch: if it is
// there in time, or else once more.
func lateCommits(x *run) {
	fault, before := x.jm.fault, x.refused()
	x.withholdCommit()
	for tries := 1; !x.waitRefused("commit", before, 2*lateCommit); tries++ {
		if tries == 4 {
			x.t.Fatal("no order to commit that was late was refused")
		}
		x.jm.kill()
		x.jm.fault = fault
		x.jm.start()
		x.withholdCommit()
	}
	x.mended()
}

// withholdCommit lets the JobManager, which stops behind a decision, send the order to commit, and kills it before that comes.
func (x *run) withholdCommit() {
	x.t.Helper()
	x.until(30*time.Second, "a checkpoint is decided", func(context.Context) bool { return x.jm.stopped() })
	for i := range x.tms {
		x.delay(0, 1+i, lateCommit)
	}
	sent := x.sentTo(1) + x.sentTo(2)
	x.jm.signal(syscall.SIGCONT)
	x.until(time.Second, "the order is sent", func(context.Context) bool { return x.sentTo(1)+x.sentTo(2) > sent })
	x.pass(50 * time.Millisecond)
	x.jm.signal(syscall.SIGSTOP) // what it sends again would be in time
	for i := range x.tms {
		x.onTime(0, 1+i)
	}
	x.jm.kill()
	x.revive(x.jm)
}

// lateRecords has the first records of an attempt come when the next one runs: who has sent them stands still meanwhile.
func lateRecords(x *run) {
	zombie, before := x.tms[0], x.refused()
	x.until(2*lateData, "records are sent", func(context.Context) bool { return x.counter(zombie, "wasmill_channels_sent_batches_total") > 0 })
	zombie.signal(syscall.SIGSTOP)
	x.refuses("channel", before)
	x.onTime(1, 2)
	zombie.signal(syscall.SIGCONT)
	x.assemble()
	x.mended()
}

// onTime mends a link; what is under way stays so.
func (x *run) onTime(a, b int) { x.net.heal(x.addrOf(a), x.addrOf(b)) }

// sentTo is how many packets the JobManager has sent to a process.
func (x *run) sentTo(i int) int { return x.net.counted(x.addrOf(0), x.addrOf(i)).sent }
