package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/config"
	"github.com/wasmill/wasmill/test/harness"
)

// A module is exchanged in the tasks of one process, where messages are direct calls.
func TestUpgradeInOneProcess(t *testing.T) {
	dir := t.TempDir()
	c, err := config.Load(config.Sources{Flags: map[string]string{"cache.dir": filepath.Join(dir, "compiled"), "checkpoint.interval": "100ms"}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := startEmbedded(t.Context(), c, "", os.Stdout, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.work()
	wasm, err := os.ReadFile("../../test/guests/versioned.wasm")
	if err != nil {
		t.Fatal(err)
	}
	upload := func(wasm []byte) *api.Module {
		m, err := e.client.UploadModule(t.Context(), bytes.NewReader(wasm), int64(len(wasm)))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	const count = 60_000
	two, out := 2, filepath.Join(dir, "out")
	job, err := e.client.SubmitJob(t.Context(), &api.Submit{Module: upload(wasm).ID, Parallelism: &two, Params: map[string]string{"count": strconv.Itoa(count), "rate": "20000", "output": out}})
	if err != nil {
		t.Fatal(err)
	}
	until := func(what string, is func(j *api.Job) bool) {
		t.Helper()
		harness.Until(t, time.Minute, what, func() bool {
			j, err := e.client.GetJob(t.Context(), job.ID)
			if err != nil {
				t.Fatal(err)
			}
			return is(j)
		})
	}
	until("a checkpoint completes", func(j *api.Job) bool { return j.Checkpoint != nil })
	next := upload(append(slices.Clone(wasm), 0, 3, 1, 'v', '2')) // a custom section: id, size, length of the name, name, a byte
	done, err := e.client.UpgradeJob(t.Context(), job.ID, &api.Upgrade{Module: next.ID, Params: map[string]string{"version": "2"}})
	if err != nil || done.Way != api.UpgradeInPlace || done.Job.Module != next.ID || done.Checkpoint == 0 {
		t.Fatalf("upgrade: %+v, %v", done, err)
	}
	until("the job ends", func(j *api.Job) bool { return j.State.Terminal() })
	if j, err := e.client.GetJob(t.Context(), job.ID); err != nil || j.State != api.JobFinished || j.Attempt != 1 {
		t.Errorf("job: %+v, %v", j, err)
	}
	lines := map[string]int{} // by both versions
	files, _ := filepath.Glob(filepath.Join(out, "part-*"))
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			fields := strings.Split(s.Text(), ",")
			lines[strings.Join(fields[len(fields)-2:], ",")]++
		}
		f.Close()
	}
	if len(lines) != 2 || lines["1,1"] == 0 || lines["2,2"] == 0 || lines["1,1"]+lines["2,2"] != count {
		t.Errorf("lines by version: %v (expected %d of 1,1 and 2,2)", lines, count)
	}
}
