// Package wire has the control messages between JobManager and TaskManagers, and the numbers that both must agree on. It
// holds no sockets: internal/transport carries these as JSON over HTTP/3 between processes, and an embedded cluster
// passes them by direct calls. Every message is idempotent: its receiver drops what carries an older epoch, and answers a
// repeated request id as it did before.
package wire

import (
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
)

// Version is the version of these messages; a TaskManager of another version is refused at registration. Version 2: who has finished
// gives its last part when it is asked for it.
const Version = 2

// TaskManagerID names one TaskManager process; a restarted one has another.
type TaskManagerID string

// RequestID is unique among the requests of one sender.
type RequestID string

// Header goes with every control message.
type Header struct {
	Epoch   graph.Epoch   `json:"epoch"`
	Job     graph.JobID   `json:"job,omitempty"`
	Attempt graph.Attempt `json:"attempt,omitempty"`
	Request RequestID     `json:"request,omitempty"`
}

// Register is the first thing a TaskManager says, again after every loss of the JobManager.
type Register struct {
	Version     int           `json:"version"`
	TaskManager TaskManagerID `json:"taskManager"`
	Name        string        `json:"name"` // for people: "taskmanager-1"
	PID         int           `json:"pid"`
	Address     string        `json:"address"` // host:port (UDP) of its endpoint, control and data
	Slots       int           `json:"slots"`
}

// Registered is the answer.
type Registered struct {
	Epoch     graph.Epoch   `json:"epoch"`
	Heartbeat time.Duration `json:"heartbeat"` // send one at this interval
	Timeout   time.Duration `json:"timeout"`   // without an answer for this long, stop all tasks and register again
	Liveness  string        `json:"liveness"`  // host:port (TCP) to keep one idle connection to; empty in one process
	Session   uint64        `json:"session"`   // number of the registration, which a Deploy must name
}

// Heartbeat carries what a TaskManager's tasks have done since they began, and asks what it may remove.
type Heartbeat struct {
	Epoch       graph.Epoch   `json:"epoch"`
	TaskManager TaskManagerID `json:"taskManager"`
	Tasks       []TaskMetrics `json:"tasks,omitempty"`
	RSS         int64         `json:"rss"`            // resident bytes of the process
	Kept        []graph.JobID `json:"kept,omitempty"` // jobs without a task there, of which it keeps files
}

// Noted is the answer.
type Noted struct {
	Over    []graph.JobID `json:"over,omitempty"` // of those that were kept: no task will ever go on with the files
	Slowest []Slowest     `json:"slowest,omitempty"`
	Dealt   []Dealt       `json:"dealt,omitempty"`
}

// Dealt is a task that holds its watermark for splits that nobody reads yet: there are none left.
type Dealt struct {
	Job     graph.JobID   `json:"job"`
	Attempt graph.Attempt `json:"attempt"`
	Task    graph.TaskID  `json:"task"`
}

// Slowest is how far the slowest source of a group is, of those that are read: others wait for it when they are too far ahead.
type Slowest struct {
	Job       graph.JobID   `json:"job"`
	Attempt   graph.Attempt `json:"attempt"`
	Group     string        `json:"group"`
	Watermark int64         `json:"watermark"`
}

// TaskMetrics is the progress of one task.
type TaskMetrics struct {
	Job        graph.JobID   `json:"job"`
	Attempt    graph.Attempt `json:"attempt"`
	Task       graph.TaskID  `json:"task"`
	RecordsIn  int64         `json:"recordsIn"` // from channels or the source
	RecordsOut int64         `json:"recordsOut"`
	BytesIn    int64         `json:"bytesIn"`
	BytesOut   int64         `json:"bytesOut"`
	InputRead  int64         `json:"inputRead"` // bytes a source has consumed, as the input counts them
	BusyNs     int64         `json:"busyNs"`
	BlockedNs  int64         `json:"blockedNs"` // waiting for an output
	Watermark  int64         `json:"watermark"`
	Fuel       int64         `json:"fuel"` // used by guests

	SinkIn   map[int]int64    `json:"sinkIn,omitempty"`   // records that each sink of the chain has taken, by operator
	Skipped  map[string]int64 `json:"skipped,omitempty"`  // records, timers and results that were left out, by the operator's uid; of those that may
	Requests []Requests       `json:"requests,omitempty"` // of each request operator
	Aligned  *Aligned         `json:"aligned,omitempty"`  // of a source that is of a group; none: nothing is known of how far it is, or it holds nobody up
	Paused   []Paused         `json:"paused,omitempty"`   // splits that wait for slower sources of their group
	Held     bool             `json:"held,omitempty"`     // a source promises nothing before every split of it is read by some subtask
	Idle     []Idle           `json:"idle,omitempty"`     // what holds the task's watermark back no longer, because nothing comes from it
}

