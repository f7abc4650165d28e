//! The call that a function over groups is in.

use crate::arena::{Arena, Scratch};
use crate::ask::{Asker, Request, RECORDS};
use crate::chain::{CallHeader, Next};
use crate::fail::{failed, set_record, NONE};
use crate::group::{Group, Groups, List, ReplyWriter, APPLY_TO};
use crate::host;
use crate::local::Own;
use crate::output::Scope;
use crate::process::{Timer, NO_TIMESTAMP};
use crate::record::{Field, Record};
use crate::state::{OfKeys, Scan};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::Deref;

/// The call that a function is in: the times of the record, timer or window at hand.
pub struct Call<'x> {
    scope: Scope,
    header: Cell<CallHeader>,
    group: Own<Group<'x>>,
    cells: Own<Vec<ValueCell>>,        // of the group, by state
    timers: Own<Vec<(u16, u16, i64)>>, // op, clock, time
    applied: Own<Vec<u16>>,            // states whose keys the record is to be applied to
    asker: Own<Asker>,
    map_key: Own<Vec<u8>>,
    reply: Own<ReplyWriter>,
    scratch: &'static Scratch,
    pages: Arena, // of records that did not fit the call
}

/// The value of the group at hand.
#[derive(Default)]
pub(crate) struct ValueCell {
    pub known: bool, // bytes and set say what it is
    pub set: bool,
    pub action: u16, // that the reply has to do: none, put or clear
    pub bytes: Vec<u8>,
}

/// What a call has: the times of the group and the host.
impl<'x> Call<'x> {
    /// The event time of the record, or of the timer; [`NO_TIMESTAMP`] when the record has none, and in a timer of processing
    /// time. What is emitted has the same, unless `emit_at` says another.
    pub fn timestamp(&self) -> i64 {
        self.time().get()
    }

    /// The event time that has been reached: no record before it is expected any more.
    pub fn watermark(&self) -> i64 {
        self.header.get().watermark
    }

    /// The processing time of the call, in milliseconds since the Unix epoch.
    pub fn now(&self) -> i64 {
        self.header.get().processing
    }

    /// Which of the operator's subtasks this is, from 0, and how many there are.
    pub fn subtask(&self) -> (u32, u32) {
        (self.header.get().subtask, self.header.get().parallelism)
    }

    /// Memory for what the function makes of the record.
    pub fn scratch(&self) -> &'x Scratch {
        self.scratch
    }
}

impl<'x> Call<'x> {
    pub(crate) fn new(scope: Scope, states: usize) -> Self {
        Call {
            scope,
            header: Cell::new(CallHeader::default()),
            group: Own::new(Group::default()),
            cells: Own::new((0..states).map(|_| ValueCell::default()).collect()),
            timers: Own::new(Vec::new()),
            applied: Own::new(Vec::new()),
            asker: Own::new(Asker::default()),
            map_key: Own::new(Vec::new()),
            reply: Own::new(ReplyWriter::default()),
            scratch: Scratch::get(),
            pages: Arena::new(),
        }
    }

    fn time(&self) -> &Cell<i64> {
        &self.scope.time.as_ref().expect("a function over groups has a time").now
    }

    /// Answers that a timer of the key at hand is to be set or deleted.
    pub(crate) fn timer(&self, op: u16, clock: u16, milliseconds: i64) {
        self.timers.with(|t| t.push((op, clock, milliseconds)));
    }

    /// Reads the group at hand. The function runs outside of f.
    pub(crate) fn at_hand<R>(&self, f: impl FnOnce(&Group<'x>) -> R) -> R {
        self.group.with(|g| f(g))
    }

    /// The records of one input that did not come with the call, asked for when they are walked: they stay until the group is done
    /// with. None: all came.
    pub(crate) fn rest(self: &Rc<Self>, input: u16) -> Option<Scan<'x>> {
        let list = self.at_hand(|g| g.records[input as usize]);
        let first = Request { cursor: list.n as u64, ..self.request(RECORDS, input) };
        (list.total > list.n).then(|| Scan::of(self, first))
    }

