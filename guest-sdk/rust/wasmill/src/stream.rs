use crate::arena::Scratch;
use crate::connector::Sink;
use crate::env::Env;
use crate::graph::{Body, Edge, Function, Kind, Operator, OperatorId, Watermarks};
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Record};
use crate::state::accumulators;
use crate::step::{
    fuse, EmitStep, FilterStep, FlatMapStep, FlatMapWithStep, KeyStep, KeyValueStep, MapStep, MapWithStep, Path, Start, Step, Stepped,
    Then, TimestampStep, TryMapStep, WatermarkStep,
};
use crate::trap::{dead_letters, Letter, TrapPolicy};
use alloc::boxed::Box;
use alloc::vec;
use core::fmt::Display;
use core::marker::PhantomData;
use core::time::Duration;

/// The output of an operator: records of the type T. `P` is the path of functions to it from the beginning of its chain, which
/// are compiled into one loop. A function that is given any stream is generic over it:
///
/// ```
/// use wasmill::{prelude::*, Path};
///
/// fn drop_all<'x, T: Record<'x>>(stream: &Stream<'x, T, impl Path<'x, T>>) {
///     stream.sink_to(blackhole());
/// }
///
/// fn job(job: &Env) {
///     drop_all(&job.source(generator()).filter("long", |s| s.len() > 9).map("length", |s| s.len() as i64));
/// }
/// # wasmill::job!("job", job);
/// ```
pub struct Stream<'x, T, P = Start<T>> {
    env: Env<'x>,
    operator: OperatorId,
    side: usize,
    partition: &'static str, // of the edges to what takes it, empty: the host's choice
    path: P,
    records: PhantomData<fn() -> T>,
}

impl<T, P: Clone> Clone for Stream<'_, T, P> {
    fn clone(&self) -> Self {
        Stream {
            env: self.env.clone(),
            operator: self.operator,
            side: self.side,
            partition: self.partition,
            path: self.path.clone(),
            records: PhantomData,
        }
    }
}

/// A stream behind a function of one record after the other.
pub type After<'x, P, S> = Stream<'x, <S as Step<'x>>::Out, Then<P, S>>;

impl<'x, T: Record<'x>, P: Path<'x, T>> Stream<'x, T, P> {
    pub(crate) fn new(env: Env<'x>, operator: OperatorId, side: usize, path: P) -> Self {
        Stream { env, operator, side, partition: "", path, records: PhantomData }
    }

