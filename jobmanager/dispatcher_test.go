package jobmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

func TestBlobs(t *testing.T) {
	dir := t.TempDir()
	files, err := OpenDirBlobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, blobs := range map[string]Blobs{"memory": NewMemoryBlobs(), "directory": files} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // keeping what is there changes nothing
				d, err := blobs.Create()
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(d, "hel")
				io.WriteString(d, "lo")
				if p, err := d.Bytes(); err != nil || string(p) != "hello" {
					t.Errorf("Bytes: %q, %v", p, err)
				}
				if err := d.Keep("id"); err != nil {
					t.Error(err)
				}
				d.Discard()
				if got := read(t, blobs, "id"); got != "hello" {
					t.Errorf("read back %q", got)
				}
			}
			d, _ := blobs.Create()
			io.WriteString(d, "lost")
			d.Discard()
			for _, id := range []graph.ModuleID{"never", "../id", ""} {
				if r, err := blobs.Open(id); err == nil {
					if _, err := r.Read(make([]byte, 1)); err == nil {
						t.Errorf("Open(%q) opened something", id)
					}
					r.Close()
				}
			}
			if err := errors.Join(blobs.Remove("id"), blobs.Remove("id")); err != nil {
				t.Error(err)
			}
			if _, err := blobs.Open("id"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open of a removed blob: %v", err)
			}
		})
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the directory: %v", left)
	}
}

func TestUnfinishedUploadsAreRemovedAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	blobs, err := OpenDirBlobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	d, err := blobs.Create()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(d, "the process is killed here")
	if _, err := OpenDirBlobs(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the directory: %v", left)
	}
}

func read(t *testing.T, b Blobs, id graph.ModuleID) string {
	t.Helper()
	r, err := b.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// uploader is a JobManager that only takes uploads, into a directory.
func uploader(t *testing.T, dir string, limit int64) *JobManager {
	t.Helper()
	meta, err := ha.OpenMemory(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := OpenDirBlobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	jm, err := New(Config{
		Meta: meta, Blobs: blobs, Inspect: inspectFake, Describe: describeFake, Connectors: fakeConnectors, UploadLimit: limit,
		Dial: func(wire.Register) (TaskManager, error) { return nil, errors.New("none") }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(jm.Close(), meta.Close()); err != nil {
			t.Error(err)
		}
	})
	return jm
}

func TestUpload(t *testing.T) {
	dir := t.TempDir()
	jm := uploader(t, dir, 1000)
	m, err := jm.UploadModule(t.Context(), strings.NewReader("wasm"))
	if err != nil {
		t.Fatal(err)
	}
	const hash = "336154bf67f765f8f75d16a0accee61b5ee5f6a75b2a2905703df913bd550f3e" // printf wasm | sha256sum
	if m.ID != hash || m.Size != 4 || m.Name != "count" || m.ABI != 1 || len(m.Params) != 4 || m.Params[0] != (abi.Param{Name: "input", Required: true}) {
		t.Errorf("module %+v", m)
	}
	if got := read(t, jm.config.Blobs, m.ID); got != "wasm" {
		t.Errorf("original: %q", got)
	}
	r, err := jm.Module(t.Context(), "m4")
	if err != nil {
		t.Fatal(err)
	}
	if p, _ := io.ReadAll(r); string(p) != "metered wasm" {
		t.Errorf("metered: %q", p)
	}
	r.Close()
	again, err := jm.UploadModule(t.Context(), iotest.OneByteReader(strings.NewReader("wasm")))
	if err != nil || !again.Uploaded.Equal(m.Uploaded) {
		t.Errorf("again: %+v, %v", again, err)
	}
	if got, err := jm.GetModule(t.Context(), m.ID[:8]); err != nil || got.ID != m.ID {
		t.Errorf("by the beginning of its id: %+v, %v", got, err)
	}
	if all, _ := jm.ListModules(t.Context()); len(all) != 1 {
		t.Errorf("%d modules", len(all))
	}
	if _, err := jm.Module(t.Context(), "never"); err == nil {
		t.Error("a module that is not here was opened")
	}
	_, err = jm.GetModule(t.Context(), "beef")
	isUserError(t, err, api.KindNotFound, "module beef is not here", "upload it first")
}

func TestRefusedUploadLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		name         string
		from         io.Reader
		kind, detail string
	}{
		{"cut off", io.MultiReader(strings.NewReader("half of i"), iotest.ErrReader(io.ErrUnexpectedEOF)), api.KindIncomplete, "upload ended early, after 9 B"},
		{"cut off with a kind", iotest.ErrReader(fmt.Errorf("%w: reset", api.Errorf(api.KindTooLarge, "told"))), api.KindTooLarge, "told"},
		{"too large", bytes.NewReader(make([]byte, 1001)), api.KindTooLarge, "module is larger than 1000 B"},
		{"no module", strings.NewReader("not wasm"), api.KindInvalid, "it is not a WebAssembly module"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			jm := uploader(t, dir, 1000)
			_, err := jm.UploadModule(t.Context(), c.from)
			var e *api.Error
			if !errors.As(err, &e) || e.Kind != c.kind || e.Detail != c.detail {
				t.Errorf("%v (expected %s: %s)", err, c.kind, c.detail)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left in the directory: %v", left)
			}
			if all, _ := jm.ListModules(t.Context()); len(all) != 0 {
				t.Errorf("%d modules", len(all))
			}
		})
	}
}

