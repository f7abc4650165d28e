//go:build faults

package faults

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// host is a machine of a network: a namespace whose only way out is a TUN device, of which the other end is the test's.
// What is sent there is IPv4, a packet at a time, and nothing is passed on but what the test writes.
type host struct {
	addr netip.Addr
	tun  *os.File
	ns   *os.File // its network namespace; nil: the test's own
}

// mtu is that of the hosts.
const mtu = 1500

// newHost makes a machine; its processes live in the test's own namespace or in one of their own.
func newHost(addr netip.Addr, own bool) (*host, error) {
	h := &host{addr: addr}
	made := make(chan error)
	go func() { // on a thread that ends with it, as it has left the test's namespace
		runtime.LockOSThread()
		made <- h.make(own)
	}()
	if err := <-made; err != nil {
		h.close()
		return nil, fmt.Errorf("make host %s: %w", addr, err)
	}
	return h, nil
}

func (h *host) make(own bool) error {
	if own {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare the network: %w", err)
		}
		var err error
		if h.ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		if err := raise("lo", nil); err != nil {
			return err
		}
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	const device = "cluster"
	req, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	h.tun = os.NewFile(uintptr(fd), "tun of "+h.addr.String()) // not before: until then there is nothing to poll
	if err != nil {
		return fmt.Errorf("make a TUN device: %w", err)
	}
	return raise(device, h.addr.AsSlice())
}

// raise sets an interface up, with an address of a /24 if it is given one.
func raise(device string, addr []byte) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	set := func(request uint, fill func(*unix.Ifreq) error) {
		req, e := unix.NewIfreq(device)
		if e == nil {
			e = fill(req)
		}
		if e == nil {
			e = unix.IoctlIfreq(s, request, req)
		}
		err = errors.Join(err, e)
	}
	if addr != nil {
		set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr) })
		set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) })
		set(unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(mtu); return nil })
	}
	set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil })
	if err != nil {
		return fmt.Errorf("set %s up: %w", device, err)
	}
	return nil
}

// do runs f in the host's namespace; what it starts stays there.
func (h *host) do(f func() error) error {
	if h.ns == nil {
		return f()
	}
	done := make(chan error)
	go func() { // on a thread that ends with it
		runtime.LockOSThread()
		if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter the namespace of %s: %w", h.addr, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// close ends the device; the namespace ends with its processes.
func (h *host) close() {
	for _, f := range []*os.File{h.tun, h.ns} {
		if f != nil {
			_ = f.Close()
		}
	}
}
