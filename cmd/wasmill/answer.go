package main

import (
	"fmt"
	"io"
	"sync"
)

// answerWriter is where the answer goes. It keeps the first error of a write, so that no command that prints need look
// for one: an answer that was lost, as on a full disk, is a command that failed. Any goroutine may write.
type answerWriter struct {
	io.Writer
	mu  sync.Mutex
	err error // guarded by mu
}

func (a *answerWriter) Write(p []byte) (int, error) {
	n, err := a.Writer.Write(p)
	if err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.err == nil {
			a.err = fmt.Errorf("write the answer: %w", err)
		}
	}
	return n, err
}

// failure is the first error of a write, if there was one.
func (a *answerWriter) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}
