package main

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/wasmill/wasmill/internal/loopback"
)

func TestPortOfAPredecessorIsWaitedFor(t *testing.T) {
	before, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	listen := func() (net.Listener, error) {
		if tries++; tries == 3 {
			before.Close()
		}
		return loopback.Listen("test", before.Addr().String())
	}
	l, err := patiently(t.Context(), listen)
	if err != nil || tries != 3 {
		t.Fatalf("after %d tries: %v", tries, err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := patiently(ctx, listen); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("a port that stays in use: %v", err)
	}
}
