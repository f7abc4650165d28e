//go:build faults

package faults

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/failpoint"
)

// ofJobManager are the phases that the JobManager comes to. It is killed in them: row 2. For row 1 it stands still in them
// while a TaskManager is killed; in the others a TaskManager is killed by itself.
var ofJobManager = map[failpoint.Point]func(x *run){
	failpoint.Submit: nil, failpoint.TriggerLogged: nil, failpoint.Acked: nil, failpoint.DecisionLogged: nil, failpoint.RetentionGC: nil,
	failpoint.Rescaling: rescale, failpoint.Savepoint: takeSavepoint, failpoint.Upgrade: upgrade,
}

// phases kill a process in each of the 17 phases of a job's life, at a random occurrence of it. With one TaskManager
// nobody is left when that is killed.
func phases() (all []scenario) {
	for _, taskmanagers := range []int{2, 1} {
		for _, p := range failpoint.Points {
			ask, jobManager := ofJobManager[p]
			s := scenario{row: "1", name: fmt.Sprintf("%s, %d TaskManagers", p, taskmanagers), taskmanagers: taskmanagers, remark: true, fullOnly: taskmanagers == 1}
			switch {
			case jobManager:
				if p == failpoint.Savepoint {
					s.last = func(x *run) { x.savepointIs(x.path("savepoint")) }
				}
				if taskmanagers == 2 {
					all = append(all, killedItself(s, p, ask))
				}
				s = meanwhile(s, p, ask)
			default:
				s = killsTaskManager(s, p)
			}
			all = append(all, s)
			unaligned := overtaking(s)
			unaligned.fullOnly = taskmanagers == 1 || jobManager
			all = append(all, unaligned)
		}
	}
	return all
}

// killedItself is the scenario of row 2: the JobManager is killed in a phase.
func killedItself(s scenario, p failpoint.Point, ask func(x *run)) scenario {
	s.row, s.name = "2", fmt.Sprintf("%s, JobManager", p)
	s.prepare = func(x *run) { x.jm.fault = atSome(x, p, "kill") }
	s.fault = func(x *run) { killedInPhase(x, []*process{x.jm}, ask) }
	return s
}

// killsTaskManager is the scenario of a phase that TaskManagers come to.
func killsTaskManager(s scenario, p failpoint.Point) scenario {
	s.prepare = func(x *run) {
		for _, tm := range x.tms { // which of them comes to the phase first is not known
			tm.fault = atSome(x, p, "kill")
		}
	}
	s.fault = func(x *run) { killedInPhase(x, x.tms, nil) }
	switch p {
	case failpoint.Restoring:
		s.fault = func(x *run) {
			x.completes(1)
			x.jm.kill()
			x.revive(x.jm)
			killedInPhase(x, x.tms, nil)
		}
	case failpoint.Aligning:
		s.workload = workload.WideChain
	}
	return s
}

// exchanges kill a TaskManager while a module is exchanged: when guests of the new one are started, and when a task has gone
// on with them and nothing is decided.
func exchanges() (all []scenario) {
	for _, p := range []failpoint.Point{failpoint.Prepared, failpoint.Exchanged} {
		all = append(all, scenario{
			row: "1", name: fmt.Sprintf("%s, exchange of a module", p), workload: workload.Versioned,
			prepare: func(x *run) {
				for _, tm := range x.tms {
					tm.fault = fmt.Sprintf("%s=kill@1", p)
				}
			},
			fault: func(x *run) { killedInPhase(x, x.tms, upgrade) },
		})
	}
	return all
}

// adoptions kill the JobManager while a job copies the savepoint that it goes on from: the next one goes on with the copy.
func adoptions() []scenario {
	return []scenario{{
		row: "2", name: "adopting, JobManager", remark: true,
		prepare: func(x *run) { x.jm.fault = fmt.Sprintf("%s=kill@1", failpoint.Adopting) },
		fault: func(x *run) {
			x.completes(1)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if _, err := x.client.TakeSavepoint(ctx, x.job, &api.TakeSavepoint{Path: x.path("savepoint"), Stop: true}); err != nil {
				x.t.Fatal(err)
			}
			x.another(x.path("savepoint"))
			killedInPhase(x, []*process{x.jm}, nil)
		},
	}}
}

// overtaking is a scenario whose checkpoints overtake what is in flight, which is much. What the job went on from held some
// of it, or not: the remark says how often it did.
func overtaking(s scenario) scenario {
	s.name += ", unaligned"
	s.workload, s.records = workload.Congested, 60_000
	s.env = append(slices.Clip(s.env), "WASMILL_CHECKPOINT_UNALIGNED=true")
	fault, last := s.fault, s.last
	s.fault = func(x *run) {
		fault(x)
		x.restoresInFlight()
	}
	s.last = func(x *run) {
		if last != nil {
			last(x)
		}
		some, all := x.restores()
		x.note = strings.TrimPrefix(x.note+fmt.Sprintf(", %d of %d restores with records in flight", some, all), ", ")
	}
	return s
}

