package spill

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"
)

// Disk is the disk of one directory, as all maps of a process share it.
type Disk struct {
	Dir     string
	Reserve int64                               // bytes that must stay free
	Free    func(dir string) (int64, error)     // bytes; nil: the disk is asked
	Used    func(dir string) (n int64, e error) // bytes that the files below a directory take; nil: they are asked

	mu   sync.Mutex
	maps int // that are open
}

// Space is the part of a disk that one job may have.
type Space struct {
	Disk  *Disk
	Dir   string // all that the job has on the disk is below it
	Quota int64  // bytes; 0: no limit
}

// worst is what one map may write without asking before it frees anything: logs of its memtables, and the tables that its
// two compactions make. A write past the end of the disk would be a fault that ends the process, because Badger writes by
// memory maps.
const worst = 3*2*memTable + 2*11*memTable

// FullError says that there is no room to spill to.
type FullError struct {
	Dir    string
	Option string // that says how much is allowed
	Is     int64
	Must   int64
}

func (e *FullError) Error() string {
	if e.Option == "state.quota" {
		return fmt.Sprintf("spill state: the job's files in %s take %s (%s allows %s): raise it, raise state.budget, or give the job more slots",
			e.Dir, size(e.Is), e.Option, size(e.Must))
	}
	return fmt.Sprintf("spill state: the disk of %s has %s free (expected >= %s: %s, and room for the databases that are open): free space, or lower %s",
		e.Dir, size(e.Is), size(e.Must), e.Option, e.Option)
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func (s *Space) open() error {
	s.Disk.mu.Lock()
	s.Disk.maps++
	s.Disk.mu.Unlock()
	if err := s.Check(0); err != nil {
		s.close()
		return err
	}
	return nil
}

func (s *Space) close() {
	s.Disk.mu.Lock()
	s.Disk.maps--
	s.Disk.mu.Unlock()
}

// Check answers a *FullError when n bytes more might not fit.
func (s *Space) Check(n int64) error {
	d := s.Disk
	free, used := d.Free, d.Used
	if free == nil {
		free = freeBytes
	}
	if used == nil {
		used = usedBytes
	}
	d.mu.Lock()
	must := d.Reserve + n + int64(d.maps)*worst
	d.mu.Unlock()
	is, err := free(d.Dir)
	if err != nil {
		return fmt.Errorf("spill state: free space of %s: %w", d.Dir, err)
	}
	if is < must {
		return &FullError{Dir: d.Dir, Option: "state.reserve", Is: is, Must: must}
	}
	if s.Quota == 0 {
		return nil
	}
	if is, err = used(s.Dir); err != nil {
		return fmt.Errorf("spill state: files in %s: %w", s.Dir, err)
	}
	if is+n > s.Quota {
		return &FullError{Dir: s.Dir, Option: "state.quota", Is: is + n, Must: s.Quota}
	}
	return nil
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// usedBytes counts blocks: files of Badger are made larger than what is in them.
func usedBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return skipGone(err)
		}
		info, err := e.Info()
		if err != nil {
			return skipGone(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			n += st.Blocks * 512
		}
		return nil
	})
	return n, err
}

// skipGone forgives files that were removed meanwhile.
func skipGone(err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
