package api

import (
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
)

// Checkpoint is a completed checkpoint of a job that is retained: the job can go on from it.
type Checkpoint struct {
	ID        checkpoint.ID `json:"id"`
	Attempt   graph.Attempt `json:"attempt"` // that has taken it
	Started   time.Time     `json:"started"`
	Duration  time.Duration `json:"duration"`          // nanoseconds, until it was decided
	Size      int64         `json:"size"`              // bytes of all files that it names, those of older ones included
	Committed bool          `json:"committed"`         // its output is visible
	Damaged   bool          `json:"damaged,omitempty"` // it could not be read

	Unaligned bool  `json:"unaligned,omitempty"` // it overtook records, or could have
	InFlight  int64 `json:"inFlight,omitempty"`  // bytes of records that it overtook: part of size
}

// GivenUp is a checkpoint that was not completed; the next one carries its changes.
type GivenUp struct {
	Checkpoint checkpoint.ID `json:"checkpoint"`
	Cause      string        `json:"cause"` // when it timed out: which tasks it had waited for, and where they run
}

// CheckpointPage is the retained checkpoints of a job, the newest first.
type CheckpointPage struct {
	Checkpoints []Checkpoint `json:"checkpoints"`
}

// Verification is what reading all that a job's retained checkpoints name has shown, and what follows from it.
type Verification struct {
	Job         graph.JobID          `json:"job"`
	Checkpoints []VerifiedCheckpoint `json:"checkpoints"` // the newest first
	Files       int                  `json:"files"`       // read, each once
	Size        int64                `json:"size"`
	Restart     Restart              `json:"restart"`
}

// VerifiedCheckpoint is a retained checkpoint that was read.
type VerifiedCheckpoint struct {
	ID     checkpoint.ID      `json:"id"`
	Faults []checkpoint.Fault `json:"faults"` // none: it is what was written
}

// Restart says what a job would do if it were restarted now.
type Restart struct {
	From    checkpoint.ID `json:"from,omitempty"`    // the checkpoint that it would go on from; 0: it would begin at the beginning, or fail
	Fails   bool          `json:"fails,omitempty"`   // output was committed since the newest that is whole
	Repeats bool          `json:"repeats,omitempty"` // output would be seen again: the job is run with --allow-rewind
}

// TakeSavepoint asks for a savepoint.
type TakeSavepoint struct {
	Path  string `json:"path,omitempty"`  // an empty place of its own, absolute as the JobManager sees it; none: one below savepoint.dir
	Stop  bool   `json:"stop,omitempty"`  // the job ends with it
	Drain bool   `json:"drain,omitempty"` // with Stop: event time comes to its end first, so that windows fire
}

// Savepoint is one that a job has made. It is the user's: moved and deleted by hand.
type Savepoint struct {
	Path       string        `json:"path"`
	Job        graph.JobID   `json:"job"`
	Checkpoint checkpoint.ID `json:"checkpoint"`
	Time       time.Time     `json:"time"`
	Size       int64         `json:"size"` // bytes of its files
	Stopped    bool          `json:"stopped,omitempty"`
	Sealed     bool          `json:"sealed"` // it can be gone on from
}

// SavepointPage is the savepoints of a job, the newest first.
type SavepointPage struct {
	Savepoints []Savepoint `json:"savepoints"`
}

// Rescale asks for other parallelisms.
type Rescale struct {
	Parallelism *int           `json:"parallelism,omitempty"` // of operators that set none themselves
	Operators   map[string]int `json:"operators,omitempty"`   // of these, by name; 0: what was given to that one is taken back
}

// Upgrade asks for another module.
type Upgrade struct {
	Module            graph.ModuleID    `json:"module"`
	Params            map[string]string `json:"params,omitempty"` // beside and instead of those that it has
	AllowDroppedState bool              `json:"allowDroppedState,omitempty"`
	DryRun            bool              `json:"dryRun,omitempty"` // only say what would be done
}

// UpgradeWay is how a job is given another module.
type UpgradeWay string

const (
	UpgradeInPlace UpgradeWay = "inPlace" // running tasks exchange it behind the barrier of a checkpoint
	UpgradeRestart UpgradeWay = "restart" // the tasks are deployed anew, from a checkpoint
)

// Upgraded says what an upgrade does, and the job as it is then.
type Upgraded struct {
	Job        *Job           `json:"job"`
	Module     graph.ModuleID `json:"module"`
	Changes    []string       `json:"changes"`
	Way        UpgradeWay     `json:"way"`
	Because    []string       `json:"because,omitempty"`    // why it needs a restart
	Checkpoint checkpoint.ID  `json:"checkpoint,omitempty"` // that has decided it, in place
}

// Guarantee says how often what a record brings about is seen, whatever breaks, and what makes it less than exactly once:
// connectors, or what has become of the job.
type Guarantee struct {
	Guarantee connector.Guarantee `json:"guarantee"`
	Because   []string            `json:"because,omitempty"`
	Lost      []LostOutput        `json:"lost,omitempty"` // what was given up
}

// LostOutput is output of a completed checkpoint, or of a job's end, that was gone before it could be committed, and was given up.
type LostOutput struct {
	Operator   string        `json:"operator"`
	Checkpoint checkpoint.ID `json:"checkpoint"`
	Name       string        `json:"name"` // that it would have had: a file
	Rows       int64         `json:"rows"`
	Bytes      int64         `json:"bytes"`
	Cause      string        `json:"cause"`
}

// GiveUp asks that the output of a job that is gone is left out, so that the rest can be committed.
type GiveUp struct {
	DryRun bool `json:"dryRun,omitempty"` // only say what would be left out
}

// GaveUp is the answer.
type GaveUp struct {
	Job      *Job         `json:"job"`
	Lost     []LostOutput `json:"lost"`               // is left out, or would be
	Hindered []string     `json:"hindered,omitempty"` // why other output cannot be committed for now: it is there, and is committed when that is mended
}
