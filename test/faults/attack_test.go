//go:build faults

package faults

import (
	"crypto/rand"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/wasmill/wasmill/internal/clustertest/workload"
)

// tap keeps datagrams that the processes of a network have sent each other.
type tap struct {
	mu         sync.Mutex
	handshakes [][]byte // packets, the first
	others     [][]byte // packets, the last
	received   map[netip.Addr]int
}

// Most of each kind that is kept.
const tapped = 1000

// see is given every packet.
func (t *tap) see(p []byte) {
	d := datagram(p)
	if d == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.received[destination(p)]++
	switch long := d[udpHeader]&0x80 != 0; { // QUIC's long headers are those of handshakes
	case long && len(t.handshakes) < tapped:
		t.handshakes = append(t.handshakes, slices.Clone(p))
	case !long && len(t.others) < tapped:
		t.others = append(t.others, slices.Clone(p))
	case !long:
		t.others[t.received[destination(p)]%tapped] = slices.Clone(p)
	}
}

// of are those of one kind that were sent to somebody.
func (t *tap) of(kind [][]byte, to netip.Addr) (all [][]byte) {
	for _, p := range kind {
		if destination(p) == to {
			all = append(all, p)
		}
	}
	return all
}

func (t *tap) datagrams(to netip.Addr) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.received[to]
}

// hostile makes packets that nobody asked for, to one process.
type hostile struct {
	name string
	make func(a *attacker) []byte
}

// attacker sends packets to a process.
type attacker struct {
	random             *mathrand.Rand
	to                 netip.AddrPort
	peer, stranger     netip.AddrPort
	handshakes, others [][]byte
}

func (a *attacker) bytes(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.Read(p) // never fails
	return p
}

func (a *attacker) one(of [][]byte) []byte { return slices.Clone(of[a.random.IntN(len(of))]) }

// hostiles are the kinds of packets.
var hostiles = []hostile{
	{"garbage of a stranger", func(a *attacker) []byte {
		return newDatagram(a.stranger, a.to, a.bytes(1+a.random.IntN(1400)))
	}},
	{"garbage in a peer's name", func(a *attacker) []byte {
		return newDatagram(a.peer, a.to, a.bytes(1+a.random.IntN(1400)))
	}},
	{"handshakes made up", func(a *attacker) []byte { // what looks like a client's first packet: version 1, ids, and noise
		p := a.bytes(1200)
		copy(p, []byte{0xc0, 0, 0, 0, 1, 8})
		p[14], p[15], p[16] = 8, 0, 0x44 // ids of 8 bytes; no token; a length of two bytes
		return newDatagram(a.stranger, a.to, p)
	}},
	{"versions that there are not", func(a *attacker) []byte {
		p := a.bytes(1200)
		copy(p, []byte{0xc0, 0xba, 0xba, 0xba, 0xba, 8})
		p[14] = 8
		return newDatagram(a.stranger, a.to, p)
	}},
	{"datagrams cut short", func(a *attacker) []byte {
		p := a.one(a.others)
		shorten(p, a.random)
		return cut(p)
	}},
	{"datagrams damaged", func(a *attacker) []byte {
		p := a.one(a.others)
		damage(p, a.random)
		return p
	}},
	{"datagrams again", func(a *attacker) []byte { return a.one(a.others) }},
	{"handshakes again", func(a *attacker) []byte { return a.one(a.handshakes) }},
}

// attackRate is how many packets a second a process is sent, attackTime for how long: each kind, and none to compare.
const (
	attackRate = 2000
	attackTime = time.Second
)

// amplification is how much more a hostile packet may cost than one of a peer.
const amplification = 2

// attacks are row 9: on the way of all packets, and beside them.
func attacks() []scenario {
	heard := &tap{}
	return []scenario{
		{row: "9", name: "damaged and shortened on the way", networked: true, fault: func(x *run) {
			x.completes(1)
			attempt := x.attempt()
			clear := x.brew(x.everywhere(), weather{damage: 0.05, shorten: 0.05})
			x.completes(5)
			clear()
			x.note = fmt.Sprintf("%d restarts", x.attempt()-attempt)
		}},
		{row: "9", name: "garbage, replay", networked: true, workload: workload.Ledger, records: 180_000, pace: 500 * time.Millisecond,
			prepare: func(x *run) {
				heard.received = map[netip.Addr]int{}
				heard.handshakes, heard.others = nil, nil
				x.net.watch(heard.see)
			},
			fault: func(x *run) { attack(x, heard) }},
	}
}

