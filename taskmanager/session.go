package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/wire"
)

// Run registers with the JobManager and serves it until ctx ends; then it ends all tasks and returns nil. When the
// JobManager is lost, or there is a newer one, all tasks end and it registers again. It returns an error only when the
// JobManager refuses this TaskManager for good. It is called once.
func (tm *TaskManager) Run(ctx context.Context, jm JobManager) error {
	tm.mu.Lock()
	tm.jm = jm
	tm.mu.Unlock()
	tm.removeSpills()
	ctx, end := context.WithCancel(ctx)
	var reports sync.WaitGroup
	reports.Go(func() { tm.runReports(ctx) })
	defer reports.Wait()
	defer end() // also when it returns an error
	defer tm.close()
	for {
		registered, err := tm.register(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		err = tm.runSession(ctx, registered)
		if ctx.Err() != nil {
			return nil
		}
		tm.config.Log.Warn("lost the JobManager; all tasks end", "epoch", registered.Epoch, "cause", err)
		tm.mu.Lock()
		tm.session = noSession // what is deployed from now on comes too late
		tm.mu.Unlock()
		tm.stop()
	}
}

// close ends all tasks and waits for what they have begun.
func (tm *TaskManager) close() {
	tm.mu.Lock()
	tm.closed = true
	tm.mu.Unlock()
	tm.stop()
	tm.loads.Wait()
}

func (tm *TaskManager) register(ctx context.Context) (*wire.Registered, error) {
	r := &wire.Register{
		Version: wire.Version, TaskManager: tm.config.ID, Name: tm.config.Name, PID: os.Getpid(),
		Address: tm.config.Address, Slots: tm.config.Slots,
	}
	var registered *wire.Registered
	err := insist(ctx, func() (err error) {
		defer tm.asking()()
		if registered, err = tm.jm.Register(ctx, r); err == nil {
			err = tm.adopt(registered.Epoch)
			tm.mu.Lock()
			tm.session = registered.Session
			tm.mu.Unlock()
		}
		if isStale(err) { // an old JobManager: the new one is to come
			return fmt.Errorf("%v", err)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	tm.config.Log.Info("registered", "epoch", registered.Epoch, "slots", tm.config.Slots)
	return registered, nil
}

// asking says that a registration is asked for, until what it returns is called.
func (tm *TaskManager) asking() (answered func()) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	c := make(chan struct{})
	tm.answered = c
	return func() {
		tm.mu.Lock()
		defer tm.mu.Unlock()
		tm.answered = nil
		close(c)
	}
}

// awaitSession waits for the answer to the registration that is asked for, if what the JobManager sends is not of the one that
// holds: it may deploy tasks before its answer is here. tm.mu is held, and free meanwhile.
func (tm *TaskManager) awaitSession(ctx context.Context, session uint64) {
	for tm.answered != nil && session != tm.session {
		c := tm.answered
		tm.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
		}
		tm.mu.Lock()
		if ctx.Err() != nil {
			return
		}
	}
}

// heartbeatTries is how many heartbeats in a row must go unanswered: one lost answer does not end every task.
const heartbeatTries = 3

// runSession sends heartbeats until the JobManager is lost; the error says how.
func (tm *TaskManager) runSession(ctx context.Context, r *wire.Registered) error {
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	if r.Liveness != "" && tm.config.LivenessTLS != nil {
		var liveness sync.WaitGroup
		liveness.Go(func() { lose(tm.watch(ctx, r.Liveness)) })
		defer liveness.Wait()
		defer lose(nil)
	}
	removal := tm.newRemoval()
	defer removal.wg.Wait()
	defer lose(nil)
	tick := time.NewTicker(r.Heartbeat)
	defer tick.Stop()
	answered := time.Now()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		try, cancel := context.WithTimeout(ctx, max(r.Timeout/heartbeatTries, time.Millisecond))
		noted, err := tm.jm.Heartbeat(try, tm.heartbeat(r))
		cancel()
		switch {
		case err == nil:
			answered = time.Now()
			removal.begin(ctx, noted.Over)
			tm.slow(noted.Slowest)
			tm.dealt(noted.Dealt)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isStale(err):
			return err
		case time.Since(answered) >= r.Timeout:
			return fmt.Errorf("no answer for %s: %w", r.Timeout, err)
		}
		if e := tm.currentEpoch(); e != r.Epoch {
			return fmt.Errorf("epoch %d has begun", e)
		}
	}
}

func (tm *TaskManager) heartbeat(r *wire.Registered) *wire.Heartbeat {
	h := &wire.Heartbeat{Epoch: r.Epoch, TaskManager: tm.config.ID, RSS: residentBytes(), Kept: tm.kept()}
	for _, t := range tm.tasks() {
		h.Tasks = append(h.Tasks, t.figures())
	}
	return h
}

// tasks are those of the attempts that run.
func (tm *TaskManager) tasks() []*task {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	var all []*task
	for a := range tm.live {
		for _, t := range a.tasks {
			all = append(all, t)
		}
	}
	return all
}

// residentBytes is this process's memory, 0 where the system does not tell.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// noSession is the number of no registration.
const noSession = ^uint64(0)

var errJobManagerGone = errors.New("its liveness connection ended")
