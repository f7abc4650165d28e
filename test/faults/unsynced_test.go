//go:build faults

package faults

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
)

// account is what a file has that it might lose: its writes since the first that is not durable for sure, in their order.
type account struct {
	pieces []piece
}

// piece is one write, or one change of the file's size.
type piece struct {
	at               int64
	old, now         []byte // what was there, as far as there was anything; and what came
	oldSize, nowSize int64
	state            pieceState
}

type pieceState int

const (
	pending pieceState = iota // any part of it may survive
	kept                      // it was synced, but something before it was lost
	lost                      // a sync of it has failed: it does not survive, whatever is said of later ones
)

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

// write changes an open file, and takes note of what it was.
func (a *account) write(f *os.File, p []byte, at int64) (int, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	was := piece{at: at, now: slices.Clone(p), oldSize: info.Size(), nowSize: max(info.Size(), at+int64(len(p)))}
	if was.old, err = readAt(f, at, min(int64(len(p)), was.oldSize-at)); err != nil {
		return 0, err
	}
	a.pieces = append(a.pieces, was)
	return f.WriteAt(p, at)
}

// resize does the same with the size of a file.
func (a *account) resize(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() == size {
		return err
	}
	was := piece{at: size, oldSize: info.Size(), nowSize: size}
	if was.old, err = readAt(f, size, was.oldSize-size); err != nil {
		return err
	}
	a.pieces = append(a.pieces, was)
	return f.Truncate(size)
}

func readAt(f io.ReaderAt, at, n int64) ([]byte, error) {
	if n <= 0 {
		return nil, nil
	}
	b := make([]byte, n)
	got, err := f.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:got], err
}

// sync makes durable what is pending.
func (a *account) sync() { a.settle(kept) }

// lose is a sync that fails: what was pending will not be found after a power cut, also if the next sync succeeds.
func (a *account) lose() { a.settle(lost) }

func (a *account) settle(as pieceState) {
	for i := range a.pieces {
		if a.pieces[i].state == pending {
			a.pieces[i].state = as
		}
	}
	for len(a.pieces) > 0 && a.pieces[0].state == kept {
		a.pieces = a.pieces[1:]
	}
}

// cut makes of a file what a power cut leaves of it: what was synced, and of what was not any part, if luck is not nil.
func (a *account) cut(path string, luck *rand.Rand) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, p := range slices.Backward(a.pieces) {
		data = resized(data, p.oldSize)
		copy(data[min(p.at, p.oldSize):], p.old)
	}
	for _, p := range a.pieces {
		from, to := int64(0), int64(len(p.now))
		switch {
		case p.state == lost, p.state == pending && (luck == nil || luck.IntN(3) == 0):
			continue
		case p.state == pending && luck.IntN(2) == 0: // torn
			from = luck.Int64N(to/sectorSize+1) * sectorSize
			to = from + luck.Int64N((to-from)/sectorSize+1)*sectorSize
		}
		if len(p.now) == 0 {
			data = resized(data, p.nowSize)
			continue
		}
		if to > from {
			data = resized(data, max(int64(len(data)), p.at+to))
			copy(data[p.at+from:], p.now[from:to])
		}
	}
	a.pieces = nil
	return os.WriteFile(path, data, 0o600)
}

func resized(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		return b[:n]
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}
