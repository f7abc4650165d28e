//go:build faults

package faults

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/test/harness"
)

// fullDisks fill the disk of one directory, beside a job that needs nothing of it or waits for it too. No process dies of it.
func fullDisks() (all []scenario) {
	for _, f := range []struct {
		dir, name string
		leave     int64  // bytes that stay free at most
		lives     bool   // the neighbour ends meanwhile
		fails     string // the job fails with that, and is gone on with when there is space
		of        *workload.Workload
	}{
		{dir: "checkpoints", name: "checkpoint directory"},
		{dir: "checkpoints", name: "checkpoint directory, in the middle of a snapshot", leave: 24 << 10, of: workload.WideChain},
		{dir: "jobmanager", name: "directory of the JobManager"},
		{dir: "job/output", name: "output directory", leave: 32 << 10, lives: true, fails: "no space left on device"},
		{dir: "state", name: "state directory", lives: true},
		{dir: "logs", name: "directory of logs", lives: true},
	} {
		all = append(all, scenario{row: "14", name: f.name, workload: cmp.Or(f.of, workload.Ledger), fullOnly: f.of != nil,
			prepare: func(x *run) { x.small(f.dir, 32<<20) },
			fault: func(x *run) {
				n := x.beside(workload.HashChain, 5_000)
				x.completes(1)
				x.fill(f.dir, f.leave)
				switch {
				case f.fails != "":
					x.fails(f.fails)
				case f.dir != "logs":
					x.until(20*time.Second, "a process finds no space", func(context.Context) bool {
						return slices.ContainsFunc(x.processes(), func(p *process) bool { return strings.Contains(p.log(), "no space left") })
					})
					x.effect("the disk of %s is full", f.dir)
					x.pass(x.someTime(2 * time.Second))
				default:
					x.silenced()
				}
				if f.lives {
					n.finish()
				}
				x.allLive()
				x.empty(f.dir)
				if f.fails != "" {
					x.goOn()
				}
				x.mended()
				if !f.lives {
					n.finish()
				}
			}})
	}
	return append(all, scenario{row: "14", name: "state directory, of spilled state", workload: workload.WideChain, records: 200_000,
		prepare: func(x *run) { x.small("state", 600<<20) }, fault: spillFull},
		scenario{row: "14", name: "state directory, of spilled state, at one blow", workload: workload.WideChain, records: 200_000,
			prepare: func(x *run) { x.small("state", 600<<20) }, fault: spillBlow})
}

// spillBlow takes all of the disk at once, with what is kept free for the database, which writes by memory maps: its job
// fails, and no process ends.
func spillBlow(x *run) {
	n := x.beside(workload.HashChain, 5_000)
	x.spills()
	x.fill("state", 0)
	x.fails("spill state: the disk of")
	x.fill("state", 0) // with what was given up
	n.finish()
	x.allLive()
	x.empty("state")
	x.goOn()
	x.mended()
}

// spills waits until the job has spilled state.
func (x *run) spills() {
	x.t.Helper()
	x.until(20*time.Second, "state is spilled", func(ctx context.Context) bool {
		x.look(ctx)
		x.lookAtSpills()
		return x.spilled
	})
	x.completes(1)
}

// spillFull fills the disk that a job has spilled its state to, as somebody does who writes there: fast, not at one blow.
func spillFull(x *run) {
	n := x.beside(workload.HashChain, 5_000)
	x.spills()
	for leave := int64(300 << 20); leave >= 0; leave -= 2 << 20 {
		x.fill("state", leave)
		x.pass(10 * time.Millisecond)
	}
	x.fails("spill state: the disk of")
	n.finish()
	x.allLive()
	x.empty("state")
	x.goOn()
	x.mended()
}

// fails waits until the job has failed for want of space.
func (x *run) fails(why string) {
	x.t.Helper()
	x.until(30*time.Second, "the job fails", func(ctx context.Context) bool {
		j, err := x.client.GetJob(ctx, x.job)
		if err == nil && j.State == api.JobFailed && !strings.Contains(j.Failure.Message, why) {
			x.t.Fatalf("the job has failed: %v (expected %q)", j.Failure, why)
		}
		return err == nil && j.State == api.JobFailed
	})
	x.effect("FAILED: %s", why)
}

