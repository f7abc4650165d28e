package jobmanager

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// TestJobScripts runs the scripts of testdata/job_fsm: each command is an event, and its output every message that the
// state machine sends because of it, then where the job stands. `go test -run TestJobScripts -rewrite` writes the outputs
// anew; read the difference.
//
//	job [batch] [chains=(1,2)] [left=(0.0@a,0.1@b)] [attempt=N] [adopting] [decided] [cancelled] [stopped]   a new machine; by default one chain of two subtasks
//	copied | adopted | unrestorable                        the savepoint that the job goes on from
//	slots a b ... [anew=a]                                 slots are granted, one on each TaskManager named; one that is another process now
//	task 0.1 STATE [tm=a] [attempt=N] [kind=N] [cause=...] [holds]   what a TaskManager reports; by default the one it was placed on
//	deployed tm=a [refused=...] [unknown=...]              the answer to a deploy
//	lost a | timer [free=N] | cancel | stopped | redeploy parallelism=N | trying | exchanged | start | failed | decided | committed [kind=N] | left-out | cleaned before=N [failed] | ended | store-failed
//	after 10m                                              time goes by
func TestJobScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/job_fsm", func(t *testing.T, path string) {
		s := &jobScript{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
	})
}

type jobScript struct {
	m   *jobFSM
	now time.Time

	processes map[wire.TaskManagerID]int
}

func (s *jobScript) run(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "job" {
		return s.start(t, d)
	}
	if d.Cmd == "after" {
		wait, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			d.Fatalf(t, "%s", err)
		}
		s.now = s.now.Add(wait)
		return ""
	}
	actions := s.m.step(s.now, s.event(t, d))
	var out strings.Builder
	for _, a := range actions {
		fmt.Fprintln(&out, showAction(a))
	}
	fmt.Fprintln(&out, s.stands())
	return out.String()
}

func (s *jobScript) start(t *testing.T, d *datadriven.TestData) string {
	x := &graph.ExecutionGraph{}
	widths := []int{2}
	if d.HasArg("chains") {
		widths = nil
		for _, arg := range d.CmdArgs {
			if arg.Key != "chains" {
				continue
			}
			for i := range arg.Vals {
				var n int
				arg.Scan(t, i, &n)
				widths = append(widths, n)
			}
		}
	}
	for c, n := range widths {
		x.Chains = append(x.Chains, graph.Chain{Parallelism: n})
		if c > 0 {
			x.Chains[c].Inputs = []int{len(x.Edges)}
			x.Edges = append(x.Edges, graph.Edge{From: c - 1, To: c, Partition: graph.Hash})
		}
	}
	s.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.m = &jobFSM{exec: x, slotsTimeout: 30 * time.Second, restart: Restart{Delay: time.Second, MaxDelay: time.Minute, PerHour: 4}}
	s.m.decided, s.m.cancelled, s.m.stopped = d.HasArg("decided"), d.HasArg("cancelled"), d.HasArg("stopped")
	s.m.batches, s.processes = d.HasArg("batch"), map[wire.TaskManagerID]int{}
	d.MaybeScanArgs(t, "attempt", (*uint32)(&s.m.attempt))
	for _, arg := range d.CmdArgs {
		if arg.Key == "left" {
			s.left(t, d, arg.Vals)
		}
	}
	if d.HasArg("adopting") {
		s.m.phase, s.m.inherited = adopting, s.m.attempt
	}
	return s.stands() + "\n"
}

// left has tasks of attempt 1 finished under a JobManager before, each 0.1@a.
func (s *jobScript) left(t *testing.T, d *datadriven.TestData, tasks []string) {
	s.m.tasks, s.m.stored = map[graph.TaskID]*subtask{}, map[graph.TaskID]bool{}
	for _, one := range tasks {
		var id graph.TaskID
		var on string
		if _, err := fmt.Sscanf(strings.ReplaceAll(one, "@", " "), "%d.%d %s", &id.Chain, &id.Subtask, &on); err != nil {
			d.Fatalf(t, "%s: %s", one, err)
		}
		s.m.tasks[id] = &subtask{slot: schedule.Slot{TaskManager: wire.TaskManagerID(on)}, state: wire.TaskFinished, gone: true, attempt: 1}
		s.m.stored[id] = true
	}
}

