//go:build faults

package faults

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// network connects hosts. Each direction between two of them is a link of its own, which can be cut or made bad; what
// faults did to its packets is counted. Links are perfect at first.
type network struct {
	hosts map[netip.Addr]*host // as they were made
	wg    sync.WaitGroup       // a reader a host, and who delivers what is late
	wake  chan struct{}        // capacity 1: there is something new to deliver
	over  chan struct{}        // closed by close

	mu      sync.Mutex // guards what follows
	random  *rand.Rand
	links   map[direction]*link
	late    lateness
	number  int64               // of the packet that was made late last
	watched func(packet []byte) // sees every packet that is sent, if there is somebody; it keeps none
}

type direction struct{ from, to netip.Addr }

// link is what becomes of the packets of one direction.
type link struct {
	weather
	cut    bool
	free   time.Time // when the slow link has sent what was given to it
	burst  time.Time // until then everything is lost
	counts counts
}

// weather is what makes a link bad; the numbers without a unit are probabilities.
type weather struct {
	loss, burst, twice, overtaken, damage, shorten float64

	delay, jitter time.Duration // each packet comes up to so much earlier or later than the delay
	rate          int           // bytes a second; 0: as fast as can be
}

// burstTime is how long a burst of losses lasts, queueTime how much a slow link has room for: what does not fit is lost.
const (
	burstTime = 30 * time.Millisecond
	queueTime = 200 * time.Millisecond
)

// counts are packets, by what became of them.
type counts struct{ sent, cut, lost, twice, overtaken, damaged, shortened, delayed int }

func (c counts) faults() int {
	return c.cut + c.lost + c.twice + c.overtaken + c.damaged + c.shortened + c.delayed
}

func (c *counts) add(d counts) {
	c.sent += d.sent
	c.cut += d.cut
	c.lost += d.lost
	c.twice += d.twice
	c.overtaken += d.overtaken
	c.damaged += d.damaged
	c.shortened += d.shortened
	c.delayed += d.delayed
}

func (c counts) String() string {
	text := ""
	for _, one := range []struct {
		n    int
		what string
	}{{c.cut, "cut off"}, {c.lost, "lost"}, {c.twice, "doubled"}, {c.overtaken, "overtaken"}, {c.damaged, "damaged"}, {c.shortened, "shortened"}, {c.delayed, "delayed"}} {
		if one.n > 0 {
			text += fmt.Sprintf(", %d %s", one.n, one.what)
		}
	}
	return fmt.Sprintf("%d packets%s", c.sent, text)
}

// newNetwork makes a network of hosts; those behind the first have namespaces of their own.
func newNetwork(seed uint64, addrs ...netip.Addr) (*network, error) {
	n := &network{
		hosts: map[netip.Addr]*host{}, wake: make(chan struct{}, 1), over: make(chan struct{}),
		random: rand.New(rand.NewPCG(seed, 21)), links: map[direction]*link{},
	}
	for i, a := range addrs {
		h, err := newHost(a, i > 0)
		if err != nil {
			n.close()
			return nil, err
		}
		n.hosts[a] = h
	}
	for _, h := range n.hosts {
		n.wg.Go(func() { n.runHost(h) })
	}
	n.wg.Go(n.runLate)
	return n, nil
}

// close ends the network.
func (n *network) close() {
	close(n.over)
	for _, h := range n.hosts {
		h.close()
	}
	n.wg.Wait()
}

// runHost takes what a host sends until its device is closed.
func (n *network) runHost(h *host) {
	buffer := make([]byte, mtu)
	for {
		size, err := h.tun.Read(buffer)
		if err != nil {
			return
		}
		if p := buffer[:size]; isIPv4(p) {
			n.pass(h.addr, p)
		}
	}
}

// pass lets a packet go over its link.
func (n *network) pass(from netip.Addr, p []byte) {
	to := n.hosts[destination(p)]
	if to == nil {
		return
	}
	n.mu.Lock()
	if n.watched != nil {
		n.watched(p)
	}
	copies := n.fate(n.link(from, to.addr), to, p)
	n.mu.Unlock()
	for range copies {
		_, _ = to.tun.Write(p) // a host that is gone
	}
}

