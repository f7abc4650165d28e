//go:build faults

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/test/harness"
)

// damages break files behind Wasmill's back.
func damages() []scenario {
	wide := scenario{workload: workload.WideChain, records: 60_000}
	late := scenario{workload: totals, records: 60_000}
	like := func(s scenario, row, name string, fault func(x *run)) scenario {
		s.row, s.name, s.fault, s.end = row, name, fault, func(*run) {}
		return s
	}
	return []scenario{
		like(wide, "18", "each block of each file", func(x *run) { x.damageEach(6, blocks) }),
		like(late, "18", "each block of each file, no output yet", func(x *run) { x.damageEach(4, blocks) }),
		like(wide, "18", "truncated, extended", func(x *run) { x.damageEach(3, lengths) }),
		{row: "18", name: "swapped with another job's", workload: workload.Ledger, fault: swapJobs, end: func(*run) {}},
		like(scenario{workload: workload.Ledger, records: 60_000}, "18", "swapped, of one size", func(x *run) { x.damageEach(3, swaps) }),
		{row: "18", name: "kept copies", fault: keptCopies},
		like(wide, "19", "each file removed", func(x *run) { x.damageEach(4, removals) }),
		like(late, "19", "each file removed, no output yet", func(x *run) { x.damageEach(4, removals) }),
		{row: "19", name: "killed while garbage is deleted", workload: workload.WideChain, pace: 250 * time.Millisecond, env: []string{"WASMILL_CHECKPOINT_RETAINED=1"}, fault: garbageRace},
	}
}

// totals adds everything up in one window, so that there is no output before the end.
var totals = &workload.Workload{
	Name: "totals", Guest: "windows", Outputs: []string{"results", "late"}, Params: map[string]string{"window": "1000000000", "disorder": "100"},
	Make: workload.Windows.Make,
	Check: func(in workload.Input, out map[string][]workload.File) error {
		want, got := map[string]int64{}, map[string]int64{}
		for _, l := range in["input"][0] {
			p := strings.Split(l, ",")
			var n int64
			fmt.Sscan(p[2], &n)
			want[p[0]] += n
		}
		for _, f := range out["results"] {
			for _, l := range f.Lines {
				p := strings.FieldsFunc(l, func(r rune) bool { return r == '\t' || r == ',' })
				var n int64
				if _, err := fmt.Sscan(p[2], &n); err != nil {
					return fmt.Errorf("%s: line %q: %w", f.Name, l, err)
				}
				if _, again := got[p[1]]; again {
					return fmt.Errorf("%s: %s has two totals", f.Name, p[1])
				}
				got[p[1]] = n
			}
		}
		if fmt.Sprint(want) != fmt.Sprint(got) {
			return fmt.Errorf("totals %v (expected %v)", got, want)
		}
		return nil
	},
}

// damageEach breaks what a job has saved in one way after the other, and has it go on from it each time: what is damaged is
// found by who looks for it, and never served. In short only some are tried.
func (x *run) damageEach(some int, ways func(x *run, root string, names []string) []breach) {
	x.t.Helper()
	x.completes(4)
	for _, p := range x.processes() {
		p.cmd.Process.Kill()
		<-p.ended
	}
	root := x.path("checkpoints", string(x.job))
	names := x.retained(root)
	for _, d := range []string{"checkpoints", "jobmanager", "job/output"} {
		x.copyDir(d, "saved/"+d)
	}
	all := ways(x, root, names)
	if len(all) == 0 {
		x.t.Fatal("there is nothing to damage so")
	}
	if !*full && len(all) > some {
		x.random.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		all = all[:some]
	}
	x.slow(false)
	ends := map[string]int{}
	for _, d := range all {
		for _, dir := range []string{"checkpoints", "jobmanager", "job/output"} {
			x.copyDir("saved/"+dir, dir)
		}
		x.forget()
		if err := d.do(func(name string) string { return filepath.Join(root, name) }); err != nil {
			x.t.Fatal(err)
		}
		x.effect("%s", strings.Fields(d.what)[0])
		ends[x.goesOnFrom(&d)]++
		if x.t.Failed() {
			return
		}
	}
	x.note = fmt.Sprintf("%d tried, of %d files: %s", len(all), len(names), strings.Trim(fmt.Sprint(ends), "map[]"))
}

