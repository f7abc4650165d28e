// Package e2e runs whole jobs through the wasmill binary, built with the race detector and with failpoints, which slow jobs down: one
// process, and clusters of real processes that are killed half way.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/test/harness"
)

// built is the binary under test and the guests, made once for all tests.
var built struct {
	wasmill harness.Wasmill
	goGuest string
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "wasmill-e2e")
	if err != nil {
		panic(err)
	}
	code := 1
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) error {
	built.wasmill = harness.Wasmill(filepath.Join(dir, "wasmill"))
	built.goGuest = filepath.Join(dir, "wordcount-go.wasm")
	wasmill := exec.Command("go", "build", "-race", "-tags", "failpoint", "-o", string(built.wasmill), "../../cmd/wasmill")
	guest := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-w", "-o", built.goGuest, ".")
	guest.Dir = "../../examples/wordcount/go"
	guest.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	for _, cmd := range []*exec.Cmd{wasmill, guest} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
		}
	}
	return nil
}

func guests(t *testing.T) map[string]string {
	return map[string]string{"go": built.goGuest, "c": filepath.Join(harness.Root(t), "test/guests/wordcount-c.wasm")}
}

func mobyDick(t *testing.T) string {
	return filepath.Join(harness.Root(t), "examples/data/moby-dick.txt")
}

// repeated is the text many times over, in one file.
func repeated(t *testing.T, times int) string {
	t.Helper()
	text, err := os.ReadFile(mobyDick(t))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "moby.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		if _, err := f.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// shellCounts is the reference over the text once.
func shellCounts(t *testing.T) string {
	reference.Do(func() { reference.counts = harness.ShellCounts(t, mobyDick(t)) })
	return reference.counts
}

var reference struct {
	sync.Once
	counts string
}

func TestWordCountEqualsTheShell(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	input := mobyDick(t)
	const size = 100_000
	windows := harness.WindowCounts(t, input, size)
	for language, guest := range guests(t) {
		for _, where := range []string{"in one process", "on a cluster"} {
			for _, parallelism := range []int{1, 2, 4} {
				for _, variant := range []string{"counter=native", "counter=guest", fmt.Sprintf("window=%d", size)} {
					t.Run(fmt.Sprintf("%s, %s, parallelism %d, %s", language, where, parallelism, variant), func(t *testing.T) {
						out := filepath.Join(t.TempDir(), "counts")
						args := []string{"--param", "input=" + input, "--param", "output=" + out, "--param", variant, "--parallelism", fmt.Sprint(parallelism)}
						if where == "on a cluster" {
							cluster.Run(guest, args...).OK(t)
						} else {
							built.wasmill.Run(t, append([]string{"run", guest}, args...)...).OK(t)
						}
						want := shellCounts(t)
						if strings.HasPrefix(variant, "window") {
							want = windows
						}
						harness.Same(t, harness.Output(t, out), want)
						harness.NothingPending(t, out)
					})
				}
			}
		}
	}
}

func TestGlobsAndCompressionAreRead(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile(mobyDick(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-c", "gzip -c "+mobyDick(t)+" > "+dir+"/b.txt.gz").CombinedOutput(); err != nil {
		t.Fatalf("gzip: %v %s", err, out)
	}
	out := filepath.Join(t.TempDir(), "counts")
	built.wasmill.Run(t, "run", guests(t)["c"], "--param", "input="+dir+"/*.txt*", "--param", "output="+out, "--parallelism", "2").OK(t)
	harness.Same(t, harness.Output(t, out), harness.ShellCounts(t, mobyDick(t), mobyDick(t)))
}

// On a cluster as in one process, relative paths mean what they mean where the command is typed.
func TestRelativePathsAreTheClients(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1")
	for name, args := range map[string][]string{"in one process": nil, "on a cluster": {"--jobmanager", cluster.URL}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "in.txt"), []byte("a b\na\n"), 0o666); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"run", guests(t)["c"], "--param", "input=*.txt", "--param", "output=counts"}, args...)
			built.wasmill.StartIn(t, dir, args...).Wait().OK(t)
			harness.Same(t, harness.Output(t, filepath.Join(dir, "counts")), "a\t2\nb\t1\n")
		})
	}
}

// started runs a long word count on the cluster and returns once every subtask runs and records have flowed.
func started(t *testing.T, cluster *harness.Cluster, input, out string) (*harness.Process, *api.Job) {
	t.Helper()
	run := cluster.Start(guests(t)["c"], "--param", "input="+input, "--param", "output="+out, "--parallelism", "2")
	var job *api.Job
	harness.Until(t, 30*time.Second, "the job has read records", func() bool {
		job = cluster.Job()
		return job != nil && job.State == api.JobRunning && job.Progress.SourceOut > 0
	})
	return run, job
}

