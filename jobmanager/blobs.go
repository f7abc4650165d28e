package jobmanager

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/wasmill/wasmill/internal/durable"
	"github.com/wasmill/wasmill/internal/graph"
)

// Blobs holds the bytes of modules, each under the SHA-256 of what it holds. Methods may be called from many goroutines.
type Blobs interface {
	// Create begins a new blob that nobody can see yet.
	Create() (Draft, error)
	// Open reads a blob. Its error is fs.ErrNotExist when there is none of that name.
	Open(id graph.ModuleID) (io.ReadCloser, error)
	// Remove removes a blob, if it is there.
	Remove(id graph.ModuleID) error
}

// Draft is a blob being written, by one goroutine. It ends with Keep or Discard.
type Draft interface {
	io.Writer
	// Bytes reads back what was written so far.
	Bytes() ([]byte, error)
	// Keep makes it durable and visible under id; keeping what is there already changes nothing.
	Keep(id graph.ModuleID) error
	// Discard leaves nothing behind. After Keep it does nothing.
	Discard()
}

// draftPattern is how a directory's unfinished blobs are named.
const draftPattern = ".upload-*"

// DirBlobs keeps blobs as files of a directory.
type DirBlobs struct{ dir string }

// OpenDirBlobs makes the directory if needed, and removes the uploads that a process before this one left unfinished. One
// process at a time may use the directory.
func OpenDirBlobs(dir string) (*DirBlobs, error) {
	if err := durable.MakeDir(durable.OS, dir, 0o700); err != nil {
		return nil, fmt.Errorf("open module directory: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, draftPattern))
	if err != nil {
		return nil, fmt.Errorf("open module directory %s: %w", dir, err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("open module directory: remove unfinished upload: %w", err)
		}
	}
	return &DirBlobs{dir: dir}, nil
}

// Create opens a hidden file in the directory, so that keeping it is a rename.
func (b *DirBlobs) Create() (Draft, error) {
	f, err := os.CreateTemp(b.dir, draftPattern)
	if err != nil {
		return nil, err
	}
	return &fileDraft{File: f, dir: b.dir}, nil
}

// Open opens the blob's file.
func (b *DirBlobs) Open(id graph.ModuleID) (io.ReadCloser, error) {
	if filepath.Base(string(id)) != string(id) {
		return nil, fmt.Errorf("module %q: %w", id, fs.ErrNotExist)
	}
	return os.Open(filepath.Join(b.dir, string(id)))
}

// Remove removes the blob's file.
func (b *DirBlobs) Remove(id graph.ModuleID) error {
	err := os.Remove(filepath.Join(b.dir, filepath.Base(string(id))))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

type fileDraft struct {
	*os.File
	dir  string
	kept bool
}

func (d *fileDraft) Bytes() ([]byte, error) {
	size, err := d.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	p := make([]byte, size)
	_, err = d.ReadAt(p, 0)
	return p, err
}

func (d *fileDraft) Keep(id graph.ModuleID) error {
	if err := d.Sync(); err != nil {
		return err
	}
	if err := os.Rename(d.Name(), filepath.Join(d.dir, string(id))); err != nil {
		return err
	}
	d.kept = true
	return errors.Join(d.Close(), durable.OS.SyncDir(d.dir))
}

func (d *fileDraft) Discard() {
	if d.kept {
		return
	}
	d.Close()
	os.Remove(d.Name())
}

// MemoryBlobs keeps blobs in memory, for a cluster that lives in one process.
type MemoryBlobs struct {
	mu    sync.Mutex
	blobs map[graph.ModuleID][]byte // guarded by mu; the bytes are never changed
}

// NewMemoryBlobs returns an empty store.
func NewMemoryBlobs() *MemoryBlobs { return &MemoryBlobs{blobs: map[graph.ModuleID][]byte{}} }

// Create begins a blob in memory.
func (b *MemoryBlobs) Create() (Draft, error) { return &memoryDraft{blobs: b}, nil }

// Open reads a blob.
func (b *MemoryBlobs) Open(id graph.ModuleID) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.blobs[id]
	if !ok {
		return nil, fmt.Errorf("module %q: %w", id, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(p)), nil
}

// Remove forgets a blob.
func (b *MemoryBlobs) Remove(id graph.ModuleID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.blobs, id)
	return nil
}

type memoryDraft struct {
	bytes.Buffer
	blobs *MemoryBlobs
}

func (d *memoryDraft) Bytes() ([]byte, error) { return d.Buffer.Bytes(), nil }

func (d *memoryDraft) Keep(id graph.ModuleID) error {
	d.blobs.mu.Lock()
	defer d.blobs.mu.Unlock()
	d.blobs.blobs[id] = d.Buffer.Bytes()
	return nil
}

func (d *memoryDraft) Discard() {}
