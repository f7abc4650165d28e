package graph

import (
	"reflect"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// askingOf is the manifest of a job that asks about words.
func askingOf() *abi.Manifest {
	m := wordCount()
	m.Functions = append(m.Functions, abi.Function{ID: uint32(len(m.Functions)), Name: "ask", Kind: abi.FunctionRequest, Inputs: []abi.Codec{abi.CodecUTF8}, Output: abi.CodecUTF8})
	ask := abi.Operator{Name: "ask", UID: "ask", Kind: abi.OperatorRequest, Function: "ask", Inputs: []abi.Input{{From: "files"}}, Output: abi.CodecUTF8,
		Requests: &abi.Requests{Client: "http", Hosts: []string{"api.example.com:443"}, Order: "ordered", Retry: &abi.Retry{Retries: 3}}}
	m.Operators = append(m.Operators, ask, abi.Operator{Name: "asked", Kind: abi.OperatorSink, Inputs: []abi.Input{{From: "ask"}}, Connector: &abi.Connector{Type: "print"}})
	return m
}

func TestFaultsOfRequests(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		change     func(m *abi.Manifest, o *abi.Operator)
	}{
		{"none", `requests: none (expected a client, hosts and an order)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests = nil }},
		{"client", `requests.client: "smtp" (expected http)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.Client = "smtp" }},
		{"no hosts", `requests.hosts: none (expected those that it asks, as HOST:PORT: a job may reach no others)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.Hosts = nil }},
		{"a host without port", `requests.hosts[1]: "api.example.com" (expected HOST:PORT)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.Hosts = []string{"a:1", "api.example.com"} }},
		{"order", `requests.order: "sorted" (expected ordered or unordered)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.Order = "sorted" }},
		{"capacity", `requests.capacity: -1 (expected 1 <= n <= 100000)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.Capacity = -1 }},
		{"timeout", `requests.timeout: -1s (expected > 0s)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.TimeoutMs = -1000 }},
		{"retries", `requests.retry.retries: 0 (expected 1 <= n <= 100)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.Retry.Retries = 0 }},
		{"delay", `requests.retry.delay: -1ms (expected >= 0s)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.Retry.DelayMs = -1 }},
		{"largest delay", `requests.retry.maxDelay: 1s (expected >= 2s, the first delay)`, func(_ *abi.Manifest, o *abi.Operator) {
			o.Requests.Retry.DelayMs, o.Requests.Retry.MaxDelayMs = 2000, 1000
		}},
		{"growth", `requests.retry.growPercent: 50 (expected 100 <= n <= 10000)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.Retry.GrowPercent = 50 }},
		{"what is retried", `requests.retry.on[0]: "5x" (expected broken, a status as 429, or a class as 5xx)`, func(_ *abi.Manifest, o *abi.Operator) { o.Requests.Retry.On = []string{"5x"} }},
		{"no uid", `uid: empty (expected one: a request keeps state, and the uid is its name across versions of the job)`, func(_ *abi.Manifest, o *abi.Operator) { o.UID = "" }},
		{"two inputs", `inputs: 2 of a request (expected <= 1)`, func(_ *abi.Manifest, o *abi.Operator) { o.Inputs = append(o.Inputs, o.Inputs[0]) }},
		{"no function", `function: "" is not in the module's function table`, func(_ *abi.Manifest, o *abi.Operator) { o.Function = "" }},
		{"function of another kind", `function: "word" is of kind key (expected request)`, func(_ *abi.Manifest, o *abi.Operator) { o.Function = "word" }},
		{"codec", `inputs[0]: "files" sends utf8, and function "ask" takes i64`, func(m *abi.Manifest, _ *abi.Operator) { m.Functions[len(m.Functions)-1].Inputs[0] = "i64" }},
		{"states", `states: 1 of a request (only process functions, window functions and triggers have state)`, func(m *abi.Manifest, _ *abi.Operator) {
			m.Functions[len(m.Functions)-1].States = []abi.State{{Name: "s", Scope: "keyed", Kind: "value", Codec: "i64"}}
		}},
		{"of a sink", `requests: given (a sink has none)`, func(m *abi.Manifest, o *abi.Operator) { m.Operators[len(m.Operators)-1].Requests = o.Requests }},
	} {
		m := askingOf()
		tt.change(m, &m.Operators[len(m.Operators)-2])
		_, err := FromManifest(m, Module{}, Options{Parallelism: 1})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v (expected %s)", tt.name, err, tt.want)
		}
	}
}

func TestDefaultsOfRequests(t *testing.T) {
	g, err := FromManifest(askingOf(), Module{}, Options{Parallelism: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := &abi.Requests{Client: "http", Hosts: []string{"api.example.com:443"}, Order: "ordered", Capacity: 100, TimeoutMs: 60_000,
		Retry: &abi.Retry{Retries: 3, GrowPercent: 100, On: []string{"broken", "429", "5xx"}}}
	if got := g.Operators[len(g.Operators)-2].Requests; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %+v (expected %+v %+v)", got, got.Retry, want, want.Retry)
	}
}

func TestWhatIsRetried(t *testing.T) {
	for text, want := range map[string]RetryOn{"broken": {Broken: true}, "429": {First: 429, Last: 429}, "5xx": {First: 500, Last: 599}} {
		if got, err := ParseRetryOn(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "xx", "0xx", "55xx", "99", "1000", "05x", "five", "+29"} {
		if got, err := ParseRetryOn(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestRecordsThatAreWhereTheirKeyGroupsAre(t *testing.T) {
	ops := []Operator{
		{Kind: abi.OperatorSource},
		{Kind: abi.OperatorKey, Key: "utf8", Inputs: []Input{{From: 0, Partition: Forward}}},
		{Kind: abi.OperatorProcess, Inputs: []Input{{From: 1, Partition: Hash}}},
		{Kind: abi.OperatorProcess, Inputs: []Input{{From: 1, Partition: Hash}, {From: 1, Partition: Hash}}},
		{Kind: abi.OperatorUnion, Inputs: []Input{{From: 2, Partition: Forward}, {From: 3, Partition: Forward}}},
	}
	for _, tt := range []struct {
		from int
		by   Partition
		want bool
	}{
		{0, Forward, false}, {1, Hash, true}, {1, Forward, false}, {2, Forward, true}, {2, Rebalance, false}, {3, Forward, true}, {4, Forward, false},
	} {
		g := &JobGraph{Operators: append(ops[:len(ops):len(ops)], Operator{Kind: abi.OperatorRequest, Inputs: []Input{{From: tt.from, Partition: tt.by}}})}
		if got := g.Placed(len(ops)); got != tt.want {
			t.Errorf("behind %s %d by %s: %v (expected %v)", ops[tt.from].Kind, tt.from, tt.by, got, tt.want)
		}
	}
}