// goesOnFrom starts the cluster on what is damaged, and says how the job ends: as the scrubber said that it would, or
// rightly, because what is damaged was not needed.
func (x *run) goesOnFrom(d *breach) (end string) {
	x.t.Helper()
	x.jm.start()
	var v *api.Verification
	x.until(20*time.Second, "the JobManager reads the checkpoints", func(ctx context.Context) bool {
		var err error
		v, err = x.client.VerifyCheckpoints(ctx, x.job)
		return err == nil
	})
	found := map[string]bool{}
	for _, c := range v.Checkpoints {
		for _, f := range c.Faults {
			found[f.File] = true
		}
	}
	for _, name := range d.files {
		if !found[name] {
			x.t.Errorf("%s: the scrubber does not see it", d.what)
		}
		delete(found, name)
	}
	for name := range found {
		x.t.Errorf("%s: the scrubber says that %s is damaged", d.what, name)
	}
	for _, tm := range x.tms {
		tm.start()
	}
	j := x.terminal()
	names := j.Failure != nil && slices.ContainsFunc(d.files, func(name string) bool { return strings.Contains(j.Failure.Message, name) })
	switch {
	case j.State == api.JobFinished:
		if err := x.workload.Verify(x.path("job"), x.input); err != nil {
			x.t.Errorf("%s: %v", d.what, err)
		}
		end = "exact"
	case x.workload == totals:
		x.t.Errorf("%s: the job is %s: %+v (expected to go back: it has shown nothing)", d.what, j.State, j.Failure)
	case !v.Restart.Fails || j.Failure.Kind != wire.KindState || !names:
		x.t.Errorf("%s: the job is %s: %+v (the scrubber had said: %+v)", d.what, j.State, j.Failure, v.Restart)
	default:
		end = "refused"
		x.isBeginning(d.what)
	}
	for _, p := range x.processes() {
		p.cmd.Process.Kill()
		<-p.ended
	}
	return end
}

// swapJobs puts files of another job in the place of those that have the same name and size: they are whole, and another's.
func swapJobs(x *run) {
	n := x.beside(workload.Ledger, 150_000)
	x.completes(4)
	for _, p := range x.processes() {
		p.cmd.Process.Kill()
		<-p.ended
	}
	x.forget()
	swapped := ""
	for _, name := range x.retained(x.path("checkpoints", string(x.job))) {
		mine, theirs := x.path("checkpoints", string(x.job), name), x.path("checkpoints", string(n.job), name)
		a, err := os.ReadFile(mine)
		if err != nil {
			x.t.Fatal(err)
		}
		if b, err := os.ReadFile(theirs); err == nil && len(a) == len(b) && !bytes.Equal(a, b) && strings.HasPrefix(name, "files/") {
			swapped = name
			if err := os.WriteFile(mine, b, 0o600); err != nil {
				x.t.Fatal(err)
			}
			x.effect("another job's file of the same name and size")
		}
	}
	if swapped == "" {
		x.t.Fatal("no two files of one name have one size")
	}
	x.slow(false)
	for _, p := range x.processes() {
		p.start()
	}
	if j := x.terminal(); j.State != api.JobFailed || j.Failure.Kind != wire.KindState || !strings.Contains(j.Failure.Message, "files/") {
		x.t.Errorf("the job is %s: %+v (expected FAILED, naming a file)", j.State, j.Failure)
	}
	x.isBeginning("swapped")
	n.finish()
}

// terminal waits until the job has ended, in whichever way.
func (x *run) terminal() (j *api.Job) {
	x.t.Helper()
	x.until(time.Minute, "the job ends", func(ctx context.Context) bool {
		var err error
		j, err = x.client.GetJob(ctx, x.job)
		return err == nil && j.State.Terminal()
	})
	return j
}

