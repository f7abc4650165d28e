use crate::env::Env;
use crate::evictor::Evictor;
use crate::graph::{Kind, OperatorId};
use crate::json::JsonWriter;
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Record};
use crate::row::Windowed;
use crate::side::Side;
use crate::step::{Path, Start};
use crate::stream::Stream;
use crate::trigger::Trigger;
use alloc::string::String;
use core::time::Duration;

/// A piece of event time, in milliseconds since the Unix epoch; `end` lies behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    pub start: i64,
    pub end: i64,
}

/// Cuts time into pieces, in whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeWindow {
    size: Duration,
    slide: Duration,
    offset: Duration,
    before: bool, // the multiples, not behind them
    gap: Duration,
    session: bool,
    lateness: Duration,
    processing: bool,
    count: u32, // of windows of records
    count_slide: u32,
    all: bool,
    global: bool,
    full: bool, // a global one, with its trigger
    sliding: bool,
}

/// Windows of a size, one behind the other. They begin at multiples of it.
pub fn tumbling(size: Duration) -> TimeWindow {
    TimeWindow { size, ..TimeWindow::default() }
}

/// Windows of a size that begin every slide: a record is in size/slide of them. What they cost does not grow with that number.
pub fn sliding(size: Duration, slide: Duration) -> TimeWindow {
    TimeWindow { size, slide, sliding: true, ..TimeWindow::default() }
}

/// Windows with a longer silence than the gap between two of a key.
pub fn session(gap: Duration) -> TimeWindow {
    TimeWindow { gap, session: true, ..TimeWindow::default() }
}

/// One window of all records of a key. It has no end, and has results by a trigger only.
pub fn global() -> TimeWindow {
    TimeWindow { global: true, ..TimeWindow::default() }
}

/// One window of all records of a key, whose input must end: it has its result then. In batch mode that is when the key's records have
/// been read.
pub fn full_window() -> TimeWindow {
    TimeWindow { full: true, ..global() }
}

/// Of a join whose inputs end: all that they have, whatever its times. What comes out has no event time.
pub fn all_time() -> TimeWindow {
    TimeWindow { all: true, ..TimeWindow::default() }
}

impl TimeWindow {
    /// Windows of the newest `count` records, one every `slide` of them; 0: one behind the other.
    pub(crate) fn records(count: u32, slide: u32) -> Self {
        TimeWindow { count, count_slide: slide, ..TimeWindow::default() }
    }

    /// Has windows begin so long behind the multiples.
    pub fn offset(self, d: Duration) -> Self {
        TimeWindow { offset: d, before: false, ..self }
    }

    /// Has windows begin so long before the multiples: days in Beijing are `tumbling(days(1)).offset_before(hours(8))`.
    pub fn offset_before(self, d: Duration) -> Self {
        TimeWindow { offset: d, before: true, ..self }
    }

    pub(crate) fn lateness(self, d: Duration) -> Self {
        TimeWindow { lateness: d, ..self }
    }

    /// Cuts by the time at which records are processed, not by their event time. Windows that are open when a bounded input
    /// ends fire then.
    pub fn processing_time(self) -> Self {
        TimeWindow { processing: true, ..self }
    }
}

/// How an operator cuts the records of a key, when windows have results, and what leaves them.
#[derive(Clone, Default)]
pub(crate) struct Windows {
    pub time: TimeWindow,
    pub gap: String, // of sessions: the function that says it of each record
    pub trigger: Option<Trigger>,
    pub evictor: Option<Evictor>,
}

impl From<TimeWindow> for Windows {
    fn from(time: TimeWindow) -> Self {
        let trigger = time.full.then(|| Trigger::at_event_time().purging()); // event time ends with the input
        Windows { time, trigger, ..Windows::default() }
    }
}

impl Windows {
    /// Says whether they do more than hosts did at first.
    pub fn special(&self) -> bool {
        self.time.global || !self.gap.is_empty() || self.trigger.is_some() || self.evictor.is_some()
    }

    /// Says whether what parts of them have must be made one.
    pub fn merge(&self) -> bool {
        let t = &self.time;
        t.sliding || t.count_slide > 0 || t.session || !self.gap.is_empty()
    }

