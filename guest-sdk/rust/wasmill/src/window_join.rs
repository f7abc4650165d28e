//! Joins and co-groups: records of two streams that meet by key and window.

use crate::call::{Call, StreamContext};
use crate::chain::{Binding, Fault};
use crate::fail::failed;
use crate::frame::{keyed_context, AtHand, Frame};
use crate::graph::{Kind, Operator, OperatorId};
use crate::group::{List, JOIN};
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Record};
use crate::row::Pair;
use crate::side::{Side, Sides};
use crate::step::{Path, Start};
use crate::stream::Stream;
use crate::window::{all_time, TimeWindow, Window};
use alloc::format;
use alloc::rc::Rc;
use alloc::vec;
use core::marker::PhantomData;
use core::ops::Deref;
use core::time::Duration;

/// Two streams with the same key that are to be joined: `window` says which records meet.
pub struct WindowJoin<'x, K, A, B> {
    left: KeyedStream<'x, K, A>,
    right: KeyedStream<'x, K, B>,
}

/// Two keyed streams whose records meet when they lie in the same window. L and R are what comes out of the left and the right
/// one: A and B, or an `Option` of it where it may be missing.
pub struct WindowJoined<'x, K, A, B, L = A, R = B> {
    left: KeyedStream<'x, K, A>,
    right: KeyedStream<'x, K, B>,
    window: TimeWindow,
    outer: &'static str,
    hint: &'static str,
    late_left: Option<Side<'x, A>>,
    late_right: Option<Side<'x, B>>,
    take: (Take<'x, L>, Take<'x, R>),
}

/// How a join of all time is done in batch mode. First is the left stream, second the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinHint {
    /// Both streams are dealt out by key, and sorted: this is done without a hint.
    RepartitionSortMerge,
    /// Both are dealt out by key; the left one, which is small, lies in a table, and the right one is looked up in it.
    RepartitionHashFirst,
    /// The other way round.
    RepartitionHashSecond,
    /// Every subtask has all of the left stream, which is very small, in a table; the right one stays where it is.
    BroadcastHashFirst,
    /// The other way round.
    BroadcastHashSecond,
}

impl JoinHint {
    fn name(self) -> &'static str {
        match self {
            JoinHint::RepartitionSortMerge => "repartitionSortMerge",
            JoinHint::RepartitionHashFirst => "repartitionHashFirst",
            JoinHint::RepartitionHashSecond => "repartitionHashSecond",
            JoinHint::BroadcastHashFirst => "broadcastHashFirst",
            JoinHint::BroadcastHashSecond => "broadcastHashSecond",
        }
    }
}

/// Makes what a function is given of a record, or of none.
type Take<'x, T> = fn(Option<&'x [u8]>) -> T;

fn always<'x, T: Record<'x>>(record: Option<&'x [u8]>) -> T {
    T::decode(record.expect("records of both inputs: the join is not an outer one"))
}

fn perhaps<'x, T: Record<'x>>(record: Option<&'x [u8]>) -> Option<T> {
    record.map(T::decode)
}

impl<'x, K: Record<'x>, V: Record<'x>> KeyedStream<'x, K, V> {
    /// Joins two streams by key in windows. A window of both streams' records fires once the watermark has passed it, and again
    /// with late ones that it still takes.
    pub fn join<W: Record<'x>>(&self, right: &KeyedStream<'x, K, W>) -> WindowJoin<'x, K, V, W> {
        WindowJoin { left: self.clone(), right: right.clone() }
    }
}

impl<'x, K: Record<'x>, A: Record<'x>, B: Record<'x>> WindowJoin<'x, K, A, B> {
    /// Has records meet that lie in the same window: tumbling, sliding, or a session of the records of both streams; with
    /// [`all_time`](crate::all_time) all of a key, once both streams have ended, which they must.
    pub fn window(self, w: TimeWindow) -> WindowJoined<'x, K, A, B> {
        self.left.unwindowed("a join");
        self.right.unwindowed("a join");
        let take = (always as Take<'x, A>, always as Take<'x, B>);
        WindowJoined { left: self.left, right: self.right, window: w, outer: "", hint: "", late_left: None, late_right: None, take }
    }
}

