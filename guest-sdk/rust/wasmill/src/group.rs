//! The groups of a keyed call, and the reply to it.

use crate::batch::{i64_at, u32_at, words};
use crate::chain::CallHeader;
use crate::process::NO_TIMESTAMP;
use crate::window::Window;
use crate::window_function::Timing;
use alloc::vec::Vec;

/// Verbs of a keyed call that this SDK runs.
pub(crate) const PROCESS: u32 = 1;
pub(crate) const TIMER: u32 = 2;
pub(crate) const CREATE: u32 = 3;
pub(crate) const ACCUMULATE: u32 = 4;
pub(crate) const MERGE: u32 = 5;
pub(crate) const RESULT: u32 = 6;
pub(crate) const JOIN: u32 = 7;
pub(crate) const TRIGGER: u32 = 8;
pub(crate) const EVICT: u32 = 9;
pub(crate) const GAP: u32 = 10;
pub(crate) const PARTITION: u32 = 11;
pub(crate) const REQUEST: u32 = 12;
pub(crate) const RESPONSE: u32 = 13;
pub(crate) const WINDOW: u32 = 14;
pub(crate) const BEGIN: u32 = 16;
pub(crate) const END: u32 = 17;
pub(crate) const APPLY: u32 = 18;

const GROUP_BYTES: usize = 40;
const LIST_BYTES: usize = 24;
const HAS_WINDOW: u32 = 1 << 0;
const HAS_TIMER: u32 = 1 << 1;
const TIMER_PROCESSING: u32 = 1 << 2;
const MERGED: u32 = 1 << 3;
const EARLY: u32 = 1 << 4;
const LATE: u32 = 1 << 5;
const HAS_TIMESTAMPS: u32 = 1 << 0;

/// Tags of the lists of a group.
const RECORDS: u16 = 0;
const OTHER_RECORDS: u16 = 1;
const ACCUMULATORS: u16 = 2;
const ANSWERS: u16 = 3;
const STATE: u16 = 4;

impl CallHeader {
    pub fn parse(p: &[u8]) -> CallHeader {
        CallHeader { watermark: i64_at(p, 8), processing: i64_at(p, 16), subtask: u32_at(p, 28), parallelism: u32_at(p, 32) }
    }
}

/// Elements of a group, of which a part came with the call.
#[derive(Clone, Copy, Default)]
pub(crate) struct List<'x> {
    pub n: usize,
    pub total: usize,
    offsets: &'x [u32],
    values: &'x [u8],
    times: &'x [i64],
}

impl<'x> List<'x> {
    #[inline]
    pub fn value(&self, i: usize) -> &'x [u8] {
        &self.values[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    pub fn timestamp(&self, i: usize) -> i64 {
        self.times.get(i).copied().unwrap_or(NO_TIMESTAMP)
    }

    /// Panics when a part of the list did not come with the call: that happens to process functions only.
    pub fn whole(&self) {
        assert!(self.n == self.total, "group has {} elements of which {} came with the call (expected all)", self.total, self.n);
    }
}

/// One key, in one window if there are windows.
#[derive(Default)]
pub(crate) struct Group<'x> {
    pub index: u32,
    flags: u32,
    pub window: Window,
    pub timer: i64,
    pub key: &'x [u8],
    pub records: [List<'x>; 2], // by input
    pub accumulators: List<'x>,
    pub answers: List<'x>,
    states: Vec<List<'x>>, // by state: its value, if it came with the call
}

impl<'x> Group<'x> {
    /// The timestamp of what is made of the group as a whole.
    pub fn timestamp(&self) -> i64 {
        match self.flags & HAS_WINDOW {
            0 => NO_TIMESTAMP,
            _ => self.window.end - 1,
        }
    }

    pub fn has_timer(&self) -> bool {
        self.flags & HAS_TIMER != 0
    }

    pub fn timer_is_processing(&self) -> bool {
        self.flags & TIMER_PROCESSING != 0
    }

    /// Says of a trigger's group that it is of windows that have become one.
    pub fn merged(&self) -> bool {
        self.flags & MERGED != 0
    }

    /// Why a window has its result.
    pub fn timing(&self) -> Timing {
        match self.flags & (EARLY | LATE) {
            0 => Timing::OnTime,
            EARLY => Timing::Early,
            _ => Timing::Late,
        }
    }

    /// The list of a value state; None when it did not come with the group.
    pub fn state(&self, index: usize) -> Option<List<'x>> {
        self.states.get(index).copied()
    }
}

/// Walks the groups of a call. The host wrote them; what lies outside of the call's bytes panics.
pub(crate) struct Groups<'x> {
    bytes: &'x [u8],
    at: usize,
    left: u32,
    next: u32,
}

impl<'x> Groups<'x> {
    pub fn new(bytes: &'x [u8]) -> Self {
        Groups { bytes, at: u32_at(bytes, 0) as usize, left: u32_at(bytes, 4), next: 0 }
    }

