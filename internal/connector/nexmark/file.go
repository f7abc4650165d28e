package nexmark

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/nexmark"
	"github.com/wasmill/wasmill/internal/nexmark/eventfile"
)

// file is the input that lies in an event file.
type file struct{ path string }

func (f *file) bounded() bool { return true }

// blocks is a split's data: those from First up to End, of the file that was enumerated.
type blocks struct {
	Path  string `json:"path"`
	Sum   uint32 `json:"sum"` // by which the file is known again
	First int    `json:"first"`
	End   int    `json:"end"`
}

// openFile opens an event file. What is wrong with it is the user's to mend.
func openFile(path string) (*os.File, *eventfile.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, faultf("input %s does not exist", path)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = eventfile.ErrNotWhole
	}
	var events *eventfile.File
	if err == nil {
		events, err = eventfile.Open(f, info.Size())
	}
	if err != nil {
		return nil, nil, errors.Join(fileFault(path, err), f.Close())
	}
	return f, events, nil
}

// fileFault tells what is wrong with a file from what is wrong with reading it.
func fileFault(path string, err error) error {
	if errors.Is(err, eventfile.ErrNotWhole) || errors.Is(err, eventfile.ErrDamaged) {
		return &connector.Error{Op: op, Err: fmt.Errorf("%s %w", path, err), Hint: "make it anew with `wasmill nexmark generate FILE --format binary`"}
	}
	return fmt.Errorf("%s: %s: %w", op, path, err)
}

// enumerate cuts the file up where all events behind are younger, if it can be cut often enough there; else between any blocks.
func (f *file) enumerate(parallelism int) ([]piece, bool, error) {
	at, events, err := openFile(f.path)
	if err != nil {
		return nil, false, err
	}
	defer at.Close()
	size := max(len(events.Blocks)/mostRanges+1, min(rangeBlocks, len(events.Blocks)/(perSubtask*parallelism)+1))
	cuts := cut(events.Blocks, size, inOrder(events.Blocks))
	ordered := len(cuts) > parallelism || len(cuts) == len(events.Blocks)+1
	if !ordered {
		cuts = cut(events.Blocks, size, nil)
	}
	var pieces []piece
	for i, end := range cuts[1:] {
		p := piece{id: fmt.Sprintf("%s[%d:%d]", f.path, cuts[i], end), data: blocks{Path: f.path, Sum: events.Sum, First: cuts[i], End: end}}
		for _, b := range events.Blocks[cuts[i]:end] {
			p.bytes += int64(b.Bytes)
		}
		pieces = append(pieces, p)
	}
	return pieces, ordered, nil
}

// rangeBlocks is how many blocks of 64 KiB a split has at most, unless there would be too many splits.
const rangeBlocks = 64

// inOrder says of each block whether all events from it on are no older than those before it.
func inOrder(all []eventfile.Block) []bool {
	is := make([]bool, len(all))
	oldest := make([]int64, len(all)+1) // from there on
	oldest[len(all)] = math.MaxInt64
	for i := len(all) - 1; i >= 0; i-- {
		oldest[i] = min(all[i].Oldest, oldest[i+1])
	}
	newest := int64(math.MinInt64)
	for i, b := range all {
		is[i] = oldest[i] >= newest
		newest = max(newest, b.Newest)
	}
	return is
}

// cut returns where splits of at least size blocks begin, and the end of the last one. Where they may not begin is false in allowed;
// nil: they may anywhere.
func cut(all []eventfile.Block, size int, allowed []bool) []int {
	cuts := []int{0}
	for i := range all {
		if i-cuts[len(cuts)-1] >= size && (allowed == nil || allowed[i]) {
			cuts = append(cuts, i)
		}
	}
	if len(all) == 0 {
		return cuts
	}
	return append(cuts, len(all))
}

// spot is a position: so many events of a block were read.
type spot struct {
	Block int `json:"block"`
	Read  int `json:"read"`
}

func (f *file) open(data, position json.RawMessage) (feed, error) {
	var split blocks
	if err := json.Unmarshal(data, &split); err != nil {
		return nil, err
	}
	at := spot{Block: split.First}
	if len(position) > 0 {
		if err := json.Unmarshal(position, &at); err != nil {
			return nil, fmt.Errorf("position: %w", err)
		}
	}
	in, events, err := openFile(split.Path)
	if err != nil {
		return nil, err
	}
	r := &fileFeed{split: split, in: in, file: events, block: at.Block}
	switch {
	case events.Sum != split.Sum || split.End > len(events.Blocks):
		err = faultf("input %s is another file than when the job began: put it back", split.Path)
	case at.Block < split.End:
		err = r.begin(at.Read)
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// fileFeed reads the events of one split.
type fileFeed struct {
	split  blocks
	in     *os.File
	file   *eventfile.File
	events *eventfile.Events // of the block at hand
	block  int
	taken  int64 // bytes of blocks that read has not told of
}

// begin goes on with the block at hand, behind so many of its events.
func (f *fileFeed) begin(read int) (err error) {
	if f.events == nil {
		f.events, err = f.file.Read(f.block)
	} else {
		err = f.events.Begin(f.block)
	}
	if err == nil {
		err = f.events.Skip(read)
	}
	if err != nil {
		return fileFault(f.split.Path, err)
	}
	f.taken += int64(f.file.Blocks[f.block].Bytes)
	return nil
}

func (f *fileFeed) next(e *nexmark.Event, wanted *[nexmark.Kinds]nexmark.Wanted) (bool, error) {
	if f.events.Left() == 0 { // only now: the texts of the last event were in the block before
		if err := f.begin(0); err != nil {
			return false, err
		}
	}
	is, err := f.events.Next(e, wanted)
	if err != nil {
		return false, fileFault(f.split.Path, err)
	}
	if f.events.Left() == 0 {
		f.block++
	}
	return is, nil
}

func (f *fileFeed) done() bool { return f.block >= f.split.End }

func (f *fileFeed) position() any {
	at := spot{Block: f.block}
	if f.events != nil && f.events.Left() > 0 {
		at.Read = int(f.file.Blocks[f.block].Events) - f.events.Left()
	}
	return at
}

func (f *fileFeed) read() int64 {
	n := f.taken
	f.taken = 0
	return n
}

func (f *fileFeed) close() error { return f.in.Close() }
