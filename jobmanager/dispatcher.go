package jobmanager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// maxUploads is how many uploads are inspected at a time: each holds its module in memory, twice. More wait.
const maxUploads = 2

// UploadModule takes a module in: it is streamed to a temporary blob, hashed, inspected, and kept together with what is
// run of it. Whatever goes wrong leaves nothing behind. The same bytes again are the same module.
func (jm *JobManager) UploadModule(ctx context.Context, from io.Reader) (*api.Module, error) {
	if err := jm.refuseClosed(); err != nil {
		return nil, err
	}
	draft, err := jm.config.Blobs.Create()
	if err != nil {
		return nil, storeError("store upload", err)
	}
	defer draft.Discard()
	id, size, err := jm.receive(draft, from)
	if err != nil {
		return nil, err
	}
	if r, err := jm.module(id); err == nil {
		return &r.Module, nil
	}
	select {
	case jm.uploads <- struct{}{}:
		defer func() { <-jm.uploads }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	wasm, err := draft.Bytes()
	if err != nil {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	found, err := jm.config.Inspect(ctx, wasm)
	if err != nil {
		return nil, asUser(api.KindInvalid, "", err)
	}
	if err := checkManifest(found.Manifest); err != nil {
		return nil, asUser(api.KindInvalid, "", err)
	}
	return jm.keepModule(draft, id, size, found)
}

// checkManifest refuses names that cannot be shown; the rest is checked when the module becomes a job. It may have no
// manifest yet, or no name, while parameters are missing.
func checkManifest(m *abi.Manifest) error {
	if m == nil {
		return nil
	}
	for path, name := range map[string]string{"name": m.Name, "sdk": m.SDK} {
		if name == "" {
			continue
		}
		if err := graph.CheckName(path, name); err != nil {
			return err
		}
	}
	for i, p := range m.Params {
		if err := graph.CheckName(fmt.Sprintf("params[%d].name", i), p.Name); err != nil {
			return err
		}
	}
	return nil
}

// receive streams an upload to the draft, under the limit, and answers its hash and size.
func (jm *JobManager) receive(draft Draft, from io.Reader) (graph.ModuleID, int64, error) {
	hash := sha256.New()
	source := &sourceReader{r: io.LimitReader(from, jm.config.UploadLimit+1)}
	size, err := io.Copy(io.MultiWriter(draft, hash), source)
	switch {
	case source.err != nil:
		incomplete := api.Errorf(api.KindIncomplete, "upload ended early, after %s", humanize.Bytes(uint64(size))).
			WithHint("nothing of it was kept; send it again")
		var told *api.Error
		if errors.As(source.err, &told) {
			incomplete = told
		}
		return "", 0, fmt.Errorf("%w: %w", incomplete, source.err)
	case err != nil:
		return "", 0, storeError("store upload", err)
	case size > jm.config.UploadLimit:
		return "", 0, api.Errorf(api.KindTooLarge, "module is larger than %s", humanize.IBytes(uint64(jm.config.UploadLimit)))
	}
	return graph.ModuleID(hex.EncodeToString(hash.Sum(nil))), size, nil
}

// sourceReader remembers the error of the reading side, which io.Copy does not tell from that of the writing side.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// keepModule makes the upload, what is run of it and then its record durable, or nothing.
func (jm *JobManager) keepModule(draft Draft, id graph.ModuleID, size int64, found *Inspection) (_ *api.Module, err error) {
	jm.keeping.Lock()
	defer jm.keeping.Unlock()
	if r, err := jm.module(id); err == nil { // by an upload beside this one
		return &r.Module, nil
	}
	metered, err := jm.config.Blobs.Create()
	if err != nil {
		return nil, storeError("store metered module", err)
	}
	defer metered.Discard()
	if _, err := metered.Write(found.Metered); err != nil {
		return nil, storeError("store metered module", err)
	}
	for kept, d := range map[graph.ModuleID]Draft{found.MeteredID: metered, id: draft} {
		if jm.hasBlob(kept) {
			continue
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, jm.config.Blobs.Remove(kept))
			}
		}()
		if err := d.Keep(kept); err != nil {
			return nil, storeError("store module", err)
		}
	}
	r := moduleRecord{Version: recordVersion, Metered: found.MeteredID, Module: api.Module{
		ID: id, Size: size, ABI: abi.Version, Params: []abi.Param{}, Uploaded: jm.config.Now(),
	}}
	if m := found.Manifest; m != nil {
		r.Module.Name, r.Module.SDK, r.Module.ABI = m.Name, m.SDK, m.ABI
		r.Module.Params = append(r.Module.Params, m.Params...)
	}
	if err := jm.config.Meta.Apply(ha.Put(moduleKey+string(id), encode(&r))); err != nil {
		return nil, storeError("store module", err)
	}
	jm.config.Log.Info("module uploaded", "module", id, "name", r.Module.Name, "bytes", size)
	return &r.Module, nil
}

func (jm *JobManager) hasBlob(id graph.ModuleID) bool {
	r, err := jm.config.Blobs.Open(id)
	if err != nil {
		return false
	}
	r.Close()
	return true
}

// module reads the record of the module with exactly that id.
func (jm *JobManager) module(id graph.ModuleID) (*moduleRecord, error) {
	key := moduleKey + string(id)
	value, ok := jm.config.Meta.Get(key)
	if !ok {
		return nil, api.Errorf(api.KindNotFound, "module %s is not here", short(id)).WithHint("upload it first")
	}
	return decodeModule(key, value)
}

func short(id graph.ModuleID) string { return string(id[:min(12, len(id))]) }
