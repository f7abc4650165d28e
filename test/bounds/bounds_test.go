//go:build bounds

// Package bounds holds Wasmill to its limits of time and memory: real processes of bin/wasmill, built without the race
// detector, one test after the other. `make test` runs it; the build tag keeps it out of `go test ./...`.
package bounds

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/test/harness"
)

func wasmill(t *testing.T) harness.Wasmill {
	t.Helper()
	path := filepath.Join(harness.Root(t), "bin/wasmill")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return harness.Wasmill(path)
}

func guest(t *testing.T, name string) string {
	return filepath.Join(harness.Root(t), "test/guests", name+".wasm")
}

// tooLong fails the test when something took longer than it may, and logs how long it took otherwise.
func tooLong(t *testing.T, what string, took, limit time.Duration) {
	t.Helper()
	t.Logf("%s: %v (limit %v)", what, took.Round(time.Millisecond), limit)
	if took > limit {
		t.Errorf("%s took %v (limit %v)", what, took, limit)
	}
}

// running waits until a job of that name runs.
func running(t *testing.T, cluster *harness.Cluster, name string) *api.Job {
	t.Helper()
	var job *api.Job
	harness.Until(t, 20*time.Second, "job "+name+" runs", func() bool {
		job = cluster.Job()
		return job != nil && job.Name == name && job.State == api.JobRunning
	})
	return job
}

