package transport

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Requests sends control requests to one peer from the endpoint's port. It connects at the first request, keeps that
// connection, and connects again after it was lost. It may be used from any goroutine.
type Requests struct {
	client *http3.Transport
}

// NewRequests returns the requests to a peer; its address is in each request's URL.
func (e *Endpoint) NewRequests() *Requests {
	return &Requests{client: &http3.Transport{
		QUICConfig:         quicConfig(),
		DisableCompression: true,
		Logger:             e.log,
		Dial: func(ctx context.Context, addr string, _ *tls.Config, _ *quic.Config) (*quic.Conn, error) {
			return e.dial(ctx, addr, http3.NextProtoH3)
		},
	}}
}

// RoundTrip sends one request. Its error, and one of the answer's body, is what a user can act on.
func (r *Requests) RoundTrip(req *http.Request) (*http.Response, error) {
	answer, err := r.client.RoundTrip(req)
	if err != nil {
		return nil, explain(req.URL.Host, err)
	}
	answer.Body = body{answer.Body, req.URL.Host}
	return answer, nil
}

// Close ends the connection.
func (r *Requests) Close() error { return r.client.Close() }

// body explains what breaks an answer.
type body struct {
	io.ReadCloser
	peer string
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = explain(b.peer, err)
	}
	return n, err
}

func (e *Endpoint) serveControl(w http.ResponseWriter, r *http.Request) {
	h := e.control.Load()
	if h == nil {
		http.Error(w, "this process takes no control requests", http.StatusServiceUnavailable)
		return
	}
	(*h).ServeHTTP(w, r)
}