    /// All records of the group at hand that the first input has.
    pub(crate) fn records(&self) -> List<'x> {
        let list = self.at_hand(|g| g.records[0]);
        list.whole();
        list
    }

    /// Has no value of the group set: of windows that have become one, none is kept.
    pub(crate) fn forget(&self) {
        self.cells.with(|cells| cells.iter_mut().for_each(|c| (c.known, c.set) = (true, false)));
    }

    /// The values of a state that windows had which have become one.
    pub(crate) fn merged(&self, state: u16) -> List<'x> {
        self.group.with(|g| g.state(state as usize)).unwrap_or_default()
    }

    /// Changes or reads the value of a state.
    pub(crate) fn cell<R>(&self, state: u16, f: impl FnOnce(&mut ValueCell) -> R) -> R {
        self.cells.with(|cells| f(&mut cells[state as usize]))
    }

    /// The value of a state as it came with the group; None when it did not come.
    pub(crate) fn fetched(&self, state: u16) -> Option<Option<&'x [u8]>> {
        match self.group.with(|g| g.state(state as usize))? {
            list if list.n > 0 => Some(Some(list.value(0))),
            list if list.total > 0 => None,
            _ => Some(None),
        }
    }

    /// A request about a state of the key at hand.
    pub(crate) fn request(&self, op: u32, state: u16) -> Request {
        Request { op, group: self.group.with(|g| g.index), state, cursor: 0 }
    }

    /// A request about a state of the operator, which is no key's.
    pub(crate) fn own_request(&self, op: u32, state: u16) -> Request {
        Request { op, group: NONE, state, cursor: 0 }
    }

    pub(crate) fn ask<R>(&self, f: impl FnOnce(&mut Asker, &Arena) -> R) -> R {
        self.asker.with(|a| f(a, self.scratch.arena()))
    }

    /// Calls f with the bytes of a map's key.
    pub(crate) fn map_key<K: Field<'x>, R>(&self, key: &K, f: impl FnOnce(&[u8]) -> R) -> R {
        self.map_key.with(|room| f(key.key_bytes(room)))
    }

    /// Makes ready for a group.
    fn enter(&self) {
        self.scope.key.set_bytes(self.group.with(|g| g.key));
        self.time().set(NO_TIMESTAMP);
        self.timers.with(Vec::clear);
        self.applied.with(Vec::clear);
        self.cells.with(|cells| cells.iter_mut().for_each(|c| (c.known, c.action) = (false, 0)));
    }

    /// Answers that the record at hand is to be applied to each key that has something in a state.
    pub(crate) fn apply_to(&self, state: u16) {
        self.applied.with(|states| states.push(state));
    }

    /// Writes what the group has become, and what else is answered.
    fn leave(&self, answer: impl Fn(&mut ReplyWriter)) {
        self.reply.with(|reply| {
            reply.begin(self.group.with(|g| g.index));
            self.cells.with(|cells| {
                for (i, c) in cells.iter().enumerate().filter(|(_, c)| c.action != 0) {
                    reply.action(c.action, i as u16, |to| to.extend_from_slice(&c.bytes));
                }
            });
            self.timers.with(|timers| timers.iter().for_each(|&(op, clock, time)| reply.timer(op, clock, time)));
            self.applied.with(|states| states.drain(..).for_each(|state| reply.action(APPLY_TO, state, |_| ())));
            answer(reply);
            reply.end();
        });
    }

    /// Runs each for every group of a call, and replies what has become of them, with what answer adds.
    pub(crate) fn run(&self, h: &CallHeader, p: &'static [u8], each: impl Fn(), answer: impl Fn(&mut ReplyWriter)) {
        self.header.set(*h);
        self.reply.with(ReplyWriter::clear);
        self.asker.with(Asker::begin);
        self.pages.reset();
        let mut groups = Groups::new(p);
        while self.group.with(|g| groups.read(g)) {
            set_record(self.group.with(|g| g.index));
            self.enter();
            each();
            if !failed() {
                self.leave(&answer);
            }
            if failed() {
                return;
            }
        }
        self.asker.with(Asker::flush);
        self.reply.with(|reply| {
            if !reply.bytes.is_empty() {
                host::reply(&reply.bytes);
            }
        });
    }

    /// Runs f for the timer that is due, at its time.
    pub(crate) fn due(&self, f: impl FnOnce(Timer)) {
        let t = self.group.with(|g| Timer { time: g.timer, processing: g.timer_is_processing() });
        self.record(if t.processing { NO_TIMESTAMP } else { t.time }, || f(t));
    }

    /// Runs f for the group as a whole, at the last instant of its window.
    pub(crate) fn whole(&self, f: impl FnOnce()) {
        self.record(self.at_hand(|g| g.timestamp()), f);
    }

    /// Runs f over the records of one input, each at its time.
    pub(crate) fn each(&self, input: usize, f: &impl Fn(usize, &'x [u8])) {
        self.walk(input, &|at, value| self.record(at, || f(input, value)));
    }

    /// Runs f over the times and values of one input, also of those that did not fit the call: they are gone when f has seen them.
    pub(crate) fn walk(&self, input: usize, f: &impl Fn(i64, &'x [u8])) {
        let list = self.group.with(|g| g.records[input]);
        for i in 0..list.n {
            f(list.timestamp(i), list.value(i));
            if failed() {
                return;
            }
        }
        let mut q = Request { cursor: list.n as u64, ..self.request(RECORDS, input as u16) };
        let mut more = list.total > list.n;
        while more {
            let page = self.asker.with(|a| a.read(q, |_| (), &self.pages));
            for i in 0..page.n {
                f(page.timestamp(i), page.value(i));
                if failed() {
                    return;
                }
            }
            self.pages.reset();
            more = page.more.is_some();
            q.cursor = page.more.unwrap_or_default();
        }
    }

    /// Runs f for a record of that event time.
    #[inline]
    pub(crate) fn record(&self, timestamp: i64, f: impl FnOnce()) {
        self.time().set(timestamp);
        f();
        self.scratch.reset();
    }
}

/// What a function has at hand: the times, and where its records go.
pub struct StreamContext<'x, R> {
    call: Rc<Call<'x>>,
    next: Next<'x, R>,
}

