package jobmanager

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

func TestJobRunsToItsEnd(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a, b := c.add("a", 2), c.add("b", 2)
		job := c.submit(4)
		a.heard("deploy 2 of attempt 1")
		b.heard("deploy 2 of attempt 1")
		c.after(time.Second)
		running := c.expect(job.ID, api.JobRunning, "")
		if running.Subtasks != (api.Subtasks{Total: 4, Running: 4}) {
			t.Errorf("subtasks %+v", running.Subtasks)
		}
		if want := (api.Progress{InputRead: 80, InputTotal: 40, SourceOut: 400, RecordsOut: 200, SinkIn: 200}); running.Progress != want {
			t.Errorf("progress %+v (expected %+v)", running.Progress, want)
		}
		m := a.deployed[0]
		if m.Placement["0.0"] != "a" || m.Placement["0.1"] != "b" || m.Addresses["b"] != "127.0.0.1:b" || m.Epoch != c.meta.Epoch() {
			t.Errorf("deployed %+v", m)
		}
		a.finish()
		c.expect(job.ID, api.JobRunning, "")
		b.finish()
		done := c.expect(job.ID, api.JobFinished, "")
		if want := []api.Output{{Operator: "counts", Path: "/out", Files: 4, Rows: 40, Bytes: 480}}; !slices.Equal(done.Output, want) {
			t.Errorf("output %+v (expected %+v)", done.Output, want)
		}
		if done.Ended == nil || done.Running == nil || done.Subtasks.Finished != 4 || done.Progress.InputRead != 160 {
			t.Errorf("finished job %+v", done)
		}
		a.heard("commit 4 of attempt 1 under checkpoint 1")
		b.heard()
		if o, _ := c.jm.ClusterOverview(t.Context()); o.FreeSlots != 4 || o.Slots != 4 || o.TaskManagers != 2 || o.Jobs[api.JobFinished] != 1 {
			t.Errorf("overview %+v", o)
		}
	})
}

func TestJobWaitsForSlotsThenFails(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.add("a", 1)
		late, never := c.submit(2), c.submit(5)
		c.expect(late.ID, api.JobCreated, "waits for slots: wanted 2, free 1")
		fits := c.submit(1)
		c.expect(fits.ID, api.JobRunning, "") // does not wait behind the larger ones
		c.after(20 * time.Second)
		c.add("b", 2)
		c.expect(late.ID, api.JobRunning, "")
		c.after(9 * time.Second)
		c.expect(never.ID, api.JobCreated, "waits for slots")
		c.after(time.Second)
		failed := c.expect(never.ID, api.JobFailed, "not enough slots: wanted 5, free 0 after 30s")
		if failed.Failure.Kind != wire.KindSlots {
			t.Errorf("kind %d", failed.Failure.Kind)
		}
	})
}

func TestJobRestartsWhenATaskManagerIsLost(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a, b := c.add("a", 2), c.add("b", 2)
		job := c.submit(2)
		b.kill()
		c.jm.Lost("b", "its liveness connection ended")
		again := c.expect(job.ID, api.JobRunning, "TaskManager taskmanager-b is lost: its liveness connection ended")
		if again.Attempt != 2 || again.Restarts != 1 {
			t.Errorf("attempt %d, restarts %d", again.Attempt, again.Restarts)
		}
		a.heard("deploy 1 of attempt 1", "cancel attempt 1", "clean before attempt 2", "deploy 2 of attempt 2")
		a.finish()
		c.expect(job.ID, api.JobFinished, "")
		a.heard("commit 2 of attempt 2 under checkpoint 1", "clean before attempt 2")
	})
}

// Slots are granted before the job hears of it. If the TaskManager has registered anew meanwhile, it knows nothing of
// that, and those slots are free for others; which of the two the job hears first is left to chance.
func TestADeployWithoutAnAnswerIsRepeated(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		a.set(func() { a.lost = 2 })
		job := c.submit(1)
		c.after(time.Second)
		c.expect(job.ID, api.JobRunning, "")
		a.heard("deploy 1 of attempt 1", "deploy 1 of attempt 1", "deploy 1 of attempt 1")
		a.finish()
		if done := c.expect(job.ID, api.JobFinished, ""); done.Restarts != 0 {
			t.Errorf("%d restarts (expected none)", done.Restarts)
		}
	})
}

