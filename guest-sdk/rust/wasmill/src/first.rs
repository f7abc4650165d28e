//! The first records of each key or of all, and those that differ.

use crate::graph::{Kind, Operator};
use crate::json::fraction;
use crate::keyed::KeyedStream;
use crate::process::Context;
use crate::record::{codec_of, Record};
use crate::step::{KeyStep, Path};
use crate::stream::Stream;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::time::Duration;

impl<'x, K: Record<'x>, V: Record<'x>> KeyedStream<'x, K, V> {
    /// Keeps the first n records of each key to come, and drops the others. The operator keeps how many of a key there were: it needs
    /// a uid. For the n that are smallest or largest by a field, there are `bottom` and `top`.
    pub fn first(&self, name: &str, n: u32) -> Stream<'x, V> {
        self.first_until(name, n, None)
    }

    /// Keeps the first record of each key to come, and drops the others. The operator keeps each key that it has seen: it needs a uid.
    pub fn distinct(&self, name: &str) -> Stream<'x, V> {
        self.first_until(name, 1, None)
    }

    /// The same, where a key is new again so long after the record that was kept, by processing time.
    pub fn distinct_within(&self, name: &str, forget: Duration) -> Stream<'x, V> {
        self.first_until(name, 1, Some(forget))
    }

    fn first_until(&self, name: &str, n: u32, forget: Option<Duration>) -> Stream<'x, V> {
        if n == 0 {
            self.env.refuse(&format!("first {name:?}: 0 records (expected >= 1)"));
        }
        if let Some(soon) = forget.filter(|d| d.is_zero() || fraction("", *d).is_some()) {
            self.env.refuse(&format!("distinct {name:?}: a key is forgotten after {soon:?} (expected whole milliseconds, at least one)"));
        }
        let came = self.env.value_state::<i64>("came").ttl(forget.unwrap_or_default());
        self.process(name, &came, move |c: &Context<'x, K, V>, came, v| {
            let k = came.get().unwrap_or(0);
            if k < i64::from(n) {
                came.set(k + 1);
                c.emit(v);
            }
        })
    }
}

impl<'x, T: Record<'x>, P: Path<'x, T>> Stream<'x, T, P> {
    /// Keeps the first n records to come, of all: one subtask has them. The operator keeps state: it needs a uid.
    pub fn first(&self, name: &str, n: u32) -> Stream<'x, T> {
        self.key_by(&format!("{name} of all"), |_| "").first(name, n).parallelism(1)
    }

    /// Keeps one of all records that are equal, the first to come. The operator keeps state: it needs a uid.
    pub fn distinct(&self, name: &str) -> Stream<'x, T> {
        self.key_by_value(&format!("{name} by value")).distinct(name)
    }

    /// The same, where a record is new again so long after the one that was kept, by processing time.
    pub fn distinct_within(&self, name: &str, forget: Duration) -> Stream<'x, T> {
        self.key_by_value(&format!("{name} by value")).distinct_within(name, forget)
    }

    /// Has the records be their own keys: the host sees to it where it knows the bytes of both.
    fn key_by_value(&self, name: &str) -> KeyedStream<'x, T, T> {
        let (edge, codec) = self.input();
        if !matches!(codec.as_str(), "utf8" | "bytes" | "i64" | "f64") {
            return self.keyed(name, KeyStep::new(T::clone));
        }
        let by_itself = Operator { key: codec_of::<T>(), output: codec, fields: vec![String::new()], ..Operator::new(Kind::Key, name) };
        let o = self.env().with(|g| g.add(Operator { inputs: vec![edge], named: true, ..by_itself }));
        KeyedStream::new(self.env().clone(), o)
    }
}
