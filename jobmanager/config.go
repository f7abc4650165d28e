// Package jobmanager is the control plane: it takes modules and jobs in, places jobs on the slots of TaskManagers, and
// carries each through its life. It knows graphs, messages and metadata; it refuses to know Wasm (Inspect and Describe
// are handed to it), sockets other than the liveness listener, and how a TaskManager does its work.
package jobmanager

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/jobmanager/ha"
)

// TaskManager is what the JobManager asks of a TaskManager. Calls come from many goroutines, each with a deadline; every
// call may be repeated. A refusal is a *wire.Failure, and then nothing was done; after any other error the TaskManager may
// or may not have acted. A client that also has Close is closed once, when the TaskManager is lost.
type TaskManager interface {
	Deploy(ctx context.Context, m *wire.Deploy) error
	Cancel(ctx context.Context, m *wire.Cancel) error
	Commit(ctx context.Context, m *wire.Commit) error
	Examine(ctx context.Context, m *wire.Commit) (*wire.Examined, error)
	Prepare(ctx context.Context, m *wire.Prepare) error
	Trigger(ctx context.Context, m *wire.Trigger) error
	Conclude(ctx context.Context, m *wire.Conclude) error
	Logs(ctx context.Context, job graph.JobID, after time.Time, max int) ([]wire.LogLine, error)
}

// Checkpoints says when jobs take checkpoints, and where they are kept.
type Checkpoints struct {
	Savepoints       string        // where they are made when none is said, empty: a place must be said
	URL              string        // root of those of all jobs, as OpenStore takes it
	Interval         time.Duration // from the beginning of one to the beginning of the next; 0: none are taken by themselves, but to settle a change
	Timeout          time.Duration // 10 min
	MinPause         time.Duration
	Tolerated        int           // failures in a row
	Retained         int           // 3
	Unaligned        bool          // every checkpoint overtakes what is in flight
	AlignmentTimeout time.Duration // after which one overtakes where it waits; 0: never
}

// patience is how long a barrier waits in a task before it overtakes, 0: for ever. The checkpoint must not be given up before that.
func (c *Checkpoints) patience() time.Duration {
	if c.Timeout == 0 {
		return c.AlignmentTimeout
	}
	return min(c.AlignmentTimeout, c.Timeout/2)
}

// Inspection is what an uploaded module turned out to be.
type Inspection struct {
	Metered       []byte // the module rewritten to count fuel: what TaskManagers run
	MeteredID     graph.ModuleID
	Manifest      *abi.Manifest // nil when describing it needs parameters
	DescribeError error         // why Manifest is nil
}

// Inspect judges an uploaded module, meters it and describes it without parameters. Its error is what the user did wrong.
type Inspect func(ctx context.Context, wasm []byte) (*Inspection, error)

// Description is what a module answers for one set of parameters.
type Description struct {
	Manifest *abi.Manifest
	ID       graph.ModuleID // SHA-256 of the manifest's bytes
}

// Describe asks a metered module for its graph under the given parameters. Its error is what the user did wrong.
type Describe func(ctx context.Context, metered []byte, params map[string]string) (*Description, error)

// Config is everything a JobManager is given. Fields without a default are required.
type Config struct {
	Meta       ha.Store // opened and closed by the caller
	Blobs      Blobs    // module bytes
	Inspect    Inspect
	Describe   Describe
	Connectors *connector.Registry
	Dial       func(wire.Register) (TaskManager, error) // reaches a TaskManager that registers
	Grants     map[string]Grants                        // of what jobs may ask the outside, by the client that asks; of one that is missing, nothing
	Version    string                                   // of the program, for people

	Mode             string        // of jobs that ask for none: streaming
	SlotsTimeout     time.Duration // how long a job waits for slots before it fails: 30 s
	Heartbeat        time.Duration // how often a TaskManager tells that it lives: 1 s
	HeartbeatTimeout time.Duration // without a heartbeat for this long a TaskManager is lost: 3 s
	UploadLimit      int64         // bytes of a module: 64 MiB
	Restart          Restart       // when and how often a job is restarted

	LivenessAddress   string      // host:port (TCP) to listen on
	LivenessAdvertise string      // host:port that TaskManagers are told; the listener's address by default
	LivenessTLS       *tls.Config // mutual TLS of the listener; nil: everything is one process, no listener

	Checkpoints Checkpoints
	OpenStore   func(ctx context.Context, url string) (blob.Store, error) // of checkpoints; nil: jobs take none
	StoreThere  func(url string) error                                    // before OpenStore makes what is only read (see blob.There); nil: all are
	StoreFits   func(url string) error                                    // whether OpenStore could make what StoreThere does not find (see blob.Fits); nil with that
	Ephemeral   bool                                                      // all that is kept ends with the process

	Now func() time.Time // time.Now
	Log *slog.Logger     // slog.Default()
}

// Grants says what the jobs of the cluster may ask.
type Grants interface {
	// Check says why an operator may not ask these hosts, nil: it may. An error that also has Hint says what would help.
	Check(hosts []string) error
}

// fill gives every field that has a default its value, and names the first required one that is missing.
func (c *Config) fill() error {
	for _, need := range []struct {
		missing bool
		name    string
	}{
		{c.Meta == nil, "Meta"}, {c.Blobs == nil, "Blobs"}, {c.Inspect == nil, "Inspect"}, {c.Describe == nil, "Describe"},
		{c.Connectors == nil, "Connectors"}, {c.Dial == nil, "Dial"},
	} {
		if need.missing {
			return fmt.Errorf("jobmanager: Config.%s: nil (expected a value)", need.name)
		}
	}
	orElse(&c.SlotsTimeout, 30*time.Second)
	orElse(&c.Heartbeat, time.Second)
	orElse(&c.HeartbeatTimeout, 3*time.Second)
	orElse(&c.UploadLimit, 64<<20)
	orElse(&c.Checkpoints.Timeout, 10*time.Minute)
	orElse(&c.Checkpoints.Retained, 3)
	orElse(&c.Restart.Delay, time.Second)
	orElse(&c.Restart.MaxDelay, time.Minute)
	orElse(&c.Restart.PerHour, 20)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
