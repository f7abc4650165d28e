package jobmanager

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// upgrade asks for another module while the test goes on.
func (c *cluster) upgrade(job graph.JobID, params map[string]string) <-chan error {
	answer := make(chan error, 1)
	go func() {
		done, err := c.jm.UpgradeJob(c.t.Context(), job, &api.Upgrade{Module: c.upload(), Params: params})
		if err == nil && (done.Way != api.UpgradeInPlace || done.Checkpoint == 0) {
			err = errors.New("it was no exchange")
		}
		answer <- err
	}()
	synctest.Wait()
	return answer
}

func (c *cluster) answered(answer <-chan error, want string) {
	c.t.Helper()
	synctest.Wait()
	select {
	case err := <-answer:
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			c.t.Errorf("%v (expected %q)", err, want)
		}
	default:
		c.t.Errorf("there is no answer yet (expected %q)", want)
	}
}

// withCheckpoints starts the cluster's JobManager anew, with checkpoints when they are asked for.
func (c *cluster) withCheckpoints(t *testing.T) {
	c.store = t.TempDir()
	if err := c.jm.Close(); err != nil {
		t.Fatal(err)
	}
	c.start()
}

func TestModulesAreExchangedWithTheDecision(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a, b := c.add("a", 1), c.add("b", 1)
		job := c.submit(2)
		answer := c.upgrade(job.ID, map[string]string{"window": "7"})
		a.heard("deploy 1 of attempt 1", "prepare 1", "trigger 1, exchange 1")
		b.heard("deploy 1 of attempt 1", "prepare 1", "trigger 1, exchange 1")
		c.answered(c.upgrade(job.ID, map[string]string{"window": "8"}), "an upgrade of job "+string(job.ID)+" is under way")
		a.acknowledge(1)
		if now := c.expect(job.ID, api.JobRunning, ""); now.Params["window"] != "" {
			t.Errorf("the job has the new parameters before they are decided: %v", now.Params)
		}
		b.acknowledge(1)
		c.answered(answer, "")
		if now := c.expect(job.ID, api.JobRunning, ""); now.Params["window"] != "7" || now.Attempt != 1 {
			t.Errorf("upgraded job: %+v", now)
		}
		a.heard("conclude 1")
		b.heard("conclude 1")
		c.answered(c.upgrade(job.ID, map[string]string{"window": "7"}), "job "+string(job.ID)+" runs this module with these parameters")
		// whoever comes next goes on with it
		b.kill()
		c.jm.Lost("b", "killed")
		c.add("c", 1)
		c.expect(job.ID, api.JobRunning, "killed")
		if g := a.deployed[len(a.deployed)-1].Graph; g.Params["window"] != "7" {
			t.Errorf("attempt 2 is deployed with %v", g.Params)
		}
	})
}

func TestAnExchangeThatOneTaskManagerRefusesIsDropped(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a, b := c.add("a", 1), c.add("b", 1)
		job := c.submit(2)
		b.set(func() {
			b.unprepared = &wire.Failure{Kind: wire.KindModule, Message: "start module 123: out of memory"}
		})
		c.answered(c.upgrade(job.ID, map[string]string{"window": "7"}),
			"job "+string(job.ID)+" was not upgraded: prepare it on TaskManager taskmanager-b: start module 123: out of memory")
		a.heard("deploy 1 of attempt 1", "prepare 1", "drop 1")
		b.heard("deploy 1 of attempt 1", "prepare 1", "drop 1")
		if now := c.expect(job.ID, api.JobRunning, ""); now.Params["window"] != "" || now.Attempt != 1 {
			t.Errorf("job: %+v", now)
		}
		c.changed(job.ID, api.ChangeWentBack, `parameter "window" is other`, "prepare it on TaskManager taskmanager-b: start module 123: out of memory")
		b.set(func() { b.unprepared = nil })
		answer := c.upgrade(job.ID, map[string]string{"window": "8"})
		a.acknowledge(1)
		b.acknowledge(1)
		c.answered(answer, "")
		c.changed(job.ID, api.ChangePending, `parameter "window" is other`, "")
	})
}

