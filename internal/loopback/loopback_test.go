package loopback

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestOnlyLoopbackIsBound(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.168.1.1:80", "[::]:0", "example.com:80"} {
		if _, err := Listen("jobmanager.address", address); err == nil || !strings.Contains(err.Error(), "jobmanager.address: "+address+" is not a loopback address") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := Listen("jobmanager.address", "127.0.0.1"); err == nil || !strings.Contains(err.Error(), "expected HOST:PORT") {
		t.Errorf("without a port: %v", err)
	}
}

func TestPortInUseIsNamed(t *testing.T) {
	l, err := Listen("jobmanager.address", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Listen("jobmanager.address", l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "port in use") || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("second listener: %v", err)
	}
}

func TestStoppingEndsRequestsThatWait(t *testing.T) {
	l, err := Listen("test", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(waiting)
		<-r.Context().Done()
		io.WriteString(w, "ended")
	})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- Serve(ctx, l, h, slog.New(slog.DiscardHandler)) }()
	go func() { <-waiting; cancel() }()
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "ended" {
		t.Errorf("answer %q", body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("serve: %v", err)
	}
}
