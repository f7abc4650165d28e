// Package nexmark is a source of the events of the Nexmark benchmark, made in the process as they are asked for, or read from a
// compact file of them. It knows splits, positions, rates and rows; what the events are is internal/nexmark's.
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

// Source makes or reads events, as rows of the fields that its operator's codec names. Options:
//
//	kind   person, auction or bid: only those, as their rows; none: rows of event_type, person, auction and bid, of all events
//	       whose kind the codec names, or of all if it names event_type only
//	limit  events a second in all, of those that are taken; none or 0: any number
//	path   an event file; without it, the options of nexmark.Options say which events are made
//
// An event's timestamp is its dateTime. A file, and a generator with events, are bounded, and cut into splits that follow each other
// in time; without, each split has every so many-th block of events.
type Source struct {
	config map[string]string
	input  input
	kind   nexmark.Kind
	rows   *rows
	limit  float64
}

// NewSource checks the options.
func NewSource(config map[string]string) (connector.Source, error) {
	s := &Source{config: config, kind: everyKind}
	p := nexmark.Standard()
	var made []string // options that say which events are made
	for _, name := range slices.Sorted(maps.Keys(config)) {
		value := config[name]
		if value == "" {
			continue
		}
		switch name {
		case "kind":
			var ok bool
			if s.kind, ok = kindOf(value); !ok {
				return nil, faultf("kind: %q (expected person, auction or bid, or none for all events)", value)
			}
		case "path":
			s.input = &file{value}
		case "limit":
			n, err := strconv.ParseUint(value, 10, 50)
			if err != nil {
				return nil, faultf("limit: %q (expected events a second, a whole number >= 0)", value)
			}
			s.limit = float64(n)
		default:
			known, err := p.Set(name, value)
			if err != nil {
				return nil, faultf("%w", err)
			}
			if !known {
				return nil, faultf("unknown option %q (known: %s)", name, strings.Join(options(), ", "))
			}
			made = append(made, name)
		}
	}
	if s.input != nil {
		if len(made) > 0 {
			return nil, faultf("path beside %s (expected none: the events of a file are what they are)", strings.Join(made, ", "))
		}
		return s, nil
	}
	g, err := nexmark.NewGenerator(p)
	if err != nil {
		return nil, faultf("%w", err)
	}
	s.input = &madeInput{g}
	return s, nil
}

func faultf(format string, args ...any) error {
	return &connector.Error{Op: op, Err: fmt.Errorf(format, args...)}
}

func options() []string {
	names := []string{"kind", "limit", "path"}
	for _, o := range nexmark.Options {
		names = append(names, o.Name)
	}
	return names
}

// For returns the source of rows of a codec.
func (s *Source) For(output abi.Codec) (connector.Source, error) {
	typed := *s
	var err error
	if typed.rows, err = newRows(s.kind, output); err != nil {
		return nil, faultf("%w", err)
	}
	return &typed, nil
}

// Bounded says whether the events end.
func (s *Source) Bounded() bool { return s.input.bounded() }

// At resolves the path of a file.
func (s *Source) At(dir string) (map[string]string, error) {
	if s.config["path"] == "" {
		return s.config, nil
	}
	return connector.At(op, s.config, dir)
}

// Columns are a row and its dateTime.
func (s *Source) Columns() abi.Columns { return abi.ColumnValues | abi.ColumnTimestamps }

// Guarantee is ExactlyOnce: every event is a function of its number, or at its place in a file.
func (s *Source) Guarantee() connector.Guarantee { return connector.ExactlyOnce }

const (
	mostRanges = 1 << 11 // so many splits are kept in a job's record
	perSubtask = 4       // splits a subtask at least, so that a slow one can be left fewer
)

// input is where events come from: a generator, or a file.
type input interface {
	bounded() bool
	// enumerate cuts it up, and says whether the events of each piece are no older than those of the pieces before.
	enumerate(parallelism int) (pieces []piece, ordered bool, err error)
	open(data, position json.RawMessage) (feed, error)
}

// piece is a split to be.
type piece struct {
	id    string
	data  any
	bytes int64
}

// feed is the events of one split.
type feed interface {
	// next goes on by one event, and says whether any of its fields is wanted. Its texts are valid until the next call.
	next(e *nexmark.Event, wanted *[nexmark.Kinds]nexmark.Wanted) (bool, error)
	done() bool
	position() any // where next goes on
	read() int64   // bytes of input, since it was last asked
	close() error
}

// portion is a split's data: what its input says, and of how many that share the limit it is one.
type portion struct {
	Input json.RawMessage `json:"input"`
	Of    int             `json:"of"`
}

// Enumerate lists the splits.
func (s *Source) Enumerate(_ context.Context, parallelism int) (connector.Splits, error) {
	pieces, ordered, err := s.input.enumerate(parallelism)
	if err != nil {
		return connector.Splits{}, err
	}
	out := connector.Splits{Ordered: ordered}
	for _, p := range pieces {
		data, err := json.Marshal(p.data)
		if err == nil {
			data, err = json.Marshal(portion{Input: data, Of: parallelism})
		}
		if err != nil {
			return connector.Splits{}, fmt.Errorf("%s: enumerate: %w", op, err)
		}
		out.Splits = append(out.Splits, connector.Split{ID: p.id, Data: data, Bytes: p.bytes})
	}
	return out, nil
}
