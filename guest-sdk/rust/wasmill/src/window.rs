use crate::env::Env;
use crate::graph::{Kind, OperatorId};
use crate::json::JsonWriter;
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Record};
use crate::row::Windowed;
use crate::side::Side;
use crate::step::Start;
use crate::stream::Stream;
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
    gap: Duration,
    lateness: Duration,
    processing: bool,
    count: u32, // of windows of records
    count_slide: u32,
    all: bool,
}

/// Windows of a size, one behind the other. They begin at multiples of it.
pub fn tumbling(size: Duration) -> TimeWindow {
    TimeWindow { size, ..TimeWindow::default() }
}

/// Windows of a size that begin every slide: a record is in size/slide of them. What they cost does not grow with that number.
pub fn sliding(size: Duration, slide: Duration) -> TimeWindow {
    TimeWindow { size, slide, ..TimeWindow::default() }
}

/// Windows with as long a silence between two of a key as the gap, or longer.
pub fn session(gap: Duration) -> TimeWindow {
    TimeWindow { gap, ..TimeWindow::default() }
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
        TimeWindow { offset: d, ..self }
    }

    /// Cuts by the time at which records are processed, not by their event time. Windows that are open when a bounded input
    /// ends fire then.
    pub fn processing_time(self) -> Self {
        TimeWindow { processing: true, ..self }
    }

    pub(crate) fn write(&self, w: &mut JsonWriter) {
        let ms = |d: Duration| d.as_millis() as i64;
        let kinds = [(self.all, "all"), (self.count > 0, "count"), (!self.gap.is_zero(), "session"), (!self.slide.is_zero(), "sliding")];
        w.text("kind", kinds.iter().find(|(is, _)| *is).map_or("tumbling", |(_, kind)| kind));
        w.number_or("sizeMs", ms(self.size));
        w.number_or("slideMs", ms(self.slide));
        w.number_or("offsetMs", ms(self.offset));
        w.number_or("gapMs", ms(self.gap));
        w.number_or("count", self.count.into());
        w.number_or("countSlide", self.count_slide.into());
        w.text_or("time", if self.processing { "processing" } else { "" });
        w.number_or("latenessMs", ms(self.lateness));
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
    pub(crate) window: TimeWindow,
    late: Option<Side<'x, V>>,
}

impl<'x, K: Record<'x>, V: Record<'x>> WindowedStream<'x, K, V> {
    pub(crate) fn new(keyed: KeyedStream<'x, K, V>, window: TimeWindow) -> Self {
        WindowedStream { keyed, window, late: None }
    }

    /// Has a window take late records for so long behind its end: each makes its result be emitted again.
    pub fn allowed_lateness(mut self, d: Duration) -> Self {
        self.window.lateness = d;
        self
    }

    /// Makes the records that come after their window has fired go to a side output; without it they are counted and dropped.
    pub fn late(mut self, to: &Side<'x, V>) -> Self {
        self.late = Some(to.clone());
        self
    }

    /// Counts the records of each key and window. The host does it by itself.
    pub fn count(&self) -> Stream<'x, Windowed<K, i64>> {
        let o = self.keyed.native(Kind::Count, Some(self.window), codec_of::<Windowed<K, i64>>());
        self.stream(o)
    }

    /// Adds up the values of each key and window: i64 or f64. The host does it by itself.
    pub fn sum(&self) -> Stream<'x, Windowed<K, V>> {
        self.keyed.check_sum();
        let o = self.keyed.native(Kind::Sum, Some(self.window), codec_of::<Windowed<K, V>>());
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
        Stream::new(self.env().clone(), o, 0, Start::default())
    }
}
