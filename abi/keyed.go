package abi

import (
	"encoding/binary"
	"fmt"
)

// A keyed call carries, behind the call header, a list of groups:
//
//	0 u32 size of this header (16)   4 u32 number of groups   8 u64 zero, then per group:
//
//	 0 u32 size of the group, padding included    4 u32 flags (GroupHasWindow, GroupHasTimer)
//	 8 i64 window start    16 i64 window end, exclusive    24 i64 timer's time (zero without)
//	32 u32 key length      36 u32 number of lists          40 key bytes, padded to 8, then per list:
//
//	 0 u32 size of the list, padding included    4 u16 tag (see ListTag)   6 u16 index (state or side, else 0)
//	 8 u32 total elements    12 u32 included elements (the rest is pulled by state op "records")
//	16 u32 flags (ListHasTimestamps)   20 u32 value bytes
//	24 i64[included] timestamps, if flagged · u32[included+1] offsets, padded to 8 · value bytes, padded to 8
const (
	GroupsHeaderBytes = 16
	GroupHeaderBytes  = 40
	ListHeaderBytes   = 24

	GroupHasWindow = 1 << 0
	GroupHasTimer  = 1 << 1 // the timer's clock is flag GroupTimerProcessing
	// GroupTimerProcessing marks a due processing-time timer; without it a timer is an event-time one.
	GroupTimerProcessing = 1 << 2
	// GroupMerged marks windows that have become one, which a trigger is asked about.
	GroupMerged = 1 << 3
	// GroupEarly and GroupLate say of a window that has a result that the time of its end has not come yet, and that it had
	// before the record that brought this result about; without either, it comes by its end.
	GroupEarly = 1 << 4
	GroupLate  = 1 << 5

	ListHasTimestamps = 1 << 0
)

// ListTag says what the elements of a group's list are.
type ListTag uint16

const (
	ListInput0       ListTag = 0 // records of input 0
	ListInput1       ListTag = 1 // records of input 1
	ListAccumulators ListTag = 2 // at most one for accumulate and result, any number for merge
	ListAnswers      ListTag = 3 // answers to requests, see Answer
	ListState        ListTag = 4 // a prefetched value state: zero or one element, index is its position in Function.States
)

// A reply to a keyed call is a list of entries, one or none a group, in the order of the groups:
//
//	0 u32 size of the entry, padding included   4 u32 group index   8 u32 number of actions   12 u32 zero, then per action:
//
//	0 u32 size, padding included   4 u16 op (see ActionOp)   6 u16 state index, or clock (0 event, 1 processing time)
//	8 i64 time of a timer, or u32 value length and u32 zero     16 value bytes, padded to 8
//
// For accumulate, merge and create the new accumulator is ActionPut with state index 0. Trigger, evict, gap, partition
// and request answer by the actions of these names; README.md has the bytes of their values.
const (
	ReplyEntryBytes  = 16
	ReplyActionBytes = 16
)

// ActionOp is what a reply does to its group. The list only grows.
type ActionOp uint16

const (
	ActionPut         ActionOp = 1
	ActionClear       ActionOp = 2
	ActionSetTimer    ActionOp = 3
	ActionDeleteTimer ActionOp = 4
	ActionTrigger     ActionOp = 5  // u8 a record, or one for a due timer, see TriggerDecision
	ActionKeep        ActionOp = 6  // bitmap, bit i%8 of byte i/8 set: element i stays in the window
	ActionGap         ActionOp = 7  // i64 a record, milliseconds: its session gap
	ActionPartition   ActionOp = 8  // u32 a record: the receiving subtask
	ActionRequest     ActionOp = 9  // one request to the outside, see Request
	ActionApply       ActionOp = 10 // of a broadcast record: each key that has something in the state is to be called with it, by VerbApply
)

// TriggerDecision is what a custom trigger answers for a record or timer. The list only grows.
type TriggerDecision uint8

const (
	TriggerContinue     TriggerDecision = 0
	TriggerFire         TriggerDecision = 1 // emit the window's result, keep its contents
	TriggerPurge        TriggerDecision = 2 // drop the window's contents
	TriggerFireAndPurge TriggerDecision = 3
)

// GroupsWriter encodes the groups of a keyed call into a slice that it keeps between calls.
type GroupsWriter struct {
	buf    []byte
	groups uint32
	group  int // where the open group begins
	lists  uint32
}

// Reset begins a new list of groups.
func (w *GroupsWriter) Reset() {
	w.buf = append(w.buf[:0], make([]byte, GroupsHeaderBytes)...)
	binary.LittleEndian.PutUint32(w.buf, GroupsHeaderBytes)
	w.groups = 0
}

// Group describes a group to write, or one read.
type Group struct {
	Flags                  uint32
	WindowStart, WindowEnd int64
	TimerTime              int64
	Key                    []byte
}

