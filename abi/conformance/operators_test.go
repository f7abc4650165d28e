package conformance_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/wasmill/wasmill/abi"
)

func TestOperatorScenarios(t *testing.T) { runStaged(t, operatorsGuest, "testdata/operators/*.txt") }

// lacks is a function that a scenario needs and the guest does not declare, because its SDK has no such thing; empty: none.
func (s *stage) lacks(scenario string) string {
	for _, line := range strings.Split(scenario, "\n") {
		names, needs := strings.CutPrefix(line, "needs ")
		if !needs {
			continue
		}
		for _, name := range strings.Fields(names) {
			if !slices.ContainsFunc(s.manifest.Functions, func(f abi.Function) bool { return f.Name == name }) {
				return name
			}
		}
	}
	return ""
}

// describe prints the manifest, or what it has of functions and of the operators that they are of.
func (s *processScript) describe(t *testing.T, d *datadriven.TestData) string {
	if len(d.CmdArgs) == 0 {
		return printManifest(t, s.stage.manifest)
	}
	part := *s.stage.manifest
	part.Functions, part.Operators = nil, nil
	named := func(name string) bool {
		return slices.ContainsFunc(d.CmdArgs, func(a datadriven.CmdArg) bool { return a.Key == name })
	}
	for _, f := range s.stage.manifest.Functions {
		f.ID, f.Pulls = 0, false // its number depends on what else there is; how an SDK takes elements is its own affair
		if named(f.Name) {
			part.Functions = append(part.Functions, f)
		}
	}
	for _, o := range s.stage.manifest.Operators {
		w := o.Window
		if named(o.Function) || w != nil && (named(w.Gap) || w.Trigger != nil && named(w.Trigger.Function) || w.Evictor != nil && named(w.Evictor.Function)) {
			part.Operators = append(part.Operators, o)
		}
	}
	_, lines, _ := strings.Cut(printManifest(t, &part), "features")
	_, lines, _ = strings.Cut(lines, "\n")
	return lines
}

// timerVerb is the verb by which a function hears of its timers.
func timerVerb(f abi.Function) abi.Verb {
	if f.Kind == abi.FunctionTrigger {
		return abi.VerbTrigger
	}
	return abi.VerbTimer
}

var outcomes = map[string]abi.Outcome{"timed-out": abi.TimedOut, "refused": abi.Refused, "broken": abi.Broken, "unasked": abi.Unasked}

// mark reads what a group has besides its key and records, if the line goes on with that.
//
//	window=0..1000 early   merged=0..1000   acc=7   answer=200 "body" kind="fish"   timed-out "after 5 s"   unasked
func (g *stagedGroup) mark(l *line, f abi.Function) (found bool, err error) {
	for word, flag := range map[string]uint32{"early": abi.GroupEarly, "late": abi.GroupLate} {
		if l.takes(word) {
			g.head.Flags |= flag
			return true, nil
		}
	}
	for word, outcome := range outcomes {
		if l.takes(word) {
			why := []byte(nil)
			if l.more() {
				why, err = l.encoded(abi.CodecBytes)
			}
			g.answers = append(g.answers, (&abi.Answer{Outcome: outcome, Body: why}).Append(nil))
			return true, err
		}
	}
	switch {
	case l.takes("window="):
		g.head.Flags |= abi.GroupHasWindow
		var text any
		if text, err = l.value(); err == nil {
			_, err = fmt.Sscanf(string(text.(number)), "%d..%d", &g.head.WindowStart, &g.head.WindowEnd)
		}
	case l.takes("merged="):
		g.head.Flags |= abi.GroupMerged
		var text any
		if text, err = l.value(); err == nil {
			g.merged = append(g.merged, string(text.(number)))
		}
	case l.takes("acc="):
		var acc []byte
		acc, err = l.encoded(f.Accumulator)
		g.accumulators = append(g.accumulators, acc)
	case l.takes("answer="):
		var answer []byte
		answer, err = l.answer()
		g.answers = append(g.answers, answer)
	default:
		return false, nil
	}
	return true, err
}

// answer reads a status and a body, and the header X-Kind if kind= follows.
func (l *line) answer() ([]byte, error) {
	status, err := l.integer()
	if err != nil || !l.more() {
		return nil, fmt.Errorf("answer %q: %v (expected a status and a body)", l.rest, err)
	}
	var response abi.HTTPResponse
	if response.Body, err = l.encoded(abi.CodecBytes); err != nil {
		return nil, err
	}
	if l.more() && l.takes("kind=") {
		kind, err := l.encoded(abi.CodecBytes)
		if err != nil {
			return nil, err
		}
		response.Headers = []abi.HTTPHeader{{Name: "Content-Length", Value: fmt.Sprint(len(response.Body))}, {Name: "X-Kind", Value: string(kind)}}
	}
	return (&abi.Answer{Code: uint32(status), Body: response.Append(nil)}).Append(nil), nil
}

var decisions = []string{"continue", "fire", "purge", "fire-and-purge"}

// printAnswer prints what a function says of a group, but for states and timers.
func printAnswer(a abi.Action) (string, error) {
	var parts []string
	switch a.Op {
	case abi.ActionPartition:
		for p := a.Value; len(p) >= 4; p = p[4:] {
			parts = append(parts, fmt.Sprint(binary.LittleEndian.Uint32(p)))
		}
	case abi.ActionGap:
		for p := a.Value; len(p) >= 8; p = p[8:] {
			parts = append(parts, fmt.Sprint(int64(binary.LittleEndian.Uint64(p))))
		}
	case abi.ActionTrigger:
		for _, d := range a.Value {
			if int(d) >= len(decisions) {
				return "", fmt.Errorf("decision %d", d)
			}
			parts = append(parts, decisions[d])
		}
	case abi.ActionKeep:
		parts = append(parts, "keeps")
		for i := range 8 * len(a.Value) {
			if a.Value[i/8]>>(i%8)&1 == 1 {
				parts = append(parts, fmt.Sprint(i))
			}
		}
	case abi.ActionRequest:
		return printRequest(a.Value)
	default:
		return "", fmt.Errorf("action %d", a.Op)
	}
	return strings.Join(parts, " "), nil
}

func printRequest(p []byte) (string, error) {
	r, err := abi.ParseRequest(p)
	if err != nil {
		return "", err
	}
	q, err := abi.ParseHTTPRequest(r.Body)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("asks %s for %s %s", r.Target, q.Method, q.URL)
	for _, h := range q.Headers {
		text += fmt.Sprintf(" %s=%q", h.Name, h.Value)
	}
	if len(q.Body) > 0 {
		text += fmt.Sprintf(" body=%q", q.Body)
	}
	return text, nil
}
