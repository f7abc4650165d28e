package spill_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// small is a disk of its own.
func small(t *testing.T, size int64) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	if errors.Is(err, unix.EPERM) {
		t.Skip("to mount a file system takes a privileged user")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// take takes all that is free on a disk, to the last block, until it is told to stop.
func take(t *testing.T, dir string, stop <-chan struct{}) {
	f, err := os.Create(filepath.Join(dir, "somebody's"))
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	for size, more := int64(0), int64(1<<30); ; {
		if err := unix.Fallocate(int(f.Fd()), 0, size, more); err == nil {
			size += more
		} else if more > 4096 {
			more /= 2
		} else {
			more = 1 << 20 // there may be more by now
			time.Sleep(100 * time.Microsecond)
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// filler writes to a map, and knows what it has written.
type filler struct {
	m       *spill.Map
	written map[uint32]uint32
}

// add writes keys in a batch, and knows of them once it is flushed.
func (f *filler) add(r *rand.Rand, version uint32) error {
	b, new := f.m.Batch(), map[uint32]uint32{}
	for range 4000 {
		k := r.Uint32N(500_000)
		if err := b.Put(binary.BigEndian.AppendUint32(nil, k), binary.BigEndian.AppendUint32(make([]byte, 100), version), uint64(version)); err != nil {
			b.Cancel()
			return err
		}
		new[k] = version
	}
	if err := b.Flush(); err != nil {
		return err
	}
	for k, v := range new {
		f.written[k] = v
	}
	f.m.Forget(uint64(version))
	return nil
}

// check answers how many of every eighth key are not, or not as they should be; one of a batch that was not ended may be newer.
func (f *filler) check(t *testing.T, last uint32) (wrong int) {
	v := f.m.View()
	defer v.Close()
	for k, version := range f.written {
		if k%8 != 0 {
			continue
		}
		there, err := v.Get(binary.BigEndian.AppendUint32(nil, k), func(value []byte) error {
			if is := binary.BigEndian.Uint32(value[100:]); is != version && is != last {
				wrong++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !there {
			wrong++
		}
	}
	return wrong
}

// Somebody takes all of the disk at one blow, wherever the map is with its writing and merging, and what comes free later
// too: the map says that the disk is full, has all that was written, and can be closed.
func TestDiskIsTakenAtOneBlow(t *testing.T) {
	runs := 4
	if testing.Short() {
		runs = 2
	}
	for seed := range uint64(runs) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			dir := small(t, 400<<20)
			m, err := spill.Open(filepath.Join(dir, "map"), &spill.Space{Disk: &spill.Disk{Dir: dir, Reserve: 32 << 20}, Dir: dir}, 32<<20)
			if err != nil {
				t.Fatal(err)
			}
			f := &filler{m: m, written: map[uint32]uint32{}}
			stop, taken := make(chan struct{}), sync.WaitGroup{}
			before := 30 + uint32(r.IntN(100))
			for version := uint32(1); ; version++ {
				if version == before {
					delay := time.Duration(r.IntN(5000)) * time.Microsecond
					taken.Go(func() { time.Sleep(delay); take(t, dir, stop) })
				}
				if err = f.add(r, version); err != nil {
					var full *spill.FullError
					if !errors.As(err, &full) || version < before {
						t.Errorf("version %d: %v (expected a FullError when the disk is taken, at %d)", version, err, before)
					}
					if wrong := f.check(t, version); wrong > 0 {
						t.Errorf("%d of %d keys are wrong", wrong, len(f.written))
					}
					break
				}
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			close(stop)
			taken.Wait()
		})
	}
}
