package faults

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// relay stands before a process's UDP port on loopback: others send to the relay, and it passes on what it likes. Each
// direction (towards the process, and back) can be cut, slowed down, or made to lose, repeat, reorder and damage packets.
type relay struct {
	front  *net.UDPConn
	target *net.UDPAddr
	wg     sync.WaitGroup

	mu      sync.Mutex
	random  *rand.Rand
	in, out weather
	peers   map[string]*peer

	taken atomic.Int64 // packets that were dropped or changed
}

// weather is what a direction does to packets.
type weather struct {
	Cut                  bool
	Loss, Repeat, Damage float64 // probabilities
	Delay, Jitter        time.Duration
	BytesPerSecond       int // 0: unlimited
}

// peer is somebody who sends to the front: the process sees each under a port of its own.
type peer struct {
	addr *net.UDPAddr
	back *net.UDPConn
	free [2]time.Time // when the slow link in each direction is free again
}

// newRelay listens on a free port of loopback before target.
func newRelay(target string, seed uint64) (*relay, error) {
	to, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		return nil, err
	}
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	_ = front.SetReadBuffer(4 << 20)
	r := &relay{front: front, target: to, random: rand.New(rand.NewPCG(seed, 9)), peers: map[string]*peer{}}
	r.wg.Go(r.serve)
	return r, nil
}

// Addr is where others send to.
func (r *relay) Addr() string { return r.front.LocalAddr().String() }

// Set changes the weather towards the process and back.
func (r *relay) Set(in, out weather) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.in, r.out = in, out
}

// Taken is how many packets faults have dropped or changed.
func (r *relay) Taken() int64 { return r.taken.Load() }

// Close ends the relay.
func (r *relay) Close() {
	r.front.Close()
	r.mu.Lock()
	for _, p := range r.peers {
		p.back.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

func (r *relay) serve() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := r.front.ReadFromUDP(buf)
		if err != nil {
			return
		}
		p, err := r.peer(from)
		if err != nil {
			continue
		}
		r.pass(buf[:n], true, &p.free[0], func(b []byte) { _, _ = p.back.Write(b) })
	}
}

// peer is the one that sends from an address; its answers are relayed from now on.
func (r *relay) peer(from *net.UDPAddr) (*peer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[from.String()]; p != nil {
		return p, nil
	}
	back, err := net.DialUDP("udp", nil, r.target)
	if err != nil {
		return nil, err
	}
	_ = back.SetReadBuffer(4 << 20)
	p := &peer{addr: from, back: back}
	r.peers[from.String()] = p
	r.wg.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := back.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // the process is not there: its port answers so
			}
			r.pass(buf[:n], false, &p.free[1], func(b []byte) { _, _ = r.front.WriteToUDP(b, from) })
		}
	})
	return p, nil
}

// pass sends a packet on, or does to it what the weather says.
func (r *relay) pass(packet []byte, in bool, free *time.Time, send func([]byte)) {
	r.mu.Lock()
	w := r.out
	if in {
		w = r.in
	}
	draw, delay := r.random.Float64(), w.Delay
	if w.Jitter > 0 {
		delay += time.Duration(r.random.Int64N(int64(w.Jitter)))
	}
	at := 0
	if len(packet) > 0 {
		at = r.random.IntN(len(packet))
	}
	if w.BytesPerSecond > 0 {
		now := time.Now()
		if free.Before(now) {
			*free = now
		}
		*free = free.Add(time.Duration(len(packet)) * time.Second / time.Duration(w.BytesPerSecond))
		delay += free.Sub(now)
	}
	r.mu.Unlock()
	copies := 1
	switch {
	case w.Cut || draw < w.Loss:
		r.taken.Add(1)
		return
	case draw < w.Loss+w.Repeat:
		r.taken.Add(1)
		copies = 2
	case draw < w.Loss+w.Repeat+w.Damage && len(packet) > 0:
		r.taken.Add(1)
		packet[at] ^= 1 << (at % 8)
	}
	if delay == 0 {
		for range copies {
			send(packet)
		}
		return
	}
	r.taken.Add(1)
	own := append([]byte(nil), packet...)
	time.AfterFunc(delay, func() {
		for range copies {
			send(own)
		}
	})
}
