package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
)

// stage plays the host of process functions: it has their state and timers, in maps. What a call does is kept apart until
// the guest answers OK.
type stage struct {
	t        testing.TB
	runtime  wazero.Runtime
	code     wazero.CompiledModule
	replace  bool
	guest    api.Module // nil: the next call needs a new instance
	params   map[string]string
	manifest *abi.Manifest
	opened   []*abi.Handle
	stores   map[string]*store // by the function's name
	call     *stagedCall
}

// stagedCall is a call that runs.
type stagedCall struct {
	function abi.Function
	store    *store
	groups   []stagedGroup
	effects  host.Effects
	failure  *abi.Failure

	verb     abi.Verb
	answered []string // what it replied about each group, but for states and timers
}

// stagedGroup is a group with all records, also those that do not come with the call.
type stagedGroup struct {
	head         abi.Group
	values       [2][][]byte
	timestamps   [2][]int64
	accumulators [][]byte
	answers      [][]byte // to requests
	merged       []string // windows that have become this one
}

// place is where a state of the group belongs.
func (g *stagedGroup) place(state abi.State) place {
	switch state.Scope {
	case "operator", "broadcast":
		return own
	case "window":
		return place{string(g.head.Key), g.window()}
	}
	return place{key: string(g.head.Key)}
}

// timers is where timers of the group belong.
func (g *stagedGroup) timers(f abi.Function) place {
	if f.Kind == abi.FunctionTrigger {
		return g.place(abi.State{Scope: "window"})
	}
	return place{key: string(g.head.Key)}
}

func (g *stagedGroup) window() string {
	if g.head.Flags&abi.GroupHasWindow == 0 {
		return ""
	}
	return fmt.Sprintf("%d..%d", g.head.WindowStart, g.head.WindowEnd)
}

// compiled has what was compiled of each guest, for all of its stages.
var compiled = wazero.NewCompilationCache()

