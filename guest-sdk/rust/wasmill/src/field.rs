//! What is said of the fields of rows: keys, conditions. The host decides by itself, and no record enters the guest for it.

use crate::graph::{Kind, Operator};
use crate::json::JsonWriter;
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Millis, Record};
use crate::step::{Path, Start};
use crate::stream::Stream;
use crate::text::{Text, TextBuf};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// A type of records whose fields can be named: a row that is derived, read in place or not, and one value.
pub trait Rows {
    /// The row that the names of fields belong to: `Bid` for `Bid`, `BidRef`, and an `Option` of them.
    type Row;
}

impl<T: Rows> Rows for Option<T> {
    type Row = T::Row;
}

/// A field of the type F of the rows R. Deriving [`Row`](derive@crate::Row) makes one of each field: `Bid::PRICE` of `price`.
pub struct FieldOf<R, F> {
    name: Cow<'static, str>,
    types: PhantomData<fn() -> (R, F)>,
}

/// The value itself, of records that are one value: a number, text or bytes.
pub const fn value<T>() -> FieldOf<T, T> {
    FieldOf::named("")
}

impl<R, F> FieldOf<R, F> {
    /// The field of that name, of a row that is not derived.
    pub const fn named(name: &'static str) -> Self {
        FieldOf { name: Cow::Borrowed(name), types: PhantomData }
    }

    pub(crate) fn name(&self) -> String {
        self.name.to_string()
    }

    /// A field of this one, which is a row.
    ///
    /// ```
    /// # use wasmill::prelude::*;
    /// # #[derive(Clone, Row)]
    /// # struct Bid { price: i64 }
    /// # #[derive(Clone, Row)]
    /// # struct Event { bid: Option<Bid> }
    /// let dear = Event::BID.at(&Bid::PRICE).gt(100);
    /// # fn check(_: wasmill::Predicate<Event>) {}
    /// # check(dear);
    /// ```
    pub fn at<G>(&self, inner: &FieldOf<F::Row, G>) -> FieldOf<R, G>
    where
        F: Rows,
    {
        FieldOf { name: Cow::Owned(format!("{}.{}", self.name, inner.name)), types: PhantomData }
    }

    /// Holds where the field is equal to v. A comparison with null does not hold.
    pub fn eq(&self, v: impl Constant<F>) -> Predicate<R> {
        self.compare("=", vec![v.text()])
    }

    /// Holds where the field is another value than v.
    pub fn ne(&self, v: impl Constant<F>) -> Predicate<R> {
        self.compare("!=", vec![v.text()])
    }

    /// Holds where the field is less than v.
    pub fn lt(&self, v: impl Constant<F>) -> Predicate<R> {
        self.compare("<", vec![v.text()])
    }

    /// Holds where the field is at most v.
    pub fn le(&self, v: impl Constant<F>) -> Predicate<R> {
        self.compare("<=", vec![v.text()])
    }

    /// Holds where the field is more than v.
    pub fn gt(&self, v: impl Constant<F>) -> Predicate<R> {
        self.compare(">", vec![v.text()])
    }

    /// Holds where the field is at least v.
    pub fn ge(&self, v: impl Constant<F>) -> Predicate<R> {
        self.compare(">=", vec![v.text()])
    }

    /// Holds where the field is one of those.
    pub fn is_in<C: Constant<F>>(&self, all: impl IntoIterator<Item = C>) -> Predicate<R> {
        self.compare("in", all.into_iter().map(|v| v.text()).collect())
    }

    /// Holds where the field, or the row that it is in, is null.
    pub fn is_null(&self) -> Predicate<R> {
        self.compare("null", Vec::new())
    }

    /// Holds where the field is there.
    pub fn not_null(&self) -> Predicate<R> {
        self.compare("notNull", Vec::new())
    }

    fn compare(&self, op: &'static str, values: Vec<String>) -> Predicate<R> {
        Predicate { says: Condition { op, field: self.name(), values, of: Vec::new() }, rows: PhantomData }
    }
}

/// A condition on the fields of rows R.
pub struct Predicate<R> {
    pub(crate) says: Condition,
    rows: PhantomData<fn() -> R>,
}

impl<R> Predicate<R> {
    /// Holds where both do.
    pub fn and(self, other: Self) -> Self {
        self.join("and", other)
    }

    /// Holds where one of them does.
    pub fn or(self, other: Self) -> Self {
        self.join("or", other)
    }

