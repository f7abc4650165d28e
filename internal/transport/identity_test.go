package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newCA(t testing.TB) *CA {
	t.Helper()
	ca, err := NewCA()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t testing.TB, ca *CA, lifetime time.Duration) *Identity {
	t.Helper()
	id, err := ca.issue("node", lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// initCluster makes a CA and an identity in one directory.
func initCluster(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	ca, err := InitCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.IssueTo(dir, "node-1"); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestIssuedIdentityLoads(t *testing.T) {
	dir := initCluster(t)
	id, err := LoadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if id.Name != "node-1" || time.Until(id.Expires) < 365*24*time.Hour {
		t.Errorf("identity %s until %s", id.Name, id.Expires)
	}
	for _, name := range []string{caKeyFile, nodeKeyFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v (expected mode 0600)", name, info.Mode(), err)
		}
	}
	again, err := LoadCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.IssueTo(dir, "node-2"); err != nil {
		t.Fatal(err)
	}
	if id, err = LoadIdentity(dir); err != nil || id.Name != "node-2" {
		t.Errorf("identity %v, %v (expected node-2)", id, err)
	}
}

func TestCAIsNeverReplaced(t *testing.T) {
	dir := initCluster(t)
	if _, err := InitCA(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v (expected fs.ErrExist)", err)
	}
	if _, err := LoadIdentity(dir); err != nil {
		t.Error(err)
	}
	if err := newCA(t).IssueTo(dir, "node"); err == nil || !strings.Contains(err.Error(), "another cluster's") {
		t.Errorf("issuing from another CA: %v", err)
	}
}

func TestFaultyIdentityIsNamed(t *testing.T) {
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// other puts another cluster's file in the place of this one's.
	other := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(initCluster(t), name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// lasting issues an identity that ends, from the directory's own CA.
	lasting := func(lifetime time.Duration) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			ca, err := LoadCA(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := issue(t, ca, lifetime).store(dir, ca); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		damage func(*testing.T, string)
		want   []string
	}{
		"no CA":          {remove(caCertFile), []string{"ca.crt is missing"}},
		"no certificate": {remove(nodeCertFile), []string{"node.crt is missing"}},
		"no key":         {remove(nodeKeyFile), []string{"node.key is missing"}},
		"other CA":       {other(caCertFile), []string{"node.crt was issued by another CA than ca.crt"}},
		"other key":      {other(nodeKeyFile), []string{"node.crt and node.key", "does not match"}},
		"expired": {lasting(-time.Minute), []string{"node.crt expired on",
			time.Now().Add(-time.Minute).UTC().Format(time.DateOnly)}},
		"no PEM": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, caCertFile), []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"ca.crt: no certificate in PEM form"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := initCluster(t)
			c.damage(t, dir)
			_, err := LoadIdentity(dir)
			var told *Error
			if !errors.As(err, &told) {
				t.Fatalf("%v (expected an *Error)", err)
			}
			for _, want := range append(c.want, dir) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// The same identities over TCP, for liveness connections.
func TestTLSOverTCPKnowsItsCluster(t *testing.T) {
	ca := newCA(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", issue(t, ca, time.Hour).ServerTLS())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for name, c := range map[string]struct {
		id      *Identity
		welcome bool
	}{"same": {issue(t, ca, time.Hour), true}, "other": {issue(t, newCA(t), time.Hour), false}} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan error, 1)
			go func() {
				conn, err := l.Accept()
				if err == nil {
					_, err = io.ReadAll(conn)
					conn.Close()
				}
				heard <- err
			}()
			raw, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn := tls.Client(raw, c.id.ClientTLS())
			err = conn.Handshake()
			conn.Close()
			if err := errors.Join(err, <-heard); (err == nil) != c.welcome {
				t.Errorf("%v (welcome: %v)", err, c.welcome)
			}
		})
	}
}
