//go:build faults

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// disk is a directory of a run that a FUSE file system of this process stands for: it passes everything on to a directory
// beside it, keeps account of what was synced, and breaks when it is told to. A file's content is durable when the file was
// synced, its name when its directory was; a directory that was made is lost only while it is empty, as journals order it.
type disk struct {
	x         *run
	name      string // of the directory, below that of the run
	at, under string // where it is mounted, and where its files are
	graves    string // files that have lost their name, which a power cut may give back
	server    *fuse.Server
	power     *power

	mu        sync.Mutex // guards what follows
	files     map[uint64]*account
	names     []naming // not durable, the oldest first
	buried    int
	breakages []*breakage
}

// naming is a change of a directory: a name was given, taken, or passed on.
type naming struct {
	dir   string
	undo  func()
	grave string // has what had the name; empty: nothing had
}

// power is that of the machine: when it is off, nothing changes any more.
type power struct {
	off  chan struct{}
	once sync.Once
}

func (p *power) cut() { p.once.Do(func() { close(p.off) }) }

// op is something that a process asks of a disk.
type op string

const (
	opRead    op = "read"
	opWrite   op = "write"
	opSync    op = "sync"
	opSyncDir op = "sync of a directory"
	opCreate  op = "create"
	opLink    op = "link"
	opRename  op = "rename"
	opRemove  op = "remove"
)

// deed is what becomes of an op that meets a breakage.
type deed int

const (
	refuse deed = iota // it fails with errno
	part               // a part of a write arrives, then it fails with errno
	loses              // a sync fails, once and for all: what it was to make durable is lost, whatever later ones say
	lies               // a sync does nothing, and says it did
	delays             // it takes its time
	cuts               // the power fails
)

// breakage is what is wrong with a disk.
type breakage struct {
	what  string // for the report
	ops   []op
	path  string     // part of the path
	by    func() int // process that it meets; nil: all
	after int        // so many that fit go well first
	times int        // so many are met; 0: all from then on
	do    deed
	errno syscall.Errno
	delay time.Duration

	seen, met int // guarded by the disk's mu
}

// mount puts a disk in the place of a directory of the run. The processes end before it does.
func (x *run) mount(name string) *disk {
	x.t.Helper()
	if x.power == nil {
		x.power = &power{off: make(chan struct{})}
	}
	d := &disk{x: x, name: name, at: x.path(name), under: x.path("disks", name), graves: x.path("graves", name), files: map[uint64]*account{}}
	for _, dir := range []string{d.at, d.under, d.graves} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			x.t.Fatal(err)
		}
	}
	d.start()
	x.disks = append(x.disks, d)
	x.t.Cleanup(func() {
		x.stop()
		d.stop()
		for _, b := range d.breakages {
			d.lift(b)
		}
	})
	return d
}

func (d *disk) start() {
	d.x.t.Helper()
	d.power = d.x.power
	var st syscall.Stat_t
	if err := syscall.Stat(d.under, &st); err != nil {
		d.x.t.Fatal(err)
	}
	root := &fs.LoopbackRoot{Path: d.under, Dev: uint64(st.Dev), NewNode: func(root *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &node{fs.LoopbackNode{RootData: root}, d}
	}}
	top := &node{fs.LoopbackNode{RootData: root}, d}
	root.RootNode = top
	var never time.Duration
	server, err := fs.Mount(d.at, top, &fs.Options{EntryTimeout: &never, AttrTimeout: &never, NegativeTimeout: &never,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: d.name, Name: "faults", AllowOther: true}})
	if err != nil {
		d.x.t.Fatalf("mount a FUSE file system at %s: %v (it needs /dev/fuse)", d.at, err)
	}
	d.server = server
	d.hold()
}

// hold keeps the connections to the kernel in this process: in one that it starts they would outlive it, and what waits
// for an answer would wait for ever.
func (d *disk) hold() {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		d.x.t.Fatal(err)
	}
	for _, e := range open {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == "/dev/fuse" {
			n, _ := strconv.Atoi(e.Name())
			unix.CloseOnExec(n)
		}
	}
}

// stop takes the disk away. Nobody uses it any more.
func (d *disk) stop() {
	if d.server == nil {
		return
	}
	if err := d.server.Unmount(); err != nil {
		d.x.t.Errorf("unmount %s: %v", d.at, err)
	}
	d.server = nil
}