// state is the job's state now.
func state(t *testing.T, cluster *harness.Cluster, job *api.Job) *api.Job {
	t.Helper()
	j, err := cluster.GetJob(context.Background(), job.ID)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func cancel(t *testing.T, cluster *harness.Cluster, job *api.Job) time.Duration {
	t.Helper()
	begun := time.Now()
	if _, err := cluster.CancelJob(context.Background(), job.ID); err != nil {
		t.Fatal(err)
	}
	harness.Until(t, 10*time.Second, "the job is CANCELED", func() bool { return state(t, cluster, job).State == api.JobCanceled })
	return time.Since(begun)
}

func TestAClusterStartsWithinASecondAndIdlesSmall(t *testing.T) {
	w := wasmill(t)
	var best time.Duration
	for i := range 3 {
		begun := time.Now()
		cluster := w.Cluster(t, "--taskmanagers", "1", "--slots", "2")
		took := time.Since(begun)
		if i == 0 || took < best {
			best = took
		}
		for _, name := range []string{"jobmanager", "taskmanager-1"} {
			rss := harness.RSS(t, cluster.PID(name))
			t.Logf("idle %s: %.1f MB resident", name, float64(rss)/1e6)
			if rss > 60e6 {
				t.Errorf("idle %s has %d bytes resident (limit 60 MB)", name, rss)
			}
		}
	}
	tooLong(t, "start of a cluster to two registered slots, the best of 3", best, time.Second)
}

func TestSubmitToRunning(t *testing.T) {
	cluster := wasmill(t).Cluster(t)
	args := []string{"--param", "input=" + filepath.Join(harness.Root(t), "examples/data/moby-dick.txt")}
	best := time.Hour
	for i := range 6 {
		cluster.Run(guest(t, "wordcount-c"), append(args, "--param", "output="+filepath.Join(t.TempDir(), "out"))...).OK(t)
		if job := cluster.Job(); i > 0 {
			best = min(best, job.Running.Sub(job.Created))
		}
	}
	tooLong(t, "submit to RUNNING with a cached module, the best of 5", best, 100*time.Millisecond)
}

func TestAKilledTaskManagerIsNoticedAtOnce(t *testing.T) {
	cluster := wasmill(t).Cluster(t, "--taskmanagers", "4")
	best := time.Hour
	for left := 3; left > 0; left-- {
		cluster.Kill(fmt.Sprint("taskmanager-", left+1))
		best = min(best, harness.Until(t, 10*time.Second, fmt.Sprint(left, " TaskManagers are left"), func() bool {
			all, err := cluster.ListTaskManagers(context.Background())
			return err == nil && len(all) == left
		}))
	}
	tooLong(t, "noticing a SIGKILL, the best of 3", best, 500*time.Millisecond)
}

func TestTooFewSlotsFailTheJobByNumbers(t *testing.T) {
	cluster := wasmill(t).Cluster(t, "--taskmanagers", "1", "--slots", "2")
	begun := time.Now()
	r := cluster.Run(guest(t, "wordcount-c"), "--parallelism", "3",
		"--param", "input="+filepath.Join(harness.Root(t), "examples/data/moby-dick.txt"), "--param", "output="+filepath.Join(t.TempDir(), "out"))
	took := time.Since(begun)
	if r.Code != 1 || !strings.Contains(r.Stderr, "error:") || !strings.Contains(r.Stderr, "wanted 3, free 2") {
		t.Errorf("exit status %d, stderr: %s\n(expected 1, naming 3 wanted and 2 free)", r.Code, r.Stderr)
	}
	if took < 29*time.Second || took > harness.Stretched(33*time.Second) {
		t.Errorf("the job waited %v (expected slots.timeout, 30 s)", took)
	}
}

// hostile runs a guest that never comes back by itself.
func TestHostileGuestsAreCancelledWithinASecond(t *testing.T) {
	cluster := wasmill(t).Cluster(t)
	for _, name := range []string{"spin", "recurse", "grow"} {
		t.Run(name, func(t *testing.T) {
			best := time.Hour
			for range 3 {
				run := cluster.Start(guest(t, name), "--param", "output="+filepath.Join(t.TempDir(), "out"))
				if name == "spin" { // the others fail at once
					best = min(best, cancel(t, cluster, running(t, cluster, name)))
				}
				if r := run.Wait(); r.Code != 1 {
					t.Errorf("exit status %d (expected 1): %s", r.Code, r.Stderr)
				}
			}
			if name == "spin" {
				tooLong(t, "cancelling a guest that spins, the best of 3", best, time.Second)
			}
		})
	}
}

func TestACallPastItsLimitFailsTheJob(t *testing.T) {
	cluster := wasmill(t).Cluster(t)
	begun := time.Now()
	r := cluster.Run(guest(t, "spin"), "--param", "output="+filepath.Join(t.TempDir(), "out"))
	took := time.Since(begun)
	if r.Code != 1 || !strings.Contains(r.Stderr, "10s") {
		t.Errorf("exit status %d, stderr: %s\n(expected 1, naming the limit of 10s)", r.Code, r.Stderr)
	}
	if took < 10*time.Second || took > harness.Stretched(25*time.Second) { // the call, and its one retry
		t.Errorf("it took %v (expected the call limit of 10 s, once or twice)", took)
	}
}

// pace is records a second that a job's sources produced over a window of time.
func pace(t *testing.T, cluster *harness.Cluster, job *api.Job, window time.Duration) float64 {
	t.Helper()
	from, begun := state(t, cluster, job).Progress.SourceOut, time.Now()
	timer := time.NewTimer(window)
	<-timer.C
	return float64(state(t, cluster, job).Progress.SourceOut-from) / time.Since(begun).Seconds()
}

// The pace is measured up to three times: what else runs on the machine for a while must not be blamed on the guest.
func TestANeighbourKeepsHalfItsPaceBesideASpinningGuest(t *testing.T) {
	cluster := wasmill(t).Cluster(t, "--taskmanagers", "1", "--slots", "2")
	cluster.Start(guest(t, "generate"))
	job := running(t, cluster, "generate")
	kept, longest := 0.0, time.Hour
	for try := 0; try < 3 && (kept < 0.5 || longest > 100*time.Millisecond); try++ {
		alone := pace(t, cluster, job, 4*time.Second)
		cluster.Start(guest(t, "spin"))
		spinning := running(t, cluster, "spin")
		beside := pace(t, cluster, job, 4*time.Second)
		collections, stopped := collect(t, cluster)
		cancel(t, cluster, spinning)
		t.Logf("alone %.0f records/s, beside a spinning guest %.0f (%.0f %%); %d garbage collections, the longest stop at most %v (aim 20ms)",
			alone, beside, 100*beside/alone, collections, stopped)
		if collections == 0 {
			t.Fatal("no garbage was collected: nothing was measured")
		}
		kept, longest = max(kept, beside/alone), min(longest, stopped)
	}
	if longest > 100*time.Millisecond {
		t.Errorf("the longest stop for a collection is %v (limit 100 ms)", longest)
	}
	if kept < 0.5 {
		t.Errorf("beside a spinning guest it keeps %.0f %% of its pace (expected half)", 100*kept)
	}
	cancel(t, cluster, job)
}

// collect makes the TaskManager collect garbage, by asking for its metrics, and returns how often it did and the upper
// bound of its longest stop.
func collect(t *testing.T, cluster *harness.Cluster) (collections int, longest time.Duration) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(cluster.Dir, "taskmanager-1.log"))
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://[^"\s]+/metrics`).FindString(string(log))
	var before, after []byte
	for i := range 300 {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		after, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			before = after
		}
	}
	was := stops(t, before)
	previous := 0
	for i, b := range stops(t, after) {
		if n := b.count - was[i].count; n > previous {
			previous, longest = n, b.upTo
		}
	}
	return previous, longest
}

