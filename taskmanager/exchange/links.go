package exchange

import (
	"slices"
	"sync"

	"github.com/wasmill/wasmill/internal/transport"
)

// links are the data connections that this process has opened: those of one attempt to one TaskManager serve no other,
// so that what is blocked in one job cannot use up the window of another. Each carries transport.ConnChannels channels at
// most; one more channel opens one more connection.
type links struct {
	dial func(addr string) (*transport.DataConn, error)
	over func(Attempt) bool // the attempt is not attached

	mu   sync.Mutex // guards what follows and the fields of each link
	open map[linkKey][]*link
}

type linkKey struct {
	Attempt
	addr string
}

type link struct {
	key      linkKey
	channels int
	dialed   chan struct{} // closed when conn or err is set
	conn     *transport.DataConn
	err      error
	urgent   urgent
}

// acquire answers a connection with room for one channel. The first to need one opens it, the others wait for that.
func (ls *links) acquire(k linkKey) (*link, error) {
	ls.mu.Lock()
	i := slices.IndexFunc(ls.open[k], func(l *link) bool { return l.channels < transport.ConnChannels })
	var l *link
	if i >= 0 {
		l = ls.open[k][i]
	} else {
		l = &link{key: k, dialed: make(chan struct{})}
		ls.open[k] = append(ls.open[k], l)
	}
	l.channels++
	ls.mu.Unlock()
	if i < 0 {
		l.conn, l.err = ls.dial(k.addr) // bounded by the handshake's time
		close(l.dialed)
	}
	<-l.dialed
	if l.err != nil {
		ls.release(l)
		return nil, l.err
	}
	return l, nil
}

// release gives the channel's place back. The connection of a detached attempt ends with its last channel.
func (ls *links) release(l *link) {
	ls.mu.Lock()
	l.channels--
	if l.channels == 0 && (l.err != nil || ls.over(l.key.Attempt)) {
		ls.drop(l)
	}
	ls.mu.Unlock()
}

// retire ends the attempt's connections, now or when their last channels have delivered.
func (ls *links) retire(a Attempt) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for k, open := range ls.open {
		if k.Attempt != a {
			continue
		}
		for _, l := range slices.Clone(open) {
			if l.channels == 0 {
				ls.drop(l)
			}
		}
	}
}

// drop forgets the connection and ends it. ls.mu is held.
func (ls *links) drop(l *link) {
	rest := slices.DeleteFunc(ls.open[l.key], func(o *link) bool { return o == l })
	if ls.open[l.key] = rest; len(rest) == 0 {
		delete(ls.open, l.key)
	}
	if l.conn != nil {
		l.conn.Close("the attempt is over")
	}
}

// closeAll ends what is open; no channel uses it any more.
func (ls *links) closeAll() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, open := range ls.open {
		for _, l := range slices.Clone(open) {
			ls.drop(l)
		}
	}
}

func (ls *links) count() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	n := 0
	for _, open := range ls.open {
		n += len(open)
	}
	return n
}
