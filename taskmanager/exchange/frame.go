package exchange

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/transport"
)

// streamVersion is the version of what follows; a stream of another one is refused.
//
// History: 1 first. 2 has barriers. 3 has unaligned ones, and a stream of notices beside the channels. 4 says with a watermark
// whether its sender is idle. 5 has batches of accumulators.
const streamVersion = 5

// Why one side gave up a stream. The list only grows.
const (
	codeDone     transport.StreamCode = 1 // the receiver has END: the sender's work is delivered
	codeAborted  transport.StreamCode = 2 // the sending task stopped before END
	codeGone     transport.StreamCode = 3 // the receiving task stopped before END
	codeStale    transport.StreamCode = 4 // the attempt is over
	codeRefused  transport.StreamCode = 5 // the receiving task did not appear in time
	codeBusy     transport.StreamCode = 6 // too many streams wait for their tasks
	codeProtocol transport.StreamCode = 7 // the bytes make no sense
)

// reasonOf is what the code means to the side that gets it.
func reasonOf(code transport.StreamCode) error {
	switch code {
	case codeAborted:
		return errAborted
	case codeGone:
		return errGone
	case codeStale:
		return ErrStale
	case codeRefused:
		return errRefused
	case codeBusy:
		return errBusy
	case codeProtocol:
		return errProtocol
	}
	return fmt.Errorf("given up by the other side (code %d)", code)
}

// A stream begins with a hello that names its channel (integers little-endian), the job's id behind it:
//
//	 0 u16 version (5)   2 u16 bytes of the id   4 u32 attempt     8 u64 epoch
//	16 u32 edge         20 u32 from: chain      24 u32 subtask    28 u32 to: chain   32 u32 subtask   36 u32 stream (0 a channel, 1 notices)
//	40 job id
//
// The channel 0.1 -> 2.3 over edge 1 of attempt 2 in epoch 5 of job 7f3a9c19be02:
//
//	05 00 0c 00  02 00 00 00  05 00 00 00 00 00 00 00
//	01 00 00 00  00 00 00 00  01 00 00 00  02 00 00 00  03 00 00 00  00 00 00 00
//	37 66 33 61 39 63 31 39 62 65 30 32
const (
	helloBytes  = 40
	maxJobBytes = 64

	helloChannel = 0
	helloUrgent  = 1
)

func appendHello(p []byte, k channelKey, stream int) []byte {
	le := binary.LittleEndian
	p = le.AppendUint16(p, streamVersion)
	p = le.AppendUint16(p, uint16(len(k.Job)))
	p = le.AppendUint32(p, uint32(k.Attempt.Attempt))
	p = le.AppendUint64(p, uint64(k.Epoch))
	for _, v := range []int{k.edge, k.from.Chain, k.from.Subtask, k.to.Chain, k.to.Subtask, stream} {
		p = le.AppendUint32(p, uint32(v))
	}
	return append(p, k.Job...)
}

// parseHello reads all but the job's id, and says how long that is.
func parseHello(p []byte) (k channelKey, stream, jobBytes int, err error) {
	le := binary.LittleEndian
	if v := le.Uint16(p); v != streamVersion {
		return k, 0, 0, fmt.Errorf("hello.version: %d (expected %d)", v, streamVersion)
	}
	jobBytes = int(le.Uint16(p[2:]))
	if jobBytes == 0 || jobBytes > maxJobBytes {
		return k, 0, 0, fmt.Errorf("hello.job: %d bytes (expected 1 <= n <= %d)", jobBytes, maxJobBytes)
	}
	k.Attempt = Attempt{Attempt: graph.Attempt(le.Uint32(p[4:])), Epoch: graph.Epoch(le.Uint64(p[8:]))}
	for i, field := range []*int{&k.edge, &k.from.Chain, &k.from.Subtask, &k.to.Chain, &k.to.Subtask} {
		*field = int(le.Uint32(p[16+4*i:]))
	}
	if stream = int(le.Uint32(p[36:])); stream > helloUrgent {
		return k, 0, 0, fmt.Errorf("hello.stream: %d (expected 0 or 1)", stream)
	}
	return k, stream, jobBytes, nil
}