// Begin opens a group; EndGroup closes it.
func (w *GroupsWriter) Begin(g Group) {
	le := binary.LittleEndian
	w.group, w.lists = len(w.buf), 0
	var h [GroupHeaderBytes]byte
	le.PutUint32(h[4:], g.Flags)
	le.PutUint64(h[8:], uint64(g.WindowStart))
	le.PutUint64(h[16:], uint64(g.WindowEnd))
	le.PutUint64(h[24:], uint64(g.TimerTime))
	le.PutUint32(h[32:], uint32(len(g.Key)))
	w.buf = append(w.buf, h[:]...)
	w.buf = append(w.buf, g.Key...)
	w.buf = appendPad(w.buf, len(w.buf))
}

// List appends one list to the open group: values are values[offs[i]:offs[i+1]], timestamps nil or one each.
func (w *GroupsWriter) List(tag ListTag, index uint16, total int, timestamps []int64, values [][]byte) {
	le := binary.LittleEndian
	at := len(w.buf)
	var h [ListHeaderBytes]byte
	le.PutUint16(h[4:], uint16(tag))
	le.PutUint16(h[6:], index)
	le.PutUint32(h[8:], uint32(total))
	le.PutUint32(h[12:], uint32(len(values)))
	if timestamps != nil {
		le.PutUint32(h[16:], ListHasTimestamps)
	}
	w.buf = append(w.buf, h[:]...)
	w.buf = append(w.buf, bytesOf(timestamps)...)
	off := uint32(0)
	w.buf = le.AppendUint32(w.buf, 0)
	for _, v := range values {
		off += uint32(len(v))
		w.buf = le.AppendUint32(w.buf, off)
	}
	w.buf = appendPad(w.buf, len(w.buf))
	for _, v := range values {
		w.buf = append(w.buf, v...)
	}
	w.buf = appendPad(w.buf, len(w.buf))
	le.PutUint32(w.buf[at:], uint32(len(w.buf)-at))
	le.PutUint32(w.buf[at+20:], off)
	w.lists++
}

// EndGroup closes the open group.
func (w *GroupsWriter) EndGroup() {
	le := binary.LittleEndian
	le.PutUint32(w.buf[w.group:], uint32(len(w.buf)-w.group))
	le.PutUint32(w.buf[w.group+36:], w.lists)
	w.groups++
}

// Len returns the number of groups so far.
func (w *GroupsWriter) Len() int { return int(w.groups) }

// Size returns the number of bytes so far.
func (w *GroupsWriter) Size() int { return len(w.buf) }

// Bytes returns the encoded groups, valid until the next Reset.
func (w *GroupsWriter) Bytes() []byte {
	binary.LittleEndian.PutUint32(w.buf[4:], w.groups)
	return w.buf
}

// ReplyEntry is one group's part of a reply. Actions is a view to be walked with NextAction.
type ReplyEntry struct {
	Group   uint32
	Count   int
	Actions []byte
}

// Action is one effect of a keyed call.
type Action struct {
	Op    ActionOp
	Index uint16 // state index, or the timer's clock
	Time  int64  // of a timer
	Value []byte // of every op that is neither clear nor a timer's
}

// NextReplyEntry reads the first entry of p and returns it with the bytes behind it.
func NextReplyEntry(p []byte) (ReplyEntry, []byte, error) {
	le := binary.LittleEndian
	if len(p) < ReplyEntryBytes {
		return ReplyEntry{}, nil, fmt.Errorf("reply: %d bytes (expected >= %d)", len(p), ReplyEntryBytes)
	}
	size := int(le.Uint32(p))
	if size < ReplyEntryBytes || size > len(p) || size%8 != 0 {
		return ReplyEntry{}, nil, fmt.Errorf("reply.size: %d (expected %d <= size <= %d, a multiple of 8)", size, ReplyEntryBytes, len(p))
	}
	return ReplyEntry{Group: le.Uint32(p[4:]), Count: int(le.Uint32(p[8:])), Actions: p[ReplyEntryBytes:size]}, p[size:], nil
}

// NextAction reads the first action of p and returns it with the bytes behind it.
func NextAction(p []byte) (Action, []byte, error) {
	le := binary.LittleEndian
	if len(p) < ReplyActionBytes {
		return Action{}, nil, fmt.Errorf("reply action: %d bytes (expected >= %d)", len(p), ReplyActionBytes)
	}
	size := int(le.Uint32(p))
	if size < ReplyActionBytes || size > len(p) || size%8 != 0 {
		return Action{}, nil, fmt.Errorf("reply action.size: %d (expected %d <= size <= %d, a multiple of 8)", size, ReplyActionBytes, len(p))
	}
	a := Action{Op: ActionOp(le.Uint16(p[4:])), Index: le.Uint16(p[6:])}
	switch a.Op {
	case ActionPut, ActionTrigger, ActionKeep, ActionGap, ActionPartition, ActionRequest:
		n := int(le.Uint32(p[8:]))
		if n > size || pad8(ReplyActionBytes+n) != size {
			return Action{}, nil, fmt.Errorf("reply action.length: %d in %d bytes", n, size)
		}
		a.Value = p[ReplyActionBytes : ReplyActionBytes+n]
	case ActionClear, ActionApply:
	case ActionSetTimer, ActionDeleteTimer:
		a.Time = int64(le.Uint64(p[8:]))
	default:
		return Action{}, nil, fmt.Errorf("reply action.op: %d (expected 1 <= op <= %d)", a.Op, ActionApply)
	}
	return a, p[size:], nil
}
