//! All records that a subtask has, taken by a function or sorted.

use crate::call::StreamContext;
use crate::field::{FieldOf, Rows};
use crate::frame::Frame;
use crate::graph::{Edge, Kind, Operator, OperatorId};
use crate::group::{BEGIN, END, PROCESS};
use crate::local::Own;
use crate::record::{codec_of, Record};
use crate::side::Sides;
use crate::step::{Path, Start};
use crate::stream::Stream;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// One in which records are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Ascending => "asc",
            Direction::Descending => "desc",
        }
    }
}

/// A field of the rows R to sort by, and its direction.
pub struct SortField<R> {
    field: String,
    direction: Direction,
    rows: PhantomData<fn() -> R>,
}

impl<R, F> FieldOf<R, F> {
    /// Sorts by the field, the smallest first: numbers by size, NaN behind all, text and bytes by their bytes, null first.
    pub fn ascending(&self) -> SortField<R> {
        SortField { field: self.name(), direction: Direction::Ascending, rows: PhantomData }
    }

    /// Sorts by the field, the largest first.
    pub fn descending(&self) -> SortField<R> {
        SortField { direction: Direction::Descending, ..self.ascending() }
    }
}

impl<'x, T: Record<'x>, P: Path<'x, T>> Stream<'x, T, P> {
    /// Runs functions over all records that a subtask has, whose input must end: `create` makes what is kept of none, `each` takes
    /// the records one by one, and `end` is called behind the last, also in a subtask that has none. Both may emit, to the side
    /// outputs that they use, too. What is kept lies in the guest's memory; the records need not fit there. In streaming mode the host
    /// keeps them until the input has ended: the operator needs a uid.
    pub fn map_partition<S: Sides<'x>, A: 'static, R: Record<'x>>(
        &self,
        name: &str,
        uses: S,
        create: impl Fn() -> A + 'static,
        each: impl Fn(&StreamContext<'x, R>, &S::Handles, &mut A, T) + 'static,
        end: impl Fn(&StreamContext<'x, R>, &S::Handles, A) + 'static,
    ) -> Stream<'x, R> {
        let ((edge, codec), mut frame, kept) = (self.input(), Frame::of(uses), Own::new(None));
        let f = frame.function(Kind::MapPartition, name, vec![codec], codec_of::<R>(), move |c: &StreamContext<'x, R>, u, verb, h, p| {
            let take = |v| kept.with(|kept: &mut Option<A>| each(c, u, kept.get_or_insert_with(&create), T::decode(v)));
            match verb {
                BEGIN => c.run(h, p, || kept.with(|kept| *kept = Some(create())), |_| ()),
                PROCESS => c.run(h, p, || c.each(0, &|_, v| take(v)), |_| ()),
                END => c.run(h, p, || end(c, u, kept.with(Option::take).unwrap_or_else(&create)), |_| ()),
                _ => return false,
            }
            true
        });
        let operator = frame.add(self.env(), f, Operator { inputs: vec![edge], ..Operator::default() });
        Stream::new(self.env().clone(), operator, 0, Start::default())
    }

    /// Makes one of all records that a subtask has, two at a time; a subtask without records has none. It is a `map_partition`.
    pub fn reduce_partition(&self, name: &str, f: impl Fn(T, T) -> T + 'static) -> Stream<'x, T> {
        let each = move |c: &StreamContext<'x, T>, _: &(), kept: &mut Option<Vec<u8>>, v: T| {
            let all = match kept {
                Some(all) => f(T::decode(c.scratch().copy(all)), v),
                None => v,
            };
            let bytes = kept.get_or_insert_with(Vec::new);
            bytes.clear();
            all.append(bytes);
        };
        self.map_partition(
            name,
            (),
            || None,
            each,
            |c, _, kept| {
                if let Some(all) = kept {
                    c.emit(T::decode(c.scratch().copy(&all)));
                }
            },
        )
    }

    /// Folds all records that a subtask has, and puts out the result. It is a `map_partition`.
    pub fn aggregate_partition<A: 'static, R: Record<'x>>(
        &self,
        name: &str,
        create: impl Fn() -> A + 'static,
        add: impl Fn(&mut A, T) + 'static,
        result: impl Fn(A) -> R + 'static,
    ) -> Stream<'x, R> {
        self.map_partition(name, (), create, move |_, _, kept, v| add(kept, v), move |c, _, kept| c.emit(result(kept)))
    }

    /// Puts out the records of each subtask in the order of what `of` answers: a number, text, bytes, or a row, which goes by its
    /// fields. The input must end. What does not fit in memory is sorted on disk. In streaming mode the host keeps the records until
    /// the input has ended: the operator needs a uid. With one subtask, all records are sorted.
    pub fn sort_partition<K: Record<'x>>(&self, name: &str, of: impl Fn(&T) -> K + 'static, direction: Direction) -> Stream<'x, T> {
        self.sorted(name, self.key_by(&format!("{name} by"), of).operator, vec![direction.name()])
    }

    /// `sort_partition` by fields of the record, the first one before the second; no record enters the guest for it.
    pub fn sort_partition_by(&self, name: &str, by: impl IntoIterator<Item = SortField<T::Row>>) -> Stream<'x, T>
    where
        T: Rows,
    {
        let (key, order) = self.key_to_sort("sort", name, by);
        self.sorted(name, key, order)
    }

    /// Gives each subtask of the next operator a range of what `of` answers, the later ones what is larger, so that each has about as
    /// many records: the host samples what comes, in batch mode only.
    pub fn partition_range_sampled<K: Record<'x>>(&self, name: &str, of: impl Fn(&T) -> K + 'static) -> Stream<'x, T> {
        self.sampled(name, self.key_by(&format!("{name} by"), of).operator, Vec::new())
    }

    /// `partition_range_sampled` by fields of the record, the first one before the second; no record enters the guest for it.
    pub fn partition_range_sampled_by(&self, name: &str, by: impl IntoIterator<Item = SortField<T::Row>>) -> Stream<'x, T>
    where
        T: Rows,
    {
        let (key, order) = self.key_to_sort("partition", name, by);
        self.sampled(name, key, order)
    }

    /// Adds the operator whose keys are fields, and returns their directions.
    fn key_to_sort(&self, what: &str, name: &str, by: impl IntoIterator<Item = SortField<T::Row>>) -> (OperatorId, Vec<&'static str>)
    where
        T: Rows,
    {
        let (fields, order): (Vec<_>, Vec<_>) = by.into_iter().map(|f| (f.field, f.direction.name())).unzip();
        if fields.is_empty() {
            self.env().refuse(&format!("{what} {name:?}: by no field (expected one at least)"));
        }
        let (edge, codec) = self.input();
        let o = Operator { inputs: vec![edge], output: codec, fields, named: true, ..Operator::new(Kind::Key, &format!("{name} by")) };
        (self.env().with(|g| g.add(o)), order)
    }

    /// Adds the operator that sorts by the keys that another one gives.
    fn sorted(&self, name: &str, key: OperatorId, order: Vec<&'static str>) -> Stream<'x, T> {
        let inputs = vec![Edge { from: key, side: 0, partition: "forward" }];
        self.behind(key, Operator { inputs, output: codec_of::<T>(), order, ..Operator::new(Kind::SortPartition, name) })
    }

    /// Adds the operators that deal records out by ranges of the keys that another one gives.
    fn sampled(&self, name: &str, key: OperatorId, order: Vec<&'static str>) -> Stream<'x, T> {
        let forward = Edge { from: key, side: 0, partition: "forward" };
        let sample = Operator::new(Kind::Sample, &format!("{name} sample"));
        let sample = Operator { inputs: vec![forward], output: codec_of::<&[u8]>(), order: order.clone(), ..sample };
        let sample = self.behind::<&[u8]>(key, sample).operator();
        let inputs = vec![forward, Edge { from: sample, side: 0, partition: "broadcast" }];
        self.behind(sample, Operator { inputs, output: codec_of::<T>(), order, ..Operator::new(Kind::Range, name) })
    }

    /// Adds an operator that has the parallelism of one before it.
    fn behind<R: Record<'x>>(&self, before: OperatorId, o: Operator) -> Stream<'x, R> {
        let o = self.env().with(|g| g.add(Operator { named: true, before: Some(before), ..o }));
        Stream::new(self.env().clone(), o, 0, Start::default())
    }
}
