package jobmanager

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// resourceManager knows which TaskManagers live and which job holds which slot. A slot belongs to one job at a time and
// holds one subtask of each of its chains. Its methods never wait: a job that asks for slots is told on a channel.
type resourceManager struct {
	mu       sync.Mutex
	tms      map[wire.TaskManagerID]*taskManager // guarded by mu
	requests []*slotRequest                      // guarded by mu; those not granted, oldest first
	apart    []brokenPair                        // guarded by mu; the newest last
	now      func() time.Time
	opened   chan struct{} // closed when one more is open; guarded by mu
}

// brokenPair is two TaskManagers between which a channel broke.
type brokenPair struct {
	schedule.Pair
	until time.Time // it is avoided
}

// How long two TaskManagers between which a channel broke are kept apart where other slots are free, and how many pairs are
// remembered. A partition that lasts longer costs a restart each time that the job is restarted for another reason.
const (
	keptApart  = 5 * time.Minute
	brokenKept = 8
)

// taskManager is one registered TaskManager. Its fields below ctx are guarded by resourceManager.mu.
type taskManager struct {
	info    wire.Register
	session uint64 // number of the registration
	client  TaskManager
	ctx     context.Context // ended when it is lost: whoever calls it stops waiting
	end     context.CancelFunc

	open       bool          // its slots are given out; not before its end would be noticed
	slots      []graph.JobID // the job that holds each slot, or none
	registered time.Time
	heartbeat  time.Time // the last one
	rss        int64
}

// slotRequest is a job's wish for slots.
type slotRequest struct {
	job     graph.JobID
	wanted  int
	least   int                  // so many are enough where the cluster has not more; 0: all that are wanted
	granted chan []schedule.Slot // of capacity 1: told at most once
}

func newResourceManager(now func() time.Time) *resourceManager {
	return &resourceManager{tms: map[wire.TaskManagerID]*taskManager{}, now: now, opened: make(chan struct{})}
}

