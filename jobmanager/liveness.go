package jobmanager

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/wire"
)

// A TaskManager keeps one idle TCP connection to the JobManager: it says its id and a newline, then nothing. When its
// process dies, the kernel ends the connection at once, which no UDP protocol can tell.
const (
	helloTimeout = 5 * time.Second // for the TLS handshake and the id
	maxHello     = 256             // bytes of the id
	maxLiveness  = 4096            // connections at a time; more wait to be accepted
)

// liveness listens for those connections. begun is called when there is one of a TaskManager that is known, ended when
// the newest one of a TaskManager has ended.
type liveness struct {
	listener net.Listener
	known    func(wire.TaskManagerID) bool
	begun    func(wire.TaskManagerID)
	ended    func(wire.TaskManagerID, string)

	mu     sync.Mutex
	conns  map[wire.TaskManagerID]net.Conn // guarded by mu; the newest of each
	open   map[net.Conn]bool               // guarded by mu; all, to close them
	closed bool                            // guarded by mu
	wg     sync.WaitGroup
}

func listenLiveness(address string, config *tls.Config, known func(wire.TaskManagerID) bool, begun func(wire.TaskManagerID), ended func(wire.TaskManagerID, string)) (*liveness, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for liveness connections: %w", err)
	}
	l := &liveness{
		listener: tls.NewListener(listener, config), known: known, begun: begun, ended: ended,
		conns: map[wire.TaskManagerID]net.Conn{}, open: map[net.Conn]bool{},
	}
	l.wg.Go(l.runAccept)
	return l, nil
}

func (l *liveness) address() string { return l.listener.Addr().String() }

// close ends every connection without calling ended.
func (l *liveness) close() error {
	err := l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for c := range l.open {
		c.Close()
	}
	clear(l.conns)
	l.mu.Unlock()
	l.wg.Wait()
	return err
}

func (l *liveness) runAccept() {
	slots := make(chan struct{}, maxLiveness)
	for {
		c, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors: those that wait may be taken when one ends
			time.Sleep(100 * time.Millisecond)
			continue
		}
		slots <- struct{}{}
		if !l.admit(c) {
			return
		}
		l.wg.Go(func() {
			l.serve(c)
			<-slots
		})
	}
}

// admit notes a connection; once closed, there are none.
func (l *liveness) admit(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
		return false
	}
	l.open[c] = true
	return true
}

// drop ends the connection of a TaskManager that is lost, without calling ended: if it lives, it learns so that it must
// register again.
func (l *liveness) drop(id wire.TaskManagerID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.conns[id]; c != nil {
		delete(l.conns, id)
		c.Close()
	}
}

// serve holds one connection to its end.
func (l *liveness) serve(c net.Conn) {
	defer func() {
		c.Close()
		l.mu.Lock()
		delete(l.open, c)
		l.mu.Unlock()
	}()
	id, rest, err := hello(c)
	if err != nil || !l.known(id) {
		return
	}
	l.mu.Lock()
	l.conns[id] = c
	l.mu.Unlock()
	l.begun(id)
	io.Copy(io.Discard, rest)
	l.mu.Lock()
	newest := l.conns[id] == c
	if newest {
		delete(l.conns, id)
	}
	l.mu.Unlock()
	if newest {
		l.ended(id, "its liveness connection ended")
	}
}

// hello reads the id of who connects; its certificate has been checked by then.
func hello(c net.Conn) (wire.TaskManagerID, io.Reader, error) {
	if err := c.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return "", nil, err
	}
	r := bufio.NewReaderSize(c, maxHello)
	line, err := r.ReadSlice('\n')
	if err != nil {
		return "", nil, err
	}
	return wire.TaskManagerID(line[:len(line)-1]), r, c.SetDeadline(time.Time{})
}

// watchHeartbeats calls lost for every TaskManager that has been silent for too long, until ctx ends. When this process
// itself was not running (paused, or its machine), nobody is to blame, and the wait begins anew.
func (jm *JobManager) watchHeartbeats(ctx context.Context) {
	tick := time.NewTicker(jm.config.Heartbeat / 2)
	defer tick.Stop()
	last := jm.config.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := jm.config.Now()
		if now.Sub(last) > jm.config.HeartbeatTimeout/2 {
			jm.resources.excuse(now)
		}
		last = now
		for _, id := range jm.resources.silent(now, jm.config.HeartbeatTimeout) {
			jm.Lost(id, fmt.Sprintf("no heartbeat for %s", jm.config.HeartbeatTimeout))
		}
	}
}
