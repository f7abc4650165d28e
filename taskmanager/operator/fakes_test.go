package operator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/taskmanager/state"
	"github.com/wasmill/wasmill/taskmanager/state/spill"
)

// rec is a record of a test: value is a number unless text is given.
type rec struct {
	time  int64
	key   string
	value int64
}

func batchOf(recs ...rec) (*abi.Batch, []uint64) {
	w := abi.NewBuilder(abi.ColumnTimestamps | abi.ColumnKeys | abi.ColumnValues)
	hashes := make([]uint64, len(recs))
	for i, r := range recs {
		w.Append(abi.Record{Timestamp: r.time, Key: []byte(r.key), Value: binary.LittleEndian.AppendUint64(nil, uint64(r.value))})
		hashes[i] = xxhash.Sum64String(r.key)
	}
	var b abi.Batch
	w.View(&b)
	return &b, hashes
}

// summing is a guest whose accumulators are sums of i64, and whose results are "key=sum".
type summing struct {
	out     []string
	kinds   []abi.ChangeKind // of out
	calls   int
	records [][]int64 // values of each call
	die     func(values []int64) error
	retries int
}

func (s *summing) Accumulate(g *abi.GroupsWriter) ([]byte, error) {
	s.calls++
	var reply []byte
	var all []int64
	each(g.Bytes(), func(i int, _ abi.Group, accs, values [][]byte) {
		sum := int64(binary.LittleEndian.Uint64(total(accs)))
		for _, v := range values {
			n := int64(binary.LittleEndian.Uint64(v))
			all = append(all, n)
			sum += n
		}
		reply = put(reply, i, binary.LittleEndian.AppendUint64(nil, uint64(sum)))
	})
	s.records = append(s.records, all)
	if s.die != nil {
		if err := s.die(all); err != nil {
			return nil, err
		}
	}
	return reply, nil
}

func (s *summing) Merge(g *abi.GroupsWriter) ([]byte, error) {
	s.calls++
	var reply []byte
	each(g.Bytes(), func(i int, _ abi.Group, accs, _ [][]byte) { reply = put(reply, i, total(accs)) })
	return reply, nil
}

// total is the sum of accumulators.
func total(accs [][]byte) []byte {
	sum := uint64(0)
	for _, acc := range accs {
		sum += binary.LittleEndian.Uint64(acc)
	}
	return binary.LittleEndian.AppendUint64(nil, sum)
}

func (s *summing) Result(g *abi.GroupsWriter, kind abi.ChangeKind) error {
	s.calls++
	each(g.Bytes(), func(_ int, g abi.Group, accs, _ [][]byte) {
		line := fmt.Sprintf("%s=%d", g.Key, int64(binary.LittleEndian.Uint64(total(accs))))
		if g.Flags&abi.GroupHasWindow != 0 {
			line = fmt.Sprintf("[%d,%d) %s", g.WindowStart, g.WindowEnd, line)
		}
		s.out, s.kinds = append(s.out, line), append(s.kinds, kind)
	})
	return nil
}

func (s *summing) Migrate(int, uint16, *abi.Builder, func(uint32) string) (*abi.Batch, error) {
	return nil, errors.New("no schema version is declared")
}

var errDead = errors.New("the guest died")

