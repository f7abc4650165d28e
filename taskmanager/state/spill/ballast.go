package spill

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ballast is the room that a disk keeps for each open map, for what it still creates when somebody has taken all of the disk:
// tables of the memtables that are full, and of the compactions that run. It is given up then, a table at a time, while the
// job fails. It lies in one file, which has no name, so that nothing of it is left behind.
const ballast = 64 << 20

func (d *Disk) want() int64 { return int64(d.maps) * ballast }

// fill makes the ballast what the open maps need. d.mu is held.
func (d *Disk) fill() error {
	if d.held >= d.want() {
		return nil
	}
	if d.file == nil {
		f, err := os.CreateTemp(d.Dir, "ballast-")
		if err != nil {
			return err
		}
		if err := os.Remove(f.Name()); err != nil {
			return errors.Join(err, f.Close())
		}
		d.file = f
	}
	if err := allocate(d.file, d.held, d.want()-d.held); err != nil {
		return errors.Join(err, d.file.Truncate(d.held))
	}
	d.held = d.want()
	return nil
}

// trim lets go of what the open maps do not need. d.mu is held.
func (d *Disk) trim() error {
	var err error
	if d.held > d.want() {
		err = d.shrink(d.want())
	}
	if d.maps == 0 && d.file != nil {
		err = errors.Join(err, d.file.Close())
		d.file = nil
	}
	return err
}

// shrink gives up what the ballast has above n. d.mu is held.
func (d *Disk) shrink(n int64) error {
	d.held = n
	return d.file.Truncate(n)
}

// pressed does what needs n bytes of the disk, and gives up as much of the ballast as that takes.
func (d *Disk) pressed(n int64, do func() error) error {
	for {
		err := do()
		if !isFull(err) || !d.giveUp(n) {
			return err
		}
	}
}

// giveUp answers whether there was anything left. More than n is given: a file takes blocks that are not its content.
func (d *Disk) giveUp(n int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == 0 {
		return false
	}
	return d.shrink(max(d.held-n-n/8-(1<<20), 0)) == nil
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// full is the error of a map that did not find room, or could not use the disk at all.
func (s *Space) full(err error) error {
	var full *FullError
	switch {
	case errors.As(err, &full):
		return err
	case isFull(err):
		return &FullError{Dir: s.Disk.Dir, Option: "state.reserve", Must: s.Disk.Reserve}
	}
	return fmt.Errorf("spill state: %w", err)
}
