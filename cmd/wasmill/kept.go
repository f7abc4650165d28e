package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/wire"
)

// sameRun names a run of a module with its parameters, the same each time: with a state directory it is the run that was
// begun there. Whether output may be repeated (--allow-rewind) can be said anew each time.
func sameRun(s *api.Submit) wire.RequestID {
	all, _ := json.Marshal([]any{s.Module, s.Name, s.Params, s.Parallelism, s.Directory, s.From, s.AllowDroppedState}) // always can be
	return wire.RequestID("run-" + sha256Hex(all)[:32])
}

// runKept runs the job that a state directory is for, if it is the one that is asked for and has not ended.
func (r *running) runKept(ctx context.Context, module []byte, submit *api.Submit) error {
	submit.Request = sameRun(submit)
	jobs, err := r.client.ListJobs(ctx)
	if err != nil {
		return err
	}
	before, other := inDirectory(jobs, submit.Request)
	switch {
	case other != nil:
		return api.Errorf(api.KindConflict, "--state-dir %s has a job that has not ended, and this is another one: job %s (%s) differs in %s", r.kept, other.ID, other.Name, strings.Join(differences(other, submit), ", ")).
			WithHint("give this one a directory of its own; the command that began job %s goes on with it", other.ID)
	case before != nil && before.State.Terminal():
		return r.endedBefore(before)
	}
	return r.run(ctx, module, submit)
}

// inDirectory finds the job of this request among those of a state directory, and one of another that has not ended.
func inDirectory(jobs []api.Job, request wire.RequestID) (before, other *api.Job) {
	for i := range jobs {
		switch j := &jobs[i]; {
		case j.Request == request:
			before = j
		case !j.State.Terminal():
			other = j
		}
	}
	return before, other
}

// differences says in what a job differs from one that is asked for, as the command line has it.
func differences(there *api.Job, s *api.Submit) (all []string) {
	tell := func(what, before, now string) {
		all = append(all, fmt.Sprintf("%s (there %s, here %s)", what, before, now))
	}
	if there.Module != s.Module {
		all = append(all, "the module")
	}
	given := func(params map[string]string, name string) string {
		if value, ok := params[name]; ok {
			return fmt.Sprintf("%q", api.Shorten(value))
		}
		return "none"
	}
	names := maps.Clone(s.Params)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, there.Params)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, was := there.Params[name]
		if now, is := s.Params[name]; was != is || before != now {
			tell("--param "+name, given(there.Params, name), given(s.Params, name))
		}
	}
	if s.Parallelism != nil && *s.Parallelism != there.Parallelism {
		tell("--parallelism", fmt.Sprint(there.Parallelism), fmt.Sprint(*s.Parallelism))
	}
	if s.Mode != "" && s.Mode != api.ModeAutomatic && s.Mode != there.Mode {
		tell("--mode", there.Mode, s.Mode)
	}
	if s.Name != "" && s.Name != there.Name {
		tell("--name", there.Name, s.Name)
	}
	from := ""
	if there.Origin != nil {
		from = there.Origin.Path
	}
	if from != s.From {
		all = append(all, "--from")
	}
	if there.Directory != s.Directory {
		tell("the working directory", there.Directory, s.Directory)
	}
	if len(all) == 0 { // a name that the module gives is not known from one that the user gave; an upgraded job began with another module
		all = []string{"--name, --allow-dropped-state or what it has been given since it began"}
	}
	return all
}

// endedBefore tells the result of a job that has ended in a process before this one.
func (r *running) endedBefore(job *api.Job) error {
	ended := ""
	if job.Ended != nil {
		ended = ", at " + job.Ended.Local().Format(time.DateTime)
	}
	r.note("job %s (%s) of %s has ended before%s: nothing is run", job.ID, job.Name, r.kept, ended)
	r.note("  to run it again, use another --state-dir")
	return r.end(job)
}

// stopped says how to go on with a job that is kept. It is not cancelled: it stands still when the process ends.
func (r *running) stopped(ctx context.Context, job *api.Job) error {
	if now, err := r.client.GetJob(context.WithoutCancel(ctx), job.ID); err == nil {
		job = now
	}
	r.note("stopped: job %s (%s) is kept in %s; %s", job.ID, job.Name, r.kept, goesOn(job))
	return errInterrupted
}

// goesOn is what the same command does with a job that is kept.
func goesOn(job *api.Job) string {
	switch {
	case job.State == api.JobFinishing:
		return "it has come to its end, and the same command commits what is left of its output"
	case job.Checkpoint != nil:
		return "the same command goes on from its last checkpoint"
	}
	return "the same command goes on from its beginning"
}
