//! When windows have results.

use crate::chain::{Binding, CallHeader, Fault, HeadRun, Status};
use crate::field::FieldOf;
use crate::graph::{Body, Function, Kind};
use crate::group::{ReplyWriter, DECISIONS, TRIGGER};
use crate::json::JsonWriter;
use crate::local::Own;
use crate::process::{Binder, Call, Declaration, Timer, Uses};
use crate::record::{codec_of, Record};
use crate::state::PER_WINDOW;
use crate::window::{Window, WindowedStream};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;
use core::time::Duration;

/// Says when windows have results, where that is not at their end alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trigger {
    kind: &'static str,
    count: u32,
    every: Duration,
    threshold: String,
    field: String,
    function: String,
    purging: bool,
}

impl Trigger {
    fn new(kind: &'static str) -> Self {
        Trigger { kind, ..Trigger::default() }
    }

    /// Has a window fire when the watermark has passed its end, and again for late records: what windows do without a trigger.
    pub fn at_event_time() -> Self {
        Trigger::new("eventTime")
    }

    /// Has a window fire when the clock has passed its end.
    pub fn at_processing_time() -> Self {
        Trigger::new("processingTime")
    }

    /// Has a window fire when so many records have come since it last did, and not at its end.
    pub fn at_count(n: u32) -> Self {
        Trigger { count: n, ..Trigger::new("count") }
    }

    /// Has a window fire when the watermark passes a multiple of d, and at its end.
    pub fn every_event_time(d: Duration) -> Self {
        Trigger { every: d, ..Trigger::new("continuousEventTime") }
    }

    /// Has a window fire when the clock passes a multiple of d.
    pub fn every_processing_time(d: Duration) -> Self {
        Trigger { every: d, ..Trigger::new("continuousProcessingTime") }
    }

    /// Has a window fire when a field of a record is further than threshold from that of the record for which it last did, or the
    /// first: [`value()`](crate::value) where the value is the number.
    pub fn at_delta<R, F>(threshold: f64, field: FieldOf<R, F>) -> Self {
        Trigger { threshold: threshold.to_string(), field: field.name(), ..Trigger::new("delta") }
    }

    /// Has what a window has leave with each result.
    pub fn purging(self) -> Self {
        Trigger { purging: true, ..self }
    }

    pub(crate) fn write(&self, w: &mut JsonWriter) {
        w.text("kind", self.kind);
        w.number_or("count", self.count.into());
        w.number_or("everyMs", self.every.as_millis() as i64);
        w.text_or("threshold", &self.threshold);
        w.text_or("field", &self.field);
        w.text_or("function", &self.function);
        w.flag_or("purging", self.purging);
    }
}

/// What a trigger says of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Decision {
    Continue = 0,
    /// It has a result.
    Fire = 1,
    /// What it has is dropped.
    Purge = 2,
    FireAndPurge = 3,
}

/// What a trigger is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<V> {
    /// A record that the window takes.
    Record(V),
    /// A timer that was set for the window.
    Timer(Timer),
    /// Sessions have become one. Its states are not set: [`merged`](crate::ValueState::merged) lists what they were. Their timers
    /// are gone. What is answered means nothing.
    Merged,
}

/// What a trigger has at hand: the window, the times, and the timers of the window.
pub struct TriggerContext<'x> {
    call: Rc<Call<'x>>,
}

impl TriggerContext<'_> {
    /// The window at hand, an empty one if it has no end.
    pub fn window(&self) -> Window {
        self.call.at_hand(|g| g.window)
    }
}

impl<'x> Deref for TriggerContext<'x> {
    type Target = Call<'x>;

    fn deref(&self) -> &Call<'x> {
        &self.call
    }
}

impl<'x, K: Record<'x>, V: Record<'x>> WindowedStream<'x, K, V> {
    /// Says when the windows have results. What is due then by the trigger before it is not any more.
    pub fn trigger(mut self, t: Trigger) -> Self {
        self.windows.trigger = Some(t);
        self
    }

    /// Has f say when the windows have results. It is asked about each record that a window takes, about each timer that it has set
    /// for the window, and when sessions have become one. The states that it uses are values of a key in one window.
    pub fn trigger_by<U: Uses<'x>>(
        self,
        name: &str,
        uses: U,
        f: impl Fn(&TriggerContext<'x>, &U::Handles, Asked<V>) -> Decision + 'static,
    ) -> Self {
        let mut declared = Declaration { states: Vec::new(), sides: Vec::new() };
        uses.declare(&mut declared);
        if !declared.sides.is_empty() {
            self.env().refuse(&format!("trigger {name:?}: a side output (expected values only)"));
        }
        declared.states.iter_mut().for_each(|s| s.scope = PER_WINDOW);
        let (states, f) = (declared.states.len(), Rc::new(f));
        let body = Body::Keyed(Box::new(move |b: &Binding<'x>| {
            let call = Rc::new(Call::new(b.scope.clone(), states));
            let handles = U::bind(&mut Binder { binding: b, call: &call, states: 0, sides: 0 });
            let (context, f, decisions) = (TriggerContext { call }, f.clone(), Own::new(Vec::new()));
            Ok(HeadRun::Groups(Box::new(move |verb, h: &CallHeader, p| {
                if verb != TRIGGER {
                    return Err(Fault(Status::UnknownVerb, format!("verb {verb} is not one of a trigger")));
                }
                let each = || context.decide(&decisions, |asked| f(&context, &handles, asked));
                context.call.run(h, p, each, |reply| answer(&decisions, reply));
                Ok(())
            })))
        }));
        let mut function = Function::new(Kind::Trigger, name, vec![codec_of::<V>()], String::new(), body);
        function.key = codec_of::<K>();
        function.states = declared.states;
        function.timers = true;
        self.env().with(|g| g.callable(function));
        self.trigger(Trigger { function: name.to_string(), ..Trigger::new("guest") })
    }

    /// Has what a window has leave with each result of the trigger that was given.
    pub fn purging(mut self) -> Self {
        self.windows.trigger = Some(self.windows.trigger.unwrap_or_else(Trigger::at_event_time).purging());
        self
    }
}

impl<'x> TriggerContext<'x> {
    /// Has f say what is to be done with the group at hand.
    fn decide<V: Record<'x>>(&self, decisions: &Own<Vec<u8>>, f: impl Fn(Asked<V>) -> Decision) {
        let (merged, timer, records) = self.call.at_hand(|g| (g.merged(), g.has_timer(), g.records[0]));
        let ask = |asked| {
            let decision = f(asked);
            decisions.with(|d| d.push(decision as u8));
        };
        decisions.with(Vec::clear);
        if merged {
            self.call.forget();
            f(Asked::Merged);
        } else if timer {
            self.call.due(|t| ask(Asked::Timer(t)));
        } else {
            records.whole();
            for i in 0..records.n {
                self.call.record(records.timestamp(i), || ask(Asked::Record(V::decode(records.value(i)))));
            }
        }
    }
}

/// Answers what was decided of the group, if anything was asked.
fn answer(decisions: &Own<Vec<u8>>, reply: &mut ReplyWriter) {
    decisions.with(|d| {
        if !d.is_empty() {
            reply.action(DECISIONS, 0, |to| to.extend_from_slice(d));
        }
    });
}
