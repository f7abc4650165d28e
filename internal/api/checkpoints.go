package api

import (
	"time"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
)

// CheckpointState is where a checkpoint stands.
type CheckpointState string

const (
	CheckpointRunning   CheckpointState = "RUNNING"
	CheckpointCompleted CheckpointState = "COMPLETED" // decided: the job goes on from it
	CheckpointFailed    CheckpointState = "FAILED"
)

// Checkpoint is one checkpoint of a job as it is shown.
type Checkpoint struct {
	ID       checkpoint.ID      `json:"id"`
	Kind     checkpoint.Kind    `json:"kind"`
	State    CheckpointState    `json:"state"`
	Attempt  graph.Attempt      `json:"attempt"`
	Started  time.Time          `json:"started"`
	Duration time.Duration      `json:"duration"`
	Size     int64              `json:"size"` // of every file that it names
	Figures  checkpoint.Figures `json:"figures"`
	Retained bool               `json:"retained"`
	Failure  string             `json:"failure,omitempty"`
}

// Savepoint is a savepoint of a job. It is sealed when Path can be restored from.
type Savepoint struct {
	Job        graph.JobID   `json:"job"`
	Checkpoint checkpoint.ID `json:"checkpoint"`
	Path       string        `json:"path"`
	Created    time.Time     `json:"created"`
	Size       int64         `json:"size"`
}

// SavepointRequest asks for a savepoint.
type SavepointRequest struct {
	Directory string `json:"directory,omitempty"` // path or URL; none: the cluster's savepoint.dir
}

// StopRequest asks a job to stop with a savepoint.
type StopRequest struct {
	Directory string `json:"directory,omitempty"`
	Drain     bool   `json:"drain,omitempty"` // the maximum watermark goes before the end: every window fires
}

// RescaleRequest asks for another parallelism.
type RescaleRequest struct {
	Parallelism int            `json:"parallelism,omitempty"`
	Operators   map[string]int `json:"operators,omitempty"` // by uid, instead of Parallelism
}
