// Package api has the nouns of the REST interface under /v1, as JSON, and a Go client for them. It decides nothing; the
// JobManager fills these types in, jobmanager/rest serves them, the command line and scripts read them.
package api

import (
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// JobState is where a job is in its life.
type JobState string

const (
	JobCreated    JobState = "CREATED"    // stored; what it goes on from is being copied, or it waits for slots
	JobDeploying  JobState = "DEPLOYING"  // tasks are starting
	JobRunning    JobState = "RUNNING"    // every task runs or has finished
	JobRestarting JobState = "RESTARTING" // an attempt has failed, the next one waits for its time
	JobFinishing  JobState = "FINISHING"  // the end is decided, output is being committed
	JobFinished   JobState = "FINISHED"
	JobCancelling JobState = "CANCELLING"
	JobCanceled   JobState = "CANCELED"
	JobFailing    JobState = "FAILING"
	JobFailed     JobState = "FAILED"
)

// Terminal says whether the job will never change again.
func (s JobState) Terminal() bool {
	return s == JobFinished || s == JobCanceled || s == JobFailed
}

// Job is one job as people see it.
type Job struct {
	ID          graph.JobID       `json:"id"`
	Name        string            `json:"name"`
	State       JobState          `json:"state"`
	Attempt     graph.Attempt     `json:"attempt"`
	Restarts    int               `json:"restarts"`
	Mode        string            `json:"mode"` // streaming, batch
	Parallelism int               `json:"parallelism"`
	Params      map[string]string `json:"params,omitempty"`
	Module      graph.ModuleID    `json:"module"`
	Directory   string            `json:"directory,omitempty"` // what relative paths of files are relative to
	Request     wire.RequestID    `json:"request,omitempty"`   // by which it was submitted
	Created     time.Time         `json:"created"`
	Running     *time.Time        `json:"running,omitempty"` // when it was RUNNING first
	Ended       *time.Time        `json:"ended,omitempty"`
	Subtasks    Subtasks          `json:"subtasks"`
	Progress    Progress          `json:"progress"`
	Failure     *wire.Failure     `json:"failure,omitempty"` // first cause of the last failed attempt, or why it waits
	Output      []Output          `json:"output,omitempty"`  // of a FINISHED job, a sink and directory each
	Guarantee   Guarantee         `json:"guarantee"`
	Checkpoint  *Checkpoint       `json:"checkpoint,omitempty"`  // the last completed one
	GivenUp     *GivenUp          `json:"givenUp,omitempty"`     // the checkpoint behind it, if that has failed
	Uncommitted string            `json:"uncommitted,omitempty"` // why output of completed checkpoints is not visible yet, if that was tried
	Skipped     []Skipped         `json:"skipped,omitempty"`     // of operators that leave out what they trap on
	Ephemeral   bool              `json:"ephemeral,omitempty"`   // the job and its checkpoints end with the JobManager's process
	Origin      *Origin           `json:"origin,omitempty"`      // what it goes on from, if not from the beginning
	Operators   map[string]int    `json:"operators,omitempty"`   // parallelism of those that were given one of their own since it began, by name
	Changes     []Change          `json:"changes,omitempty"`     // the last rescalings and upgrades, the newest first
	Notes       []string          `json:"notes,omitempty"`       // what about the job as it is defined may not be meant, for people

	UncommittedHint string `json:"uncommittedHint,omitempty"` // what can be done about Uncommitted
}

// Change is a rescaling or upgrade of a job, and what became of it.
type Change struct {
	Kind    ChangeKind    `json:"kind"`
	Time    time.Time     `json:"time"`    // when it was stored
	Changes []string      `json:"changes"` // what is other than before, for people
	Outcome ChangeOutcome `json:"outcome"`
	Reason  string        `json:"reason,omitempty"`  // why the job went back
	Attempt graph.Attempt `json:"attempt,omitempty"` // the last one before it went back
}

// ChangeKind is what a job was asked to change.
type ChangeKind string

const (
	ChangeRescale ChangeKind = "rescale"
	ChangeUpgrade ChangeKind = "upgrade"
)

// ChangeOutcome is how far a change has come.
type ChangeOutcome string

const (
	ChangePending  ChangeOutcome = "pending"  // the job is what it was asked to be, and no checkpoint of it is decided: a failure may take it back
	ChangeDone     ChangeOutcome = "done"     // a checkpoint is decided
	ChangeWentBack ChangeOutcome = "wentBack" // the job is what it was before: a failure took it back, or an upgrade in place was given up before its decision
)

// Skipped says how many records, timers and results an operator has left out since the job began, what restarts have undone
// not among them.
type Skipped struct {
	Operator string `json:"operator"`
	OnTrap   string `json:"onTrap"` // skip, deadLetter
	Count    int64  `json:"count"`
}

// Origin is a savepoint that a job goes on from. The job has a copy of its own, which is made while the job is CREATED: then
// nothing of the savepoint is needed any more.
type Origin struct {
	Path     string `json:"path"`
	Size     int64  `json:"size"`
	Copied   int64  `json:"copied"`             // bytes
	Hindered string `json:"hindered,omitempty"` // why the copy does not go on for now
}

// Subtasks counts tasks of the current attempt.
type Subtasks struct {
	Total    int `json:"total"`
	Running  int `json:"running"`
	Finished int `json:"finished"`
}

// Progress is what has passed through the job's tasks since it began, or the job whose savepoint it goes on from. What a restart
// undoes is not among it, and what it repeats is there once.
type Progress struct {
	InputRead  int64 `json:"inputRead"`            // bytes of input consumed by the sources
	InputTotal int64 `json:"inputTotal,omitempty"` // bytes of bounded input, when the sources know it
	SourceOut  int64 `json:"sourceOut"`            // records the sources have read
	RecordsOut int64 `json:"recordsOut"`           // records all tasks have sent
	SinkIn     int64 `json:"sinkIn"`               // records the sinks have taken
}

// Output says what a sink of a FINISHED job has left in a directory.
type Output struct {
	Operator string `json:"operator"`
	Path     string `json:"path,omitempty"`
	Files    int    `json:"files"`
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`
}

// Modes of a job.
const (
	ModeStreaming = "streaming"
	ModeBatch     = "batch"
	ModeAutomatic = "automatic"
)

// Submit asks for a job to be run.
type Submit struct {
	Module      graph.ModuleID    `json:"module"`
	Name        string            `json:"name,omitempty"` // instead of the manifest's
	Params      map[string]string `json:"params,omitempty"`
	Parallelism *int              `json:"parallelism,omitempty"` // 1 <= n <= 32768; none: 1
	Mode        string            `json:"mode,omitempty"`        // streaming, batch, automatic: batch where all sources end; none: as the JobManager is configured
	Directory   string            `json:"directory,omitempty"`   // absolute: what relative paths of files are relative to
	Request     wire.RequestID    `json:"request,omitempty"`     // the same id again gives the same job

	From              string `json:"from,omitempty"`              // a savepoint to go on from, as the JobManager sees it
	AllowDroppedState bool   `json:"allowDroppedState,omitempty"` // state of it that no operator takes is left behind
	AllowRewind       bool   `json:"allowRewind,omitempty"`       // behind a damaged checkpoint, go on from an older one although output was committed since

	PreAggregate string `json:"preAggregate,omitempty"` // off: no records are folded before they are sent, whatever the operators say
}

// Module is an uploaded module.
type Module struct {
	ID       graph.ModuleID `json:"id"`
	Size     int64          `json:"size"`
	Name     string         `json:"name"`
	SDK      string         `json:"sdk,omitempty"`
	ABI      int            `json:"abi"`
	Params   []abi.Param    `json:"params"`
	Uploaded time.Time      `json:"uploaded"`
}

// Plan is a job's graph before and after it was cut into chains.
type Plan struct {
	Graph     graph.JobGraph       `json:"graph"`
	Execution graph.ExecutionGraph `json:"execution"`
	Tasks     []Task               `json:"tasks"`
	Guarantee Guarantee            `json:"guarantee"`
}

// Task is one subtask of one chain and where it runs.
type Task struct {
	Task        graph.TaskID       `json:"task"`
	Name        string             `json:"name"` // "files -> split -> word"
	State       string             `json:"state"`
	TaskManager wire.TaskManagerID `json:"taskManager,omitempty"`
	Slot        int                `json:"slot"`
	Metrics     wire.TaskMetrics   `json:"metrics"`
}

// TaskManager is one registered TaskManager.
type TaskManager struct {
	ID         wire.TaskManagerID `json:"id"`
	Name       string             `json:"name"`
	PID        int                `json:"pid"`
	Address    string             `json:"address"`
	Slots      int                `json:"slots"`
	FreeSlots  int                `json:"freeSlots"`
	RSS        int64              `json:"rss"`
	Registered time.Time          `json:"registered"`
	Heartbeat  time.Time          `json:"heartbeat"`
}

// Overview is the cluster in a few numbers.
type Overview struct {
	Version      string           `json:"version"`
	Epoch        graph.Epoch      `json:"epoch"`
	TaskManagers int              `json:"taskManagers"`
	Slots        int              `json:"slots"`
	FreeSlots    int              `json:"freeSlots"`
	Jobs         map[JobState]int `json:"jobs"`
}

// Kinds of Error: stable words that scripts may test. The list only grows.
const (
	KindBadRequest       = "bad-request"        // 400: the request cannot be read
	KindInvalid          = "invalid"            // 422: module, graph, parameter or input is wrong; Detail has the path to the fault
	KindForbidden        = "forbidden"          // 403: the request comes from where it may not come from
	KindNotFound         = "not-found"          // 404
	KindMethodNotAllowed = "method-not-allowed" // 405: Allow names the methods that are
	KindConflict         = "conflict"           // 409: for example cancelling a job that has ended
	KindTooLarge         = "too-large"          // 413: over the upload limit
	KindIncomplete       = "incomplete"         // 400: the upload ended early
	KindNoSpace          = "no-space"           // 507: the disk that holds uploads is full
	KindUnavailable      = "unavailable"        // 503: starting, or not the leader
	KindInternal         = "internal"           // 500
)

// Error is what a request that did not succeed answers, as application/problem+json. Every error that the JobManager
// wants a user to see is one.
type Error struct {
	Kind   string `json:"kind"`
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

func (e *Error) Error() string { return e.Detail }

var statusOf = map[string]int{
	KindBadRequest: 400, KindInvalid: 422, KindForbidden: 403, KindNotFound: 404, KindMethodNotAllowed: 405, KindConflict: 409, KindTooLarge: 413,
	KindIncomplete: 400, KindNoSpace: 507, KindUnavailable: 503, KindInternal: 500,
}

// Errorf makes an Error of the given kind.
func Errorf(kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Status: statusOf[kind], Title: kind, Detail: fmt.Sprintf(format, args...)}
}

// maxShown is how much of what a request said a message shows: as much as the longest id that there is.
const maxShown = 64

// Shorten returns what a request said as a message shows it: at most 64 characters of it.
func Shorten(said string) string {
	shown := 0
	for at := range said {
		if shown == maxShown {
			return said[:at] + "…"
		}
		shown++
	}
	return said
}

// WithHint returns e with a hint for the reader.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}
