package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/wire"
)

// What a source of a simulated job reads: some records of a split at a time.
const (
	paceRecords = 5
	paceEvery   = 100 * time.Millisecond
)

// Scenario is a workload under faults.
type Scenario struct {
	Seed        uint64
	Workload    *workload.Workload
	Records     int
	Parallelism int
	Barriers    Barriers
	Batch       bool
	Budget      int64   // bytes of memory of a slot's state; 0: no limit
	Faults      []Fault // nil: some, chosen by the seed
	Among       []Fault // these are chosen from; nil: all
	Must        string  // an effect that there has to be
	Prefer      string  // every other one that is chosen has this in its name
	Guests      string  // directory of the guests
	Connectors  *connector.Registry
	Cache       string // directory of compiled modules
	Discard     bool   // the trace of a failure
}

// healed is how long, in virtual time, a job may take after the last fault has healed.
const healed = 10 * time.Minute

// Run runs a scenario and says what came of it: the faults that took effect, which it answers, and an error when the output
// is not exactly what it must be, or none of the faults took effect. Then the trace is kept.
func Run(t *testing.T, s Scenario) (effects map[string]int) {
	effects, err := Try(t, s)
	if err != nil {
		t.Error(err)
	}
	return effects
}

// Try is Run for those who want to know the error: a planted bug must have one.
func Try(t *testing.T, s Scenario) (effects map[string]int, failed error) {
	synctest.Test(t, func(t *testing.T) {
		guest, err := os.ReadFile(filepath.Join(s.Guests, s.Workload.Guest+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		params, in, err := s.Workload.Prepare(dir, s.Seed, s.Records)
		if err != nil {
			t.Fatal(err)
		}
		if s.Workload.Endless {
			s.Connectors = withoutEnd(s.Connectors)
		}
		x := Start(t, Config{
			Seed: s.Seed, TaskManagers: 2, Slots: s.Parallelism, Checkpoint: time.Second, Barriers: s.Barriers,
			Guest: guest, Params: params, Parallelism: s.Parallelism, Connectors: s.Connectors, Cache: s.Cache,
			Timeless: s.Workload.Timeless, Batch: s.Batch, Budget: s.Budget,
		})
		begin := time.Now()
		verify := func() error { return s.Workload.Verify(dir, in, x.jobs()...) }
		err = x.run(s, verify)
		refused := errors.Is(err, errRefused)
		if err == nil {
			err = x.putBack()
		}
		if err == nil {
			err = verify()
		}
		if refused {
			if wrong := s.Workload.VerifyBeginning(dir, in, x.jobs()...); wrong != nil {
				err, refused = fmt.Errorf("the damage was found, and the output is wrong: %w", wrong), false
			}
		}
		if err == nil && !s.Workload.Endless {
			err = x.countRecords(in)
		}
		if err == nil && slices.Contains(s.Workload.Outputs, letters) {
			err = x.countLetters(filepath.Join(dir, "output", letters))
		}
		took := time.Since(begin)
		x.Close()
		effects = x.trace.Effects()
		verdict := "exact"
		if err == nil && s.Must != "" && effects[s.Must] == 0 {
			err = fmt.Errorf("there was no %s", s.Must)
		}
		if err == nil && len(effects) == 0 && (s.Faults == nil || len(s.Faults) > 0) {
			err = errUntouched
		}
		if err != nil {
			verdict = err.Error()
		}
		if refused {
			err = nil
		}
		if n := x.trace.Count("msg=restore") - x.trace.Count("msg=restore", "inFlight=0"); n > 0 {
			effects["restored with records in flight"] = n
		}
		if n := s.Workload.LateLines(dir); n > 0 {
			effects["late lines"] = n
		}
		if n := x.trace.Count("msg=\"tasks have finished under the JobManager before\""); n > 0 {
			effects["went on with results"] = n
		}
		said := fmt.Sprintf("seed %d, %s, parallelism %d: %v, %s of virtual time: %s", s.Seed, s.Workload.Name, s.Parallelism, effects, took.Round(time.Second), verdict)
		t.Log(said)
		if err := tell(said); err != nil {
			t.Error(err)
		}
		if err != nil {
			failed = fmt.Errorf("seed %d: %w", s.Seed, err)
			if !s.Discard {
				kept, kerr := x.trace.Keep(s.Workload.Name)
				failed = errors.Join(fmt.Errorf("%w (trace: %s)", failed, kept), kerr)
			}
		}
	})
	return effects, failed
}

// tell adds a line to the file that SIMULATED names, if any: what tests say that pass is not printed.
func tell(line string) error {
	path := os.Getenv("SIMULATED")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// letters is the output of dead letters.
const letters = "letters"

// countLetters holds how often the job says that it has left something out against the letters that it has written.
func (x *Cluster) countLetters(dir string) error {
	files, err := workload.Read(dir, false)
	if err != nil {
		return err
	}
	told := int64(0)
	for _, f := range files {
		told += int64(len(f.Lines))
	}
	j := x.Job()
	if j == nil {
		return errors.New("the job is not known any more")
	}
	if len(j.Skipped) != 1 || j.Skipped[0].Count != told {
		return fmt.Errorf("the job says that it left out %+v (expected %d)", j.Skipped, told)
	}
	return nil
}

// countRecords holds how many records the job says that it has read, over all restarts, against those that there are.
func (x *Cluster) countRecords(in workload.Input) error {
	j := x.Job()
	if j == nil {
		return errors.New("the job is not known any more")
	}
	lines := int64(0)
	for _, files := range in {
		for _, f := range files {
			lines += int64(len(f))
		}
	}
	p, err := x.jm.jm.JobPlan(context.Background(), x.job)
	if err != nil {
		return err
	}
	for _, s := range j.Skipped {
		for i := range p.Graph.Operators {
			if op := &p.Graph.Operators[i]; op.Name == s.Operator && op.Kind == abi.OperatorSource {
				lines -= s.Count // they are no records
			}
		}
	}
	if j.Progress.SourceOut != lines {
		return fmt.Errorf("the job says that it has read %d records (expected %d)", j.Progress.SourceOut, lines)
	}
	return nil
}

// errUntouched says that a run has tested nothing.
var errUntouched = errors.New("no fault took effect")

// errRefused is an end that is as it must be: a damaged checkpoint behind which output was committed is not restored, and
// an older one would repeat output.
var errRefused = errors.New("the damage was found, and the output is a right beginning")

// damageRefused is the effect of a damage that ends a job with errRefused.
const damageRefused = "damage refused"

// run submits the job, lets the faults happen, and waits for the end. Of a job that has none by itself it makes one when its
// output is complete.
func (x *Cluster) run(s Scenario, complete func() error) error {
	x.Sleep(2 * time.Second)
	if err := x.Submit(); err != nil {
		return err
	}
	faults, among := s.Faults, s.Among
	if among == nil {
		among = Faults
	}
	if faults == nil {
		for n := 2 + x.random.IntN(4); len(faults) < n; {
			f := among[x.random.IntN(len(among))]
			if s.Prefer != "" && len(faults)%2 == 0 && !strings.Contains(f.Name, s.Prefer) {
				continue
			}
			if s.Parallelism > 1 || !f.Apart {
				faults = append(faults, f)
			}
		}
	}
	for _, f := range faults {
		x.Sleep(x.someTime(4 * time.Second))
		if j := x.Job(); j != nil && j.State.Terminal() {
			break
		}
		x.trace.Add("FAULT %s", f.Name)
		f.Do(x)
		if j := x.Job(); s.Faults == nil && len(x.trace.Effects()) == 0 && j != nil && !j.State.Terminal() {
			for i := range x.tms { // one of them had a part of it
				x.killTaskManager(i, time.Second)
			}
		}
	}
	if x.broken != nil {
		return x.broken
	}
	if s.Workload.Endless {
		if err := x.stopWhen(complete); err != nil {
			return err
		}
	}
	j, err := x.Await(healed)
	if err != nil {
		return err
	}
	if j.State == api.JobFailed && j.Failure != nil && j.Failure.Kind == wire.KindState && x.trace.Effects()["checkpoint damaged"] > 0 {
		x.trace.Effect(damageRefused)
		return errRefused
	}
	if j.State != api.JobFinished {
		return fmt.Errorf("job is %s (expected FINISHED): %v", j.State, j.Failure)
	}
	return nil
}