// restores counts what the job went on from, and how often that held records in flight.
func (x *run) restores() (some, all int) {
	for _, m := range inFlight.FindAllStringSubmatch(x.jm.log(), -1) {
		if all++; m[1] != "0" {
			some++
		}
	}
	return some, all
}

var inFlight = regexp.MustCompile(`msg=restore .*inFlight=(\d+)`)

// restoresInFlight kills TaskManagers until the job has gone on from a checkpoint with records in flight: where the phase was
// met says nothing of that.
func (x *run) restoresInFlight() {
	x.t.Helper()
	for range 5 {
		if some, _ := x.restores(); some > 0 {
			return
		}
		x.completes(1)
		x.pass(x.someTime(200 * time.Millisecond))
		p := x.tms[x.random.IntN(len(x.tms))]
		p.kill()
		x.revive(p)
		x.mended()
	}
	if some, all := x.restores(); some == 0 {
		x.t.Errorf("none of %d restores had records in flight: nothing that was overtaken was restored", all)
	}
}

// atSome kills or stops the process at some occurrence of a phase.
func atSome(x *run, p failpoint.Point, action string) string {
	n := 1 + x.random.IntN(3)
	switch p {
	case failpoint.Submit, failpoint.Restoring, failpoint.Rescaling, failpoint.Savepoint, failpoint.Upgrade, failpoint.Deploy, failpoint.RetentionGC:
		n = 1
	case failpoint.Running:
		n = 1 + x.random.IntN(30)
	}
	return fmt.Sprintf("%s=%s@%d", p, action, n)
}

// killedInPhase waits until one of the processes is killed by its failpoint, asks before for what may lead there, and
// starts it again. Every other run kills a process at a random time as well.
func killedInPhase(x *run, which []*process, ask func(x *run)) {
	x.t.Helper()
	if ask != nil {
		x.completes(1)
		ask(x)
	}
	dead := func() bool {
		for _, p := range which {
			if !p.runs() {
				return true
			}
		}
		return len(which[0].points()) > 0 // it was started again when the job was submitted
	}
	x.until(30*time.Second, "a process is killed in the phase", func(context.Context) bool { return dead() })
	x.pass(x.someTime(500 * time.Millisecond))
	for _, p := range which {
		if !p.runs() && !p.wasKilled() {
			x.t.Errorf("%s has ended, and not by SIGKILL: %v", p.name, p.cmd.ProcessState)
		}
		if !p.runs() {
			x.revive(p)
		}
	}
	if x.random.IntN(2) == 0 {
		x.strike()
	}
	x.mended()
}

// later asks the JobManager for something that its death will interrupt.
func later(x *run, ask func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	done := make(chan struct{})
	x.t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		_ = ask(ctx) // what was asked for is done, or not, as a whole: the output tells
	}()
}

func rescale(x *run) {
	n := 1
	if len(x.tms) > 1 { // there are slots for more
		n += 2 * x.random.IntN(2)
	}
	later(x, func(ctx context.Context) error {
		_, err := x.client.RescaleJob(ctx, x.job, &api.Rescale{Parallelism: &n})
		return err
	})
}

func takeSavepoint(x *run) {
	later(x, func(ctx context.Context) error {
		_, err := x.client.TakeSavepoint(ctx, x.job, &api.TakeSavepoint{Path: x.path("savepoint")})
		return err
	})
}

// upgrade gives the job a module that is the same but for a custom section of random bytes, and another version to tell.
func upgrade(x *run) {
	x.t.Helper()
	section := fmt.Appendf([]byte{0, 5, 1, 'x'}, "%03d", x.seed%1000) // id, size, length of the name, name, bytes
	id := x.upload(append(append([]byte(nil), x.module...), section...))
	later(x, func(ctx context.Context) error {
		u := &api.Upgrade{Module: id, Params: map[string]string{}}
		if _, tells := x.params["version"]; tells {
			u.Params["version"] = "2"
		}
		_, err := x.client.UpgradeJob(ctx, x.job, u)
		return err
	})
}

