//go:build !wasip1

package wasmill

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"
)

// fakeHost plays the host for a test: it describes and opens a job and keeps what the guest sends.
type fakeHost struct {
	t         *testing.T
	emits     []sent
	replies   [][]byte
	watermark []int64
	failures  []failed
}

type sent struct {
	output uint32
	bytes  []byte
}

type failed struct {
	record         uint32
	message, trace string
}

// newHost makes the job that define defines the only one of this process.
func newHost(t *testing.T, define func(*Env)) *fakeHost {
	h := &fakeHost{t: t}
	guest = instance{name: "test", define: define, codecs: guest.codecs}
	native.emit = func(output uint32, p []byte) { h.emits = append(h.emits, sent{output, slices.Clone(p)}) }
	native.reply = func(p []byte) { h.replies = append(h.replies, slices.Clone(p)) }
	native.watermark = func(ms int64) { h.watermark = append(h.watermark, ms) }
	native.fail = func(p []byte) { h.failures = append(h.failures, parseFailure(p)) }
	return h
}

func parseFailure(p []byte) failed {
	le := binary.LittleEndian
	message, trace := le.Uint32(p[8:]), le.Uint32(p[12:])
	return failed{le.Uint32(p[4:]), string(p[16 : 16+message]), string(p[16+message : 16+message+trace])}
}

// describe returns the manifest, "" when the definition was refused.
func (h *fakeHost) describe(params ...setting) string {
	le := binary.LittleEndian
	p := le.AppendUint64(nil, uint64(len(params)))
	for _, s := range params {
		at := len(p)
		p = le.AppendUint32(p, uint32(len(s.key)))
		p = le.AppendUint32(p, uint32(len(s.value)))
		p = append(append(p, s.key...), s.value...)
		p = appendPad(p, len(p)-at)
	}
	return string(guest.describe(p))
}

// open describes the job and opens handle 1.
func (h *fakeHost) open(specs ...functionSpec) {
	h.t.Helper()
	if h.describe() == "" {
		h.t.Fatalf("describe: %+v", h.failures)
	}
	if status := guest.open(1, handleOf(specs...)); status != statusOK {
		h.t.Fatalf("open: status %d, %+v", status, h.failures)
	}
}

func handleOf(specs ...functionSpec) []byte {
	le := binary.LittleEndian
	p := make([]byte, 8)
	for _, s := range specs {
		at := len(p)
		for _, v := range []uint32{0, s.id, s.upstream, s.input, uint32(len(s.outputs)), 0} {
			p = le.AppendUint32(p, v)
		}
		for _, o := range s.outputs {
			for _, v := range []uint32{o.tag, o.number, o.columns} {
				p = le.AppendUint32(p, v)
			}
		}
		p = appendPad(p, len(p)-at)
		le.PutUint32(p[at:], uint32(len(p)-at))
	}
	le.PutUint32(p, uint32(len(p)))
	le.PutUint32(p[4:], uint32(len(specs)))
	return p
}

// callOf puts a call header before the batch or groups p.
func callOf(p []byte) []byte {
	call := aligned(callHeaderBytes + len(p))
	clear(call)
	binary.LittleEndian.PutUint32(call, callHeaderBytes)
	copy(call[callHeaderBytes:], p)
	return call[:callHeaderBytes+len(p)]
}

// records is a batch in a form that tests can write and compare.
type records struct {
	Timestamps []int64
	Keys       []string
	Values     []string
	Kinds      []byte
	Headers    []string
}

// encode writes r with the SDK's own encoder, which the golden bytes hold to the specification.
func (r records) encode() []byte {
	c := &chain{}
	o := &output{chain: c, columns: columnsKnown, key: &keyCell{}, time: &timeCell{}}
	n := max(len(r.Timestamps), len(r.Keys), len(r.Values), len(r.Kinds), len(r.Headers))
	if r.Timestamps == nil {
		o.time, o.columns = nil, o.columns&^columnTimestamps
	}
	if r.Keys == nil {
		o.key = nil
	}
	if r.Values == nil {
		o.columns &^= columnValues
	}
	c.in = batch{kinds: r.Kinds}
	if r.Headers != nil {
		c.in.headerOffs = []uint32{0}
		for _, h := range r.Headers {
			c.in.headers = append(c.in.headers, h...)
			c.in.headerOffs = append(c.in.headerOffs, uint32(len(c.in.headers)))
		}
	}
	for i := range n {
		if r.Timestamps != nil {
			o.timestamps = append(o.timestamps, r.Timestamps[i])
		}
		if r.Keys != nil {
			o.keys = append(o.keys, r.Keys[i]...)
		}
		if r.Values != nil {
			o.values = append(o.values, r.Values[i]...)
		}
		o.rows[i], o.keyEnds[i], o.valueEnds[i] = uint32(i), uint32(len(o.keys)), uint32(len(o.values))
		o.n++
	}
	return o.encode()
}

func decodeRecords(t *testing.T, p []byte) records {
	t.Helper()
	var b batch
	if !b.parse(p) {
		t.Fatalf("the batch cannot be read: %x", p)
	}
	r := records{Timestamps: b.timestamps, Kinds: b.kinds}
	texts := func(offs []uint32, p []byte) (list []string) {
		for i := 1; i < len(offs); i++ {
			list = append(list, string(p[offs[i-1]:offs[i]]))
		}
		return list
	}
	r.Keys, r.Values, r.Headers = texts(b.keyOffs, b.keys), texts(b.valueOffs, b.values), texts(b.headerOffs, b.headers)
	return r
}

// process runs r through handle 1 and returns what each output sent.
func (h *fakeHost) process(r records) map[uint32]records {
	h.t.Helper()
	h.emits, h.watermark = nil, nil
	if status := guest.process(1, callOf(r.encode())); status != statusOK {
		h.t.Fatalf("process: status %d, %+v", status, h.failures)
	}
	got := make(map[uint32]records)
	for _, e := range h.emits {
		all, more := got[e.output], decodeRecords(h.t, e.bytes)
		all.Timestamps = append(all.Timestamps, more.Timestamps...)
		all.Keys = append(all.Keys, more.Keys...)
		all.Values = append(all.Values, more.Values...)
		all.Kinds = append(all.Kinds, more.Kinds...)
		all.Headers = append(all.Headers, more.Headers...)
		got[e.output] = all
	}
	return got
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return append(aligned(len(p))[:0], p...)
}