// Behind a Deploy that may have been carried out a refusal is no word that nothing runs: the tasks are waited for.
func TestADeployThatIsRefusedBehindALostAnswerMayRun(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		a.set(func() { a.lost = 1 })
		job := c.submit(1)
		a.set(func() { a.refuse = &wire.Failure{Kind: wire.KindTaskManagerLost, Message: "it is stopping"} })
		c.after(time.Second)
		if j := c.expect(job.ID, api.JobRestarting, "it is stopping"); j.Attempt != 1 {
			t.Errorf("attempt %d has begun while tasks of the first may run", j.Attempt)
		}
		a.set(func() { a.refuse = nil })
		c.after(stopLimit)
		c.expect(job.ID, api.JobRunning, "it is stopping")
		if n := len(a.deployed); n != 2 {
			t.Errorf("%d deploys were carried out (expected one an attempt)", n)
		}
	})
}

func TestSlotsOfAnEarlierRegistrationAreLost(t *testing.T) {
	for range 16 {
		onFakeTime(t, func(t *testing.T, c *cluster) {
			job := c.submit(1)
			j := c.jm.jobOf(job.ID)
			j.mu.Lock()
			j.send(t.Context(), evTimer{number: -1}, nil) // at which the loop waits
			a := c.add("a", 1)
			a.register()
			j.mu.Unlock()
			c.after(time.Minute)
			held := 0
			for _, tm := range c.jm.resources.list() {
				held += tm.Slots - tm.FreeSlots
			}
			if running := len(a.running()); running != 1 || held != 1 {
				t.Errorf("%d tasks run in %d slots (expected 1 in 1)", running, held)
			}
			c.expect(job.ID, api.JobRunning, "lost")
		})
	}
}

func TestSilentTaskManagerIsLost(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.add("a", 1)
		b := c.add("b", 1)
		job := c.submit(2)
		b.set(func() { b.silent = true })
		c.after(2 * time.Second)
		c.expect(job.ID, api.JobRunning, "")
		c.after(2 * time.Second)
		c.expect(job.ID, api.JobRestarting, "TaskManager taskmanager-b is lost: no heartbeat for 3s")
		_, err := c.jm.Heartbeat(t.Context(), &wire.Heartbeat{Epoch: c.jm.epoch, TaskManager: "b"})
		if f := (*wire.Failure)(nil); !errors.As(err, &f) || f.Kind != wire.KindStale {
			t.Errorf("heartbeat of a lost TaskManager: %v", err)
		}
		b.set(func() { b.silent = false })
		b.register()
		c.expect(job.ID, api.JobRunning, "lost")
	})
}

func TestGuestFailureFailsTheJob(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 2)
		job := c.submit(2)
		cause := &wire.Failure{Kind: wire.KindGuest, Message: `operator "parse" trapped`, Operator: "parse", Record: "record 7"}
		if err := a.report(graph.TaskID{Subtask: 1}, wire.TaskFailed, cause); err != nil {
			t.Error(err)
		}
		failed := c.expect(job.ID, api.JobFailed, `operator "parse" trapped`)
		if *failed.Failure != *cause {
			t.Errorf("failure %+v", failed.Failure)
		}
		a.heard("deploy 2 of attempt 1", "cancel attempt 1", "clean before attempt 2")
	})
}

func TestCancelEndsWithinASecond(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a, b := c.add("a", 1), c.add("b", 1)
		job := c.submit(2)
		if j, err := c.jm.CancelJob(t.Context(), job.ID); err != nil || j.State != api.JobCancelling && j.State != api.JobCanceled {
			t.Errorf("cancel: %+v, %v", j, err)
		}
		c.expect(job.ID, api.JobCanceled, "")
		a.heard("deploy 1 of attempt 1", "cancel attempt 1", "clean before attempt 2")
		b.heard("deploy 1 of attempt 1", "cancel attempt 1")
		if _, err := c.jm.CancelJob(t.Context(), job.ID); err != nil {
			t.Errorf("cancel again: %v", err)
		}

		stuck := c.submit(2)
		for _, tm := range c.tms {
			tm.set(func() { tm.silent = true })
		}
		if _, err := c.jm.CancelJob(t.Context(), stuck.ID); err != nil {
			t.Errorf("cancel: %v", err)
		}
		c.after(900 * time.Millisecond)
		c.expect(stuck.ID, api.JobCanceled, "")
	})
}