    pub(crate) fn env(&self) -> &Env<'x> {
        &self.env
    }

    pub(crate) fn operator(&self) -> OperatorId {
        self.operator
    }

    /// The same records by another way: a chain begins behind it.
    pub(crate) fn by(&self, partition: &'static str) -> Stream<'x, T> {
        self.end();
        Stream { partition, ..Stream::new(self.env.clone(), self.operator, self.side, Start::default()) }
    }

    pub(crate) fn edge(&self) -> Edge {
        Edge { from: self.operator, side: self.side, partition: self.partition }
    }

    /// Gives the operator another name, unique in the job.
    pub fn name(self, name: &str) -> Self {
        self.env.with(|g| g.rename(self.operator, name));
        self
    }

    /// Names the operator's state, so that it is found again when the job changes. Stateful operators need one.
    pub fn uid(self, uid: &str) -> Self {
        self.env.with(|g| g.operators[self.operator].uid = uid.into());
        self
    }

    /// Says that the accumulators of a reduce or aggregate (of a reduce, its values) are of a schema version above 0, and how one
    /// of an older version, back to `oldest` (0: none was given), becomes one; None has the key begin anew. What it makes may
    /// depend on nothing but its arguments.
    pub fn accumulators<A: Record<'x>>(self, version: u32, oldest: u32, f: impl Fn(u32, &'x [u8]) -> Option<A> + 'static) -> Self {
        let state = accumulators(version, oldest, f);
        self.env.with(|g| g.declare_accumulators(self.operator, state));
        self
    }

    /// Sets how many subtasks the operator has; without it, it has the job's.
    pub fn parallelism(self, n: u32) -> Self {
        self.env.with(|g| g.set_parallelism(self.operator, n));
        self
    }

    /// Sets what happens to a record that the operator's function traps on.
    pub fn on_trap(self, policy: TrapPolicy) -> Self {
        self.env.with(|g| g.operators[self.operator].on_trap = policy.name());
        self
    }

    /// A stream of what the operator has left out: once each, like every record. Its policy must be `DeadLetter`.
    pub fn dead_letters(&self) -> Stream<'x, Letter<'x>> {
        dead_letters(&self.env, self.operator)
    }

    /// Turns each record into another.
    pub fn map<R: Record<'x>, F: Fn(T) -> R + 'static>(&self, name: &str, f: F) -> After<'x, P, MapStep<F, T, R>> {
        self.step(Kind::Map, name, MapStep::new(f))
    }

    /// Turns each record into another; an error fails the record, by what it says.
    pub fn try_map<R: Record<'x>, E: Display + 'x, F: Fn(T) -> Result<R, E> + 'static>(
        &self,
        name: &str,
        f: F,
    ) -> After<'x, P, TryMapStep<F, T, R, E>> {
        self.step(Kind::Map, name, TryMapStep::new(f))
    }

    /// Keeps the records for which f says so.
    pub fn filter<F: Fn(&T) -> bool + 'static>(&self, name: &str, f: F) -> After<'x, P, FilterStep<F, T>> {
        self.step(Kind::Filter, name, FilterStep::new(f))
    }

    /// Turns each record into any number of others: what an iterator has, a `Vec`, an `Option`.
    pub fn flat_map<I: IntoIterator + 'x, F: Fn(T) -> I + 'static>(&self, name: &str, f: F) -> After<'x, P, FlatMapStep<F, T, I>>
    where
        I::Item: Record<'x>,
    {
        self.step(Kind::FlatMap, name, FlatMapStep::new(f))
    }

    /// Map with scratch memory: for what is made of the record's bytes and not part of them.
    pub fn map_with<R: Record<'x>, F: Fn(T, &'x Scratch) -> R + 'static>(&self, name: &str, f: F) -> After<'x, P, MapWithStep<F, T, R>> {
        self.step(Kind::Map, name, MapWithStep::new(f))
    }

    /// Flat map with scratch memory.
    pub fn flat_map_with<I: IntoIterator + 'x, F: Fn(T, &'x Scratch) -> I + 'static>(
        &self,
        name: &str,
        f: F,
    ) -> After<'x, P, FlatMapWithStep<F, T, I>>
    where
        I::Item: Record<'x>,
    {
        self.step(Kind::FlatMap, name, FlatMapWithStep::new(f))
    }

    /// Flat map for a function that emits records while it runs. An iterator is faster: it needs no indirect call.
    pub fn flat_map_emit<R: Record<'x>, F: Fn(T, &'x Scratch, &dyn Fn(R)) + 'static>(
        &self,
        name: &str,
        f: F,
    ) -> After<'x, P, EmitStep<F, T, R>> {
        self.step(Kind::FlatMap, name, EmitStep::new(f))
    }

    /// Sets each record's event time, in milliseconds since the Unix epoch. Records may come up to `out_of_order` behind the
    /// newest before they count as late.
    pub fn assign_timestamps<F: Fn(&T) -> i64 + 'static>(
        &self,
        name: &str,
        f: F,
        out_of_order: Duration,
    ) -> After<'x, P, TimestampStep<F, T>> {
        let marks = Watermarks { out_of_order, ..Watermarks::default() };
        self.step(Kind::Timestamp, name, TimestampStep::new(f)).watermarks(marks)
    }

    /// Sets each record's event time, as `assign_timestamps` does, and the watermark behind it: f returns both. A watermark says
    /// that no record before or at it is to come; one below an earlier one, and None, say nothing.
    pub fn assign_watermarks<F: Fn(&T) -> (i64, Option<i64>) + 'static>(&self, name: &str, f: F) -> After<'x, P, WatermarkStep<F, T>> {
        let marks = Watermarks { guest: true, ..Watermarks::default() };
        self.step(Kind::Timestamp, name, WatermarkStep::new(f)).watermarks(marks)
    }

    fn watermarks(self, marks: Watermarks) -> Self {
        self.env.with(|g| g.operators[self.operator].watermarks = Some(marks));
        self
    }

    /// Says of a source, or a stream whose event times a function assigns, that a split or channel that has had nothing for so
    /// long, though it was asked, holds the watermark back no longer, until it has a record again. Without it, it does for ever.
    /// Splits that end are never idle.
    pub fn idleness(self, after: Duration) -> Self {
        self.env.with(|g| g.set_idleness(self.operator, after));
        self
    }

    /// Says of a source, or a stream whose event times a function assigns, that it is of a group of sources that do not run away
    /// from each other: a split that is further than `max_drift` ahead of the slowest of the group is not read until that has come
    /// nearer. Idle splits hold nobody up. How far the others are is known once a second.
    pub fn alignment(self, group: &str, max_drift: Duration) -> Self {
        self.env.with(|g| g.set_alignment(self.operator, group, max_drift));
        self
    }

    /// Gives each record a key.
    pub fn key_by<K: Record<'x>>(&self, name: &str, f: impl Fn(&T) -> K + 'static) -> KeyedStream<'x, K, T> {
        self.keyed(name, KeyStep::new(f))
    }

    /// Makes a key and a value of each record: for a sum, or a reduce, of something other than the record.
    pub fn key_value_by<K: Record<'x>, V: Record<'x>>(&self, name: &str, f: impl Fn(T) -> (K, V) + 'static) -> KeyedStream<'x, K, V> {
        self.keyed(name, KeyValueStep::new(f))
    }

    pub(crate) fn keyed<K: Record<'x>, S: Step<'x, In = T>>(&self, name: &str, step: S) -> KeyedStream<'x, K, S::Out> {
        let s = self.step(Kind::Key, name, step);
        s.end();
        s.env.with(|g| {
            let o = &mut g.operators[s.operator];
            o.key = codec_of::<K>();
            let f = o.function;
            f.map(|f| g.functions[f].key = codec_of::<K>())
        });
        KeyedStream::new(s.env, s.operator)
    }

    /// Adds an operator that runs a function of one record after the other.
    fn step<S: Step<'x, In = T>>(&self, kind: Kind, name: &str, step: S) -> After<'x, P, S> {
        let body = Stepped::new(name, step);
        let step = body.step.clone();
        let f = Function::new(kind, name, vec![codec_of::<T>()], codec_of::<S::Out>(), Body::Step(Box::new(body)));
        let o = Operator { inputs: vec![self.edge()], ..Operator::default() };
        let (operator, function) = self.env.with(|g| (g.call(f, o), g.functions.len() - 1));
        Stream::new(self.env.clone(), operator, 0, Then::new(self.path.clone(), step, function as u32))
    }

    /// Ends a chain here: the functions on the path become one loop.
    pub(crate) fn end(&self) {
        if let Some(fused) = fuse::<T, P>(&self.path) {
            self.env.with(|g| g.fused.push(fused));
        }
    }

    /// Merges streams of one type, in no order between them.
    pub fn union(&self, others: &[&dyn Outlet<'x, T>]) -> Stream<'x, T> {
        self.end();
        let mut o = Operator::new(Kind::Union, Kind::Union.name());
        o.inputs.push(self.edge());
        o.inputs.extend(others.iter().map(|s| s.outlet()));
        o.output = codec_of::<T>();
        Stream::new(self.env.clone(), self.env.with(|g| g.add(o)), 0, Start::default())
    }

    /// Writes the records to a sink.
    pub fn sink_to(&self, to: impl Sink) -> SinkOperator<'x> {
        self.end();
        let connector = to.connector();
        let mut o = Operator::new(Kind::Sink, connector.name);
        o.connector = Some(connector);
        o.inputs.push(self.edge());
        SinkOperator { env: self.env.clone(), operator: self.env.with(|g| g.add(o)) }
    }
}

/// A stream of records of the type T, whatever leads to it.
pub trait Outlet<'x, T> {
    #[doc(hidden)]
    fn outlet(&self) -> Edge;
}

impl<'x, T: Record<'x>, P: Path<'x, T>> Outlet<'x, T> for Stream<'x, T, P> {
    fn outlet(&self) -> Edge {
        self.end();
        self.edge()
    }
}

/// Where a stream ends.
pub struct SinkOperator<'x> {
    pub(crate) env: Env<'x>,
    pub(crate) operator: OperatorId,
}

impl SinkOperator<'_> {
    /// Gives the sink another name, unique in the job.
    pub fn name(self, name: &str) -> Self {
        self.env.with(|g| g.rename(self.operator, name));
        self
    }

    /// Names the sink's state; without it, its name does.
    pub fn uid(self, uid: &str) -> Self {
        self.env.with(|g| g.operators[self.operator].uid = uid.into());
        self
    }

    /// Sets how many subtasks write; without it, as many as the job has.
    pub fn parallelism(self, n: u32) -> Self {
        self.env.with(|g| g.set_parallelism(self.operator, n));
        self
    }
}
