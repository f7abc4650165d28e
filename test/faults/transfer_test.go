//go:build faults

package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/wasmill/wasmill/internal/transport"
)

// compare sends as much as can be over a bad link between the first two TaskManagers' hosts, by TCP and by a data connection,
// with the same chances, and notes how they compare. Nothing else is sent there any more.
func (x *run) compare(w weather) {
	x.t.Helper()
	limit := 2 * time.Second
	if *full {
		limit = 5 * time.Second
	}
	var rates []float64 // bytes a second
	for _, transfer := range []func(from, to *host, limit time.Duration) (int64, error){overTCP, x.overQUIC} {
		for _, d := range x.between([]int{1}, []int{2}) {
			x.net.worsen(d.from, d.to, w)
		}
		x.net.reseed(x.seed)
		n, err := transfer(x.hostOf(1), x.hostOf(2), limit)
		if err != nil {
			x.t.Fatal(err)
		}
		rates = append(rates, float64(n)/limit.Seconds())
	}
	x.note += fmt.Sprintf("; a data connection carries %.2f MB/s, TCP %.2f MB/s: %.2f times as much", rates[1]/1e6, rates[0]/1e6, rates[1]/max(rates[0], 1))
	if rates[1] == 0 {
		x.t.Error("a data connection carries nothing")
	}
}

// transferPiece is what is written at a time.
const transferPiece = 64 << 10

// overTCP sends for so long, and says how many bytes came.
func overTCP(from, to *host, limit time.Duration) (int64, error) {
	var l net.Listener
	if err := to.do(func() (err error) { l, err = net.Listen("tcp", to.addr.String()+":0"); return err }); err != nil {
		return 0, err
	}
	defer l.Close()
	var came atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		c, err := l.Accept()
		if err != nil {
			return // none came in time
		}
		defer c.Close()
		_ = c.SetReadDeadline(time.Now().Add(limit))
		_, _ = io.Copy(counting{&came}, c)
	}()
	begun := time.Now()
	var c net.Conn
	err := from.do(func() (err error) { c, err = net.DialTimeout("tcp", l.Addr().String(), limit); return err })
	if err == nil {
		defer c.Close()
		_ = c.SetWriteDeadline(begun.Add(limit))
		for piece := make([]byte, transferPiece); err == nil; {
			_, err = c.Write(piece)
		}
	}
	n := came.Load()
	l.Close()
	<-over
	return n, nil // it ended because the time was over
}

// overQUIC does the same as tasks do it.
func (x *run) overQUIC(from, to *host, limit time.Duration) (int64, error) {
	id, err := transport.LoadIdentity(x.path("certs"))
	if err != nil {
		return 0, err
	}
	listen := func(h *host) (e *transport.Endpoint, err error) {
		err = h.do(func() (err error) {
			e, err = transport.Listen(transport.Config{Address: h.addr.String() + ":0", Identity: id})
			return err
		})
		return e, err
	}
	receiver, err := listen(to)
	if err != nil {
		return 0, err
	}
	defer receiver.Close()
	sender, err := listen(from)
	if err != nil {
		return 0, err
	}
	defer sender.Close()
	var came atomic.Int64
	receiver.HandleData(func(c *transport.DataConn) {
		if s, err := c.Accept(context.Background()); err == nil {
			_, _ = io.Copy(counting{&came}, s)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, err := sender.DialData(ctx, receiver.Addr())
	if err != nil {
		return 0, nil // not in time
	}
	s, err := c.Open(ctx)
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { s.Reset(0) })
	defer stop()
	for piece := make([]byte, transferPiece); err == nil; {
		_, err = s.Write(piece)
	}
	return came.Load(), nil
}

// counting counts what is written to it.
type counting struct{ n *atomic.Int64 }

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
