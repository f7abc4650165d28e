package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// Config is what a client is made of.
type Config struct {
	Policy      *Policy
	Connections int            // requests that are made at once; others wait
	Response    int64          // bytes of a response's body
	Roots       *x509.CertPool // of servers' certificates; nil: the system's
}

// Client makes requests over HTTP. It follows redirects as far as their hosts may be asked, too, keeps no cookies, and knows no
// proxy.
type Client struct {
	policy    *Policy
	client    http.Client
	transport *http.Transport
	slots     chan struct{}
	response  int64
}

const (
	maxRedirects = 10
	maxHead      = 64 << 10 // bytes of a response's headers
	dialLimit    = 30 * time.Second
	idleLimit    = 90 * time.Second
)

// New makes a client.
func New(c Config) *Client {
	made := &Client{policy: c.Policy, slots: make(chan struct{}, max(c.Connections, 1)), response: c.Response}
	dialer := net.Dialer{Timeout: dialLimit, Control: made.control}
	made.transport = &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: c.Roots}, ForceAttemptHTTP2: true,
		MaxIdleConns: max(c.Connections, 1), MaxIdleConnsPerHost: max(c.Connections, 1), IdleConnTimeout: idleLimit, MaxResponseHeaderBytes: maxHead,
	}
	made.client = http.Client{Transport: made.transport, CheckRedirect: made.redirect}
	return made
}

// control sees the address of a connection right before it is made: what the name had been resolved to before is of no account.
func (c *Client) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusal{fmt.Sprintf("address %q: %v", address, err)}
	}
	return c.policy.connect(to)
}

// hostsKey is where the context of a request has the hosts that its operator names.
type hostsKey struct{}

func (c *Client) redirect(to *http.Request, via []*http.Request) error {
	hosts, _ := to.Context().Value(hostsKey{}).([]string)
	if err := c.policy.admit(to.URL, hosts); err != nil {
		return &refusal{"redirected: " + err.Error()}
	}
	switch {
	case len(via) > maxRedirects:
		return &refusal{fmt.Sprintf("redirected more than %d times", maxRedirects)}
	case to.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https":
		return &refusal{"redirected from https to " + to.URL.Scheme}
	}
	return nil
}

// Close ends the connections that wait for the next request.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// Check says why an operator may not ask these hosts, nil: it may.
func (c *Client) Check(hosts []string) error { return c.policy.Check(hosts) }

// Do makes a request, as package abi has it, to one of hosts. It returns when there is an answer or ctx ends.
func (c *Client) Do(ctx context.Context, hosts []string, request []byte) abi.Answer {
	asked, err := abi.ParseHTTPRequest(request)
	if err != nil {
		return refused("", err)
	}
	r, err := newRequest(context.WithValue(ctx, hostsKey{}, hosts), &asked)
	if err != nil {
		return refused("", err)
	}
	what := shown(r)
	if err := c.policy.admit(r.URL, hosts); err != nil {
		return refused(what, err)
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return broken(ctx, what, errors.New("all connections are in use (capabilities.http.connections)"))
	}
	response, err := c.client.Do(r)
	if err != nil {
		return broken(ctx, what, err)
	}
	defer response.Body.Close()
	return c.answer(ctx, what, response)
}

// newRequest makes the request that a guest has described.
func newRequest(ctx context.Context, asked *abi.HTTPRequest) (*http.Request, error) {
	method := asked.Method
	if method == "" {
		method = http.MethodGet
	}
	if strings.EqualFold(method, http.MethodConnect) {
		return nil, errors.New("method CONNECT (expected one that has a response)")
	}
	r, err := http.NewRequestWithContext(ctx, method, asked.URL, bytes.NewReader(asked.Body))
	if err != nil {
		return nil, bare(err)
	}
	r.Header.Set("User-Agent", "wasmill")
	given := http.Header{}
	for _, h := range asked.Headers {
		switch name := http.CanonicalHeaderKey(h.Name); name {
		case "Host", "Connection", "Upgrade", "Te", "Trailer", "Transfer-Encoding", "Content-Length", "Proxy-Authorization":
			return nil, fmt.Errorf("header %s (it is the host's to set)", name)
		default:
			given.Add(name, h.Value)
		}
	}
	for name, values := range given {
		r.Header[name] = values
	}
	return r, nil
}

// answer reads a response.
func (c *Client) answer(ctx context.Context, what string, response *http.Response) abi.Answer {
	body, err := io.ReadAll(io.LimitReader(response.Body, c.response+1))
	switch {
	case err != nil:
		return broken(ctx, what, fmt.Errorf("read the response: %w", err))
	case int64(len(body)) > c.response:
		return refused(what, fmt.Errorf("the response has more than %d bytes (capabilities.http.response-limit)", c.response))
	}
	made := abi.HTTPResponse{Body: body}
	for name, values := range response.Header {
		for _, v := range values {
			made.Headers = append(made.Headers, abi.HTTPHeader{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(made.Headers, func(a, b abi.HTTPHeader) int { return strings.Compare(a.Name, b.Name) })
	return abi.Answer{Outcome: abi.Answered, Code: uint32(response.StatusCode), Body: made.Append(nil)}
}

// shown is a request for people: without what may be secret.
func shown(r *http.Request) string {
	u := url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path}
	return r.Method + " " + u.String()
}

func refused(what string, err error) abi.Answer { return failed(abi.Refused, what, err) }

// broken is the answer to a request that has none: not in time, not at all, or by our own refusal on the way.
func broken(ctx context.Context, what string, err error) abi.Answer {
	var ours *refusal
	switch {
	case errors.As(err, &ours):
		return refused(what, ours)
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return failed(abi.TimedOut, what, errors.New("no answer in time"))
	}
	return failed(abi.Broken, what, err)
}

func failed(outcome abi.Outcome, what string, err error) abi.Answer {
	text := bare(err).Error()
	if what != "" {
		text = what + ": " + text
	}
	return abi.Answer{Outcome: outcome, Body: []byte(text)}
}

// bare is an error without the URL that net/http puts before it, which may have secrets in its query.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
