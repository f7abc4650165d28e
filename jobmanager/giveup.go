package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// The way out of a commit that cannot succeed. A decision stands, so its output is committed again for ever; if somebody has
// removed what was prepared, a person can give that up. Then one record says both: that it is not to be committed any more, and
// that it is lost. Before that record nothing has happened, and after it the rest is committed as ever, by whichever JobManager
// is there.

// missing is something that was prepared and is gone.
type missing struct {
	checkpoint  uint64
	output      connector.Committable
	name, cause string
}

// evGiveUp leaves out of what is to be committed what is gone; answer has room.
type evGiveUp struct {
	gone   []missing
	answer chan<- leftOut
}

// leftOut says what became of evGiveUp.
type leftOut struct {
	lost []api.LostOutput
	err  error
}

func (evGiveUp) event() {}

// GiveUp leaves out what is gone of the output that is to be committed, and names it. What cannot be committed for now, but is
// there, is not touched. With DryRun nothing is.
func (jm *JobManager) GiveUp(ctx context.Context, id graph.JobID, g *api.GiveUp) (*api.GaveUp, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	gone, hindered, err := jm.examine(ctx, j)
	if err != nil {
		return nil, err
	}
	if len(gone) == 0 {
		return nil, nothingGone(j.id, hindered)
	}
	if g.DryRun {
		r := j.stored()
		return &api.GaveUp{Job: j.job(), Lost: r.leaveOut(gone), Hindered: hindered}, nil
	}
	lost, err := jm.leaveOut(ctx, j, gone)
	if err != nil {
		return nil, err
	}
	if len(lost) == 0 {
		return nil, nothingGone(j.id, nil)
	}
	return &api.GaveUp{Job: j.job(), Lost: lost, Hindered: hindered}, nil
}

// nothingGone refuses to give up what is not lost.
func nothingGone(id graph.JobID, hindered []string) error {
	if len(hindered) == 0 {
		return api.Errorf(api.KindConflict, "job %s: nothing is to be given up: no output of a completed checkpoint is missing", id)
	}
	return api.Errorf(api.KindConflict, "job %s: nothing is to be given up: what cannot be committed is there: %s", id, firstFew(hindered)).
		WithHint("mend what hinders it: it is committed by itself then")
}

// firstFew are some causes for a message, and how many there are beside.
func firstFew(causes []string) string {
	const few = 3
	text := strings.Join(causes[:min(len(causes), few)], ", ")
	if n := len(causes) - few; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// due are the commits that are decided and not known to have succeeded.
func (j *jobMaster) due() (all []wire.Commit) {
	checkpoints := j.uncommitted()
	j.mu.Lock()
	defer j.mu.Unlock()
	r, over := &j.record, j.fsm.phase == ended
	if over && r.Owed == 0 {
		return nil
	}
	for _, d := range checkpoints {
		all = append(all, j.commitOf(&r.Graph, d.Attempt, uint64(d.ID), d.Prepared))
	}
	if d := r.Decision; d != nil && !over {
		all = append(all, j.commitOf(&r.Graph, d.Attempt, d.Checkpoint, d.Prepared))
	}
	return slices.DeleteFunc(all, func(m wire.Commit) bool { return len(m.Prepared) == 0 })
}

// examine asks every TaskManager what of the output that is due cannot be committed: what is gone, and why the rest cannot.
func (jm *JobManager) examine(ctx context.Context, j *jobMaster) (gone []missing, hindered []string, err error) {
	due, tms := j.due(), jm.resources.live()
	if len(due) > 0 && len(tms) == 0 {
		return nil, nil, api.Errorf(api.KindUnavailable, "look at the output of job %s: %s", j.id, errNoTaskManager.Message).WithHint("start a TaskManager: it is one that looks")
	}
	for _, m := range due {
		var seen []map[int]wire.Obstacle
		for _, tm := range tms {
			found, err := examineThrough(ctx, tm, m)
			if err != nil {
				return nil, nil, api.Errorf(api.KindUnavailable, "look at the output of job %s through TaskManager %s: %s", j.id, tm.info.Name, err).
					WithHint("nothing was given up; ask again")
			}
			seen = append(seen, found)
		}
		obstacles := agreed(seen)
		for _, i := range slices.Sorted(maps.Keys(obstacles)) {
			o := obstacles[i]
			if o.Failure.Kind == wire.KindGone {
				gone = append(gone, missing{m.Checkpoint, m.Prepared[i], o.Name, o.Failure.Message})
			} else {
				hindered = append(hindered, o.Failure.Message)
			}
		}
	}
	return gone, hindered, nil
}

// examineThrough has one TaskManager look at what is prepared, and answers the obstacles by their places.
func examineThrough(ctx context.Context, tm *taskManager, m wire.Commit) (map[int]wire.Obstacle, error) {
	all := map[int]wire.Obstacle{}
	return all, inParts(m, func(part *wire.Commit, first int) error {
		return call(tm, commitTimeout, func(limited context.Context) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			found, err := tm.client.Examine(limited, part)
			if err != nil {
				return err
			}
			for _, o := range found.Obstacles {
				if o.Prepared < 0 || o.Prepared >= len(part.Prepared) {
					return fmt.Errorf("it names what it was not asked about: %d of %d", o.Prepared, len(part.Prepared))
				}
				all[first+o.Prepared] = o
			}
			return nil
		})
	})
}

