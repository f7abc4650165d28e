// Package s3test runs a real S3 server for tests, and stands in front of it to break what it should break: requests that
// are refused, carried out and not answered, cut off, or slow, and a server that is gone. It knows HTTP and nothing of who
// asks. The server is the program in test/s3server.
package s3test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

const (
	// Bucket is there when a server starts.
	Bucket = "wasmill-test"
	// Secret is the secret key in the test's environment, which must not be seen anywhere.
	Secret = "test-secret-that-nobody-may-see"
	key    = "TESTKEY"
)

// Server is an S3 server with a bucket.
type Server struct {
	Endpoint string // http://ADDRESS:PORT

	t      testing.TB
	dir    string // of the objects
	socket string
	front  *front

	process *exec.Cmd
	stdin   io.Closer
}

// Start starts a server that ends with the test, and puts its credentials into the test's environment, which the
// processes that the test starts inherit.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartAt(t, "127.0.0.1:0", net.Listen)
}

// StartAt is Start where the server is at another address, on which listen listens.
func StartAt(t testing.TB, address string, listen func(network, address string) (net.Listener, error)) *Server {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": Secret, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	home, err := os.MkdirTemp("", "s3-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: filepath.Join(home, "objects"), socket: filepath.Join(home, "s3.sock")}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.MkdirAll(filepath.Join(s.dir, Bucket), 0o777); err != nil {
		t.Fatal(err)
	}
	s.front = newFront(s.dir, s.socket)
	s.front.open = listen
	s.run(address)
	s.Endpoint = "http://" + s.front.address
	t.Cleanup(s.Stop)
	return s
}

// URL is that of a place in the server's bucket.
func (s *Server) URL(prefix string) string {
	return "s3://" + Bucket + "/" + prefix + "?endpoint=" + s.Endpoint
}

// Uploads are the uploads in parts that were begun, and neither completed nor aborted.
func (s *Server) Uploads() []string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, Bucket, ".sgwtmp/multipart/*/*"))
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// Stop kills the server. Its address refuses connections until Again.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	s.front.close()
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	_ = s.stdin.Close()
	s.process = nil
}

// Again starts the server again, with the objects that it had, at the same address.
func (s *Server) Again() {
	s.t.Helper()
	s.run(s.front.address)
}

func (s *Server) run(address string) {
	s.t.Helper()
	_ = os.Remove(s.socket)
	s.process = exec.Command(program(s.t), s.dir, s.socket, key, Secret)
	var log syncBuffer
	s.process.Stdout, s.process.Stderr = &log, &log
	in, err := s.process.StdinPipe()
	if err == nil {
		s.stdin = in
		err = s.process.Start()
	}
	if err != nil {
		s.t.Fatalf("start the S3 server: %v", err)
	}
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", s.socket)
		if err == nil {
			c.Close()
			break
		}
		if time.Since(begun) > 20*time.Second {
			s.t.Fatalf("the S3 server does not listen: %v\n%s", err, log.String())
		}
	}
	if err := s.front.listen(address); err != nil {
		s.t.Fatal(err)
	}
}

// syncBuffer takes what a process writes while a test reads it.
type syncBuffer struct {
	mu   sync.Mutex
	data []byte
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, p...)
	return len(p), nil
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.data)
}

// program is the server's, compiled once for all tests of a version of it.
func program(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	source := filepath.Join(filepath.Dir(here), "../../../test/s3server")
	sum := sha256.New()
	fmt.Fprint(sum, runtime.Version())
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(data)
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("wasmill-s3server-%.8x", sum.Sum(nil)))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	draft := fmt.Sprintf("%s.%d", path, os.Getpid())
	build := exec.CommandContext(context.Background(), "go", "build", "-o", draft, ".")
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the S3 server: %v\n%s", err, out)
	}
	if err := os.Rename(draft, path); err != nil {
		t.Fatal(err)
	}
	return path
}
