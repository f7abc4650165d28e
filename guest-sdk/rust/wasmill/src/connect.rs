//! Two streams for one function.

use crate::call::StreamContext;
use crate::keyed::KeyedStream;
use crate::process::{either, no_timers, Context, Processing, Timer};
use crate::record::Record;
use crate::step::Path;
use crate::stream::Stream;
use crate::uses::Begins;
use alloc::vec;

/// Two streams with the same key.
pub struct ConnectedKeyedStreams<'x, K, A, B> {
    first: KeyedStream<'x, K, A>,
    second: KeyedStream<'x, K, B>,
}

impl<'x, K: Record<'x>, V: Record<'x>> KeyedStream<'x, K, V> {
    /// Two streams with the same key, for one function.
    pub fn connect<W: Record<'x>>(&self, other: &KeyedStream<'x, K, W>) -> ConnectedKeyedStreams<'x, K, V, W> {
        ConnectedKeyedStreams { first: self.clone(), second: other.clone() }
    }

    /// A keyed stream and one that every subtask has all records of, for one function.
    pub fn connect_broadcast<W: Record<'x>, Q: Path<'x, W>>(&self, other: &Stream<'x, W, Q>) -> BroadcastKeyedStreams<'x, K, V, W, Q> {
        BroadcastKeyedStreams { keyed: self.clone(), broadcast: other.clone() }
    }
}

impl<'x, K: Record<'x>, A: Record<'x>, B: Record<'x>> ConnectedKeyedStreams<'x, K, A, B> {
    /// Runs functions over the records of each key of both, in no order between them: `first` and `second` have the states at
    /// hand that both use.
    pub fn process<U: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        first: impl Fn(&Context<'x, K, R>, &U::Handles, A) + 'static,
        second: impl Fn(&Context<'x, K, R>, &U::Handles, B) + 'static,
    ) -> Stream<'x, R> {
        self.processing(name).add(uses, either(first, second), no_timers())
    }

    /// The same with a function for the timers that they set.
    pub fn process_timers<U: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        first: impl Fn(&Context<'x, K, R>, &U::Handles, A) + 'static,
        second: impl Fn(&Context<'x, K, R>, &U::Handles, B) + 'static,
        timer: impl Fn(&Context<'x, K, R>, &U::Handles, Timer) + 'static,
    ) -> Stream<'x, R> {
        self.processing(name).add(uses, either(first, second), Some(timer))
    }

    fn processing(&self, name: &str) -> Processing<'x> {
        let inputs = vec![self.first.input("a process function"), self.second.input("a process function")];
        Processing::keyed::<K>(&self.first.env, name, inputs)
    }
}

/// A keyed stream and one that is broadcast.
pub struct BroadcastKeyedStreams<'x, K, A, B, Q> {
    keyed: KeyedStream<'x, K, A>,
    broadcast: Stream<'x, B, Q>,
}

