//! What describe answers, its keys in the order of the specification.

use crate::connector::Connector;
use crate::graph::{Body, Function, Graph, Kind, Operator, Param, Problem};
use crate::json::JsonWriter;
use crate::state::{BROADCAST, OPERATOR};
use crate::uses::StateSpec;
use crate::window::Windows;
use alloc::format;
use alloc::vec::Vec;

const ABI_VERSION: i64 = 1;
const SDK_VERSION: &str = concat!("rust ", env!("CARGO_PKG_VERSION"));

/// Features that a module may need, by number.
const BATCH: i64 = 1;
const KEYED: i64 = 2;
const STATE: i64 = 3;
const TIMERS: i64 = 4;
const TWO_INPUTS: i64 = 5;
const ASKED: i64 = 6;
const REQUESTS: i64 = 7;
const ROW: i64 = 8;
const PARTITION: i64 = 9;
const ACCUMULATORS: i64 = 10;
const FIELDS: i64 = 11;
const WINDOWS: i64 = 12;
const MEETING: i64 = 14;
const OWN: i64 = 16;
const TIES: i64 = 18;
const EVENT_TTL: i64 = 19;
const APPLY: i64 = 20;

/// The manifest, and what is wrong with what it was to say.
pub(crate) fn write(g: &Graph) -> (Vec<u8>, Vec<Problem>) {
    let mut w = JsonWriter::default();
    w.object("", |w| {
        w.number("abi", ABI_VERSION);
        w.text("name", &g.name);
        w.text("sdk", SDK_VERSION);
        w.array("features", features(g), JsonWriter::element_number);
        w.array("params", &g.params, |w, p| w.object("", |w| param(w, p)));
        w.array("functions", g.functions.iter().enumerate(), |w, (id, f)| w.object("", |w| function(w, g, id, f)));
        w.array("operators", g.operators.iter().enumerate(), |w, (i, o)| {
            w.at = i;
            w.object("", |w| operator(w, g, o));
        });
    });
    (w.out.into_bytes(), w.problems)
}

/// What the graph needs of its host, in rising order.
fn features(g: &Graph) -> Vec<i64> {
    let any = |is: &dyn Fn(&Function) -> bool| g.functions.iter().any(is);
    let row = |codec: &str| codec.starts_with("row(");
    let needs = [
        (BATCH, true),
        (KEYED, any(&|f| matches!(f.body, Body::Keyed(_)))),
        (STATE, any(&|f| f.states.iter().any(|s| !f.folds_into(s)))),
        (TIMERS, any(&|f| f.timers)),
        (TWO_INPUTS, any(&|f| f.inputs.len() > 1) || g.operators.iter().any(|o| o.kind == Some(Kind::Join))),
        (ASKED, any(&|f| matches!(f.kind, Kind::Trigger | Kind::Evict | Kind::Gap))),
        (REQUESTS, any(&|f| f.kind == Kind::Request)),
        (ROW, g.operators.iter().any(|o| row(&o.output) || row(&o.key)) || any(&|f| f.inputs.iter().any(|i| row(i)))),
        (PARTITION, any(&|f| f.kind == Kind::Partition)),
        (ACCUMULATORS, any(&|f| f.states.iter().any(|s| f.folds_into(s)))),
        (FIELDS, g.operators.iter().any(|o| !o.fields.is_empty() || o.predicate.is_some() || !o.aggregates.is_empty())),
        (WINDOWS, g.operators.iter().any(|o| o.kind == Some(Kind::Window) || o.window.as_ref().is_some_and(Windows::special))),
        (MEETING, g.operators.iter().any(|o| o.kind == Some(Kind::Join) && o.window.is_some()) || any(&|f| f.has_state_of(BROADCAST))),
        (OWN, any(&|f| f.begins || f.has_state_of(OPERATOR) || matches!(f.kind, Kind::Process | Kind::MapPartition) && f.key.is_empty())),
        (TIES, g.operators.iter().any(|o| o.aggregates.iter().any(|a| a.decides()))),
        (EVENT_TTL, any(&|f| f.states.iter().any(|s| s.event))),
        (APPLY, any(&|f| f.applies)),
    ];
    needs.iter().filter(|(_, needed)| *needed).map(|(number, _)| *number).collect()
}

fn param(w: &mut JsonWriter, p: &Param) {
    w.text("name", &p.name);
    w.flag_or("required", p.default.is_none());
    w.text_or("default", p.default.as_deref().unwrap_or_default());
    w.text_or("doc", &p.doc);
}