// set breaks the disk from now on.
func (d *disk) set(b breakage) *breakage {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.breakages = append(d.breakages, &b)
	return &b
}

// lift mends it, and takes note of what was met.
func (d *disk) lift(b *breakage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.breakages, b)
	if i < 0 {
		return
	}
	d.breakages = slices.Delete(d.breakages, i, i+1)
	if b.met > 0 && b.do != cuts {
		d.x.effect("%s of %s: %d", b.what, d.name, b.met)
	}
}

// met says how often a breakage was met.
func (d *disk) met(b *breakage) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return b.met
}

// meet is what becomes of an op: nil when it goes well. Without power nothing does.
func (d *disk) meet(ctx context.Context, o op, path string) *breakage {
	b := d.find(ctx, o, path)
	if b != nil && b.do == cuts {
		d.power.cut()
	}
	select {
	case <-d.power.off: // the process is about to be killed
		return &breakage{do: refuse, errno: syscall.EIO}
	default:
	}
	if b != nil && b.do == delays {
		t := time.NewTimer(b.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return nil
	}
	return b
}

func (d *disk) find(ctx context.Context, o op, path string) *breakage {
	caller, _ := fuse.FromContext(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.breakages {
		if !slices.Contains(b.ops, o) || !strings.Contains(path, b.path) || b.by != nil && (caller == nil || b.by() != processOf(caller.Pid)) {
			continue
		}
		if b.seen++; b.seen <= b.after || b.times > 0 && b.met == b.times {
			continue
		}
		b.met++
		return b
	}
	return nil
}

// processOf is the process of a thread.
func processOf(thread uint32) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread)) // it may be gone
	_, rest, _ := strings.Cut(string(status), "\nTgid:")
	var pid int
	fmt.Sscan(rest, &pid)
	return pid
}

// account is that of an open file.
func (d *disk) account(f *os.File) (*account, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.files[st.Ino]
	if a == nil {
		a = &account{}
		d.files[st.Ino] = a
	}
	return a, nil
}

// named takes note of a change of a directory, which is not durable.
func (d *disk) named(dir, grave string, undo func()) {
	d.names = append(d.names, naming{dir, undo, grave})
}

// bury keeps what has a name that is to be taken, or given to something else.
func (d *disk) bury(path string) (grave string, err error) {
	d.buried++
	grave = filepath.Join(d.graves, fmt.Sprint(d.buried))
	return grave, os.Link(path, grave)
}

// syncDir makes the names of a directory durable.
func (d *disk) syncDir(dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = slices.DeleteFunc(d.names, func(n naming) bool {
		if n.dir == dir && n.grave != "" {
			d.forget(n.grave)
		}
		return n.dir == dir
	})
}

// forget lets go of a file that is durably gone.
func (d *disk) forget(grave string) {
	var st unix.Stat_t
	if unix.Stat(grave, &st) == nil && st.Nlink == 1 {
		delete(d.files, st.Ino) // whoever still has it open has the account too
	}
	_ = os.Remove(grave)
}

// cut makes of the files what a power cut leaves. Nobody uses the disk. Without luck nothing is left that was not synced;
// else any part of it: of a directory's changes the first ones, of a file's writes any, and of these any part.
func (d *disk) cut(luck *rand.Rand) (lost int) {
	survive := map[string]int{}
	for _, n := range d.names {
		survive[n.dir]++
	}
	for dir, n := range survive {
		survive[dir] = 0
		if luck != nil {
			survive[dir] = luck.IntN(n + 1)
		}
	}
	var undone []naming
	for _, n := range d.names {
		if survive[n.dir]--; survive[n.dir] < 0 {
			undone = append(undone, n)
		}
	}
	for _, n := range slices.Backward(undone) {
		n.undo()
		lost++
	}
	for _, n := range d.names {
		if n.grave != "" {
			_ = os.Remove(n.grave)
		}
	}
	d.names = nil
	err := filepath.WalkDir(d.under, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			return err
		}
		a := d.files[st.Ino]
		if a == nil || len(a.pieces) == 0 {
			return nil
		}
		lost += len(a.pieces)
		return a.cut(path, luck)
	})
	if err != nil {
		d.x.t.Fatal(err)
	}
	d.files = map[uint64]*account{}
	return lost
}
