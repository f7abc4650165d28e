package graph

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wasmill/wasmill/abi"
)

// What a request operator may say at most, and what it has when it says nothing.
const (
	maxCapacity      = 100_000
	maxRetries       = 100
	maxGrowPercent   = 10_000
	maxHosts         = 256
	defaultCapacity  = 100
	defaultTimeoutMs = 60_000
)

// Orders in which a request operator puts out its results.
const (
	Ordered   = "ordered"
	Unordered = "unordered"
)

// AnswerBroken, among what a request is made again on, is that there was no answer.
const AnswerBroken = "broken"

// checkRequests checks what a request operator says of its requests.
func checkRequests(path string, o *abi.Operator) error {
	r := o.Requests
	switch {
	case o.Kind != abi.OperatorRequest && r != nil:
		return faultf(path, "given (a %s has none)", o.Kind)
	case o.Kind != abi.OperatorRequest:
		return nil
	case r == nil:
		return faultf(path, "none (expected a client, hosts and an order)")
	case r.Client != abi.ClientHTTP:
		return faultf(path+".client", "%q (expected %s)", r.Client, abi.ClientHTTP)
	case len(r.Hosts) == 0:
		return faultf(path+".hosts", "none (expected those that it asks, as HOST:PORT: a job may reach no others)")
	case len(r.Hosts) > maxHosts:
		return faultf(path+".hosts", "%d (expected <= %d)", len(r.Hosts), maxHosts)
	case r.Order != Ordered && r.Order != Unordered:
		return faultf(path+".order", "%q (expected %s or %s)", r.Order, Ordered, Unordered)
	case r.Capacity < 0 || r.Capacity > maxCapacity:
		return faultf(path+".capacity", "%d (expected 1 <= n <= %d)", r.Capacity, maxCapacity)
	case r.TimeoutMs < 0 || r.TimeoutMs > maxBound:
		return faultf(path+".timeout", "%s (expected > 0s)", ms(r.TimeoutMs))
	}
	for i, h := range r.Hosts {
		if at := strings.LastIndexByte(h, ':'); at < 1 || at == len(h)-1 {
			return faultf(fmt.Sprintf("%s.hosts[%d]", path, i), "%q (expected HOST:PORT)", h)
		}
	}
	return checkRetry(path+".retry", r.Retry)
}

func checkRetry(path string, r *abi.Retry) error {
	switch {
	case r == nil:
		return nil
	case r.Retries < 1 || r.Retries > maxRetries:
		return faultf(path+".retries", "%d (expected 1 <= n <= %d)", r.Retries, maxRetries)
	case r.DelayMs < 0 || r.DelayMs > maxBound:
		return faultf(path+".delay", "%s (expected >= 0s)", ms(r.DelayMs))
	case r.MaxDelayMs < 0 || r.MaxDelayMs > 0 && r.MaxDelayMs < r.DelayMs:
		return faultf(path+".maxDelay", "%s (expected >= %s, the first delay)", ms(r.MaxDelayMs), ms(r.DelayMs))
	case r.GrowPercent != 0 && (r.GrowPercent < 100 || r.GrowPercent > maxGrowPercent):
		return faultf(path+".growPercent", "%d (expected 100 <= n <= %d)", r.GrowPercent, maxGrowPercent)
	}
	for i, on := range r.On {
		if _, err := ParseRetryOn(on); err != nil {
			return faultf(fmt.Sprintf("%s.on[%d]", path, i), "%q (expected %s, a status as 429, or a class as 5xx)", on, AnswerBroken)
		}
	}
	return nil
}

// RetryOn is some answers: those of codes from First to Last, or that there was none.
type RetryOn struct {
	Broken      bool
	First, Last uint32
}

// ParseRetryOn reads "broken", "429" or "5xx".
func ParseRetryOn(text string) (RetryOn, error) {
	if text == AnswerBroken {
		return RetryOn{Broken: true}, nil
	}
	if class, ok := strings.CutSuffix(text, "xx"); ok && len(class) == 1 && '1' <= class[0] && class[0] <= '9' {
		first := 100 * uint32(class[0]-'0')
		return RetryOn{First: first, Last: first + 99}, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || len(text) != 3 || n < 100 {
		return RetryOn{}, fmt.Errorf("%q is no answer", text)
	}
	return RetryOn{First: uint32(n), Last: uint32(n)}, nil
}

// requestsOf is what a manifest says of requests with every default filled in.
func requestsOf(said *abi.Requests) *abi.Requests {
	if said == nil {
		return nil
	}
	r := *said
	if r.Capacity == 0 {
		r.Capacity = defaultCapacity
	}
	if r.TimeoutMs == 0 {
		r.TimeoutMs = defaultTimeoutMs
	}
	if r.Retry != nil {
		again := *r.Retry
		if again.GrowPercent == 0 {
			again.GrowPercent = 100
		}
		if len(again.On) == 0 {
			again.On = []string{AnswerBroken, "429", "5xx"}
		}
		r.Retry = &again
	}
	return &r
}

// Placed says whether the records of an operator's input are in the subtasks that their key groups belong to: they were dealt
// out by key, and have not left their subtask since.
func (g *JobGraph) Placed(op int) bool {
	for i := op; ; {
		o := &g.Operators[i]
		if len(o.Inputs) != 1 {
			return len(o.Inputs) > 0 && i != op && kinds[o.Kind].keyed // all inputs of a keyed operator are
		}
		in := o.Inputs[0]
		switch {
		case in.Partition == Hash:
			return true
		case in.Partition != Forward || g.KeyCodec(in.From, in.Side) == "" || g.Operators[in.From].Kind == abi.OperatorKey:
			return false
		}
		i = in.From
	}
}
