use crate::env::Env;
use crate::graph::{Kind, OperatorId};
use crate::record::{Field, Record};
use crate::row::{row, RowBytes, RowWriter};
use crate::step::Start;
use crate::stream::Stream;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What happens to a record, timer or result that a function fails on, again when it is tried anew. Time and memory that run
/// out are never blamed on one: they fail the job. Of a source, it is about input that is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapPolicy {
    /// The job fails (default).
    FailJob,
    /// It is left out, counted and logged.
    Skip,
    /// The same, and told of in `dead_letters`, which somebody must take.
    DeadLetter,
}

impl TrapPolicy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            TrapPolicy::FailJob => "fail",
            TrapPolicy::Skip => "skip",
            TrapPolicy::DeadLetter => "deadLetter",
        }
    }
}

/// Tells of one record, timer or result that was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter<'x> {
    /// "record", "timer", "result" or "input".
    pub unit: &'x str,
    /// None: it has none.
    pub key: Option<&'x [u8]>,
    pub cause: &'x str,
    /// The value of the record; the key of a timer or result; input as it stands.
    pub bytes: &'x [u8],
}

row!(4, Letter<'x>, [], Self, this,
    0 "unit" &'x str = this.unit, 1 "key" Option<&'x [u8]> = this.key, 2 "cause" &'x str = this.cause, 3 "bytes" &'x [u8] = this.bytes;
    |unit, key, cause, bytes| Letter { unit, key, cause, bytes });

/// The stream of an operator's last side output.
pub(crate) fn dead_letters<'x>(env: &Env<'x>, o: OperatorId) -> Stream<'x, Letter<'x>> {
    let (side, fault) = env.with(|g| {
        let operator = &g.operators[o];
        let wrong = operator.on_trap != TrapPolicy::DeadLetter.name() || operator.function.is_none() && operator.kind != Some(Kind::Source);
        let fault =
            wrong.then(|| format!("operator {:?}: dead_letters (expected a source or function with on_trap(DeadLetter))", operator.name));
        let late = if operator.kind == Some(Kind::Join) { 2 } else { usize::from(operator.window.is_some()) };
        (1 + g.sides_of(o) + late, fault)
    });
    if let Some(fault) = fault {
        env.refuse(&fault);
    }
    Stream::new(env.clone(), o, side, Start::default())
}
