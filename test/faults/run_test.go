//go:build faults

package faults

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob/s3test"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/test/harness"
)

// scenario is a fault that is tried on a job of a cluster.
type scenario struct {
	row, name    string
	workload     *workload.Workload // nil: the seed chooses
	any          bool               // it chooses among all that there are, and how fast they are read
	records      int                // 0: 150,000
	pace         time.Duration      // of a batch; 0: 100 ms
	parallelism  int                // 0: 2
	taskmanagers int                // 0: 2
	networked    bool               // the processes are on hosts of their own: x.net
	inS3         bool               // checkpoints are on one more host of the network: x.s3
	clocks       bool               // the processes have wall clocks that can be set
	env          []string           // of all processes
	limit        time.Duration      // for the job to end when the fault is over; 0: a minute
	remark       bool               // says how long it took until a checkpoint was completed after the fault
	fullOnly     bool

	prepare func(x *run) // before anything is started
	fault   func(x *run) // breaks the cluster whose job runs, and mends it; what took effect it tells by x.effect
	end     func(x *run) // instead of waiting until the job is FINISHED, with the right output
	last    func(x *run) // when all is over
}

// run is one scenario with one seed.
type run struct {
	*scenario
	t       testing.TB
	seed    uint64
	random  *rand.Rand
	dir     string
	client  *api.Client
	jm      *process
	tms     []*process
	net     *network       // nil: all is on loopback
	s3      *s3test.Server // nil: checkpoints lie in a directory
	always  string         // FAILPOINT of every process besides, with a comma before each
	params  map[string]string
	input   workload.Input
	module  []byte
	job     graph.JobID
	before  []string      // jobs that this one has gone on from, the oldest first
	rewind  bool          // the next job may go on from an older checkpoint
	last    checkpoint.ID // completed, that was seen
	effects []string
	spilled bool
	up      bool // every process is to run
	killed  bool // from outside, at a random time
	jmDied  bool // by a kill from outside
	note    string
	power   *power  // of the machine, with disks of its own
	disks   []*disk // that can be broken
}

