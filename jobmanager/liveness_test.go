package jobmanager

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/internal/wire"
)

// testTLS is mutual TLS 1.3 between holders of one self-signed certificate.
func testTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "wasmill"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	own := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	server = &tls.Config{Certificates: own, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
	return server, &tls.Config{Certificates: own, RootCAs: pool, MinVersion: tls.VersionTLS13}
}

type lostTM struct {
	id     wire.TaskManagerID
	reason string
}

func startLiveness(t *testing.T) (*liveness, *tls.Config, chan lostTM) {
	t.Helper()
	server, client := testTLS(t)
	lost := make(chan lostTM, 8)
	l, err := listenLiveness("127.0.0.1:0", server,
		func(id wire.TaskManagerID) bool { return strings.HasPrefix(string(id), "tm") },
		func(wire.TaskManagerID) {},
		func(id wire.TaskManagerID, reason string) { lost <- lostTM{id, reason} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close() })
	return l, client, lost
}

// hold opens a TaskManager's connection, and waits until the listener has it.
func hold(t *testing.T, l *liveness, c *tls.Config, id wire.TaskManagerID) net.Conn {
	t.Helper()
	l.mu.Lock()
	before := l.conns[id]
	l.mu.Unlock()
	conn, err := tls.Dial("tcp", l.address(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, string(id)+"\n"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		l.mu.Lock()
		now := l.conns[id]
		l.mu.Unlock()
		if now != nil && now != before {
			return conn
		}
	}
	t.Fatalf("%s: the connection was not taken", id)
	return nil
}

func TestEndOfTheConnectionIsTheEndOfTheTaskManager(t *testing.T) {
	l, client, lost := startLiveness(t)
	one := hold(t, l, client, "tm1")
	two := hold(t, l, client, "tm2")
	start := time.Now()
	// A killed process says no goodbye: the kernel just ends the connection.
	one.(*tls.Conn).NetConn().Close()
	if got := <-lost; got.id != "tm1" || got.reason != "its liveness connection ended" {
		t.Errorf("lost %+v", got)
	}
	if took := time.Since(start); took > 200*time.Millisecond {
		t.Errorf("noticed after %s", took)
	}
	two.Close()
	if got := <-lost; got.id != "tm2" {
		t.Errorf("lost %+v", got)
	}
}

func TestANewConnectionReplacesTheOld(t *testing.T) {
	l, client, lost := startLiveness(t)
	old := hold(t, l, client, "tm1")
	fresh := hold(t, l, client, "tm1")
	old.Close()
	l.drop("tm1") // lost by other means: its connection ends, and nobody is told again
	if _, err := fresh.Read(make([]byte, 1)); err == nil {
		t.Error("the dropped connection is open")
	}
	last := hold(t, l, client, "tm1")
	last.Close()
	if got := <-lost; got.id != "tm1" {
		t.Errorf("lost %+v", got)
	}
	if len(lost) != 0 {
		t.Errorf("lost %d times more", len(lost))
	}
}

func TestStrangersAreNotHeld(t *testing.T) {
	l, client, _ := startLiveness(t)
	closed := func(what string, c net.Conn) {
		t.Helper()
		c.SetDeadline(time.Now().Add(4 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: %v (expected a closed connection)", what, err)
		}
		c.Close()
	}
	unknown, err := tls.Dial("tcp", l.address(), client)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(unknown, "stranger\n")
	closed("unknown id", unknown)

	endless, err := tls.Dial("tcp", l.address(), client)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(endless, strings.Repeat("x", 10*maxHello))
	closed("an id without end", endless)

	without, err := tls.Dial("tcp", l.address(), &tls.Config{RootCAs: client.RootCAs})
	if err == nil {
		closed("no certificate", without)
	}
	plain, err := net.Dial("tcp", l.address())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(plain, "tm1 speaks without TLS\n")
	plain.SetDeadline(time.Now().Add(4 * time.Second))
	io.Copy(io.Discard, plain) // an alert, then the end
	plain.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) != 0 {
		t.Errorf("held %v", l.conns)
	}
}
