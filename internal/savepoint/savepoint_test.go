package savepoint_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/savepoint"
)

func put(t *testing.T, s blob.Store, name string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

// file is a snapshot file with one entry.
func file(t *testing.T, name string) ([]byte, checkpoint.File) {
	t.Helper()
	var content bytes.Buffer
	w := snapshot.NewWriter(&content, []snapshot.State{{Operator: "o", Name: "n"}})
	w.SetName(name)
	if err := w.Add(&snapshot.Entry{Key: []byte("k"), Op: snapshot.Put, Value: []byte("value")}); err != nil {
		t.Fatal(err)
	}
	info, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return content.Bytes(), checkpoint.File{Name: name, Size: info.Size, Checksum: info.Checksum, To: 4}
}

// A savepoint is one when its seal stands beside it, and fits; a file that is not what it should be is named.
func TestWhatIsASavepoint(t *testing.T) {
	content, f := file(t, "files/1.snap")
	m := &checkpoint.Manifest{Version: checkpoint.Version, Job: "j", Checkpoint: 7, Tasks: []checkpoint.Task{{Files: []checkpoint.File{f}}}}
	m.Graph.MaxParallelism = 4
	manifest, sum, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	seal := (&checkpoint.Seal{Job: "j", Checkpoint: 7, Sum: sum}).Encode()
	damaged := bytes.Clone(content)
	damaged[len(damaged)/2] ^= 1
	for name, c := range map[string]struct {
		objects map[string][]byte
		want    string // "" it is one
	}{
		"whole":             {map[string][]byte{"MANIFEST": manifest, "SEALED": seal, f.Name: content}, ""},
		"empty":             {nil, "no MANIFEST: it is no savepoint"},
		"not sealed":        {map[string][]byte{"MANIFEST": manifest, f.Name: content}, "no SEALED: it was not completed"},
		"another manifest":  {map[string][]byte{"MANIFEST": append(bytes.Clone(manifest), ' '), "SEALED": seal, f.Name: content}, "damaged"},
		"a file is missing": {map[string][]byte{"MANIFEST": manifest, "SEALED": seal}, "file files/1.snap"},
		"a file is damaged": {map[string][]byte{"MANIFEST": manifest, "SEALED": seal, f.Name: damaged}, "file files/1.snap: checksum"},
		"a file is short":   {map[string][]byte{"MANIFEST": manifest, "SEALED": seal, f.Name: content[:9]}, "file files/1.snap: 9 bytes"},
	} {
		s := blob.NewMemory()
		for name, data := range c.objects {
			put(t, s, name, data)
		}
		r, err := savepoint.Inspect(t.Context(), s, 1)
		if c.want == "" && (err != nil || r.Files != 1 || r.Size != f.Size) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v (expected %q)", name, r, err, c.want)
		}
	}
}

// What is deleted is a savepoint, and of that nothing but what it names.
func TestDispose(t *testing.T) {
	content, f := file(t, "files/1.snap")
	m := &checkpoint.Manifest{Version: checkpoint.Version, Job: "j", Checkpoint: 7, Tasks: []checkpoint.Task{{Files: []checkpoint.File{f}}}}
	manifest, sum, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s := blob.NewMemory()
	put(t, s, "mine", nil)
	put(t, s, f.Name, content)
	put(t, s, checkpoint.SavepointManifest, manifest)
	if _, err := savepoint.Dispose(t.Context(), s); err == nil {
		t.Error("what has no seal was deleted")
	}
	put(t, s, checkpoint.SealName, (&checkpoint.Seal{Job: "j", Checkpoint: 7, Sum: sum}).Encode())
	gone, err := savepoint.Dispose(t.Context(), s)
	if err != nil || gone.Checkpoint != 7 {
		t.Fatalf("%+v, %v", gone, err)
	}
	var left []string
	if err := s.List(t.Context(), "", func(i blob.Info) bool { left = append(left, i.Name); return true }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(left, []string{"mine"}) {
		t.Errorf("%q is left (expected mine)", left)
	}
}

// Of a savepoint in a directory of its own nothing stays, the directory neither.
func TestDisposeLeavesNoDirectory(t *testing.T) {
	content, f := file(t, "files/1.snap")
	m := &checkpoint.Manifest{Version: checkpoint.Version, Job: "j", Checkpoint: 7, Tasks: []checkpoint.Task{{Files: []checkpoint.File{f}}}}
	manifest, sum, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, mine := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "saved")
		s, err := blob.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, f.Name, content)
		put(t, s, checkpoint.SavepointManifest, manifest)
		put(t, s, checkpoint.SealName, (&checkpoint.Seal{Job: "j", Checkpoint: 7, Sum: sum}).Encode())
		if mine {
			put(t, s, "mine", nil)
		}
		if _, err := savepoint.Dispose(t.Context(), s); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); mine != (err == nil) {
			t.Errorf("something else lies there: %t; the directory: %v", mine, err)
		}
	}
}

