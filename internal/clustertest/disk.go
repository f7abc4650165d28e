package clustertest

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/durable"
)

// disk is all that outlives processes: the directories that they share, and the local ones. It is real files, and beside
// them an account of what would be left of them if the power failed: what was written and not synced, and names that were
// given or taken in a directory that was not synced, are lost in full or in part. It can also be made to fail.
//
// A directory that was made is lost only while it is empty: journals order it before what is synced in it.
type disk struct {
	trace *Trace

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	nodes  map[string]*node // by path, of files that were written since the disk was made
	names  []rename         // not synced, the oldest first
	fault  diskFault
	name   string // of the fault
	under  string // the directory that it is about
}

// node is the content of a file.
type node struct {
	synced  []byte // what a power cut leaves for sure
	dirty   bool   // there is more
	machine string // that wrote it
}

// rename is a change of a directory: a name was given, taken, or passed on.
type rename struct {
	dir, machine string
	undo         func()
}

// diskFault is what becomes of changes.
type diskFault int

const (
	diskWorks     diskFault = iota
	diskFails               // a part of what is written arrives, then an error
	diskFull                // the same, and nothing can be made
	diskSlow                // everything takes seconds
	diskSyncFails           // a sync fails once and loses what was not synced before; the next one succeeds
)

func newDisk(trace *Trace, seed uint64) *disk {
	return &disk{trace: trace, random: rand.New(rand.NewPCG(seed, 5)), nodes: map[string]*node{}}
}

// mount is the disk as a process of a machine has it.
func (d *disk) mount(machine string, f *fence) durable.FS { return mount{d, machine, f} }

// open is a checkpoint store on the disk, as one process sees it.
func (d *disk) open(on durable.FS) func(context.Context, string) (blob.Store, error) {
	return func(_ context.Context, url string) (blob.Store, error) { return blob.OpenDirOn(on, url) }
}

// set makes changes below a directory fail from now on.
func (d *disk) set(f diskFault, name, under string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.name, d.under = f, name, under
}

// met is the fault that a change of path meets, if it is one of those; it takes effect then.
func (d *disk) met(path string, those ...diskFault) diskFault {
	d.mu.Lock()
	fault, name, under := d.fault, d.name, d.under
	d.mu.Unlock()
	if !slices.Contains(those, fault) || !strings.HasPrefix(path, under) {
		return diskWorks
	}
	d.trace.Effect(name)
	return fault
}

// cut is what a power cut of a machine leaves; "" is all of them. Its processes must have been killed.
func (d *disk) cut(machine string) (lost int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	mine := func(m string) bool { return machine == "" || m == machine }
	keep := map[string]int{} // of a directory's changes, the first ones survive
	for _, c := range d.names {
		if mine(c.machine) {
			keep[c.dir]++
		}
	}
	for _, dir := range sortedKeys(keep) {
		keep[dir] = d.random.IntN(keep[dir] + 1)
	}
	var undone, rest []rename
	for _, c := range d.names {
		switch {
		case !mine(c.machine):
			rest = append(rest, c)
		case keep[c.dir] > 0:
			keep[c.dir]--
		default:
			undone = append(undone, c)
		}
	}
	d.names = rest
	for _, c := range slices.Backward(undone) {
		c.undo()
	}
	for _, path := range sortedKeys(d.nodes) {
		n := d.nodes[path]
		if !n.dirty || !mine(n.machine) {
			continue
		}
		now, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		left := d.torn(n.synced, now)
		if !slices.Equal(left, now) {
			lost++
		}
		n.synced, n.dirty = left, false
		for p, other := range d.nodes {
			if other == n {
				_ = os.WriteFile(p, left, 0o666)
			}
		}
	}
	return lost + len(undone)
}

const blockBytes = 512

// torn is what is left of a file whose last bytes were not synced: none of them, all, the first blocks, or zeros in some.
func (d *disk) torn(synced, now []byte) []byte {
	if len(now) <= len(synced) {
		return now
	}
	blocks := (len(now)-len(synced))/blockBytes + 1
	at := min(len(synced)+d.random.IntN(blocks)*blockBytes, len(now))
	switch d.random.IntN(4) {
	case 0:
		return now
	case 1:
		return slices.Clone(now[:len(synced)])
	case 2:
		return slices.Clone(now[:at])
	}
	left := slices.Clone(now)
	clear(left[at:min(at+blockBytes, len(now))])
	return left
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// damage changes a byte of one of the files, cuts it off, removes it, or puts another in its place; false: nothing has changed.
func (d *disk) damage(files []string, seed uint64) bool {
	r := rand.New(rand.NewPCG(seed, 4))
	for _, i := range r.Perm(len(files)) {
		path := files[i]
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			continue // collected meanwhile, or lost already
		}
		_ = os.Chmod(path, 0o666)
		if d.damageOne(r, path, data, files) {
			return true
		}
	}
	return false
}

func (d *disk) damageOne(r *rand.Rand, path string, data []byte, files []string) bool {
	switch r.IntN(8) {
	case 0:
		data = data[:r.IntN(len(data))]
	case 1:
		d.trace.Add("removed %s", path)
		return os.Remove(path) == nil
	case 2:
		other, err := os.ReadFile(files[r.IntN(len(files))])
		if err != nil || slices.Equal(other, data) {
			return false
		}
		data = other
	default:
		data[r.IntN(len(data))] ^= 1 << r.IntN(8)
	}
	d.trace.Add("damaged %s", path)
	return os.WriteFile(path, data, 0o666) == nil
}

// mount is a durable.FS.
type mount struct {
	disk    *disk
	machine string
	fence   *fence
}

