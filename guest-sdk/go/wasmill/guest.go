package wasmill

import (
	"encoding/binary"
	"runtime"
	"strconv"
	"strings"
)

// What an export answers.
const (
	statusOK              = 0
	statusFailed          = 1
	statusUnknownHandle   = 2
	statusUnknownFunction = 3
	statusUnknownVerb     = 4
	statusBadInput        = 5
)

// callHeaderBytes is the size of the call header in version 1; its own first field says how long it really is.
const callHeaderBytes = 40

// guest is this module's instance. The host makes one call at a time, so nothing here is locked.
var guest = instance{codecs: make(map[any]any)}

type instance struct {
	name   string // of the job
	define func(*Env)
	codecs map[any]any // *T -> codec[T]

	input     []byte // where the host writes; kept here so that it stays where it is
	described []byte // the manifest that the host reads
	functions []*function
	handles   map[uint32]*chain
	failure   []byte
}

// buffer returns a place for the host to write size bytes, on an address that is a multiple of 8.
func (g *instance) buffer(size uint32) []byte {
	if int(size) > len(g.input) {
		g.input = aligned(int(size) + int(size)/2)
	}
	return g.input
}

// describe runs the definition with the parameters p and returns the manifest, nil when it was refused.
func (g *instance) describe(p []byte) (manifest []byte) {
	defer g.recovered(func() uint32 { return none })
	if g.define == nil {
		g.fail(none, "the module defines no job: call wasmill.Job from init", "")
		return nil
	}
	e := newEnv(g.name, parseParams(p))
	g.define(e)
	e.finish()
	described, problems := e.manifest()
	if wrong := e.wrong(problems); wrong != "" {
		g.fail(none, wrong, "")
		return nil
	}
	g.functions, g.handles, g.described = e.functions, make(map[uint32]*chain), described
	return g.described
}

// parseParams reads the parameters: u32 count, u32 zero, then u32 name length, u32 value length, name, value, padding.
func parseParams(p []byte) map[string]string {
	le := binary.LittleEndian
	given := make(map[string]string)
	n := le.Uint32(p)
	p = p[8:]
	for range n {
		name, value := 8+le.Uint32(p), 8+le.Uint32(p)+le.Uint32(p[4:])
		given[string(p[8:name])] = string(p[name:value])
		p = p[(value+7)&^7:]
	}
	return given
}

// open composes the functions that p lists.
func (g *instance) open(handle uint32, p []byte) (status uint32) {
	defer g.recoveredTo(&status, func() uint32 { return none })
	specs, ok := parseHandle(p)
	if !ok {
		return statusBadInput
	}
	c, err := compose(g.functions, specs)
	if err != nil {
		return g.refuse(err)
	}
	g.handles[handle] = c
	return statusOK
}

// parseHandle reads the list of functions of a handle.
func parseHandle(p []byte) ([]functionSpec, bool) {
	le := binary.LittleEndian
	if len(p) < 8 || int(le.Uint32(p)) != len(p) {
		return nil, false
	}
	specs := make([]functionSpec, le.Uint32(p[4:]))
	p = p[8:]
	for i := range specs {
		s := &specs[i]
		s.id, s.upstream, s.input = le.Uint32(p[4:]), le.Uint32(p[8:]), le.Uint32(p[12:])
		for o := range le.Uint32(p[16:]) {
			q := p[24+12*o:]
			s.outputs = append(s.outputs, outputSpec{le.Uint32(q), le.Uint32(q[4:]), le.Uint32(q[8:])})
		}
		p = p[le.Uint32(p):]
	}
	return specs, true
}

// process runs the records of p, a call header and a batch, through a handle.
func (g *instance) process(handle uint32, p []byte) (status uint32) {
	c := g.handles[handle]
	if c == nil {
		return statusUnknownHandle
	}
	c.begin()
	defer g.recoveredTo(&status, func() uint32 { return c.record })
	le := binary.LittleEndian
	if len(p) < callHeaderBytes {
		return statusBadInput
	}
	if err := c.process(le.Uint32(p[4:]), p[le.Uint32(p):]); err != nil {
		return g.refuse(err)
	}
	return statusOK
}

// keyed runs the groups of p, behind a call header, through the keyed function of a handle.
func (g *instance) keyed(handle, verb uint32, p []byte) (status uint32) {
	c := g.handles[handle]
	if c == nil {
		return statusUnknownHandle
	}
	c.begin()
	defer g.recoveredTo(&status, func() uint32 { return c.record })
	for _, h := range c.heads {
		if h.keyed == nil {
			continue
		}
		if len(p) < callHeaderBytes {
			return statusBadInput
		}
		if err := h.keyed(verb, parseCallHeader(p), p[binary.LittleEndian.Uint32(p):]); err != nil {
			return g.refuse(err)
		}
		return statusOK
	}
	return statusUnknownFunction
}

// callHeader is what a keyed function may ask of its call.
type callHeader struct {
	watermark, processing int64
	parallelism, subtask  uint32
}

func parseCallHeader(p []byte) callHeader {
	le := binary.LittleEndian
	return callHeader{int64(le.Uint64(p[8:])), int64(le.Uint64(p[16:])), le.Uint32(p[32:]), le.Uint32(p[28:])}
}

// close forgets a handle.
func (g *instance) close(handle uint32) uint32 {
	if g.handles[handle] == nil {
		return statusUnknownHandle
	}
	delete(g.handles, handle)
	return statusOK
}

// refuse says why and returns the status of err.
func (g *instance) refuse(err error) uint32 {
	g.fail(none, err.Error(), "")
	if f, ok := err.(*fault); ok {
		return f.status
	}
	return statusFailed
}

// recovered turns a panic into a failure that names the record that ran.
func (g *instance) recovered(record func() uint32) {
	if p := recover(); p != nil {
		g.panicked(record(), p)
	}
}

// recoveredTo is recovered for an export that answers a status.
func (g *instance) recoveredTo(status *uint32, record func() uint32) {
	if p := recover(); p != nil {
		g.panicked(record(), p)
		*status = statusFailed
	}
}

func (g *instance) panicked(record uint32, value any) {
	g.fail(record, messageOf(value), traceOfPanic())
}

// traceOfPanic lists the functions that ran when the panic that is being recovered began, innermost first, a line each:
// main.parse (main.go:24).
func traceOfPanic() string {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers[:])])
	trace, panicked := "", false
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			trace, panicked = "", true
		case panicked && !strings.HasPrefix(f.Function, "runtime."):
			trace += base(f.Function) + " (" + base(f.File) + ":" + strconv.Itoa(f.Line) + ")\n"
		}
	}
	return strings.TrimSuffix(trace, "\n")
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// messageOf says what was passed to panic, without fmt: it would be a third of a small module.
func messageOf(value any) string {
	switch v := value.(type) {
	case error:
		return v.Error()
	case interface{ String() string }:
		return v.String()
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	}
	return "panic with a value that is neither an error nor a string"
}

// fail tells the host what went wrong: u32 size, record, message length, trace length, then both texts, padded.
func (g *instance) fail(record uint32, message, trace string) {
	le := binary.LittleEndian
	p := le.AppendUint32(g.failure[:0], 0)
	p = le.AppendUint32(p, record)
	p = le.AppendUint32(p, uint32(len(message)))
	p = le.AppendUint32(p, uint32(len(trace)))
	p = append(append(p, message...), trace...)
	p = appendPad(p, len(p))
	le.PutUint32(p, uint32(len(p)))
	g.failure = p
	hostFail(p)
}
