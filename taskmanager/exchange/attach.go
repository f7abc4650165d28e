package exchange

import (
	"fmt"
	"slices"

	"github.com/wasmill/wasmill/internal/graph"
)

// Attach lets tasks of the attempt have channels here. An attempt older than one that has been attached is refused with
// ErrStale.
func (n *Network) Attach(a Attempt) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return fmt.Errorf("attach attempt %d of job %s: the network is closed", a.Attempt, a.Job)
	}
	if n.attempts[a] != nil {
		return nil
	}
	if newest, ok := n.newest[a.Job]; ok && !a.newer(newest) {
		return fmt.Errorf("attach attempt %d of job %s: %w", a.Attempt, a.Job, ErrStale)
	}
	n.attempts[a] = &attempt{
		gates:   map[gateKey]*Gate{},
		early:   map[channelKey]*queue{},
		senders: map[*Sender]struct{}{},
	}
	n.newest[a.Job] = a
	n.left = slices.DeleteFunc(n.left, func(j graph.JobID) bool { return j == a.Job })
	n.wake(func(k gateKey) bool { return k.Job == a.Job && a.newer(k.Attempt) })
	return nil
}

// Detach ends the attempt's channels here: gates close, senders are aborted unless they have sent END; those deliver what
// they hold, and their connections stay until then. Streams of the attempt that come later are reset as stale.
func (n *Network) Detach(a Attempt) {
	n.mu.Lock()
	gone := n.attempts[a]
	delete(n.attempts, a)
	if gone != nil && !n.attached(a.Job) {
		n.forget(a.Job)
	}
	n.wake(func(k gateKey) bool { return k.Attempt == a })
	n.mu.Unlock()
	if gone != nil {
		gone.end()
		n.links.retire(a)
	}
}

func (n *Network) attached(job graph.JobID) bool {
	for a := range n.attempts {
		if a.Job == job {
			return true
		}
	}
	return false
}

// forget keeps the newest attempt of the last maxForgotten jobs. A stream of a job before those is parked, and reset when
// that has taken too long.
func (n *Network) forget(job graph.JobID) {
	n.left = append(n.left, job)
	if len(n.left) > maxForgotten {
		delete(n.newest, n.left[0])
		n.left = slices.Delete(n.left, 0, 1)
	}
}

// wake lets the parked streams of matching gates look again. n.mu is held.
func (n *Network) wake(match func(gateKey) bool) {
	for k, l := range n.waiting {
		if match(k) {
			close(l.look)
			delete(n.waiting, k)
		}
	}
}

func (a *attempt) end() {
	for _, g := range a.gates {
		g.Close()
	}
	for _, q := range a.early {
		q.stop(ErrStale)
	}
	for s := range a.senders {
		s.Close()
	}
}
