package taskmanager

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

// slowClient answers a request after the time that it is, or at the end of its context.
type slowClient struct{ running atomic.Int32 }

func (c *slowClient) Check(hosts []string) error {
	if hosts[0] == "granted:1" {
		return nil
	}
	return deniedHost(hosts[0])
}

type deniedHost string

func (d deniedHost) Error() string { return "it asks " + string(d) + ", which is not granted" }
func (d deniedHost) Hint() string  { return "grant it" }

func (c *slowClient) Do(ctx context.Context, _ []string, request []byte) abi.Answer {
	c.running.Add(1)
	defer c.running.Add(-1)
	after, _ := time.ParseDuration(string(request))
	select {
	case <-time.After(after):
		return abi.Answer{Body: request}
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return abi.Answer{Outcome: abi.TimedOut}
		}
		return abi.Answer{Outcome: abi.Broken}
	}
}

func TestAnswersComeByTheirNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, nudges := &slowClient{}, 0
		r := newRequester(client, []string{"granted:1"}, func() { nudges++ })
		begin := time.Now()
		for i, after := range []string{"30ms", "10ms", "1h", "20ms"} {
			r.Send(uint64(i+1), []byte(after), begin.Add(40*time.Millisecond))
		}
		time.Sleep(25 * time.Millisecond) // virtual
		synctest.Wait()
		var got []uint64
		take := func() {
			for _, reply := range r.Take() {
				got = append(got, reply.Number)
				if timedOut := reply.Answer.Outcome == abi.TimedOut; timedOut != (reply.Number == 3) {
					t.Errorf("request %d: %s", reply.Number, reply.Answer.Outcome)
				}
			}
		}
		if !r.Pending() || nudges != 2 {
			t.Errorf("pending %v, %d nudges (expected 2)", r.Pending(), nudges)
		}
		if take(); !slices.Equal(got, []uint64{2, 4}) || r.Pending() || r.Take() != nil {
			t.Errorf("answers %d (expected 2, 4)", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if take(); !slices.Equal(got, []uint64{2, 4, 1, 3}) || time.Since(begin) < time.Minute {
			t.Errorf("answers %d (expected 2, 4, 1, 3)", got)
		}
		r.close()
	})
}

func TestForgottenRequestsHaveNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &slowClient{}
		r := newRequester(client, []string{"granted:1"}, func() {})
		deadline := time.Now().Add(time.Hour)
		r.Send(1, []byte("1ms"), deadline)
		r.Send(2, []byte("1m"), deadline)
		time.Sleep(time.Second)
		synctest.Wait()
		r.Forget() // one answer is there and not taken, the other request runs
		r.Send(3, []byte("1ms"), deadline)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if all := r.Take(); len(all) != 1 || all[0].Number != 3 || client.running.Load() != 0 {
			t.Errorf("answers %+v (expected 3), %d requests run", all, client.running.Load())
		}
		r.Send(4, []byte("30m"), deadline)
		synctest.Wait()
		r.close() // gives it up, and waits for it
		if client.running.Load() != 0 {
			t.Error("a request runs behind close")
		}
	})
}

// A TaskManager that may not ask what the JobManager has granted says so, and what would help.
func TestTasksAskWhatTheirTaskManagerGrants(t *testing.T) {
	tk := &task{attempt: &attempt{tm: &TaskManager{config: Config{Clients: map[string]Client{"http": &slowClient{}}}}}}
	op := func(client, host string) *graph.Operator {
		return &graph.Operator{Name: "ask", Requests: &abi.Requests{Client: client, Hosts: []string{host}}}
	}
	if _, err := tk.requester(op("http", "granted:1")); err != nil {
		t.Error(err)
	}
	_, err := tk.requester(op("http", "other:1"))
	var f *wire.Failure
	if !errors.As(err, &f) || f.Kind != wire.KindInput || f.Hint != "grant it" || !strings.Contains(f.Message, `operator "ask": it asks other:1`) {
		t.Errorf("%+v", err)
	}
	if _, err := tk.requester(op("smtp", "granted:1")); err == nil || !strings.Contains(err.Error(), "no client smtp") {
		t.Errorf("%v", err)
	}
}
