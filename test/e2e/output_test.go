package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/test/harness"
)

// reader is somebody who reads a sink's output while the job runs: all that it sees must be whole and stay as it is.
type reader struct {
	dir  string
	seen map[string][]byte // content by path
}

// look reads what is visible now.
func (r *reader) look() error {
	found := map[string]bool{}
	err := filepath.WalkDir(r.dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && (e.IsDir() || strings.HasPrefix(e.Name(), ".")) {
			return nil // not there yet, or committed meanwhile
		}
		if err != nil {
			return err
		}
		found[path] = true
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if before, ok := r.seen[path]; ok && !bytes.Equal(before, data) {
			return fmt.Errorf("%s has changed: %d bytes, then %d", path, len(before), len(data))
		}
		if len(data) == 0 || data[len(data)-1] != '\n' {
			return fmt.Errorf("%s is not whole: %d bytes", path, len(data))
		}
		r.seen[path] = data
		return nil
	})
	if err != nil {
		return err
	}
	for path := range r.seen {
		if !found[path] {
			return fmt.Errorf("%s is gone again", path)
		}
	}
	return nil
}

// watch looks until stop is closed.
func (r *reader) watch(stop <-chan struct{}) error {
	for {
		if err := r.look(); err != nil {
			return err
		}
		select {
		case <-stop:
			return r.look()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Output in many small files of many directories, whose writers are killed again and again: a reader only ever sees whole
// files that stay, every record counts once, and no pending file is left.
func TestPartitionedOutputIsOnlySeenWhole(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "300ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	dir := t.TempDir()
	params, input, err := workload.Partitions.Prepare(dir, 3, 200_000)
	if err != nil {
		t.Fatal(err)
	}
	params["roll-size"], params["roll-interval"] = "4KiB", "150ms"
	run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/partitions.wasm"), append(paramArgs(params), "--parallelism", "2")...)

	r := &reader{dir: params["output"], seen: map[string][]byte{}}
	stop, watched := make(chan struct{}), make(chan error, 1)
	go func() { watched <- r.watch(stop) }()

	killAtCheckpoints(t, cluster, nil, 4)
	pace.full()
	harness.Until(t, time.Minute, "the job ends", func() bool { return cluster.Job().State.Terminal() })
	if j := cluster.Job(); j.State != api.JobFinished {
		t.Fatalf("job is %s: %v", j.State, j.Failure)
	}
	run.Wait()
	close(stop)
	if err := <-watched; err != nil {
		t.Error(err)
	}
	if err := workload.Partitions.Verify(dir, input); err != nil {
		t.Error(err)
	}
	if j := cluster.Job(); len(j.Output) != 1 || j.Output[0].Files != len(r.seen) || j.Output[0].Rows != 200_000 {
		t.Errorf("output %+v (expected %d files, 200,000 rows)", j.Output, len(r.seen))
	}
}

// A bounded job that takes no checkpoints while it runs commits at its end, all at once.
func TestPartitionedOutputWithoutCheckpoints(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "1h")
	dir := t.TempDir()
	params, input, err := workload.Partitions.Prepare(dir, 5, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	built.wasmill.Run(t, append([]string{"run", filepath.Join(harness.Root(t), "test/guests/partitions.wasm"), "--parallelism", "2"}, paramArgs(params)...)...).OK(t)
	if err := workload.Partitions.Verify(dir, input); err != nil {
		t.Error(err)
	}
}

// A sink that an upgrade takes away leaves nothing behind: what a killed task of an earlier attempt has left in its
// directory is removed with the upgrade, though the job knows that directory no more.
func TestASinkThatAnUpgradeRemovesLeavesNothing(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--slots", "2")
	dir := t.TempDir()
	params, input, err := workload.HashChain.Prepare(dir, 6, 120_000)
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(harness.Root(t), "test/guests/hashchain.wasm")
	run := cluster.Start(module, paramArgs(params)...)
	job := string((&attempts{cluster: cluster}).saves(t).ID)
	left := filepath.Join(params["output"], ".part-"+job+"-1-0-99999.pending") // as SIGKILL leaves it
	foreign := filepath.Join(params["output"], ".part-0123456789ab-1-0-0.pending")
	for _, path := range []string{left, foreign} {
		if err := os.WriteFile(path, []byte("half a li"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	next := filepath.Join(dir, "next")
	if r := built.wasmill.Run(t, "upgrade", job, module, "--param", "output="+next, "--jobmanager", cluster.URL); r.Code != 0 {
		t.Fatalf("upgrade: %+v", r)
	}
	pace.full()
	harness.Until(t, time.Minute, "the pending file of the sink that is gone is removed", func() bool {
		_, err := os.Lstat(left)
		return errors.Is(err, fs.ErrNotExist)
	})
	harness.Until(t, time.Minute, "the job ends", func() bool { return cluster.Job().State.Terminal() })
	run.Wait()
	if err := os.Remove(foreign); err != nil {
		t.Errorf("another job's pending file: %v", err)
	}
	// Both directories together are the job's output.
	files, err := os.ReadDir(next)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in the new directory, %v", len(files), err)
	}
	before, err := filepath.Glob(filepath.Join(params["output"], "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	out := cluster.Job().Output // counted where it lies
	if len(out) != 2 || out[0].Path != params["output"] || out[0].Files != len(before) || out[1].Path != next || out[1].Files != len(files) || out[0].Rows+out[1].Rows != 120_000 {
		t.Errorf("output %+v (expected %d files in %s, then %d in %s, with 120,000 rows)", out, len(before), params["output"], len(files), next)
	}
	for _, f := range files {
		if err := os.Rename(filepath.Join(next, f.Name()), filepath.Join(params["output"], f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if err := workload.HashChain.Verify(dir, input); err != nil {
		t.Error(err)
	}
}

// Dead letters are a stream like others to a guest in Go: what its operators have left out is told once each.
func TestDeadLettersOfAGoGuest(t *testing.T) {
	dir, module := t.TempDir(), goGuest(t, "testdata/letters")
	var lines, good, letters strings.Builder
	for i := 1; i <= 2000; i++ {
		line := fmt.Sprintf("k%d,%d", i%5, i)
		fmt.Fprintln(&lines, line)
		switch {
		case i%7 == 0:
			fmt.Fprintf(&letters, "parse|record|none|%s\n", line)
		case i%11 == 0:
			fmt.Fprintf(&letters, "book|record|k%d|%s\n", i%5, line)
		default:
			fmt.Fprintln(&good, line)
		}
	}
	input := filepath.Join(dir, "lines")
	if err := os.WriteFile(input, []byte(lines.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	r := built.wasmill.Run(t, "run", module, "--param", "input="+input, "--param", "output="+dir, "--parallelism", "2", "--output", "json").OK(t)
	var job api.Job
	if err := json.Unmarshal([]byte(r.Stdout), &job); err != nil {
		t.Fatal(err)
	}
	want := []api.Skipped{{Operator: "parse", OnTrap: "deadLetter", Count: 2000 / 7}, {Operator: "book", OnTrap: "deadLetter", Count: 2000/11 - 2000/77}}
	if !slices.Equal(job.Skipped, want) {
		t.Errorf("skipped %+v (expected %+v)", job.Skipped, want)
	}
	harness.Same(t, harness.Output(t, filepath.Join(dir, "good")), sorted(good.String()))
	harness.Same(t, harness.Output(t, filepath.Join(dir, "letters")), sorted(letters.String()))
}

func sorted(lines string) string {
	all := strings.SplitAfter(lines, "\n")
	slices.Sort(all)
	return strings.Join(all, "")
}

// Output that is given up is left out for good, also when the JobManager is killed right behind that: the job ends with the rest,
// and names what is lost.
func TestWhatIsGivenUpStaysGivenUp(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "0s")
	cluster := built.wasmill.Cluster(t, "--slots", "2")
	out, saved := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "saved")
	run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/versioned.wasm"), "--parallelism", "2",
		"--param", "count=1000000000", "--param", "rate=5000", "--param", "version=one", "--param", "output="+out)
	pending := func() []string {
		all, _ := filepath.Glob(filepath.Join(out, ".part-*.pending"))
		return all
	}
	harness.Until(t, time.Minute, "both subtasks write", func() bool { return len(pending()) == 2 })
	gone := pending()[0]
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	job := cluster.Job().ID
	stop := built.wasmill.Start(t, "stop", string(job), "--to", saved, "--jobmanager", cluster.URL)
	harness.Until(t, time.Minute, "the end cannot be committed", func() bool {
		j := cluster.Job()
		return j != nil && j.State == api.JobFinishing && j.Failure != nil
	})
	done, err := cluster.GiveUp(t.Context(), job, &api.GiveUp{})
	if err != nil {
		t.Fatal(err)
	}
	cluster.Restart("jobmanager")
	harness.Until(t, time.Minute, "the job ends", func() bool {
		j := cluster.Job()
		return j != nil && j.State.Terminal()
	})
	run.Wait().OK(t)
	stop.Wait().OK(t)
	now := cluster.Job()
	files, err := filepath.Glob(filepath.Join(out, "part-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("output %q, %v (expected what was not removed)", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	rows := int64(bytes.Count(data, []byte("\n")))
	if now.State != api.JobFinished || len(now.Output) != 1 || now.Output[0].Files != 1 || now.Output[0].Rows != rows {
		t.Errorf("job %s, output %+v (expected FINISHED, %d rows)", now.State, now.Output, rows)
	}
	if g := now.Guarantee; g.Guarantee != connector.AtMostOnce || len(g.Lost) != 1 || g.Lost[0] != done.Lost[0] || g.Lost[0].Rows == 0 {
		t.Errorf("guarantee %+v (expected that %+v is lost)", g, done.Lost)
	}
	if left := pending(); len(left) > 0 {
		t.Errorf("pending: %q", left)
	}
}

// An output directory that is away for a moment holds the job up, which says what helps; when it is back, the job goes on, every
// record counts once, and nothing pending is left in it.
func TestAnOutputMayBeAwayForAMoment(t *testing.T) {
	v := startVersioned(t, 20_000, 5000, "--taskmanagers", "1", "--slots", "2")
	if err := os.Rename(v.out, v.out+".away"); err != nil {
		t.Fatal(err)
	}
	harness.Until(t, time.Minute, "the job misses its output", func() bool {
		j := v.cluster.Job()
		return j != nil && j.Failure != nil && strings.Contains(j.Failure.Message, v.out+" is not writable")
	})
	if j := v.cluster.Job(); j.State.Terminal() || !j.Failure.Kind.Retryable() || !strings.Contains(j.Failure.Hint, "put it back") {
		t.Errorf("job is %s: %+v", j.State, j.Failure)
	}
	if err := os.Rename(v.out+".away", v.out); err != nil {
		t.Fatal(err)
	}
	v.finish("1")
	harness.Until(t, 10*time.Second, "nothing pending is left", func() bool {
		left, err := filepath.Glob(filepath.Join(v.out, ".*"))
		return err == nil && len(left) == 0
	})
}
