package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// severed is a network that can be cut: packets vanish, and nobody is told.
type severed struct {
	simnet.PerfectRouter
	cut atomic.Bool
}

func (r *severed) SendPacket(p simnet.Packet) error {
	if r.cut.Load() {
		return nil
	}
	return r.PerfectRouter.SendPacket(p)
}

// A lost host says nothing. Both ends notice after the idle time-out, in virtual time: a reader that waits for data, and
// a writer that waits for its window.
func TestCutNetworkIsNoticedByBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &severed{}
		sim := &simnet.Simnet{Router: network}
		conns := map[string]net.PacketConn{}
		for _, addr := range []string{"10.0.0.1:1000", "10.0.0.2:1000"} {
			udp, err := net.ResolveUDPAddr("udp", addr)
			if err != nil {
				t.Fatal(err)
			}
			conns[addr] = sim.NewEndpoint(udp, simnet.NodeBiDiLinkSettings{Latency: 20 * time.Millisecond})
		}
		if err := sim.Start(); err != nil {
			t.Fatal(err)
		}
		ca := newCA(t)
		var ends []*Endpoint
		for _, conn := range conns {
			e, err := Listen(Config{Identity: issue(t, ca, time.Hour), Conn: conn})
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, e)
		}
		reader, writer := ends[0], ends[1]
		lost := make(chan error, 2)
		started := make(chan struct{})
		reader.HandleData(func(c *DataConn) {
			s, err := c.Accept(context.Background())
			if err == nil {
				_, err = io.ReadFull(s, make([]byte, 5))
			}
			close(started)
			<-c.Done() // without reading: the writer's window fills
			_, read := io.Copy(io.Discard, s)
			lost <- errors.Join(err, read)
		})
		conn, err := writer.DialData(t.Context(), reader.Addr())
		if err != nil {
			t.Fatal(err)
		}
		s, err := conn.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := s.Write(make([]byte, 2*StreamWindow))
			lost <- err
		}()
		<-started
		time.Sleep(time.Minute) // virtual: keep-alives hold the idle connection
		if len(lost) != 0 {
			t.Fatalf("lost while the network was whole: %v", <-lost)
		}
		network.cut.Store(true)
		began := time.Now()
		for range 2 {
			if err := <-lost; err == nil || !strings.Contains(err.Error(), "has not answered for 10s") {
				t.Errorf("%v (expected the idle time-out)", err)
			}
		}
		if took := time.Since(began); took > idleTimeout+keepAlive {
			t.Errorf("noticed after %s", took)
		}
		for _, e := range ends {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
}
