package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// runFlags is what `wasmill run` was asked for.
type runFlags struct {
	params      []string
	parallelism int
	mode        string
	name        string
	stateDir    string
	address     string
	from        string
	dropState   bool
	rewind      bool

	preAggregate string
}

func (a *app) runCommand() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run FILE.wasm",
		Short: "Run a job and wait for its end",
		Long: `Run the job that a module defines, and wait for its end. Without --jobmanager it runs in this process, with as many
slots as it needs, and its checkpoints end with it: Ctrl-C cancels it. With --state-dir it can be stopped by Ctrl-C, or killed,
and the same command again goes on from its last checkpoint. A directory is for one job: another command is refused while that
one has not ended, and when it has ended, the same command tells its result and runs nothing. Checkpoints are in DIR/checkpoints,
or in checkpoint.dir if that is set; without --state-dir it is not used. Other commands reach a job that runs in this process
with --jobmanager http://HOST:PORT, if it was given that --address.
With --jobmanager it runs on that cluster; Ctrl-C leaves it running there.
The exit status is 0 only if the job is FINISHED.`,
		Example: `  wasmill run wordcount.wasm --param input=moby.txt --param output=counts
  wasmill run wordcount.wasm --param input='logs/*.gz' --param output=counts --parallelism 4 --jobmanager http://127.0.0.1:7070`,
		Args:              exactly("FILE.wasm"),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.runJob(cmd, args[0], flags) },
		ValidArgsFunction: cobra.FixedCompletions([]string{"wasm"}, cobra.ShellCompDirectiveFilterFileExt),
	}
	cmd.Flags().StringArrayVar(&flags.params, "param", nil, "`NAME=VALUE` of a parameter of the job; repeat it for more (see wasmill inspect)")
	cmd.Flags().IntVar(&flags.parallelism, "parallelism", 1, "subtasks of each operator that sets none itself")
	cmd.Flags().StringVar(&flags.mode, "mode", "", "`MODE` of the job: streaming, batch (stage by stage, where all input ends) or automatic; job.mode without it")
	cmd.Flags().StringVar(&flags.name, "name", "", "name of the job, instead of the module's")
	cmd.Flags().StringVar(&flags.stateDir, "state-dir", "", "`DIR` that keeps the job's metadata and checkpoints, without --jobmanager")
	cmd.Flags().StringVar(&flags.address, "address", "", "loopback `HOST:PORT` where other commands reach the job, without --jobmanager; port 0 takes a free one")
	cmd.Flags().StringVar(&flags.from, "from", "", "`PATH` or s3:// URL of a savepoint to go on from")
	cmd.Flags().StringVar(&flags.preAggregate, "pre-aggregate", "auto", "fold records before they are sent: `WORD` auto, where operators let it and it pays, or off")
	cmd.Flags().BoolVar(&flags.rewind, "allow-rewind", false, "behind a damaged checkpoint, go on from an older one and see some output twice")
	cmd.Flags().BoolVar(&flags.dropState, "allow-dropped-state", false, "with --from: leave state behind that no operator of the job takes")
	optionFlag(cmd, "jobmanager", "jobmanager.url")
	return cmd
}

// jobFailed is how a job ended that is neither FINISHED nor was cancelled by this command.
type jobFailed struct {
	job     *api.Job
	failure wire.Failure
}

func (e *jobFailed) Error() string {
	s := fmt.Sprintf("job %s (%s) is %s", e.job.ID, e.job.Name, e.job.State)
	if e.failure.Message != "" {
		s += ": " + e.failure.Message
	}
	return s
}

// runJob submits the module and stays with the job to its end.
func (a *app) runJob(cmd *cobra.Command, path string, flags runFlags) error {
	submit, err := flags.submit()
	if err != nil {
		return err
	}
	c, err := a.load(cmd)
	if err != nil {
		return err
	}
	module, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	submit.Module = graph.ModuleID(sha256Hex(module))
	r := &running{app: a, file: filepath.Base(path), progress: newProgress(a)}
	defer r.progress.close()
	if c.JobManager.URL != "" {
		if flags.stateDir != "" {
			return usagef("--state-dir: a job on a cluster is kept by the cluster")
		}
		if flags.address != "" {
			return usagef("--address: a job on a cluster is reached where the cluster is")
		}
		if r.client, err = newClient(c); err != nil {
			return err
		}
		r.progress.where = "on " + r.client.URL()
		return r.run(cmd.Context(), module, submit)
	}
	local, err := startEmbedded(cmd.Context(), c, flags.stateDir, r.progress.beside(a.out), r.progress.beside(a.err))
	if err != nil {
		return err
	}
	return errors.Join(r.runEmbedded(cmd.Context(), local, &flags, module, submit), local.Close())
}

