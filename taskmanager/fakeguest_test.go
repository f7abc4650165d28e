package taskmanager

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
)

// raceEnabled says that the tests run under the race detector.
var raceEnabled bool

// fakeFunction is a user function: of kinds that take records one by one, or a folding.
type fakeFunction struct {
	name   string
	kind   abi.FunctionKind
	each   func(r abi.Record, emit func(abi.Record))
	fold   func(acc, value []byte) []byte                        // acc is nil at first
	result func(g *abi.Group, acc []byte, emit func(abi.Record)) // nil: the accumulator is the result
	kill   func(call int, values [][]byte) *host.Error           // the call dies instead
}

// fakeModule is a module of such functions, and what became of its instances.
type fakeModule struct {
	functions []fakeFunction
	instances atomic.Int32
	closed    atomic.Int32
	calls     atomic.Int32
	spin      chan struct{} // when set, calls wait until they are cancelled
	migrate   func(elements *abi.Builder) *host.Error
}

// fakeBox is an instance of a fakeModule.
type fakeBox struct {
	module   *fakeModule
	handles  map[uint32]*abi.Handle
	builders map[uint32]*abi.Builder
	memory   map[uint32][]byte
	effects  host.Effects
	in       abi.Batch
	input    []byte
	canceled chan struct{}
	once     sync.Once
	dead     bool
}

func (m *fakeModule) start() *fakeBox {
	m.instances.Add(1)
	return &fakeBox{module: m, handles: map[uint32]*abi.Handle{}, builders: map[uint32]*abi.Builder{}, memory: map[uint32][]byte{}, canceled: make(chan struct{})}
}

func (b *fakeBox) Manifest() *abi.Manifest { return nil }
func (b *fakeBox) Cancel()                 { b.once.Do(func() { close(b.canceled) }) }
func (b *fakeBox) Fuel() int64             { return 1 }

func (b *fakeBox) Close(context.Context) error {
	if b.module != nil {
		b.module.closed.Add(1)
	}
	return nil
}

func (b *fakeBox) Open(number uint32, h *abi.Handle) error {
	b.handles[number] = h
	for _, f := range h.Functions {
		for _, o := range f.Outputs {
			b.builders[number<<16|o.Number] = abi.NewBuilder(o.Columns)
		}
	}
	return nil
}

func (b *fakeBox) Migrate(_, _ uint32, in *abi.Builder) (*abi.Batch, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	if b.module.migrate != nil {
		if err := b.die(b.module.migrate(in)); err != nil {
			return nil, err
		}
	}
	in.View(&b.in)
	return &b.in, nil
}

func canceledError() *host.Error {
	return &host.Error{Kind: host.KindCanceled, Message: "the call was canceled", Record: abi.None}
}

func (b *fakeBox) begin() error {
	if b.dead {
		return errors.New("a dead instance was called")
	}
	b.module.calls.Add(1)
	if b.module.spin != nil {
		<-b.canceled
	}
	select {
	case <-b.canceled:
		return canceledError()
	default:
	}
	b.effects = host.Effects{Emits: b.effects.Emits[:0], Reply: b.effects.Reply[:0]}
	return nil
}

func (b *fakeBox) Process(number uint32, _ *abi.CallHeader, in host.Input) (*host.Effects, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	if len(b.input) < in.Size() {
		b.input = abi.AlignedBytes(2 * in.Size())
	}
	if err := b.in.Parse(in.Encode(b.input)); err != nil {
		return nil, err
	}
	h := b.handles[number]
	for k := range h.Functions {
		if h.Functions[k].Upstream != abi.None {
			continue
		}
		if err := b.killed(&b.module.functions[h.Functions[k].Function]); err != nil {
			return nil, err
		}
		for i := range b.in.N {
			r := abi.Record{Timestamp: b.in.Timestamp(i)}
			if b.in.KeyOffs != nil {
				r.Key = b.in.Key(i)
			}
			if b.in.ValueOffs != nil {
				r.Value = b.in.Value(i)
			}
			b.run(number, k, r)
		}
	}
	b.finish(number)
	return &b.effects, nil
}

func (b *fakeBox) killed(f *fakeFunction) error {
	if f.kill == nil {
		return nil
	}
	var values [][]byte
	for i := range b.in.N {
		values = append(values, b.in.Value(i))
	}
	return b.die(f.kill(int(b.module.calls.Load()), values))
}

func (b *fakeBox) die(e *host.Error) error {
	if e == nil {
		return nil
	}
	b.dead = e.Kind.Poisoned()
	return e
}