// Requests is what a request operator of a task has asked the outside.
type Requests struct {
	Operator string `json:"operator"`
	InFlight int64  `json:"inFlight"` // records that have no result yet
	Made     int64  `json:"made"`     // requests
	Retries  int64  `json:"retries"`  // of those, that were made again
	Timeouts int64  `json:"timeouts"` // records that had no answer in time
}

// Aligned is how far the slowest split of a source's subtask is.
type Aligned struct {
	Group     string `json:"group"`
	Watermark int64  `json:"watermark"`
}

// Paused is a split that is too far ahead of the slowest source of its group.
type Paused struct {
	What    string    `json:"what"` // "split generator-7"
	Group   string    `json:"group"`
	AheadMs int64     `json:"aheadMs"`
	Since   time.Time `json:"since"`
}

// Idle is a split or channel that has nothing for now.
type Idle struct {
	What  string    `json:"what"`  // "split generator-7"
	Since time.Time `json:"since"` // when it was first known to have given all that there was; of a channel, when its sender said so
}

// Deploy starts tasks of one attempt on one TaskManager. The receiver computes the execution graph from the job graph.
type Deploy struct {
	Header
	Graph     graph.JobGraph           `json:"graph"`
	Tasks     []TaskDeploy             `json:"tasks"`              // those to start here
	Session   uint64                   `json:"session"`            // of the registration that the tasks are for; one before it is refused
	Addresses map[TaskManagerID]string `json:"addresses"`          // of every TaskManager of the attempt
	Placement map[string]TaskManagerID `json:"placement"`          // TaskID.String() -> where it runs
	Ran       bool                     `json:"ran,omitempty"`      // all sinks of the graph were open in an attempt before
	Finished  []graph.TaskID           `json:"finished,omitempty"` // tasks that had ended in the checkpoint: nobody runs them, their channels count as ended

	Checkpoints *Checkpoints `json:"checkpoints,omitempty"` // none: the job takes no checkpoints
	Replays     []Replay     `json:"replays,omitempty"`     // of a job in batch mode: outputs of this TaskManager that tasks of this message's attempt take now
}

// Replay has what a task of a job in batch mode has sent to another one over a blocking edge, and that lies with its TaskManager,
// sent to that one.
type Replay struct {
	Edge    int           `json:"edge"`
	From    graph.TaskID  `json:"from"`
	Attempt graph.Attempt `json:"attempt"` // in which it was made
	To      graph.TaskID  `json:"to"`
	At      TaskManagerID `json:"at"`      // where that runs
	Address string        `json:"address"` // of it
}

// Checkpoints says how the tasks of a job take part in checkpoints.
type Checkpoints struct {
	Store        string        `json:"store"`        // URL of the root of the job's checkpoints, for blob.Open
	AlignTimeout time.Duration `json:"alignTimeout"` // a barrier that may overtake does so when it has waited this long for the others
	Restored     checkpoint.ID `json:"restored"`     // that the attempt goes on from, 0: none
}

// TaskDeploy is one task and the slot it runs in.
type TaskDeploy struct {
	Task graph.TaskID `json:"task"`
	Slot int          `json:"slot"`           // index on this TaskManager, 0 <= slot < slots
	Hint string       `json:"hint,omitempty"` // how the join is done that begins the task's chain, where the job leaves that to the host

	Restore *TaskRestore `json:"restore,omitempty"` // none: it begins empty
}

// TaskRestore is what a task goes on with. The references are cut to the key groups that the task owns now; operators are
// found in the files by their uids.
type TaskRestore struct {
	Files     []checkpoint.File     `json:"files,omitempty"`    // the oldest first
	InFlight  []checkpoint.InFlight `json:"inFlight,omitempty"` // batches in flight to the task, to be processed before any other input
	Watermark int64                 `json:"watermark"`          // of a source subtask: what the source had promised
	Promised  map[string]int64      `json:"promised,omitempty"` // what timestamp functions had, by uid
}

