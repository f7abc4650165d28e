package jobmanager

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/config"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// A job is given another graph, of another parallelism or shape, by going on from a checkpoint that is taken for that. The
// graph before it stays in the record until a checkpoint of the new one is decided: a failure up to then goes back to it.

// errUncommitted is why a job keeps its graph a moment longer: output that its sinks have prepared is still to be committed.
var errUncommitted = errors.New("output is being committed")

// errInFlight is why a checkpoint will not do: records were in flight.
var errInFlight = errors.New("the last checkpoint holds records in flight")

// RescaleJob gives a job other parallelisms. When it answers, that is stored, and tasks are being started anew.
func (jm *JobManager) RescaleJob(ctx context.Context, id graph.JobID, s *api.Rescale) (*api.Job, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	if s.Parallelism == nil && len(s.Operators) == 0 {
		return nil, api.Errorf(api.KindInvalid, "parallelism: none (expected one of the job or of an operator)")
	}
	r := j.stored()
	want := redeployment{module: r.Graph.Modules[0].ID, params: r.Graph.Params, parallelism: r.Graph.Parallelism, operators: maps.Clone(r.Parallelism)}
	if s.Parallelism != nil {
		want.parallelism = *s.Parallelism
	}
	for name, n := range s.Operators {
		if want.operators == nil {
			want.operators = map[string]int{}
		}
		want.operators[name] = n
	}
	g, err := jm.redefine(ctx, r, &want)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(want.operators, func(_ string, n int) bool { return n == 0 })
	switch {
	case !sameParallelism(&r.Graph, g):
		return jm.redeploy(ctx, j, r, g, api.ChangeRescale, want.operators)
	case maps.Equal(want.operators, r.Parallelism):
		return nil, api.Errorf(api.KindConflict, "job %s has these parallelisms", j.id)
	}
	answers := make(chan error, 1) // only what a later rescaling does is another
	if err := j.tell(ctx, evParallelism{r.Generation, want.operators, answers}); err != nil {
		return nil, err
	}
	if err := <-answers; err != nil {
		return nil, err
	}
	return j.job(), nil
}

// UpgradeJob gives a job another module: in place if the graph stays what it is, else by a restart from a checkpoint. With
// DryRun it only says what would be done.
func (jm *JobManager) UpgradeJob(ctx context.Context, id graph.JobID, u *api.Upgrade) (*api.Upgraded, error) {
	j, err := jm.findJob(id)
	if err != nil {
		return nil, err
	}
	module, err := jm.findModule(u.Module)
	if err != nil {
		return nil, err
	}
	r := j.stored()
	want := redeployment{module: module.Module.ID, parallelism: r.Graph.Parallelism, dropState: u.AllowDroppedState}
	var manifest *abi.Manifest
	if want.params, manifest, err = jm.inherited(ctx, module, r.Graph.Params, u.Params); err != nil {
		return nil, err
	}
	want.operators = carried(&r.Graph, r.Parallelism, manifest)
	g, err := jm.redefine(ctx, r, &want)
	if err != nil {
		return nil, err
	}
	done := &api.Upgraded{Module: g.Modules[0].ID, Changes: append(changes(&r.Graph, g), reordered(&r.Graph, g)...), Way: api.UpgradeInPlace, Because: graph.NotExchangeable(&r.Graph, g)}
	if len(done.Because) > 0 {
		done.Way = api.UpgradeRestart
	}
	if len(done.Changes) == 0 {
		return nil, api.Errorf(api.KindConflict, "job %s runs this module with these parameters", j.id)
	}
	if u.DryRun {
		done.Job = j.job()
		if done.Way == api.UpgradeRestart {
			err = jm.enoughSlots(j, r, g)
		}
		return done, err
	}
	failpoint.Hit(failpoint.Upgrade)
	if done.Way == api.UpgradeRestart {
		done.Job, err = jm.redeploy(ctx, j, r, g, api.ChangeUpgrade, want.operators)
		return done, err
	}
	done.Checkpoint, err = jm.exchangeModules(ctx, j, r, g)
	done.Job = j.job()
	return done, err
}

// inherited is what a job's parameters are under another module: those that are given, and of those that it has the ones
// that the module reads. The manifest is what the module declares under them.
func (jm *JobManager) inherited(ctx context.Context, module *moduleRecord, had, given map[string]string) (map[string]string, *abi.Manifest, error) {
	all := map[string]string{}
	maps.Copy(all, had)
	maps.Copy(all, given)
	described, err := jm.describe(ctx, module, all)
	if err != nil {
		return nil, nil, err
	}
	for name := range had {
		_, again := given[name]
		if !again && !slices.ContainsFunc(described.Manifest.Params, func(p abi.Param) bool { return p.Name == name }) {
			delete(all, name)
		}
	}
	return all, described.Manifest, nil
}

// carried is what operators of a job were given as parallelism, by their names in another module: the uid says which is which.
// What was given to an operator that is gone is gone with it.
func carried(was *graph.JobGraph, given map[string]int, is *abi.Manifest) map[string]int {
	all := map[string]int{}
	for i := range was.Operators {
		n, ok := given[was.Operators[i].Name]
		if !ok {
			continue
		}
		for k := range is.Operators {
			if o := &is.Operators[k]; cmp.Or(o.UID, o.Name) == was.Operators[i].UID {
				all[o.Name] = n
			}
		}
	}
	return all
}

// stored is the job's record as it is now.
func (j *jobMaster) stored() *jobRecord {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.record
	return &r
}

