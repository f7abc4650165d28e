package main

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// closers are the parts of a process that must be closed, in the order in which they were started.
type closers []part

type part struct {
	name string
	io.Closer
}

func (c *closers) add(name string, closer io.Closer) { *c = append(*c, part{name, closer}) }

// close closes all parts, the last first, and forgets them.
func (c *closers) close() error {
	var all []error
	for i := len(*c) - 1; i >= 0; i-- {
		p := (*c)[i]
		if err := p.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			all = append(all, fmt.Errorf("stop %s: %w", p.name, err))
		}
	}
	*c = nil
	return errors.Join(all...)
}

// closeFunc is a part whose closing cannot go wrong.
type closeFunc func()

func (f closeFunc) Close() error { f(); return nil }

// closeError is a part whose closing may go wrong.
type closeError func() error

func (f closeError) Close() error { return f() }