// Cancel stops the tasks of an attempt and of all earlier ones. The answer comes at once; each task reports its end.
type Cancel struct {
	Header
}

// Commit makes prepared output visible, on whatever TaskManager it is sent to; the answer comes when that is done.
// With Abort it removes what earlier attempts left behind instead, also for sinks that the job has no more.
type Commit struct {
	Header
	Graph      graph.JobGraph          `json:"graph"`
	Former     []graph.Operator        `json:"former,omitempty"` // those sinks
	Checkpoint uint64                  `json:"checkpoint"`
	Prepared   []connector.Committable `json:"prepared,omitempty"`
	Abort      bool                    `json:"abort,omitempty"`
	Ran        bool                    `json:"ran,omitempty"` // of Abort: as in Deploy
}

// Examined is the answer to a Commit that is only looked at: what of it would be refused, of sinks that know that beforehand.
type Examined struct {
	Obstacles []Obstacle `json:"obstacles,omitempty"`
}

// Obstacle is what keeps one thing that was prepared from being committed.
type Obstacle struct {
	Prepared int     `json:"prepared"` // its place in Commit.Prepared
	Name     string  `json:"name"`     // of what would be visible
	Failure  Failure `json:"failure"`  // KindGone: it lasts
}

// Trigger begins a checkpoint at tasks that nobody brings the barrier: sources, and, if it overtakes, tasks whose senders
// have all finished. They send it to the others. Triggering again, or an older checkpoint than the last, changes nothing.
type Trigger struct {
	Header
	Checkpoint checkpoint.ID  `json:"checkpoint"`
	Base       checkpoint.ID  `json:"base"` // the last completed one, 0: none
	Tasks      []graph.TaskID `json:"tasks"`
	Stop       bool           `json:"stop,omitempty"`  // nothing is processed behind the barrier: the job stops with this checkpoint
	Drain      bool           `json:"drain,omitempty"` // with Stop: the maximum watermark goes before the barrier

	Unaligned   bool   `json:"unaligned,omitempty"`   // the barrier overtakes records from the first
	MayOvertake bool   `json:"mayOvertake,omitempty"` // it overtakes them where it has waited for AlignTimeout
	Exchange    uint32 `json:"exchange,omitempty"`    // the barrier exchanges modules for those prepared under this number; it overtakes nothing
}

// Prepare has the tasks of an attempt on one TaskManager make ready to go on with other modules: what was prepared is used
// behind a barrier that names its number. The answer comes when guests of them are started; with a failure nothing is left of
// it. An older number than the last is refused; preparing for the same one again changes nothing.
type Prepare struct {
	Header
	Exchange uint32         `json:"exchange"` // > 0
	Graph    graph.JobGraph `json:"graph"`    // like that of the attempt, but for modules, parameters and functions
}

// Conclude tells tasks how checkpoints ended, so that they release what they keep for them. It may be lost: the base of a
// later barrier says the same.
type Conclude struct {
	Header
	Completed checkpoint.ID `json:"completed,omitempty"` // decided: output prepared up to it will be committed
	Aborted   checkpoint.ID `json:"aborted,omitempty"`   // given up: what waits for its barrier goes on
	Dropped   uint32        `json:"dropped,omitempty"`   // no barrier will name this exchange: what was prepared for it goes
}

// Acknowledge is a task's part of a checkpoint, or why it has none. It is repeated until answered; the answer is that the
// JobMaster has taken note of it, not that the checkpoint is complete.
type Acknowledge struct {
	Header
	TaskManager TaskManagerID    `json:"taskManager"`
	Checkpoint  checkpoint.ID    `json:"checkpoint"`
	Part        *checkpoint.Task `json:"part,omitempty"`
	Task        graph.TaskID     `json:"task"`
	Declined    *Failure         `json:"declined,omitempty"` // the checkpoint cannot be completed; the task goes on
}

// TaskState is what a TaskManager reports of a task.
type TaskState string