// changed looks at the last change of a job.
func (c *cluster) changed(id graph.JobID, outcome api.ChangeOutcome, what, why string) {
	c.t.Helper()
	c.changedAt(0, id, outcome, what, why)
}

// changedAt looks at a change of a job, 0: the last.
func (c *cluster) changedAt(i int, id graph.JobID, outcome api.ChangeOutcome, what, why string) {
	c.t.Helper()
	all := c.job(id).Changes
	if i >= len(all) {
		c.t.Errorf("changes %+v (expected %d at least)", all, i+1)
		return
	}
	if got := all[i]; got.Kind != api.ChangeUpgrade || got.Outcome != outcome || !slices.Contains(got.Changes, what) || !strings.Contains(got.Reason, why) || why == "" && got.Reason != "" {
		c.t.Errorf("change %d: %+v (expected an upgrade, %s: %s, because of %q)", i, got, outcome, what, why)
	}
}

// An upgrade that comes to nothing while the change before it is not settled does not hide what becomes of that one.
func TestAnUpgradeIsGivenUpBehindAChangeThatIsPending(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a, b := c.add("a", 1), c.add("b", 1)
		job := c.submit(2)
		answer := c.upgrade(job.ID, map[string]string{"window": "7"})
		a.acknowledge(1)
		b.acknowledge(1)
		c.answered(answer, "")
		b.set(func() { b.unprepared = &wire.Failure{Kind: wire.KindModule, Message: "out of memory"} })
		c.answered(c.upgrade(job.ID, map[string]string{"window": "8"}), "job "+string(job.ID)+" was not upgraded: ")
		c.changed(job.ID, api.ChangeWentBack, `parameter "window" is other`, "out of memory")
		c.changedAt(1, job.ID, api.ChangePending, `parameter "window" is other`, "")
		b.report(b.running()[0], wire.TaskFailed, &wire.Failure{Kind: wire.KindGuest, Message: "unreachable"})
		c.after(stopLimit)
		c.expect(job.ID, api.JobRunning, "unreachable")
		for range 2 { // and with another JobManager
			c.changedAt(0, job.ID, api.ChangeWentBack, `parameter "window" is other`, "out of memory")
			c.changedAt(1, job.ID, api.ChangeWentBack, `parameter "window" is other`, "unreachable")
			c.stop()
			c.start()
		}
	})
}

// A rescaling that a failure takes back is not hidden by an upgrade that was refused behind it, and a better cause that a task tells
// later is that of the rescaling alone.
func TestARescalingThatIsTakenBackIsNotHidden(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a, b := c.add("a", 1), c.add("b", 1)
		job := c.submit(1)
		answer := make(chan error, 1)
		go func() {
			_, err := c.jm.RescaleJob(t.Context(), job.ID, &api.Rescale{Parallelism: new(2)})
			answer <- err
		}()
		synctest.Wait()
		for _, tm := range []*fakeTM{a, b} {
			if len(tm.running()) > 0 {
				tm.acknowledge(1)
			}
		}
		c.after(2 * commitPoll)
		c.answered(answer, "")
		c.after(stopLimit)
		b.set(func() { b.unprepared, b.lasting = &wire.Failure{Kind: wire.KindModule, Message: "out of memory"}, true })
		c.answered(c.upgrade(job.ID, map[string]string{"window": "8"}), "job "+string(job.ID)+" was not upgraded: ")
		told := func(reason string) {
			t.Helper()
			all := c.job(job.ID).Changes
			if len(all) != 2 || all[0].Kind != api.ChangeUpgrade || !strings.Contains(all[0].Reason, "out of memory") ||
				all[1].Kind != api.ChangeRescale || all[1].Outcome != api.ChangeWentBack || all[1].Reason != reason {
				t.Errorf("%+v (expected that an upgrade was refused, out of memory, and before a rescaling taken back: %s)", all, reason)
			}
		}
		failing := b.running()[0]
		a.report(a.running()[0], wire.TaskFailed, &wire.Failure{Kind: wire.KindChannel, Message: "cut"})
		told("cut")
		b.report(failing, wire.TaskFailed, &wire.Failure{Kind: wire.KindGuest, Message: "unreachable"})
		told("unreachable")
		c.stop()
		c.start()
		told("unreachable")
	})
}

