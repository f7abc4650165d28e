//! Aggregates over fields, which the host computes: no record enters the guest for them.

use crate::field::{value, Condition, FieldOf, Predicate, Rows};
use crate::graph::{Kind, Operator, OperatorId};
use crate::json::JsonWriter;
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Millis, Record};
use crate::row::{KeyValue, Windowed};
use crate::step::Start;
use crate::stream::Stream;
use crate::text::{Text, TextBuf};
use crate::window::{WindowedStream, Windows};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// An aggregate of rows R. Where nothing counts, it is null, and a count is 0.
pub struct Aggregate<R> {
    says: Spec,
    rows: PhantomData<fn() -> R>,
}

/// What the manifest says of an aggregate.
pub(crate) struct Spec {
    name: String,
    kind: &'static str,
    field: String,
    n: u32,
    then: Vec<String>,
    filter: Option<Condition>,
}

impl Spec {
    /// Whether further fields decide among equal records.
    pub fn decides(&self) -> bool {
        !self.then.is_empty()
    }

    pub fn write(&self, w: &mut JsonWriter) {
        w.text("name", &self.name);
        w.text("kind", self.kind);
        w.text_or("field", &self.field);
        w.number_or("n", self.n.into());
        if self.decides() {
            w.array("then", &self.then, |w, name| w.element(name));
        }
        if let Some(filter) = &self.filter {
            w.object("filter", |w| filter.write(w));
        }
    }
}

impl<R> Aggregate<R> {
    fn new(kind: &'static str, field: String, n: u32) -> Self {
        Aggregate { says: Spec { name: kind.to_string(), kind, field, n, then: Vec::new(), filter: None }, rows: PhantomData }
    }

    /// Counts records.
    pub fn count() -> Self {
        Aggregate::new("count", String::new(), 0)
    }

    /// The first record to come.
    pub fn first() -> Self {
        Aggregate::new("first", String::new(), 0)
    }

    /// The last record to come.
    pub fn last() -> Self {
        Aggregate::new("last", String::new(), 0)
    }

    /// Names its field in the result; without it, that is its kind.
    pub fn named(mut self, name: &str) -> Self {
        self.says.name = name.to_string();
        self
    }

    /// Names a field that decides among records whose field is equal, and those named so before: the smallest comes first, text and
    /// bytes by their bytes. It is for `min_by`, `max_by`, `first`, `last`, `top` and `bottom` of a field.
    pub fn then<F: Decides>(mut self, field: FieldOf<R, F>) -> Self {
        self.says.then.push(field.name());
        self
    }

    /// Has only the records count for which a condition holds, as SQL's FILTER.
    pub fn filter(mut self, p: Predicate<R>) -> Self {
        self.says.filter = Some(p.says);
        self
    }
}

/// A type of fields that can be added up: i64, f64.
pub trait Number {}

/// A type of fields that have an order: i64, f64, [`Millis`].
pub trait Ordered {}

/// A type of fields that can decide among equals: what has an order, text and bytes.
pub trait Decides {}

impl Number for i64 {}
impl Number for f64 {}
impl<T: Number> Number for Option<T> {}
impl Ordered for i64 {}
impl Ordered for f64 {}
impl Ordered for Millis {}
impl<T: Ordered> Ordered for Option<T> {}
impl<T: Decides> Decides for Option<T> {}

macro_rules! decides {
    ($($type:ty),+) => {
        $(
            impl<'x> Decides for $type {}
        )+
    };
}

decides!(i64, f64, Millis, String, &'x str, Cow<'x, str>, Text<'x>, TextBuf, &'x [u8], Vec<u8>);

impl<R, F> FieldOf<R, F> {
    fn of(&self, kind: &'static str) -> Aggregate<R> {
        Aggregate::new(kind, self.name(), 0)
    }

    /// Counts the records where the field is not null.
    pub fn count(&self) -> Aggregate<R> {
        self.of("count")
    }

    /// Counts the values that differ, exactly.
    pub fn count_distinct(&self) -> Aggregate<R> {
        self.of("countDistinct")
    }
}

impl<R, F: Number> FieldOf<R, F> {
    /// The sum; of i64, it wraps around.
    pub fn sum(&self) -> Aggregate<R> {
        self.of("sum")
    }

    /// The average; of i64, it is cut off towards zero as in Flink.
    pub fn avg(&self) -> Aggregate<R> {
        self.of("avg")
    }
}

impl<R, F: Ordered> FieldOf<R, F> {
    /// The smallest value.
    pub fn min(&self) -> Aggregate<R> {
        self.of("min")
    }

    /// The largest value. NaN is larger than every number.
    pub fn max(&self) -> Aggregate<R> {
        self.of("max")
    }

    /// The record whose field is smallest, the first of several.
    pub fn min_by(&self) -> Aggregate<R> {
        self.of("minBy")
    }

    /// The record whose field is largest, the first of several.
    pub fn max_by(&self) -> Aggregate<R> {
        self.of("maxBy")
    }