impl<'x, K: Record<'x>, A: Record<'x>, B: Record<'x>, L: 'x, R: 'x> WindowJoined<'x, K, A, B, L, R> {
    /// Has windows take records for so long behind their end; what meets then comes out anew, all of it.
    pub fn allowed_lateness(mut self, d: Duration) -> Self {
        self.window = self.window.lateness(d);
        self
    }

    /// Says how a join of all time is done in batch mode. What comes out is the same; in streaming mode it says nothing.
    pub fn hint(mut self, how: JoinHint) -> Self {
        self.hint = how.name();
        self
    }

    /// Makes left records go to a side output that come too late for all of their windows; without it they are counted and
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

    fn outer<M, N>(self, outer: &'static str, take: (Take<'x, M>, Take<'x, N>)) -> WindowJoined<'x, K, A, B, M, N> {
        let WindowJoined { left, right, window, hint, late_left, late_right, .. } = self;
        WindowJoined { left, right, window, outer, hint, late_left, late_right, take }
    }

    /// Puts out each two records that meet. The host makes the pairs by itself; their event time is the last of the window. The
    /// operator keeps state: it needs a uid.
    pub fn pairs(self) -> Stream<'x, Pair<L, R>>
    where
        Pair<L, R>: Record<'x>,
    {
        let o = self.operator(Operator { output: codec_of::<Pair<L, R>>(), ..Operator::new(Kind::Join, Kind::Join.name()) });
        let o = self.left.env.with(|g| g.add(o));
        self.late(o)
    }

    /// Runs f for each two records that meet, with the side outputs at hand that it uses. What it emits has the last event time of
    /// the window, unless `emit_at` says another. The operator keeps state: it needs a uid.
    pub fn process<U: Sides<'x>, T: Record<'x>>(
        self,
        name: &str,
        uses: U,
        f: impl Fn(&WindowJoinContext<'x, K, T>, &U::Handles, L, R) + 'static,
    ) -> Stream<'x, T> {
        let take = self.take;
        self.function(Kind::Join, name, uses, move |c, u| {
            let [left, right] = c.at_hand(|g| g.records);
            left.whole();
            right.whole();
            for i in 0..left.n.max(1) {
                for k in 0..right.n.max(1) {
                    let one = take.0((i < left.n).then(|| left.value(i)));
                    f(c, u, one, take.1((k < right.n).then(|| right.value(k))));
                    c.scratch().reset();
                    if failed() {
                        return;
                    }
                }
            }
        })
    }

    /// Adds the operator of a function that is called for a group.
    fn function<U: Sides<'x>, T: Record<'x>>(
        self,
        kind: Kind,
        name: &str,
        uses: U,
        each: impl Fn(&WindowJoinContext<'x, K, T>, &U::Handles) + 'x,
    ) -> Stream<'x, T> {
        let (mut frame, inputs) = (Frame::of(uses), vec![codec_of::<A>(), codec_of::<B>()]);
        let mut f = frame.function(kind, name, inputs, codec_of::<T>(), move |c: &WindowJoinContext<'x, K, T>, u, verb, h, p| {
            let mine = verb == JOIN;
            if mine {
                c.run(h, p, || c.whole(|| each(c, u)), |_| ());
            }
            mine
        });
        f.key = codec_of::<K>();
        let operator = frame.add(&self.left.env, f, self.operator(Operator::default()));
        self.left.env.with(|g| g.operators[operator].kind = Some(Kind::Join)); // whatever the function's
        self.late(operator)
    }

    fn operator(&self, o: Operator) -> Operator {
        let inputs = vec![self.left.edge(), self.right.edge()];
        Operator { inputs, window: Some(self.window.into()), outer: self.outer, hint: self.hint, ..o }
    }

    /// The stream of the operator, whose late records go where they are to: outputs behind those of the function.
    fn late<T: Record<'x>>(&self, o: OperatorId) -> Stream<'x, T> {
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

impl<'x, K: Record<'x>, A: Record<'x>, B: Record<'x>> WindowJoined<'x, K, A, B> {
    /// Has left records come out, too, that have no right one in their window.
    pub fn left_outer(self) -> WindowJoined<'x, K, A, B, A, Option<B>> {
        self.outer("left", (always, perhaps))
    }

    /// Has right records come out, too, that have no left one in their window.
    pub fn right_outer(self) -> WindowJoined<'x, K, A, B, Option<A>, B> {
        self.outer("right", (perhaps, always))
    }

    /// Has records of both come out, too, that have none of the other in their window.
    pub fn full_outer(self) -> WindowJoined<'x, K, A, B, Option<A>, Option<B>> {
        self.outer("full", (perhaps, perhaps))
    }

    /// Runs f once for each key and window with all records that either stream has there, in the order of their times; of one
    /// there may be none. What f emits has the last event time of the window, unless `emit_at` says another. The operator keeps
    /// state: it needs a uid.
    pub fn co_group<U: Sides<'x>, T: Record<'x>>(
        self,
        name: &str,
        uses: U,
        f: impl Fn(&WindowJoinContext<'x, K, T>, &U::Handles, &Together<'x, A>, &Together<'x, B>) + 'static,
    ) -> Stream<'x, T> {
        self.function(Kind::CoGroup, name, uses, move |c, u| {
            f(c, u, &Together::new(c.call(), 0), &Together::new(c.call(), 1));
        })
    }
}

impl<'x, T: Record<'x>, P: Path<'x, T>> Stream<'x, T, P> {
    /// Puts out each record with each of another stream, once both have ended. All of it is made by one subtask. The operator keeps
    /// state: it needs a uid.
    pub fn cross<V: Record<'x>, Q: Path<'x, V>>(&self, name: &str, other: &Stream<'x, V, Q>) -> Stream<'x, Pair<T, V>> {
        let (left, right) = (self.key_by(&format!("{name} left"), |_| ""), other.key_by(&format!("{name} right"), |_| ""));
        left.join(&right).window(all_time()).pairs().name(name)
    }
}

/// The records that a stream has of a key in a window.
pub struct Together<'x, V> {
    call: Rc<Call<'x>>,
    input: u16,
    list: List<'x>, // those that came with the call
    values: PhantomData<fn() -> V>,
}

impl<'x, V: Record<'x>> Together<'x, V> {
    fn new(call: &Rc<Call<'x>>, input: u16) -> Self {
        Together { call: call.clone(), input, list: call.at_hand(|g| g.records[input as usize]), values: PhantomData }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.total
    }

    pub fn is_empty(&self) -> bool {
        self.list.total == 0
    }

    /// They, in the order of their times, as often as one likes.
    pub fn iter(&self) -> impl Iterator<Item = V> + use<'x, V> {
        let list = self.list;
        let rest = self.call.rest(self.input);
        let came = (0..list.n).map(move |i| list.value(i));
        came.chain(rest.into_iter().flatten().map(|(_, value)| value)).map(V::decode)
    }
}

keyed_context! {
    /// What the function of a join in windows has at hand: the key, the window, and where its records go.
    WindowJoinContext {}
    /// The key that the records have.
}

impl<'x, K: Record<'x>, R: Record<'x>> WindowJoinContext<'x, K, R> {
    /// The window that they lie in.
    pub fn window(&self) -> Window {
        self.at_hand(|g| g.window)
    }
}