// change changes the name path. A slow disk takes its time before; what fails has changed nothing.
func (m mount) change(op, path string, do func() (undo func(), err error)) error {
	switch m.disk.met(path, diskFull, diskSlow) {
	case diskFull:
		return &fs.PathError{Op: op, Path: path, Err: syscall.ENOSPC}
	case diskSlow:
		time.Sleep(slowChange) // virtual
	}
	return m.fence.do(func() error {
		m.disk.mu.Lock()
		defer m.disk.mu.Unlock()
		undo, err := do()
		if err == nil {
			m.disk.names = append(m.disk.names, rename{filepath.Dir(path), m.machine, undo})
		}
		return err
	})
}

const slowChange = 700 * time.Millisecond

// Create implements durable.FS.
func (m mount) Create(path string, flag int, perm fs.FileMode) (f durable.File, err error) {
	err = m.change("open", path, func() (func(), error) {
		_ = flag // what is there already is never written again: names are used once
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, perm)
		if err != nil {
			return nil, err
		}
		f = m.made(file)
		return m.disk.unmake(path), nil
	})
	return f, err
}

// CreateTemp implements durable.FS.
func (m mount) CreateTemp(dir, prefix string) (f durable.File, err error) {
	for n := 0; ; n++ {
		f, err = m.Create(filepath.Join(dir, fmt.Sprintf("%s%s-%d", prefix, m.machine, n)), os.O_EXCL, 0o600)
		if !os.IsExist(err) {
			return f, err
		}
	}
}

func (m mount) made(f *os.File) durable.File {
	n := &node{machine: m.machine}
	m.disk.nodes[f.Name()] = n
	return &mountedFile{File: f, mount: m, node: n}
}

// unmake removes a name again. The disk's mutex is held, as by all that undoes.
func (d *disk) unmake(path string) func() {
	return func() {
		delete(d.nodes, path)
		_ = os.Remove(path)
	}
}

// Mkdir implements durable.FS.
func (m mount) Mkdir(path string, perm fs.FileMode) error {
	return m.change("mkdir", path, func() (func(), error) {
		return func() { _ = os.Remove(path) }, os.Mkdir(path, perm)
	})
}

// Link implements durable.FS.
func (m mount) Link(from, to string) error {
	return m.change("link", to, func() (func(), error) {
		if err := os.Link(from, to); err != nil {
			return nil, err
		}
		if n := m.disk.nodes[from]; n != nil {
			m.disk.nodes[to] = n
		}
		return m.disk.unmake(to), nil
	})
}

// Rename implements durable.FS; to is not taken, as with all that is renamed here.
func (m mount) Rename(from, to string) error {
	return m.change("rename", to, func() (func(), error) {
		if _, err := os.Lstat(to); err == nil {
			return nil, &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
		}
		return func() { m.disk.move(to, from) }, m.disk.move(from, to)
	})
}

func (d *disk) move(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if n := d.nodes[from]; n != nil {
		delete(d.nodes, from)
		d.nodes[to] = n
	}
	return nil
}

// Remove implements durable.FS.
func (m mount) Remove(path string) error {
	return m.change("remove", path, func() (func(), error) {
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			return func() { _ = os.Mkdir(path, info.Mode().Perm()) }, os.Remove(path) // it is empty, or stays
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		n := m.disk.nodes[path]
		delete(m.disk.nodes, path)
		return func() {
			if _, err := os.Lstat(path); err == nil || os.WriteFile(path, content, 0o666) != nil {
				return // the name was given again, or its directory is lost
			}
			if n != nil {
				m.disk.nodes[path] = n
			}
		}, os.Remove(path)
	})
}

// SyncDir implements durable.FS.
func (m mount) SyncDir(dir string) error {
	switch m.disk.met(dir, diskFails, diskSlow) {
	case diskFails:
		return &fs.PathError{Op: "sync", Path: dir, Err: syscall.EIO}
	case diskSlow:
		time.Sleep(slowChange) // virtual
	}
	return m.fence.do(func() error {
		m.disk.mu.Lock()
		defer m.disk.mu.Unlock()
		m.disk.names = slices.DeleteFunc(m.disk.names, func(c rename) bool { return c.dir == dir })
		return nil
	})
}

// mountedFile is a file that is being written.
type mountedFile struct {
	*os.File
	mount mount
	node  *node
}

// Write implements durable.File.
func (f *mountedFile) Write(p []byte) (n int, err error) {
	fault := f.mount.disk.met(f.Name(), diskFails, diskFull)
	err = f.mount.fence.do(func() error {
		d := f.mount.disk
		d.mu.Lock()
		defer d.mu.Unlock()
		f.node.dirty, f.node.machine = true, f.mount.machine
		if fault != diskWorks {
			n, _ = f.File.Write(p[:d.random.IntN(len(p)+1)])
			return &fs.PathError{Op: "write", Path: f.Name(), Err: map[diskFault]error{diskFails: syscall.EIO, diskFull: syscall.ENOSPC}[fault]}
		}
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

// Sync implements durable.File. What a failed one was to make durable is dropped from memory, so it is never found again.
func (f *mountedFile) Sync() error {
	fault := f.mount.disk.met(f.Name(), diskFails, diskSlow, diskSyncFails)
	if fault == diskSlow {
		time.Sleep(5 * slowChange) // virtual
	}
	return f.mount.fence.do(func() error {
		d := f.mount.disk
		d.mu.Lock()
		defer d.mu.Unlock()
		now, err := os.ReadFile(f.Name())
		if err != nil {
			return nil // it has no name any more
		}
		fails := fault == diskFails || fault == diskSyncFails && f.node.dirty
		if fails {
			clear(now[min(len(f.node.synced), len(now)):])
			_ = os.WriteFile(f.Name(), now, 0o666)
		}
		f.node.synced, f.node.dirty = now, false
		if fails {
			return &fs.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO}
		}
		return nil
	})
}