impl<'x, R> Deref for StreamContext<'x, R> {
    type Target = Call<'x>;

    fn deref(&self) -> &Call<'x> {
        &self.call
    }
}

impl<'x, R> StreamContext<'x, R> {
    pub(crate) fn new(call: Rc<Call<'x>>, next: Next<'x, R>) -> Self {
        StreamContext { call, next }
    }

    /// The call, to be kept for as long as the handle is open.
    pub(crate) fn call(&self) -> &Rc<Call<'x>> {
        &self.call
    }
}

impl<'x, R: Record<'x>> StreamContext<'x, R> {
    /// Puts out a record.
    #[inline]
    pub fn emit(&self, record: R) {
        self.next.push(record);
    }

    /// In a function of a broadcast record: has the record applied, before the next one of either stream, to each key of this subtask
    /// that has something in a state of keys. Every subtask does so for its own keys. See
    /// [`process_applying`](crate::BroadcastKeyedStreams::process_applying).
    pub fn apply_to_keys(&self, state: &impl OfKeys) {
        self.call.apply_to(state.number());
    }

    /// Puts out a record with an event time of its own.
    pub fn emit_at(&self, milliseconds: i64, record: R) {
        let at = self.call.time().replace(milliseconds);
        self.next.push(record);
        self.call.time().set(at);
    }
}