    /// The record whose field is smallest, the first of several: the earliest.
    pub fn first(&self) -> Aggregate<R> {
        self.of("first")
    }

    /// The record whose field is largest, the last of several: the latest.
    pub fn last(&self) -> Aggregate<R> {
        self.of("last")
    }

    /// The n records whose field is largest, a result each, with its rank from 1 before it. It stands alone.
    pub fn top(&self, n: u32) -> Aggregate<R> {
        Aggregate::new("top", self.name(), n)
    }

    /// The n records whose field is smallest, as `top`.
    pub fn bottom(&self, n: u32) -> Aggregate<R> {
        Aggregate::new("bottom", self.name(), n)
    }
}

impl<'x, K: Record<'x>, V: Record<'x> + Rows> KeyedStream<'x, K, V> {
    /// Computes several aggregates of each key at once. The result is a row of the key, or of its fields if it is a row, and a
    /// field an aggregate: R has its codec. Over unbounded input there is one after each batch, else one at the end.
    pub fn aggregates<R: Record<'x>>(&self, all: impl IntoIterator<Item = Aggregate<V::Row>>) -> Stream<'x, R> {
        let o = self.aggregated(self.windows(), all, codec_of::<R>());
        Stream::new(self.env.clone(), o, 0, Start::default())
    }

    fn aggregated(&self, window: Option<Windows>, all: impl IntoIterator<Item = Aggregate<V::Row>>, output: String) -> OperatorId {
        let aggregates: Vec<Spec> = all.into_iter().map(|a| a.says).collect();
        let o = Operator { inputs: vec![self.edge()], window, aggregates, output, ..Operator::new(Kind::Aggregates, Kind::Aggregates.name()) };
        self.env.with(|g| g.add(o))
    }

    fn one(&self, a: Aggregate<V::Row>) -> Stream<'x, KeyValue<K, V>> {
        self.aggregates([a])
    }

    /// The value of each key whose field is smallest, the first of several. A field that may be null needs `aggregates`.
    pub fn min_by<F: Record<'x> + Ordered>(&self, field: FieldOf<V::Row, F>) -> Stream<'x, KeyValue<K, V>> {
        self.one(field.min_by())
    }

    /// The value of each key whose field is largest, the first of several. A field that may be null needs `aggregates`.
    pub fn max_by<F: Record<'x> + Ordered>(&self, field: FieldOf<V::Row, F>) -> Stream<'x, KeyValue<K, V>> {
        self.one(field.max_by())
    }
}

impl<'x, K: Record<'x>, V: Record<'x> + Rows<Row = V> + Ordered + Number> KeyedStream<'x, K, V> {
    /// The smallest value of each key.
    pub fn min(&self) -> Stream<'x, KeyValue<K, V>> {
        self.one(value().min())
    }

    /// The largest value of each key.
    pub fn max(&self) -> Stream<'x, KeyValue<K, V>> {
        self.one(value().max())
    }

    /// The average of the values of each key.
    pub fn avg(&self) -> Stream<'x, KeyValue<K, V>> {
        self.one(value().avg())
    }
}

impl<'x, K: Record<'x>, V: Record<'x> + Rows> WindowedStream<'x, K, V> {
    /// Computes several aggregates of each key and window at once. The result is that of [`KeyedStream::aggregates`] behind the
    /// start and the end of the window.
    pub fn aggregates<R: Record<'x>>(&self, all: impl IntoIterator<Item = Aggregate<V::Row>>) -> Stream<'x, R> {
        self.stream(self.keyed.aggregated(Some(self.windows.clone()), all, codec_of::<R>()))
    }

    fn one(&self, a: Aggregate<V::Row>) -> Stream<'x, Windowed<K, V>> {
        self.aggregates([a])
    }

    /// The value of each key and window whose field is smallest, the first of several.
    pub fn min_by<F: Record<'x> + Ordered>(&self, field: FieldOf<V::Row, F>) -> Stream<'x, Windowed<K, V>> {
        self.one(field.min_by())
    }

    /// The value of each key and window whose field is largest, the first of several.
    pub fn max_by<F: Record<'x> + Ordered>(&self, field: FieldOf<V::Row, F>) -> Stream<'x, Windowed<K, V>> {
        self.one(field.max_by())
    }
}

impl<'x, K: Record<'x>, V: Record<'x> + Rows<Row = V> + Ordered + Number> WindowedStream<'x, K, V> {
    /// The smallest value of each key and window.
    pub fn min(&self) -> Stream<'x, Windowed<K, V>> {
        self.one(value().min())
    }

    /// The largest value of each key and window.
    pub fn max(&self) -> Stream<'x, Windowed<K, V>> {
        self.one(value().max())
    }

    /// The average of the values of each key and window.
    pub fn avg(&self) -> Stream<'x, Windowed<K, V>> {
        self.one(value().avg())
    }
}