    fn join(self, op: &'static str, other: Self) -> Self {
        let mut says = self.says;
        if says.op != op {
            says = Condition { op, field: String::new(), values: Vec::new(), of: vec![says] };
        }
        says.of.push(other.says);
        Predicate { says, rows: PhantomData }
    }
}

/// What a predicate says, as the manifest has it.
pub(crate) struct Condition {
    op: &'static str,
    field: String,
    values: Vec<String>,
    of: Vec<Condition>,
}

impl Condition {
    pub fn write(&self, w: &mut JsonWriter) {
        w.text("op", self.op);
        w.text_or("field", &self.field);
        if !self.values.is_empty() {
            w.array("values", &self.values, |w, v| w.element(v));
        }
        if !self.of.is_empty() {
            w.array("of", &self.of, |w, c| w.object("", |w| c.write(w)));
        }
    }
}

/// A constant that a field of the type F can be compared with.
pub trait Constant<F> {
    #[doc(hidden)]
    fn text(&self) -> String;
}

impl<F, C: Constant<F>> Constant<Option<F>> for C {
    fn text(&self) -> String {
        C::text(self)
    }
}

macro_rules! constants {
    ($($field:ty, $constant:ty;)+) => {
        $(
            impl<'x> Constant<$field> for $constant {
                fn text(&self) -> String {
                    self.to_string()
                }
            }
        )+
    };
}

constants! {
    i64, i64;
    f64, f64;
    bool, bool;
    String, &str;
    &'x str, &str;
    Cow<'x, str>, &str;
    Text<'x>, &str;
    TextBuf, &str;
    &'x [u8], &str;
    Vec<u8>, &str;
}

impl Constant<Millis> for Millis {
    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// A field that is a key by itself: it is never null, and its type is a codec.
pub trait KeyField<'x>: Record<'x> {}

macro_rules! values {
    ($($type:ty),+) => {
        $(
            impl<'x> Rows for $type {
                type Row = Self;
            }

            impl<'x> KeyField<'x> for $type {}
        )+
    };
}

values!(i64, f64, String, &'x str, Cow<'x, str>, Text<'x>, TextBuf, &'x [u8], Vec<u8>);

/// Several fields of the rows R.
pub trait Several<R> {
    #[doc(hidden)]
    fn names(&self) -> Vec<String>;
}

impl<R, F> Several<R> for FieldOf<R, F> {
    fn names(&self) -> Vec<String> {
        vec![self.name()]
    }
}

macro_rules! several {
    ($($f:ident $i:tt),+) => {
        impl<R, $($f),+> Several<R> for ($(FieldOf<R, $f>,)+) {
            fn names(&self) -> Vec<String> {
                vec![$(self.$i.name()),+]
            }
        }
    };
}

several!(A 0, B 1);
several!(A 0, B 1, C 2);
several!(A 0, B 1, C 2, D 3);

impl<'x, T: Record<'x> + Rows, P: Path<'x, T>> Stream<'x, T, P> {
    /// Keeps the records for which a condition on their fields holds: `filter` without the guest.
    pub fn filter_where(&self, name: &str, p: Predicate<T::Row>) -> Stream<'x, T> {
        let o = Operator { predicate: Some(p.says), output: codec_of::<T>(), ..Operator::new(Kind::Filter, name) };
        Stream::new(self.env().clone(), self.native(o), 0, Start::default())
    }

    /// Gives each record a key, which is a field of it: `key_by` without the guest.
    pub fn key_by_field<K: KeyField<'x>>(&self, name: &str, field: FieldOf<T::Row, K>) -> KeyedStream<'x, K, T> {
        self.key_by_fields(name, field)
    }

    /// Gives each record a key of several fields, or of one that is no key by itself. K is a row of them under their names.
    pub fn key_by_fields<K: Record<'x>>(&self, name: &str, fields: impl Several<T::Row>) -> KeyedStream<'x, K, T> {
        let o = Operator { fields: fields.names(), key: codec_of::<K>(), output: codec_of::<T>(), ..Operator::new(Kind::Key, name) };
        KeyedStream::new(self.env().clone(), self.native(o))
    }

    /// Adds an operator that the host runs by itself, under a name that the user chose.
    fn native(&self, o: Operator) -> usize {
        self.end();
        self.env().with(|g| g.add(Operator { inputs: vec![self.edge()], named: true, ..o }))
    }
}