// What is left of a savepoint that was not completed is deleted where nothing else lies, and never a complete one.
func TestDisposeIncomplete(t *testing.T) {
	for name, c := range map[string]struct {
		objects []string
		want    string // "" all is deleted
	}{
		"some files":           {[]string{"files/1-0.0-1.snap", "files/2-1.3-7.snap"}, ""},
		"a manifest, too":      {[]string{"files/1-0.0-1.snap", "MANIFEST"}, ""},
		"nothing":              {nil, "it is no savepoint"},
		"complete":             {[]string{"files/1-0.0-1.snap", "MANIFEST", "SEALED"}, "it is complete"},
		"a job's checkpoints":  {[]string{"files/1-0.0-1.snap", "checkpoints/3/MANIFEST"}, "there is checkpoints/3/MANIFEST: it is no savepoint"},
		"somebody's own files": {[]string{"files/1-0.0-1.snap", "files/letter"}, "there is files/letter: it is no savepoint"},
	} {
		dir := t.TempDir()
		s, err := blob.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range c.objects {
			put(t, s, object, (&checkpoint.Seal{Job: "j", Sum: "0"}).Encode())
		}
		gone, err := savepoint.DisposeIncomplete(t.Context(), s)
		var left []string
		if err := s.List(t.Context(), "", func(i blob.Info) bool { left = append(left, i.Name); return true }); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.want == "" && (err != nil || gone.Files != len(c.objects) || gone.Size == 0 || len(left) > 0):
			t.Errorf("%s: %+v, %v, %q is left", name, gone, err, left)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || len(left) != len(c.objects)):
			t.Errorf("%s: %v, %q is left (expected %q, and everything)", name, err, left, c.want)
		}
	}
}

// Of what a failed job has left the newest is opened, or the newest that is whole.
func TestOpenWhatAFailedJobHasLeft(t *testing.T) {
	for name, c := range map[string]struct {
		damaged []checkpoint.ID // of 1 to 3
		missing checkpoint.ID   // its manifest
		output  checkpoint.ID   // the one that has committed some
		want    checkpoint.ID   // 0: none is whole
		repeats bool
	}{
		"all whole":                  {output: 3, want: 3},
		"the newest damaged":         {damaged: []checkpoint.ID{3}, output: 3, want: 2, repeats: true},
		"without output since":       {damaged: []checkpoint.ID{3}, output: 2, want: 2},
		"two, output before the one": {damaged: []checkpoint.ID{2, 3}, output: 2, want: 1, repeats: true},
		"no manifest":                {missing: 3, output: 3, want: 2, repeats: true},
		"none":                       {damaged: []checkpoint.ID{1, 2, 3}},
	} {
		s, seal := blob.NewMemory(), &checkpoint.Seal{Job: "j"}
		for id := checkpoint.ID(1); id <= 3; id++ {
			content, f := file(t, checkpoint.FileName(1, graph.TaskID{}, int(id)))
			m := &checkpoint.Manifest{Version: checkpoint.Version, Job: "j", Checkpoint: id, Tasks: []checkpoint.Task{{Files: []checkpoint.File{f}}}}
			m.Graph.MaxParallelism = 4
			manifest, sum, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(c.damaged, id) {
				content[len(content)/2] ^= 1
			}
			put(t, s, f.Name, content)
			if id != c.missing {
				put(t, s, checkpoint.ManifestName(id), manifest)
			}
			seal.Checkpoint, seal.Sum = id, sum
			seal.Retained = append(seal.Retained, checkpoint.Sealed{Checkpoint: id, Sum: sum, Output: id == c.output})
		}
		put(t, s, checkpoint.SealName, seal.Encode())
		m, repeats, err := savepoint.OpenWhole(t.Context(), s)
		switch {
		case c.want == 0:
			if err == nil || !strings.Contains(err.Error(), "none of 3 checkpoints is whole") {
				t.Errorf("%s: %+v, %v", name, m, err)
			}
		case err != nil || m.Checkpoint != c.want || repeats != c.repeats:
			t.Errorf("%s: %+v, %v, %v (expected #%d)", name, m, repeats, err, c.want)
		}
		if m, err := savepoint.Open(t.Context(), s); (err != nil) != (c.missing == 3) || err == nil && m.Checkpoint != 3 {
			t.Errorf("%s: the newest is %+v, %v", name, m, err)
		}
		if m, err := savepoint.OpenAt(t.Context(), s, 2); err != nil || m.Checkpoint != 2 {
			t.Errorf("%s: #2 is %+v, %v", name, m, err)
		}
	}
}
