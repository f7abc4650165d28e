package egress

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// asks makes a client of a server, and asks it.
type asks struct {
	*Client
	t     *testing.T
	url   string
	hosts []string
}

func asking(t *testing.T, h http.HandlerFunc, c Config) *asks {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return askingOf(t, s.URL, c)
}

func askingOf(t *testing.T, url string, c Config) *asks {
	t.Helper()
	if c.Policy == nil {
		c.Policy = policyOf(t, "127.0.0.1:*", "localhost:*")
	}
	c.Connections, c.Response = max(c.Connections, 4), max(c.Response, 1<<10)
	made := New(c)
	t.Cleanup(func() { _ = made.Close() })
	return &asks{made, t, url, []string{"127.0.0.1:*", "localhost:*"}}
}

func (a *asks) ask(ctx context.Context, q abi.HTTPRequest) (abi.Answer, abi.HTTPResponse) {
	a.t.Helper()
	answer := a.Do(ctx, a.hosts, q.Append(nil))
	if answer.Outcome != abi.Answered {
		return answer, abi.HTTPResponse{}
	}
	r, err := abi.ParseHTTPResponse(answer.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer, r
}

// want asks for a path, and expects an outcome and what is said of it.
func (a *asks) want(path string, outcome abi.Outcome, said string) {
	a.t.Helper()
	answer, r := a.ask(context.Background(), abi.HTTPRequest{URL: a.url + path})
	if text := string(answer.Body) + string(r.Body); answer.Outcome != outcome || !strings.Contains(text, said) {
		a.t.Errorf("%s: %s, %s (expected %s, %q)", path, answer.Outcome, text, outcome, said)
	}
}

func TestARequestIsMadeAsItIsDescribed(t *testing.T) {
	a := asking(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", "yes")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.URL, r.Header["X-A"], r.UserAgent(), body)
	}, Config{})
	answer, r := a.ask(context.Background(), abi.HTTPRequest{Method: "PUT", URL: a.url + "/p?q=1", Headers: []abi.HTTPHeader{{Name: "x-a", Value: "1"}, {Name: "X-A", Value: "2"}}, Body: []byte("body")})
	if want := "PUT /p?q=1 [1 2] wasmill body"; answer.Code != http.StatusTeapot || string(r.Body) != want {
		t.Errorf("%d %q (expected %q)", answer.Code, r.Body, want)
	}
	seen := ""
	for _, h := range r.Headers {
		if h.Name == "X-Seen" {
			seen = h.Value
		}
	}
	if seen != "yes" {
		t.Errorf("headers %v", r.Headers)
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	a := asking(t, func(http.ResponseWriter, *http.Request) { t.Error("it was made") }, Config{})
	for _, q := range []abi.HTTPRequest{
		{URL: a.url, Method: "CONNECT"}, {URL: a.url, Method: "a b"}, {URL: "http://127.0.0.1:x/"}, {URL: ""},
		{URL: a.url, Headers: []abi.HTTPHeader{{Name: "Host", Value: "other"}}},
		{URL: a.url, Headers: []abi.HTTPHeader{{Name: "transfer-encoding", Value: "chunked"}}},
	} {
		if answer, _ := a.ask(context.Background(), q); answer.Outcome != abi.Refused || len(answer.Body) == 0 {
			t.Errorf("%+v: %s %s", q, answer.Outcome, answer.Body)
		}
	}
	if answer := a.Do(context.Background(), a.hosts, []byte("short")); answer.Outcome != abi.Refused {
		t.Errorf("bytes that are no request: %s", answer.Outcome)
	}
}

func TestRedirectsAreFollowedWhereTheyMayLead(t *testing.T) {
	var a *asks
	a = asking(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/there":
			fmt.Fprint(w, "arrived")
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest/", http.StatusFound)
		case "/name":
			http.Redirect(w, r, "http://other.example.com/", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		}
	}, Config{})
	a.want("/here", abi.Answered, "arrived")
	a.want("/metadata", abi.Refused, "redirected: 169.254.169.254:80 is none of the hosts")
	a.want("/name", abi.Refused, "redirected: other.example.com:80 is none of the hosts")
	a.want("/file", abi.Refused, "scheme")
	a.want("/round", abi.Refused, "redirected more than 10 times")
}

// A name that is granted does not reach this machine unless its address is granted, also when it is redirected to.
func TestTheAddressBehindANameIsChecked(t *testing.T) {
	served := atomic.Int32{}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	t.Cleanup(s.Close)
	port := s.URL[strings.LastIndexByte(s.URL, ':'):]
	a := askingOf(t, "http://localhost"+port, Config{Policy: policyOf(t, "localhost:*")})
	a.want("/", abi.Refused, "which is no public address and not granted itself")
	a = askingOf(t, s.URL, Config{Policy: policyOf(t, "localhost:*")})
	a.want("/", abi.Refused, "which is not granted")
	if served.Load() > 0 {
		t.Error("the server was reached")
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	hang := make(chan struct{})
	a := asking(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			fmt.Fprint(w, strings.Repeat("x", 2<<10))
		case "/closed":
			panic(http.ErrAbortHandler)
		case "/cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "some")
		case "/hang":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
	}, Config{})
	defer close(hang)
	a.want("/large", abi.Refused, "more than 1024 bytes (capabilities.http.response-limit)")
	a.want("/closed?secret", abi.Broken, "/closed: EOF")
	a.want("/cut", abi.Broken, "read the response")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	answer, _ := a.ask(ctx, abi.HTTPRequest{URL: a.url + "/hang?secret"})
	if said := string(answer.Body); answer.Outcome != abi.TimedOut || !strings.HasSuffix(said, "/hang: no answer in time") {
		t.Errorf("%s, %s", answer.Outcome, said)
	}
	gone := askingOf(t, "http://127.0.0.1:1", Config{})
	gone.want("/x?secret", abi.Broken, "GET http://127.0.0.1:1/x: dial tcp")
}

func TestConnectionsAreBounded(t *testing.T) {
	const all, atOnce = 40, 4
	var now, most atomic.Int32
	var met atomic.Bool
	meet := make(chan struct{})
	a := asking(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == atOnce && !met.Swap(true) { // the first so many are answered when they are all there
			close(meet)
		}
		<-meet
	}, Config{Connections: atOnce})
	done := make(chan abi.Answer)
	for range all {
		go func() {
			answer, _ := a.ask(context.Background(), abi.HTTPRequest{URL: a.url})
			done <- answer
		}()
	}
	for range all {
		if answer := <-done; answer.Outcome != abi.Answered {
			t.Errorf("%s: %s", answer.Outcome, answer.Body)
		}
	}
	if most.Load() != atOnce {
		t.Errorf("%d at once (expected %d)", most.Load(), atOnce)
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secure") }))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	askingOf(t, s.URL, Config{Roots: x509.NewCertPool()}).want("/", abi.Broken, "certificate")
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	askingOf(t, s.URL, Config{Roots: roots}).want("/", abi.Answered, "secure")
}
