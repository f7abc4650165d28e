//! Requests to the import state.

use crate::arena::Arena;
use crate::batch::{u32_at, words};
use crate::host;
use crate::process::NO_TIMESTAMP;
use alloc::vec::Vec;

/// Ops of the import.
pub(crate) const GET: u32 = 1;
pub(crate) const PUT: u32 = 2;
pub(crate) const DELETE: u32 = 3;
pub(crate) const APPEND: u32 = 4;
pub(crate) const SCAN: u32 = 5;
pub(crate) const RECORDS: u32 = 6;

const REQUEST_BYTES: usize = 32;
const ANSWER_BYTES: usize = 32;
const MORE: u32 = 1 << 0;
const HAS_KEYS: u32 = 1 << 1;
const HAS_TIMESTAMPS: u32 = 1 << 2;

/// How many bytes of writes wait at most.
const MOST_WAITING: usize = 64 << 10;

/// How much room a read is given: first, and at most before the host says how much it needs. Of a long list an answer has about 64 KiB;
/// to ask for each of them twice would have the host look for it twice.
const PAGE: usize = 4 << 10;
const MOST_ROOM: usize = 256 << 10;

/// What is asked, and of whom.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub op: u32,
    pub group: u32,
    pub state: u16,
    pub cursor: u64,
}

/// Makes the requests of a call. Writes wait until something is read, or the call ends, and cross together.
#[derive(Default)]
pub(crate) struct Asker {
    op: u32, // of those that wait
    waiting: Vec<u8>,
    count: u32,
    one: Vec<u8>, // a request that is read at once
    room: usize,  // that reads have needed so far
}

impl Asker {
    /// Forgets what a call that failed has left.
    pub fn begin(&mut self) {
        self.count = 0;
    }

    /// Makes a write wait.
    pub fn write(&mut self, q: Request, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&mut Vec<u8>)) {
        if self.count > 0 && (self.op != q.op || self.waiting.len() > MOST_WAITING) {
            self.flush();
        }
        if self.count == 0 {
            self.op = q.op;
            begin(&mut self.waiting);
        }
        append(&mut self.waiting, q, key, value);
        self.count += 1;
    }

    /// Makes the requests that wait.
    pub fn flush(&mut self) {
        if self.count > 0 {
            self.waiting[..4].copy_from_slice(&self.count.to_le_bytes());
            host::state(self.op, &self.waiting, &mut []);
            self.count = 0;
        }
    }

    /// Reads a page. It lies in the arena.
    pub fn read<'x>(&mut self, q: Request, key: impl FnOnce(&mut Vec<u8>), arena: &Arena) -> Page<'x> {
        self.flush();
        begin(&mut self.one);
        append(&mut self.one, q, key, |_| ());
        self.one[0] = 1;
        let mut size = self.room.max(PAGE);
        loop {
            // SAFETY: whoever resets the arena knows that pages lie there.
            let room = unsafe { arena.take(size) };
            let need = host::state(q.op, &self.one, room) as usize;
            if need <= size {
                arena.keep(size, need);
                return Page::parse(&room[8..need]);
            }
            arena.keep(size, 0);
            size = need;
            self.room = (need + need / 2).min(MOST_ROOM);
        }
    }
}

/// Begins a list of requests: u32 count, u32 zero.
pub(crate) fn begin(to: &mut Vec<u8>) {
    to.clear();
    to.extend_from_slice(&[0; 8]);
}

pub(crate) fn append(to: &mut Vec<u8>, q: Request, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&mut Vec<u8>)) {
    let at = to.len();
    to.extend_from_slice(&[0; REQUEST_BYTES]);
    let key = part(to, key);
    let value = part(to, value);
    let size = (to.len() - at) as u32;
    let h = &mut to[at..at + REQUEST_BYTES];
    h[..4].copy_from_slice(&size.to_le_bytes());
    h[4..8].copy_from_slice(&q.group.to_le_bytes());
    h[8..10].copy_from_slice(&q.state.to_le_bytes());
    h[16..24].copy_from_slice(&q.cursor.to_le_bytes());
    h[24..28].copy_from_slice(&key.to_le_bytes());
    h[28..32].copy_from_slice(&value.to_le_bytes());
}

/// Appends a key or value, padded, and returns its length.
fn part(to: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) -> u32 {
    let at = to.len();
    append(to);
    let size = to.len() - at;
    to.resize(at + ((size + 7) & !7), 0);
    size as u32
}

/// The answer to a request: elements, and where there are more.
#[derive(Clone, Copy, Default)]
pub(crate) struct Page<'x> {
    pub n: usize,
    pub more: Option<u64>, // the cursor
    times: &'x [i64],
    key_offsets: &'x [u32],
    value_offsets: &'x [u32],
    keys: &'x [u8],
    values: &'x [u8],
}

impl<'x> Page<'x> {
    pub(crate) fn parse(p: &'x [u8]) -> Self {
        let (flags, n) = (u32_at(p, 4), u32_at(p, 16) as usize);
        let cursor = u64::from(u32_at(p, 8)) | u64::from(u32_at(p, 12)) << 32;
        let mut at = ANSWER_BYTES;
        let mut column = |size: usize| {
            let c = &p[at..at + size];
            at += (size + 7) & !7;
            c
        };
        let times = column(if flags & HAS_TIMESTAMPS != 0 { 8 * n } else { 0 });
        let key_offsets = column(if flags & HAS_KEYS != 0 { 4 * (n + 1) } else { 0 });
        let value_offsets = column(4 * (n + 1));
        let keys = column(u32_at(p, 20) as usize);
        let values = column(u32_at(p, 24) as usize);
        Page {
            n,
            more: (flags & MORE != 0).then_some(cursor),
            times: words(times),
            key_offsets: words(key_offsets),
            value_offsets: words(value_offsets),
            keys,
            values,
        }
    }

    pub fn value(&self, i: usize) -> &'x [u8] {
        &self.values[self.value_offsets[i] as usize..self.value_offsets[i + 1] as usize]
    }

    pub fn key(&self, i: usize) -> &'x [u8] {
        match self.key_offsets {
            [] => &[],
            o => &self.keys[o[i] as usize..o[i + 1] as usize],
        }
    }

    pub fn timestamp(&self, i: usize) -> i64 {
        self.times.get(i).copied().unwrap_or(NO_TIMESTAMP)
    }
}
