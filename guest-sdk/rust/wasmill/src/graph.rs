//! The graph that a definition grows.

use crate::aggregates;
use crate::chain::{Binding, Fault, HeadRun, Linked};
use crate::connector::Connector;
use crate::field::Condition;
use crate::join::Interval;
use crate::manifest;
use crate::request::Requests;
use crate::state::ACCUMULATOR;
use crate::uses::StateSpec;
use crate::window::Windows;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

/// Kinds of operators and functions, as the manifest names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Source,
    Map,
    Filter,
    FlatMap,
    Key,
    Timestamp,
    Union,
    Count,
    Sum,
    Reduce,
    Aggregate,
    Process,
    Aggregates,
    Join,
    CoGroup,
    Partition,
    Request,
    Window,
    Trigger,
    Evict,
    Gap,
    MapPartition,
    SortPartition,
    Sample,
    Range,
    Sink,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Source => "source",
            Kind::Map => "map",
            Kind::Filter => "filter",
            Kind::FlatMap => "flatMap",
            Kind::Key => "key",
            Kind::Timestamp => "timestamp",
            Kind::Union => "union",
            Kind::Count => "count",
            Kind::Sum => "sum",
            Kind::Reduce => "reduce",
            Kind::Aggregate => "aggregate",
            Kind::Process => "process",
            Kind::Aggregates => "aggregates",
            Kind::Join => "join",
            Kind::CoGroup => "coGroup",
            Kind::Partition => "partition",
            Kind::Request => "request",
            Kind::Window => "window",
            Kind::Trigger => "trigger",
            Kind::Evict => "evict",
            Kind::Gap => "gap",
            Kind::MapPartition => "mapPartition",
            Kind::SortPartition => "sortPartition",
            Kind::Sample => "sample",
            Kind::Range => "range",
            Kind::Sink => "sink",
        }
    }

    fn keeps_state(self) -> bool {
        matches!(
            self,
            Kind::Count
                | Kind::Sum
                | Kind::Aggregates
                | Kind::Reduce
                | Kind::Aggregate
                | Kind::Process
                | Kind::Join
                | Kind::Window
                | Kind::Request
                | Kind::MapPartition
                | Kind::SortPartition
        )
    }
}

/// The position of an operator in the graph.
pub(crate) type OperatorId = usize;

/// The output of an operator as the input of another; side 0 is the main output.
#[derive(Clone, Copy)]
pub struct Edge {
    pub(crate) from: OperatorId,
    pub(crate) side: usize,
    pub(crate) partition: &'static str, // empty: the host's choice
}

/// How the host derives watermarks from event times.
#[derive(Clone, Default)]
pub(crate) struct Watermarks {
    pub out_of_order: Duration,
    pub guest: bool,     // the function reports them
    pub group: String,   // of sources that do not run away from each other
    pub drift: Duration, // by more than this
    pub idle: Duration,
}

/// An operator of the graph under definition.
#[derive(Default)]
pub(crate) struct Operator {
    pub name: String,
    pub named: bool, // the user chose the name; otherwise it may get a number
    pub uid: String,
    pub kind: Option<Kind>,
    pub function: Option<usize>,
    pub inputs: Vec<Edge>,
    pub connector: Option<Connector>,
    pub window: Option<Windows>,
    pub interval: Option<Interval>, // of a join
    pub outer: &'static str,        // of a join in windows
    pub hint: &'static str,         // of a join of all time
    pub requests: Option<Requests>, // of a request operator
    pub watermarks: Option<Watermarks>,
    pub parallelism: u32,
    pub key: String,
    pub output: String,
    pub on_trap: &'static str,
    pub chaining: &'static str,
    pub slot_group: String,
    pub fields: Vec<String>,          // of a key without a function
    pub predicate: Option<Condition>, // of a filter without a function
    pub aggregates: Vec<aggregates::Spec>,
    pub pre_aggregate: &'static str,
    pub order: Vec<&'static str>,   // of what is sorted
    pub before: Option<OperatorId>, // one that has the same parallelism, because it is a part of what the user asked for
}

impl Operator {
    pub fn new(kind: Kind, name: &str) -> Self {
        Operator { kind: Some(kind), name: name.to_string(), ..Operator::default() }
    }
}

/// An entry of the module's function table: what the manifest says of it, and how it is composed.
pub(crate) struct Function<'x> {
    pub name: String,
    pub kind: Kind,
    pub inputs: Vec<String>,
    pub key: String,
    pub accumulator: String,
    pub output: String,
    pub sides: Vec<String>,
    pub states: Vec<StateSpec<'x>>,
    pub timers: bool,
    pub begins: bool,   // it is called before a subtask's first record
    pub applies: bool,  // a broadcast record may be applied to all keys
    pub combine: bool,  // records may be folded before they are sent
    pub failures: bool, // of a request function: it is told of requests without an answer
    pub body: Body<'x>,
}

