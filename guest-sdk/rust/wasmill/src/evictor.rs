//! What leaves windows, and how long the sessions of records are.

use crate::call::Call;
use crate::fail::fail;
use crate::field::{FieldOf, Rows};
use crate::frame::answering;
use crate::graph::Kind;
use crate::group::{ReplyWriter, EVICT, GAP, GAPS, KEEP};
use crate::json::{fraction, JsonWriter};
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Record};
use crate::window::{TimeWindow, Window, WindowedStream, Windows};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// What leaves a window before its function is called, or behind it.
#[derive(Clone, Default)]
pub(crate) struct Evictor {
    kind: &'static str,
    count: u32,
    keep: Duration,
    threshold: String,
    field: String,
    function: String,
    after: bool,
}

impl Evictor {
    fn new(kind: &'static str) -> Self {
        Evictor { kind, ..Evictor::default() }
    }

    pub fn write(&self, w: &mut JsonWriter) {
        w.text("kind", self.kind);
        w.number_or("count", self.count.into());
        w.millis_or("keepMs", "evict_time", self.keep);
        w.text_or("threshold", &self.threshold);
        w.text_or("field", &self.field);
        w.text_or("function", &self.function);
        w.flag_or("after", self.after);
    }
}

impl<'x, K: Record<'x>, V: Record<'x>> WindowedStream<'x, K, V> {
    fn evictor(mut self, e: Evictor) -> Self {
        self.windows.evictor = Some(e);
        self
    }

    /// Has all values but the newest n leave a window before its function has it.
    pub fn evict_count(self, n: u32) -> Self {
        self.evictor(Evictor { count: n, ..Evictor::new("count") })
    }

    /// Has values leave that are d or more behind the newest, by event time.
    pub fn evict_time(self, d: Duration) -> Self {
        self.evictor(Evictor { keep: d, ..Evictor::new("time") })
    }

    /// Has values leave whose field is threshold or further from that of the last to come: [`value()`](crate::value) where the value
    /// is the number.
    pub fn evict_delta<F>(self, threshold: f64, field: FieldOf<V::Row, F>) -> Self
    where
        V: Rows,
    {
        self.evictor(Evictor { threshold: threshold.to_string(), field: field.name(), ..Evictor::new("delta") })
    }

    /// Has f say which values of a window stay: it has them, in the order in which they came, and an answer for each, false as yet.
    pub fn evict_by(self, name: &str, f: impl Fn(Window, &[V], &mut [bool]) + 'static) -> Self {
        asked(&self.keyed, Kind::Evict, EVICT, name, move |call, reply| {
            let records = call.records();
            let all: Vec<V> = (0..records.n).map(|i| V::decode(records.value(i))).collect();
            let mut stay = vec![false; all.len()];
            f(call.at_hand(|g| g.window), &all, &mut stay);
            reply.action(KEEP, 0, |to| {
                to.extend(stay.chunks(8).map(|eight| eight.iter().enumerate().fold(0u8, |bits, (i, stays)| bits | u8::from(*stays) << i)));
            });
        });
        self.evictor(Evictor { function: name.to_string(), ..Evictor::new("guest") })
    }

    /// Has the evictor that was given be asked behind the window function, not before.
    pub fn evict_after(mut self) -> Self {
        match &mut self.windows.evictor {
            Some(e) => e.after = true,
            None => {
                let key = self.env().with(|g| g.operators[self.keyed.operator].name.clone());
                let hint = "expected: first evict_count, evict_time, evict_delta or evict_by";
                self.env().refuse(&format!("window of key {key:?}: evict_after without an evictor ({hint})"));
            }
        }
        self
    }
}

impl<'x, K: Record<'x>, V: Record<'x>> KeyedStream<'x, K, V> {
    /// Windows with a longer silence between two records of a key than gap says of the first, which is more than 0 ms.
    pub fn session_by(&self, name: &str, gap: impl Fn(&V) -> Duration + 'static) -> WindowedStream<'x, K, V> {
        self.unwindowed("a window of time");
        asked(self, Kind::Gap, GAP, name, move |call, reply| {
            let records = call.records();
            reply.action(GAPS, 0, |to| {
                for i in 0..records.n {
                    let d = gap(&V::decode(records.value(i)));
                    if let Some(problem) = fraction("the gap", d) {
                        fail(&problem);
                    }
                    to.extend_from_slice(&(d.as_millis() as i64).to_le_bytes());
                }
            });
        });
        WindowedStream::new(self.clone(), Windows { gap: name.to_string(), ..TimeWindow::default().into() })
    }
}

/// Declares a function that answers each group, which windows of the stream name.
fn asked<'x, K: Record<'x>, V: Record<'x>>(
    of: &KeyedStream<'x, K, V>,
    kind: Kind,
    verb: u32,
    name: &str,
    answer: impl Fn(&Call<'x>, &mut ReplyWriter) + 'x,
) {
    let mut function = answering(kind, verb, name, (codec_of::<V>(), String::new()), answer);
    function.key = codec_of::<K>();
    of.env.with(|g| g.callable(function));
}
