package taskmanager

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/operator"
)

// poison is what becomes of records, timers and results that an operator's function traps on, and of input that is no
// record, when that does not fail the job: they are left out, counted and logged, and told of in a dead letter if somebody takes those. The letter leaves with
// the output of the batch, so it counts once, like every record.
type poison struct {
	operator string
	warn     func(operator, text string)
	logged   int
	count    *atomic.Int64

	letters *abi.Builder // nil: nobody takes them
	row     abi.RowWriter
	scratch []byte
	out     outlet
	batch   batch
}

// maxCauseBytes is how much of a cause is told. A letter's key and bytes are cut so that it is no larger than a record may be.
const maxCauseBytes = 4 << 10

// maxPoisonLogged is how many of an attempt's poisons are logged in a task: the rest is counted.
const maxPoisonLogged = 100

// newPoison makes the policy of operator i, nil when what it traps on, or cannot read, fails the job.
func (c *chain) newPoison(i int, parts chainParts) *poison {
	op := &c.plan.graph.Operators[i]
	if !op.LeavesOut() {
		return nil
	}
	p := &poison{operator: op.Name, warn: parts.warn, count: c.metrics.skipped[op.UID]}
	if dead := op.DeadSide(); dead > 0 {
		if steps, edges := c.plan.takers(source{i, dead}); len(steps)+len(edges) > 0 {
			p.letters = abi.NewBuilder(c.plan.wanted(source{i, dead}))
			p.batch.split, p.batch.from = abi.None, fmt.Sprintf("the dead letters of %q", op.Name)
			schema, err := abi.ParseSchema(graph.LetterCodec)
			if err != nil {
				panic(err) // it is a constant
			}
			p.row.Reset(schema)
		}
	}
	return p
}

// wirePoison connects the dead letters of step s.
func (c *chain) wirePoison(s int, edges map[int]*edge) {
	i := c.plan.steps[s].operators[0]
	for _, g := range c.guests {
		for _, h := range g.handles {
			if h.poison != nil && h.poison.letters != nil && h.poison.operator == c.plan.graph.Operators[i].Name {
				h.poison.out = c.outlet(source{i, c.plan.graph.Operators[i].DeadSide()}, edges)
			}
		}
	}
}

// take leaves a unit out.
func (p *poison) take(u *poisoned, why *wire.Failure) error {
	p.count.Add(1)
	cause := strings.ToValidUTF8(why.Message[:min(len(why.Message), maxCauseBytes)], "\uFFFD")
	switch p.logged++; {
	case p.logged < maxPoisonLogged:
		p.warn(p.operator, "left out: "+cause)
	case p.logged == maxPoisonLogged:
		p.warn(p.operator, fmt.Sprintf("left out: %s (more are only counted)", cause))
	}
	if u.skip != nil {
		if err := u.skip(); err != nil {
			return err
		}
	}
	if p.letters == nil {
		return nil
	}
	const half = (abi.MaxRecordBytes - 4*maxCauseBytes) / 2
	p.row.SetBytes(0, []byte(u.kind))
	if u.key != nil {
		p.row.SetBytes(1, u.key[:min(len(u.key), half)])
	} else {
		p.row.SetNull(1)
	}
	p.row.SetBytes(2, []byte(cause))
	p.row.SetBytes(3, u.data[:min(len(u.data), 2*half-min(len(u.key), half))])
	p.scratch = p.row.AppendTo(p.scratch[:0])
	p.letters.Reset()
	p.letters.Append(abi.Record{Timestamp: u.time, Value: p.scratch})
	p.letters.View(&p.batch.Batch)
	p.batch.builder = p.letters
	return p.out.emit(&p.batch)
}

// leaveOut leaves input of a source out that is no record.
func (p *poison) leaveOut(bad *connector.BadRecord) error {
	return p.take(&poisoned{kind: "input", data: bad.Bytes, time: abi.NoTimestamp}, &wire.Failure{Message: bad.Where + ": " + bad.Err.Error()})
}

// recordUnit is a record of a batch as a unit.
func recordUnit(b *batch, u *operator.Unit) poisoned {
	time := abi.NoTimestamp
	if b.Timestamps != nil {
		time = b.Timestamps[u.Row]
	}
	return poisoned{kind: "record", name: fmt.Sprintf("record %s of %s", grouped(b.first+int64(u.Row)), b.from), data: u.Data, key: u.Key, time: time, skip: u.Skip}
}
