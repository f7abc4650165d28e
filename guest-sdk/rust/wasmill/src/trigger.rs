//! When windows have results.

use crate::call::Call;
use crate::chain::{Binding, Fault};
use crate::field::FieldOf;
use crate::frame::{AtHand, Frame};
use crate::graph::Kind;
use crate::group::{ReplyWriter, DECISIONS, TRIGGER};
use crate::json::JsonWriter;
use crate::local::Own;
use crate::process::{timers, Timer};
use crate::record::{codec_of, Record};
use crate::state::PER_WINDOW;
use crate::uses::{Merge, Uses};
use crate::window::{Window, WindowedStream};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
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
        w.millis_or("everyMs", "the trigger", self.every);
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

impl<'x> AtHand<'x> for TriggerContext<'x> {
    fn open(call: Rc<Call<'x>>, _: &Binding<'x>) -> Result<Self, Fault> {
        Ok(TriggerContext { call })
    }
}

impl TriggerContext<'_> {
    timers!("window");

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
        let mut frame = Frame::of(uses);
        if !frame.declared.sides.is_empty() {
            self.env().refuse(&format!("trigger {name:?}: a side output (expected values only)"));
        }
        frame.declared.states.iter_mut().for_each(|s| s.scope = PER_WINDOW);
        let (merges, decisions) = (mem::take(&mut frame.declared.merges), Own::new(Vec::new()));
        let inputs = vec![codec_of::<V>()];
        let mut function = frame.function(Kind::Trigger, name, inputs, String::new(), move |c: &TriggerContext<'x>, u, verb, h, p| {
            let mine = verb == TRIGGER;
            if mine {
                c.run(h, p, || c.decide(&decisions, &merges, |asked| f(c, u, asked)), |reply| answer(&decisions, reply));
            }
            mine
        });
        function.key = codec_of::<K>();
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
    fn decide<V: Record<'x>>(&self, decisions: &Own<Vec<u8>>, merges: &[Merge<'x>], f: impl Fn(Asked<V>) -> Decision) {
        let (merged, timer, records) = self.call.at_hand(|g| (g.merged(), g.has_timer(), g.records[0]));
        let ask = |asked| {
            let decision = f(asked);
            decisions.with(|d| d.push(decision as u8));
        };
        decisions.with(Vec::clear);
        if merged {
            self.call.forget();
            merges.iter().for_each(|merge| merge(&self.call));
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