// perform runs a scenario with a seed.
func perform(t *testing.T, s *scenario, seed uint64) {
	t.Run(fmt.Sprintf("%s/%s/%d", s.row, strings.ReplaceAll(s.name, " ", "-"), seed), func(t *testing.T) {
		dir, err := os.MkdirTemp("", "wasmill-faults-")
		if err != nil {
			t.Fatal(err)
		}
		x := &run{scenario: s, t: t, seed: seed, dir: dir, random: rand.New(rand.NewPCG(seed, xxhash.Sum64String(s.row+s.name)))}
		begun := time.Now()
		t.Cleanup(func() {
			x.stop()
			effects := x.summary()
			if len(x.effects) == 0 {
				t.Error("no fault took effect: nothing was tested")
			}
			name := fmt.Sprintf("%s (%s)", s.name, x.workload.Name)
			tell(verdict{row: s.row, name: name, seed: seed, effects: effects, random: x.killed, held: !t.Failed(), took: time.Since(begun), remark: x.note})
			if t.Failed() {
				fmt.Printf("  logs and directories stay in %s; again by: make faults ARGS='-run TestRows/%s -seed %d'\n", dir, s.row, seed)
				return
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		x.perform()
	})
}

func (x *run) perform() {
	for _, d := range []string{"logs", "failpoints", "job"} {
		if err := os.MkdirAll(x.path(d), 0o777); err != nil {
			x.t.Fatal(err)
		}
	}
	switch {
	case x.any:
		x.chooseAny()
	case x.workload == nil:
		x.choose()
	}
	var err error
	if x.client, err = api.NewClient("http://"+jobManagerAddress, nil); err != nil {
		x.t.Fatal(err)
	}
	if x.params, x.input, err = x.workload.Prepare(x.path("job"), x.seed, or(x.records, 150_000)); err != nil {
		x.t.Fatal(err)
	}
	if x.module, err = os.ReadFile(filepath.Join(harness.Root(x.t), "test/guests", x.workload.Guest+".wasm")); err != nil {
		x.t.Fatal(err)
	}
	if x.networked {
		x.connect()
	}
	if x.inS3 {
		x.serveS3()
	}
	x.define()
	certs(x)
	x.slow(true)
	if x.prepare != nil {
		x.prepare(x)
	}
	for _, p := range x.processes() {
		p.start()
	}
	x.assemble()
	x.submit()
	x.scenario.fault(x)
	x.surprise()
	x.slow(false)
	if x.end != nil {
		x.end(x)
	} else {
		x.finish()
	}
	if x.scenario.last != nil {
		x.scenario.last(x)
	}
}

// choose lets the seed choose a workload. In some a record costs more the more there were.
func (x *run) choose() {
	s := *x.scenario
	all := []struct {
		*workload.Workload
		records int
		pace    time.Duration
	}{{workload.WideChain, 150_000, 0}, {workload.Ledger, 150_000, 0}, {workload.WideChain, 200_000, 0}, {workload.HashChain, 60_000, 300 * time.Millisecond},
		{workload.Enrich, 16_000, 700 * time.Millisecond}}
	w := all[x.random.IntN(len(all))]
	s.workload = w.Workload
	if w.pace != 0 {
		s.records, s.pace = w.records, w.pace
	} else {
		s.records = max(s.records, w.records)
	}
	x.scenario = &s
}

// or is n, or what it is when it is not said.
func or[N int | time.Duration](n, otherwise N) N {
	if n == 0 {
		return otherwise
	}
	return n
}

// path is one below the run's directory.
func (x *run) path(elements ...string) string {
	return filepath.Join(append([]string{x.dir}, elements...)...)
}

// defaultPace is how long a source pauses before each batch while it is slow.
const defaultPace = 100 * time.Millisecond

const jobManagerAddress = "127.0.0.1:7070" // of REST

// define says what processes the cluster has.
func (x *run) define() {
	control := x.addrOf(0).String() + ":7070"
	x.jm = &process{x: x, name: "jobmanager", args: []string{"jobmanager", "--address=" + jobManagerAddress, "--control=" + control,
		"--liveness=" + x.addrOf(0).String() + ":7072", "--dir=" + x.path("jobmanager"), "--checkpoint-dir=" + x.store(), "--certs=" + x.path("certs")}}
	for i := range or(x.taskmanagers, 2) {
		name := fmt.Sprintf("taskmanager-%d", i+1)
		x.tms = append(x.tms, &process{x: x, name: name, host: x.hostOf(i + 1), args: []string{"taskmanager", "--name=" + name,
			"--address=" + x.addrOf(i+1).String() + ":7070", "--jobmanager=" + control, "--slots=2", "--state-dir=" + x.path("state"), "--certs=" + x.path("certs")}})
	}
}

func (x *run) processes() []*process { return append([]*process{x.jm}, x.tms...) }

// environ is that of every process: checkpoints often, little memory for state, and restarts without long waits.
func (x *run) environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "WASMILL_") })
	env = append(env, "WASMILL_CHECKPOINT_INTERVAL=200ms", "WASMILL_STATE_BUDGET=1MiB", "WASMILL_STATE_RESERVE=0", "WASMILL_RESTART_DELAY=200ms",
		"WASMILL_RESTART_MAX_DELAY=1s", "WASMILL_RESTART_PER_HOUR=1000", "WASMILL_LOG_FORMAT=text", fmt.Sprintf("FAILPOINT_SEED=%d", x.seed))
	return append(env, x.env...)
}