    pub fn write(&self, w: &mut JsonWriter) {
        let t = &self.time;
        let sessions = t.session || !self.gap.is_empty();
        let kinds = [(t.all, "all"), (t.count > 0, "count"), (t.global, "global"), (sessions, "session"), (t.sliding, "sliding")];
        w.text("kind", kinds.iter().find(|(is, _)| *is).map_or("tumbling", |(_, kind)| kind));
        w.millis_or("sizeMs", if t.sliding { "sliding" } else { "tumbling" }, t.size);
        w.millis_or("slideMs", "the slide of sliding", t.slide);
        if t.before {
            w.number("offsetMs", -(t.offset.as_millis() as i64));
        } else {
            w.number_or("offsetMs", t.offset.as_millis() as i64);
        }
        w.problem_of("offset", t.offset);
        w.millis_or("gapMs", "session", t.gap);
        w.text_or("gap", &self.gap);
        w.number_or("count", t.count.into());
        w.number_or("countSlide", t.count_slide.into());
        w.text_or("time", if t.processing { "processing" } else { "" });
        w.millis_or("latenessMs", "allowed_lateness", t.lateness);
        if let Some(trigger) = &self.trigger {
            w.object("trigger", |w| trigger.write(w));
        }
        if let Some(evictor) = &self.evictor {
            w.object("evictor", |w| evictor.write(w));
        }
    }
}

pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub const fn mins(n: u64) -> Duration {
    secs(60 * n)
}

pub const fn hours(n: u64) -> Duration {
    mins(60 * n)
}

pub const fn days(n: u64) -> Duration {
    hours(24 * n)
}

/// A keyed stream cut into windows. A window's result is emitted once, when the watermark has passed its end, and again for late
/// records that are allowed; its timestamp is the window's last millisecond.
pub struct WindowedStream<'x, K, V> {
    pub(crate) keyed: KeyedStream<'x, K, V>,
    pub(crate) windows: Windows,
    late: Option<Side<'x, V>>,
    all: bool, // of all records: in one subtask
}

impl<'x, T: Record<'x>, P: Path<'x, T>> Stream<'x, T, P> {
    /// Cuts all records into windows, whatever their key would be: one subtask has them all.
    pub fn window_all(&self, name: &str, w: TimeWindow) -> WindowedStream<'x, i64, T> {
        WindowedStream { all: true, ..self.key_by(name, |_| 0).window(w) }
    }
}

impl<'x, K: Record<'x>, V: Record<'x>> WindowedStream<'x, K, V> {
    pub(crate) fn new(keyed: KeyedStream<'x, K, V>, windows: Windows) -> Self {
        WindowedStream { keyed, windows, late: None, all: false }
    }

    /// Has a window take late records for so long behind its end: each makes its result be emitted again.
    pub fn allowed_lateness(mut self, d: Duration) -> Self {
        self.windows.time = self.windows.time.lateness(d);
        self
    }

    /// Makes the records that come after their window has fired go to a side output; without it they are counted and dropped.
    pub fn late(mut self, to: &Side<'x, V>) -> Self {
        self.late = Some(to.clone());
        self
    }

    /// Counts the records of each key and window. The host does it by itself.
    pub fn count(&self) -> Stream<'x, Windowed<K, i64>> {
        let o = self.keyed.native(Kind::Count, Some(self.windows.clone()), codec_of::<Windowed<K, i64>>());
        self.stream(o)
    }

    /// Adds up the values of each key and window: i64 or f64. The host does it by itself.
    pub fn sum(&self) -> Stream<'x, Windowed<K, V>> {
        self.keyed.check_sum();
        let o = self.keyed.native(Kind::Sum, Some(self.windows.clone()), codec_of::<Windowed<K, V>>());
        self.stream(o)
    }

    pub(crate) fn env(&self) -> &Env<'x> {
        &self.keyed.env
    }

    /// The stream of what o makes of the windows, with the late records beside it.
    pub(crate) fn stream<R: Record<'x>>(&self, o: OperatorId) -> Stream<'x, R> {
        if let Some(late) = &self.late {
            let number = self.env().with(|g| g.sides_of(o)) + 1;
            late.declare(o, number);
        }
        if self.all {
            self.env().with(|g| g.set_parallelism(o, 1));
        }
        Stream::new(self.env().clone(), o, 0, Start::default())
    }
}
