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

// lateness of what a process has said that the others have done without since: packets stay in the network for so long. A
// connection outlives it.
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

// refuses waits until something of a kind was refused that had not been before.
func (x *run) refuses(kind string, before map[string]int) {
	x.t.Helper()
	n := 0
	x.until(20*time.Second, kind+" is refused by number", func(context.Context) bool {
		n = x.refused()[kind] - before[kind]
		return n > 0
	})
	x.effect("%s that was late, refused by number: %d", kind, n)
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

// lateCommits has the order to commit a checkpoint come to TaskManagers when the next JobManager has begun its epoch.
func lateCommits(x *run) {
	before := x.refused()
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
	x.refuses("commit", before)
	x.mended()
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
