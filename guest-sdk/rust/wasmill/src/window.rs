use crate::env::Env;
use crate::graph::{Kind, OperatorId};
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

/// Windows of one size, the first of which begins at the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tumbling {
    pub(crate) size: Duration,
}

/// Cuts event time into pieces of one size, in whole milliseconds.
pub fn tumbling(size: Duration) -> Tumbling {
    Tumbling { size }
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

/// A keyed stream cut into windows of event time. A window's result is emitted once, when the watermark has passed its end.
pub struct WindowedStream<'x, K, V> {
    pub(crate) keyed: KeyedStream<'x, K, V>,
    pub(crate) window: Tumbling,
    late: Option<Side<'x, V>>,
}

impl<'x, K: Record<'x>, V: Record<'x>> WindowedStream<'x, K, V> {
    pub(crate) fn new(keyed: KeyedStream<'x, K, V>, window: Tumbling) -> Self {
        WindowedStream { keyed, window, late: None }
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