// run passes a record through function k of a handle and those behind it.
func (b *fakeBox) run(number uint32, k int, r abi.Record) {
	h := b.handles[number]
	b.module.functions[h.Functions[k].Function].each(r, func(r abi.Record) { b.out(number, k, r) })
}

func (b *fakeBox) out(number uint32, k int, r abi.Record) {
	h := b.handles[number]
	if b.module.functions[h.Functions[k].Function].kind == abi.FunctionTimestamp {
		b.effects.Watermark, b.effects.HasWatermark = max(b.effects.Watermark, r.Timestamp), true
	}
	for _, o := range h.Functions[k].Outputs {
		b.builders[number<<16|o.Number].Append(r)
	}
	for next := k + 1; next < len(h.Functions); next++ {
		if h.Functions[next].Upstream == uint32(k) {
			b.run(number, next, r)
		}
	}
}

func (b *fakeBox) finish(number uint32) {
	for _, f := range b.handles[number].Functions {
		for _, o := range f.Outputs {
			id := number<<16 | o.Number
			w := b.builders[id]
			if w.Len() == 0 {
				continue
			}
			if len(b.memory[id]) < w.Size() {
				b.memory[id] = abi.AlignedBytes(2 * w.Size())
			}
			e := host.Emit{Output: o.Number, Bytes: w.Encode(b.memory[id])}
			w.Reset()
			if err := e.Batch.Parse(e.Bytes); err != nil {
				panic(err)
			}
			b.effects.Emits = append(b.effects.Emits, e)
		}
	}
}

func (b *fakeBox) Keyed(number uint32, verb abi.Verb, _ *abi.CallHeader, g *abi.GroupsWriter, _ host.State) (*host.Effects, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	groups := readGroups(g.Bytes())
	f := &b.module.functions[b.handles[number].Functions[0].Function]
	if f.kill != nil {
		var values [][]byte
		for _, g := range groups {
			values = append(values, g.input...)
		}
		if err := b.die(f.kill(int(b.module.calls.Load()), values)); err != nil {
			return nil, err
		}
	}
	for i, g := range groups {
		switch verb {
		case abi.VerbAccumulate:
			acc := g.accumulator
			for _, v := range g.input {
				acc = f.fold(acc, v)
			}
			b.effects.Reply = appendPut(b.effects.Reply, i, acc)
		case abi.VerbResult:
			f.result(&g.Group, g.accumulator, func(r abi.Record) { b.out(number, 0, r) })
		}
	}
	b.finish(number)
	return &b.effects, nil
}

// readGroup is one group of a keyed call, as a guest reads it.
type readGroup struct {
	abi.Group
	accumulator []byte
	input       [][]byte
}

func readGroups(p []byte) []readGroup {
	le := leUint32
	var out []readGroup
	n := le(p[4:])
	p = p[le(p):]
	for range n {
		size := le(p)
		g := readGroup{Group: abi.Group{Flags: le(p[4:]), WindowStart: int64(leUint64(p[8:])), WindowEnd: int64(leUint64(p[16:]))}}
		g.Key = p[abi.GroupHeaderBytes : abi.GroupHeaderBytes+le(p[32:])]
		at := abi.GroupHeaderBytes + (le(p[32:])+7)&^7
		for range le(p[36:]) {
			l := p[at:]
			count, tag := int(le(l[12:])), abi.ListTag(l[4])
			offs := l[abi.ListHeaderBytes:]
			if le(l[16:])&abi.ListHasTimestamps != 0 {
				offs = offs[8*count:]
			}
			data := offs[(4*(count+1)+7)&^7:]
			for i := range count {
				v := data[le(offs[4*i:]):le(offs[4*i+4:])]
				if tag == abi.ListAccumulators {
					g.accumulator = v
				} else {
					g.input = append(g.input, v)
				}
			}
			at += le(l)
		}
		out = append(out, g)
		p = p[size:]
	}
	return out
}

func leUint32(p []byte) uint32 {
	return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
}
func leUint64(p []byte) uint64 { return uint64(leUint32(p)) | uint64(leUint32(p[4:]))<<32 }

// appendPut appends a reply entry that puts a group's accumulator.
func appendPut(dst []byte, group int, acc []byte) []byte {
	put := func(v uint32) { dst = append(dst, byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }
	padded := (len(acc) + 7) &^ 7
	put(uint32(abi.ReplyEntryBytes + abi.ReplyActionBytes + padded))
	put(uint32(group))
	put(1)
	put(0)
	put(uint32(abi.ReplyActionBytes + padded))
	put(uint32(abi.ActionPut))
	put(uint32(len(acc)))
	put(0)
	dst = append(dst, acc...)
	return append(dst, make([]byte, padded-len(acc))...)
}
