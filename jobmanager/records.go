package jobmanager

import (
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// What the JobManager keeps in its metadata, as JSON under these keys:
//
//	module/ID          moduleRecord
//	job/ID             jobRecord
//	request/REQUEST    the id of the job that this submission became
//	splits/ID          what the job's sources read, by uid: connector.Splits
//	result/ID/TASK     what a task in batch mode has left, until the job has ended: result
//	counter checkpoint/ID   the job's checkpoint ids
const (
	moduleKey     = "module/"
	jobKey        = "job/"
	requestKey    = "request/"
	splitsKey     = "splits/"
	resultKey     = "result/"
	checkpointKey = "checkpoint/"
)

// recordVersion is the version of both records. Version 1: the first.
const recordVersion = 1

// moduleRecord is an uploaded module; its bytes and the metered ones are blobs.
type moduleRecord struct {
	Version int            `json:"version"`
	Module  api.Module     `json:"module"`
	Metered graph.ModuleID `json:"metered"`
}

// jobRecord is what another JobManager needs in order to go on with a job, and what is shown of one that has ended.
type jobRecord struct {
	Version    int            `json:"version"`
	ID         graph.JobID    `json:"id"`
	Request    wire.RequestID `json:"request,omitempty"`
	Submission string         `json:"submission,omitempty"` // digest of what Request has asked for
	Graph      graph.JobGraph `json:"graph"`
	Created    time.Time      `json:"created"`
	Directory  string         `json:"directory,omitempty"` // what relative paths of files are relative to

	Generation  uint64          `json:"generation,omitempty"`  // every change of the graph or the parallelisms raises it: what was worked out from another one is refused
	Previous    *graph.JobGraph `json:"previous,omitempty"`    // the graph before, until a checkpoint of this one is decided
	Former      []formerSink    `json:"former,omitempty"`      // sinks of graphs before, which may have left pending output
	Parallelism map[string]int  `json:"parallelism,omitempty"` // of operators that were rescaled, by name

	PreviousParallelism map[string]int `json:"previousParallelism,omitempty"` // what it was in the graph before

	Changes []api.Change      `json:"changes,omitempty"` // the last rescalings and upgrades, the newest first
	Trial   *api.Change       `json:"trial,omitempty"`   // an upgrade in place behind them: until its decision, or until it is given up
	Change  *api.Change       `json:"change,omitempty"`  // what versions before Changes had of them
	Counts  checkpoint.Counts `json:"counts,omitzero"`   // what had passed through the tasks in the last checkpoint

	Running   *time.Time       `json:"running,omitempty"`
	Ended     *time.Time       `json:"ended,omitempty"`
	Attempt   graph.Attempt    `json:"attempt"`          // the newest that may exist anywhere
	Origin    *origin          `json:"origin,omitempty"` // the savepoint that it goes on from
	Before    graph.Attempt    `json:"before,omitempty"` // those of the job whose savepoint this one goes on from
	Cancelled bool             `json:"cancelled,omitempty"`
	Decision  *decision        `json:"decision,omitempty"`
	Progress  *api.Progress    `json:"progress,omitempty"` // when the end was decided, or without a decision when the job ended
	Skipped   map[string]int64 `json:"skipped,omitempty"`  // what operators had left out then or in the last checkpoint, by uid
	State     api.JobState     `json:"state,omitempty"`    // a terminal one, or none
	Owed      graph.Attempt    `json:"owed,omitempty"`     // the job has ended, and output of attempts before that one is still to be removed
	Stored    bool             `json:"stored,omitempty"`   // the job has ended, and its checkpoints are still to be deleted, or sealed if it has FAILED
	Failure   *wire.Failure    `json:"failure,omitempty"`

	Checkpoints []decided     `json:"checkpoints,omitempty"` // retained, the oldest first; the last one is what the job goes on from
	Committed   checkpoint.ID `json:"committed,omitempty"`   // output of checkpoints up to this one is committed
	Output      bool          `json:"output,omitempty"`      // a checkpoint had some
	Written     []api.Output  `json:"written,omitempty"`     // of all checkpoints so far
	Stopped     bool          `json:"stopped,omitempty"`     // the last checkpoint is the end: it stops with that
	Savepoints  []savepoint   `json:"savepoints,omitempty"`  // the oldest first; they are the user's
	Rewind      bool          `json:"rewind,omitempty"`      // the user allows output to be repeated
	Broken      bool          `json:"broken,omitempty"`      // and it was

	Lost []api.LostOutput `json:"lost,omitempty"` // output of completed checkpoints that is not among Prepared any more, though it was never committed
}

// ran says whether all sinks of the graph have been open in an attempt: what they make once is there since, or somebody has taken it
// away. Of a changed graph that is known with its first checkpoint; in batch mode sinks are opened when there is something to write.
func (r *jobRecord) ran() bool { return r.Running != nil && r.Previous == nil && !r.Graph.Batch }

// origin is a savepoint that a job goes on from. A copy of it is the job's first checkpoint.
type origin struct {
	Path       string        `json:"path"`
	Job        graph.JobID   `json:"job"` // which savepoint it is
	Savepoint  checkpoint.ID `json:"savepoint"`
	Checkpoint checkpoint.ID `json:"checkpoint"` // the number of the copy
	Size       int64         `json:"size"`
	Copied     bool          `json:"copied,omitempty"` // nothing of the savepoint is needed any more
}

// decided is a completed checkpoint: that this record is stored is the decision.
type decided struct {
	ID       checkpoint.ID           `json:"id"`
	Sum      string                  `json:"sum"` // of the manifest
	Attempt  graph.Attempt           `json:"attempt"`
	Time     time.Time               `json:"time"`
	Duration time.Duration           `json:"duration"`
	Size     int64                   `json:"size"`
	Prepared []connector.Committable `json:"prepared,omitempty"` // until it is committed
	Output   bool                    `json:"output,omitempty"`   // some was prepared
	Damaged  bool                    `json:"damaged,omitempty"`
	Lost     string                  `json:"lost,omitempty"` // the file of it that was found to be damaged, if one was

	Unaligned bool  `json:"unaligned,omitempty"` // it overtook records somewhere, or could have
	InFlight  int64 `json:"inFlight,omitempty"`  // bytes of records that it overtook

	Versions checkpoint.Versions `json:"versions,omitempty"` // of states that may hold elements of older versions: what they do hold, where it is known
}

// savepoint is one that the job has made. It belongs to the user: nothing here reads or deletes it again.
type savepoint struct {
	Path       string        `json:"path"`
	Checkpoint checkpoint.ID `json:"checkpoint"`
	Sum        string        `json:"sum"` // of the manifest
	Time       time.Time     `json:"time"`
	Size       int64         `json:"size"`
	Stopped    bool          `json:"stopped,omitempty"` // the job has ended with it
	Sealed     bool          `json:"sealed,omitempty"`  // it stands by itself
}

// decision is the end of a job: from when it is stored on, its output is only committed.
type decision struct {
	Checkpoint uint64                  `json:"checkpoint"`
	Attempt    graph.Attempt           `json:"attempt"`
	Prepared   []connector.Committable `json:"prepared,omitempty"`
	Output     []api.Output            `json:"output,omitempty"` // when all of it is committed
}

func decode[T jobRecord | moduleRecord](key string, value []byte, version func(*T) int) (*T, error) {
	var r T
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, fmt.Errorf("read metadata: %s: %w", key, err)
	}
	if v := version(&r); v != recordVersion {
		return nil, fmt.Errorf("read metadata: %s: version %d (expected %d)", key, v, recordVersion)
	}
	return &r, nil
}

func decodeJob(key string, value []byte) (*jobRecord, error) {
	r, err := decode(key, value, func(r *jobRecord) int { return r.Version })
	if err == nil {
		r.modernize()
	}
	return r, err
}

// modernize reads what versions before had of changes: the last one, and a trial also when that was given up.
func (r *jobRecord) modernize() {
	if c := r.Change; c != nil {
		r.Change = nil
		r.newest(*c)
	}
	if t := r.Trial; t != nil && t.Outcome == api.ChangeWentBack {
		r.begin(*t)
	}
}

func decodeModule(key string, value []byte) (*moduleRecord, error) {
	return decode(key, value, func(r *moduleRecord) int { return r.Version })
}

// encode writes a record; the types above always can be.
func encode(record any) []byte {
	p, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	return p
}

// storeError is the error of a write to disk as the user is to see it.
func storeError(step string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return api.Errorf(api.KindNoSpace, "%s: no space left on the JobManager's disk", step).
			WithHint("nothing of it was kept; free some space and send it again")
	}
	return fmt.Errorf("%s: %w", step, err)
}
