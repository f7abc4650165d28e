//! Process functions: anything, with state and timers of the key at hand.

use crate::arena::{Arena, Scratch};
use crate::ask::{Asker, Request, RECORDS};
use crate::chain::{Binding, CallHeader, Fault, HeadRun, Next, Status};
use crate::env::Env;
use crate::fail::{failed, set_record};
use crate::graph::{Body, Edge, Function, Kind, Operator, OperatorId};
use crate::group::{Group, Groups, List, ReplyWriter, CLEAR, DELETE_TIMER, PROCESS, PUT, SET_TIMER, TIMER};
use crate::host;
use crate::local::Own;
use crate::output::Scope;
use crate::record::{codec_of, Field, Record};
use crate::step::Start;
use crate::stream::Stream;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Deref;

/// The timestamp of a record that has none.
pub const NO_TIMESTAMP: i64 = i64::MIN;

/// A timer that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// It was set by `set_processing_timer`.
    pub processing: bool,
}

/// What a process function uses: states and side outputs, as a tuple of references to what was declared. The function is
/// given a tuple of handles, in the same order. `()` uses nothing.
pub trait Uses<'x> {
    type Handles: 'x;

    #[doc(hidden)]
    fn declare(&self, to: &mut Declaration<'x>);

    /// Makes the handles of a function, in the order in which they were declared.
    #[doc(hidden)]
    fn bind(to: &mut Binder<'_, 'x>) -> Self::Handles;
}

/// What a process function declares.
pub struct Declaration<'x> {
    pub(crate) states: Vec<StateSpec<'x>>,
    pub(crate) sides: Vec<(String, Box<dyn Fn(OperatorId, usize) + 'x>)>, // codec, and who is told where it is
}

/// Gives out handles in an open chain.
pub struct Binder<'a, 'x> {
    pub(crate) binding: &'a Binding<'x>,
    pub(crate) call: &'a Rc<Call<'x>>,
    pub(crate) states: u16, // given out
    pub(crate) sides: u32,
}

impl Uses<'_> for () {
    type Handles = ();

    fn declare(&self, _: &mut Declaration) {}

    fn bind(_: &mut Binder) {}
}

macro_rules! uses {
    ($($t:ident $i:tt),+) => {
        impl<'x, $($t: Uses<'x>),+> Uses<'x> for ($($t,)+) {
            type Handles = ($($t::Handles,)+);

            fn declare(&self, to: &mut Declaration<'x>) {
                $(self.$i.declare(to);)+
            }

            fn bind(to: &mut Binder<'_, 'x>) -> Self::Handles {
                ($($t::bind(to),)+)
            }
        }
    };
}

uses!(A 0);
uses!(A 0, B 1);
uses!(A 0, B 1, C 2);
uses!(A 0, B 1, C 2, D 3);
uses!(A 0, B 1, C 2, D 3, E 4);
uses!(A 0, B 1, C 2, D 3, E 4, F 5);
uses!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
uses!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// What the manifest says of a state.
pub(crate) struct StateSpec<'x> {
    pub name: String,
    pub scope: &'static str,
    pub kind: &'static str,
    pub codec: String,
    pub key: String,
    pub ttl_ms: i64,
    /// The time is event time.
    pub event: bool,
    pub version: u32,
    pub oldest: u32,
    pub migrate: Option<Migration<'x>>,
}

/// Appends an element of the newest version, made of a key and an element of an older one; false drops it.
pub(crate) type Migration<'x> = Rc<dyn Fn(u32, &'x [u8], &'x [u8], &mut Vec<u8>) -> bool + 'x>;

/// A process operator that is being added.
pub(crate) struct Processing<'x> {
    env: Env<'x>,
    name: String,
    key: String,
    inputs: Vec<(Edge, String)>,
}

impl<'x> Processing<'x> {
    pub fn new(env: &Env<'x>, name: &str, key: String, inputs: Vec<(Edge, String)>) -> Self {
        Processing { env: env.clone(), name: name.to_string(), key, inputs }
    }