func TestEndedJobCannotBeCancelled(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		job := c.submit(1)
		a.finish()
		c.expect(job.ID, api.JobFinished, "")
		_, err := c.jm.CancelJob(t.Context(), job.ID)
		isUserError(t, err, api.KindConflict, fmt.Sprintf("job %s is FINISHED", job.ID), "")
	})
}

func isUserError(t *testing.T, err error, kind, detail, hint string) {
	t.Helper()
	var e *api.Error
	if !errors.As(err, &e) {
		t.Errorf("%v (expected an *api.Error)", err)
		return
	}
	if e.Kind != kind || e.Detail != detail || e.Hint != hint {
		t.Errorf("%s %q, hint %q (expected %s %q, hint %q)", e.Kind, e.Detail, e.Hint, kind, detail, hint)
	}
}

func TestCommitIsTriedOnAnotherTaskManager(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a, b := c.add("a", 1), c.add("b", 1)
		job := c.submit(1)
		on := map[bool]*fakeTM{true: a, false: b}[len(a.running()) == 1]
		a.set(func() { a.refuse = errors.New("connection reset") })
		on.finish()
		c.expect(job.ID, api.JobFinishing, "commit output through TaskManager taskmanager-a: connection reset")
		c.after(time.Second)
		c.expect(job.ID, api.JobFinished, "")
		b.heard("commit 1 of attempt 1 under checkpoint 1")
	})
}

// What is decided is committed, however long that takes and whatever is said of it, also by another JobManager.
func TestADecidedEndIsCommittedForEver(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		job := c.submit(1)
		a.set(func() { a.refuse = &wire.Failure{Kind: wire.KindInput, Message: "output directory is read-only"} })
		a.finish()
		c.after(24 * time.Hour)
		c.expect(job.ID, api.JobFinishing, "output directory is read-only")
		if all, err := c.jm.ListJobs(t.Context()); err != nil || all[0].Failure == nil {
			t.Errorf("listed %+v, %v", all, err)
		}
		_, err := c.jm.CancelJob(t.Context(), job.ID)
		isUserError(t, err, api.KindConflict, fmt.Sprintf("job %s has come to its end: its output is committed again until it succeeds; "+
			"the last time: output directory is read-only", job.ID), "")
		a.set(func() {
			if n := len(a.commits); n < 24*360 || n > 24*360+10 {
				t.Errorf("%d commits in a day (expected one each 10 s)", n)
			}
			a.refuse = nil
		})
		c.after(commitRetryMax)
		c.expect(job.ID, api.JobFinished, "")
	})
}