// newStage starts a guest. The memory that it is given for what it is called with is all that it gets of the host's.
func newStage(t testing.TB, wasm []byte, params map[string]string, replace bool) (*stage, error) {
	ctx := context.Background()
	s := &stage{t: t, runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(compiled)), replace: replace, params: params, stores: make(map[string]*store)}
	t.Cleanup(func() { s.runtime.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, s.runtime)
	b := s.runtime.NewHostModuleBuilder(abi.ImportModule)
	for name, f := range map[string]any{
		"emit": s.emit, "reply": s.reply, "state": s.state, "fail": s.fail, "param": s.param,
		"watermark": func(int64) {}, "log": func(_, _, _ uint32) {}, "metric": func(_, _, _ uint32, _ int64) {},
	} {
		b.NewFunctionBuilder().WithFunc(f).Export(name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return nil, err
	}
	var err error
	if s.code, err = s.runtime.CompileModule(ctx, wasm); err != nil {
		return nil, err
	}
	return s, s.start()
}

// start makes a new instance with the handles that are open.
func (s *stage) start() (err error) {
	ctx := context.Background()
	s.call = &stagedCall{}
	s.guest, err = s.runtime.InstantiateModule(ctx, s.code, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return err
	}
	ptr, n := s.give(abi.AppendParams(nil, s.params))
	at, err := s.run("wasmill_describe", ptr, n)
	if err != nil {
		return err
	}
	text := s.bytes(uint32(at>>32), uint32(at))
	if len(text) == 0 {
		return fmt.Errorf("describe: %v", s.call.failure)
	}
	if s.manifest == nil {
		s.manifest = new(abi.Manifest)
		if err := json.Unmarshal(text, s.manifest); err != nil {
			return err
		}
	}
	for number, h := range s.opened {
		ptr, n := s.give(h.Append(nil))
		if err := s.status(s.run("wasmill_open", uint64(number), ptr, n)); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) run(export string, params ...uint64) (uint64, error) {
	results, err := s.guest.ExportedFunction(export).Call(context.Background(), params...)
	if err != nil {
		return 0, err
	}
	return results[0], nil
}

// give writes to the guest's input buffer.
func (s *stage) give(p []byte) (ptr, n uint64) {
	at, err := s.run("wasmill_buffer", uint64(len(p)))
	if err != nil || !s.guest.Memory().Write(uint32(at), p) {
		s.t.Fatalf("wasmill_buffer(%d): %d, %v", len(p), at, err)
	}
	return at, uint64(len(p))
}

func (s *stage) bytes(ptr, n uint32) []byte {
	p, ok := s.guest.Memory().Read(ptr, n)
	if !ok {
		panic(fmt.Errorf("%d bytes at %d lie outside of memory", n, ptr))
	}
	return slices.Clone(p)
}

// status makes an error of what a call answered.
func (s *stage) status(status uint64, err error) error {
	switch {
	case err != nil:
		return err
	case status == uint64(abi.StatusOK):
		return nil
	case status == uint64(abi.StatusFailed) && s.call.failure != nil:
		return &host.Error{Kind: host.KindFailed, Message: s.call.failure.Message, Record: s.call.failure.Record}
	}
	return &host.Error{Kind: host.KindRefused, Status: abi.Status(status)}
}

// finish ends a call: a new instance makes the next one, if that is wanted or this one did not survive.
func (s *stage) finish(err error) error {
	var known *host.Error
	if s.replace || err != nil && !errors.As(err, &known) {
		s.guest.Close(context.Background())
		s.guest = nil
	}
	return err
}

// begin makes ready for a call.
func (s *stage) begin(c *stagedCall) error {
	if s.guest == nil {
		if err := s.start(); err != nil {
			return err
		}
	}
	s.call = c
	return nil
}

func (s *stage) open(h *abi.Handle) error {
	if err := s.begin(&stagedCall{}); err != nil {
		return err
	}
	ptr, n := s.give(h.Append(nil))
	err := s.status(s.run("wasmill_open", uint64(len(s.opened)), ptr, n))
	if err == nil {
		s.opened = append(s.opened, h)
	}
	return s.finish(err)
}

// keyed makes a call with groups. What it changed is in the store of the function when it ended well.
func (s *stage) keyed(number int, verb abi.Verb, f abi.Function, header *abi.CallHeader, groups *abi.GroupsWriter, list []stagedGroup) (*host.Effects, error) {
	if s.stores[f.Name] == nil {
		s.stores[f.Name] = newStore()
	}
	if err := s.begin(&stagedCall{function: f, verb: verb, groups: list, store: s.stores[f.Name].clone()}); err != nil {
		return nil, err
	}
	in := make([]byte, abi.CallHeaderBytes, abi.CallHeaderBytes+groups.Size())
	header.Put(in)
	ptr, n := s.give(append(in, groups.Bytes()...))
	err := s.status(s.run("wasmill_keyed", uint64(number), uint64(verb), ptr, n))
	c := s.call
	if err == nil {
		err = c.apply()
	}
	if err == nil {
		s.stores[f.Name] = c.store
	}
	return &c.effects, s.finish(err)
}

// apply carries out what the guest replied.
func (c *stagedCall) apply() error {
	for _, g := range c.groups {
		for _, window := range g.merged {
			c.store.forget(place{string(g.head.Key), window})
		}
	}
	for p := c.effects.Reply; len(p) > 0; {
		entry, rest, err := abi.NextReplyEntry(p)
		if err != nil {
			return err
		}
		actions, g := entry.Actions, &c.groups[entry.Group]
		for range entry.Count {
			var a abi.Action
			if a, actions, err = abi.NextAction(actions); err != nil {
				return err
			}
			if err := c.act(g, a); err != nil {
				return err
			}
		}
		p = rest
	}
	return nil
}

// act carries out one action.
func (c *stagedCall) act(g *stagedGroup, a abi.Action) error {
	switch a.Op {
	case abi.ActionPut, abi.ActionClear:
		if c.verb == abi.VerbCreate || c.verb == abi.VerbAccumulate || c.verb == abi.VerbMerge {
			c.answer(g, "acc="+printValue(c.function.Accumulator, a.Value))
			return nil
		}
		if int(a.Index) >= len(c.function.States) {
			return fmt.Errorf("action %d of state %d of %d", a.Op, a.Index, len(c.function.States))
		}
		at := g.place(c.function.States[a.Index])
		delete(c.store.cells, cellKey{at, a.Index})
		if a.Op == abi.ActionPut {
			c.store.cell(at, a.Index).value = slices.Concat([]byte{}, a.Value)
		}
	case abi.ActionSetTimer:
		c.store.timers[timerKey{g.timers(c.function), a.Index, a.Time}] = true
	case abi.ActionDeleteTimer:
		delete(c.store.timers, timerKey{g.timers(c.function), a.Index, a.Time})
	default:
		text, err := printAnswer(a)
		c.answer(g, text)
		return err
	}
	return nil
}

// answer takes note of what was replied about a group.
func (c *stagedCall) answer(g *stagedGroup, text string) {
	if c.function.Key != "" && len(g.head.Key) > 0 {
		text = strings.Join(strings.Fields(printKey(c.function.Key, g.head.Key)+" "+g.window()), " ") + " " + text
	}
	c.answered = append(c.answered, text)
}

// migrate makes elements of the version that the manifest declares.
func (s *stage) migrate(function uint32, state int, from uint32, in *abi.Builder) (*abi.Batch, error) {
	if err := s.begin(&stagedCall{}); err != nil {
		return nil, err
	}
	ptr, n := s.give(in.Encode(make([]byte, in.Size())))
	err := s.status(s.run("wasmill_migrate", uint64(function<<16|uint32(state)), uint64(from), ptr, n))
	out := new(abi.Batch)
	if err == nil {
		err = out.Parse(s.call.effects.Reply)
	}
	return out, s.finish(err)
}

func (s *stage) emit(output, ptr, n uint32) {
	e := host.Emit{Output: output, Bytes: s.bytes(ptr, n)}
	if err := e.Batch.Parse(e.Bytes); err != nil {
		panic(err)
	}
	s.call.effects.Emits = append(s.call.effects.Emits, e)
}

func (s *stage) reply(ptr, n uint32) {
	s.call.effects.Reply = append(s.call.effects.Reply, s.bytes(ptr, n)...)
}

func (s *stage) fail(ptr, n uint32) {
	f, err := abi.ParseFailure(s.bytes(ptr, n))
	if err != nil {
		panic(err)
	}
	s.call.failure = f
}

func (s *stage) param(name, n, out, capacity uint32) uint32 {
	v, ok := s.params[string(s.bytes(name, n))]
	if !ok {
		return 1<<32 - 1
	}
	if uint32(len(v)) <= capacity {
		s.guest.Memory().WriteString(out, v)
	}
	return uint32(len(v))
}

func (s *stage) state(op, ptr, n, out, capacity uint32) uint32 {
	requests, err := abi.ParseStateRequests(nil, s.bytes(ptr, n))
	if err != nil {
		panic(err)
	}
	var answers []abi.StateAnswer
	for _, r := range requests {
		a, err := s.call.carryOut(abi.StateOp(op), r)
		if err != nil {
			panic(err)
		}
		answers = append(answers, a)
	}
	if op := abi.StateOp(op); op != abi.StateGet && op != abi.StateScan && op != abi.StateRecords {
		return 0
	}
	p := abi.AppendStateAnswers(nil, answers)
	if uint32(len(p)) <= capacity && !s.guest.Memory().Write(out, p) {
		panic(fmt.Errorf("state: %d bytes at %d lie outside of memory", len(p), out))
	}
	return uint32(len(p))
}

// pageSize is how many elements a scan answers at most, so that every scan of a few is one of several pages.
const pageSize = 2

func (c *stagedCall) carryOut(op abi.StateOp, r abi.StateRequest) (a abi.StateAnswer, err error) {
	if r.Group != abi.None && int(r.Group) >= len(c.groups) {
		return a, fmt.Errorf("state: group %d of %d", r.Group, len(c.groups))
	}
	if op == abi.StateRecords {
		return c.groups[r.Group].records(int(r.State), int(r.Cursor))
	}
	if int(r.State) >= len(c.function.States) {
		return a, fmt.Errorf("state %d of %d", r.State, len(c.function.States))
	}
	declared, at := c.function.States[r.State], own
	if r.Group != abi.None {
		at = c.groups[r.Group].place(declared)
	}
	if (at == own) != (r.Group == abi.None) || at == own && declared.Scope != "operator" && declared.Scope != "broadcast" {
		return a, fmt.Errorf("state %q of scope %s, of group %d", declared.Name, declared.Scope, r.Group)
	}
	kind, cell := strings.Replace(declared.Kind, "union", "list", 1), c.store.cell(at, r.State)
	switch kind + " " + fmt.Sprint(op) {
	case "value 1":
		if cell.value != nil {
			a.Values = [][]byte{cell.value}
		}
	case "value 2":
		cell.value = slices.Concat([]byte{}, r.Value)
	case "value 3", "list 3":
		*cell = cellContent{}
	case "list 4":
		cell.list = append(cell.list, r.Value)
	case "list 5":
		a = page(r.Cursor, nil, cell.list)
	case "map 1":
		if v, ok := cell.entries[string(r.Key)]; ok {
			a.Values = [][]byte{v}
		}
	case "map 2":
		if cell.entries == nil {
			cell.entries = make(map[string][]byte)
		}
		cell.entries[string(r.Key)] = r.Value
	case "map 3":
		delete(cell.entries, string(r.Key))
		if len(r.Key) == 0 {
			cell.entries = nil
		}
	case "map 5":
		keys, values := cell.sorted()
		a = page(r.Cursor, keys, values)
	default:
		return a, fmt.Errorf("state op %d of a %s state", op, kind)
	}
	return a, nil
}

// page is the part of a state's elements that begins at the cursor.
func page(cursor uint64, keys, values [][]byte) (a abi.StateAnswer) {
	end := min(int(cursor)+pageSize, len(values))
	a.Values = values[cursor:end]
	if keys != nil {
		a.Keys = keys[cursor:end]
	}
	if end < len(values) {
		a.More, a.Cursor = true, uint64(end)
	}
	return a
}

// records are those of an input from number from on, one page of them.
func (g *stagedGroup) records(input, from int) (a abi.StateAnswer, err error) {
	if input > 1 || from > len(g.values[input]) {
		return a, fmt.Errorf("records of list %d, from %d", input, from)
	}
	a = page(uint64(from), nil, g.values[input])
	if g.timestamps[input] != nil {
		a.Timestamps = g.timestamps[input][from : from+len(a.Values)]
	}
	return a, nil
}