    /// Adds it: record runs for each record of an input, timer for each timer.
    pub fn add<K, R, U, F, T>(self, uses: U, record: F, timer: Option<T>) -> Stream<'x, R>
    where
        K: Record<'x>,
        R: Record<'x>,
        U: Uses<'x>,
        F: Fn(&Context<'x, K, R>, &U::Handles, usize, &'x [u8]) + 'x,
        T: Fn(&Context<'x, K, R>, &U::Handles, Timer) + 'x,
    {
        let mut declared = Declaration { states: Vec::new(), sides: Vec::new() };
        uses.declare(&mut declared);
        let (states, timers) = (declared.states.len(), timer.is_some());
        let shared = Rc::new((record, timer));
        let body = Body::Keyed(Box::new(move |b: &Binding<'x>| {
            let call = Rc::new(Call::new(b.scope.clone(), states));
            let handles = U::bind(&mut Binder { binding: b, call: &call, states: 0, sides: 0 });
            let context = Context { call, next: b.next::<R>()?, key: PhantomData };
            let shared = shared.clone();
            Ok(HeadRun::Groups(Box::new(move |verb, h: &CallHeader, p| {
                context.run(
                    verb,
                    h,
                    p,
                    |input, value| shared.0(&context, &handles, input, value),
                    |due| {
                        if let Some(timer) = &shared.1 {
                            timer(&context, &handles, due);
                        }
                    },
                )
            })))
        }));
        let codecs = self.inputs.iter().map(|(_, codec)| codec.clone()).collect();
        let mut f = Function::new(Kind::Process, &self.name, codecs, codec_of::<R>(), body);
        f.key = self.key;
        f.states = declared.states;
        f.timers = timers;
        f.sides = declared.sides.iter().map(|(codec, _)| codec.clone()).collect();
        let o = Operator { inputs: self.inputs.iter().map(|(edge, _)| *edge).collect(), ..Operator::default() };
        let operator = self.env.with(|g| g.call(f, o));
        for (k, (_, tell)) in declared.sides.iter().enumerate() {
            tell(operator, k + 1);
        }
        Stream::new(self.env, operator, 0, Start::default())
    }
}

/// Clocks of a timer.
const EVENT: u16 = 0;
const PROCESSING: u16 = 1;

/// The call that a process function is in: the times, and the timers of the key at hand.
pub struct Call<'x> {
    scope: Scope,
    header: Cell<CallHeader>,
    group: Own<Group<'x>>,
    cells: Own<Vec<ValueCell>>,        // of the group, by state
    timers: Own<Vec<(u16, u16, i64)>>, // op, clock, time
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

impl<'x> Call<'x> {
    pub(crate) fn new(scope: Scope, states: usize) -> Self {
        Call {
            scope,
            header: Cell::new(CallHeader::default()),
            group: Own::new(Group::default()),
            cells: Own::new((0..states).map(|_| ValueCell::default()).collect()),
            timers: Own::new(Vec::new()),
            asker: Own::new(Asker::default()),
            map_key: Own::new(Vec::new()),
            reply: Own::new(ReplyWriter::default()),
            scratch: Scratch::get(),
            pages: Arena::new(),
        }
    }

