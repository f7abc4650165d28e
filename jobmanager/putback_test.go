package jobmanager

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// A restart looks again at a file that was damaged, but not when the attempt before has just found it so.
func TestARestartGoesOnFromACheckpointWhoseFileWasPutBack(t *testing.T) {
	meta, err := ha.OpenMemory(slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer meta.Close()
	store := blob.NewMemory()
	jm := &JobManager{ctx: t.Context(), config: Config{Meta: meta, Checkpoints: Checkpoints{URL: "x"},
		OpenStore: func(context.Context, string) (blob.Store, error) { return store, nil }}}
	j := &jobMaster{jm: jm, id: "job", log: slog.New(slog.DiscardHandler), exec: &graph.ExecutionGraph{}}
	j.record = jobRecord{Version: recordVersion, ID: "job", Output: true}
	put := func(name string, data []byte) {
		t.Helper()
		if err := store.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := store.Put(t.Context(), name, bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
	}
	var content bytes.Buffer
	w := snapshot.NewWriter(&content, []snapshot.State{{Operator: "o", Name: "n"}})
	w.SetName("files/1-0.0-1.snap")
	if err := w.Add(&snapshot.Entry{Key: []byte("k"), Op: snapshot.Put, Value: []byte("value")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content.Bytes())
	file := checkpoint.File{Name: "files/1-0.0-1.snap", Size: int64(content.Len()), Checksum: hex.EncodeToString(sum[:]), To: 4}
	m := &checkpoint.Manifest{Version: checkpoint.Version, Job: "job", Checkpoint: 1, Tasks: []checkpoint.Task{{Files: []checkpoint.File{file}}}}
	m.Graph.MaxParallelism = 4
	data, manifest, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	put(checkpoint.ManifestName(1), data)
	put(file.Name, bytes.Repeat([]byte("x"), content.Len()))
	j.record.Checkpoints = []decided{{ID: 1, Sum: manifest, Output: true}}
	restarts := func(found bool) *wire.Failure {
		t.Helper()
		j.restored, j.fsm.failure = nil, nil
		if found { // the attempt that began from it could not read it
			j.restored, j.fsm.failure = &checkpoint.Plan{Checkpoint: 1}, &wire.Failure{Kind: wire.KindState, File: file.Name, Message: "damaged"}
		}
		plan, err := j.findRestore(j.noteDamage())
		if err == nil && plan.Checkpoint != 1 {
			t.Errorf("it goes on from %+v", plan)
		}
		return err
	}
	if err := restarts(true); err == nil || err.File != file.Name {
		t.Errorf("damaged: %v", err)
	}
	if err := restarts(false); err == nil || !j.record.Checkpoints[0].Damaged {
		t.Errorf("still damaged: %v", err)
	}
	put(file.Name, content.Bytes())
	if err := restarts(true); err == nil {
		t.Error("the attempt has just shown that it cannot be read, and it is tried again")
	}
	if err := restarts(false); err != nil || j.record.Checkpoints[0].Damaged {
		t.Errorf("put back: %v, %+v", err, j.record.Checkpoints[0])
	}
}
