package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/blob/s3test"
	"github.com/wasmill/wasmill/internal/clustertest/workload"
	"github.com/wasmill/wasmill/test/harness"
)

// A ledger whose checkpoints lie in S3 alone: its processes are killed and what they have kept is lost, requests meet every
// fault, and the server is gone for a while. Every record counts once.
func TestCheckpointsInS3(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "150ms")
	server := s3test.Start(t)
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2", "--checkpoint-dir", server.URL("checkpoints"))
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 11, 900_000)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--parallelism", "2"}, paramArgs(params)...)
	run := cluster.Start(filepath.Join(harness.Root(t), "test/guests/ledger.wasm"), args...)
	follow := follower{t: t, cluster: cluster}

	follow.completes(2)
	if files := below(t, server.URL("checkpoints")); len(files) == 0 {
		t.Fatal("there is nothing in S3")
	}
	again := []func(){cluster.Lose("taskmanager-1"), cluster.Lose("taskmanager-2")}
	if err := os.RemoveAll(filepath.Join(cluster.Dir, "state")); err != nil { // what they have kept
		t.Fatal(err)
	}
	for _, start := range again {
		start()
	}
	follow.completes(2)
	follow.goesOn()
	cluster.Restart("jobmanager")
	follow.completes(2)

	faults := []s3test.Fault{s3test.Refused, s3test.Reset, s3test.Forgot, s3test.Slow}
	var requests atomic.Int64
	server.Break(func(*http.Request) s3test.Fault {
		if n := requests.Add(1); n%3 == 0 {
			return faults[n/3%int64(len(faults))]
		}
		return s3test.Works
	})
	follow.completes(3)
	server.Break(nil)
	if requests.Load() < 12 {
		t.Errorf("%d requests were made while they met faults", requests.Load())
	}
	follow.goesOn()

	logged := func() string {
		data, err := os.ReadFile(filepath.Join(cluster.Dir, "jobmanager.log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	attempt, before, gone := follow.job().Attempt, len(logged()), time.Now()
	server.Stop()
	harness.Until(t, 30*time.Second, "two checkpoints are given up", func() bool {
		return strings.Count(logged()[before:], "checkpoint given up") >= 2 && strings.Contains(logged()[before:], "does not answer")
	})
	follow.last = *follow.job().Checkpoint
	server.Again()
	t.Logf("the store was gone for %v", time.Since(gone))
	follow.completes(2)
	if now := follow.job(); now.Attempt != attempt {
		t.Errorf("attempt %d (expected %d: a checkpoint that fails is tolerated)", now.Attempt, attempt)
	}
	follow.goesOn()

	server.Stop()
	cluster.Restart("jobmanager") // it serves without a store, and the job waits for it
	harness.Until(t, 30*time.Second, "a restore fails", func() bool {
		j := follow.job()
		return j != nil && j.Failure != nil && strings.Contains(j.Failure.Message, "does not answer")
	})
	server.Again()
	follow.completes(2)
	follow.goesOn()

	pace.full()
	harness.Until(t, 2*time.Minute, "the job ends", func() bool {
		j := follow.job()
		return j != nil && j.State == api.JobFinished
	})
	run.Wait() // it has lost the JobManager
	if err := workload.Ledger.Verify(dir, input); err != nil {
		t.Error(err)
	}
	harness.Until(t, 10*time.Second, "the job's checkpoints are deleted", func() bool { return len(below(t, server.URL("checkpoints"))) == 0 })
	secretless(t, cluster)
}

// A job is stopped with a savepoint in S3; it is shown, moved, gone on from, and deleted there.
func TestSavepointInS3(t *testing.T) {
	t.Setenv("WASMILL_CHECKPOINT_INTERVAL", "100ms")
	server := s3test.Start(t)
	t.Setenv("WASMILL_SAVEPOINT_DIR", server.URL("savepoints"))
	pace := paced(t)
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "2", "--slots", "2")
	dir := t.TempDir()
	params, input, err := workload.Ledger.Prepare(dir, 12, 400_000)
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(harness.Root(t), "test/guests/ledger.wasm")
	args := paramArgs(params)
	cmd := func(args ...string) harness.Result {
		return built.wasmill.Run(t, append(args, "--jobmanager", cluster.URL)...)
	}
	refused := func(r harness.Result, want string) {
		t.Helper()
		if r.Code == 0 || !strings.Contains(r.Stderr, want) || strings.Contains(r.Stderr+r.Stdout, s3test.Secret) {
			t.Errorf("exit status %d, %s (expected %q)", r.Code, r.Stderr, want)
		}
	}
	run := cluster.Start(module, append(args, "--parallelism", "2")...)
	(&follower{t: t, cluster: cluster}).completes(1)
	job := string(cluster.Job().ID)

	below1 := strings.TrimSpace(cmd("savepoint", "take", job).OK(t).Stdout)
	if want := server.URL("savepoints/" + job + "-"); !strings.HasPrefix(below1, strings.SplitN(want, "?", 2)[0]) || !strings.HasSuffix(below1, "?endpoint="+server.Endpoint) {
		t.Errorf("a savepoint without a place is at %s (expected below savepoint.dir)", below1)
	}
	refused(cmd("stop", job, "--to", below1), "is not empty")
	refused(cmd("savepoint", "take", job, "--to", strings.Replace(server.URL("x"), s3test.Bucket, "nobody-has-it", 1)), "bucket nobody-has-it does not exist")
	refused(cmd("savepoint", "take", job, "--to", "s3://key:"+s3test.Secret+"@bucket/x"), "credentials do not belong there")
	refused(cmd("savepoint", "take", job, "--to", "s3://bucket/x?endpoint=http://k:"+s3test.Secret+"@h"), "credentials do not belong there")

	last := server.URL("last")
	if r := cmd("stop", job, "--to", last).OK(t); strings.TrimSpace(r.Stdout) != last {
		t.Fatalf("stop: %+v", r)
	}
	run.Wait().OK(t)
	stopped, err := cluster.GetJob(context.Background(), cluster.Job().ID)
	if err != nil || stopped.State != api.JobFinished || stopped.Progress.InputRead >= stopped.Progress.InputTotal {
		t.Fatalf("job after stop: %+v, %v (expected FINISHED, half way)", stopped, err)
	}
	if r := cmd("savepoint", "list", job).OK(t); strings.Count(r.Stdout, "complete") != 2 || !strings.Contains(r.Stdout, last) {
		t.Errorf("savepoint list: %+v", r)
	}

	pace.full()
	moved := server.URL("moved/here")
	move(t, last, moved)
	if r := built.wasmill.Run(t, "savepoint", "show", moved, "--sample", "1").OK(t); !strings.Contains(r.Stdout, "key groups") || !strings.Contains(r.Stdout, "group ") {
		t.Errorf("savepoint show: %+v", r)
	}
	refused(built.wasmill.Run(t, "savepoint", "show", last), "no MANIFEST: it is no savepoint")
	refused(cluster.Run(module, append(args, "--from", last)...), "no MANIFEST: it is no savepoint")
	cluster.Run(module, append(args, "--parallelism", "3", "--from", moved)...).OK(t)
	if err := workload.Ledger.Verify(dir, input, job, string(cluster.Job().ID)); err != nil {
		t.Error(err)
	}
	built.wasmill.Run(t, "savepoint", "dispose", moved).OK(t)
	if left := below(t, moved); len(left) > 0 {
		t.Errorf("%q are left of a savepoint that was deleted", left)
	}
	secretless(t, cluster)
}

// A JobManager does not start where checkpoints would not be safe, or not be allowed, and says why.
func TestStartOnABucketThatWillNotDo(t *testing.T) {
	server := s3test.Start(t)
	start := func(url string) harness.Result {
		return built.wasmill.Run(t, "cluster", "start", "--dir", t.TempDir(), "--checkpoint-dir", url)
	}
	for want, url := range map[string]string{
		"bucket nobody-has-it does not exist": strings.Replace(server.URL("x"), s3test.Bucket, "nobody-has-it", 1),
		"is not in region":                    server.URL("x") + "&region=eu-west-1",
		"credentials do not belong there":     "s3://k:" + s3test.Secret + "@bucket/x",
	} {
		if r := start(url); r.Code == 0 || !strings.Contains(r.Stderr, want) || strings.Contains(r.Stderr, s3test.Secret) {
			t.Errorf("%s: exit status %d, %s", want, r.Code, r.Stderr)
		}
	}
	server.Break(func(r *http.Request) s3test.Fault { return s3test.Tolerant })
	if r := start(server.URL("x")); r.Code == 0 || !strings.Contains(r.Stderr, "writes over objects") {
		t.Errorf("a server that writes over objects: exit status %d, %s", r.Code, r.Stderr)
	}
}

// below is the names of the objects of a store.
func below(t *testing.T, url string) (names []string) {
	t.Helper()
	s, err := blob.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.List(t.Context(), "", func(i blob.Info) bool { names = append(names, i.Name); return true }); err != nil {
		t.Fatal(err)
	}
	return names
}

// move moves objects, as any tool that knows nothing of them.
func move(t *testing.T, from, to string) {
	t.Helper()
	names := below(t, from)
	source, err := blob.Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := blob.Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	for _, name := range names {
		data, err := blob.Read(t.Context(), source, name)
		if err == nil {
			err = target.Put(t.Context(), name, strings.NewReader(string(data)), int64(len(data)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := source.Delete(t.Context(), names...); err != nil {
		t.Fatal(err)
	}
}

// secretless fails the test if the secret key stands in a log of the cluster or in what REST tells.
func secretless(t *testing.T, cluster *harness.Cluster) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(cluster.Dir, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs, %v", err)
	}
	for _, l := range logs {
		if data, err := os.ReadFile(l); err != nil || strings.Contains(string(data), s3test.Secret) {
			t.Errorf("%s: %v, or it shows the secret key", l, err)
		}
	}
	for _, args := range [][]string{{"list"}, {"info", string(cluster.Job().ID)}, {"savepoint", "list", string(cluster.Job().ID)}} {
		r := built.wasmill.Run(t, append(args, "--output", "json", "--jobmanager", cluster.URL)...)
		if r.Code != 0 || strings.Contains(r.Stdout+r.Stderr, s3test.Secret) {
			t.Errorf("wasmill %v: exit status %d, or it shows the secret key: %s%s", args, r.Code, r.Stdout, r.Stderr)
		}
	}
}