    /// Where the records that the function puts out have their key and time from.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn time(&self) -> &Cell<i64> {
        &self.scope.time.as_ref().expect("a keyed function has a time").now
    }

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

    /// Has the timer function called for the key when the watermark reaches the time. The same time again is one timer.
    pub fn set_timer(&self, milliseconds: i64) {
        self.timers.with(|t| t.push((SET_TIMER, EVENT, milliseconds)));
    }

    /// Takes back a `set_timer`; nothing happens if there was none.
    pub fn delete_timer(&self, milliseconds: i64) {
        self.timers.with(|t| t.push((DELETE_TIMER, EVENT, milliseconds)));
    }

    /// Has the timer function called for the key at a time of the clock. A job whose input ends does not wait for it: what is
    /// not due by then is dropped.
    pub fn set_processing_timer(&self, milliseconds: i64) {
        self.timers.with(|t| t.push((SET_TIMER, PROCESSING, milliseconds)));
    }

    /// Takes back a `set_processing_timer`.
    pub fn delete_processing_timer(&self, milliseconds: i64) {
        self.timers.with(|t| t.push((DELETE_TIMER, PROCESSING, milliseconds)));
    }

    /// Reads the group at hand. The function runs outside of f.
    pub(crate) fn at_hand<R>(&self, f: impl FnOnce(&Group<'x>) -> R) -> R {
        self.group.with(|g| f(g))
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

    pub(crate) fn request(&self, op: u32, state: u16) -> Request {
        Request { op, group: self.group.with(|g| g.index), state, cursor: 0 }
    }

    pub(crate) fn ask<R>(&self, f: impl FnOnce(&mut Asker, &Arena) -> R) -> R {
        self.asker.with(|a| f(a, self.scratch.arena()))
    }

    /// Calls f with the bytes of a map's key.
    pub(crate) fn map_key<K: Field<'x>, R>(&self, key: &K, f: impl FnOnce(&[u8]) -> R) -> R {
        self.map_key.with(|room| f(key.key_bytes(room)))
    }

    /// Memory for what the function makes of the record.
    pub fn scratch(&self) -> &'x Scratch {
        self.scratch
    }

    /// Makes ready for a group.
    fn enter(&self) {
        self.scope.key.set_bytes(self.group.with(|g| g.key));
        self.time().set(NO_TIMESTAMP);
        self.timers.with(Vec::clear);
        self.cells.with(|cells| cells.iter_mut().for_each(|c| (c.known, c.action) = (false, 0)));
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
            if failed() {
                return;
            }
            self.leave(&answer);
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

    /// Runs f over the records of one input, also those that did not fit the call.
    fn each(&self, input: usize, f: &impl Fn(usize, &'x [u8])) {
        let list = self.group.with(|g| g.records[input]);
        for i in 0..list.n {
            self.record(list.timestamp(i), || f(input, list.value(i)));
            if failed() {
                return;
            }
        }
        let mut q = Request { cursor: list.n as u64, ..self.request(RECORDS, input as u16) };
        let mut more = list.total > list.n;
        while more {
            let page = self.asker.with(|a| a.read(q, |_| (), &self.pages));
            for i in 0..page.n {
                self.record(page.timestamp(i), || f(input, page.value(i)));
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

/// What a process function has at hand: the key, the call, and where its records go.
pub struct Context<'x, K, R> {
    call: Rc<Call<'x>>,
    next: Next<'x, R>,
    key: PhantomData<fn() -> K>,
}

impl<'x, K, R> Deref for Context<'x, K, R> {
    type Target = Call<'x>;

    fn deref(&self) -> &Call<'x> {
        &self.call
    }
}

impl<'x, K: Record<'x>, R: Record<'x>> Context<'x, K, R> {
    /// The key at hand.
    pub fn key(&self) -> K {
        K::decode(self.call.group.with(|g| g.key))
    }

    /// Puts out a record.
    #[inline]
    pub fn emit(&self, record: R) {
        self.next.push(record);
    }

    /// Puts out a record with an event time of its own.
    pub fn emit_at(&self, milliseconds: i64, record: R) {
        let at = self.call.time().replace(milliseconds);
        self.next.push(record);
        self.call.time().set(at);
    }

    fn run(
        &self,
        verb: u32,
        h: &CallHeader,
        p: &'static [u8],
        record: impl Fn(usize, &'x [u8]),
        timer: impl Fn(Timer),
    ) -> Result<(), Fault> {
        if verb != PROCESS && verb != TIMER {
            return Err(Fault(Status::UnknownVerb, format!("verb {verb} is not one of a process function")));
        }
        let call = &self.call;
        let each = || match verb {
            TIMER => call.due(&timer),
            _ => {
                call.each(0, &record);
                call.each(1, &record);
            }
        };
        call.run(h, p, each, |_| ());
        Ok(())
    }
}

/// Actions of the reply on a value.
pub(crate) const PUT_VALUE: u16 = PUT;
pub(crate) const CLEAR_VALUE: u16 = CLEAR;
