package exchange

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// An output is what one subtask has sent over one blocking edge: a file, from which each receiver's part is replayed, as often as
// is needed. Blocks follow each other as they were sent, behind them the table (integers little-endian):
//
//	block    0 u32 bytes of the batch   4 u32 their CRC32C   8 the batch
//	table    for each receiver: u32 blocks, then for each of these u64 where it begins
//	trailer  0 u64 where the table begins   8 u32 receivers   12 u32 CRC32C of the table and these
const (
	outputBlock   = 8
	outputTrailer = 16
	outputCheck   = 16 << 20 // bytes between two looks at the room that there is
	outputBuffer  = 256 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Output is the sending end of a blocking edge. One goroutine uses it, the task's. It writes when it is given something: a disk
// takes that as it does what a sink writes. After an error it takes nothing more, and Err says why.
type Output struct {
	path  string
	file  *os.File
	out   *bufio.Writer
	at    uint64
	since int64
	table [][]uint64 // by receiver, where its blocks begin
	check func(bytes int64) error
	err   error
	ended bool
}

// CreateOutput makes the file of an output for receivers many receivers. check answers an error when so many bytes more might not
// fit.
func CreateOutput(path string, receivers int, check func(bytes int64) error) (*Output, error) {
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = check(outputBuffer)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &Output{path: path, file: f, out: bufio.NewWriterSize(f, outputBuffer), table: make([][]uint64, receivers), check: check}, nil
}

// Send writes a batch for the receivers from first, of which there are n; the buffer is no longer the caller's.
func (o *Output) Send(first, n int, b *Buffer) {
	defer b.Release()
	if o.err != nil {
		return
	}
	var h [outputBlock]byte
	binary.LittleEndian.PutUint32(h[0:], uint32(b.n))
	binary.LittleEndian.PutUint32(h[4:], crc32.Checksum(b.Bytes(), castagnoli))
	begins := o.at
	o.write(h[:])
	o.write(b.Bytes())
	for i := range n {
		o.table[first+i] = append(o.table[first+i], begins)
	}
	if o.since >= outputCheck && o.err == nil {
		o.since, o.err = 0, o.check(outputCheck)
	}
}

func (o *Output) write(p []byte) {
	if o.err != nil {
		return
	}
	var n int
	n, o.err = o.out.Write(p)
	o.at += uint64(n)
	o.since += int64(n)
}

// End completes the file.
func (o *Output) End() {
	if o.err != nil || o.ended {
		return
	}
	begins := o.at
	var table []byte
	for _, blocks := range o.table {
		table = binary.LittleEndian.AppendUint32(table, uint32(len(blocks)))
		for _, at := range blocks {
			table = binary.LittleEndian.AppendUint64(table, at)
		}
	}
	table = binary.LittleEndian.AppendUint64(table, begins)
	table = binary.LittleEndian.AppendUint32(table, uint32(len(o.table)))
	o.write(binary.LittleEndian.AppendUint32(table, crc32.Checksum(table, castagnoli)))
	if o.err == nil {
		o.err = o.out.Flush()
	}
	o.ended = o.err == nil
}

// Err is why nothing more is written, nil while there is no reason.
func (o *Output) Err() error { return o.err }

// Close closes the file, and removes it unless it was completed.
func (o *Output) Close() {
	o.file.Close()
	if !o.ended {
		os.Remove(o.path)
	}
}

// Recorded reads the part of an output that one receiver is to get.
type Recorded struct {
	path   string
	file   *os.File
	blocks []uint64
}

// ErrDamaged says that an output cannot be replayed: who has made it must do so again.
var ErrDamaged = errors.New("the file is damaged")

// OpenRecorded opens an output for one receiver.
func OpenRecorded(path string, receiver int) (*Recorded, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Recorded{path: path, file: f}
	if r.blocks, err = readTable(f, receiver); err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

func readTable(f *os.File, receiver int) ([]uint64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var t [outputTrailer]byte
	if _, err := f.ReadAt(t[:], max(info.Size()-outputTrailer, 0)); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	begins := binary.LittleEndian.Uint64(t[0:])
	if begins > uint64(info.Size()-outputTrailer) || receiver >= int(binary.LittleEndian.Uint32(t[8:])) {
		return nil, ErrDamaged
	}
	table := make([]byte, uint64(info.Size()-outputTrailer)-begins)
	if _, err := f.ReadAt(table, int64(begins)); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if sum := crc32.Update(crc32.Checksum(table, castagnoli), castagnoli, t[:12]); sum != binary.LittleEndian.Uint32(t[12:]) {
		return nil, ErrDamaged
	}
	for ; receiver > 0; receiver-- {
		table = table[4+8*int(binary.LittleEndian.Uint32(table)):]
	}
	blocks := make([]uint64, binary.LittleEndian.Uint32(table))
	for i := range blocks {
		blocks[i] = binary.LittleEndian.Uint64(table[4+8*i:])
	}
	return blocks, nil
}

// Next reads the next batch; io.EOF: there is none.
func (r *Recorded) Next() (*Buffer, error) {
	if len(r.blocks) == 0 {
		return nil, io.EOF
	}
	at := int64(r.blocks[0])
	r.blocks = r.blocks[1:]
	var h [outputBlock]byte
	if _, err := r.file.ReadAt(h[:], at); err != nil {
		return nil, fmt.Errorf("read %s: %w: %v", r.path, ErrDamaged, err)
	}
	size := binary.LittleEndian.Uint32(h[0:])
	if size < leastBatch || size > MaxBatchBytes {
		return nil, fmt.Errorf("read %s: %w: a batch of %d bytes", r.path, ErrDamaged, size)
	}
	b := newBuffer(int(size))
	if _, err := r.file.ReadAt(b.Bytes(), at+outputBlock); err != nil {
		b.Release()
		return nil, fmt.Errorf("read %s: %w: %v", r.path, ErrDamaged, err)
	}
	if crc32.Checksum(b.Bytes(), castagnoli) != binary.LittleEndian.Uint32(h[4:]) {
		b.Release()
		return nil, fmt.Errorf("read %s: %w: the checksum of a batch is wrong", r.path, ErrDamaged)
	}
	return b, nil
}

// Close ends the reading.
func (r *Recorded) Close() error { return r.file.Close() }