// Retry halves at once.
func (s *summing) Retry(err error, n int, call func(lo, hi int) error, describe func(int) Unit) error {
	s.retries++
	if !errors.Is(err, errDead) {
		return err
	}
	if n == 1 {
		u := describe(0)
		return fmt.Errorf("row %d, %x: %w", u.Row, u.Data, err)
	}
	for _, half := range [][2]int{{0, n / 2}, {n / 2, n}} {
		if err := call(half[0], half[1]); err != nil {
			part := func(lo, hi int) error { return call(half[0]+lo, half[0]+hi) }
			if err := s.Retry(err, half[1]-half[0], part, func(i int) Unit { return describe(half[0] + i) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// each walks the groups of a call as a guest does.
func each(p []byte, visit func(i int, g abi.Group, accs, values [][]byte)) {
	le := binary.LittleEndian
	n := le.Uint32(p[4:])
	p = p[le.Uint32(p):]
	for i := range n {
		g := abi.Group{Flags: le.Uint32(p[4:]), WindowStart: int64(le.Uint64(p[8:])), WindowEnd: int64(le.Uint64(p[16:]))}
		g.Key = p[abi.GroupHeaderBytes : abi.GroupHeaderBytes+le.Uint32(p[32:])]
		at := abi.GroupHeaderBytes + (le.Uint32(p[32:])+7)&^7
		var accs, values [][]byte
		for range le.Uint32(p[36:]) {
			l := p[at:]
			count := int(le.Uint32(l[12:]))
			offs := l[abi.ListHeaderBytes:]
			if le.Uint32(l[16:])&abi.ListHasTimestamps != 0 {
				offs = offs[8*count:]
			}
			data := offs[(4*(count+1)+7)&^7:]
			for k := range count {
				v := data[le.Uint32(offs[4*k:]):le.Uint32(offs[4*k+4:])]
				if abi.ListTag(le.Uint16(l[4:])) == abi.ListAccumulators {
					accs = append(accs, v)
				} else {
					values = append(values, v)
				}
			}
			at += le.Uint32(l)
		}
		visit(int(i), g, accs, values)
		p = p[le.Uint32(p):]
	}
}

func put(dst []byte, group int, acc []byte) []byte {
	le := binary.LittleEndian
	padded := (len(acc) + 7) &^ 7
	dst = le.AppendUint32(dst, uint32(abi.ReplyEntryBytes+abi.ReplyActionBytes+padded))
	dst = le.AppendUint32(dst, uint32(group))
	dst = le.AppendUint32(dst, 1)
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint32(dst, uint32(abi.ReplyActionBytes+padded))
	dst = le.AppendUint32(dst, uint32(abi.ActionPut))
	dst = le.AppendUint32(dst, uint32(len(acc)))
	dst = le.AppendUint32(dst, 0)
	dst = append(dst, acc...)
	return append(dst, make([]byte, padded-len(acc))...)
}

// running is an operator under test with what it has put out.
type running struct {
	t     testing.TB
	op    Operator
	out   *abi.Builder
	store state.Store
	spill int64    // budget of the store, 0: none
	files [][]byte // of the last snapshot
}

func start(t testing.TB, c Config) *running {
	t.Helper()
	return startIn(t, c, 0)
}

// startIn is start with a budget of memory.
func startIn(t testing.TB, c Config, budget int64) *running {
	t.Helper()
	store, err := state.New(storeConfig(t, budget))
	if err != nil {
		t.Fatal(err)
	}
	c.Store, c.UID = store, "op"
	op, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &running{t: t, op: op, out: abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues | abi.ColumnTimestamps), store: store, spill: budget}
}

// storeConfig is a store's with a budget, 0: all lies in memory.
func storeConfig(t testing.TB, budget int64) state.Config {
	c := state.Config{Groups: graph.DefaultMaxParallelism, To: graph.DefaultMaxParallelism, Budget: budget}
	if budget > 0 {
		dir := t.TempDir()
		c.Dir, c.Space = filepath.Join(dir, "spill"), &spill.Space{Disk: &spill.Disk{Dir: dir}, Dir: dir}
	}
	return c
}

// trim follows a call, as a task does.
func (r *running) trim() {
	r.t.Helper()
	if err := r.store.Trim(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) process(recs ...rec) {
	r.t.Helper()
	b, hashes := batchOf(recs...)
	if err := r.op.Process(b, hashes, 0, r.out); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) fire(watermark int64) (calls int) { return r.fireIn(watermark, func() {}) }

// part is a part of fire: so many calls, and a snapshot that another operator goes on from.
func (r *running) part(watermark int64, calls int, again func()) {
	r.t.Helper()
	for more := true; more && calls > 0; calls-- {
		var err error
		if more, err = r.op.Fire(watermark, r.out); err != nil {
			r.t.Fatal(err)
		}
		r.trim()
	}
	again()
}

// fireIn is fire with what is done between two calls where a snapshot may lie.
func (r *running) fireIn(watermark int64, between func()) (calls int) {
	r.t.Helper()
	for {
		calls++
		more, err := r.op.Fire(watermark, r.out)
		if err != nil {
			r.t.Fatal(err)
		}
		r.trim()
		if !more {
			return calls
		}
		between()
	}
}

// sumAtEnd fires everything and adds up the column value of what is put out, rows of the schema c.
func (r *running) sumAtEnd(c abi.Codec) (sum int64) {
	r.t.Helper()
	s, err := abi.ParseSchema(c)
	if err != nil {
		r.t.Fatal(err)
	}
	value := s.Index("value")
	for more := true; more; {
		if more, err = r.op.Fire(abi.MaxTime, r.out); err != nil {
			r.t.Fatal(err)
		}
		var b abi.Batch
		r.out.View(&b)
		for i := range b.N {
			sum += s.Row(b.Value(i)).I64(value)
		}
		r.out.Reset()
	}
	return sum
}

// rows takes what was put out, rows of the schema c, as text: "start,end,key,value".
func (r *running) rows(c abi.Codec) []string {
	r.t.Helper()
	s, err := abi.ParseSchema(c)
	if err != nil {
		r.t.Fatal(err)
	}
	var b abi.Batch
	r.out.View(&b)
	var out []string
	for i := range b.N {
		if err := abi.Validate(s, b.Value(i)); err != nil {
			r.t.Fatal(err)
		}
		line, row := "", s.Row(b.Value(i))
		for f, field := range s.Fields {
			if f > 0 {
				line += ","
			}
			switch field.Type {
			case abi.TypeI64, abi.TypeMs:
				line += fmt.Sprint(row.I64(f))
			case abi.TypeF64:
				line += fmt.Sprint(row.F64(f))
			default:
				line += string(row.Bytes(f))
			}
		}
		if ts := b.Timestamp(i); ts != abi.NoTimestamp {
			line += fmt.Sprint("@", ts)
		}
		out = append(out, line)
	}
	r.out.Reset()
	return out
}
