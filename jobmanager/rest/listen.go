package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/wasmill/wasmill/internal/api"
)

// Listen binds a TCP address for a server that asks for no credentials: only a loopback one is taken. option names what
// set it, for the messages.
func Listen(option, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%s: %q (expected HOST:PORT): %w", option, address, err)
	}
	if !isLoopback(host) {
		return nil, fmt.Errorf("%s: %s is not a loopback address; REST and metrics ask for no credentials yet they can run code, so only 127.0.0.1, ::1 and localhost may be bound", option, address)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: port in use: another process listens on %s (TCP)", option, address)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", option, err)
	}
	return l, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// onlyLocal refuses what a web page on this machine could be made to send: a request by a foreign host name that was
// made to resolve to loopback, or from another origin. Both are how a browser would reach a server without credentials.
func onlyLocal(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if !isLoopback(hostOnly(r.Host)) {
			return api.Errorf(api.KindForbidden, "Host %q is not this machine (expected 127.0.0.1, ::1 or localhost)", r.Host)
		}
		if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
			return api.Errorf(api.KindForbidden, "requests from web pages of %s are refused", origin)
		}
		return next(c)
	}
}

func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	if len(hostport) > 2 && hostport[0] == '[' {
		return hostport[1 : len(hostport)-1]
	}
	return hostport
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
		return fmt.Errorf("serve REST: %w", err)
	case <-ctx.Done():
	}
	stop()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	err := srv.Shutdown(limit)
	<-served
	if err != nil {
		return fmt.Errorf("stop REST: %w", errors.Join(err, srv.Close()))
	}
	return nil
}