// redeployment is what a job is to be.
type redeployment struct {
	module      graph.ModuleID
	params      map[string]string
	parallelism int
	operators   map[string]int // parallelism, by name
	dropState   bool
}

// redefine makes the graph, and holds it against what the job has saved.
func (jm *JobManager) redefine(ctx context.Context, r *jobRecord, want *redeployment) (*graph.JobGraph, error) {
	if err := refuseBatch(r); err != nil {
		return nil, err
	}
	s := &api.Submit{Module: want.module, Name: r.Graph.Name, Params: want.params, Parallelism: &want.parallelism, Directory: r.Directory, PreAggregate: r.Graph.PreAggregate}
	g, err := jm.defineWith(ctx, s, want.operators)
	if err != nil {
		return nil, err
	}
	for i := range g.Operators {
		if n := g.Operators[i].Parallelism; n > r.Graph.MaxParallelism {
			return nil, api.Errorf(api.KindInvalid, "parallelism: %d of operator %q (the job has %d key groups: at most as many)", n, g.Operators[i].Name, r.Graph.MaxParallelism)
		}
	}
	g.MaxParallelism = r.Graph.MaxParallelism
	if err := jm.checkConnectors(g); err != nil {
		return nil, err
	}
	if err := jm.checkRequests(g); err != nil {
		return nil, err
	}
	if err := jm.checkEnding(g); err != nil {
		return nil, err
	}
	if why := g.NotStreaming(); why != "" {
		return nil, api.Errorf(api.KindInvalid, "the job runs in streaming mode, and %s", why).WithHint("say the bounds of the ranges")
	}
	var why *checkpoint.Incompatible
	if err := checkpoint.Compatible(&r.Graph, g, want.dropState); errors.As(err, &why) {
		e := api.Errorf(api.KindConflict, "the job cannot go on so: %s", why)
		if why.Dropped {
			return nil, e.WithHint("give an operator the uid, or go on without that state: --allow-dropped-state")
		}
		return nil, e.WithHint("have the module migrate what has changed in a state, or give an operator that has changed otherwise another uid and go on without the old state: --allow-dropped-state")
	}
	if err := jm.keepsInput(ctx, &r.Graph, g, ""); err != nil {
		return nil, err
	}
	checkpoint.Inherit(&r.Graph, g)
	return g, nil
}

// setParallelism sets what operators were given by name; 0 leaves one as the module and the job have it.
func setParallelism(m *abi.Manifest, operators map[string]int) error {
	var names []string
	for i := range m.Operators {
		names = append(names, m.Operators[i].Name)
		if n := operators[m.Operators[i].Name]; n != 0 {
			m.Operators[i].Parallelism = n
		}
	}
	for _, name := range slices.Sorted(maps.Keys(operators)) {
		if !slices.Contains(names, name) {
			err := api.Errorf(api.KindInvalid, "parallelism: there is no operator %q (there are: %s)", name, listed(names))
			if near := config.Nearest(name, names); near != "" {
				err = err.WithHint("did you mean %q?", near)
			}
			return err
		}
		if n := operators[name]; n < 0 || n > graph.MaxParallelism {
			return api.Errorf(api.KindInvalid, "parallelism: %d of operator %q (expected 1 <= n <= %d, or 0: what it was given is taken back)", n, name, graph.MaxParallelism)
		}
	}
	return nil
}

func sameParallelism(a, b *graph.JobGraph) bool {
	return a.Parallelism == b.Parallelism && slices.EqualFunc(a.Operators, b.Operators, func(x, y graph.Operator) bool { return x.Parallelism == y.Parallelism })
}

// enoughSlots refuses what would leave the job waiting.
func (jm *JobManager) enoughSlots(j *jobMaster, r *jobRecord, g *graph.JobGraph) error {
	wanted, has := graph.Expand(g).SlotsNeeded(), graph.Expand(&r.Graph).SlotsNeeded()
	if _, _, free := jm.resources.count(); wanted > has+free {
		return api.Errorf(api.KindConflict, "not enough slots: wanted %d, free %d besides the %d that job %s has", wanted, free, has, j.id).
			WithHint("start more TaskManagers, give them more slots, or lower the parallelism")
	}
	return nil
}

// redeploy takes a checkpoint and has the job go on from it with another graph, which was worked out from the record.
func (jm *JobManager) redeploy(ctx context.Context, j *jobMaster, r *jobRecord, g *graph.JobGraph, kind api.ChangeKind, operators map[string]int) (*api.Job, error) {
	if err := jm.enoughSlots(j, r, g); err != nil {
		return nil, err
	}
	splits, err := jm.newSplits(ctx, &r.Graph, g)
	if err != nil {
		return nil, err
	}
	waits := r.Graph.Modules[0].ID != g.Modules[0].ID || !checkpoint.KeepsWays(&r.Graph, g)
	for take := true; ; {
		if take {
			if _, err := jm.take(ctx, j, ckRequest{kind: checkpoint.Periodic, waits: waits}); err != nil {
				return nil, cmp.Or(j.meanwhile(r.Generation), err)
			}
		}
		answers := make(chan error, 1)
		if err := j.tell(ctx, evGraph{r.Generation, kind, g, operators, splits, waits, answers}); err != nil {
			return nil, err
		}
		err := <-answers
		take = errors.Is(err, errInFlight) // another was taken since
		switch {
		case err == nil:
			return j.job(), nil
		case take:
		case !errors.Is(err, errUncommitted):
			return nil, err
		case !pause(ctx, commitPoll):
			return nil, ctx.Err()
		}
	}
}

// commitPoll is how long output that is being committed is given before it is asked for again.
const commitPoll = 20 * time.Millisecond