func (s *jobScript) event(t *testing.T, d *datadriven.TestData) event {
	text := func(name string) (value string) {
		d.MaybeScanArgs(t, name, &value)
		return strings.ReplaceAll(value, "_", " ")
	}
	number := func(name string, without int) int { d.MaybeScanArgs(t, name, &without); return without }
	tm := wire.TaskManagerID(text("tm"))
	failure := func() *wire.Failure {
		if !d.HasArg("kind") {
			return nil
		}
		f := &wire.Failure{Kind: wire.Kind(number("kind", 0)), Message: text("cause")}
		if c := (wire.Channel{}); d.HasArg("channel") {
			if _, err := fmt.Sscanf(text("channel"), "%d.%d-%d.%d", &c.From.Chain, &c.From.Subtask, &c.To.Chain, &c.To.Subtask); err != nil {
				d.Fatalf(t, "%s", err)
			}
			f.Channel = &c
		}
		return f
	}
	attempt := graph.Attempt(number("attempt", int(s.m.attempt)))
	switch d.Cmd {
	case "start":
		return evStart{}
	case "failed":
		return evFailed{&wire.Failure{Kind: wire.KindInput, Message: "no input"}}
	case "copied":
		return evCopied{}
	case "adopted":
		return evAdopted{}
	case "unrestorable":
		return evUnrestorable{&wire.Failure{Kind: wire.KindState, Message: "damaged"}}
	case "slots":
		var slots []schedule.Slot
		used := map[string]int{}
		for _, arg := range d.CmdArgs {
			if arg.Key == "anew" {
				s.processes[wire.TaskManagerID(arg.Vals[0])] += 10
				continue
			}
			slots = append(slots, schedule.Slot{TaskManager: wire.TaskManagerID(arg.Key), Index: used[arg.Key]})
			used[arg.Key]++
			s.processes[wire.TaskManagerID(arg.Key)] += 0
		}
		return evSlots{slots: slots, processes: maps.Clone(s.processes)}
	case "timer":
		return evTimer{number: s.m.timer + number("older", 0), freeSlots: number("free", 0)}
	case "redeploy":
		x := *s.m.exec
		x.Chains = append([]graph.Chain(nil), x.Chains...)
		x.Chains[0].Parallelism = number("parallelism", 1)
		return evRedeploy{&x}
	case "trying":
		return evTrying{}
	case "exchanged":
		return evExchanged{}
	case "stopped":
		return evStopped{}
	case "cancel":
		return evCancel{}
	case "deployed":
		e := evDeployed{attempt: attempt, tm: tm, refused: d.HasArg("refused")}
		if e.refused || d.HasArg("unknown") {
			e.failure = &wire.Failure{Kind: wire.KindTaskManagerLost, Message: text("refused") + text("unknown")}
		}
		return e
	case "task":
		return s.task(t, d, tm, attempt, failure())
	case "lost":
		delete(s.processes, wire.TaskManagerID(d.CmdArgs[0].Key))
		return evLost{tm: wire.TaskManagerID(d.CmdArgs[0].Key), name: d.CmdArgs[0].Key, reason: "it died"}
	case "decided":
		return evDecided{1}
	case "committed":
		return evCommitted{failure()}
	case "left-out":
		s.m.leaves = true // as who has stored it does
		return evLeftOut{}
	case "cleaned":
		return evCleaned{graph.Attempt(number("before", 0)), !d.HasArg("failed")}
	case "ended":
		return evEnded{}
	case "store-failed":
		return evStoreFailed{&wire.Failure{Kind: wire.KindInternal, Message: "disk full"}}
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return nil
}

func (s *jobScript) task(t *testing.T, d *datadriven.TestData, tm wire.TaskManagerID, attempt graph.Attempt, f *wire.Failure) event {
	var id graph.TaskID
	if _, err := fmt.Sscanf(d.CmdArgs[0].Key, "%d.%d", &id.Chain, &id.Subtask); err != nil {
		d.Fatalf(t, "%s", err)
	}
	if known := s.m.tasks[id]; tm == "" && known != nil {
		tm = known.slot.TaskManager
	}
	e := evTask{attempt: attempt, tm: tm, task: id, state: wire.TaskState(d.CmdArgs[1].Key), failure: f}
	e.holds = d.HasArg("holds")
	if e.state == wire.TaskFinished {
		e.prepared = []connector.Committable{{Operator: "sink", Data: json.RawMessage(fmt.Sprintf("%q", id))}}
	}
	return e
}

// stands is where the job stands: phase, what people see, attempt, cause.
func (s *jobScript) stands() string {
	text := fmt.Sprintf("= %s %s attempt %d", s.m.phase, s.m.state(), s.m.attempt)
	if s.m.failure != nil {
		text += fmt.Sprintf(" cause %q", s.m.failure.Message)
	}
	return text
}

func showAction(a action) string {
	switch a := a.(type) {
	case actAdopt:
		return "copy the savepoint"
	case actStoreAdopted:
		return "store that it is copied"
	case actRequestSlots:
		if a.least > 0 {
			return fmt.Sprintf("request %d slots, or at least %d", a.wanted, a.least)
		}
		return fmt.Sprintf("request %d slots", a.wanted)
	case actKeepApart:
		return fmt.Sprintf("keep %s and %s apart", a.a, a.b)
	case actReleaseSlots:
		return "release slots"
	case actTimer:
		return fmt.Sprintf("timer %s", a.after)
	case actStoreAttempt:
		text := "store attempt"
		for _, id := range a.forget {
			text += fmt.Sprintf(", without the result of %s", id)
		}
		return text
	case actStoreResult:
		return fmt.Sprintf("store the result of %s", a.task)
	case actStoreCancel:
		return "store cancellation"
	case actRevert:
		return "store that the graph is the one before"
	case actExplain:
		return "store why"
	case actDecide:
		var all []string
		for _, c := range a.prepared {
			all = append(all, string(c.Data))
		}
		return "decide end, prepared " + strings.Join(all, " ")
	case actDeploy:
		text := fmt.Sprintf("-> %s deploy", a.tm)
		for _, task := range a.tasks {
			text += fmt.Sprintf(" %s in slot %d", task.Task, task.Slot)
		}
		for _, r := range a.replays {
			text += fmt.Sprintf(", replay %s of attempt %d to %s on %s", r.From, r.Attempt, r.To, r.At)
		}
		return text
	case actCancelTasks:
		return fmt.Sprintf("-> %s cancel", a.tm)
	case actCommit:
		return "-> any commit"
	case actClean:
		return fmt.Sprintf("-> any remove output of attempts before %d", a.before)
	case actEnd:
		if a.owed != 0 {
			return fmt.Sprintf("store end, and that output of attempts before %d is to be removed", a.owed)
		}
		return "store end"
	}
	return fmt.Sprintf("%#v", a)
}

// Who has asked something of an attempt that is over is told why, and what there is to do.
func TestWhyAnAttemptIsOver(t *testing.T) {
	lost := &wire.Failure{Message: "TaskManager a is lost"}
	for name, c := range map[string]struct {
		m         jobFSM
		why, then string // what they begin with
	}{
		"all input was read":    {jobFSM{phase: finishing}, "its input has ended", "it finishes"},
		"the end is decided":    {jobFSM{phase: finishing, decided: true}, "its input has ended", "it finishes"},
		"another has stopped":   {jobFSM{phase: stopping, outcome: finished, stopped: true}, "it was stopped with a savepoint", "run it from that"},
		"and all tasks ended":   {jobFSM{phase: finishing, outcome: finished, stopped: true}, "it was stopped with a savepoint", "run it from that"},
		"the user":              {jobFSM{phase: stopping, outcome: canceled, failure: lost}, "it was cancelled", "run it again"},
		"no task was left":      {jobFSM{phase: cleaning, outcome: canceled}, "it was cancelled", "run it again"},
		"a failure":             {jobFSM{phase: stopping, outcome: restart, failure: lost}, "TaskManager a is lost", "ask again"},
		"it waits for its time": {jobFSM{phase: delaying, outcome: restart, failure: lost}, "TaskManager a is lost", "ask again"},
		"it waits for slots":    {jobFSM{phase: waiting, attempt: 1, outcome: restart, failure: lost}, "TaskManager a is lost", "ask again"},
		"a failure for good":    {jobFSM{phase: cleaning, outcome: failed, failure: lost}, "TaskManager a is lost", "run it again"},
		"a rescaling":           {jobFSM{phase: waiting, attempt: 1, outcome: restart}, "it was changed", "ask again"},
	} {
		if why, then := c.m.whyOver(); !strings.HasPrefix(why, c.why) || !strings.HasPrefix(then, c.then) {
			t.Errorf("%s: %q, %q (expected %q, %q)", name, why, then, c.why, c.then)
		}
	}
}
