// Package transport is the network between the processes of a cluster, and the only importer of quic-go: who belongs to
// the cluster (a CA, identities, mutual TLS 1.3), one UDP port a process, and the two protocols on it, told apart by
// ALPN: data connections, and HTTP/3 for control. It knows neither jobs nor messages: package exchange gives the data
// streams their meaning, package control the requests.
package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// dataProtocol is the ALPN name of data connections; its number grows with the frames of package exchange.
const dataProtocol = "wasmill-data/1"

// A peer that is alive says something every keepAlive; one that says nothing for idleTimeout is given up. That notices
// lost hosts only: a killed process is noticed by its liveness connection.
const (
	keepAlive        = 3 * time.Second
	idleTimeout      = 10 * time.Second
	handshakeTimeout = 5 * time.Second
	controlRequests  = 256 // at a time on one connection
)

// Config is how an endpoint is made.
type Config struct {
	Address  string // host:port (UDP); port 0 takes a free one
	Identity *Identity
	Log      *slog.Logger
	Conn     net.PacketConn // used instead of a socket on Address when given: a simulated network
}

// Endpoint is a process's UDP port: it answers and dials on it. Its methods may be called from any goroutine.
type Endpoint struct {
	identity  *Identity
	log       *slog.Logger
	packets   net.PacketConn
	transport *quic.Transport
	listener  *quic.Listener
	server    *http3.Server
	control   atomic.Pointer[http.Handler]
	data      atomic.Pointer[func(*DataConn)]

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the accept loop and one a connection accepted

	mu    sync.Mutex
	conns map[*quic.Conn]struct{} // accepted and dialled, open
}

// Listen opens the port. Requests and data connections are refused until their handlers are set.
func Listen(cfg Config) (*Endpoint, error) {
	key, err := cfg.Identity.resetKey()
	if err != nil {
		return nil, err
	}
	packets := cfg.Conn
	if packets == nil {
		if packets, err = listenUDP(cfg.Address); err != nil {
			return nil, err
		}
	}
	e := &Endpoint{
		identity:  cfg.Identity,
		log:       cfg.Log,
		packets:   packets,
		transport: &quic.Transport{Conn: packets, StatelessResetKey: (*quic.StatelessResetKey)(&key)},
		conns:     map[*quic.Conn]struct{}{},
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.server = &http3.Server{Handler: http.HandlerFunc(e.serveControl), Logger: e.log, MaxHeaderBytes: 16 << 10}
	e.listener, err = e.transport.Listen(e.identity.ServerTLS(dataProtocol, http3.NextProtoH3), quicConfig())
	if err != nil {
		e.cancel()
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", packets.LocalAddr(), err), packets.Close())
	}
	e.wg.Go(e.runAccept)
	return e, nil
}

func listenUDP(address string) (net.PacketConn, error) {
	addr, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, &Error{Problem: "listen on " + address + ": " + err.Error(), Err: err}
	}
	conn, err := net.ListenUDP("udp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &Error{
			Problem: fmt.Sprintf("listen on %s (UDP): the port is in use", address),
			Hint:    "stop the process that has it, or choose another port",
			Err:     err,
		}
	}
	if err != nil {
		return nil, &Error{Problem: fmt.Sprintf("listen on %s (UDP): %s", address, err), Err: err}
	}
	return conn, nil
}

// quicConfig is the same for both protocols, as the listener learns which it is after the windows have been granted.
func quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           handshakeTimeout,
		MaxIdleTimeout:                 idleTimeout,
		KeepAlivePeriod:                keepAlive,
		InitialStreamReceiveWindow:     StreamWindow,
		MaxStreamReceiveWindow:         StreamWindow,
		InitialConnectionReceiveWindow: ConnWindow,
		MaxConnectionReceiveWindow:     ConnWindow,
		MaxIncomingStreams:             controlRequests,
		MaxIncomingUniStreams:          ConnChannels + 1, // the one more is for what must overtake the others
	}
}

// Addr is the address that it listens on, with the port that was taken.
func (e *Endpoint) Addr() string { return e.packets.LocalAddr().String() }

// HandleControl sets who answers control requests.
func (e *Endpoint) HandleControl(h http.Handler) { e.control.Store(&h) }

// HandleData sets who gets the data connections that peers open. The connection ends when serve returns, and serve must
// return when it has ended.
func (e *Endpoint) HandleData(serve func(*DataConn)) { e.data.Store(&serve) }

// DialData opens a data connection. The caller closes it.
func (e *Endpoint) DialData(ctx context.Context, addr string) (*DataConn, error) {
	conn, err := e.dial(ctx, addr, dataProtocol)
	if err != nil {
		return nil, err
	}
	return &DataConn{Peer: addr, conn: conn}, nil
}

func (e *Endpoint) dial(ctx context.Context, addr, protocol string) (*quic.Conn, error) {
	udp, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, &Error{Problem: "connect to " + addr + ": " + err.Error(), Err: err}
	}
	conn, err := e.transport.Dial(ctx, udp, e.identity.ClientTLS(protocol), quicConfig())
	if err != nil {
		return nil, explain(addr, err)
	}
	if !e.track(conn) {
		return nil, errClosed
	}
	context.AfterFunc(conn.Context(), func() { e.untrack(conn) })
	return conn, nil
}

var errClosed = &Error{Problem: "this process is closing its connections"}

// runAccept ends with the listener, which Close closes.
func (e *Endpoint) runAccept() {
	for {
		conn, err := e.listener.Accept(e.ctx)
		if err != nil {
			return
		}
		if e.track(conn) {
			e.wg.Go(func() { e.serve(conn) })
		}
	}
}

func (e *Endpoint) serve(conn *quic.Conn) {
	defer e.untrack(conn)
	switch protocol := conn.ConnectionState().TLS.NegotiatedProtocol; protocol {
	case http3.NextProtoH3:
		_ = e.server.ServeQUICConn(conn) // its error says how the peer ended the connection
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	case dataProtocol:
		serve := e.data.Load()
		if serve == nil {
			_ = conn.CloseWithError(0, "it takes no data connections")
			return
		}
		(*serve)(&DataConn{Peer: conn.RemoteAddr().String(), conn: conn})
		_ = conn.CloseWithError(0, "done")
	default:
		_ = conn.CloseWithError(0, "unknown protocol "+protocol)
	}
}

// track says whether the endpoint is open; if not, it ends the connection.
func (e *Endpoint) track(conn *quic.Conn) bool {
	e.mu.Lock()
	open := e.conns != nil
	if open {
		e.conns[conn] = struct{}{}
	}
	e.mu.Unlock()
	if !open {
		_ = conn.CloseWithError(0, "closing")
	}
	return open
}

func (e *Endpoint) untrack(conn *quic.Conn) {
	e.mu.Lock()
	delete(e.conns, conn)
	e.mu.Unlock()
}

// Close tells every peer, ends all connections and waits for the handlers to return.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	conns := e.conns
	e.conns = nil
	e.mu.Unlock()
	if conns == nil {
		return nil
	}
	e.cancel()
	_ = e.listener.Close()
	for conn := range conns {
		_ = conn.CloseWithError(0, "the process has been stopped")
	}
	_ = e.server.Close()
	e.wg.Wait()
	return errors.Join(e.transport.Close(), e.packets.Close())
}
