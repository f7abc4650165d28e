use crate::env::Env;
use crate::fold::{fold, Aggregation, InOrder, Reduction};
use crate::graph::{Edge, Kind, Operator, OperatorId};
use crate::record::{codec_of, Record};
use crate::row::{KeyValue, Windowed};
use crate::step::Start;
use crate::stream::Stream;
use crate::trap::{dead_letters, Letter, TrapPolicy};
use crate::window::{TimeWindow, Window, WindowedStream, Windows};
use alloc::format;
use alloc::string::String;
use core::marker::PhantomData;

/// A stream whose records have a key: all records of one key meet in one subtask.
pub struct KeyedStream<'x, K, V> {
    pub(crate) env: Env<'x>,
    pub(crate) operator: OperatorId,
    pub(crate) window: Option<TimeWindow>, // of records
    records: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for KeyedStream<'_, K, V> {
    fn clone(&self) -> Self {
        KeyedStream { env: self.env.clone(), operator: self.operator, window: self.window, records: PhantomData }
    }
}

impl<'x, K: Record<'x>, V: Record<'x>> KeyedStream<'x, K, V> {
    pub(crate) fn new(env: Env<'x>, operator: OperatorId) -> Self {
        KeyedStream { env, operator, window: None, records: PhantomData }
    }

    pub(crate) fn edge(&self) -> Edge {
        Edge { from: self.operator, side: 0, partition: "" }
    }

    /// Sets what happens to a record that the key function traps on.
    pub fn on_trap(self, policy: TrapPolicy) -> Self {
        self.env.with(|g| g.operators[self.operator].on_trap = policy.name());
        self
    }

    /// A stream of the records that the key function has left out: once each. Its policy must be `DeadLetter`.
    pub fn dead_letters(&self) -> Stream<'x, Letter<'x>> {
        dead_letters(&self.env, self.operator)
    }

    /// Cuts the records of each key by time.
    pub fn window(&self, w: TimeWindow) -> WindowedStream<'x, K, V> {
        self.unwindowed("a window of time");
        WindowedStream::new(self.clone(), w.into())
    }

    /// Cuts the records of each key into windows of so many, one behind the other. What is left of one when the input ends has
    /// no result.
    pub fn count_window(&self, size: u32) -> Self {
        self.of_records(size, 0)
    }

    /// Windows of the newest `size` records of a key, one every `slide` records; the first ones have fewer.
    pub fn sliding_count_window(&self, size: u32, slide: u32) -> Self {
        if slide == 0 {
            self.env.refuse(&format!("a window of records of key {:?}: one every 0 records (expected >= 1)", self.name()));
        }
        self.of_records(size, slide)
    }

    fn of_records(&self, size: u32, slide: u32) -> Self {
        self.unwindowed("a window of records");
        if size == 0 {
            self.env.refuse(&format!("a window of records of key {:?}: of 0 records (expected >= 1)", self.name()));
        }
        KeyedStream { window: Some(TimeWindow::records(size, slide)), ..self.clone() }
    }

    /// Refuses what has no use for windows of records.
    pub(crate) fn unwindowed(&self, what: &str) {
        if self.window.is_some() {
            self.env.refuse(&format!("{what} of key {:?}: behind a window of records", self.name()));
        }
    }

    fn name(&self) -> String {
        self.env.with(|g| g.operators[self.operator].name.clone())
    }

    /// The windows of records, if it is cut into such.
    pub(crate) fn windows(&self) -> Option<Windows> {
        self.window.map(Windows::from)
    }

    /// Counts the records of each key: every new count is emitted. The host does it by itself.
    pub fn count(&self) -> Stream<'x, KeyValue<K, i64>> {
        self.stream(self.native(Kind::Count, self.windows(), codec_of::<KeyValue<K, i64>>()))
    }

    /// Adds up the values of each key: i64 or f64. The host does it by itself.
    pub fn sum(&self) -> Stream<'x, KeyValue<K, V>> {
        self.check_sum();
        self.stream(self.native(Kind::Sum, self.windows(), codec_of::<KeyValue<K, V>>()))
    }

    /// Combines the values of each key, two at a time. f must be associative.
    pub fn reduce(&self, name: &str, f: impl Fn(V, V) -> V + 'static) -> Stream<'x, KeyValue<K, V>> {
        self.reduce_to(name, f, |key, value| KeyValue { key, value })
    }

    /// The same with a function that makes the record to emit of a key and its combined value.
    pub fn reduce_to<R: Record<'x>>(
        &self,
        name: &str,
        f: impl Fn(V, V) -> V + 'static,
        result: impl Fn(K, V) -> R + 'static,
    ) -> Stream<'x, R> {
        self.stream(fold(self, Kind::Reduce, name, self.windows(), Reduction::new(f), move |_, key, value| result(key, value)))
    }

    /// Folds the values of each key: `create` makes an accumulator of none, `add` folds a value into it, `merge` makes one of
    /// two, `result` what is emitted. It must be associative.
    pub fn aggregate<A: Record<'x>, R: Record<'x>>(
        &self,
        name: &str,
        create: impl Fn() -> A + 'static,
        add: impl Fn(A, V) -> A + 'static,
        merge: impl Fn(A, A) -> A + 'static,
        result: impl Fn(A) -> R + 'static,
    ) -> Stream<'x, KeyValue<K, R>> {
        let folding = Aggregation::new(create, add, merge);
        let finish = move |_, key, a| KeyValue { key, value: result(a) };
        self.stream(fold(self, Kind::Aggregate, name, self.windows(), folding, finish))
    }

    /// Folds the values of each key into an accumulator, one after the other, as an iterator's `fold`: an aggregate without a merge.
    /// Values are not folded before they are sent to the subtask of their key.
    pub fn fold<A: Record<'x>, R: Record<'x>>(
        &self,
        name: &str,
        create: impl Fn() -> A + 'static,
        add: impl Fn(A, V) -> A + 'static,
        result: impl Fn(A) -> R + 'static,
    ) -> Stream<'x, KeyValue<K, R>> {
        let finish = move |_, key, a| KeyValue { key, value: result(a) };
        self.stream(fold(self, Kind::Aggregate, name, self.windows(), Aggregation::new(create, add, InOrder), finish))
    }

    pub(crate) fn check_sum(&self) {
        let codec = codec_of::<V>();
        if codec != "i64" && codec != "f64" {
            let behind = self.env.with(|g| g.operators[self.operator].name.clone());
            self.env.refuse(&format!("sum behind {behind:?}: values of codec {codec} (expected i64 or f64)"));
        }
    }

    /// Adds an operator that the host runs by itself.
    pub(crate) fn native(&self, kind: Kind, window: Option<Windows>, output: String) -> OperatorId {
        let mut o = Operator::new(kind, kind.name());
        o.inputs.push(self.edge());
        o.window = window;
        o.output = output;
        self.env.with(|g| g.add(o))
    }

    fn stream<R: Record<'x>>(&self, o: OperatorId) -> Stream<'x, R> {
        Stream::new(self.env.clone(), o, 0, Start::default())
    }
}

