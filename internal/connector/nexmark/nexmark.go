// Package nexmark is a source of the events of the Nexmark benchmark, made in the process as they are asked for. It knows splits,
// positions, rates and rows; what the events are is internal/nexmark's.
package nexmark

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/nexmark"
)

const op = "nexmark source"

// Source makes events. Options, beside those of nexmark.Options:
//
//	kind    person, auction or bid: only those, as their rows; none: all, as rows of event_type, person, auction and bid
//	schema  codec of the rows, with the fields that are wanted; none: all fields
//	limit   events a second in all, of those that are read; none or 0: as many as are taken
//
// An event's timestamp is its dateTime. With events the source is bounded, and its splits are ranges of event numbers in order;
// without, each of its splits has every so many-th block of them.
type Source struct {
	generator *nexmark.Generator
	rows      *rows
	limit     float64
}

// NewSource checks the options.
func NewSource(config map[string]string) (connector.Source, error) {
	s := &Source{}
	p, kind := nexmark.Standard(), everyKind
	for _, name := range slices.Sorted(maps.Keys(config)) {
		value := config[name]
		if value == "" {
			continue
		}
		switch name {
		case "kind":
			var ok bool
			if kind, ok = kindOf(value); !ok {
				return nil, faultf("kind: %q (expected person, auction or bid, or none for all events)", value)
			}
		case "limit":
			n, err := strconv.ParseUint(value, 10, 50)
			if err != nil {
				return nil, faultf("limit: %q (expected events a second, a whole number >= 0)", value)
			}
			s.limit = float64(n)
		case "schema":
		default:
			known, err := p.Set(name, value)
			if err != nil {
				return nil, faultf("%w", err)
			}
			if !known {
				return nil, faultf("unknown option %q (known: %s)", name, strings.Join(options(), ", "))
			}
		}
	}
	var err error
	if s.rows, err = newRows(kind, config["schema"]); err != nil {
		return nil, faultf("schema: %w", err)
	}
	if s.generator, err = nexmark.NewGenerator(p); err != nil {
		return nil, faultf("%w", err)
	}
	return s, nil
}

func faultf(format string, args ...any) error {
	return &connector.Error{Op: op, Err: fmt.Errorf(format, args...)}
}

func options() []string {
	names := []string{"kind", "schema", "limit"}
	for _, o := range nexmark.Options {
		names = append(names, o.Name)
	}
	return names
}

// Codec is the codec of the rows.
func (s *Source) Codec() abi.Codec { return s.rows.schema.Codec() }

// Bounded says whether the number of events was given.
func (s *Source) Bounded() bool { return s.generator.Events > 0 }

// Columns are a row and its dateTime.
func (s *Source) Columns() abi.Columns { return abi.ColumnValues | abi.ColumnTimestamps }

// Guarantee is ExactlyOnce: every event is a function of its number.
func (s *Source) Guarantee() connector.Guarantee { return connector.ExactlyOnce }

const (
	blockEvents = 1024 // of an unbounded source, dealt out to its splits in turn
	rangeEvents = 1 << 16
	mostRanges  = 1 << 11 // so many splits are kept in a job's record
	perSubtask  = 4       // ranges a subtask at least, so that a slow one can be left fewer
)

// span is a split's data: the places from First up to End (0: without end), in blocks of Block that begin Step apart.
type span struct {
	First uint64 `json:"first"`
	End   uint64 `json:"end,omitempty"`
	Block uint64 `json:"block,omitempty"`
	Step  uint64 `json:"step,omitempty"`
	Of    int    `json:"of"` // splits that are read at a time, which share the limit
}

// Enumerate cuts the event numbers up. Each split holds whole out-of-order groups, so that bounded ones are in order.
func (s *Source) Enumerate(_ context.Context, parallelism int) (connector.Splits, error) {
	out := connector.Splits{Ordered: s.Bounded()}
	add := func(id string, of span) error {
		data, err := json.Marshal(of)
		if err != nil {
			return fmt.Errorf("%s: enumerate: %w", op, err)
		}
		out.Splits = append(out.Splits, connector.Split{ID: id, Data: data})
		return nil
	}
	group, events := s.generator.Group(), s.generator.Events
	if !s.Bounded() {
		block := roundUp(blockEvents, group)
		for i := range uint64(parallelism) {
			of := span{First: i * block, Block: block, Step: uint64(parallelism) * block, Of: parallelism}
			if err := add(fmt.Sprintf("nexmark-%d", i), of); err != nil {
				return connector.Splits{}, err
			}
		}
		return out, nil
	}
	size := min(rangeEvents, events/uint64(perSubtask*parallelism)+1)
	size = roundUp(max(size, events/mostRanges+1), group)
	for first := uint64(0); first < events; first += size {
		end := min(first+size, events)
		if err := add(fmt.Sprintf("nexmark[%d:%d]", first, end), span{First: first, End: end, Of: parallelism}); err != nil {
			return connector.Splits{}, err
		}
	}
	return out, nil
}

func roundUp(n, group uint64) uint64 { return (n + group - 1) / group * group }
