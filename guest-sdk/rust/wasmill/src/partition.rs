//! Which subtask of the next operator gets a record, which operators share a task, and which tasks share a slot.

use crate::chain::{CallHeader, Fault, HeadRun, Status};
use crate::fail::{fail, failed, set_record};
use crate::graph::{Body, Function, Kind, Operator};
use crate::group::{Group, Groups, ReplyWriter, PARTITION, RECEIVERS};
use crate::host;
use crate::local::Own;
use crate::record::{codec_of, Record};
use crate::step::{Path, Start};
use crate::stream::{SinkOperator, Stream};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec;

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
        let f = Rc::new(f);
        let body = Body::Keyed(Box::new(move |_| {
            let (f, memory) = (f.clone(), Own::new((Group::default(), ReplyWriter::default())));
            Ok(HeadRun::Groups(Box::new(move |verb, header: &CallHeader, p| {
                if verb != PARTITION {
                    return Err(Fault(Status::UnknownVerb, format!("verb {verb} is not one of a partition function")));
                }
                memory.with(|(group, reply)| receivers(group, reply, p, header.parallelism, &*f));
                Ok(())
            })))
        }));
        let function = Function::new(Kind::Partition, name, vec![codec_of::<T>()], codec_of::<T>(), body);
        let o = Operator { inputs: vec![self.edge()], ..Operator::default() };
        let operator = self.env().with(|g| {
            let parallelism = g.operators[self.operator()].parallelism;
            g.call(function, Operator { parallelism, ..o })
        });
        Stream::new(self.env().clone(), operator, 0, Start::default())
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

/// Answers the receiver of each record.
fn receivers<'x, T: Record<'x>>(g: &mut Group<'x>, reply: &mut ReplyWriter, p: &'static [u8], n: u32, f: &impl Fn(&T, u32) -> u32) {
    reply.clear();
    let mut groups = Groups::new(p);
    while groups.read(g) {
        set_record(g.index);
        let records = g.records[0];
        records.whole();
        reply.begin(g.index);
        reply.action(RECEIVERS, 0, |to| {
            for i in 0..records.n {
                let receiver = f(&T::decode(records.value(i)), n);
                if receiver >= n {
                    fail(&format!("subtask {receiver} (expected 0 <= subtask < {n})"));
                }
                to.extend_from_slice(&receiver.to_le_bytes());
            }
        });
        reply.end();
        if failed() {
            return;
        }
    }
    host::reply(&reply.bytes);
}
