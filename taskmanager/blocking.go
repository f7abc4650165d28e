package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager/exchange"
)

// In batch mode what a task sends lies in files of its TaskManager until the job is over: outputs, one an edge. When a task that
// takes some of it is deployed, each TaskManager is told which of its outputs to send there.

// outputPrefix begins the names of outputs in the directory of a job.
const outputPrefix = "output-"

// outputPath is where what a task has sent over an edge lies, whichever JobManager has had it do so: an attempt's number is given once.
func (a *attempt) outputPath(made graph.Attempt, from graph.TaskID, edge int) string {
	return filepath.Join(a.dir(), fmt.Sprintf("%s%d-%s-%d", outputPrefix, made, from, edge))
}

func (t *task) blockingEdge(index, receivers int, cols abi.Columns, m *taskMetrics) (*edge, error) {
	a := t.attempt
	e := a.exec.Edges[index]
	out, err := exchange.CreateOutput(a.outputPath(a.key.Attempt, t.id, index), receivers, a.space().Check)
	if err != nil {
		return nil, outputFailure(err)
	}
	made := newEdgeTo(a.tm.config.Network, e.Partition, t.id.Subtask, receivers, cols, a.graph.MaxParallelism, m)
	made.output = out
	t.edges = append(t.edges, made)
	return made, nil
}

// outputFailure is the failure of a task whose output cannot be written.
func outputFailure(err error) error {
	if err == nil {
		return nil
	}
	f := failureOf(err)
	if f.Kind == wire.KindInternal {
		f = refuse(wire.KindIO, "write output: %v", err)
	}
	return f
}

// replay sends what a task has recorded for another one to that. When the record cannot be read that task has to run again; when the
// channel breaks the attempt is over: its receiver may never have heard of it.
func (a *attempt) replay(r wire.Replay) {
	addr := r.Address
	if r.At == a.tm.config.ID {
		addr = ""
	}
	p := player{wake: make(chan struct{}, 1), done: a.ctx.Done()}
	p.sender = a.tm.config.Network.Sender(a.key, r.Edge, r.From, r.To, addr, p.wake)
	defer p.sender.Close()
	e := a.exec.Edges[r.Edge]
	first, _ := e.Partition.Receivers(r.From.Subtask, a.exec.Chains[e.From].Parallelism, a.exec.Chains[e.To].Parallelism)
	err := p.play(a.outputPath(r.Attempt, r.From, r.Edge), r.To.Subtask-first)
	if err == nil || a.ctx.Err() != nil {
		return
	}
	a.tm.config.Log.Error("replay failed", "job", string(a.key.Job), "attempt", a.key.Attempt, "error", err)
	report := &wire.Report{Header: a.header(), TaskManager: a.tm.config.ID, Task: r.From, State: wire.TaskFailed}
	if broken := p.sender.Err(); broken != nil {
		report.Failure = failureOf(channelFailure(broken))
	} else {
		report.Failure = refuse(wire.KindIO, "replay the output of task %s to task %s: %v", r.From, r.To, err)
	}
	report.Request = a.request("replay", r.From, r.To.Subtask)
	a.tm.reporter.add(report)
	<-a.ctx.Done() // as of a task that has failed: its channel stays open until the attempt is over
}

// player sends one recorded channel.
type player struct {
	sender *exchange.Sender
	wake   chan struct{}
	done   <-chan struct{}
}

// play answers why the file cannot be read, or how the channel broke.
func (p *player) play(path string, receiver int) error {
	recorded, err := exchange.OpenRecorded(path, receiver)
	if err != nil {
		return err
	}
	defer recorded.Close()
	for {
		b, err := recorded.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		p.sender.Send(b)
		if err := p.wait(func() bool { return !p.sender.Full() }); err != nil {
			return err
		}
	}
	p.sender.Watermark(abi.MaxTime, false)
	p.sender.End()
	return p.wait(p.sender.Delivered)
}

// wait answers how the channel broke, or that the attempt is over.
func (p *player) wait(until func() bool) error {
	for !until() {
		if err := p.sender.Err(); err != nil {
			return err
		}
		select {
		case <-p.wake:
		case <-p.done:
			return context.Canceled
		}
	}
	return p.sender.Err()
}