// isBeginning holds the output of a job that was refused to go on against its input: what there is of it is right, and there
// once.
func (x *run) isBeginning(what string) {
	x.t.Helper()
	if err := x.workload.VerifyBeginning(x.path("job"), x.input, string(x.job)); err != nil {
		x.t.Errorf("%s: the output of the job that was refused: %v", what, err)
	}
}

// copyDir makes a directory the same as another one.
func (x *run) copyDir(from, to string) {
	x.t.Helper()
	if err := os.RemoveAll(x.path(to)); err != nil {
		x.t.Fatal(err)
	}
	if err := os.CopyFS(x.path(to), os.DirFS(x.path(from))); err != nil {
		x.t.Fatal(err)
	}
}

// retained starts the JobManager alone, to ask it for the checkpoints, and gives the names of their manifests and of all the
// files that these name.
func (x *run) retained(root string) (names []string) {
	x.t.Helper()
	var all []api.Checkpoint
	x.jm.start()
	x.until(20*time.Second, "the JobManager lists the checkpoints", func(ctx context.Context) bool {
		var err error
		all, err = x.client.JobCheckpoints(ctx, x.job)
		return err == nil
	})
	x.jm.cmd.Process.Kill()
	<-x.jm.ended
	for _, c := range all {
		name := checkpoint.ManifestName(c.ID)
		data, err := os.ReadFile(filepath.Join(root, name))
		var m checkpoint.Manifest
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		if err != nil {
			x.t.Fatal(err)
		}
		names = append(names, name)
		for _, f := range m.AllFiles() {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// keptCopies damages the copies that TaskManagers have on their own disks, until that was found: the objects in the store
// stand in for them.
func keptCopies(x *run) {
	found := func() (n int) {
		for _, tm := range x.tms {
			n += strings.Count(tm.log(), `msg="a kept copy is damaged; the store's is read"`)
		}
		return n
	}
	for round := 0; round < 2 || found() == 0; round++ {
		if round == 6 {
			x.t.Fatal("nobody has found a kept copy that was damaged")
		}
		x.completes(2)
		for _, tm := range x.tms {
			tm.kill()
		}
		copies, err := filepath.Glob(x.path("state/*", string(x.job), "files/*.snap"))
		if err != nil {
			x.t.Fatal(err)
		}
		if len(copies) == 0 {
			x.t.Fatal("no copies are kept")
		}
		for _, path := range copies {
			if err := change(path, func(b []byte) []byte { return spoil(b, x.random) }); err != nil {
				x.t.Fatal(err)
			}
		}
		x.mended()
	}
	x.effect("%d damaged copies were found", found())
}

// garbageRace kills the JobManager while it deletes what old checkpoints have left, again and again, and reads all that is
// retained meanwhile: nothing of it is ever missing.
func garbageRace(x *run) {
	for range 3 {
		x.completes(1)
		x.jm.kill()
		x.jm.fault = string(failpoint.RetentionGC) + "=kill@1"
		x.jm.start()
		x.until(30*time.Second, "the JobManager is killed while it deletes garbage", func(context.Context) bool { return !x.jm.runs() })
		x.revive(x.jm)
		x.mended()
		x.scrub()
	}
	for range 10 {
		x.pass(x.someTime(100 * time.Millisecond))
		x.scrub()
	}
}

// scrub has the JobManager read all that is retained, of which nothing is damaged.
func (x *run) scrub() {
	x.t.Helper()
	harness.Until(x.t, 10*time.Second, "the checkpoints are read", func() bool {
		v, err := x.client.VerifyCheckpoints(context.Background(), x.job)
		if err != nil {
			return false
		}
		for _, c := range v.Checkpoints {
			for _, f := range c.Faults {
				x.t.Errorf("checkpoint %d: %s: %s", c.ID, f.File, f.Fault)
			}
		}
		return true
	})
}