// silenced wants checkpoints to be completed of which the log says nothing, because nothing more goes into it.
func (x *run) silenced() {
	x.t.Helper()
	for _, p := range x.processes() { // the last page of each file as well
		log, err := os.OpenFile(x.path("logs", p.name+".log"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			x.t.Fatal(err)
		}
		for err == nil {
			_, err = log.WriteString(" ")
		}
		log.Close()
		if !errors.Is(err, unix.ENOSPC) {
			x.t.Fatal(err)
		}
	}
	x.completes(2) // the first may have been on its way
	if strings.Contains(x.jm.log(), fmt.Sprintf(`msg="checkpoint completed" job=%s name=%s checkpoint=%d `, x.job, x.workload.Guest, x.last)) {
		x.t.Errorf("checkpoint %d is in the log, whose disk is full", x.last)
	}
	x.effect("the disk of logs is full: checkpoints are in none")
}

// goOn runs the job again from where it has failed.
func (x *run) goOn() {
	x.t.Helper()
	x.another(x.path("checkpoints", string(x.job)))
}

// small puts a directory on a file system of its own, of that size.
func (x *run) small(dir string, size int64) {
	x.t.Helper()
	path := x.path(dir)
	if err := os.MkdirAll(path, 0o777); err != nil {
		x.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		x.t.Fatalf("mount a file system of %d bytes at %s: %v", size, path, err)
	}
	x.t.Cleanup(func() {
		x.stop()
		kept := x.path("small", dir) // for those who look at what has failed
		if x.t.Failed() {
			_ = os.CopyFS(kept, os.DirFS(path))
		}
		if err := unix.Unmount(path, 0); err != nil {
			x.t.Errorf("unmount %s: %v", path, err)
		}
	})
}

func (x *run) ballast(dir string) string { return x.path(dir, "ballast") }

// fill takes what is free, but for so many bytes.
func (x *run) fill(dir string, leave int64) {
	x.t.Helper()
	f, err := os.OpenFile(x.ballast(dir), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		x.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		x.t.Fatal(err)
	}
	for size := info.Size(); ; {
		var st unix.Statfs_t
		if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
			x.t.Fatal(err)
		}
		more := int64(st.Bavail)*st.Bsize - leave
		if more <= 0 {
			break
		}
		if err := unix.Fallocate(int(f.Fd()), 0, size, more); err != nil && !errors.Is(err, unix.ENOSPC) {
			x.t.Fatal(err)
		} else if err == nil {
			size += more
		}
	}
}

// empty gives the space back.
func (x *run) empty(dir string) {
	x.t.Helper()
	if err := os.Remove(x.ballast(dir)); err != nil {
		x.t.Fatal(err)
	}
}

// allLive wants that no process has ended.
func (x *run) allLive() {
	x.t.Helper()
	for _, p := range x.processes() {
		if !p.runs() {
			x.t.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)
		}
	}
}

// neighbour is another job in the same processes.
type neighbour struct {
	x     *run
	w     *workload.Workload
	input workload.Input
	job   graph.JobID
	dir   string
}

// beside runs another job in the slots that are left.
func (x *run) beside(w *workload.Workload, records int) *neighbour {
	x.t.Helper()
	n := &neighbour{x: x, w: w, dir: x.path("neighbour")}
	if err := os.MkdirAll(n.dir, 0o777); err != nil {
		x.t.Fatal(err)
	}
	var params map[string]string
	var err error
	if params, n.input, err = w.Prepare(n.dir, x.seed+1, records); err != nil {
		x.t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(harness.Root(x.t), "test/guests", w.Guest+".wasm"))
	if err != nil {
		x.t.Fatal(err)
	}
	if _, err := x.client.UploadModule(context.Background(), bytes.NewReader(module), int64(len(module))); err != nil {
		x.t.Fatal(err)
	}
	sum, parallelism := sha256.Sum256(module), 2
	j, err := x.client.SubmitJob(context.Background(), &api.Submit{Module: graph.ModuleID(hex.EncodeToString(sum[:])), Params: params, Parallelism: &parallelism,
		Directory: n.dir, Request: wire.RequestID(fmt.Sprintf("neighbour-%d", x.seed))})
	if err != nil {
		x.t.Fatal(err)
	}
	n.job = j.ID
	return n
}

// finish waits for the end of the job, and checks its output.
func (n *neighbour) finish() {
	n.x.t.Helper()
	n.x.until(time.Minute, "the neighbour is FINISHED", func(ctx context.Context) bool {
		j, err := n.x.client.GetJob(ctx, n.job)
		if err != nil {
			return false
		}
		if j.State == api.JobFailed || j.State == api.JobCanceled {
			n.x.t.Fatalf("the neighbour is %s: %v", j.State, j.Failure)
		}
		return j.State == api.JobFinished
	})
	if err := n.w.Verify(n.dir, n.input); err != nil {
		n.x.t.Errorf("the neighbour: %v", err)
	}
}
