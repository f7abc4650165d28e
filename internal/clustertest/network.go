package clustertest

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// network is a simulated network: every process has an address of its own, and any direction between two of them can be
// cut, slowed down, or made to lose, repeat and damage packets.
type network struct {
	simnet.PerfectRouter

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	dead   map[netip.Addr]bool   // processes that were killed: nothing comes from them or to them
	cut    map[direction]bool    // directions in which packets vanish
	worse  map[direction]weather // directions that are worse than perfect
	lost   map[direction]int     // packets that a fault has taken, by direction
	paused map[netip.Addr]bool   // processes whose packets wait
	held   []simnet.Packet       // those that wait, the oldest first
}

type direction struct{ from, to netip.Addr }

// weather is what a direction does to packets.
type weather struct {
	loss, repeat, damage float64 // probabilities
	delay, jitter        time.Duration
}

func newNetwork() *network {
	return &network{
		random: rand.New(rand.NewPCG(1, 2)), dead: map[netip.Addr]bool{}, cut: map[direction]bool{},
		worse: map[direction]weather{}, lost: map[direction]int{}, paused: map[netip.Addr]bool{},
	}
}

// join gives a process its port.
func (n *network) join(addr netip.AddrPort) net.PacketConn {
	udp := net.UDPAddrFromAddrPort(addr)
	udp.IP = udp.IP.To16() // as names resolve to
	return simnet.NewBlockingSimConn(udp, n)
}

// SendPacket implements simnet.Router.
func (n *network) SendPacket(p simnet.Packet) error {
	d := direction{addrOf(p.From), addrOf(p.To)}
	n.mu.Lock()
	if n.dead[d.from] || n.dead[d.to] || n.cut[d] {
		n.lost[d]++
		n.mu.Unlock()
		return nil
	}
	if n.paused[d.from] || n.paused[d.to] {
		n.held = append(n.held, p)
		n.mu.Unlock()
		return nil
	}
	w, bad := n.worse[d]
	var copies int
	var damage bool
	var delay time.Duration
	if bad {
		copies = 1
		switch r := n.random.Float64(); {
		case r < w.loss:
			copies = 0
		case r < w.loss+w.repeat:
			copies = 2
		case r < w.loss+w.repeat+w.damage:
			damage = true
		}
		if copies != 1 || damage {
			n.lost[d]++
		}
		delay = w.delay
		if w.jitter > 0 {
			delay += time.Duration(n.random.Int64N(int64(w.jitter)))
		}
		if damage && len(p.Data) > 0 {
			p = damaged(p, n.random.IntN(len(p.Data)))
		}
	}
	n.mu.Unlock()
	if !bad {
		return n.PerfectRouter.SendPacket(p)
	}
	for range copies {
		if delay == 0 {
			if err := n.PerfectRouter.SendPacket(p); err != nil {
				return err
			}
			continue
		}
		time.AfterFunc(delay, func() { _ = n.PerfectRouter.SendPacket(p) })
	}
	return nil
}

// damaged is the packet with one bit turned.
func damaged(p simnet.Packet, at int) simnet.Packet {
	data := slices.Clone(p.Data)
	data[at] ^= 1 << (at % 8)
	p.Data = data
	return p
}

func addrOf(a net.Addr) netip.Addr { return a.(*net.UDPAddr).AddrPort().Addr().Unmap() }

// kill makes a process vanish: nothing that it still sends arrives.
func (n *network) kill(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead[a] = true
}

// pause makes the packets of a process wait, both ways.
func (n *network) pause(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paused[a] = true
}

// resume lets all that waits go on, and says how many that are.
func (n *network) resume(a netip.Addr) int {
	n.mu.Lock()
	delete(n.paused, a)
	held := n.held
	n.held = nil
	n.mu.Unlock()
	for _, p := range held {
		_ = n.SendPacket(p) // of another process that is paused: it waits again
	}
	return len(held)
}

// revive lets a new process have the address of a killed one.
func (n *network) revive(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.dead, a)
}

// sever cuts one direction, heal mends it.
func (n *network) sever(from, to netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[direction{from, to}] = true
}

func (n *network) heal(from, to netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, direction{from, to})
	delete(n.worse, direction{from, to})
}

func (n *network) worsen(from, to netip.Addr, w weather) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.worse[direction{from, to}] = w
}

// taken is how many packets of a direction faults have taken or changed so far.
func (n *network) taken(from, to netip.Addr) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost[direction{from, to}]
}
