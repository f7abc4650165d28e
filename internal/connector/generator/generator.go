// Package generator is a source of made-up records, the same ones for the same seed: lower-case words of random letters.
// It knows rates, counts and sizes; time is given to it.
package generator

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/pace"
)

const op = "generator source"

// Source generates. Options:
//
//	count  how many records in all; none or 0: without end
//	rate   records a second in all; none or 0: as many as are taken
//	seed   of the random letters, 0 by default
//	size   bytes of a value, 16 by default
//
// A record's event time is its number in milliseconds, so it does not depend on when it was made.
type Source struct {
	count, seed uint64
	rate        float64
	size        int
}

// NewSource checks the options.
func NewSource(config map[string]string) (connector.Source, error) {
	s := &Source{size: 16}
	for key, value := range config {
		if value == "" {
			continue
		}
		var err error
		switch key {
		case "count":
			s.count, err = strconv.ParseUint(value, 10, 62)
		case "seed":
			s.seed, err = strconv.ParseUint(value, 10, 64)
		case "rate":
			s.rate, err = strconv.ParseFloat(value, 64)
			if err == nil && !(s.rate >= 0) {
				err = fmt.Errorf("negative")
			}
		case "size":
			s.size, err = strconv.Atoi(value)
			if err == nil && (s.size < 1 || s.size > 1<<20) {
				err = fmt.Errorf("out of bounds")
			}
		default:
			return nil, &connector.Error{Op: op, Err: fmt.Errorf("unknown option %q (known: count, rate, seed, size)", key)}
		}
		if err != nil {
			return nil, &connector.Error{Op: op, Err: fmt.Errorf("%s: %q (expected %s)", key, value, expected[key])}
		}
	}
	return s, nil
}

var expected = map[string]string{
	"count": "a whole number >= 0", "seed": "a whole number >= 0",
	"rate": "records a second, >= 0", "size": "1 <= bytes <= 1048576",
}

// Bounded says whether a count was given.
func (s *Source) Bounded() bool { return s.count > 0 }

// Columns are a value and its number as timestamp.
func (s *Source) Columns() abi.Columns { return abi.ColumnValues | abi.ColumnTimestamps }

// span is a split's data: the records first, first+step, ... below end (0: without end).
type span struct {
	First uint64 `json:"first"`
	Step  uint64 `json:"step"`
	End   uint64 `json:"end,omitempty"`
}

// Enumerate deals the record numbers out to one split a subtask.
func (s *Source) Enumerate(_ context.Context, parallelism int) (connector.Splits, error) {
	var out connector.Splits
	for i := range parallelism {
		data, err := json.Marshal(span{First: uint64(i), Step: uint64(parallelism), End: s.count})
		if err != nil {
			return connector.Splits{}, fmt.Errorf("generator source: enumerate: %w", err)
		}
		out.Splits = append(out.Splits, connector.Split{ID: fmt.Sprintf("generator-%d", i), Data: data})
	}
	return out, nil
}

// Open returns a reader at the split's first record.
func (s *Source) Open(_ context.Context, split connector.Split) (connector.Reader, error) {
	r := &reader{source: s, value: make([]byte, s.size)}
	if err := json.Unmarshal(split.Data, &r.span); err != nil {
		return nil, fmt.Errorf("generator source: open split %s: %w", split.ID, err)
	}
	r.next = r.span.First
	if len(split.Position) > 0 {
		var at position
		if err := json.Unmarshal(split.Position, &at); err != nil {
			return nil, fmt.Errorf("generator source: position in split %s: %w", split.ID, err)
		}
		r.next = at.Next
	}
	r.pace.Rate = s.rate / float64(r.span.Step)
	return r, nil
}

type reader struct {
	source *Source
	span   span
	next   uint64
	pace   pace.Pace
	value  []byte
	pcg    rand.PCG
}

// Poll appends records up to what the rate allows at now.
func (r *reader) Poll(b *abi.Builder, maxRecords, maxBytes int, now time.Time) (connector.Progress, error) {
	allowed, wake := r.pace.Allowance(now, maxRecords)
	n, bytes := 0, 0
	for ; n < allowed && bytes < maxBytes; n++ {
		if r.span.End > 0 && r.next >= r.span.End {
			return connector.Progress{Done: true}, nil
		}
		r.fill(r.next)
		b.Append(abi.Record{Timestamp: int64(r.next), Value: r.value})
		r.next += r.span.Step
		bytes += len(r.value)
	}
	r.pace.Made(n)
	done := r.span.End > 0 && r.next >= r.span.End
	if n > 0 || done {
		return connector.Progress{Done: done}, nil
	}
	return connector.Progress{Wake: wake, CaughtUp: true}, nil // the next record is not made yet
}

// fill makes the value of record number: letters that depend on the seed and the number alone, so that any subtask of
// any attempt makes the same record.
func (r *reader) fill(number uint64) {
	r.pcg.Seed(r.source.seed, number)
	for i := 0; i < len(r.value); {
		w := r.pcg.Uint64()
		for k := 0; k < 8 && i < len(r.value); k++ {
			r.value[i] = 'a' + byte(w&0xff)%26
			w >>= 8
			i++
		}
	}
}

// Close has nothing to release.
func (r *reader) Close() error { return nil }

// Guarantee is ExactlyOnce: every record is a function of its number.
func (s *Source) Guarantee() connector.Guarantee { return connector.ExactlyOnce }

// position is the number of the next record.
type position struct {
	Next uint64 `json:"next"`
}

// Position is the number of the next record.
func (r *reader) Position() json.RawMessage {
	p, _ := json.Marshal(position{r.next}) // a struct of a number always marshals
	return p
}
