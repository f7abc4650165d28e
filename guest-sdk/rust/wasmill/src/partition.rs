//! Which subtask of the next operator gets a record, which operators share a task, and which tasks share a slot.

use crate::fail::fail;
use crate::frame::answering;
use crate::graph::{Kind, Operator};
use crate::group::{PARTITION, RECEIVERS};
use crate::record::Record;
use crate::step::{Path, Start};
use crate::stream::{SinkOperator, Stream};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

impl<'x, T: Record<'x>, P: Path<'x, T>> Stream<'x, T, P> {
    /// Deals the records out to all subtasks of the next operator in turn, a batch at a time.
    pub fn rebalance(&self) -> Stream<'x, T> {
        self.by("rebalance")
    }

    /// Deals the records out to all subtasks of the next operator by chance.
    pub fn shuffle(&self) -> Stream<'x, T> {
        self.by("shuffle")
    }

    /// Rebalance in which each subtask has a part of the next operator's to itself, or shares one of them: fewer channels, and
    /// none between machines where it can be.
    pub fn rescale(&self) -> Stream<'x, T> {
        self.by("rescale")
    }

    /// Gives every record to all subtasks of the next operator.
    pub fn broadcast(&self) -> Stream<'x, T> {
        self.by("broadcast")
    }

    /// Gives all records to the first subtask of the next operator.
    pub fn global(&self) -> Stream<'x, T> {
        self.by("global")
    }

    /// Keeps the records in their subtask. Both operators must have one parallelism.
    pub fn forward(&self) -> Stream<'x, T> {
        self.by("forward")
    }

    /// Gives each record to the subtask of the next operator that f answers, below the number of receivers.
    pub fn partition_custom(&self, name: &str, f: impl Fn(&T, u32) -> u32 + 'static) -> Stream<'x, T> {
        self.partition_by(name, f)
    }

    fn partition_by(&self, name: &str, f: impl Fn(&T, u32) -> u32 + 'x) -> Stream<'x, T> {
        let (edge, codec) = self.input();
        let function = answering(Kind::Partition, PARTITION, name, (codec.clone(), codec), move |call, reply| {
            let (records, (_, receivers)) = (call.records(), call.subtask());
            reply.action(RECEIVERS, 0, |to| {
                for i in 0..records.n {
                    let receiver = f(&T::decode(records.value(i)), receivers);
                    if receiver >= receivers {
                        fail(&format!("subtask {receiver} (expected 0 <= subtask < {receivers})"));
                    }
                    to.extend_from_slice(&receiver.to_le_bytes());
                }
            });
        });
        let operator = self.env().with(|g| {
            let parallelism = g.operators[self.operator()].parallelism;
            g.call(function, Operator { inputs: vec![edge], parallelism, ..Operator::default() })
        });
        Stream::new(self.env().clone(), operator, 0, Start::default())
    }

    /// Gives each record to the subtask of the next operator that has its range of what `of` answers: those below `bounds[0]`, those
    /// from there to below `bounds[1]`, and so on. Of two subtasks the later one has what is larger; it has several ranges if there
    /// are fewer subtasks than ranges, none if there are more. NaN is larger than every number.
    pub fn partition_range<K: PartialOrd + 'x>(
        &self,
        name: &str,
        of: impl Fn(&T) -> K + 'static,
        bounds: impl Into<Vec<K>>,
    ) -> Stream<'x, T> {
        let bounds: Vec<K> = bounds.into();
        if bounds.is_empty() {
            self.env().refuse(&format!("partition {name:?}: no bounds (expected one at least)"));
        }
        if let Some(i) = (1..bounds.len()).find(|&i| bounds[i - 1].partial_cmp(&bounds[i]) != Some(Ordering::Less)) {
            self.env().refuse(&format!("partition {name:?}: bound {i} is not above the one before it"));
        }
        let place =
            move |v: &T, receivers: u32| (range_of(&of(v), &bounds) as u64 * u64::from(receivers) / (bounds.len() as u64 + 1)) as u32;
        self.partition_by(name, place)
    }

    /// Has the operator run in another task than the one before it.
    pub fn start_new_chain(self) -> Self {
        self.env().with(|g| g.operators[self.operator()].chaining = "begin");
        self
    }

    /// Has the operator run in a task of its own.
    pub fn disable_chaining(self) -> Self {
        self.env().with(|g| g.operators[self.operator()].chaining = "alone");
        self
    }

    /// Says whether the records of a count, sum, reduce or aggregate are folded before they are sent to it. Without it they are
    /// where that gives the same result to the bit, and for as long as it makes fewer records of them; with true, sums of f64
    /// are, too, whose last digits depend on the order in which they are added up.
    pub fn pre_aggregate(self, on: bool) -> Self {
        self.env().with(|g| g.operators[self.operator()].pre_aggregate = if on { "on" } else { "off" });
        self
    }

    /// Has the operator's tasks share slots with those of the same group only. Without it the operator is in the group of its
    /// inputs, if they agree.
    pub fn slot_sharing_group(self, name: &str) -> Self {
        self.env().with(|g| g.operators[self.operator()].slot_group = name.into());
        self
    }
}

impl SinkOperator<'_> {
    /// Has the sink run in a task of its own.
    pub fn disable_chaining(self) -> Self {
        self.env.with(|g| g.operators[self.operator].chaining = "alone");
        self
    }

    /// That of [`Stream::slot_sharing_group`], for the sink.
    pub fn slot_sharing_group(self, name: &str) -> Self {
        self.env.with(|g| g.operators[self.operator].slot_group = name.into());
        self
    }
}

/// How many bounds are not above a value.
fn range_of<K: PartialOrd>(v: &K, bounds: &[K]) -> usize {
    bounds.partition_point(|b| v.partial_cmp(b) != Some(Ordering::Less)) // NaN is below none
}
