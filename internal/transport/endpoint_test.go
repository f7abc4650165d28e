package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func listen(t testing.TB, id *Identity, address string) *Endpoint {
	t.Helper()
	e, err := Listen(Config{Address: address, Identity: id})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

const loopback = "127.0.0.1:0"

// ask sends one control request.
func ask(t testing.TB, r *Requests, addr string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := r.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

func answer(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func TestOnePortHasBothProtocols(t *testing.T) {
	ca := newCA(t)
	server, client := listen(t, issue(t, ca, time.Hour), loopback), listen(t, issue(t, ca, time.Hour), loopback)
	server.HandleControl(answer("control"))
	read := make(chan string, 1)
	server.HandleData(func(c *DataConn) {
		s, err := c.Accept(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		text, err := io.ReadAll(s)
		if err != nil {
			t.Error(err)
		}
		read <- string(text)
		<-c.Done()
	})
	if got, err := ask(t, client.NewRequests(), server.Addr()); got != "control" {
		t.Errorf("%q, %v (expected control)", got, err)
	}
	conn, err := client.DialData(t.Context(), server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	s, err := conn.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(s, "data"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got := <-read; got != "data" {
		t.Errorf("%q (expected data)", got)
	}
	conn.Close("")
}

func TestStrangersAreRefusedInWords(t *testing.T) {
	ours, theirs := newCA(t), newCA(t)
	good := issue(t, ours, time.Hour)
	// disguised trusts our CA but shows another's certificate: only the server can see what is wrong.
	disguised := newIdentity(issue(t, theirs, time.Hour).cert, ours.cert)
	mute := newIdentity(tls.Certificate{PrivateKey: good.cert.PrivateKey, Leaf: good.cert.Leaf}, ours.cert)
	for name, c := range map[string]struct {
		server, client *Identity
		want           string
	}{
		"another cluster":                {issue(t, theirs, time.Hour), good, "its certificate is from another cluster's CA"},
		"expired server":                 {issue(t, ours, -time.Minute), good, "its certificate is valid from"},
		"client of another cluster":      {good, disguised, "refused our certificate: it is from another cluster's CA"},
		"expired client":                 {good, issue(t, ours, -time.Minute), "refused our certificate: it has expired"},
		"client without a certificate":   {good, mute, "refused us: we showed no certificate"},
		"CA's own certificate as a node": {newIdentity(tls.Certificate{Certificate: [][]byte{ours.cert.Raw}, PrivateKey: ours.key, Leaf: ours.cert}, ours.cert), good, "is not one of a Wasmill cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			server := listen(t, c.server, loopback)
			server.HandleControl(answer("welcome"))
			client := listen(t, c.client, loopback)
			got, err := ask(t, client.NewRequests(), server.Addr())
			var told *Error
			if !errors.As(err, &told) {
				t.Fatalf("%q, %v (expected an *Error)", got, err)
			}
			if !strings.Contains(told.Problem, c.want) || !strings.HasPrefix(told.Problem, server.Addr()) || told.Hint == "" {
				t.Errorf("%q, hint %q does not say %q of %s", told.Problem, told.Hint, c.want, server.Addr())
			}
		})
	}
}

func TestPortInUse(t *testing.T) {
	id := issue(t, newCA(t), time.Hour)
	first := listen(t, id, loopback)
	_, err := Listen(Config{Address: first.Addr(), Identity: id})
	if want := first.Addr() + " (UDP): the port is in use"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not say %q", err, want)
	}
}

func TestAddressThatIsNone(t *testing.T) {
	id := issue(t, newCA(t), time.Hour)
	if _, err := Listen(Config{Address: "nowhere", Identity: id}); err == nil || !strings.Contains(err.Error(), "listen on nowhere") {
		t.Error(err)
	}
	e := listen(t, id, loopback)
	if _, err := e.DialData(t.Context(), "nowhere"); err == nil || !strings.Contains(err.Error(), "connect to nowhere") {
		t.Error(err)
	}
}

func TestRequestsReconnectAfterTheirPeerWasStopped(t *testing.T) {
	ca := newCA(t)
	first, err := Listen(Config{Address: loopback, Identity: issue(t, ca, time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	first.HandleControl(answer("first"))
	requests := listen(t, issue(t, ca, time.Hour), loopback).NewRequests()
	for range 3 {
		if got, err := ask(t, requests, first.Addr()); got != "first" {
			t.Fatalf("%q, %v (expected first)", got, err)
		}
	}
	if got := len(first.conns); got != 1 {
		t.Errorf("%d connections for three requests (expected 1)", got)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := listen(t, issue(t, ca, time.Hour), first.Addr())
	second.HandleControl(answer("second"))
	got, err := ask(t, requests, second.Addr())
	if err != nil && Lost(err) { // it was sent before the farewell came
		got, err = ask(t, requests, second.Addr())
	}
	if got != "second" {
		t.Errorf("%q, %v (expected second)", got, err)
	}
}

// killed is a socket that can die as a process does: without a word.
type killed struct{ net.PacketConn }

// A process that was killed says nothing; the one started in its place with the same identity says that it is gone.
func TestKilledAndRestartedPeerIsNoticedAtOnce(t *testing.T) {
	ca := newCA(t)
	id := issue(t, ca, time.Hour)
	socket, err := net.ListenPacket("udp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Listen(Config{Identity: id, Conn: killed{socket}})
	if err != nil {
		t.Fatal(err)
	}
	first.HandleControl(answer("first"))
	requests := listen(t, issue(t, ca, time.Hour), loopback).NewRequests()
	if got, err := ask(t, requests, first.Addr()); got != "first" {
		t.Fatalf("%q, %v (expected first)", got, err)
	}
	socket.Close()
	first.Close() // its farewell reaches nobody
	second := listen(t, id, first.Addr())
	second.HandleControl(answer("second"))
	began := time.Now()
	_, lost := ask(t, requests, second.Addr())
	if got, err := ask(t, requests, second.Addr()); got != "second" {
		t.Errorf("%q, %v (expected second)", got, err)
	}
	if took := time.Since(began); took > idleTimeout/2 || !Lost(lost) {
		t.Errorf("noticed after %s: %v", took, lost)
	}
}