// slow has the sources take their time, or not.
func (x *run) slow(yes bool) {
	var err error
	if yes {
		err = os.WriteFile(x.path("slow"), nil, 0o666)
	} else if err = os.Remove(x.path("slow")); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

// effect takes note of a fault that took effect.
func (x *run) effect(format string, args ...any) {
	x.effects = append(x.effects, fmt.Sprintf(format, args...))
}

// summary is the effects and failpoints, each once with its number.
func (x *run) summary() (all []string) {
	counts := map[string]int{}
	for _, p := range x.processes() {
		for _, point := range p.points() {
			x.effects = append(x.effects, p.name+": "+point)
		}
	}
	for _, e := range x.effects {
		if counts[e]++; counts[e] == 1 {
			all = append(all, e)
		}
	}
	if x.spilled {
		all = append(all, "(state was spilled)")
	}
	for i, e := range all {
		if counts[e] > 1 {
			all[i] = fmt.Sprintf("%s x%d", e, counts[e])
		}
	}
	return all
}

// lookAtSpills takes note of databases that tasks have opened.
func (x *run) lookAtSpills() {
	found, err := filepath.Glob(x.path("state", "*", string(x.job), "spill-*"))
	if err != nil {
		x.t.Fatal(err)
	}
	x.spilled = x.spilled || len(found) > 0
}

// until waits for something; a call that fails means not yet.
func (x *run) until(limit time.Duration, what string, done func(ctx context.Context) bool) time.Duration {
	x.t.Helper()
	return harness.Until(x.t, limit, what, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		return done(ctx)
	})
}

// assemble waits until every TaskManager is there, so that the job is spread over all of them.
func (x *run) assemble() {
	x.t.Helper()
	x.until(30*time.Second, "all TaskManagers have registered", func(ctx context.Context) bool {
		o, err := x.client.Overview(ctx)
		return err == nil && o.TaskManagers == len(x.tms)
	})
}

// submit submits the job, again when there was no answer: it has an id by which it is known.
func (x *run) submit() { x.submitFrom("") }

// another submits a job that goes on from a savepoint of this one, which has ended.
func (x *run) another(path string) {
	x.t.Helper()
	x.before, x.last = append(x.before, string(x.job)), 0
	x.submitFrom(path)
}

func (x *run) submitFrom(path string) {
	x.t.Helper()
	sum := sha256.Sum256(x.module)
	parallelism := or(x.parallelism, 2)
	s := &api.Submit{Module: graph.ModuleID(hex.EncodeToString(sum[:])), Params: x.params, Parallelism: &parallelism,
		Directory: x.dir, Request: wire.RequestID(fmt.Sprintf("run-%d-%d", x.seed, len(x.before))), From: path, AllowRewind: x.rewind}
	x.until(30*time.Second, "the job is submitted", func(ctx context.Context) bool {
		if !x.jm.runs() {
			x.revive(x.jm)
		} else if x.jm.stopped() {
			x.killWhileStopped()
		}
		if there, err := x.client.HasModule(ctx, s.Module); err != nil {
			return false
		} else if !there {
			if _, err := x.client.UploadModule(ctx, bytes.NewReader(x.module), int64(len(x.module))); err != nil {
				return false
			}
		}
		j, err := x.client.SubmitJob(ctx, s)
		var refused *api.Error
		if errors.As(err, &refused) && refused.Kind != api.KindUnavailable {
			x.t.Fatal(err)
		}
		if err == nil {
			x.job = j.ID
		}
		return err == nil
	})
}

// revive starts a process again that a failpoint has ended: once was enough.
func (x *run) revive(p *process) {
	p.fault = ""
	p.start()
}

// look is the job as it is now, nil when nobody says.
func (x *run) look(ctx context.Context) *api.Job {
	x.t.Helper()
	j, err := x.client.GetJob(ctx, x.job)
	if err != nil {
		return nil
	}
	if j.State == api.JobFailed || j.State == api.JobCanceled {
		x.t.Fatalf("job is %s: %v", j.State, j.Failure)
	}
	return j
}

// completes waits until n more checkpoints are completed, and the output of those before is committed.
func (x *run) completes(n int) time.Duration {
	x.t.Helper()
	begun := time.Now()
	for range n {
		x.until(time.Minute, "a checkpoint is completed", func(ctx context.Context) bool {
			j := x.look(ctx)
			x.lookAtSpills()
			x.keepUp()
			if j == nil || j.Checkpoint == nil || j.Checkpoint.ID <= x.last {
				if j != nil && j.State == api.JobFinished {
					x.t.Fatal("the job was over before the fault: nothing was tested")
				}
				return false
			}
			x.last = j.Checkpoint.ID
			return true
		})
	}
	return time.Since(begun)
}

