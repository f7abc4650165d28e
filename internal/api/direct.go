package api

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// Direct returns a transport that has h serve every request in this process, so that a client needs no socket. Answers
// stream: a body is read as h writes it.
func Direct(h http.Handler) http.RoundTripper { return direct{h} }

type direct struct{ handler http.Handler }

func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	served := req.Clone(ctx)
	served.RequestURI = req.URL.RequestURI()
	served.RemoteAddr = "127.0.0.1:0"
	if served.Host == "" {
		served.Host = req.URL.Host
	}
	if served.Body == nil {
		served.Body = http.NoBody
	}
	r, w := io.Pipe()
	answer := &directWriter{head: req.Method == http.MethodHead, header: http.Header{}, body: w, started: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.handler.ServeHTTP(answer, served)
		answer.WriteHeader(http.StatusOK)
		w.CloseWithError(req.Context().Err()) // an answer that the client's end cut short is not whole; nil is EOF
		served.Body.Close()
	}()
	select {
	case <-answer.started:
	case <-req.Context().Done():
		r.CloseWithError(req.Context().Err())
		cancel()
		<-done
		return nil, req.Context().Err()
	}
	return &http.Response{
		Status: http.StatusText(answer.status), StatusCode: answer.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.sent, ContentLength: -1, Request: req,
		Body: &directBody{PipeReader: r, cancel: cancel, done: done},
	}, nil
}

// directWriter is what the handler writes its answer to.
type directWriter struct {
	head    bool        // answers HEAD: what the handler writes of a body is dropped, as a server does
	header  http.Header // the handler's, until started
	sent    http.Header // as it was at WriteHeader; the client's from then on
	status  int
	body    *io.PipeWriter
	started chan struct{} // closed once status and sent are set
}

func (w *directWriter) Header() http.Header { return w.header }

func (w *directWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	close(w.started)
}

func (w *directWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.head {
		return len(p), nil
	}
	return w.body.Write(p)
}

// Flush does nothing: a write has reached the client when it returns.
func (w *directWriter) Flush() {}

// directBody is the client's side of the answer. Close ends the handler and waits for it.
type directBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   <-chan struct{}
}

var errBodyClosed = errors.New("the client has closed the answer")

func (b *directBody) Close() error {
	b.CloseWithError(errBodyClosed)
	b.cancel()
	<-b.done
	return nil
}