fn function(w: &mut JsonWriter, g: &Graph, id: usize, f: &Function) {
    (w.at, w.of) = (g.user(id), format!("function {:?}", f.name));
    w.number("id", id as i64);
    w.text("name", &f.name);
    w.text("kind", f.kind.name());
    w.array("inputs", &f.inputs, |w, codec| w.element(codec));
    w.text_or("key", &f.key);
    w.text_or("accumulator", &f.accumulator);
    w.text("output", &f.output);
    if !f.sides.is_empty() {
        w.array("sides", &f.sides, |w, codec| w.element(codec));
    }
    w.flag_or("result", f.kind == Kind::Reduce);
    w.flag_or("combine", f.combine);
    w.flag_or("begins", f.begins);
    w.flag_or("applies", f.applies);
    w.flag_or("pulls", f.kind == Kind::Window && f.accumulator.is_empty());
    w.flag_or("failures", f.failures);
    if !f.states.is_empty() {
        w.array("states", &f.states, |w, s| w.object("", |w| state(w, s)));
    }
}

fn state(w: &mut JsonWriter, s: &StateSpec) {
    w.text("name", &s.name);
    w.text("scope", s.scope);
    w.text("kind", s.kind);
    w.text("codec", &s.codec);
    w.text_or("key", &s.key);
    w.millis_or("ttlMs", &format!("ttl of state {:?}", s.name), s.ttl);
    if s.event {
        w.text("time", "event");
    }
    w.number_or("version", s.version.into());
    w.flag_or("migrates", s.migrate.is_some());
    w.number_or("oldest", s.oldest.into());
}

fn operator(w: &mut JsonWriter, g: &Graph, o: &Operator) {
    w.of = format!("operator {:?}", o.name);
    w.text("name", &o.name);
    w.text_or("uid", &o.uid);
    w.text("kind", o.kind.map_or("", Kind::name));
    if let Some(f) = o.function {
        w.text("function", &g.functions[f].name);
    }
    if !o.inputs.is_empty() {
        w.array("inputs", &o.inputs, |w, edge| {
            w.object("", |w| {
                w.text("from", &g.operators[edge.from].name);
                w.number_or("side", edge.side as i64);
                w.text_or("partition", edge.partition);
            })
        });
    }
    if let Some(c) = &o.connector {
        w.object("connector", |w| connector(w, c));
    }
    if let Some(window) = &o.window {
        w.object("window", |w| window.write(w));
    }
    if let Some(interval) = &o.interval {
        w.object("interval", |w| interval.write(w));
    }
    w.text_or("outer", o.outer);
    w.text_or("hint", o.hint);
    if let Some(requests) = &o.requests {
        w.object("requests", |w| requests.write(w));
    }
    if let Some(marks) = &o.watermarks {
        w.object("watermarks", |w| {
            w.millis_or("outOfOrderMs", "out_of_order", marks.out_of_order);
            w.flag_or("guest", marks.guest);
            w.text_or("group", &marks.group);
            w.millis_or("driftMs", "alignment", marks.drift);
            w.millis_or("idleMs", "idleness", marks.idle);
        });
    }
    w.number_or("parallelism", o.parallelism.into());
    w.text_or("key", &o.key);
    w.text_or("output", &o.output);
    w.text_or("onTrap", o.on_trap);
    w.text_or("chaining", o.chaining);
    fields(w, o);
    if !o.order.is_empty() {
        w.array("order", &o.order, |w, direction| w.element(direction));
    }
    w.text_or("slotGroup", &o.slot_group);
    w.text_or("preAggregate", o.pre_aggregate);
}

/// What the operator does with fields.
fn fields(w: &mut JsonWriter, o: &Operator) {
    if !o.fields.is_empty() {
        w.array("fields", &o.fields, |w, name| w.element(name));
    }
    if let Some(predicate) = &o.predicate {
        w.object("predicate", |w| predicate.write(w));
    }
    if !o.aggregates.is_empty() {
        w.array("aggregates", &o.aggregates, |w, a| w.object("", |w| a.write(w)));
    }
}

fn connector(w: &mut JsonWriter, c: &Connector) {
    w.text("type", c.kind);
    if c.settings.iter().any(|(_, value)| !value.is_empty()) {
        w.object("config", |w| {
            c.settings.iter().for_each(|(key, value)| w.text_or(key, value));
        });
    }
}