// mended says that the fault is over: everything runs again. How long the job takes to be on its way is measured.
func (x *run) mended() {
	x.t.Helper()
	x.up = true
	x.keepUp()
	x.until(30*time.Second, "the JobManager answers", func(ctx context.Context) bool {
		j := x.look(ctx)
		if j != nil && j.Checkpoint != nil {
			x.last = j.Checkpoint.ID
		}
		return j != nil
	})
	took := x.completes(1)
	if limit := resumeLimit + 2*or(x.pace, defaultPace); x.row == "1" && !x.jmDied && took > limit { // a barrier waits for who pauses
		x.t.Errorf("a checkpoint was completed %s after the TaskManagers were back (expected < %s)", took.Round(time.Millisecond), limit)
	}
	if x.remark {
		x.note = fmt.Sprintf("a checkpoint %.1f s after", took.Seconds())
	}
}

// keepUp starts processes again that have ended, when the fault is over: a failpoint may end one later.
func (x *run) keepUp() {
	for _, p := range x.processes() {
		if x.up && !p.runs() {
			x.revive(p)
		}
	}
}

// finish waits until the job is FINISHED, and checks what it leaves.
func (x *run) finish() {
	x.t.Helper()
	limit := x.limit
	if limit == 0 {
		limit = time.Minute
	}
	x.until(limit, "the job is FINISHED", func(ctx context.Context) bool {
		x.keepUp()
		j := x.look(ctx)
		return j != nil && j.State == api.JobFinished
	})
	if err := x.workload.Verify(x.path("job"), x.input, append(x.before, string(x.job))...); err != nil {
		x.t.Error(err)
	}
	x.tidy()
}

// tidy holds what is left on disk against nothing, not even a directory: the job is over. TaskManagers hear of it with a
// heartbeat.
func (x *run) tidy() {
	x.t.Helper()
	var left []string
	x.keepUp()
	harness.Until(x.t, 15*time.Second, "what the job had saved is gone", func() bool {
		left = left[:0]
		for _, pattern := range []string{"checkpoints/", "state/*/"} {
			found, err := filepath.Glob(x.path(pattern + string(x.job)))
			if err != nil {
				x.t.Fatal(err)
			}
			left = append(left, found...)
		}
		if x.s3 != nil {
			left = append(left, x.inBucket()...)
		}
		return len(left) == 0
	})
}

// stop ends the cluster.
func (x *run) stop() {
	for _, p := range x.processes() {
		if p != nil && p.cmd != nil {
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	}
	if x.net != nil {
		x.net.close()
	}
}

// someTime is a random time up to a limit.
func (x *run) someTime(most time.Duration) time.Duration {
	return time.Duration(x.random.Int64N(int64(most)))
}

// pass lets time pass: what is broken has to be broken for a while.
func (x *run) pass(d time.Duration) { time.Sleep(d) }

// strike kills a process from outside, at a random time.
func (x *run) strike() {
	x.pass(x.someTime(time.Second))
	all := x.processes()
	p := all[x.random.IntN(len(all))]
	if !p.runs() {
		return
	}
	p.kill()
	x.killed = true
	x.pass(x.someTime(500 * time.Millisecond))
	x.revive(p)
}

// surprise kills a process at a random time in every third run that goes on and has had no such kill: places that nobody has
// thought of are met by chance alone.
func (x *run) surprise() {
	met := len(x.effects) > 0
	for _, p := range x.processes() {
		met = met || len(p.points()) > 0
	}
	if !met || x.killed || x.end != nil || x.random.IntN(3) > 0 { // what has met nothing must not pass by a kill
		return
	}
	x.pass(x.someTime(500 * time.Millisecond))
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if j := x.look(ctx); j != nil && j.State != api.JobRunning {
		return // nothing would be met
	}
	x.strike()
	x.up = true
}

// upload uploads a module.
func (x *run) upload(module []byte) graph.ModuleID {
	x.t.Helper()
	m, err := x.client.UploadModule(context.Background(), bytes.NewReader(module), int64(len(module)))
	if err != nil {
		x.t.Fatal(err)
	}
	return m.ID
}