// settleLimit bounds how long the process of a job that has failed waits for its last checkpoint to be made a savepoint.
const settleLimit = 5 * time.Second

// runEmbedded runs the job in this process.
func (r *running) runEmbedded(ctx context.Context, local *embedded, flags *runFlags, module []byte, submit *api.Submit) error {
	r.client, r.embedded, r.work, r.kept, r.progress.where = local.client, true, local.work, flags.stateDir, "in this process"
	url := ""
	if flags.address != "" {
		var err error
		if url, err = local.serve(ctx, flags.address); err != nil {
			return err
		}
		r.progress.where += ", " + url
	}
	r.progress.wayOut = func(id graph.JobID) string { return wayOut(id, url, r.kept) }
	if r.kept != "" {
		r.progress.where += "; kept in " + r.kept
		err := r.runKept(ctx, module, submit)
		if failed := (*jobFailed)(nil); errors.As(err, &failed) {
			settle, cancel := context.WithTimeout(ctx, settleLimit)
			defer cancel()
			_ = local.jobs.Settled(settle, failed.job.ID) // what it leaves can be gone on from; else the next process sees to it
		}
		return err
	}
	r.progress.where += "; checkpoints end with it"
	return r.run(ctx, module, submit)
}

// submit checks the flags.
func (f *runFlags) submit() (*api.Submit, error) {
	if f.parallelism < 1 || f.parallelism > graph.MaxParallelism {
		return nil, usagef("--parallelism %d (expected 1 <= n <= %d)", f.parallelism, graph.MaxParallelism)
	}
	if f.mode != "" && f.mode != api.ModeStreaming && f.mode != api.ModeBatch && f.mode != api.ModeAutomatic {
		return nil, usagef("--mode %s (expected streaming, batch or automatic)", strconv.Quote(f.mode))
	}
	if f.preAggregate != "auto" && f.preAggregate != graph.PreAggregateOff {
		return nil, usagef("--pre-aggregate %q (expected auto or off)", f.preAggregate)
	}
	params, err := parseParams(f.params)
	if err != nil {
		return nil, err
	}
	var request [16]byte
	_, _ = rand.Read(request[:]) // never fails
	here, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the working directory: %w", err)
	}
	if f.dropState && f.from == "" {
		return nil, usagef("--allow-dropped-state: without --from (there is no state)")
	}
	from, err := place(f.from)
	if err != nil {
		return nil, err
	}
	submit := &api.Submit{
		From: from, AllowDroppedState: f.dropState, AllowRewind: f.rewind,
		Name: f.name, Mode: f.mode, Params: params, Parallelism: &f.parallelism, Directory: here, Request: wire.RequestID(hex.EncodeToString(request[:])),
	}
	if f.preAggregate != "auto" {
		submit.PreAggregate = f.preAggregate
	}
	return submit, nil
}

func sha256Hex(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

func parseParams(given []string) (map[string]string, error) {
	params := map[string]string{}
	for _, p := range given {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usagef("--param %s (expected NAME=VALUE)", strconv.Quote(p))
		}
		if _, twice := params[name]; twice {
			return nil, usagef("--param %s is given twice", name)
		}
		params[name] = value
	}
	return params, nil
}

// running is one job that the command stays with.
type running struct {
	*app
	client   *api.Client
	file     string // name of the module, for messages
	embedded bool
	work     func() // of an embedded job: has it worked on, once what is asked of it is known. At most once
	kept     string // directory of an embedded job that outlives the process
	progress *progress
}

