// Package config has every option of Wasmill in one table (options.go), and reads them: from a YAML file, then from the
// environment, then from flags, the later winning. It checks each value against its type and bounds, refuses keys that
// it does not know, and remembers where a value came from. It opens no socket and starts nothing; what an option does is
// its user's business.
package config

import "time"

// Config holds the value of every option.
type Config struct {
	JobManager   JobManager
	TaskManager  TaskManager
	TLS          TLS
	Upload       Upload
	Job          Job
	Slots        Slots
	Heartbeat    Heartbeat
	Restart      Restart
	Checkpoint   Checkpoint
	Savepoint    Savepoint
	State        State
	Guest        Guest
	Channel      Channel
	Pipeline     Pipeline
	Capabilities Capabilities
	Cache        Cache
	Log          Log

	origins map[string]string // by key, of the values that are not the default
}

// JobManager is about the control plane, and about finding it.
type JobManager struct {
	URL      string
	Address  string
	Control  string
	Liveness string
	Dir      string
}

// TaskManager is about one TaskManager process.
type TaskManager struct {
	JobManager string
	Name       string
	Address    string
	Advertise  string // empty: Address
	Metrics    string
	Slots      int
}

// TLS is about how the processes of a cluster know each other.
type TLS struct {
	Dir string
}

// Capabilities is what jobs may do outside of the cluster.
type Capabilities struct {
	HTTP HTTP
}

// HTTP is about the requests of jobs.
type HTTP struct {
	Allow         []string
	Connections   int
	ResponseLimit Size
}

// Upload bounds what users send.
type Upload struct {
	Limit Size
}

// Job is about jobs that do not say so themselves.
type Job struct {
	Mode string
}

// Slots is about the placement of jobs.
type Slots struct {
	Timeout time.Duration
}

// Heartbeat is about noticing that a machine or a network is gone.
type Heartbeat struct {
	Interval time.Duration
	Timeout  time.Duration
}

// Restart is about running a job again after a failure.
type Restart struct {
	Delay    time.Duration
	MaxDelay time.Duration
	PerHour  int
}

// Checkpoint is about what a job that is restarted goes on from.
type Checkpoint struct {
	Dir               string
	Interval          time.Duration // 0: none
	Timeout           time.Duration
	MinPause          time.Duration
	ToleratedFailures int
	Retained          int
	Unaligned         bool
	AlignmentTimeout  time.Duration // 0: never unaligned
}

// Savepoint is about checkpoints that users keep.
type Savepoint struct {
	Dir string // empty: each savepoint is given a place
}

// State is about what a TaskManager keeps on its own disk and in memory.
type State struct {
	Dir     string
	Budget  Size
	Quota   Size // 0: no limit
	Reserve Size
}

// Guest bounds one sandbox.
type Guest struct {
	Memory    Size
	Stack     Size
	CallLimit time.Duration
}

// Channel bounds what waits between two subtasks.
type Channel struct {
	Queue Size
}

// Pipeline is about latency.
type Pipeline struct {
	MaxDelay time.Duration
}

// Cache is about compiled modules.
type Cache struct {
	Dir string
}

// Log is about what a process writes about itself.
type Log struct {
	Level  string
	Format string
}