impl<'x> Function<'x> {
    #[inline(never)]
    pub fn new(kind: Kind, name: &str, inputs: Vec<String>, output: String, body: Body<'x>) -> Self {
        Function {
            name: name.to_string(),
            kind,
            inputs,
            key: String::new(),
            accumulator: String::new(),
            output,
            sides: Vec::new(),
            states: Vec::new(),
            timers: false,
            begins: false,
            applies: false,
            combine: false,
            failures: false,
            body,
        }
    }
}

impl<'x> Function<'x> {
    pub fn has_state_of(&self, scope: &str) -> bool {
        self.states.iter().any(|s| s.scope == scope)
    }

    /// Says whether the state is that of what the function folds into, and none that it uses.
    pub fn folds_into(&self, s: &StateSpec<'x>) -> bool {
        !self.accumulator.is_empty() && s.name == ACCUMULATOR
    }
}

/// How a function is composed into a chain.
pub(crate) enum Body<'x> {
    /// A function of one record after the other.
    Step(Box<dyn StepBody<'x> + 'x>),
    /// A function of groups; it stands first.
    Keyed(Box<dyn Fn(&Binding<'x>) -> Result<HeadRun<'x>, Fault> + 'x>),
}

pub(crate) trait StepBody<'x> {
    /// Makes it the first of a handle: what runs it over a batch.
    fn head(&self, b: &Binding<'x>) -> Result<HeadRun<'x>, Fault>;
    /// Makes it one behind another.
    fn link(&self, b: &Binding<'x>) -> Result<Linked<'x>, Fault>;
}

/// Functions that follow each other, compiled into one loop.
pub(crate) struct Fused<'x> {
    pub functions: Vec<u32>,
    pub head: Box<dyn Fn(&Binding<'x>) -> Result<HeadRun<'x>, Fault> + 'x>,
}

/// A parameter that the definition read.
pub(crate) struct Param {
    pub name: String,
    pub default: Option<String>,
    pub doc: String,
}

/// What is wrong with a definition, behind how many operators that had before it.
pub(crate) type Problem = (usize, String);

#[derive(Default)]
pub(crate) struct Graph<'x> {
    pub name: String,
    pub given: Vec<(String, String)>,
    pub params: Vec<Param>,
    pub functions: Vec<Function<'x>>,
    pub operators: Vec<Operator>,
    pub fused: Vec<Fused<'x>>,
    pub problems: Vec<Problem>,
    pub checks: Vec<Box<dyn Fn() -> Option<String> + 'x>>, // what only the whole graph can tell
}

impl<'x> Graph<'x> {
    #[inline(never)] // as of all that runs once: a module is to be small
    pub fn add(&mut self, o: Operator) -> OperatorId {
        self.operators.push(o);
        self.operators.len() - 1
    }

    /// Adds an operator that runs the function f.
    #[inline(never)]
    pub fn call(&mut self, f: Function<'x>, mut o: Operator) -> OperatorId {
        o.name = f.name.clone();
        o.named = true;
        o.kind = Some(f.kind);
        o.output = f.output.clone();
        o.function = Some(self.functions.len());
        self.functions.push(f);
        self.add(o)
    }

    /// Makes a function known that no operator runs by itself.
    #[inline(never)]
    pub fn callable(&mut self, f: Function<'x>) {
        self.functions.push(f);
    }

    #[inline(never)]
    pub fn rename(&mut self, o: OperatorId, name: &str) {
        self.operators[o].name = name.to_string();
        self.operators[o].named = true;
    }

    #[inline(never)]
    pub fn set_parallelism(&mut self, o: OperatorId, n: u32) {
        if n == 0 {
            self.problems.push((self.operators.len(), format!("operator {:?}: parallelism 0 (expected >= 1)", self.operators[o].name)));
        }
        let mut next = Some(o);
        while let Some(o) = next {
            self.operators[o].parallelism = n;
            next = self.operators[o].before;
        }
    }

    pub fn set_idleness(&mut self, o: OperatorId, after: Duration) {
        let wrong = (after.as_millis() == 0).then(|| format!("{after:?} (expected >= 1ms)"));
        self.set_watermarks(o, "idleness", wrong, |marks| marks.idle = after);
    }

    pub fn set_alignment(&mut self, o: OperatorId, group: &str, drift: Duration) {
        let wrong = (group.is_empty() || drift.as_millis() == 0).then(|| format!("group {group:?}, drift {drift:?} (expected a name, and >= 1ms)"));
        self.set_watermarks(o, "alignment", wrong, |marks| (marks.group, marks.drift) = (group.to_string(), drift));
    }

    /// Says something of an operator's watermarks, unless that is wrong or it has none.
    fn set_watermarks(&mut self, o: OperatorId, what: &str, wrong: Option<String>, set: impl FnOnce(&mut Watermarks)) {
        let (behind, o) = (self.operators.len(), &mut self.operators[o]);
        let none = "it has no watermarks (expected a source with event times, or what assign_timestamps returns)";
        match (&mut o.watermarks, wrong) {
            (None, _) => self.problems.push((behind, format!("{what} of {:?}: {none}", o.name))),
            (_, Some(wrong)) => self.problems.push((behind, format!("{what} of {:?}: {wrong}", o.name))),
            (Some(marks), None) => set(marks),
        }
    }

    /// Gives the accumulators of an operator a schema version.
    pub fn declare_accumulators(&mut self, o: OperatorId, state: StateSpec<'x>) {
        let o = &self.operators[o];
        match o.function.map(|f| &mut self.functions[f]) {
            Some(f) if f.accumulator == state.codec && state.version > 0 => {
                f.states.retain(|s| s.name != state.name);
                f.states.push(state); // behind those that the function uses, which have their numbers
            }
            Some(f) if f.accumulator == state.codec => {
                self.problems.push((self.operators.len(), format!("operator {:?}: accumulators of version 0 (expected > 0)", o.name)))
            }
            Some(f) if !f.accumulator.is_empty() => {
                self.problems.push((self.operators.len(), format!("operator {:?}: accumulators of codec {} (expected {})", o.name, state.codec, f.accumulator)));
            }
            _ => self.problems.push((self.operators.len(), format!("operator {:?}: accumulators (expected a reduce or aggregate)", o.name))),
        }
    }

    /// How many side outputs the function of an operator has.
    pub fn sides_of(&self, o: OperatorId) -> usize {
        self.operators[o].function.map_or(0, |f| self.functions[f].sides.len())
    }

    /// Names what has no name yet and checks what only the whole graph can tell.
    #[inline(never)]
    pub fn finish(&mut self) {
        self.problems.extend(self.checks.iter().filter_map(|check| check()).map(|wrong| (self.operators.len(), wrong)));
        self.name_operators();
        for i in 0..self.operators.len() {
            let o = &self.operators[i];
            if self.keeps_state(o) && o.uid.is_empty() {
                let wrong = "keeps state and has no uid; give it one with uid, so that its state is found again when the job changes";
                self.problems.push((i, format!("operator {:?} {wrong}", o.name)));
            }
            let of_a_sort = || self.operators.iter().any(|o| o.before == Some(i));
            if o.kind == Some(Kind::Key) && o.parallelism == 0 && !of_a_sort() {
                // a key function runs where its records come from
                self.operators[i].parallelism = self.operators[o.inputs[0].from].parallelism;
            }
        }
        for (i, f) in self.functions.iter().enumerate() {
            if self.functions[..i].iter().any(|other| other.name == f.name) {
                self.problems.push((self.user(i), format!("function {:?}: defined twice", f.name)));
            }
        }
    }

    /// The number of the operator that runs a function. One that windows ask has none: it is behind all.
    pub fn user(&self, function: usize) -> usize {
        self.operators.iter().position(|o| o.function == Some(function)).unwrap_or(self.operators.len())
    }

    /// A process function without key keeps what it declares, and otherwise nothing.
    fn keeps_state(&self, o: &Operator) -> bool {
        let nothing = |f: &Function| f.kind == Kind::Process && f.key.is_empty() && f.states.is_empty();
        o.kind.is_some_and(Kind::keeps_state) && !o.function.is_some_and(|f| nothing(&self.functions[f]))
    }

    fn name_operators(&mut self) {
        let mut taken: Vec<String> = Vec::new();
        for (i, o) in self.operators.iter().enumerate().filter(|(_, o)| o.named) {
            if taken.contains(&o.name) {
                self.problems.push((i, format!("operator {:?}: defined twice; give one of them another name with name", o.name)));
            }
            taken.push(o.name.clone());
        }
        for o in self.operators.iter_mut().filter(|o| !o.named) {
            let base = o.name.clone();
            for n in 2.. {
                if !taken.contains(&o.name) {
                    break;
                }
                o.name = format!("{base}-{n}");
            }
            taken.push(o.name.clone());
        }
    }

    /// The manifest, or what is wrong with the definition and with what that was to say, in the order of the graph.
    pub fn manifest(&mut self) -> Result<Vec<u8>, String> {
        let (manifest, mut found) = manifest::write(self);
        self.problems.append(&mut found);
        if self.problems.is_empty() {
            return Ok(manifest);
        }
        let mut wrong = String::new();
        for at in 0..=self.operators.len() {
            // the code of a sort would be larger than all of this
            for (_, text) in self.problems.iter().filter(|p| p.0 == at) {
                wrong.push_str(if wrong.is_empty() { "" } else { "; " });
                wrong.push_str(text);
            }
        }
        Err(wrong)
    }
}
