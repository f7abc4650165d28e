package nexmark

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/pace"
	"github.com/wasmill/wasmill/internal/nexmark"
)

// reader makes the events of one split.
type reader struct {
	source *Source
	span   span
	next   uint64 // place
	event  nexmark.Event
	writer *writer
	pace   pace.Pace
}

// position is the next place.
type position struct {
	Next uint64 `json:"next"`
}

// Open returns a reader at the split's first event, or at its position.
func (s *Source) Open(_ context.Context, split connector.Split) (connector.Reader, error) {
	r := &reader{source: s, writer: newWriter(s.rows)}
	if err := json.Unmarshal(split.Data, &r.span); err != nil {
		return nil, fmt.Errorf("%s: open split %s: %w", op, split.ID, err)
	}
	at := position{Next: r.span.First}
	if len(split.Position) > 0 {
		if err := json.Unmarshal(split.Position, &at); err != nil {
			return nil, fmt.Errorf("%s: position in split %s: %w", op, split.ID, err)
		}
	}
	r.next = at.Next
	r.pace.Rate = s.limit / float64(max(r.span.Of, 1))
	return r, nil
}

// Position is the next place.
func (r *reader) Position() json.RawMessage {
	p, _ := json.Marshal(position{r.next}) // a struct of a number always marshals
	return p
}

// Close has nothing to release.
func (r *reader) Close() error { return nil }

// searched bounds how many events of other kinds are passed over in one call.
const searched = 1 << 16

// Poll appends what the limit allows at now.
func (r *reader) Poll(b *abi.Builder, most, mostBytes int, now time.Time) (connector.Progress, error) {
	allowed, wake := r.pace.Allowance(now, most)
	g, wanted := r.source.generator, &r.source.rows.wanted
	n, begin := 0, b.Bytes()
	for tried := 0; n < allowed && tried < searched && b.Bytes()-begin < mostBytes && !r.done(); tried++ {
		if g.Make(&r.event, g.Number(r.next), wanted) {
			b.AppendValue(r.writer.append(b.Values(), &r.event), r.event.Time)
			n++
		}
		r.step()
	}
	r.pace.Made(n)
	if n > 0 || r.done() || allowed > 0 {
		return connector.Progress{Done: r.done(), Wake: now}, nil
	}
	return connector.Progress{Wake: wake}, nil
}

func (r *reader) done() bool { return r.span.End > 0 && r.next >= r.span.End }

// step goes on to the next place of the span.
func (r *reader) step() {
	r.next++
	if s := &r.span; s.Block > 0 && (r.next-s.First)%s.Step == s.Block {
		r.next += s.Step - s.Block
	}
}
