//! The interval join: records of two streams that meet by key and event time.

use crate::call::{Call, StreamContext};
use crate::chain::{Binding, Fault};
use crate::fail::failed;
use crate::frame::{keyed_context, AtHand, Frame};
use crate::graph::{Edge, Kind, Operator, OperatorId};
use crate::group::JOIN;
use crate::json::JsonWriter;
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Record};
use crate::row::Pair;
use crate::side::{Side, Sides};
use crate::step::Start;
use crate::stream::Stream;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Deref;

/// How near the times of records are that meet, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Interval {
    lower: i64,
    upper: i64,
    lower_exclusive: bool,
    upper_exclusive: bool,
}

impl Interval {
    pub fn write(&self, w: &mut JsonWriter) {
        w.number("lowerMs", self.lower);
        w.number("upperMs", self.upper);
        w.flag_or("lowerExclusive", self.lower_exclusive);
        w.flag_or("upperExclusive", self.upper_exclusive);
    }
}

/// Two streams with the same key that are to be joined: `between` says how near the times are to be.
pub struct IntervalJoin<'x, K, A, B> {
    left: KeyedStream<'x, K, A>,
    right: KeyedStream<'x, K, B>,
}

/// Two keyed streams whose records meet when the event time of the right one lies between two bounds around that of the left one.
pub struct IntervalJoined<'x, K, A, B> {
    left: KeyedStream<'x, K, A>,
    right: KeyedStream<'x, K, B>,
    interval: Interval,
    late_left: Option<Side<'x, A>>,
    late_right: Option<Side<'x, B>>,
}

impl<'x, K: Record<'x>, V: Record<'x>> KeyedStream<'x, K, V> {
    /// Joins two streams by key and event time. Both streams' records are kept until the watermark has passed all that they could
    /// meet.
    pub fn interval_join<W: Record<'x>>(&self, right: &KeyedStream<'x, K, W>) -> IntervalJoin<'x, K, V, W> {
        IntervalJoin { left: self.clone(), right: right.clone() }
    }
}

impl<'x, K: Record<'x>, A: Record<'x>, B: Record<'x>> IntervalJoin<'x, K, A, B> {
    /// Sets the bounds, in milliseconds: left + lower <= right <= left + upper. Either may be negative.
    pub fn between(self, lower: i64, upper: i64) -> IntervalJoined<'x, K, A, B> {
        self.left.unwindowed("an interval join");
        self.right.unwindowed("an interval join");
        let interval = Interval { lower, upper, lower_exclusive: false, upper_exclusive: false };
        IntervalJoined { left: self.left, right: self.right, interval, late_left: None, late_right: None }
    }
}

impl<'x, K: Record<'x>, A: Record<'x>, B: Record<'x>> IntervalJoined<'x, K, A, B> {
    /// Has records meet for left + lower < right.
    pub fn lower_bound_exclusive(mut self) -> Self {
        self.interval.lower_exclusive = true;
        self
    }

    /// Has records meet for right < left + upper.
    pub fn upper_bound_exclusive(mut self) -> Self {
        self.interval.upper_exclusive = true;
        self
    }

    /// Makes records of the left stream that come behind the watermark go to a side output; without it they are counted and
    /// dropped.
    pub fn late_left(mut self, to: &Side<'x, A>) -> Self {
        self.late_left = Some(to.clone());
        self
    }

    /// `late_left` for the right stream.
    pub fn late_right(mut self, to: &Side<'x, B>) -> Self {
        self.late_right = Some(to.clone());
        self
    }

    /// Puts out what meets. The host makes the pairs by itself; their event time is the later one. The operator keeps state: it
    /// needs a uid.
    pub fn pairs(self) -> Stream<'x, Pair<A, B>> {
        let o = Operator { output: codec_of::<Pair<A, B>>(), ..Operator::new(Kind::Join, Kind::Join.name()) };
        let o = self.left.env.with(|g| g.add(Operator { inputs: self.edges(), interval: Some(self.interval), ..o }));
        self.late(o)
    }

    /// Runs f for each two records that meet, with the side outputs at hand that it uses; what it emits has the later of their
    /// event times, unless `emit_at` says another. The operator keeps state: it needs a uid.
    pub fn process<U: Sides<'x>, R: Record<'x>>(
        self,
        name: &str,
        uses: U,
        f: impl Fn(&JoinContext<'x, K, R>, &U::Handles, A, B) + 'static,
    ) -> Stream<'x, R> {
        let (mut frame, inputs) = (Frame::of(uses), vec![codec_of::<A>(), codec_of::<B>()]);
        let mut function = frame.function(Kind::Join, name, inputs, codec_of::<R>(), move |c: &JoinContext<'x, K, R>, u, verb, h, p| {
            let mine = verb == JOIN;
            if mine {
                c.run(h, p, || c.pairs(|left, right| f(c, u, A::decode(left), B::decode(right))), |_| ());
            }
            mine
        });
        function.key = codec_of::<K>();
        let o = Operator { inputs: self.edges(), interval: Some(self.interval), ..Operator::default() };
        let operator = frame.add(&self.left.env, function, o);
        self.late(operator)
    }

    fn edges(&self) -> Vec<Edge> {
        vec![self.left.edge(), self.right.edge()]
    }

    /// The stream of the operator, whose late records go where they are to: outputs behind those of the function.
    fn late<R: Record<'x>>(&self, o: OperatorId) -> Stream<'x, R> {
        let sides = self.left.env.with(|g| g.sides_of(o));
        if let Some(to) = &self.late_left {
            to.declare(o, sides + 1);
        }
        if let Some(to) = &self.late_right {
            to.declare(o, sides + 2);
        }
        Stream::new(self.left.env.clone(), o, 0, Start::default())
    }
}

keyed_context! {
    /// What a join function has at hand: the key, the times of the two records, of which the later one is the `timestamp`, and where
    /// its own go.
    JoinContext { times: Cell<[i64; 2]> }
    /// The key that both records have.
}

impl<'x, K: Record<'x>, R: Record<'x>> JoinContext<'x, K, R> {
    /// The event time of the left record.
    pub fn left_timestamp(&self) -> i64 {
        self.times.get()[0]
    }

    /// The event time of the right record.
    pub fn right_timestamp(&self) -> i64 {
        self.times.get()[1]
    }

    /// Runs the pairs of the group at hand.
    fn pairs(&self, pair: impl Fn(&'x [u8], &'x [u8])) {
        let [left, right] = self.at_hand(|g| g.records);
        left.whole();
        right.whole();
        for i in 0..left.n {
            for k in 0..right.n {
                let times = [left.timestamp(i), right.timestamp(k)];
                self.times.set(times);
                self.record(times[0].max(times[1]), || pair(left.value(i), right.value(k)));
                if failed() {
                    return;
                }
            }
        }
    }
}
