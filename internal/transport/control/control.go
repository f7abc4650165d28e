// Package control carries the messages of package wire between processes, as JSON over HTTP/3: a client and a handler for
// each direction. It knows how a message travels and how an error comes back, and nothing of what a message means: the
// handlers call the same methods that an embedded cluster calls directly.
//
// A request is POST /control/v1/NAME with the message as its body; a module is GET /control/v1/modules/ID, answered by
// its bytes. The answers:
//
//	200  the answer's message, or the module
//	409  a *wire.Failure: the call was refused, and nothing was done
//	500  any other error, as a failure without kind: the call may have been carried out in part
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/wasmill/wasmill/internal/failpoint"
	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/internal/wire"
)

const prefix = "/control/v1/"

// Limits of one call. A call whose context has no deadline gets one.
const (
	messageLimit  = 16 << 20         // bytes of a request or an answer
	callTimeout   = 10 * time.Second // what answers from memory
	commitTimeout = 2 * time.Minute  // what renames and syncs files, or carries a module
)

// none is the answer of a call that has none.
type none struct{}

// client makes calls to one peer.
type client struct {
	addr     string
	requests *transport.Requests
}

func newClient(e *transport.Endpoint, addr string) client {
	return client{addr: addr, requests: e.NewRequests()}
}

// Close ends the connection; calls under way fail.
func (c *client) Close() error { return c.requests.Close() }

// call sends a message and reads the answer.
func call[A any](ctx context.Context, c *client, timeout time.Duration, name string, message any) (*A, error) {
	ctx, cancel := withDeadline(ctx, timeout)
	defer cancel()
	text, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("%s: encode the request: %w", name, err)
	}
	body, err := c.do(ctx, http.MethodPost, name, text)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	answer := new(A)
	if err := decode(body, answer); err != nil {
		return nil, fmt.Errorf("%s: read the answer of %s: %w", name, c.addr, err)
	}
	return answer, nil
}

// withDeadline gives ctx a deadline if it has none.
func withDeadline(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// do sends a request; the caller closes the body of the good answer. When the connection turns out to be lost it asks once
// more on another one: every call may be repeated.
func (c *client) do(ctx context.Context, method, name string, text []byte) (io.ReadCloser, error) {
	fate := failpoint.FateOf(name)
	if fate == failpoint.Dropped {
		return nil, fmt.Errorf("%s: %s does not answer: %w", name, c.addr, context.DeadlineExceeded)
	}
	answer, err := c.send(ctx, method, name, text)
	if fate != failpoint.Sent && err == nil {
		answer.Body.Close()
		if fate == failpoint.Lost {
			return nil, fmt.Errorf("%s: %s does not answer: %w", name, c.addr, context.DeadlineExceeded)
		}
		answer, err = c.send(ctx, method, name, text)
	}
	if transport.Lost(err) && ctx.Err() == nil {
		answer, err = c.send(ctx, method, name, text)
	}
	if err != nil {
		if cause := ctx.Err(); errors.Is(cause, context.DeadlineExceeded) {
			err = fmt.Errorf("%s does not answer: %w", c.addr, cause)
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	return nil, refusal(c.addr, name, answer)
}

func (c *client) send(ctx context.Context, method, name string, text []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+c.addr+prefix+name, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return c.requests.RoundTrip(req)
}

// refusal makes the error that the peer's handler returned.
func refusal(addr, name string, answer *http.Response) error {
	var f wire.Failure
	if answer.Header.Get("Content-Type") != contentType || decode(answer.Body, &f) != nil {
		return fmt.Errorf("%s: %s answered %s", name, addr, answer.Status)
	}
	if answer.StatusCode == http.StatusConflict {
		return &f
	}
	return fmt.Errorf("%s: %s: %w", name, addr, &remoteError{f.Message})
}

// remoteError is an error of the peer that has no kind.
type remoteError struct{ message string }

func (e *remoteError) Error() string { return e.message }

func decode(r io.Reader, into any) error {
	limited := &io.LimitedReader{R: r, N: messageLimit + 1}
	err := json.NewDecoder(limited).Decode(into)
	if limited.N <= 0 {
		return fmt.Errorf("more than %d bytes", messageLimit)
	}
	return err
}