    /// Reads the next group into g; false when there is none.
    pub fn read(&mut self, g: &mut Group<'x>) -> bool {
        if self.left == 0 {
            return false;
        }
        let p = &self.bytes[self.at..];
        let p = &p[..u32_at(p, 0) as usize];
        g.index = self.next;
        g.flags = u32_at(p, 4);
        g.window = Window { start: i64_at(p, 8), end: i64_at(p, 16) };
        g.timer = i64_at(p, 24);
        let key = u32_at(p, 32) as usize;
        g.key = &p[GROUP_BYTES..GROUP_BYTES + key];
        g.records = [List::default(); 2];
        g.accumulators = List::default();
        g.answers = List::default();
        g.states.clear();
        let mut at = GROUP_BYTES + ((key + 7) & !7);
        for _ in 0..u32_at(p, 36) {
            at += read_list(&p[at..], g);
        }
        self.at += p.len();
        self.left -= 1;
        self.next += 1;
        true
    }
}

/// Reads a list of the group and returns its size.
fn read_list<'x>(p: &'x [u8], g: &mut Group<'x>) -> usize {
    let size = u32_at(p, 0) as usize;
    let (tag, index) = (u32_at(p, 4) as u16, u32_at(p, 4) >> 16);
    let (total, n) = (u32_at(p, 8) as usize, u32_at(p, 12) as usize);
    let mut at = LIST_BYTES;
    let mut times: &[i64] = &[];
    if u32_at(p, 16) & HAS_TIMESTAMPS != 0 {
        times = words(&p[at..at + 8 * n]);
        at += 8 * n;
    }
    let offsets = words(&p[at..at + 4 * (n + 1)]);
    let values = (at + 4 * (n + 1) + 7) & !7;
    let list = List { n, total, offsets, values: &p[values..values + u32_at(p, 20) as usize], times };
    match tag {
        RECORDS | OTHER_RECORDS => g.records[tag as usize] = list,
        ACCUMULATORS => g.accumulators = list,
        ANSWERS => g.answers = list,
        STATE => {
            let none = List { total: 1, ..List::default() }; // it is to be asked for
            g.states.resize(g.states.len().max(index as usize + 1), none);
            g.states[index as usize] = list;
        }
        _ => {}
    }
    size
}

/// Actions of a reply.
pub(crate) const PUT: u16 = 1;
pub(crate) const CLEAR: u16 = 2;
pub(crate) const SET_TIMER: u16 = 3;
pub(crate) const DELETE_TIMER: u16 = 4;
pub(crate) const DECISIONS: u16 = 5;
pub(crate) const KEEP: u16 = 6;
pub(crate) const GAPS: u16 = 7;
pub(crate) const RECEIVERS: u16 = 8;
pub(crate) const ASK: u16 = 9;
pub(crate) const APPLY_TO: u16 = 10;

/// Writes the reply to a keyed call: entries of groups, with their actions.
#[derive(Default)]
pub(crate) struct ReplyWriter {
    pub bytes: Vec<u8>,
    entry: usize,
    actions: u32,
}

impl ReplyWriter {
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Begins the entry of a group, which has no actions yet.
    pub fn begin(&mut self, group: u32) {
        self.entry = self.bytes.len();
        self.actions = 0;
        self.bytes.extend_from_slice(&[0; 16]);
        self.bytes[self.entry + 4..self.entry + 8].copy_from_slice(&group.to_le_bytes());
    }

    /// Adds an action with what append writes.
    pub fn action(&mut self, op: u16, index: u16, append: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 16]);
        append(&mut self.bytes);
        let value = self.bytes.len() - at - 16;
        self.bytes.resize(at + 16 + ((value + 7) & !7), 0);
        let size = (self.bytes.len() - at) as u32;
        let h = &mut self.bytes[at..at + 16];
        h[..4].copy_from_slice(&size.to_le_bytes());
        h[4..6].copy_from_slice(&op.to_le_bytes());
        h[6..8].copy_from_slice(&index.to_le_bytes());
        h[8..12].copy_from_slice(&(value as u32).to_le_bytes());
        self.actions += 1;
    }

    /// Adds an action of a timer.
    pub fn timer(&mut self, op: u16, clock: u16, milliseconds: i64) {
        self.action(op, clock, |_| ());
        let at = self.bytes.len() - 8;
        self.bytes[at..].copy_from_slice(&milliseconds.to_le_bytes());
    }

    /// Ends the entry; without actions it is not there.
    pub fn end(&mut self) {
        if self.actions == 0 {
            self.bytes.truncate(self.entry);
            return;
        }
        let size = (self.bytes.len() - self.entry) as u32;
        let h = &mut self.bytes[self.entry..];
        h[..4].copy_from_slice(&size.to_le_bytes());
        h[8..12].copy_from_slice(&self.actions.to_le_bytes());
    }
}
