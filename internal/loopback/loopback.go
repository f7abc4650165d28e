// Package loopback serves HTTP that asks for no credentials, and so only to this machine: it binds loopback addresses
// and refuses all others. It knows nothing of what is served.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Listen binds a TCP address, which must be a loopback one. option names the setting it comes from, for messages.
func Listen(option, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%s: %q (expected HOST:PORT)", option, address)
	}
	if !Is(host) {
		return nil, fmt.Errorf("%s: %s is not a loopback address; what is served there asks for no credentials, so only 127.0.0.1, ::1 and localhost may be bound", option, address)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &inUse{option, address}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", option, err)
	}
	return l, nil
}

// inUse is the error about an address that is taken; errors.Is finds EADDRINUSE in it.
type inUse struct{ option, address string }

func (e *inUse) Error() string {
	return fmt.Sprintf("%s: port in use: another process listens on %s (TCP)", e.option, e.address)
}
func (e *inUse) Unwrap() error { return syscall.EADDRINUSE }

// Is says whether host, without a port, is this machine and no other.
func Is(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// shutdownLimit bounds how long requests that run may still take when the server is stopped.
const shutdownLimit = 3 * time.Second

// Serve serves h on l until ctx ends; then it ends the context of the requests that run and waits for their answers.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	requests, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return requests },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	err := srv.Shutdown(limit)
	if err != nil {
		err = fmt.Errorf("stop serving on %s: %w", l.Addr(), errors.Join(err, srv.Close()))
	}
	<-served
	return err
}
