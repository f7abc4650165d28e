//go:build faults

package faults

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// node is a file or directory of a disk. What it does not do itself its loopback does.
type node struct {
	fs.LoopbackNode
	d *disk
}

func (n *node) path() string { return filepath.Join(n.RootData.Path, n.Path(n.Root())) }

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, flags uint32, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	path := filepath.Join(n.path(), name)
	if b := n.d.meet(ctx, opCreate, path); b != nil {
		return nil, nil, 0, b.errno
	}
	n.d.mu.Lock()
	_, missing := os.Lstat(path)
	f, err := os.OpenFile(path, readable(flags)|os.O_CREATE, os.FileMode(mode))
	if err == nil && missing != nil {
		n.d.named(n.path(), "", func() { _ = os.Remove(path) })
	}
	n.d.mu.Unlock()
	if err != nil {
		return nil, nil, 0, fs.ToErrno(err)
	}
	inode, errno := n.Lookup(ctx, name, out)
	if errno != 0 {
		f.Close()
		return nil, nil, 0, errno
	}
	h, errno := n.d.handle(f, path)
	return inode, h, 0, errno
}

// readable are flags to open a file with whose old content can be read.
func readable(flags uint32) int {
	f := int(flags) &^ (syscall.O_APPEND | syscall.O_TRUNC | fuse.FMODE_EXEC)
	if f&syscall.O_ACCMODE == syscall.O_WRONLY {
		f = f&^syscall.O_ACCMODE | syscall.O_RDWR
	}
	return f
}

// Open implements fs.NodeOpener.
func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	path := n.path()
	f, err := os.OpenFile(path, readable(flags), 0)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	h, errno := n.d.handle(f, path)
	if errno == 0 && flags&syscall.O_TRUNC != 0 {
		errno = h.resize(ctx, 0)
	}
	return h, 0, errno
}

// Setattr implements fs.NodeSetattrer: sizes are the disk's business, the rest the loopback's.
func (n *node) Setattr(ctx context.Context, h fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		one, open := h.(*handle)
		if !open {
			f, err := os.OpenFile(n.path(), os.O_RDWR, 0)
			if err != nil {
				return fs.ToErrno(err)
			}
			defer f.Close()
			var errno syscall.Errno
			if one, errno = n.d.handle(f, n.path()); errno != 0 {
				return errno
			}
		}
		if errno := one.resize(ctx, int64(size)); errno != 0 {
			return errno
		}
		in.Valid &^= fuse.FATTR_SIZE
		if open { // it may have no name
			return n.Getattr(ctx, h, out)
		}
	}
	return n.LoopbackNode.Setattr(ctx, nil, in, out)
}

// Getattr implements fs.NodeGetattrer.
func (n *node) Getattr(ctx context.Context, h fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if h, ok := h.(*handle); ok { // it may have no name
		var st syscall.Stat_t
		if err := syscall.Fstat(int(h.f.Fd()), &st); err != nil {
			return fs.ToErrno(err)
		}
		out.FromStat(&st)
		return 0
	}
	return n.LoopbackNode.Getattr(ctx, nil, out)
}

// Link implements fs.NodeLinker.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	path := filepath.Join(n.path(), name)
	if b := n.d.meet(ctx, opLink, path); b != nil {
		return nil, b.errno
	}
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	inode, errno := n.LoopbackNode.Link(ctx, target, name, out)
	if errno == 0 {
		n.d.named(n.path(), "", func() { _ = os.Remove(path) })
	}
	return inode, errno
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	path := filepath.Join(n.path(), name)
	if b := n.d.meet(ctx, opRemove, path); b != nil {
		return b.errno
	}
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	grave, err := n.d.bury(path)
	if err != nil {
		return fs.ToErrno(err)
	}
	errno := n.LoopbackNode.Unlink(ctx, name)
	if errno == 0 {
		n.d.named(n.path(), grave, func() { _ = os.Link(grave, path) })
	}
	return errno
}