impl<'x, K: Record<'x>, V: Record<'x>> WindowedStream<'x, K, V> {
    /// Combines the values of each key and window, two at a time. f must be associative.
    pub fn reduce(&self, name: &str, f: impl Fn(V, V) -> V + 'static) -> Stream<'x, Windowed<K, V>> {
        self.reduce_to(name, f, |window, key, value| Windowed { window, key, value })
    }

    /// The same with a function that makes the record to emit of a window, a key and its combined value.
    pub fn reduce_to<R: Record<'x>>(
        &self,
        name: &str,
        f: impl Fn(V, V) -> V + 'static,
        result: impl Fn(Window, K, V) -> R + 'static,
    ) -> Stream<'x, R> {
        self.stream(fold(&self.keyed, Kind::Reduce, name, Some(self.windows.clone()), Reduction::new(f), result))
    }

    /// Folds the values of each key and window, as [`KeyedStream::aggregate`] does.
    pub fn aggregate<A: Record<'x>, R: Record<'x>>(
        &self,
        name: &str,
        create: impl Fn() -> A + 'static,
        add: impl Fn(A, V) -> A + 'static,
        merge: impl Fn(A, A) -> A + 'static,
        result: impl Fn(A) -> R + 'static,
    ) -> Stream<'x, Windowed<K, R>> {
        let folding = Aggregation::new(create, add, merge);
        let finish = move |window, key, a| Windowed { window, key, value: result(a) };
        self.stream(fold(&self.keyed, Kind::Aggregate, name, Some(self.windows.clone()), folding, finish))
    }

    /// Folds the values of each key and window, as [`KeyedStream::fold`] does: of tumbling windows and such of records one behind the
    /// other.
    pub fn fold<A: Record<'x>, R: Record<'x>>(
        &self,
        name: &str,
        create: impl Fn() -> A + 'static,
        add: impl Fn(A, V) -> A + 'static,
        result: impl Fn(A) -> R + 'static,
    ) -> Stream<'x, Windowed<K, R>> {
        let finish = move |window, key, a| Windowed { window, key, value: result(a) };
        self.stream(fold(&self.keyed, Kind::Aggregate, name, Some(self.windows.clone()), Aggregation::new(create, add, InOrder), finish))
    }
}
