package nexmark

import (
	"encoding/json"
	"fmt"

	"github.com/wasmill/wasmill/internal/nexmark"
)

const (
	blockEvents = 1024 // of an unbounded source, dealt out to its splits in turn
	rangeEvents = 1 << 16
)

// madeInput is what a generator makes.
type madeInput struct{ generator *nexmark.Generator }

func (m *madeInput) bounded() bool { return m.generator.Events > 0 }

// span is a split's data: the places from First up to End (0: without end), in blocks of Block that begin Step apart.
type span struct {
	First uint64 `json:"first"`
	End   uint64 `json:"end,omitempty"`
	Block uint64 `json:"block,omitempty"`
	Step  uint64 `json:"step,omitempty"`
}

// enumerate cuts the event numbers up. Each split holds whole out-of-order groups, so that bounded ones are in order.
func (m *madeInput) enumerate(parallelism int) (pieces []piece, ordered bool, err error) {
	group, events := m.generator.Group(), m.generator.Events
	if !m.bounded() {
		block := roundUp(blockEvents, group)
		for i := range uint64(parallelism) {
			pieces = append(pieces, piece{fmt.Sprintf("nexmark-%d", i), span{First: i * block, Block: block, Step: uint64(parallelism) * block}, 0})
		}
		return pieces, false, nil
	}
	size := min(rangeEvents, events/uint64(perSubtask*parallelism)+1)
	size = roundUp(max(size, events/mostRanges+1), group)
	for first := uint64(0); first < events; first += size {
		end := min(first+size, events)
		pieces = append(pieces, piece{fmt.Sprintf("nexmark[%d:%d]", first, end), span{First: first, End: end}, 0})
	}
	return pieces, true, nil
}

func roundUp(n, group uint64) uint64 { return (n + group - 1) / group * group }

// place is a position: the number of the next event in the order in which they come.
type place struct {
	Next uint64 `json:"next"`
}

func (m *madeInput) open(data, position json.RawMessage) (feed, error) {
	f := &madeFeed{generator: m.generator}
	if err := json.Unmarshal(data, &f.span); err != nil {
		return nil, err
	}
	f.at.Next = f.span.First
	if len(position) > 0 {
		if err := json.Unmarshal(position, &f.at); err != nil {
			return nil, fmt.Errorf("position: %w", err)
		}
	}
	return f, nil
}

// madeFeed makes the events of one split.
type madeFeed struct {
	generator *nexmark.Generator
	span      span
	at        place
}

func (f *madeFeed) next(e *nexmark.Event, wanted *[nexmark.Kinds]nexmark.Wanted) (bool, error) {
	is := f.generator.Make(e, f.generator.Number(f.at.Next), wanted)
	f.at.Next++
	if s := &f.span; s.Block > 0 && (f.at.Next-s.First)%s.Step == s.Block {
		f.at.Next += s.Step - s.Block
	}
	return is, nil
}

func (f *madeFeed) done() bool    { return f.span.End > 0 && f.at.Next >= f.span.End }
func (f *madeFeed) position() any { return f.at }
func (f *madeFeed) read() int64   { return 0 }
func (f *madeFeed) close() error  { return nil }