// attack sends each kind of packets to each process, and measures what it costs.
func attack(x *run, heard *tap) {
	x.t.Helper()
	x.completes(2)
	attempt := x.attempt()
	worst := ""
	most := 0.0
	for i, p := range x.processes() {
		to := netip.AddrPortFrom(x.addrOf(i), 7070)
		legitimate, idle := x.peace(p, to.Addr(), heard)
		a := &attacker{random: x.random, to: to, peer: netip.AddrPortFrom(x.addrOf((i+1)%len(x.processes())), 7070),
			stranger: netip.AddrPortFrom(hostAddr(100), 4433)}
		heard.mu.Lock()
		a.handshakes, a.others = heard.of(heard.handshakes, to.Addr()), heard.of(heard.others, to.Addr())
		heard.mu.Unlock()
		sent := 0
		for _, h := range hostiles {
			used := x.storm(p, a, h)
			cost := max(0, used-idle).Seconds() / (attackRate * attackTime.Seconds())
			sent += int(attackRate * attackTime.Seconds())
			if ratio := cost / legitimate; ratio > most {
				most, worst = ratio, fmt.Sprintf("%s to %s, %.0f us a packet", h.name, p.name, cost*1e6)
			}
		}
		x.effect("%d packets of %d kinds to %s", sent, len(hostiles), p.name)
	}
	x.stray()
	x.completes(1)
	for _, p := range x.processes() {
		if !p.runs() {
			x.t.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)
		}
	}
	if n := x.attempt() - attempt; n > 0 {
		x.t.Errorf("%d restarts (expected none: who is not of the cluster breaks nothing)", n)
	}
	x.note = fmt.Sprintf("worst: %s, %.1f times that of a peer", worst, most)
	if most > amplification {
		x.t.Errorf("%s: %.1f times what a peer's costs (expected <= %d)", worst, most, amplification)
	}
}

// peace measures what a packet of the job's own costs a process, in seconds, and what the process uses in the time of an attack.
func (x *run) peace(p *process, addr netip.Addr, heard *tap) (packet float64, idle time.Duration) {
	cpu, packets := p.cpu(), heard.datagrams(addr)
	x.pass(2 * attackTime)
	used := p.cpu() - cpu
	return used.Seconds() / float64(max(1, heard.datagrams(addr)-packets)), used / 2
}

// storm sends packets of a kind, and answers what the process used meanwhile.
func (x *run) storm(p *process, a *attacker, h hostile) time.Duration {
	x.t.Helper()
	cpu := p.cpu()
	const step = 5 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	const each = attackRate * int(step) / int(time.Second)
	for range int(attackTime / step) {
		for range each {
			if err := x.net.inject(a.to.Addr(), h.make(a)); err != nil {
				x.t.Fatal(err)
			}
		}
		<-tick.C
	}
	return p.cpu() - cpu
}

// stray connects to the JobManager's TCP port with what is no TLS.
func (x *run) stray() {
	x.t.Helper()
	size, err := rand.Int(rand.Reader, big.NewInt(4096))
	if err != nil {
		x.t.Fatal(err)
	}
	for range 20 {
		c, err := net.Dial("tcp", x.addrOf(0).String()+":7072")
		if err != nil {
			x.t.Fatal(err)
		}
		garbage := make([]byte, 1+size.Int64())
		_, _ = rand.Read(garbage) // never fails
		_, _ = c.Write(garbage)   // it may have hung up
		c.Close()
	}
	x.effect("garbage to the liveness port")
}

// cpu is the time that the threads of the process have used.
func (p *process) cpu() (sum time.Duration) {
	p.x.t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		p.x.t.Fatalf("threads of %s: %d, %v", p.name, len(threads), err)
	}
	for _, t := range threads {
		var ns int64
		if text, err := os.ReadFile(t); err == nil { // one that has ended has used little
			_, err = fmt.Sscan(string(text), &ns)
			if err != nil {
				p.x.t.Fatal(err)
			}
		}
		sum += time.Duration(ns)
	}
	return sum
}