// agreed is what cannot be committed through any TaskManager. What only some of them say is gone is not: they may lack the
// directory.
func agreed(seen []map[int]wire.Obstacle) map[int]wire.Obstacle {
	all := maps.Clone(seen[0])
	for _, one := range seen[1:] {
		for i := range all {
			o, too := one[i]
			switch {
			case !too:
				delete(all, i)
			case o.Failure.Kind != wire.KindGone:
				all[i] = o
			}
		}
	}
	return all
}

// leaveOut has it stored that output is lost, by the loop of the job, or when that has ended as its debt.
func (jm *JobManager) leaveOut(ctx context.Context, j *jobMaster, gone []missing) ([]api.LostOutput, error) {
	answer := make(chan leftOut, 1)
	err := j.tell(ctx, evGiveUp{gone, answer})
	if err == nil {
		a := <-answer
		return a.lost, a.err
	}
	if !errors.Is(err, errNotTaken) || !j.hasEnded() {
		return nil, err
	}
	jm.past.Lock()
	defer jm.past.Unlock()
	if jm.jobOf(j.id) == nil {
		return nil, api.Errorf(api.KindNotFound, "job %q is not known", j.id)
	}
	defer jm.tidySoon()
	return j.giveUp(gone)
}

// giveUp stores that output is lost, and has the rest committed.
func (j *jobMaster) giveUp(gone []missing) (lost []api.LostOutput, err error) {
	if failpoint.Planted(failpoint.GiveUpUnstored) {
		j.mu.Lock()
		lost = j.record.leaveOut(gone)
		j.unhindered()
		j.mu.Unlock()
	} else if failed := j.storeAnd(nil, func(r *jobRecord) { lost = r.leaveOut(gone) }, j.unhindered); failed != nil {
		return nil, api.Errorf(api.KindInternal, "give up output of job %s: %s", j.id, failed.(evStoreFailed).failure.Message)
	}
	for _, l := range lost {
		j.log.Warn("output is given up", "checkpoint", l.Checkpoint, "operator", l.Operator, "output", l.Name, "rows", l.Rows, "cause", l.Cause)
	}
	select {
	case j.recommit <- struct{}{}:
	default: // it will be looked at anyway
	}
	return lost, nil
}

// unhindered forgets that what was given up hinders. What else does is seen when the rest is committed. The caller holds mu.
func (j *jobMaster) unhindered() {
	j.fsm.leaves = true
	if h := j.hindered; h != nil && h.Kind == wire.KindGone {
		j.hindered = nil
	}
	if f := j.fsm.failure; j.fsm.phase == finishing && f != nil && f.Kind == wire.KindGone {
		j.fsm.failure = nil
	}
}

// leaveOut takes what is gone out of what is to be committed, and names it as lost. What was committed or left out meanwhile is
// not among that. Nothing that the record shares with others is changed.
func (r *jobRecord) leaveOut(gone []missing) (lost []api.LostOutput) {
	type place struct {
		checkpoint uint64
		output     string
	}
	is := make(map[place]*missing, len(gone))
	for i := range gone {
		is[place{gone[i].checkpoint, outputKey(gone[i].output)}] = &gone[i]
	}
	var less []api.Output
	rest := func(checkpointID uint64, prepared []connector.Committable) (left []connector.Committable) {
		for _, p := range prepared {
			m := is[place{checkpointID, outputKey(p)}]
			if m == nil {
				left = append(left, p)
				continue
			}
			one, _ := outputIn(p)
			less = append(less, one)
			lost = append(lost, api.LostOutput{
				Operator: p.Operator, Checkpoint: checkpoint.ID(checkpointID), Name: m.name, Rows: one.Rows, Bytes: one.Bytes, Cause: m.cause,
			})
		}
		return left
	}
	r.Checkpoints = slices.Clone(r.Checkpoints)
	for i := range r.Checkpoints {
		r.Checkpoints[i].Prepared = rest(uint64(r.Checkpoints[i].ID), r.Checkpoints[i].Prepared)
	}
	r.Written = lessOutput(r.Written, less)
	if r.Decision != nil {
		d := *r.Decision
		d.Prepared = rest(d.Checkpoint, d.Prepared)
		d.Output = lessOutput(d.Output, less)
		r.Decision = &d
	}
	r.Lost = append(slices.Clone(r.Lost), lost...)
	return lost
}

// lostText says how much was lost, for people.
func lostText(all []api.LostOutput) string {
	rows := int64(0)
	for _, l := range all {
		rows += l.Rows
	}
	return fmt.Sprintf("output of completed checkpoints was given up (files: %d, rows: %d)", len(all), rows)
}

// withWayOut adds to why output cannot be committed, if that lasts, what can be done about it.
func (j *jobMaster) withWayOut(f *wire.Failure) *wire.Failure {
	if f.Kind != wire.KindGone {
		return f
	}
	with := *f
	with.Hint = fmt.Sprintf("put it back; or have it left out for good: `wasmill give-up %s --dry-run` says what that would be", j.id)
	return &with
}
