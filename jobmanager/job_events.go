package jobmanager

import (
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/schedule"
)

// event is a fact that jobFSM.step is told.
type event interface{ event() }

type (
	evStart   struct{}                        // the job is new, or this JobManager has just started
	evFailed  struct{ failure *wire.Failure } // instead of evStart: the job cannot be run (its input is gone)
	evCopied  struct{ first decided }         // actAdopt has ended well
	evAdopted struct{}                        // actStoreAdopted is stored
	evSlots   struct {                        // as many as were requested
		slots    []schedule.Slot
		finished map[graph.TaskID]*checkpoint.Task // tasks of what is restored that need not run

		processes map[wire.TaskManagerID]int // of a job in batch mode: all that are registered
	}
	evUnrestorable struct{ failure *wire.Failure }      // instead of evCopied or evSlots: no attempt can begin
	evCheckpoints  struct{ failure *wire.Failure }      // a checkpoint has failed that had to succeed
	evRedeploy     struct{ exec *graph.ExecutionGraph } // the job has another graph, which is stored
	evTrying       struct{}                             // tasks go on with modules that nothing is decided for
	evExchanged    struct{}                             // the job has these modules, which is stored
	evStopped      struct{}                             // the checkpoint that the job ends with is stored
	evTimer        struct{ number, freeSlots int }      // the timer of that number has run out
	evCancel       struct{}                             // the user wants no more of it
	evAllowRewind  struct{ allow bool }                 // the user allows that output is repeated, or no longer
	evDeployed     struct {                             // a TaskManager has answered actDeploy
		attempt graph.Attempt
		tm      wire.TaskManagerID
		failure *wire.Failure // nil: accepted
		refused bool          // with a failure: it is certain that no task was started
	}
	evTask struct { // a task has changed its state
		attempt  graph.Attempt
		tm       wire.TaskManagerID
		task     graph.TaskID
		state    wire.TaskState
		failure  *wire.Failure
		prepared []connector.Committable
		holds    bool // of one that has finished: checkpoints can ask it for its last part
	}
	evLost struct { // a TaskManager and all that ran on it is gone
		tm           wire.TaskManagerID
		name, reason string // for people
	}
	evDecided   struct{ checkpoint uint64 }     // actDecide is stored
	evCommitted struct{ failure *wire.Failure } // actCommit has ended
	evLeftOut   struct{}                        // output that could not be committed is not to be any more
	evCleaned   struct {                        // actClean has ended
		before graph.Attempt
		done   bool // and nothing is left
	}
	evEnded       struct{}                        // actEnd is stored
	evStoreFailed struct{ failure *wire.Failure } // a storing action could not; those after it were not carried out
)

func (evStart) event()        {}
func (evFailed) event()       {}
func (evCopied) event()       {}
func (evAdopted) event()      {}
func (evSlots) event()        {}
func (evUnrestorable) event() {}
func (evCheckpoints) event()  {}
func (evRedeploy) event()     {}
func (evTrying) event()       {}
func (evExchanged) event()    {}
func (evStopped) event()      {}
func (evTimer) event()        {}
func (evCancel) event()       {}
func (evAllowRewind) event()  {}
func (evDeployed) event()     {}
func (evTask) event()         {}
func (evLost) event()         {}
func (evDecided) event()      {}
func (evCommitted) event()    {}
func (evLeftOut) event()      {}
func (evCleaned) event()      {}
func (evEnded) event()        {}
func (evStoreFailed) event()  {}

// action is an effect that jobFSM.step asks for. Storing ones are carried out before the next one begins.
type action interface{ action() }

type (
	actAdopt        struct{}                          // copy the savepoint that the job goes on from: evCopied, evUnrestorable
	actStoreAdopted struct{ first decided }           // that the copy is the job's first checkpoint: evAdopted, evStoreFailed
	actRequestSlots struct{ wanted, least int }       // least: fewer, but so many, are enough when there are not more in the cluster; 0: none less
	actKeepApart    struct{ a, b wire.TaskManagerID } // a channel between them broke: the next slots are rather not on both
	actReleaseSlots struct{}                          // those it has, or the request that still waits
	actTimer        struct {                          // replaces the timer before it
		number int
		after  time.Duration
	}
	actStoreAttempt struct{ forget []graph.TaskID }            // and forget these results; answered by evStoreFailed, or nothing
	actStoreResult  struct{ task graph.TaskID }                // of a task in batch mode that has finished; never answered: without it the task may run again
	actStoreCancel  struct{}                                   // never answered: the end is stored in any case
	actRevert       struct{}                                   // store that the job has the graph before again; never answered
	actExplain      struct{ had string }                       // store why the job went back, a better cause was told than it had; never answered
	actDecide       struct{ prepared []connector.Committable } // take a checkpoint id, store the decision: evDecided, evStoreFailed
	actDeploy       struct {                                   // evDeployed
		tm      wire.TaskManagerID
		tasks   []wire.TaskDeploy
		replays []wire.Replay // in batch mode
	}
	actCancelTasks struct{ tm wire.TaskManagerID } // of this attempt and all before
	actCommit      struct{}                        // through any TaskManager, another one at each time: evCommitted
	actClean       struct{ before graph.Attempt }  // remove what attempts before that one have left: evCleaned
	actEnd         struct{ owed graph.Attempt }    // store the outcome, and what is owed (see jobRecord): evEnded, evStoreFailed
)

func (actAdopt) action()        {}
func (actStoreAdopted) action() {}
func (actRequestSlots) action() {}
func (actKeepApart) action()    {}
func (actReleaseSlots) action() {}
func (actTimer) action()        {}
func (actStoreAttempt) action() {}
func (actStoreResult) action()  {}
func (actStoreCancel) action()  {}
func (actRevert) action()       {}
func (actExplain) action()      {}
func (actDecide) action()       {}
func (actDeploy) action()       {}
func (actCancelTasks) action()  {}
func (actCommit) action()       {}
func (actClean) action()        {}
func (actEnd) action()          {}
