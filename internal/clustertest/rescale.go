package clustertest

import (
	"context"
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

// rescale gives the job another parallelism, while something else happens.
func (x *Cluster) rescale(meanwhile func()) {
	n := 1 + x.random.IntN(2*x.config.Slots)
	if x.give(fmt.Sprint("rescale to ", n), &api.Rescale{Parallelism: &n}, meanwhile) == nil {
		x.trace.Effect("rescale")
	}
}

// leaveChain has an operator that follows others in its chain run in one subtask, while those before it have several, and takes
// that back when a checkpoint has been taken meanwhile. Something else happens in between, and while it comes back.
func (x *Cluster) leaveChain(meanwhile func()) {
	x.awaitRunning(15 * time.Second)
	name, several := x.follower()
	if name == "" {
		return
	}
	to := &api.Rescale{Operators: map[string]int{name: 1}}
	if !several {
		to.Parallelism = new(2)
	}
	if x.give(fmt.Sprintf("rescale, %s to 1", name), to, func() {}) != nil {
		return
	}
	x.awaitRunning(15 * time.Second)
	x.trace.Effect("rescale of an operator")
	x.awaitCheckpoint(x.newest() + 1)
	meanwhile()
	if x.give(fmt.Sprintf("rescale, %s as the job", name), &api.Rescale{Operators: map[string]int{name: 0}}, meanwhile) == nil {
		x.trace.Effect("operator back in its chain")
	}
}

// follower is an operator of the job that some other goes before in its chain, and whether the chain has several subtasks;
// nothing if there is none. Whoever takes records from one subtask keeps their order; who says when they happened has to be
// where they are read, for the splits to count each by itself.
func (x *Cluster) follower() (name string, several bool) {
	if x.jm == nil {
		return "", false
	}
	p, err := x.jm.jm.JobPlan(context.Background(), x.job)
	if err != nil {
		return "", false
	}
	var all []*graph.Operator
	for _, c := range p.Execution.Chains {
		for _, i := range c.Operators[1:] {
			if op := &p.Graph.Operators[i]; op.Kind != abi.OperatorTimestamp {
				all = append(all, op)
			}
		}
	}
	if len(all) == 0 {
		return "", false
	}
	op := all[x.random.IntN(len(all))]
	return op.Name, op.Parallelism > 1
}

// give asks for other parallelisms, while something else happens.
func (x *Cluster) give(what string, to *api.Rescale, meanwhile func()) error {
	x.awaitRunning(15 * time.Second)
	if x.jm == nil {
		return errNoJobManager
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	jm := x.jm.jm
	go func() {
		_, err := jm.RescaleJob(ctx, x.job, to)
		done <- err
	}()
	x.Sleep(x.someTime(2 * time.Second))
	meanwhile()
	err := <-done
	x.trace.Add("%s: %v", what, err)
	return err
}