// What a job leaves when nobody is there to remove it is removed by the next TaskManager, also of another JobManager.
func TestPendingOutputIsRemovedLater(t *testing.T) {
	for _, another := range []bool{false, true} {
		onFakeTime(t, func(t *testing.T, c *cluster) {
			a := c.add("a", 1)
			gone, canceled := c.submit(1), c.submit(1)
			a.kill()
			c.jm.Lost("a", "killed")
			if _, err := c.jm.CancelJob(t.Context(), canceled.ID); err != nil {
				t.Fatal(err)
			}
			c.after(time.Hour)
			c.expect(gone.ID, api.JobFailed, "not enough slots")
			c.expect(canceled.ID, api.JobCanceled, "")
			if another {
				c.jm.Close()
				c.start()
			}
			b := c.add("b", 1)
			b.heard("clean before attempt 2") // the other job had no attempt
			b.register()
			c.after(time.Hour)
			b.heard()
			if r := c.jm.jobOf(gone.ID).record; r.Owed != 0 || r.State != api.JobFailed {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// A TaskManager that cannot remove it is asked again. That is logged less and less often.
func TestPendingOutputThatCannotBeRemovedIsTriedAgain(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		job := c.submit(1)
		a.set(func() { a.refuse = &wire.Failure{Kind: wire.KindIO, Message: "disk is read-only"} })
		if _, err := c.jm.CancelJob(t.Context(), job.ID); err != nil {
			t.Fatal(err)
		}
		c.after(10 * time.Minute)
		c.expect(job.ID, api.JobCanceled, "")
		var told []string // at which tries
		for line := range strings.Lines(c.log.text()) {
			if _, rest, ok := strings.Cut(line, "still pending, and tried again each minute"); ok {
				told = append(told, strings.Fields(rest)[3])
				if !strings.Contains(line, "disk is read-only") || !strings.Contains(line, "mend that") {
					t.Errorf("%s does not say why, or what can be done", line)
				}
			}
		}
		if want := []string{"tries=1", "tries=2", "tries=4", "tries=8"}; !slices.Equal(told, want) {
			t.Errorf("in 10 minutes logged at %v (expected %v)", told, want)
		}
		a.set(func() { a.refuse, a.seen = nil, nil })
		c.after(tidyAgain)
		a.heard("clean before attempt 2")
		c.after(tidyAgain)
		a.heard()
	})
}

func TestStaleMessagesAreRefused(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		job := c.submit(1)
		now := wire.Header{Epoch: c.jm.epoch, Job: job.ID, Attempt: 1}
		older, earlier, unknown := now, now, now
		older.Epoch--
		earlier.Attempt--
		unknown.Job = "never"
		for _, h := range []wire.Header{older, earlier, unknown} {
			_, err := c.jm.NextSplit(t.Context(), &wire.NextSplit{Header: h})
			err2 := c.jm.Report(t.Context(), &wire.Report{Header: h, TaskManager: "a", State: wire.TaskFailed})
			for _, err := range []error{err, err2} {
				if f := (*wire.Failure)(nil); !errors.As(err, &f) || f.Kind != wire.KindStale {
					t.Errorf("%+v: %v", h, err)
				}
			}
		}
		if _, err := c.jm.Heartbeat(t.Context(), &wire.Heartbeat{Epoch: older.Epoch, TaskManager: "a"}); err == nil {
			t.Error("heartbeat of an older epoch was taken")
		}
		c.expect(job.ID, api.JobRunning, "")
		a.finish()
		c.expect(job.ID, api.JobFinished, "")
		if err := c.jm.Report(t.Context(), &wire.Report{Header: now, TaskManager: "a", State: wire.TaskFinished}); err == nil {
			t.Error("report to an ended job was taken")
		}
	})
}

func TestSplitsAreGivenOnceAndAnewAtEachAttempt(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		c.add("a", 1)
		b := c.add("b", 1)
		job := c.submit(2, "input=3")
		ask := func(attempt graph.Attempt, subtask int, request wire.RequestID) string {
			t.Helper()
			a, err := c.jm.NextSplit(t.Context(), &wire.NextSplit{
				Header: wire.Header{Epoch: c.jm.epoch, Job: job.ID, Attempt: attempt, Request: request}, Task: graph.TaskID{Subtask: subtask},
			})
			if err != nil {
				t.Fatal(err)
			}
			if a.Split == nil {
				return fmt.Sprintf("none, last %v", a.Last)
			}
			return fmt.Sprintf("%s %d, last %v, ordered %v", a.Split.ID, a.Index, a.Last, a.Ordered)
		}
		is := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s (expected %s)", got, want)
			}
		}
		is(ask(1, 0, "1"), "n0 0, last false, ordered true")
		is(ask(1, 1, "1"), "n1 1, last false, ordered true") // request ids are each sender's own
		is(ask(1, 0, "2"), "n2 2, last true, ordered true")
		is(ask(1, 0, "1"), "n0 0, last false, ordered true") // a repeat, late
		is(ask(1, 1, "2"), "none, last true")
		is(ask(1, 1, "2"), "none, last true")
		c.jm.Lost("b", "gone")
		b.register()
		c.expect(job.ID, api.JobRunning, "gone")
		is(ask(2, 1, "1"), "n0 0, last false, ordered true")
	})
}

func TestAnotherJobManagerTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := &cluster{t: t, blobs: NewMemoryBlobs()}
		open := func() {
			var err error
			if c.meta, err = ha.OpenDir(dir, slog.Default()); err != nil {
				t.Fatal(err)
			}
			c.start()
		}
		restart := func() { // as after SIGKILL: nobody is told
			c.jm.Close()
			c.meta.Close()
			open()
			for _, tm := range c.tms {
				tm.set(func() { tm.refuse = nil })
				tm.register()
			}
		}
		open()
		a := c.add("a", 4)
		ran, decided, over, cancelled := c.submit(1), c.submit(1), c.submit(1), c.submit(1)

		a.finishJob(over.ID)
		c.expect(over.ID, api.JobFinished, "")
		a.set(func() { a.refuse = errors.New("busy") })
		a.finishJob(decided.ID)
		c.expect(decided.ID, api.JobFinishing, "busy")
		if _, err := c.jm.CancelJob(t.Context(), cancelled.ID); err != nil {
			t.Fatal(err)
		}
		before := c.job(decided.ID)
		epoch := c.jm.epoch
		restart()
		if after := c.job(decided.ID); after.Subtasks != (api.Subtasks{Total: 1, Finished: 1}) || after.Progress != before.Progress || after.Progress.SinkIn != 100 {
			t.Errorf("taken over when decided: %+v (expected the progress of %+v)", after, before)
		}

		if c.jm.epoch <= epoch {
			t.Errorf("epoch %d after %d", c.jm.epoch, epoch)
		}
		c.after(time.Second)
		if got := c.expect(ran.ID, api.JobRunning, ""); got.Attempt != 2 || got.Created.IsZero() {
			t.Errorf("taken over: %+v", got)
		}
		if got := c.expect(decided.ID, api.JobFinished, ""); got.Attempt != 1 || got.Output[0].Rows != 10 {
			t.Errorf("only committed: %+v", got)
		}
		c.expect(over.ID, api.JobFinished, "")
		c.expect(cancelled.ID, api.JobCanceled, "")
		// One commit more than was asked is the same commit; the job that ran is the only one deployed.
		if got := a.deployed[len(a.deployed)-1]; got.Job != ran.ID || got.Epoch != c.jm.epoch || len(a.deployed) != 5 {
			t.Errorf("%d deployed, last %+v", len(a.deployed), got.Header)
		}
		c.stop()
	})
}

func TestWatchSeesEveryStateOfAJobThatIsFollowed(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		job := c.submit(1)
		watch, err := c.jm.WatchJob(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		var states []api.JobState
		done := make(chan struct{})
		go func() {
			defer close(done)
			for j := range watch {
				if len(states) == 0 || states[len(states)-1] != j.State {
					states = append(states, j.State)
				}
			}
		}()
		synctest.Wait()
		a := c.add("a", 1)
		c.after(3 * time.Second)
		a.finish()
		<-done
		if states[0] != api.JobCreated || states[len(states)-1] != api.JobFinished || !slices.Contains(states, api.JobRunning) {
			t.Errorf("states %v", states)
		}
		gone, err := c.jm.WatchJob(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		if j := <-gone; j.State != api.JobFinished {
			t.Errorf("state %s", j.State)
		}
		if _, open := <-gone; open {
			t.Error("the watch of an ended job goes on")
		}
	})
}

func TestOldJobsAreForgotten(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a := c.add("a", 1)
		first := c.submit(1)
		a.finish()
		for range keptJobs {
			c.after(time.Millisecond)
			c.submit(1)
			a.finish()
		}
		synctest.Wait()
		if jobs, _ := c.jm.ListJobs(t.Context()); len(jobs) != keptJobs {
			t.Errorf("%d jobs", len(jobs))
		}
		if stored := c.meta.List(jobKey); len(stored) != keptJobs {
			t.Errorf("%d jobs stored", len(stored))
		}
		_, err := c.jm.GetJob(t.Context(), first.ID)
		isUserError(t, err, api.KindNotFound, fmt.Sprintf("job %q is not known", first.ID), "")
		if n, err := c.meta.Next(checkpointKey + string(first.ID)); n != 1 || err != nil {
			t.Errorf("its next checkpoint would be %d, %v (expected that its counter is forgotten too)", n, err)
		}
	})
}