// However often a job is changed, its record has the last few.
func TestTheLastChangesAreKept(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.withCheckpoints(t)
		a := c.add("a", 1)
		job := c.submit(1)
		a.set(func() { a.unprepared = &wire.Failure{Kind: wire.KindModule, Message: "out of memory"} })
		for i := range keptChanges + 2 {
			c.answered(c.upgrade(job.ID, map[string]string{"window": fmt.Sprint(7 + i)}), "job "+string(job.ID)+" was not upgraded: ")
			c.after(time.Second)
		}
		all := c.job(job.ID).Changes
		if len(all) != keptChanges || !slices.IsSortedFunc(all, func(a, b api.Change) int { return b.Time.Compare(a.Time) }) || all[0].Time.Before(time.Now().Add(-2*time.Second)) {
			t.Errorf("%+v (expected the last %d, the newest first)", all, keptChanges)
		}
	})
}

// A record of a version that had one change, and an upgrade in place behind it that had been given up, still tells of both.
func TestChangesInRecordsOfOlderVersions(t *testing.T) {
	const change, trial = `"change":{"kind":"rescale","changes":["parallelism 2 instead of 1"],"outcome":"done"}`, `"trial":{"kind":"upgrade","outcome":"%s","reason":"out of memory"}`
	for record, want := range map[string][]api.ChangeKind{
		`{"version":1}`:                nil,
		`{"version":1,` + change + `}`: {api.ChangeRescale},
		`{"version":1,` + change + `,` + fmt.Sprintf(trial, api.ChangeWentBack) + `}`: {api.ChangeUpgrade, api.ChangeRescale},
		`{"version":1,` + change + `,` + fmt.Sprintf(trial, api.ChangePending) + `}`:  {api.ChangeRescale},
	} {
		r, err := decodeJob("job/1", []byte(record))
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeJob("job/1", encode(r))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*jobRecord{r, again} {
			var got []api.ChangeKind
			for _, c := range r.Changes {
				got = append(got, c.Kind)
			}
			if !slices.Equal(got, want) || (r.Trial != nil) != strings.Contains(record, `"pending"`) {
				t.Errorf("%s: %v, trial %+v (expected %v)", record, got, r.Trial, want)
			}
		}
	}
}

// A TaskManager that is lost, or a task that fails, before the decision takes the job back to the old module.
func TestAnExchangeThatFailsBeforeItsDecision(t *testing.T) {
	for name, c := range map[string]struct {
		wait  bool // for the answers to prepare
		fail  func(c *cluster, b *fakeTM)
		want  string // what the command says
		cause string // what the job says
	}{
		// whether the job or the call to the TaskManager hears of it first is left to chance
		"while it is prepared": {true, func(c *cluster, b *fakeTM) { b.kill(); c.jm.Lost("b", "killed") }, "", "killed"},
		"behind the barrier":   {false, func(c *cluster, b *fakeTM) { b.kill(); c.jm.Lost("b", "killed") }, "the job went back to what it was before: TaskManager taskmanager-b is lost: killed", "killed"},
		"by a trap": {false, func(c *cluster, b *fakeTM) {
			b.report(b.running()[0], wire.TaskFailed, &wire.Failure{Kind: wire.KindGuest, Message: "unreachable"})
		}, "the job went back to what it was before: unreachable", "unreachable"},
		"by a checkpoint that is declined": {false, func(c *cluster, b *fakeTM) { b.decline(1, "disk full") }, "task 0.1: disk full", "disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			onFakeTime(t, func(t *testing.T, x *cluster) {
				x.withCheckpoints(t)
				a, b := x.add("a", 1), x.add("b", 1)
				job := x.submit(2)
				if c.wait {
					b.set(func() { b.silent = true })
				}
				answer := x.upgrade(job.ID, map[string]string{"window": "7"})
				a.acknowledge(1)
				c.fail(x, b)
				x.answered(answer, "job "+string(job.ID)+" was not upgraded: "+c.want)
				x.add("c", 1)
				x.after(stopLimit)
				now := x.expect(job.ID, api.JobRunning, c.cause)
				if now.Params["window"] != "" || now.Attempt != 2 {
					t.Errorf("job: %+v", now)
				}
				if g := a.deployed[len(a.deployed)-1].Graph; g.Params["window"] != "" {
					t.Errorf("attempt 2 is deployed with %v", g.Params)
				}
				why := c.cause
				if c.wait {
					why = "lost" // as either says
				}
				x.changed(job.ID, api.ChangeWentBack, `parameter "window" is other`, why)
			})
		})
	}
}

