package blob

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
)

// Memory keeps objects in memory, for tests. It is as strict as a store may be: an object that was deleted cannot be read
// on, and one whose context has ended neither.
type Memory struct {
	prefix  string
	objects *objects
}

// objects is what a memory store and those below it share.
type objects struct {
	mu     sync.Mutex
	byName map[string]*bytes.Reader // guarded by mu
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{objects: &objects{byName: map[string]*bytes.Reader{}}} }

// Put implements Store.
func (m *Memory) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := CheckName(name); err != nil {
		return err
	}
	data, err := io.ReadAll(&sized{ctx: ctx, r: r, size: size})
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	m.objects.mu.Lock()
	defer m.objects.mu.Unlock()
	if m.objects.byName[m.prefix+name] != nil {
		return fmt.Errorf("put %s: %w", name, ErrExists)
	}
	m.objects.byName[m.prefix+name] = bytes.NewReader(data)
	return nil
}

// find is the object of a full name.
func (o *objects) find(ctx context.Context, name string) (*bytes.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.byName[name]; r != nil {
		return r, nil
	}
	return nil, fs.ErrNotExist
}

// Open implements Store.
func (m *Memory) Open(ctx context.Context, name string) (Object, error) {
	r, err := m.objects.find(ctx, m.prefix+name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return memoryObject{ctx, m.objects, m.prefix + name, r.Size()}, nil
}

type memoryObject struct {
	ctx     context.Context
	objects *objects
	name    string
	size    int64
}

func (o memoryObject) Size() int64 { return o.size }

func (o memoryObject) Close() error { return nil }

func (o memoryObject) ReadAt(p []byte, at int64) (int, error) {
	r, err := o.objects.find(o.ctx, o.name)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", o.name, err)
	}
	return r.ReadAt(p, at)
}

// List implements Store.
func (m *Memory) List(ctx context.Context, prefix string, yield func(Info) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	below := m.prefix
	if prefix != "" {
		if err := CheckName(prefix); err != nil {
			return err
		}
		below += prefix + "/"
	}
	var all []Info
	m.objects.mu.Lock()
	for name, r := range m.objects.byName {
		if strings.HasPrefix(name, below) {
			all = append(all, Info{Name: name[len(m.prefix):], Size: r.Size()})
		}
	}
	m.objects.mu.Unlock()
	for _, i := range all {
		if !yield(i) {
			break
		}
	}
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, names ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.objects.mu.Lock()
	defer m.objects.mu.Unlock()
	for _, name := range names {
		delete(m.objects.byName, m.prefix+name)
	}
	return nil
}

// Sub implements Store.
func (m *Memory) Sub(prefix string) Store { return &Memory{m.prefix + prefix + "/", m.objects} }

// URL implements Store. Nobody else can open it.
func (m *Memory) URL() string { return "memory:" + m.prefix }

// Close implements Store.
func (m *Memory) Close() error { return nil }