func TestPlanAndLogsAndTaskManagers(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		a, b := c.add("a", 1), c.add("b", 1)
		at := func(s int) time.Time { return time.Unix(int64(s), 0) }
		a.lines = []wire.LogLine{{Time: at(1), Text: "one"}, {Time: at(3), Text: "three"}}
		b.lines = []wire.LogLine{{Time: at(2), Text: "two"}}
		job := c.submit(2)
		plan, err := c.jm.JobPlan(t.Context(), job.ID[:6])
		if err != nil || len(plan.Tasks) != 2 || plan.Tasks[1].Name != "numbers -> counts" || plan.Tasks[1].State != "RUNNING" || plan.Tasks[1].TaskManager != "b" {
			t.Errorf("plan %+v, %v", plan, err)
		}
		lines, err := c.jm.JobLogs(t.Context(), job.ID, time.Time{}, 2)
		if err != nil || len(lines) != 2 || lines[0].Text != "one" || lines[1].Text != "two" {
			t.Errorf("logs %+v, %v", lines, err)
		}
		c.after(time.Second)
		tms, err := c.jm.ListTaskManagers(t.Context())
		if err != nil || len(tms) != 2 || tms[0].Name != "taskmanager-a" || tms[0].FreeSlots != 0 || tms[0].RSS == 0 || !tms[0].Heartbeat.After(tms[0].Registered) {
			t.Errorf("TaskManagers %+v, %v", tms, err)
		}
		_, err = c.jm.GetJob(t.Context(), "")
		isUserError(t, err, api.KindNotFound, `job "" is not known`, "")
	})
}

func TestRegistrationIsChecked(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		for _, m := range []wire.Register{
			{Version: wire.Version + 1, TaskManager: "x", Slots: 1},
			{Version: wire.Version, Slots: 1},
			{Version: wire.Version, TaskManager: "x"},
		} {
			if _, err := c.jm.Register(t.Context(), &m); err == nil {
				t.Errorf("%+v was taken", m)
			}
		}
	})
}

// A JobManager that was paused could not take heartbeats: that is not the TaskManagers' fault.
func TestPauseOfTheJobManagerLosesNobody(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		var paused atomic.Int64
		c.jm.Close()
		c.now = func() time.Time { return time.Now().Add(time.Duration(paused.Load())) }
		c.start()
		c.add("a", 1)
		job := c.submit(1)
		c.after(1200 * time.Millisecond)
		paused.Store(int64(time.Minute))
		c.after(5 * time.Second)
		c.expect(job.ID, api.JobRunning, "")
	})
}

// TaskManagers may remove what they keep of a job when it can never run again, however it has ended, and not before: not while
// it waits for slots, nor when the JobManager has only just started.
func TestWhatMayBeRemovedOfAJob(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		expect := func(when string, kept []graph.JobID, want ...graph.JobID) {
			t.Helper()
			n, err := c.jm.Heartbeat(t.Context(), &wire.Heartbeat{Epoch: c.jm.epoch, TaskManager: "a", Kept: kept})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(n.Over, want) {
				t.Errorf("%s: %q are over (expected %q)", when, n.Over, want)
			}
		}
		a := c.add("a", 3)
		fails := c.submit(1)
		if err := a.report(graph.TaskID{}, wire.TaskFailed, &wire.Failure{Kind: wire.KindGuest, Message: "trapped"}); err != nil {
			t.Fatal(err)
		}
		c.expect(fails.ID, api.JobFailed, "trapped")
		waits, ends, running := c.submit(4), c.submit(1), c.submit(1)
		all := []graph.JobID{waits.ID, fails.ID, ends.ID, running.ID, "aaaaaaaaaaaa"}
		expect("one has failed", all, fails.ID, "aaaaaaaaaaaa")
		a.finishJob(ends.ID)
		c.expect(ends.ID, api.JobFinished, "")
		expect("another has finished", all, fails.ID, ends.ID, "aaaaaaaaaaaa")
		c.stop()
		c.start()
		c.add("a", 1)
		expect("another JobManager", all, fails.ID, ends.ID, "aaaaaaaaaaaa")
	})
}