// Frames follow: a header of 16 bytes, and a batch's bytes behind the header of a batch.
//
//	0 u32 bytes that follow   4 u8 kind   5 u8 1: the sender is idle (of a watermark, else 0)   6 two zeros   8 u64 value
//
//	kind 1  batch       value: its number, 1, 2, 3 ...   follows: the batch, 32 <= n <= 32 MiB
//	kind 2  watermark   value: i64 milliseconds          follows: nothing
//	kind 3  END         value: how many batches came     follows: nothing; the receiver stops the stream with code 1
//	kind 4  barrier     value: the checkpoint            follows: u64 base, u32 flags (1 stop, 2 drain, 4 unaligned, 8 may overtake), u32 exchange
//
// Batch number 7 of 65,600 bytes, the watermark 1,000 of an idle sender, the barrier of checkpoint 7 on base 6, and the END of seven batches:
//
//	40 00 01 00  01 00 00 00  07 00 00 00 00 00 00 00  (65,600 bytes)
//	00 00 00 00  02 01 00 00  e8 03 00 00 00 00 00 00
//	10 00 00 00  04 00 00 00  07 00 00 00 00 00 00 00  06 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
//	00 00 00 00  03 00 00 00  07 00 00 00 00 00 00 00
const (
	frameBytes   = 16
	barrierBytes = 16

	barrierStop        = 1 << 0
	barrierDrain       = 1 << 1
	barrierUnaligned   = 1 << 2
	barrierMayOvertake = 1 << 3
)

func markFlags(m Mark) (flags uint32) {
	for _, f := range []struct {
		set  bool
		flag uint32
	}{{m.Stop, barrierStop}, {m.Drain, barrierDrain}, {m.Unaligned, barrierUnaligned}, {m.MayOvertake, barrierMayOvertake}} {
		if f.set {
			flags |= f.flag
		}
	}
	return flags
}

func putMark(p *[barrierBytes]byte, m Mark) {
	le := binary.LittleEndian
	le.PutUint64(p[0:], uint64(m.Base))
	le.PutUint32(p[8:], markFlags(m))
	le.PutUint32(p[12:], m.Exchange)
}

func parseMark(id uint64, p *[barrierBytes]byte) (Mark, error) {
	le := binary.LittleEndian
	m, err := markOf(id, le.Uint64(p[:]), le.Uint32(p[8:]))
	if m.Exchange = le.Uint32(p[12:]); err == nil && m.Exchange != 0 && m.overtakes() {
		err = fmt.Errorf("frame.barrier: checkpoint %d overtakes, and exchanges modules (%d)", m.Checkpoint, m.Exchange)
	}
	return m, err
}

func markOf(id, base uint64, flags uint32) (Mark, error) {
	m := Mark{
		Checkpoint: checkpoint.ID(id), Base: checkpoint.ID(base), Stop: flags&barrierStop != 0, Drain: flags&barrierDrain != 0,
		Unaligned: flags&barrierUnaligned != 0, MayOvertake: flags&barrierMayOvertake != 0,
	}
	if flags >= 2*barrierMayOvertake || m.Checkpoint == 0 || m.Base >= m.Checkpoint {
		return m, fmt.Errorf("frame.barrier: checkpoint %d on base %d, flags %#x", m.Checkpoint, m.Base, flags)
	}
	return m, nil
}

func putFrame(p *[frameBytes]byte, kind Kind, idle bool, follows int, value uint64) {
	le := binary.LittleEndian
	le.PutUint32(p[0:], uint32(follows))
	le.PutUint32(p[4:], uint32(kind))
	if idle {
		p[5] = 1
	}
	le.PutUint64(p[8:], value)
}

type frame struct {
	kind    Kind
	idle    bool
	follows int
	value   uint64
}

// parseFrame checks the header against the number of batches that came before.
func parseFrame(p *[frameBytes]byte, batches uint64) (f frame, err error) {
	le := binary.LittleEndian
	f = frame{kind: Kind(p[4]), idle: p[5] == 1, follows: int(le.Uint32(p[0:])), value: le.Uint64(p[8:])}
	least, most := 0, 0
	switch {
	case p[5] > 1 || f.idle && f.kind != Watermark || p[6]|p[7] != 0 || f.kind < Batch || f.kind > Barrier:
		return f, fmt.Errorf("frame.kind: %d (expected 1 <= kind <= 4)", le.Uint32(p[4:]))
	case f.kind == Batch && f.value != batches+1:
		return f, fmt.Errorf("frame.number: batch %d (expected %d)", f.value, batches+1)
	case f.kind == End && f.value != batches:
		return f, fmt.Errorf("frame.number: END of %d batches (%d came)", f.value, batches)
	case f.kind == Batch:
		least, most = leastBatch, MaxBatchBytes
	case f.kind == Barrier:
		least, most = barrierBytes, barrierBytes
	}
	if f.follows < least || f.follows > most {
		return f, fmt.Errorf("frame.size: %d bytes (expected %d <= n <= %d)", f.follows, least, most)
	}
	return f, nil
}