// kills end processes from outside: one, all, again and again.
func kills() []scenario {
	return []scenario{
		{row: "1", name: "random kills", remark: true, fault: func(x *run) {
			x.completes(1)
			for range 3 {
				x.strike()
			}
			x.mended()
		}},
		// Its file is read in parts by both TaskManagers at once, whose watermarks must not pass each other.
		{row: "1", name: "random kills, windows", workload: workload.Windows, fault: func(x *run) {
			x.completes(2)
			x.tms[x.random.IntN(2)].kill()
			x.mended()
			x.strike()
			x.mended()
		}},
		{row: "1", name: "random kills, enrichment", workload: workload.Enrich, records: 16_000, pace: 700 * time.Millisecond, fault: func(x *run) {
			x.completes(1)
			x.strike()
			x.mended()
		}},
		{row: "1", name: "both TaskManagers", fault: func(x *run) {
			x.completes(2)
			for _, tm := range x.tms {
				tm.kill()
			}
			x.mended()
		}},
		{row: "3", name: "TaskManager and JobManager", remark: true, fault: func(x *run) {
			x.completes(1 + x.random.IntN(3))
			x.pass(x.someTime(300 * time.Millisecond))
			x.killed = true
			x.jm.kill()
			x.tms[0].kill()
			x.mended()
		}},
		{row: "3", name: "every process", remark: true, fault: func(x *run) {
			for round := range 2 {
				x.completes(1 + x.random.IntN(3-2*round)) // the input has to last
				x.pass(x.someTime(300 * time.Millisecond))
				x.killed = true
				for _, p := range x.processes() {
					p.kill()
				}
				x.pass(x.someTime(300 * time.Millisecond))
				x.mended()
			}
		}},
		{row: "4", name: "crash loop while restoring", workload: workload.Ledger, records: 300_000, fault: crashLoop},
		{row: "4", name: "crash loop while restoring, given up", workload: workload.Ledger, records: 300_000, env: []string{"WASMILL_RESTART_PER_HOUR=3"}, fault: givenUp},
	}
}

// crashLoop kills each TaskManager whenever it restores, some times.
func crashLoop(x *run) {
	x.completes(2)
	most := 5
	if *full {
		most = 10
	}
	x.crashing()
	for range 1 + x.random.IntN(most) {
		x.crash()
	}
	for _, tm := range x.tms {
		tm.kill()
		tm.fault = ""
	}
	x.mended()
}

// givenUp crashes more often than a job is restarted: it is FAILED, says why, and stays so. Then it is gone on with.
func givenUp(x *run) {
	x.completes(2)
	x.crashing()
	var j *api.Job
	for crashes := 0; j == nil; crashes++ {
		if crashes > 10 {
			x.t.Fatalf("the job is not given up after %d crashes", crashes)
		}
		for _, tm := range x.tms {
			if !tm.runs() {
				tm.start()
			}
		}
		x.until(30*time.Second, "a TaskManager is killed while it restores, or the job is given up", func(ctx context.Context) bool {
			now, err := x.client.GetJob(ctx, x.job)
			if err == nil && now.State == api.JobFailed {
				j = now
			}
			return j != nil || !x.tms[0].runs() || !x.tms[1].runs()
		})
	}
	if m := j.Failure.Message; !strings.Contains(m, "taskmanager-") || !strings.Contains(m, "(given up after 3 restarts within an hour)") {
		x.t.Errorf("the job is FAILED: %q (expected the TaskManager that was lost, and that it was given up after 3 restarts)", m)
	}
	x.effect("FAILED after %d restarts", j.Restarts)
	x.until(10*time.Second, "its last checkpoint is a savepoint", func(context.Context) bool {
		_, err := os.Stat(x.path("checkpoints", string(x.job), checkpoint.SealName))
		return err == nil
	})
	for _, tm := range x.tms {
		tm.kill()
		tm.fault = ""
	}
	x.jm.kill()
	x.jm.start()
	if again := x.terminal(); again.State != api.JobFailed || again.Attempt != j.Attempt || again.Failure.Message != j.Failure.Message {
		x.t.Errorf("behind a start of the JobManager the job is %s: %v (expected FAILED as before)", again.State, again.Failure)
	}
	for _, tm := range x.tms {
		tm.start()
	}
	x.goOn()
	x.mended()
}

// crashing kills the TaskManagers, and each from now on whenever it restores.
func (x *run) crashing() {
	for _, tm := range x.tms {
		tm.kill()
		tm.fault = fmt.Sprintf("%s=kill", failpoint.Restoring)
	}
}

// crash starts those that are not there, and waits until one is killed.
func (x *run) crash() {
	x.t.Helper()
	for _, tm := range x.tms {
		if !tm.runs() {
			tm.start()
		}
	}
	x.until(30*time.Second, "a TaskManager is killed while it restores", func(context.Context) bool {
		return !x.tms[0].runs() || !x.tms[1].runs()
	})
}
