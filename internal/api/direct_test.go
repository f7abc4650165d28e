package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestDirectAnswersStream(t *testing.T) {
	proceed := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Path", r.URL.Path)
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s\n", body)
		w.(http.Flusher).Flush()
		<-proceed
		fmt.Fprintln(w, "second")
	})
	client := &http.Client{Transport: Direct(h)}
	resp, err := client.Post("http://localhost/here", "text/plain", strings.NewReader("first"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("X-Path") != "/here" {
		t.Errorf("status %d, header %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != "first" {
		t.Errorf("before the handler has ended: %q", lines.Text())
	}
	close(proceed)
	if !lines.Scan() || lines.Text() != "second" || lines.Scan() {
		t.Errorf("afterwards: %q", lines.Text())
	}
}

func TestClosingADirectAnswerEndsItsHandler(t *testing.T) {
	ended := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.WriteHeader(http.StatusOK)
		<-r.Context().Done()
		if _, err := w.Write([]byte("late")); err == nil {
			t.Error("a write reached a client that had left")
		}
	})
	client := &http.Client{Transport: Direct(h)}
	resp, err := client.Get("http://localhost/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-ended
}

func TestEndingARequestEndsItsHandler(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	c, err := NewClient("http://localhost", Direct(h))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Overview(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAnswersThatAreNoProblemDocumentAreStillErrors(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) })
	c, err := NewClient("http://localhost", Direct(h))
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := c.Overview(t.Context()); !errors.As(err, &e) || e.Status != http.StatusBadGateway || !strings.Contains(e.Detail, "/v1/overview") {
		t.Errorf("got %v", err)
	}
}

func TestURLsThatCannotBeOnesAreRefused(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:7070", "ftp://host", "http://", "http://a b"} {
		if _, err := NewClient(base, nil); err == nil || !strings.Contains(err.Error(), "expected http://HOST:PORT") {
			t.Errorf("%q: %v", base, err)
		}
	}
}
