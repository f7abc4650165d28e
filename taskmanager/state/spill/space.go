package spill

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	maps int      // that are open
	file *os.File // the ballast, nil if no map is open
	held int64    // bytes of it
}

// Space is the part of a disk that one job may have.
type Space struct {
	Disk  *Disk
	Dir   string // all that the job has on the disk is below it
	Quota int64  // bytes; 0: no limit
}

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
		return errors.Join(err, s.close())
	}
	return nil
}

func (s *Space) close() error {
	s.Disk.mu.Lock()
	defer s.Disk.mu.Unlock()
	s.Disk.maps--
	return s.Disk.trim()
}

// Check answers a *FullError when n bytes more might not fit.
func (s *Space) Check(n int64) error {
	if err := s.Disk.check(n); err != nil {
		return s.full(err)
	}
	used := s.Disk.Used
	if used == nil {
		used = usedBytes
	}
	if s.Quota == 0 {
		return nil
	}
	is, err := used(s.Dir)
	if err != nil {
		return fmt.Errorf("spill state: files in %s: %w", s.Dir, err)
	}
	if is+n > s.Quota {
		return &FullError{Dir: s.Dir, Option: "state.quota", Is: is + n, Must: s.Quota}
	}
	return nil
}

// check makes the ballast whole, and wants n bytes to be free besides the reserve.
func (d *Disk) check(n int64) error {
	free := d.Free
	if free == nil {
		free = freeBytes
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	is, err := free(d.Dir)
	if err != nil {
		return fmt.Errorf("free space of %s: %w", d.Dir, err)
	}
	if must := d.Reserve + n + max(d.want()-d.held, 0); is < must {
		return &FullError{Dir: d.Dir, Option: "state.reserve", Is: is, Must: must}
	}
	return d.fill()
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