type bucket struct {
	upTo  time.Duration
	count int // of stops no longer than that
}

func stops(t *testing.T, metrics []byte) (buckets []bucket) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^go_sched_pauses_total_gc_seconds_bucket\{le="([^"]+)"\} (\d+)$`).FindAllSubmatch(metrics, -1) {
		upTo, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		count, err := strconv.Atoi(string(m[2]))
		if err != nil {
			t.Fatal(err)
		}
		buckets = append(buckets, bucket{time.Duration(min(upTo, 3600) * float64(time.Second)), count})
	}
	if len(buckets) == 0 {
		t.Fatal("no garbage collection stops in the metrics")
	}
	return buckets
}

func TestBackPressure(t *testing.T) {
	// Two generators send to both of two sinks, so half of the records cross to the other TaskManager.
	const rate, watched = 1000.0, 60 * time.Second
	cluster := wasmill(t).Cluster(t, "--taskmanagers", "2", "--slots", "1")
	cluster.Start(guest(t, "generate"), "--parallelism", "2", "--param", fmt.Sprintf("sinkrate=%.0f", rate/2))
	job := running(t, cluster, "generate")
	plan, err := cluster.JobPlan(context.Background(), job.ID)
	if err != nil {
		t.Fatal(err)
	}
	where := map[string]bool{}
	for _, task := range plan.Tasks {
		where[string(task.TaskManager)] = true
	}
	if len(where) != 2 {
		t.Fatalf("the tasks lie on %d TaskManagers (expected 2, or QUIC is not tested): %+v", len(where), plan.Tasks)
	}
	timer := time.NewTimer(5 * time.Second)
	<-timer.C
	resident := func() (sum int64) {
		for _, name := range []string{"taskmanager-1", "taskmanager-2"} {
			sum += harness.RSS(t, cluster.PID(name))
		}
		return sum
	}
	before := resident()
	got := pace(t, cluster, job, watched)
	grown := resident() - before
	t.Logf("pace %.0f records/s, resident memory of both TaskManagers grew by %.1f MB in %v", got, float64(grown)/1e6, watched)
	if got > 1.25*rate || got < 0.75*rate {
		t.Errorf("the generator makes %.0f records/s behind a sink that takes %.0f", got, rate)
	}
	if grown > 64e6 {
		t.Errorf("resident memory grew by %d bytes (limit 64 MB)", grown)
	}
	tooLong(t, "cancelling a job that is held back", cancel(t, cluster, job), time.Second)
}
