package conformance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/host/hosttest"
)

// script is a scenario that runs: a guest and the handles that it has open, by name.
type script struct {
	wasm    []byte
	replace bool
	guest   *hosttest.Guest
	handles map[string]*handle
}

// run carries out one command of a scenario and says what came of it.
func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "guest" || s.guest == nil {
		if err := s.start(t, d); err != nil {
			return report(err)
		}
	}
	switch verb := verbs[d.Cmd]; {
	case d.Cmd == "guest":
		return "ok"
	case d.Cmd == "describe":
		return printManifest(t, s.guest.Manifest())
	case d.Cmd == "open":
		return s.open(t, d)
	case d.Cmd == "close":
		return answer(s.handle(t, d).Close())
	case d.Cmd == "process":
		return s.process(t, d)
	case verb != 0:
		return s.keyed(t, d, verb)
	}
	d.Fatalf(t, "command %q (expected guest, describe, open, close, process, or a verb)", d.Cmd)
	return ""
}

var verbs = map[string]abi.Verb{
	"timer": abi.VerbTimer, "create": abi.VerbCreate, "accumulate": abi.VerbAccumulate, "merge": abi.VerbMerge, "result": abi.VerbResult,
}

// start starts a guest with the parameters of the command guest. Inspection sees another seed than the instances, so a
// manifest that depends on randomness is refused.
func (s *script) start(t *testing.T, d *datadriven.TestData) (err error) {
	params := make(map[string]string)
	for _, a := range d.CmdArgs {
		if d.Cmd == "guest" {
			params[a.Key] = strings.Join(a.Vals, ",")
		}
	}
	options := []hosttest.Option{hosttest.Seed(7)}
	if s.replace {
		options = append(options, hosttest.ReplaceInstances())
	}
	s.handles = make(map[string]*handle)
	s.guest, err = hosttest.Try(t, s.wasm, params, options...)
	return err
}

// printManifest prints the manifest, but for the SDK's name, a line for each thing in it.
func printManifest(t *testing.T, m *abi.Manifest) string {
	var out strings.Builder
	line := func(what string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %s\n", what, text)
	}
	line("abi", m.ABI)
	line("name", m.Name)
	line("features", m.Features)
	for _, p := range m.Params {
		line("param", p)
	}
	for _, f := range m.Functions {
		line("function", f)
	}
	for _, o := range m.Operators {
		line("operator", o)
	}
	return out.String()
}

func (s *script) open(t *testing.T, d *datadriven.TestData) string {
	h, err := parseHandle(s.guest.Manifest(), d.Input)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	if h.Handle, err = s.guest.Handle(&h.functions); err == nil {
		s.handles[d.CmdArgs[0].Key] = h
	}
	return answer(err)
}

// handle returns the handle that the command names.
func (s *script) handle(t *testing.T, d *datadriven.TestData) *handle {
	if len(d.CmdArgs) == 0 || s.handles[d.CmdArgs[0].Key] == nil {
		d.Fatalf(t, "%s names no handle that was opened", d.Cmd)
	}
	return s.handles[d.CmdArgs[0].Key]
}

func (s *script) process(t *testing.T, d *datadriven.TestData) string {
	h := s.handle(t, d)
	header := abi.CallHeader{Watermark: abi.MinTime, ProcessingTime: 1000, Split: abi.None, Parallelism: 1}
	d.MaybeScanArgs(t, "input", &header.Input)
	var in host.Input = host.Bytes(make([]byte, abi.BatchHeaderBytes)) // of no version that there is
	if !d.HasArg("garbage") {
		b, err := parseBatch(h.input(header.Input), d.Input)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		in = b
	}
	effects, err := h.Process(&header, in)
	if err != nil {
		return report(err)
	}
	return h.printEffects(effects)
}

func (s *script) keyed(t *testing.T, d *datadriven.TestData, verb abi.Verb) string {
	h := s.handle(t, d)
	groups, err := parseGroups(h.head(), d.Input)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	header := abi.CallHeader{Watermark: abi.MinTime, ProcessingTime: 1000, Split: abi.None, Parallelism: 1}
	effects, err := h.Keyed(verb, &header, groups.writer())
	if err != nil {
		return report(err)
	}
	return h.printReply(groups, effects.Reply) + h.printEffects(effects)
}

func answer(err error) string {
	if err != nil {
		return report(err)
	}
	return "ok"
}

var statuses = map[abi.Status]string{
	abi.StatusUnknownHandle: "unknown handle", abi.StatusUnknownFunction: "unknown function",
	abi.StatusUnknownVerb: "unknown verb", abi.StatusBadInput: "bad input",
}

// report prints how a call ended that did not end well. What an SDK says when it refuses the host is its own.
func report(err error) string {
	var e *host.Error
	switch {
	case !errors.As(err, &e):
		return "error: " + err.Error()
	case e.Kind == host.KindRefused:
		return "refused: " + statuses[e.Status]
	case e.Kind == host.KindFailed && e.Record != abi.None:
		return fmt.Sprintf("failed: record %d: %s", e.Record, e.Message)
	case e.Kind == host.KindFailed:
		return "failed: " + e.Message
	}
	return "error: " + e.Error()
}
