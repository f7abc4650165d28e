// Package exchange moves batches between tasks: over channels, each from one subtask to another and in order, through
// memory inside a process and through one QUIC stream between processes, behind the same two ends, Sender and Gate. No end
// ever blocks its task: both say what is possible now, and wake the task when that changes. It knows nothing of what a
// batch contains: the receiving task checks every batch, wherever it came from, by the abi.Batch.Parse that it needs to
// read it.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
)

// Attempt is one execution of a job. Attempts of a job are ordered by epoch, then number.
type Attempt struct {
	Job     graph.JobID
	Epoch   graph.Epoch
	Attempt graph.Attempt
}

func (a Attempt) newer(b Attempt) bool {
	if a.Epoch != b.Epoch {
		return a.Epoch > b.Epoch
	}
	return a.Attempt > b.Attempt
}

// Limits of a process's channels.
const (
	MaxBatchBytes     = 32 << 20         // a larger batch is refused by both ends
	defaultQueueBytes = 256 << 10        // four batches of 64 KiB
	parkTime          = 10 * time.Second // for a stream to wait for its gate
	maxParked         = 1024             // streams waiting so
	maxForgotten      = 1024             // jobs that have left and whose late streams are still told from early ones
)

// Config is how a network behaves.
type Config struct {
	// QueueBytes is how much a channel's queue takes before it counts as full, at each end; 256 KiB when zero. A queue
	// exceeds it by what a task emits in one call.
	QueueBytes int

	parkTime time.Duration // parkTime when zero; tests have no ten seconds
}

// Network is the channels of one process. Its methods may be called from any goroutine.
type Network struct {
	endpoint   *transport.Endpoint // nil: local channels only
	queueBytes int
	parkTime   time.Duration
	links      links
	counters   counters

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // a writer each remote sender, a reader each stream

	mu       sync.Mutex
	closed   bool
	attempts map[Attempt]*attempt
	newest   map[graph.JobID]Attempt // of each job attached now or lately
	left     []graph.JobID           // those of newest without an attempt, the oldest first
	waiting  map[gateKey]*lot
	parked   int // streams in waiting
}

// attempt is what an attached attempt has here.
type attempt struct {
	gates   map[gateKey]*Gate
	early   map[channelKey]*queue // of local senders whose gate does not exist yet
	senders map[*Sender]struct{}  // not closed
}

// gateKey names the gate of a task by one of its inputs.
type gateKey struct {
	Attempt
	edge int
	to   graph.TaskID
}

// channelKey names a channel.
type channelKey struct {
	Attempt
	edge     int
	from, to graph.TaskID
}

func (k channelKey) gate() gateKey { return gateKey{k.Attempt, k.edge, k.to} }

func (k channelKey) String() string {
	return fmt.Sprintf("channel %s -> %s (edge %d, attempt %d of job %s)", k.from, k.to, k.edge, k.Attempt.Attempt, k.Job)
}

func (k channelKey) error(why error) error {
	return &ChannelError{From: k.from, To: k.to, key: k, why: why}
}

// ChannelError is the end of a channel before its END.
type ChannelError struct {
	From, To graph.TaskID
	key      channelKey
	why      error
}

func (e *ChannelError) Error() string { return fmt.Sprintf("%s: %v", e.key, e.why) }
func (e *ChannelError) Unwrap() error { return e.why }

// Reasons why a channel ends before its END. ErrStale is the only one that is no failure of the job: it goes on under a
// newer attempt.
var (
	ErrStale    = errors.New("the attempt is over")
	errRefused  = errors.New("the receiving task did not appear in time")
	errBusy     = errors.New("the receiver has too many channels waiting for their tasks")
	errProtocol = errors.New("the other side broke the protocol")
	errAborted  = errors.New("the sending task stopped before the end")
	errGone     = errors.New("the receiving task stopped before the end")
	errCut      = errors.New("the stream ended without END")

	errUnexpected = errors.New("the receiving task expects no such channel")
	errSecond     = errors.New("the channel has a sender already")
)

// NewNetwork returns the channels of this process; a nil endpoint has local ones only.
func NewNetwork(endpoint *transport.Endpoint, cfg Config) *Network {
	n := &Network{
		endpoint:   endpoint,
		queueBytes: cfg.QueueBytes,
		parkTime:   cfg.parkTime,
		attempts:   map[Attempt]*attempt{},
		newest:     map[graph.JobID]Attempt{},
		waiting:    map[gateKey]*lot{},
	}
	if n.queueBytes == 0 {
		n.queueBytes = defaultQueueBytes
	}
	if n.parkTime == 0 {
		n.parkTime = parkTime
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.links = links{dial: n.dial, over: n.over, open: map[linkKey][]*link{}}
	if endpoint != nil {
		endpoint.HandleData(n.serve)
	}
	return n
}

// NewBuffer returns size bytes to encode a batch into. Their content is unknown.
func (n *Network) NewBuffer(size int) *Buffer { return newBuffer(size) }

// Close ends every channel and waits for its goroutines. The endpoint stays open.
func (n *Network) Close() {
	n.mu.Lock()
	n.closed = true
	all := n.attempts
	n.attempts = map[Attempt]*attempt{}
	n.mu.Unlock()
	n.cancel()
	for _, a := range all {
		a.end()
	}
	n.wg.Wait()
	n.links.closeAll()
}

func (n *Network) dial(addr string) (*transport.DataConn, error) {
	return n.endpoint.DialData(n.ctx, addr)
}

func (n *Network) over(a Attempt) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.attempts[a] == nil
}
