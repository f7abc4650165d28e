//! What leaves windows, and how long the sessions of records are.

use crate::chain::{CallHeader, Fault, HeadRun, Status};
use crate::fail::{failed, set_record};
use crate::field::{FieldOf, Rows};
use crate::graph::{Body, Function, Kind};
use crate::group::{Group, Groups, ReplyWriter, EVICT, GAP, GAPS, KEEP};
use crate::host;
use crate::json::JsonWriter;
use crate::keyed::KeyedStream;
use crate::local::Own;
use crate::record::{codec_of, Record};
use crate::window::{TimeWindow, Window, WindowedStream, Windows};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
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
        w.number_or("keepMs", self.keep.as_millis() as i64);
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
        let answer = move |g: &Group<'x>, reply: &mut ReplyWriter| {
            let records = g.records[0];
            let all: Vec<V> = (0..records.n).map(|i| V::decode(records.value(i))).collect();
            let mut stay = vec![false; all.len()];
            f(g.window, &all, &mut stay);
            reply.action(KEEP, 0, |to| {
                to.extend(stay.chunks(8).map(|eight| eight.iter().enumerate().fold(0u8, |bits, (i, stays)| bits | u8::from(*stays) << i)));
            });
        };
        asked(&self.keyed, Kind::Evict, EVICT, name, answer);
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
    /// Windows with as long a silence between two records of a key as gap says of the first, or longer; more than 0 ms.
    pub fn session_by(&self, name: &str, gap: impl Fn(&V) -> Duration + 'static) -> WindowedStream<'x, K, V> {
        self.unwindowed("a window of time");
        asked(self, Kind::Gap, GAP, name, move |g, reply| {
            let records = g.records[0];
            reply.action(GAPS, 0, |to| {
                for i in 0..records.n {
                    to.extend_from_slice(&(gap(&V::decode(records.value(i))).as_millis() as i64).to_le_bytes());
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
    answer: impl Fn(&Group<'x>, &mut ReplyWriter) + 'x,
) {
    let answer = Rc::new(answer);
    let body = Body::Keyed(Box::new(move |_| {
        let (answer, memory) = (answer.clone(), Own::new((Group::default(), ReplyWriter::default())));
        Ok(HeadRun::Groups(Box::new(move |given, _: &CallHeader, p| {
            if given != verb {
                return Err(Fault(Status::UnknownVerb, format!("verb {given} is not one of a function of kind {}", kind.name())));
            }
            memory.with(|(group, reply)| answers(group, reply, p, &*answer));
            Ok(())
        })))
    }));
    let mut function = Function::new(kind, name, vec![codec_of::<V>()], String::new(), body);
    function.key = codec_of::<K>();
    of.env.with(|g| g.callable(function));
}

fn answers<'x>(g: &mut Group<'x>, reply: &mut ReplyWriter, p: &'static [u8], answer: &impl Fn(&Group<'x>, &mut ReplyWriter)) {
    reply.clear();
    let mut groups = Groups::new(p);
    while groups.read(g) {
        set_record(g.index);
        g.records[0].whole();
        reply.begin(g.index);
        answer(g, reply);
        reply.end();
        if failed() {
            return;
        }
    }
    host::reply(&reply.bytes);
}