// keepApart has jobs not placed on both of two TaskManagers for a while, if there are other slots.
func (r *resourceManager) keepApart(a, b wire.TaskManagerID) {
	if b < a {
		a, b = b, a
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := schedule.Pair{A: a, B: b}
	r.apart = slices.DeleteFunc(r.apart, func(q brokenPair) bool { return q.Pair == p })
	r.apart = append(r.apart, brokenPair{p, r.now().Add(keptApart)})
	if len(r.apart) > brokenKept {
		r.apart = r.apart[1:]
	}
}

// pairs are those to be kept apart now. The caller holds mu.
func (r *resourceManager) pairs() (all []schedule.Pair) {
	now := r.now()
	r.apart = slices.DeleteFunc(r.apart, func(q brokenPair) bool { return !now.Before(q.until) })
	for _, q := range r.apart {
		all = append(all, q.Pair)
	}
	return all
}

// add takes a TaskManager in; its slots count once it is opened. The TaskManager's context ends with ctx.
func (r *resourceManager) add(ctx context.Context, info wire.Register, session uint64, client TaskManager, now time.Time) {
	tm := &taskManager{info: info, session: session, client: client, slots: make([]graph.JobID, info.Slots), registered: now, heartbeat: now}
	tm.ctx, tm.end = context.WithCancel(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tms[info.TaskManager] = tm
}

// open gives out the slots of a TaskManager from now on: to those who wait first.
func (r *resourceManager) open(id wire.TaskManagerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if tm := r.tms[id]; tm != nil && !tm.open {
		tm.open = true
		close(r.opened)
		r.opened = make(chan struct{})
		r.grant()
	}
}

// remove forgets a TaskManager, ends the calls to it, and answers what it was called and which jobs held its slots.
func (r *resourceManager) remove(id wire.TaskManagerID) (name string, jobs []graph.JobID, known bool) {
	r.mu.Lock()
	tm := r.tms[id]
	delete(r.tms, id)
	r.mu.Unlock()
	if tm == nil {
		return "", nil, false
	}
	tm.end()
	if c, ok := tm.client.(io.Closer); ok {
		c.Close() // it is gone: there is nobody to say goodbye to
	}
	held := map[graph.JobID]bool{}
	for _, job := range tm.slots { // nobody changes them any more
		held[job] = true
	}
	delete(held, "")
	return tm.info.Name, slices.Sorted(maps.Keys(held)), true
}

// beat notes that a TaskManager lives; false: it is not registered.
func (r *resourceManager) beat(id wire.TaskManagerID, rss int64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	tm := r.tms[id]
	if tm == nil {
		return false
	}
	tm.heartbeat, tm.rss = now, rss
	return true
}

// silent lists those whose last heartbeat is older than limit.
func (r *resourceManager) silent(now time.Time, limit time.Duration) []wire.TaskManagerID {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []wire.TaskManagerID
	for id, tm := range r.tms {
		if now.Sub(tm.heartbeat) >= limit {
			ids = append(ids, id)
		}
	}
	return ids
}

// excuse starts the wait for heartbeats anew, after a time in which none could have been taken.
func (r *resourceManager) excuse(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tm := range r.tms {
		tm.heartbeat = now
	}
}

// request asks for slots; they are granted together, as soon as there are enough. A smaller wish may be served before an
// older, larger one: nobody waits forever, and a job that fits runs.
func (r *resourceManager) request(job graph.JobID, wanted, least int) *slotRequest {
	q := &slotRequest{job: job, wanted: wanted, least: least, granted: make(chan []schedule.Slot, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, q)
	r.grant()
	return q
}

// release gives back the slots of a job, and withdraws its request if it still waits.
func (r *resourceManager) release(job graph.JobID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = slices.DeleteFunc(r.requests, func(q *slotRequest) bool { return q.job == job })
	for _, tm := range r.tms {
		for i, holder := range tm.slots {
			if holder == job {
				tm.slots[i] = ""
			}
		}
	}
	r.grant()
}

// grant serves every request that can be served. The caller holds mu.
func (r *resourceManager) grant() {
	r.requests = slices.DeleteFunc(r.requests, func(q *slotRequest) bool {
		slots := schedule.Place(r.view(), r.enough(q), r.pairs())
		if slots == nil {
			return false
		}
		for _, s := range slots {
			r.tms[s.TaskManager].slots[s.Index] = q.job
		}
		q.granted <- slots
		return true
	})
}

// enough is how many slots a request is served with. The caller holds mu.
func (r *resourceManager) enough(q *slotRequest) int {
	all, free := 0, 0
	for _, tm := range r.view() {
		all, free = all+tm.Slots, free+len(tm.Free)
	}
	if q.least == 0 || all >= q.wanted {
		return q.wanted
	}
	return max(q.least, min(free, q.wanted))
}

// view is what schedule decides on. The caller holds mu.
func (r *resourceManager) view() []schedule.TaskManager {
	view := make([]schedule.TaskManager, 0, len(r.tms))
	for _, id := range slices.Sorted(maps.Keys(r.tms)) {
		if !r.tms[id].open {
			continue
		}
		tm := schedule.TaskManager{ID: id, Slots: len(r.tms[id].slots)}
		for i, holder := range r.tms[id].slots {
			if holder == "" {
				tm.Free = append(tm.Free, i)
			}
		}
		view = append(view, tm)
	}
	return view
}

// count answers how many TaskManagers, slots and free slots there are.
func (r *resourceManager) count() (tms, slots, free int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	view := r.view()
	for _, tm := range view {
		slots += tm.Slots
		free += len(tm.Free)
	}
	return len(view), slots, free
}

// find returns a TaskManager, or nil.
func (r *resourceManager) find(id wire.TaskManagerID) *taskManager {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tms[id]
}

// holding returns a TaskManager that has slots of the job, or nil. One that has registered anew has none of those that it
// had before.
func (r *resourceManager) holding(id wire.TaskManagerID, job graph.JobID) *taskManager {
	r.mu.Lock()
	defer r.mu.Unlock()
	if tm := r.tms[id]; tm != nil && slices.Contains(tm.slots, job) {
		return tm
	}
	return nil
}

// processes are those that are registered, by their ids: one that is started again may have the id of the one before.
func (r *resourceManager) processes() map[wire.TaskManagerID]int {
	all := map[wire.TaskManagerID]int{}
	for _, tm := range r.live() {
		all[tm.info.TaskManager] = tm.info.PID
	}
	return all
}

// gather waits until these TaskManagers are there, and their slots, but no longer than that.
func (r *resourceManager) gather(ctx context.Context, ids map[wire.TaskManagerID]bool, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		r.mu.Lock()
		missing := false
		for id := range ids {
			missing = missing || r.tms[id] == nil || !r.tms[id].open
		}
		opened := r.opened
		r.mu.Unlock()
		if !missing {
			return
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return
		}
	}
}

// live lists the TaskManagers by id.
func (r *resourceManager) live() []*taskManager {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.tms), func(a, b *taskManager) int {
		return cmp.Compare(a.info.TaskManager, b.info.TaskManager)
	})
}

// list describes the TaskManagers, by name.
func (r *resourceManager) list() []api.TaskManager {
	all := r.live()
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]api.TaskManager, 0, len(all))
	for _, tm := range all {
		if !tm.open {
			continue
		}
		free := 0
		for _, holder := range tm.slots {
			if holder == "" {
				free++
			}
		}
		out = append(out, api.TaskManager{
			ID: tm.info.TaskManager, Name: tm.info.Name, PID: tm.info.PID, Address: tm.info.Address, Slots: len(tm.slots),
			FreeSlots: free, RSS: tm.rss, Registered: tm.registered, Heartbeat: tm.heartbeat,
		})
	}
	slices.SortStableFunc(out, func(a, b api.TaskManager) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