const (
	TaskRunning  TaskState = "RUNNING"
	TaskFinished TaskState = "FINISHED" // its input has ended and its output is prepared
	TaskCanceled TaskState = "CANCELED"
	TaskFailed   TaskState = "FAILED" // of one that had FINISHED in batch mode: its output cannot be replayed
)

// Report tells the JobMaster that a task has changed its state. It is repeated until answered.
type Report struct {
	Header
	TaskManager TaskManagerID           `json:"taskManager"`
	Task        graph.TaskID            `json:"task"`
	State       TaskState               `json:"state"`
	Failure     *Failure                `json:"failure,omitempty"`  // of FAILED
	Prepared    []connector.Committable `json:"prepared,omitempty"` // of FINISHED: what no completed checkpoint has committed
	Holds       bool                    `json:"holds,omitempty"`    // of FINISHED: its last part is given to the checkpoint that asks for it
	Metrics     TaskMetrics             `json:"metrics"`            // final figures of an ended task
}

// NextSplit asks the JobMaster for work for one source subtask. Asking again with the same request id gives the same split.
type NextSplit struct {
	Header
	Task     graph.TaskID `json:"task"`
	Operator int          `json:"operator"` // index in JobGraph.Operators
}

// SplitAssignment is the answer: a split, or none because all have been given out.
type SplitAssignment struct {
	Split   *connector.Split `json:"split,omitempty"`
	Index   uint32           `json:"index"`   // number of the split in the source, the call header's split
	Ordered bool             `json:"ordered"` // splits not yet given out do not hold back the watermark
	Last    bool             `json:"last"`    // no split is left to give out after this one

	Promised map[string]int64 `json:"promised,omitempty"` // of a split that was begun before, see checkpoint.OpenSplit
}

// LogLine is one line that a guest logged, kept by the TaskManager for `wasmill logs`.
type LogLine struct {
	Time     time.Time     `json:"time"`
	Level    string        `json:"level"`
	Operator string        `json:"operator"`
	Subtask  int           `json:"subtask"`
	Attempt  graph.Attempt `json:"attempt"`
	Text     string        `json:"text"`
}

// Kind says what sort of failure it is, and so whether trying again can help. The list only grows.
type Kind int

const (
	KindInternal        Kind = 1  // a fault of ours: retried
	KindGuest           Kind = 2  // the guest failed or trapped on a record, twice: not retried
	KindGuestLimit      Kind = 3  // the guest exceeded time, memory or stack, twice: not retried
	KindInput           Kind = 4  // what the user gave is wrong (graph, path, option): not retried
	KindTaskManagerLost Kind = 5  // retried
	KindChannel         Kind = 6  // a channel broke: retried
	KindIO              Kind = 7  // disk or network of a connector: retried
	KindSlots           Kind = 8  // not enough slots in time: not retried
	KindModule          Kind = 9  // the module cannot be loaded or answers another manifest: not retried
	KindStale           Kind = 10 // an older epoch or attempt was refused: not a failure of the job
	KindCanceled        Kind = 11 // ended because it was asked to
	KindState           Kind = 12 // what a task was to be restored from is damaged or missing: Failure.File names it
	KindGone            Kind = 13 // prepared output is not there any more, or not what was written: its commit is tried again, and succeeds only if somebody puts it back
)

// Retryable says whether running the job again can help.
func (k Kind) Retryable() bool {
	switch k {
	case KindInternal, KindTaskManagerLost, KindChannel, KindIO:
		return true
	}
	return false
}

// Failure is an error that crosses the wire and ends in front of a user.
type Failure struct {
	Kind     Kind   `json:"kind"`
	Message  string `json:"message"` // the step and the thing, then the cause
	Hint     string `json:"hint,omitempty"`
	Operator string `json:"operator,omitempty"`
	Subtask  int    `json:"subtask,omitempty"`
	Record   string `json:"record,omitempty"` // "record 81,220 of split moby.txt[0:8388608]"
	Stack    string `json:"stack,omitempty"`  // the guest's, by function names
	File     string `json:"file,omitempty"`   // of a checkpoint, that is damaged

	Channel *Channel `json:"channel,omitempty"` // that broke
}

// Channel names the tasks at the ends of a channel.
type Channel struct {
	From graph.TaskID `json:"from"`
	To   graph.TaskID `json:"to"`
}

func (f *Failure) Error() string { return f.Message }
