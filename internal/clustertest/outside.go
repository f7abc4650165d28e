package clustertest

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/wasmill/wasmill/abi"
)

// outside is what jobs of the cluster may ask: it answers "of KEY/ID", after a while of virtual time, and not always at the
// first time. What it does when is a matter of the seed.
type outside struct {
	mu     sync.Mutex
	random *rand.Rand      // guarded by mu
	asked  map[string]bool // guarded by mu; by URL
}

func newOutside(seed uint64) *outside {
	return &outside{random: rand.New(rand.NewPCG(seed, 41)), asked: map[string]bool{}}
}

// Check implements taskmanager.Client and jobmanager.Grants.
func (o *outside) Check([]string) error { return nil }

// Do implements taskmanager.Client.
func (o *outside) Do(ctx context.Context, _ []string, request []byte) abi.Answer {
	q, err := abi.ParseHTTPRequest(request)
	if err != nil {
		return abi.Answer{Outcome: abi.Refused, Body: []byte(err.Error())}
	}
	code, after := o.decide(q.URL)
	wait := time.NewTimer(after)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return abi.Answer{Outcome: abi.TimedOut, Body: []byte("no answer in time")}
		}
		return abi.Answer{Outcome: abi.Broken, Body: []byte("given up")}
	}
	if code == 0 {
		return abi.Answer{Outcome: abi.Broken, Body: []byte("connection reset")}
	}
	parts := strings.Split(q.URL, "/")
	response := abi.HTTPResponse{Body: []byte("of " + strings.Join(parts[len(parts)-2:], "/"))}
	return abi.Answer{Code: code, Body: response.Append(nil)}
}

// decide is the answer's status, 0 for none, and how long it takes.
func (o *outside) decide(url string) (code uint32, after time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := !o.asked[url]
	o.asked[url] = true
	after = time.Duration(o.random.IntN(300)) * time.Millisecond
	switch trouble := o.random.IntN(60); {
	case !first || trouble > 12:
		return 200, after
	case trouble == 0:
		return 200, time.Hour // it hangs: the job fails, and goes on
	case trouble < 6:
		return 0, after
	}
	return 503, after
}