impl<'x, K: Record<'x>, A: Record<'x>, B: Record<'x>, Q: Path<'x, B>> BroadcastKeyedStreams<'x, K, A, B, Q> {
    /// Runs `each` over the records of each key, which read broadcast states, and `broadcast` over all records of the other stream,
    /// which change them: there is no key. No order is promised between the two. The operator keeps state: it needs a uid.
    pub fn process<U: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        each: impl Fn(&Context<'x, K, R>, &U::Handles, A) + 'static,
        broadcast: impl Fn(&StreamContext<'x, R>, &U::Handles, B) + 'static,
    ) -> Stream<'x, R> {
        self.processing(name).add(uses, either(each, move |c: &Context<'x, K, R>, u, v| broadcast(c, u, v)), no_timers())
    }

    /// The same with a function for the timers that `each` sets.
    pub fn process_timers<U: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        each: impl Fn(&Context<'x, K, R>, &U::Handles, A) + 'static,
        broadcast: impl Fn(&StreamContext<'x, R>, &U::Handles, B) + 'static,
        timer: impl Fn(&Context<'x, K, R>, &U::Handles, Timer) + 'static,
    ) -> Stream<'x, R> {
        self.processing(name).add(uses, either(each, move |c: &Context<'x, K, R>, u, v| broadcast(c, u, v)), Some(timer))
    }

    /// `process` with a function that is run for each key that has something in a state of which `broadcast` has said
    /// [`apply_to_keys`](StreamContext::apply_to_keys), before the next record of either stream: with the broadcast record, and the
    /// key's states and timers at hand.
    ///
    /// ```
    /// use wasmill::prelude::*;
    ///
    /// // Sums up numbers by key, and puts out all sums whenever a line is broadcast.
    /// fn swept(job: &Env) {
    ///     let (sum, sweeps) = (job.reducing_state("sum", |a: i64, b| a + b), job.broadcast_state::<&str, i64>("sweeps"));
    ///     let numbers = job.source(files("numbers.txt")).key_value_by("key", |line| (line, line.len() as i64));
    ///     let swept = numbers.connect_broadcast(&job.source(files("sweeps.txt"))).process_applying(
    ///         "swept",
    ///         (&sum, &sweeps),
    ///         |_, (sum, _), n| sum.add(n),
    ///         |c, (sum, sweeps), name| {
    ///             sweeps.put(name, c.now());
    ///             c.apply_to_keys(sum);
    ///         },
    ///         |c, (sum, _), name| {
    ///             c.emit(format!("{name}: {} had {}", c.key(), sum.get().unwrap_or(0)));
    ///             sum.clear();
    ///         },
    ///     );
    ///     swept.uid("swept").sink_to(print());
    /// }
    /// # wasmill::job!("swept", swept);
    /// ```
    pub fn process_applying<U: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        each: impl Fn(&Context<'x, K, R>, &U::Handles, A) + 'static,
        broadcast: impl Fn(&StreamContext<'x, R>, &U::Handles, B) + 'static,
        apply: impl Fn(&Context<'x, K, R>, &U::Handles, B) + 'static,
    ) -> Stream<'x, R> {
        let record = either(each, move |c: &Context<'x, K, R>, u, v| broadcast(c, u, v));
        self.processing(name).add_applying(uses, record, no_timers(), Some(move |c: &_, u: &_, p: &'x [u8]| apply(c, u, B::decode(p))))
    }

    /// The same with a function for the timers that `each` and `apply` set.
    pub fn process_timers_applying<U: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        each: impl Fn(&Context<'x, K, R>, &U::Handles, A) + 'static,
        broadcast: impl Fn(&StreamContext<'x, R>, &U::Handles, B) + 'static,
        apply: impl Fn(&Context<'x, K, R>, &U::Handles, B) + 'static,
        timer: impl Fn(&Context<'x, K, R>, &U::Handles, Timer) + 'static,
    ) -> Stream<'x, R> {
        let record = either(each, move |c: &Context<'x, K, R>, u, v| broadcast(c, u, v));
        self.processing(name).add_applying(uses, record, Some(timer), Some(move |c: &_, u: &_, p: &'x [u8]| apply(c, u, B::decode(p))))
    }

    fn processing(&self, name: &str) -> Processing<'x> {
        let inputs = vec![self.keyed.input("a process function"), self.broadcast.input()];
        Processing::keyed::<K>(&self.keyed.env, name, inputs).broadcasting()
    }
}

/// Two streams without key.
pub struct ConnectedStreams<'x, A, B, P, Q> {
    first: Stream<'x, A, P>,
    second: Stream<'x, B, Q>,
}

/// A stream without key and one that is broadcast.
pub struct BroadcastStreams<'x, A, B, P, Q>(ConnectedStreams<'x, A, B, P, Q>);

impl<'x, T: Record<'x>, P: Path<'x, T>> Stream<'x, T, P> {
    /// Two streams for one function.
    pub fn connect<V: Record<'x>, Q: Path<'x, V>>(&self, other: &Stream<'x, V, Q>) -> ConnectedStreams<'x, T, V, P, Q> {
        ConnectedStreams { first: self.clone(), second: other.clone() }
    }

    /// A stream and one that every subtask has all records of, for one function.
    pub fn connect_broadcast<V: Record<'x>, Q: Path<'x, V>>(&self, other: &Stream<'x, V, Q>) -> BroadcastStreams<'x, T, V, P, Q> {
        BroadcastStreams(self.connect(other))
    }
}

impl<'x, A: Record<'x>, B: Record<'x>, P: Path<'x, A>, Q: Path<'x, B>> ConnectedStreams<'x, A, B, P, Q> {
    /// Runs functions over the records of both, in no order between them, as [`Stream::process`] does.
    pub fn process<U: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        first: impl Fn(&StreamContext<'x, R>, &U::Handles, A) + 'static,
        second: impl Fn(&StreamContext<'x, R>, &U::Handles, B) + 'static,
    ) -> Stream<'x, R> {
        self.processing(name).add(uses, either(first, second), no_timers())
    }

    /// Turns each record of both into another, by a function for each.
    pub fn map<R: Record<'x>>(&self, name: &str, first: impl Fn(A) -> R + 'static, second: impl Fn(B) -> R + 'static) -> Stream<'x, R> {
        self.process(name, (), move |c, _, v| c.emit(first(v)), move |c, _, v| c.emit(second(v)))
    }

    /// Turns each record of both into any number of others, by a function for each: what an iterator has, a `Vec`, an `Option`.
    pub fn flat_map<R: Record<'x>, I: IntoIterator<Item = R>, J: IntoIterator<Item = R>>(
        &self,
        name: &str,
        first: impl Fn(A) -> I + 'static,
        second: impl Fn(B) -> J + 'static,
    ) -> Stream<'x, R> {
        let each = move |c: &StreamContext<'x, R>, _: &(), v| first(v).into_iter().for_each(|r| c.emit(r));
        self.process(name, (), each, move |c, _, v| second(v).into_iter().for_each(|r| c.emit(r)))
    }

    fn processing(&self, name: &str) -> Processing<'x> {
        Processing::new(self.first.env(), name, vec![self.first.input(), self.second.input()])
    }
}

impl<'x, A: Record<'x>, B: Record<'x>, P: Path<'x, A>, Q: Path<'x, B>> BroadcastStreams<'x, A, B, P, Q> {
    /// Runs `each` over the records of the one stream, which read broadcast states, and `broadcast` over all records of the other,
    /// which change them. No order is promised between the two. The operator keeps state: it needs a uid.
    pub fn process<U: Begins<'x, R>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        each: impl Fn(&StreamContext<'x, R>, &U::Handles, A) + 'static,
        broadcast: impl Fn(&StreamContext<'x, R>, &U::Handles, B) + 'static,
    ) -> Stream<'x, R> {
        self.0.processing(name).broadcasting().add(uses, either(each, broadcast), no_timers())
    }
}