func TestModuleWithNamesThatCannotBeShownIsRefused(t *testing.T) {
	for want, m := range map[string]*abi.Manifest{
		"": {}, // parameters are missing, and so is the rest
		`name: "\x1b[2J" (expected printable characters, not '\x1b')`: {Name: "\x1b[2J"},
		"sdk: 129 bytes (expected <= 128)":                            {SDK: strings.Repeat("s", 129)},
		"params[1].name: empty (expected a name)":                     {Params: []abi.Param{{Name: "input"}, {}}},
	} {
		jm := uploader(t, t.TempDir(), 1000)
		jm.config.Inspect = func(context.Context, []byte) (*Inspection, error) {
			return &Inspection{MeteredID: "m", Manifest: m}, nil
		}
		_, err := jm.UploadModule(t.Context(), strings.NewReader("wasm"))
		if want == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		isUserError(t, err, api.KindInvalid, want, "")
		if all, _ := jm.ListModules(t.Context()); len(all) != 0 {
			t.Errorf("%d modules", len(all))
		}
	}
}

func TestUploadAtTheLimitIsTaken(t *testing.T) {
	if _, err := uploader(t, t.TempDir(), 1000).UploadModule(t.Context(), bytes.NewReader(make([]byte, 1000))); err != nil {
		t.Error(err)
	}
}

// The disk is a real one, of 64 KiB; so it takes root.
func TestUploadToAFullDiskLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("wasmill-test", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount a small disk: %s", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	jm := uploader(t, filepath.Join(dir, "modules"), 1<<20)
	for _, size := range []int{200 << 10, 40 << 10} { // the second fits, but not beside what is run of it
		_, err := jm.UploadModule(t.Context(), bytes.NewReader(make([]byte, size)))
		var e *api.Error
		if !errors.As(err, &e) || e.Kind != api.KindNoSpace || !strings.HasSuffix(e.Detail, "no space left on the JobManager's disk") || e.Hint == "" {
			t.Errorf("%d bytes: %v", size, err)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, "modules")); len(left) != 0 {
			t.Errorf("%d bytes: left in the directory: %v", size, left)
		}
	}
	if _, err := jm.UploadModule(t.Context(), strings.NewReader("small")); err != nil {
		t.Errorf("a module that fits: %s", err)
	}
}

// failingBlobs cannot keep the n-th blob.
type failingBlobs struct {
	*MemoryBlobs
	keepsLeft int
}

type failingDraft struct {
	Draft
	blobs *failingBlobs
}

func (b *failingBlobs) Create() (Draft, error) {
	d, err := b.MemoryBlobs.Create()
	return failingDraft{d, b}, err
}

func (d failingDraft) Keep(id graph.ModuleID) error {
	if d.blobs.keepsLeft--; d.blobs.keepsLeft < 0 {
		return &fs.PathError{Op: "rename", Err: syscall.ENOSPC}
	}
	return d.Draft.Keep(id)
}

func TestModuleIsKeptWholeOrNotAtAll(t *testing.T) {
	jm := uploader(t, t.TempDir(), 1000)
	for keeps := range 2 {
		blobs := &failingBlobs{NewMemoryBlobs(), keeps}
		jm.config.Blobs = blobs
		_, err := jm.UploadModule(t.Context(), strings.NewReader("wasm"))
		var e *api.Error
		if !errors.As(err, &e) || e.Kind != api.KindNoSpace {
			t.Errorf("%d kept: %v", keeps, err)
		}
		if len(blobs.blobs) != 0 {
			t.Errorf("%d kept: %d blobs left", keeps, len(blobs.blobs))
		}
	}
}

