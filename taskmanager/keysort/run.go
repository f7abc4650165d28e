package keysort

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/wasmill/wasmill/abi"
)

// A run is a file of blocks, each a batch of sorted records (integers little-endian):
//
//	0 u32 bytes of the batch   4 u32 its records   8 u32 CRC32C of what follows   12 u32 zero
//	16 the batch   u32[n] the lane of each record
const blockHeader = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// runWriter writes a run.
type runWriter struct {
	path  string
	file  *os.File
	out   *bufio.Writer
	block *abi.Builder
	lanes []byte
	room  []byte
	check func(bytes int64) error
	since int64 // bytes since the last check

	written int64 // bytes
}

// checkEvery is how many bytes are written between two looks at the room that there is, runBuffer how many are collected before they
// are written.
const (
	checkEvery = 16 << 20
	runBuffer  = 256 << 10
)

func createRun(path string, cols abi.Columns, check func(bytes int64) error) (*runWriter, error) {
	if err := check(runBuffer); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("sort by key: %w", err)
	}
	return &runWriter{path: path, file: f, out: bufio.NewWriterSize(f, runBuffer), block: abi.NewBuilder(cols), check: check}, nil
}

func (w *runWriter) add(r Record) error {
	w.block.AppendRange(r.Batch, r.Row, r.Row+1, r.Batch.Hashes)
	w.lanes = binary.LittleEndian.AppendUint32(w.lanes, r.Lane)
	if w.block.Bytes() < blockBytes && w.block.Len() < blockRows {
		return nil
	}
	return w.flush()
}

func (w *runWriter) flush() error {
	n := w.block.Len()
	if n == 0 {
		return nil
	}
	size := w.block.Size()
	if len(w.room) < size {
		w.room = abi.AlignedBytes(2 * size)
	}
	batch := w.block.Encode(w.room[:size])
	sum := crc32.Update(crc32.Checksum(batch, castagnoli), castagnoli, w.lanes)
	var h [blockHeader]byte
	binary.LittleEndian.PutUint32(h[0:], uint32(len(batch)))
	binary.LittleEndian.PutUint32(h[4:], uint32(n))
	binary.LittleEndian.PutUint32(h[8:], sum)
	for _, part := range [][]byte{h[:], batch, w.lanes} {
		if _, err := w.out.Write(part); err != nil {
			return fmt.Errorf("sort by key: %w", err)
		}
		w.since += int64(len(part))
		w.written += int64(len(part))
	}
	w.block.Reset()
	w.lanes = w.lanes[:0]
	if w.since < checkEvery {
		return nil
	}
	w.since = 0
	return w.check(checkEvery)
}

func (w *runWriter) end() error {
	err := w.flush()
	if err == nil {
		err = w.out.Flush()
	}
	return errors.Join(err, w.file.Close())
}

// runReader reads a run.
type runReader struct {
	path  string
	file  *os.File
	in    *bufio.Reader
	batch abi.Batch
	room  []byte
	lanes []byte
	row   int
	order int // of its run among those that are merged
}

func openRun(path string) (*runReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sort by key: %w", err)
	}
	return &runReader{path: path, file: f, in: bufio.NewReaderSize(f, blockBytes), row: -1}, nil
}

// step goes to the next record; false: there is none.
func (r *runReader) step() (bool, error) {
	r.row++
	if r.row < r.batch.N {
		return true, nil
	}
	more, err := r.read()
	if err != nil {
		return false, fmt.Errorf("sort by key: read %s: %w", r.path, err)
	}
	r.row = 0
	return more, nil
}

func (r *runReader) read() (bool, error) {
	var h [blockHeader]byte
	if _, err := io.ReadFull(r.in, h[:]); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	size, n := int(binary.LittleEndian.Uint32(h[0:])), int(binary.LittleEndian.Uint32(h[4:]))
	if size > 1<<30 || n > 1<<28 {
		return false, fmt.Errorf("a block of %d bytes and %d records: the file is damaged", size, n)
	}
	if len(r.room) < size {
		r.room = abi.AlignedBytes(2 * size)
	}
	if len(r.lanes) < 4*n {
		r.lanes = make([]byte, 8*n)
	}
	batch, lanes := r.room[:size:size], r.lanes[:4*n]
	for _, part := range [][]byte{batch, lanes} {
		if _, err := io.ReadFull(r.in, part); err != nil {
			return false, err
		}
	}
	if sum := crc32.Update(crc32.Checksum(batch, castagnoli), castagnoli, lanes); sum != binary.LittleEndian.Uint32(h[8:]) {
		return false, errors.New("the checksum of a block is wrong: the file is damaged")
	}
	if err := r.batch.Parse(batch); err != nil {
		return false, err
	}
	return r.batch.N > 0, nil
}

func (r *runReader) record() Record {
	return Record{Batch: &r.batch, Row: r.row, Lane: binary.LittleEndian.Uint32(r.lanes[4*r.row:])}
}