func (r *running) run(ctx context.Context, module []byte, submit *api.Submit) error {
	job, err := r.start(ctx, module, submit)
	if err != nil {
		return r.named(err)
	}
	if r.work != nil {
		r.work()
	}
	end, err := follow(ctx, r.client, job.ID, r.progress)
	r.progress.close()
	switch {
	case ctx.Err() != nil && (err != nil || end == nil):
		return r.interrupted(ctx, job)
	case err != nil && passing(err):
		return withHint(err, "the job may still run; look with `wasmill info %s --jobmanager %s`", job.ID, r.client.URL())
	case err != nil:
		return fmt.Errorf("follow job %s: %w", job.ID, err)
	}
	return r.end(end)
}

// start uploads the module, unless it is there already, and submits the job.
func (r *running) start(ctx context.Context, module []byte, submit *api.Submit) (*api.Job, error) {
	there, err := r.client.HasModule(ctx, submit.Module)
	if err != nil {
		return nil, err
	}
	if !there {
		if _, err := r.client.UploadModule(ctx, bytes.NewReader(module), int64(len(module))); err != nil {
			return nil, err
		}
	}
	return r.client.SubmitJob(ctx, submit)
}

// named puts the module's file before what the JobManager refused.
func (r *running) named(err error) error {
	var refused *api.Error
	if errors.As(err, &refused) {
		return fmt.Errorf("%s: %w", r.file, err)
	}
	return err
}

// interrupted cancels an embedded job, and leaves alone one that is kept, by a directory or a cluster.
func (r *running) interrupted(ctx context.Context, job *api.Job) error {
	if r.kept != "" {
		return r.stopped(ctx, job)
	}
	if !r.embedded {
		r.note("detached: job %s goes on", job.ID)
		r.note("  come back with `wasmill info %s --jobmanager %s`", job.ID, r.client.URL())
		r.note("  stop it with `wasmill cancel %s --jobmanager %s`", job.ID, r.client.URL())
		return errInterrupted
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelLimit)
	defer cancel()
	r.leaveOut(ctx, job.ID)
	end, err := cancelAndWait(ctx, r.client, job.ID)
	if err != nil && end != nil && end.State == api.JobFinishing && end.Failure != nil {
		r.note("interrupted: job %s (%s) has come to its end, but not all of its output is committed: %s", end.ID, end.Name, oneParagraph(end.Failure.Message))
		return errInterrupted
	}
	if err != nil {
		r.note("interrupted: %s", err)
		return errInterrupted
	}
	r.note("interrupted: job %s (%s) is %s after %s", end.ID, end.Name, end.State, seconds(lifetime(end, time.Now())))
	return errInterrupted
}

// end prints how the job has ended.
func (r *running) end(job *api.Job) error {
	if job.State != api.JobFinished {
		return failed(job)
	}
	return r.answer(job, func(w io.Writer) {
		fmt.Fprintln(w, summary(job))
		for _, l := range lostLines(job.Guarantee.Lost) {
			r.note("lost: %s", l)
		}
	})
}

func failed(job *api.Job) *jobFailed {
	e := &jobFailed{job: job}
	if job.Failure != nil {
		e.failure = *job.Failure
	}
	return e
}

// summary is the result in a line: FINISHED in 0.4 s: 17,141 rows in counts/ (2 files, 240 KB)
func summary(job *api.Job) string {
	s := fmt.Sprintf("%s in %s", job.State, seconds(lifetime(job, time.Now())))
	for i, o := range job.Output {
		s += []string{": ", "; "}[min(i, 1)] + outputText(o)
	}
	return s
}

func outputText(o api.Output) string {
	if o.Path == "" {
		return fmt.Sprintf("%s into %s", plural(o.Rows, "row"), o.Operator)
	}
	return fmt.Sprintf("%s in %s (%s, %s)", plural(o.Rows, "row"), shownDir(o.Path), plural(int64(o.Files), "file"), size(o.Bytes))
}

// shownDir writes a directory as seen from the working directory, if it is below it.
func shownDir(path string) string {
	if wd, err := os.Getwd(); err == nil && filepath.IsAbs(path) {
		if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
			path = rel
		}
	}
	return strings.TrimSuffix(path, "/") + "/"
}