func TestSubmissionIsChecked(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		id := c.upload()
		n := func(n int) *int { return &n }
		for _, test := range []struct {
			name         string
			submit       api.Submit
			detail, hint string
		}{
			{"undeclared", api.Submit{Module: id, Params: map[string]string{"inptu": "x"}},
				`parameter "inptu" is not declared (declared: input, output, window, more)`, `did you mean "input"?`},
			{"missing", api.Submit{Module: id, Params: map[string]string{"output": "x", "window": "5"}},
				`parameter "input" is missing (given: output, window)`, `--param input=VALUE`},
			{"nothing given", api.Submit{Module: id},
				`parameter "input" is missing (given: none)`, `--param input=VALUE`},
			{"describe fails for want of a parameter", api.Submit{Module: id, Params: map[string]string{"output": "trap"}},
				`parameter "input" is missing (given: output), and describe: the guest trapped`, `--param input=VALUE`},
			{"describe fails", api.Submit{Module: id, Params: map[string]string{"input": "1", "output": "trap"}},
				"describe: the guest trapped", ""},
			{"describe fails, given what it did not read at upload", api.Submit{Module: id, Params: map[string]string{"input": "1", "more": "2", "output": "trap"}},
				"describe: the guest trapped", ""},
			{"name of two lines", api.Submit{Module: id, Params: map[string]string{"input": "1"}, Name: "a\nb"},
				`name: "a\nb" (expected printable characters, not '\n')`, ""},
			{"long name", api.Submit{Module: id, Params: map[string]string{"input": "1"}, Name: strings.Repeat("n", 129)},
				"name: 129 bytes (expected <= 128)", ""},
			{"long request", api.Submit{Module: id, Params: map[string]string{"input": "1"}, Request: wire.RequestID(strings.Repeat("n", 129))},
				"request: 129 bytes (expected <= 128)", ""},
			{"parameter name", api.Submit{Module: id, Params: map[string]string{"in\x1bput": "1"}},
				`params: "in\x1bput" (expected printable characters, not '\x1b')`, ""},
			{"parameter without name", api.Submit{Module: id, Params: map[string]string{"": "1"}},
				"params: empty (expected a name)", ""},
			{"large parameter", api.Submit{Module: id, Params: map[string]string{"input": strings.Repeat("1", maxParams)}},
				"params: 1048581 bytes (expected <= 1048576)", ""},
			{"parallelism 0", api.Submit{Module: id, Params: map[string]string{"input": "1"}, Parallelism: n(0)},
				"parallelism: 0 (expected 1 <= n <= 32768)", ""},
			{"parallelism too large", api.Submit{Module: id, Params: map[string]string{"input": "1"}, Parallelism: n(32769)},
				"parallelism: 32769 (expected 1 <= n <= 32768)", ""},
			{"no input", api.Submit{Module: id, Params: map[string]string{"input": "moby.txt"}},
				`source "numbers": numbers source: input moby.txt does not exist`, "give a number"},
			{"bad option", api.Submit{Module: id, Params: map[string]string{"input": "1", "output": "bad"}},
				`sink "counts": file sink: path: bad`, ""},
			{"no module named", api.Submit{}, "module: empty (expected the id of an uploaded module)", ""},
		} {
			_, err := c.jm.SubmitJob(t.Context(), &test.submit)
			t.Log(test.name)
			isUserError(t, err, api.KindInvalid, test.detail, test.hint)
		}
		if jobs, _ := c.jm.ListJobs(t.Context()); len(jobs) != 0 {
			t.Errorf("%d jobs were stored", len(jobs))
		}
		_, err := c.jm.SubmitJob(t.Context(), &api.Submit{Module: "beef"})
		isUserError(t, err, api.KindNotFound, "module beef is not here", "upload it first")
	})
}

func TestTheSameSubmissionIsOneJob(t *testing.T) {
	onFakeTime(t, func(t *testing.T, c *cluster) {
		s := &api.Submit{Module: c.upload(), Params: map[string]string{"input": "1"}, Request: "again", Name: "mine"}
		ids := make(chan graph.JobID, 8)
		for range cap(ids) {
			go func() {
				job, err := c.jm.SubmitJob(context.Background(), s)
				if err != nil {
					t.Error(err)
					ids <- ""
					return
				}
				ids <- job.ID
			}()
		}
		var all []graph.JobID
		for range cap(ids) {
			all = append(all, <-ids)
		}
		if len(slices.Compact(all)) != 1 {
			t.Errorf("jobs %v", all)
		}
		synctest.Wait()
		if job := c.job(all[0]); job.Name != "mine" || job.Parallelism != 1 || job.Module != s.Module {
			t.Errorf("job %+v", job)
		}
		other := *s
		for _, allow := range []bool{true, false, true} {
			other.AllowRewind = allow
			if job, err := c.jm.SubmitJob(t.Context(), &other); err != nil || job.ID != all[0] {
				t.Errorf("the same with a rewind allowed (%v): %+v, %v", allow, job, err)
			}
			var r jobRecord
			if stored, ok := c.jm.config.Meta.Get(jobKey + string(all[0])); !ok || json.Unmarshal(stored, &r) != nil || r.Rewind != allow {
				t.Errorf("a rewind allowed: %v is stored (expected %v)", r.Rewind, allow)
			}
		}
		other.Params = map[string]string{"input": "2"}
		_, err := c.jm.SubmitJob(t.Context(), &other)
		isUserError(t, err, api.KindConflict, fmt.Sprintf(`request: "again" was the request of another submission, now job %s`, all[0]),
			"send a new submission under an id of its own")
		if jobs, _ := c.jm.ListJobs(t.Context()); len(jobs) != 1 {
			t.Errorf("%d jobs", len(jobs))
		}
	})
}
