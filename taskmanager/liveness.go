package taskmanager

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// watch keeps an idle TCP connection to the JobManager. Its end is the kernel's word that one of the two processes died:
// QUIC would only notice by silence. It returns when the JobManager is gone, or ctx ends. While no connection can be made,
// heartbeats alone must tell.
func (tm *TaskManager) watch(ctx context.Context, addr string) error {
	for {
		c, err := tm.dialLiveness(ctx, addr)
		if err == nil {
			return await(ctx, c)
		}
		tm.config.Log.Warn("connect for liveness", "address", addr, "error", err)
		if err := sleep(ctx, lastWait); err != nil {
			return err
		}
	}
}

// livenessTimeout bounds the making of the connection.
const livenessTimeout = 5 * time.Second

func (tm *TaskManager) dialLiveness(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, livenessTimeout)
	defer cancel()
	c, err := (&tls.Dialer{Config: tm.config.LivenessTLS}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err = c.SetDeadline(time.Now().Add(livenessTimeout)); err == nil {
		_, err = c.Write([]byte(string(tm.config.ID) + "\n"))
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("say who it is: %w", err)
	}
	return c, c.SetDeadline(time.Time{})
}

// await returns when the connection or ctx ends. The JobManager never says anything.
func await(ctx context.Context, c net.Conn) error {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	var one [1]byte
	_, err := c.Read(one[:])
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		err = fmt.Errorf("it said something")
	}
	return fmt.Errorf("%w: %v", errJobManagerGone, err)
}
