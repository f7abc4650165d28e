//! Process functions: anything, with states, and timers of the key at hand.

use crate::call::{Call, StreamContext};
use crate::chain::{Binding, Fault};
use crate::env::Env;
use crate::fail::{fail, failed};
use crate::frame::{keyed_context, AtHand, Frame};
use crate::graph::{Edge, Kind, Operator};
use crate::group::{APPLY, BEGIN, PROCESS, TIMER};
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Record};
use crate::state::BROADCAST;
use crate::step::{Path, Start};
use crate::stream::Stream;
use crate::uses::{Begins, Declaration};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
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

/// Clocks of a timer.
pub(crate) const EVENT: u16 = 0;
pub(crate) const PROCESSING: u16 = 1;

/// Gives a context the timers of what it has at hand.
macro_rules! timers {
    ($what:literal) => {
        #[doc = concat!("Has the timer function called for the ", $what, " when the watermark reaches the time. The same time again is one timer.")]
        pub fn set_timer(&self, milliseconds: i64) {
            self.timer($crate::group::SET_TIMER, $crate::process::EVENT, milliseconds);
        }

        /// Takes back a `set_timer`; nothing happens if there was none.
        pub fn delete_timer(&self, milliseconds: i64) {
            self.timer($crate::group::DELETE_TIMER, $crate::process::EVENT, milliseconds);
        }

        #[doc = concat!("Has the timer function called for the ", $what, " at a time of the clock. A job whose input ends does not wait for it:")]
        /// what is not due by then is dropped.
        pub fn set_processing_timer(&self, milliseconds: i64) {
            self.timer($crate::group::SET_TIMER, $crate::process::PROCESSING, milliseconds);
        }

        /// Takes back a `set_processing_timer`.
        pub fn delete_processing_timer(&self, milliseconds: i64) {
            self.timer($crate::group::DELETE_TIMER, $crate::process::PROCESSING, milliseconds);
        }
    };
}
pub(crate) use timers;

keyed_context! {
    /// What a process function has at hand: the key, its timers, the call, and where its records go.
    Context {}
    /// The key at hand.
}

impl<'x, K: Record<'x>, R: Record<'x>> Context<'x, K, R> {
    timers!("key");
}

/// The context of a process function, with a key or without.
pub(crate) trait Processes<'x, R>: AtHand<'x> {
    fn stream(&self) -> &StreamContext<'x, R>;
}

impl<'x, R: Record<'x>> Processes<'x, R> for StreamContext<'x, R> {
    fn stream(&self) -> &StreamContext<'x, R> {
        self
    }
}

impl<'x, K: Record<'x>, R: Record<'x>> Processes<'x, R> for Context<'x, K, R> {
    fn stream(&self) -> &StreamContext<'x, R> {
        &self.stream
    }
}

/// A process operator that is being added.
pub(crate) struct Processing<'x> {
    env: Env<'x>,
    name: String,
    key: String, // empty: it has none
    inputs: Vec<(Edge, String)>,
    broadcasts: bool, // the second input is to change a broadcast state
}

impl<'x> Processing<'x> {
    /// Of a stream without key.
    pub fn new(env: &Env<'x>, name: &str, inputs: Vec<(Edge, String)>) -> Self {
        Processing { env: env.clone(), name: name.to_string(), key: String::new(), inputs, broadcasts: false }
    }