func TestJobRestartsWhenATaskManagerIsKilled(t *testing.T) {
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "3", "--slots", "1")
	input, out := repeated(t, 20), filepath.Join(t.TempDir(), "counts")
	run, job := started(t, cluster, input, out)
	cluster.Kill(usedTaskManager(t, cluster, job))
	pace.full()
	result := run.Wait().OK(t)
	end, err := cluster.GetJob(context.Background(), job.ID)
	if err != nil {
		t.Fatal(err)
	}
	if end.Restarts != 1 || end.Attempt != 2 {
		t.Errorf("restarts %d, attempt %d (expected 1 and 2): was the kill too late?\n%s", end.Restarts, end.Attempt, result.Stdout)
	}
	harness.Same(t, harness.Output(t, out), times(shellCounts(t), 20))
	harness.NothingPending(t, out)
}

// usedTaskManager names a process that runs tasks of the job.
func usedTaskManager(t *testing.T, cluster *harness.Cluster, job *api.Job) string {
	t.Helper()
	plan, err := cluster.JobPlan(context.Background(), job.ID)
	if err != nil {
		t.Fatal(err)
	}
	all, err := cluster.ListTaskManagers(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, tm := range all {
		if tm.ID == plan.Tasks[0].TaskManager {
			return tm.Name
		}
	}
	t.Fatalf("task %v runs on %q, which is not registered", plan.Tasks[0].Task, plan.Tasks[0].TaskManager)
	return ""
}

// times multiplies the counts of word<TAB>count lines.
func times(counts string, n int) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(counts, "\n"), "\n") {
		word, count, _ := strings.Cut(line, "\t")
		var c int
		fmt.Sscan(count, &c)
		fmt.Fprintf(&b, "%s\t%d\n", word, c*n)
	}
	return b.String()
}

func TestKillingTheClientChangesNothing(t *testing.T) {
	pace := paced(t)
	cluster := built.wasmill.Cluster(t)
	out := filepath.Join(t.TempDir(), "counts")
	run, job := started(t, cluster, repeated(t, 20), out)
	run.Signal(syscall.SIGKILL)
	run.Wait()
	pace.full()
	waitFor(t, cluster, job, api.JobFinished)
	harness.Same(t, harness.Output(t, out), times(shellCounts(t), 20))
}

func TestInterruptDetachesFromAClusterJob(t *testing.T) {
	pace := paced(t)
	cluster := built.wasmill.Cluster(t)
	out := filepath.Join(t.TempDir(), "counts")
	run, job := started(t, cluster, repeated(t, 20), out)
	run.Signal(syscall.SIGINT)
	if r := run.Wait(); r.Code != 130 || !strings.Contains(r.Stderr, "wasmill info "+string(job.ID)[:6]) {
		t.Errorf("exit status %d (expected 130), stderr says not how to come back: %s", r.Code, r.Stderr)
	}
	pace.full()
	waitFor(t, cluster, job, api.JobFinished)
}

func waitFor(t *testing.T, cluster *harness.Cluster, job *api.Job, want api.JobState) *api.Job {
	t.Helper()
	var last *api.Job
	harness.Until(t, 60*time.Second, fmt.Sprintf("job %s is %s", job.ID, want), func() bool {
		j, err := cluster.GetJob(context.Background(), job.ID)
		if err != nil {
			return false
		}
		last = j
		if j.State.Terminal() && j.State != want {
			t.Fatalf("job %s is %s (expected %s): %v", j.ID, j.State, want, j.Failure)
		}
		return j.State == want
	})
	return last
}

func TestJobsRunAgainWhenTheJobManagerIsKilled(t *testing.T) {
	pace := paced(t)
	cluster := built.wasmill.Cluster(t)
	out := filepath.Join(t.TempDir(), "counts")
	_, job := started(t, cluster, repeated(t, 20), out)
	before, err := cluster.Overview(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	cluster.Restart("jobmanager")
	pace.full()
	end := waitFor(t, cluster, job, api.JobFinished)
	if end.Attempt < 2 {
		t.Errorf("attempt %d (expected a new one)", end.Attempt)
	}
	after, err := cluster.Overview(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if after.Epoch <= before.Epoch {
		t.Errorf("epoch %d after %d (expected it to grow)", after.Epoch, before.Epoch)
	}
	harness.Same(t, harness.Output(t, out), times(shellCounts(t), 20))
	harness.NothingPending(t, out)
}

// A directory in the place of a final name keeps the commit from ending, so that the JobManager is killed between the
// decision and its effects.
func TestADecidedEndIsOnlyCommitted(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "0s") // there is none but the last
	pace := paced(t)
	cluster := built.wasmill.Cluster(t)
	out := filepath.Join(t.TempDir(), "counts")
	_, job := started(t, cluster, repeated(t, 20), out)
	obstacle := filepath.Join(out, fmt.Sprintf("part-%s-1-0-0", job.ID))
	if err := os.MkdirAll(filepath.Join(obstacle, "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	pace.full()
	waitFor(t, cluster, job, api.JobFinishing)
	cluster.Restart("jobmanager")
	if err := os.RemoveAll(obstacle); err != nil {
		t.Fatal(err)
	}
	end := waitFor(t, cluster, job, api.JobFinished)
	if end.Attempt != job.Attempt {
		t.Errorf("attempt %d (expected %d: a decided end is not run again)", end.Attempt, job.Attempt)
	}
	harness.Same(t, harness.Output(t, out), times(shellCounts(t), 20))
	harness.NothingPending(t, out)
}
