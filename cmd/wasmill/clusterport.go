package main

import (
	"errors"
	"fmt"
	"net"
)

// clusterPort is the port that is tried first when none was asked for: that of the default URL.
const clusterPort = 7070

// choosePort settles on a port that is free for TCP and UDP. A port that was asked for must be.
func (c *localCluster) choosePort(given bool) error {
	if given && c.port != 0 {
		if !c.portFree() {
			return withHint(fmt.Errorf("port %d is in use: another process listens on %s", c.port, c.address()),
				"choose another --port, or leave it out to get a free one")
		}
		return nil
	}
	if !given {
		c.port = clusterPort
		if c.portFree() {
			return nil
		}
	}
	const tries = 20
	for range tries {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		c.port = l.Addr().(*net.TCPAddr).Port
		l.Close()
		if c.portFree() {
			return nil
		}
	}
	return errors.New("find a free port: none is free for both TCP and UDP")
}

func (c *localCluster) portFree() bool {
	l, err := net.Listen("tcp", c.address())
	if err != nil {
		return false
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", c.address())
	if err != nil {
		return false
	}
	u.Close()
	return true
}