// Rename implements fs.NodeRenamer. Between two directories it is a change of the second.
func (n *node) Rename(ctx context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	into, ok := newParent.(*node)
	if !ok {
		return syscall.EXDEV
	}
	from, to := filepath.Join(n.path(), name), filepath.Join(into.path(), newName)
	if b := n.d.meet(ctx, opRename, to); b != nil {
		return b.errno
	}
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	grave := ""
	if info, err := os.Lstat(to); err == nil && info.Mode().IsRegular() {
		if grave, err = n.d.bury(to); err != nil {
			return fs.ToErrno(err)
		}
	}
	errno := n.LoopbackNode.Rename(ctx, name, newParent, newName, flags)
	if errno == 0 {
		n.d.named(into.path(), grave, func() {
			_ = os.Rename(to, from)
			if grave != "" {
				_ = os.Link(grave, to)
			}
		})
	}
	return errno
}

// OpendirHandle implements fs.NodeOpendirHandler.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	all, errno := fs.NewLoopbackDirStream(n.path())
	if errno != 0 {
		return nil, 0, errno
	}
	return &dirHandle{all, n}, 0, 0
}

type dirHandle struct {
	fs.DirStream
	n *node
}

// Readdirent implements fs.FileReaddirenter.
func (h *dirHandle) Readdirent(context.Context) (*fuse.DirEntry, syscall.Errno) {
	if !h.HasNext() {
		return nil, 0
	}
	e, errno := h.Next()
	return &e, errno
}

// Releasedir implements fs.FileReleasedirer.
func (h *dirHandle) Releasedir(context.Context, uint32) { h.Close() }

// Fsyncdir implements fs.FileFsyncdirer.
func (h *dirHandle) Fsyncdir(ctx context.Context, _ uint32) syscall.Errno {
	path := h.n.path()
	if b := h.n.d.meet(ctx, opSyncDir, path); b != nil {
		if b.do == lies {
			return 0
		}
		return b.errno
	}
	h.n.d.syncDir(path)
	return 0
}

// handle is an open file.
type handle struct {
	d    *disk
	f    *os.File
	path string // that it was opened by
	a    *account
}

func (d *disk) handle(f *os.File, path string) (*handle, syscall.Errno) {
	a, err := d.account(f)
	if err != nil {
		f.Close()
		return nil, fs.ToErrno(err)
	}
	return &handle{d, f, path, a}, 0
}

// Read implements fs.FileReader.
func (h *handle) Read(ctx context.Context, p []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	if b := h.d.meet(ctx, opRead, h.path); b != nil {
		return nil, b.errno
	}
	got, err := readAt(h.f, at, int64(len(p)))
	return fuse.ReadResultData(got), fs.ToErrno(err)
}

// Write implements fs.FileWriter.
func (h *handle) Write(ctx context.Context, p []byte, at int64) (uint32, syscall.Errno) {
	b := h.d.meet(ctx, opWrite, h.path)
	if b != nil && b.do != part {
		return 0, b.errno
	}
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if b != nil {
		p = p[:len(p)/2]
	}
	n, err := h.a.write(h.f, p, at)
	if b != nil {
		return 0, b.errno
	}
	return uint32(n), fs.ToErrno(err)
}

func (h *handle) resize(ctx context.Context, size int64) syscall.Errno {
	if b := h.d.meet(ctx, opWrite, h.path); b != nil {
		return b.errno
	}
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	return fs.ToErrno(h.a.resize(h.f, size))
}

// Fsync implements fs.FileFsyncer.
func (h *handle) Fsync(ctx context.Context, _ uint32) syscall.Errno {
	b := h.d.meet(ctx, opSync, h.path)
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	switch {
	case b == nil:
		h.a.sync()
		return 0
	case b.do == lies:
		return 0
	case b.do == loses:
		h.a.lose()
	}
	return b.errno
}

// Allocate implements fs.FileAllocater: nobody counts on it.
func (h *handle) Allocate(context.Context, uint64, uint64, uint32) syscall.Errno {
	return unix.EOPNOTSUPP
}

// Flush implements fs.FileFlusher.
func (h *handle) Flush(context.Context) syscall.Errno { return 0 }

// Release implements fs.FileReleaser.
func (h *handle) Release(context.Context) syscall.Errno { return fs.ToErrno(h.f.Close()) }