// fate decides what becomes of a packet, which it may change, and says how often it is delivered at once. n.mu is held.
func (n *network) fate(l *link, to *host, p []byte) (copies int) {
	l.counts.sent++
	now := time.Now()
	if l.cut {
		l.counts.cut++
		return 0
	}
	if l.weather == (weather{}) {
		return 1
	}
	if n.drawn(l.weather.burst) {
		l.burst = now.Add(burstTime)
	}
	if n.drawn(l.loss) || now.Before(l.burst) {
		l.counts.lost++
		return 0
	}
	copies = 1
	if n.drawn(l.twice) {
		l.counts.twice++
		copies = 2
	}
	if n.drawn(l.damage) && damage(p, n.random) {
		l.counts.damaged++
	}
	if n.drawn(l.shorten) && shorten(p, n.random) {
		l.counts.shortened++
	}
	wait, fits := l.wait(now, len(p), n.random)
	if !fits {
		l.counts.lost++
		return 0
	}
	if n.drawn(l.overtaken) {
		l.counts.overtaken++
		wait += time.Millisecond + time.Duration(n.random.Int64N(int64(20*time.Millisecond)))
	}
	if wait == 0 {
		return copies
	}
	l.counts.delayed++
	for range copies {
		n.number++
		heap.Push(&n.late, latePacket{due: now.Add(wait), number: n.number, to: to, data: append([]byte(nil), cut(p)...)})
	}
	select {
	case n.wake <- struct{}{}:
	default:
	}
	return 0
}

func (n *network) drawn(chance float64) bool { return chance > 0 && n.random.Float64() < chance }

// wait is how long a packet is under way; it does not fit if too many are before it.
func (l *link) wait(now time.Time, size int, random *rand.Rand) (wait time.Duration, fits bool) {
	if l.rate > 0 {
		if l.free.Before(now) {
			l.free = now
		}
		if l.free.Sub(now) > queueTime {
			return 0, false
		}
		l.free = l.free.Add(time.Duration(size) * time.Second / time.Duration(l.rate))
		wait = l.free.Sub(now)
	}
	wait += l.delay
	if l.jitter > 0 {
		wait += time.Duration(random.Int64N(int64(2*l.jitter))) - l.jitter
	}
	return max(wait, 0), true
}

// link is the link of a direction. n.mu is held.
func (n *network) link(from, to netip.Addr) *link {
	d := direction{from, to}
	if n.links[d] == nil {
		n.links[d] = &link{}
	}
	return n.links[d]
}

// sever cuts the link from one host to another, worsen makes it bad, heal mends it.
func (n *network) sever(from, to netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).cut = true
}

func (n *network) worsen(from, to netip.Addr, w weather) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).weather = w
}

func (n *network) heal(from, to netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(from, to)
	l.weather, l.cut = weather{}, false
}

// reseed has chance begin anew.
func (n *network) reseed(seed uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.random = rand.New(rand.NewPCG(seed, 22))
}

// counted is what became of the packets of a direction so far.
func (n *network) counted(from, to netip.Addr) counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link(from, to).counts
}

// watch has somebody see every packet, or nobody any more.
func (n *network) watch(see func(packet []byte)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watched = see
}

// inject gives a host a packet, as if somebody had sent it.
func (n *network) inject(to netip.Addr, p []byte) error {
	_, err := n.hosts[to].tun.Write(p)
	return err
}

// latePacket is one that is under way.
type latePacket struct {
	due    time.Time
	number int64 // in the order in which they were sent
	to     *host
	data   []byte
}

// lateness is a heap of them: what is due first, and among those what was sent first.
type lateness []latePacket

func (h lateness) Len() int      { return len(h) }
func (h lateness) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h lateness) Less(i, j int) bool {
	return h[i].due.Before(h[j].due) || h[i].due.Equal(h[j].due) && h[i].number < h[j].number
}
func (h *lateness) Push(p any) { *h = append(*h, p.(latePacket)) }
func (h *lateness) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// runLate delivers what is late when it is due, until the network is closed.
func (n *network) runLate() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := time.Hour
		n.mu.Lock()
		for len(n.late) > 0 {
			if wait = time.Until(n.late[0].due); wait > 0 {
				break
			}
			p := heap.Pop(&n.late).(latePacket)
			_, _ = p.to.tun.Write(p.data)
			wait = time.Hour
		}
		n.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-n.wake:
		case <-n.over:
			return
		}
	}
}
