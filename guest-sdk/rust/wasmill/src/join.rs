//! The interval join: records of two streams that meet by key and event time.

use crate::chain::{Binding, CallHeader, Fault, HeadRun, Next, Status};
use crate::fail::{failed, set_record};
use crate::graph::{Body, Edge, Function, Kind, Operator, OperatorId};
use crate::group::{Group, Groups, JOIN};
use crate::json::JsonWriter;
use crate::keyed::KeyedStream;
use crate::local::Own;
use crate::process::{Binder, Call, Declaration};
use crate::record::{codec_of, Record};
use crate::row::Pair;
use crate::side::{Side, Sides};
use crate::step::Start;
use crate::stream::Stream;
use crate::Scratch;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::marker::PhantomData;

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
        let mut declared = Declaration { states: Vec::new(), sides: Vec::new() };
        uses.declare(&mut declared);
        let f = Rc::new(f);
        let body = Body::Keyed(Box::new(move |b: &Binding<'x>| {
            let (context, f) = (JoinContext::new(b)?, f.clone());
            let handles = U::bind(&mut Binder { binding: b, call: &context.call, states: 0, sides: 0 });
            let group = Own::new(Group::default());
            Ok(HeadRun::Groups(Box::new(move |verb, _: &CallHeader, p| {
                if verb != JOIN {
                    return Err(Fault(Status::UnknownVerb, format!("verb {verb} is not one of a join function")));
                }
                group.with(|g| context.run(g, p, |left, right| f(&context, &handles, A::decode(left), B::decode(right))));
                Ok(())
            })))
        }));
        let mut function = Function::new(Kind::Join, name, vec![codec_of::<A>(), codec_of::<B>()], codec_of::<R>(), body);
        function.key = codec_of::<K>();
        function.sides = declared.sides.iter().map(|(codec, _)| codec.clone()).collect();
        let o = Operator { inputs: self.edges(), interval: Some(self.interval), ..Operator::default() };
        let operator = self.left.env.with(|g| g.call(function, o));
        for (k, (_, tell)) in declared.sides.iter().enumerate() {
            tell(operator, k + 1);
        }
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

/// What a join function has at hand: the key, the times of the two records, and where its own go.
pub struct JoinContext<'x, K, R> {
    call: Rc<Call<'x>>,
    next: Next<'x, R>,
    key: Cell<&'x [u8]>,
    times: Cell<[i64; 2]>,
    keys: PhantomData<fn() -> K>,
}

impl<'x, K: Record<'x>, R: Record<'x>> JoinContext<'x, K, R> {
    fn new(b: &Binding<'x>) -> Result<Self, Fault> {
        let call = Rc::new(Call::new(b.scope.clone(), 0));
        Ok(JoinContext { call, next: b.next::<R>()?, key: Cell::new(&[]), times: Cell::default(), keys: PhantomData })
    }

    /// The key that both records have.
    pub fn key(&self) -> K {
        K::decode(self.key.get())
    }

    /// The event time of the left record.
    pub fn left_timestamp(&self) -> i64 {
        self.times.get()[0]
    }

    /// The event time of the right record.
    pub fn right_timestamp(&self) -> i64 {
        self.times.get()[1]
    }

    /// The later one.
    pub fn timestamp(&self) -> i64 {
        let [left, right] = self.times.get();
        left.max(right)
    }

    /// Memory for what the function makes of the records.
    pub fn scratch(&self) -> &'x Scratch {
        self.call.scratch()
    }

    /// Puts out a record.
    #[inline]
    pub fn emit(&self, record: R) {
        self.next.push(record);
    }

    /// Puts out a record with an event time of its own.
    pub fn emit_at(&self, milliseconds: i64, record: R) {
        let at = self.call.time().replace(milliseconds);
        self.next.push(record);
        self.call.time().set(at);
    }

    /// Runs the pairs of each group of p.
    fn run(&self, g: &mut Group<'x>, p: &'static [u8], pair: impl Fn(&'x [u8], &'x [u8])) {
        let mut groups = Groups::new(p);
        while groups.read(g) {
            set_record(g.index);
            let [left, right] = g.records;
            left.whole();
            right.whole();
            self.key.set(g.key);
            self.call.scope().key.set_bytes(g.key);
            for i in 0..left.n {
                for k in 0..right.n {
                    self.times.set([left.timestamp(i), right.timestamp(k)]);
                    self.call.record(self.timestamp(), || pair(left.value(i), right.value(k)));
                    if failed() {
                        return;
                    }
                }
            }
        }
    }
}