// A job all of whose tasks finish before the decision of an exchange ends with the new module if any task may have gone on with
// it, and with the old one otherwise; the command says the same.
func TestAJobThatEndsDuringAnExchange(t *testing.T) {
	for name, c := range map[string]struct {
		prepared, acknowledged bool // one of its two TaskManagers has
		want                   string
	}{
		"while it is prepared":    {false, false, "its input has ended"},
		"behind the trigger":      {true, false, ""},
		"when one has taken part": {true, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			onFakeTime(t, func(t *testing.T, x *cluster) {
				x.withCheckpoints(t)
				a, b := x.add("a", 1), x.add("b", 1)
				job := x.submit(2)
				b.set(func() { b.silent = !c.prepared })
				answer := x.upgrade(job.ID, map[string]string{"window": "7"})
				if c.acknowledged {
					a.acknowledge(1)
				}
				for _, tm := range []*fakeTM{a, b} {
					tm.report(tm.running()[0], wire.TaskFinished, nil)
				}
				want, window := "", "7"
				if c.want != "" {
					want, window = "job "+string(job.ID)+" was not upgraded: "+c.want, ""
				}
				x.answered(answer, want)
				if now := x.expect(job.ID, api.JobFinished, ""); now.Params["window"] != window {
					t.Errorf("the job has ended with window %q (expected %q)", now.Params["window"], window)
				}
			})
		})
	}
}

// Another JobManager has the old module before the decision, and the new one behind it.
func TestAnotherJobManagerKnowsWhatIsDecided(t *testing.T) {
	for _, decided := range []bool{false, true} {
		onFakeTime(t, func(t *testing.T, c *cluster) {
			c.withCheckpoints(t)
			a := c.add("a", 1)
			job := c.submit(1)
			c.upgrade(job.ID, map[string]string{"window": "7"})
			if decided {
				a.acknowledge(1)
			}
			a.kill()
			if err := c.jm.Close(); err != nil {
				t.Fatal(err)
			}
			c.start()
			b := c.add("b", 1)
			c.expect(job.ID, api.JobRunning, "")
			if has := b.deployed[0].Graph.Params["window"] == "7"; has != decided {
				t.Errorf("decided %v, but the next attempt has the new module: %v", decided, has)
			}
			if decided {
				c.changed(job.ID, api.ChangePending, `parameter "window" is other`, "")
			} else {
				c.changed(job.ID, api.ChangeWentBack, `parameter "window" is other`, "the JobManager ended before it was decided")
			}
		})
	}
}

// acknowledge gives the parts of all its tasks, each with what it has prepared.
func (tm *fakeTM) acknowledge(id checkpoint.ID, prepared ...connector.Committable) {
	tm.c.t.Helper()
	for _, task := range tm.running() {
		tm.mu.Lock()
		m := &wire.Acknowledge{Header: tm.tasks[task], TaskManager: tm.id, Checkpoint: id, Task: task, Part: &checkpoint.Task{Task: task, Prepared: prepared}}
		tm.mu.Unlock()
		if err := tm.c.jm.Acknowledge(tm.c.t.Context(), m); err != nil {
			tm.c.t.Errorf("acknowledge: %v", err)
		}
	}
	synctest.Wait()
}

func (tm *fakeTM) decline(id checkpoint.ID, cause string) {
	tm.c.t.Helper()
	task := tm.running()[0]
	tm.mu.Lock()
	m := &wire.Acknowledge{Header: tm.tasks[task], TaskManager: tm.id, Checkpoint: id, Task: task, Declined: &wire.Failure{Kind: wire.KindIO, Message: cause}}
	tm.mu.Unlock()
	if err := tm.c.jm.Acknowledge(tm.c.t.Context(), m); err != nil {
		tm.c.t.Errorf("decline: %v", err)
	}
	synctest.Wait()
}
