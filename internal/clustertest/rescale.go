package clustertest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
)

// rescale gives the job another parallelism, while something else happens.
func (x *Cluster) rescale(meanwhile func()) {
	n := 1 + x.random.IntN(2*x.config.Slots)
	if x.give(fmt.Sprint("rescale to ", n), &api.Rescale{Parallelism: &n}, meanwhile) == nil {
		x.trace.Effect("rescale")
	}
}

// leaveChain has the end of a chain run in one subtask, while the operators before it have several, and takes that back when a
// checkpoint has been taken meanwhile. Something else happens in between, and while it comes back.
func (x *Cluster) leaveChain(meanwhile func()) {
	x.awaitRunning(15 * time.Second)
	names, several := x.followers()
	if len(names) == 0 {
		return
	}
	out, back := map[string]int{}, map[string]int{}
	for _, name := range names {
		out[name], back[name] = 1, 0
	}
	to := &api.Rescale{Operators: out}
	if !several {
		to.Parallelism = new(2)
	}
	if x.give(fmt.Sprintf("rescale, %s to 1", strings.Join(names, " and ")), to, func() {}) != nil {
		return
	}
	x.awaitRunning(15 * time.Second)
	x.trace.Effect("rescale of an operator")
	x.awaitCheckpoint(x.newest() + 1)
	meanwhile()
	for range 3 { // what happens meanwhile may have been in its way; several subtasks before the one would mix what each has put in order
		if x.give(fmt.Sprintf("rescale, %s as the job", strings.Join(names, " and ")), &api.Rescale{Operators: back}, meanwhile) == nil {
			x.trace.Effect("operator back in its chain")
			return
		}
		meanwhile = func() {}
	}
}

// followers are an operator of the job that some other goes before in its chain, with those behind it, and whether the chain has
// several subtasks; nothing if there is none. Whoever takes records from one subtask keeps their order, and loses it by dealing
// them out to several, so all that is behind it goes with it; who says when records happened has to be where they are read, for
// the splits to count each by itself.
func (x *Cluster) followers() (names []string, several bool) {
	if x.jm == nil {
		return nil, false
	}
	p, err := x.jm.jm.JobPlan(context.Background(), x.job)
	if err != nil {
		return nil, false
	}
	type end struct {
		names   []string
		several bool
	}
	var all []end
	for _, c := range p.Execution.Chains {
		var names []string
		for at := len(c.Operators) - 1; at > 0; at-- {
			op := &p.Graph.Operators[c.Operators[at]]
			if op.Kind == abi.OperatorTimestamp {
				break
			}
			names = append([]string{op.Name}, names...)
			all = append(all, end{names, c.Parallelism > 1})
		}
	}
	if len(all) == 0 {
		return nil, false
	}
	chosen := all[x.random.IntN(len(all))]
	return chosen.names, chosen.several
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
