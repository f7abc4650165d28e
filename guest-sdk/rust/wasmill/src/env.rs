use crate::connector::Source;
use crate::folding::{AggregatingStateDescriptor, ReducingStateDescriptor};
use crate::graph::{Graph, Kind, Operator, Param, Watermarks};
use crate::record::{codec_of, Record};
use crate::side::Side;
use crate::state::{BroadcastStateDescriptor, ListStateDescriptor, MapStateDescriptor, OperatorListStateDescriptor, ValueStateDescriptor};
use crate::step::Start;
use crate::stream::Stream;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::RefCell;

/// What a definition has at hand: the job's parameters, and the graph that it grows. `'x` is the lifetime of the records that
/// its functions will be given.
pub struct Env<'x> {
    graph: Rc<RefCell<Graph<'x>>>,
}

impl Clone for Env<'_> {
    fn clone(&self) -> Self {
        Env { graph: self.graph.clone() }
    }
}

impl<'x> Env<'x> {
    pub(crate) fn new(graph: Graph<'x>) -> Self {
        Env { graph: Rc::new(RefCell::new(graph)) }
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Graph<'x>) -> R) -> R {
        f(&mut self.graph.borrow_mut())
    }

    /// Reads a parameter that must be given. At upload, before there are parameters, it reads as empty. The doc is what
    /// `wasmill inspect` says about it.
    pub fn param(&self, name: &str, doc: &str) -> String {
        self.declare(name, None, doc);
        self.given(name).unwrap_or_default()
    }

    /// Reads a parameter that has a default.
    pub fn param_or(&self, name: &str, default: &str, doc: &str) -> String {
        self.declare(name, Some(default), doc);
        self.given(name).unwrap_or_else(|| default.to_string())
    }

    /// Reads a whole number that must be given.
    pub fn param_i64(&self, name: &str, doc: &str) -> i64 {
        let text = self.param(name, doc);
        if text.is_empty() && self.given(name).is_none() {
            return 0;
        }
        self.number(name, &text)
    }

    /// Reads a whole number that has a default.
    pub fn param_i64_or(&self, name: &str, default: i64, doc: &str) -> i64 {
        let text = self.param_or(name, &default.to_string(), doc);
        self.number(name, &text)
    }

    fn number(&self, name: &str, text: &str) -> i64 {
        text.parse().unwrap_or_else(|_| {
            self.refuse(&format!("parameter {name:?}: {text:?} (expected a whole number)"));
            0
        })
    }

    fn given(&self, name: &str) -> Option<String> {
        self.with(|g| g.given.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()))
    }

    fn declare(&self, name: &str, default: Option<&str>, doc: &str) {
        self.with(|g| {
            if !g.params.iter().any(|p| p.name == name) {
                g.params.push(Param { name: name.to_string(), default: default.map(str::to_string), doc: doc.to_string() });
            }
        });
    }

    /// Refuses the definition: the job does not start, and the submission says the problem. The definition goes on, so that
    /// several problems are reported at once.
    pub fn refuse(&self, problem: &str) {
        self.with(|g| g.problems.push((g.operators.len(), problem.to_string())));
    }

    /// Adds a source of records, read by the host.
    pub fn source<S: Source<'x>>(&self, from: S) -> Stream<'x, S::Record, Start<S::Record>> {
        let connector = from.connector();
        let mut o = Operator::new(Kind::Source, connector.name);
        o.output = codec_of::<S::Record>();
        o.watermarks = connector.out_of_order.map(|d| Watermarks { out_of_order: d, ..Watermarks::default() });
        o.connector = Some(connector);
        Stream::new(self.clone(), self.with(|g| g.add(o)), 0, Start::default())
    }

    /// Declares a value of each key.
    pub fn value_state<T: Record<'x>>(&self, name: &str) -> ValueStateDescriptor<'x, T> {
        ValueStateDescriptor::new(name)
    }

    /// Declares a list of each key.
    pub fn list_state<T: Record<'x>>(&self, name: &str) -> ListStateDescriptor<'x, T> {
        ListStateDescriptor::new(name)
    }

    /// Declares a map of each key. Its own keys may not be empty, as the text "" is: a function that uses one fails.
    pub fn map_state<K: Record<'x>, V: Record<'x>>(&self, name: &str) -> MapStateDescriptor<'x, K, V> {
        MapStateDescriptor::new(name)
    }

    /// Declares a value of each key that becomes `merge(value, added)` with each `add`; the first one is the value. merge may depend on
    /// nothing but its arguments.
    pub fn reducing_state<T: Record<'x>>(&self, name: &str, merge: impl Fn(T, T) -> T + 'static) -> ReducingStateDescriptor<'x, T> {
        ReducingStateDescriptor::new(name, merge)
    }

    /// Declares an accumulator of each key, begun by `create`, into which `add` takes values, and of which `result` is made when it is
    /// asked for. The functions may depend on nothing but their arguments.
    pub fn aggregating_state<T: Record<'x>, A: Record<'x>, R: Record<'x>>(
        &self,
        name: &str,
        create: impl Fn() -> A + 'static,
        add: impl Fn(A, T) -> A + 'static,
        result: impl Fn(A) -> R + 'static,
    ) -> AggregatingStateDescriptor<'x, T, A, R> {
        AggregatingStateDescriptor::new(name, create, add, result)
    }

    /// Declares a list of the operator, not of a key: each subtask has a part of it, which only it sees. Every process function may
    /// use one, also one over a stream without key. It lies in memory, and is for what does not grow with the input. Another
    /// parallelism deals its elements out anew, as many to each subtask.
    pub fn operator_list_state<T: Record<'x>>(&self, name: &str) -> OperatorListStateDescriptor<'x, T> {
        OperatorListStateDescriptor::new(name)
    }

    /// Declares a list of the operator of which every subtask begins with all elements, whenever the job begins or goes on: also after
    /// a failure. What it does not need it removes.
    pub fn union_list_state<T: Record<'x>>(&self, name: &str) -> OperatorListStateDescriptor<'x, T> {
        OperatorListStateDescriptor::new(name).union()
    }

    /// Declares a map of which every subtask of an operator has a copy. Records of the operator's broadcast stream change it, the same
    /// ones in every subtask; for those of the other stream it can only be read. It lies in memory.
    pub fn broadcast_state<K: Record<'x>, V: Record<'x>>(&self, name: &str) -> BroadcastStateDescriptor<'x, K, V> {
        BroadcastStateDescriptor::new(name)
    }

    /// Makes a side output, to be given to one operator.
    pub fn side<T: Record<'x>>(&self, name: &str) -> Side<'x, T> {
        Side::new(self, name)
    }
}