    /// Of streams with a key.
    pub fn keyed<K: Record<'x>>(env: &Env<'x>, name: &str, inputs: Vec<(Edge, String)>) -> Self {
        Processing { key: codec_of::<K>(), ..Processing::new(env, name, inputs) }
    }

    /// Has all subtasks have the records of the second input, which are to change a state that all of them have.
    pub fn broadcasting(mut self) -> Self {
        self.inputs[1].0.partition = "broadcast";
        self.broadcasts = true;
        self
    }

    /// Adds it: record runs for each record of an input, timer for each timer.
    pub fn add<C, B, R, F, T>(self, uses: B, record: F, timer: Option<T>) -> Stream<'x, R>
    where
        C: Processes<'x, R>,
        B: Begins<'x, R>,
        R: Record<'x>,
        F: Fn(&C, &B::Handles, usize, &'x [u8]) + 'x,
        T: Fn(&C, &B::Handles, Timer) + 'x,
    {
        self.add_applying(uses, record, timer, None::<fn(&C, &B::Handles, &'x [u8])>)
    }

    /// The same with what is done for a key with a broadcast record that is to be applied to it.
    pub fn add_applying<C, B, R, F, T, A>(self, uses: B, record: F, timer: Option<T>, apply: Option<A>) -> Stream<'x, R>
    where
        C: Processes<'x, R>,
        B: Begins<'x, R>,
        R: Record<'x>,
        F: Fn(&C, &B::Handles, usize, &'x [u8]) + 'x,
        T: Fn(&C, &B::Handles, Timer) + 'x,
        A: Fn(&C, &B::Handles, &'x [u8]) + 'x,
    {
        let mut declared = Declaration::default();
        let (bind, begin) = uses.declare_all(&mut declared);
        self.check(&declared);
        let keyed = !self.key.is_empty();
        let (timers, begins, applies) = (timer.is_some(), begin.is_some(), apply.is_some());
        let (mut frame, codecs) = (Frame::declared(declared, bind), self.inputs.iter().map(|(_, codec)| codec.clone()).collect());
        let mut f = frame.function(Kind::Process, &self.name, codecs, codec_of::<R>(), move |c: &C, u, verb, h, p| {
            let call = c.stream().call();
            match (verb, &timer, &begin, &apply) {
                (PROCESS, ..) => call.run(h, p, || both(call, &|input, value| record(c, u, input, value)), |_| ()),
                (TIMER, Some(timer), ..) => call.run(h, p, || call.due(|t| timer(c, u, t)), |_| ()),
                (TIMER, None, ..) if keyed => fail("a timer of a function that has no callback for timers: use the function that takes one, as process_timers"),
                (BEGIN, _, Some(begin), _) => call.run(h, p, || begin(c.stream(), u), |_| ()),
                (APPLY, .., Some(apply)) => call.run(h, p, || call.each(1, &|_, value| apply(c, u, value)), |_| ()),
                _ => return false,
            }
            true
        });
        (f.key, f.timers, f.begins, f.applies) = (self.key, timers, begins, applies);
        let o = Operator { inputs: self.inputs.iter().map(|(edge, _)| *edge).collect(), ..Operator::default() };
        let operator = frame.add(&self.env, f, o);
        Stream::new(self.env, operator, 0, Start::default())
    }

    /// Refuses a function over a broadcast stream that keeps nothing of it.
    fn check(&self, declared: &Declaration<'x>) {
        if self.broadcasts && !declared.states.iter().any(|s| s.scope == BROADCAST) {
            let hint = "expected one of broadcast_state among what it uses: what would come of the broadcast stream?";
            self.env.refuse(&format!("process {:?}: no broadcast state ({hint})", self.name));
        }
    }
}

/// Runs f over the records of both inputs.
fn both<'x>(call: &Call<'x>, f: &impl Fn(usize, &'x [u8])) {
    call.each(0, f);
    if !failed() {
        call.each(1, f);
    }
}

/// Functions over the values of two inputs as one over their bytes.
pub(crate) fn either<'x, C, H, A: Record<'x>, B: Record<'x>>(
    first: impl Fn(&C, &H, A),
    second: impl Fn(&C, &H, B),
) -> impl Fn(&C, &H, usize, &'x [u8]) {
    move |c, u, input, p| match input {
        0 => first(c, u, A::decode(p)),
        _ => second(c, u, B::decode(p)),
    }
}

/// No function for timers: none is set.
pub(crate) fn no_timers<C, H>() -> Option<fn(&C, &H, Timer)> {
    None
}

impl<'x, K: Record<'x>, V: Record<'x>> KeyedStream<'x, K, V> {
    /// Runs a function over the records of each key: anything, with the states and side outputs that it uses at hand. All
    /// calls for one key come in the order of its records. What a call does takes effect together, or not at all. The
    /// operator keeps state: it needs a uid.
    pub fn process<B: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: B,
        each: impl Fn(&Context<'x, K, R>, &B::Handles, V) + 'static,
    ) -> Stream<'x, R> {
        self.processing(name).add(uses, move |c, u, _, p| each(c, u, V::decode(p)), no_timers())
    }

    /// The same with a function for the timers that it sets, which come in the order of their times.
    pub fn process_timers<B: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: B,
        each: impl Fn(&Context<'x, K, R>, &B::Handles, V) + 'static,
        timer: impl Fn(&Context<'x, K, R>, &B::Handles, Timer) + 'static,
    ) -> Stream<'x, R> {
        self.processing(name).add(uses, move |c, u, _, p| each(c, u, V::decode(p)), Some(timer))
    }

    fn processing(&self, name: &str) -> Processing<'x> {
        Processing::keyed::<K>(&self.env, name, vec![self.input("a process function")])
    }

    /// What the stream is as an input of a function that has no use for windows of records.
    pub(crate) fn input(&self, what: &str) -> (Edge, String) {
        self.unwindowed(what);
        (self.edge(), codec_of::<V>())
    }
}

impl<'x, T: Record<'x>, P: Path<'x, T>> Stream<'x, T, P> {
    /// Runs a function over the records: anything, with the states of the operator and the side outputs that it uses at hand. There
    /// is no key whose state or timers it could have. What a call does takes effect together, or not at all. With states it needs a
    /// uid.
    pub fn process<B: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: B,
        each: impl Fn(&StreamContext<'x, R>, &B::Handles, T) + 'static,
    ) -> Stream<'x, R> {
        let p = Processing::new(self.env(), name, vec![self.input()]);
        p.add(uses, move |c, u, _, p| each(c, u, T::decode(p)), no_timers())
    }

    /// What the stream is as an input of a function over groups, behind which its chain ends.
    pub(crate) fn input(&self) -> (Edge, String) {
        self.end();
        (self.edge(), codec_of::<T>())
    }
}
