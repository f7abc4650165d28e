package s3test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Fault is what becomes of a request.
type Fault int

// Faults.
const (
	Works    Fault = iota
	Refused        // 503, and nothing is done
	Denied         // 403, and nothing is done
	Reset          // the connection is reset in the middle of the request, or of the answer if it has no body; nothing is done
	Forgot         // it is done, and the connection reset before the answer
	Stalled        // nothing comes back until the client gives up, and nothing is done
	Slow           // half a second later than else
	Tolerant       // done as if the name were free, as servers do that know nothing of If-None-Match
)

// front passes requests on to the server, or breaks them.
type front struct {
	proxy   *httputil.ReverseProxy
	dir     string // of the server's objects
	address string
	open    func(network, address string) (net.Listener, error)
	server  *http.Server
	done    chan struct{}

	mu    sync.Mutex
	fault func(*http.Request) Fault // guarded by mu
}

func newFront(dir, socket string) *front {
	return &front{dir: dir, proxy: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "s3"
			r.Out.Host = r.In.Host // the request is signed with it
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			},
			DisableCompression: true, MaxIdleConnsPerHost: 16,
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { reset(w) },
	}}
}

// Break has requests meet what f says, until it is called again; nil lets all of them work. f is called by many
// goroutines.
func (s *Server) Break(f func(*http.Request) Fault) {
	s.front.mu.Lock()
	defer s.front.mu.Unlock()
	s.front.fault = f
}

func (f *front) listen(address string) error {
	l, err := f.open("tcp", address)
	if err != nil {
		return err
	}
	f.address = l.Addr().String()
	f.server, f.done = &http.Server{Handler: f}, make(chan struct{})
	go func() {
		defer close(f.done)
		_ = f.server.Serve(l)
	}()
	return nil
}

func (f *front) close() {
	_ = f.server.Close()
	<-f.done
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault == nil {
		f.proxy.ServeHTTP(w, r)
		return
	}
	switch fault(r) {
	case Refused:
		answer(w, r, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	case Denied:
		answer(w, r, http.StatusForbidden, "AccessDenied", "Access Denied")
	case Reset:
		f.cutOff(w, r)
	case Forgot:
		f.proxy.ServeHTTP(httptest.NewRecorder(), r)
		reset(w)
	case Stalled:
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	case Slow:
		time.Sleep(500 * time.Millisecond)
		f.proxy.ServeHTTP(w, r)
	case Tolerant:
		if r.Header.Get("If-None-Match") != "" {
			_ = os.Remove(filepath.Join(f.dir, r.URL.Path))
		}
		f.proxy.ServeHTTP(w, r)
	default:
		f.proxy.ServeHTTP(w, r)
	}
}

// answer says no, as Amazon's server does.
func answer(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
	}
}

// cutOff reads half of the request and resets the connection; of a request without a body it sends half of the answer.
func (f *front) cutOff(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > 0 {
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		reset(w)
		return
	}
	whole := httptest.NewRecorder()
	f.proxy.ServeHTTP(whole, r)
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(whole.Code)
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	reset(w)
}

// reset ends a connection as a process does that is killed.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
