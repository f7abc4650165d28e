package clustertest

import (
	"errors"
	"sync"
)

// fence stands between a process and everything that outlives it. When the process is killed, its goroutines are still
// there for a while; what they do then has no effect: files are not written, removed or renamed, objects are not put.
type fence struct {
	mu     sync.RWMutex // held for reading by what is being done
	killed bool
}

var errKilled = errors.New("the process was killed")

// down raises the fence, behind what is being done just now.
func (f *fence) down() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killed = true
}

// do does something, unless the process was killed.
func (f *fence) do(what func() error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.killed {
		return errKilled
	}
	return what()
}
