//! The guest that abi/conformance runs its scenarios of process functions against, in Rust: state, timers, side outputs, two
//! inputs, migration. Every SDK has one, with the same functions under the same names. This one does without std.

#![no_std]

extern crate alloc;

use wasmill::prelude::*;
use wasmill::{JoinContext, ListState, MapState, SideOutput, ValueState};

wasmill::no_std!();
wasmill::job!("conformance-process", define);

fn define(job: &Env) {
    let texts = job.source(files("texts").unchecked());
    let by_text = texts.key_by("by-text", |s| *s);
    let lengths = texts.key_value_by("by-text-length", |s| (s, s.len() as i64));

    let (negative, large) = (job.side("negative"), job.side("large"));
    let sums = lengths.process("book", (&job.value_state("sum").ttl(mins(1)), &negative, &large), book).uid("book");
    sums.sink_to(blackhole());
    negative.stream().sink_to(blackhole());
    large.stream().map("same", |text: Text| text).sink_to(blackhole());

    let memory = (&job.list_state("all"), &job.map_state("counts"), &job.value_state("last"));
    by_text.process("remember", memory, remember).uid("remember").sink_to(blackhole());

    lengths.process_timers("alarm", (), alarm, ring).uid("alarm").sink_to(blackhole());

    let late = job.side("unpaired");
    let uses = (&job.value_state("number"), &job.list_state("waiting"), &late);
    let pairs = by_text.connect(&lengths).process_timers("pair", uses, pair_text, pair_number, pair_timer).uid("pair");
    let pairs = pairs.on_trap(TrapPolicy::DeadLetter);
    pairs.sink_to(blackhole());
    late.stream().sink_to(blackhole());
    pairs.dead_letters().sink_to(blackhole());

    let total = job.value_state("total").migrate(2, number_of_text);
    let names = job.map_state("names").migrate(3, |from, _: Text, old| Some(marked(from, old)));
    lengths.process("moved", (&total, &names), |_: &Context<Text, i64>, (total, _), v| total.set(v)).uid("moved").sink_to(blackhole());

    let late = job.side("late");
    let windows = lengths.window(tumbling(secs(1))).late(&late).reduce("sum-by-window", |a, b| a + b).uid("sum-by-window");
    windows.on_trap(TrapPolicy::Skip).sink_to(blackhole());
    late.stream().sink_to(blackhole());
    let late = job.side("late counts");
    lengths.window(tumbling(secs(1))).late(&late).count().uid("counts").sink_to(blackhole());
    late.stream().sink_to(blackhole());

    let (left, right) = (job.side("late texts"), job.side("late numbers"));
    let near_by = by_text.interval_join(&lengths).between(-100, 200).lower_bound_exclusive().late_left(&left).late_right(&right);
    near_by.process("near", (), near).uid("near").sink_to(blackhole());
    left.stream().sink_to(blackhole());
    right.stream().sink_to(blackhole());
    texts.partition_custom("by-size", |s, receivers| s.len() as u32 % receivers).sink_to(blackhole());

    let some = Named::N.ge(1).and(Named::NAME.is_in(["a", "b"]).or(Named::NAME.is_null()));
    let by_n = job.source(json_files::<NamedRef>("rows")).filter_where("some", some).key_by_field("by-n", Named::N);
    let most = Named::N.max().named("most").filter(Named::N.lt(5));
    by_n.aggregates::<Statistics>([Aggregate::count(), most, Named::NAME.count_distinct()]).uid("statistics").sink_to(blackhole());
    by_n.aggregates::<RankedRef>([Named::N.top(3).then(Named::N)]).uid("top").sink_to(blackhole());
}

#[derive(Clone, Row)]
struct Named<'x> {
    name: Option<Text<'x>>,
    n: i64,
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Statistics {
    n: i64,
    count: i64,
    most: Option<i64>,
    count_distinct: i64,
}

#[derive(Clone, Row)]
struct Ranked<'x> {
    n: i64,
    rank: i64,
    top: Named<'x>,
}

/// Emits texts with the numbers that they meet, but 0; "bad" fails.
fn near<'x>(c: &JoinContext<'x, Text<'x>, Text<'x>>, _: &(), left: Text<'x>, right: i64) {
    if left.as_bytes() == b"bad" {
        return fail("a bad text");
    }
    if right != 0 {
        c.emit(equation(c.scratch(), &left, right));
    }
}

fn text(scratch: &Scratch, v: i64) -> Text<'_> {
    scratch.text(format_args!("{v}")).into()
}

fn equation<'x>(scratch: &'x Scratch, key: &Text, value: i64) -> Text<'x> {
    scratch.concat(&[key, b"=", text(scratch, value).as_bytes()]).into()
}

/// Keeps a sum and emits it after every number. 0 clears it, -13 fails after a change. Negative numbers go to a side output
/// too, and numbers above 99, as text, to another.
fn book<'x>(
    c: &Context<'x, Text<'x>, i64>,
    (sum, negative, large): &(ValueState<'x, i64>, SideOutput<'x, i64>, SideOutput<'x, Text<'x>>),
    v: i64,
) {
    if v == 0 {
        return sum.clear();
    }
    let new = sum.get().unwrap_or_default() + v;
    sum.set(new);
    c.emit(new);
    if v < 0 {
        negative.emit(v);
    }
    if v > 99 {
        large.emit(text(c.scratch(), v));
    }
    if v == -13 {
        fail("an unlucky number");
    }
}

type Memory<'x> = (ListState<'x, Text<'x>>, MapState<'x, Text<'x>, i64>, ValueState<'x, Text<'x>>);

/// Keeps texts in a list, counts each in a map, and has the last as a value. Texts that are commands: "list" and "map" emit
/// what is there, "?x" the count of x, "-x" forgets the count of x, "last" emits the last and how long it is, "clear" forgets
/// all, "bad" fails after a change.
fn remember<'x>(c: &Context<'x, Text<'x>, Text<'x>>, (all, counts, last): &Memory<'x>, v: Text<'x>) {
    let behind_first = || Text::from(&v.as_bytes()[1..]);
    let scratch = c.scratch();
    match v.as_bytes() {
        b"list" => all.iter().for_each(|s| c.emit(s)),
        b"map" => counts.iter().for_each(|(key, n)| c.emit(equation(scratch, &key, n))),
        b"last" => c.emit(match last.get() {
            Some(last) => scratch.concat(&[&last, b" ", &text(scratch, last.len() as i64)]).into(),
            None => "none".into(),
        }),
        b"clear" => {
            all.clear();
            counts.clear();
            last.clear();
        }
        [b'?', ..] => c.emit(text(scratch, counts.get(behind_first()).unwrap_or_default())),
        [b'-', ..] => counts.remove(behind_first()),
        s => {
            all.add(v);
            last.set(v);
            if !s.is_empty() {
                counts.put(v, counts.get(v).unwrap_or_default() + 1);
            }
            if s == b"bad" {
                fail("a bad text");
            }
        }
    }
}

/// Sets an event-time timer for a number, deletes it for a negative one, and for 0 sets a processing-time timer 10 ms ahead.
fn alarm<'x>(c: &Context<'x, Text<'x>, i64>, _: &(), v: i64) {
    match v {
        0 => c.set_processing_timer(c.now() + 10),
        1.. => c.set_timer(v),
        _ => c.delete_timer(-v),
    }
}

/// Emits its time, of processing time as a negative number. One at a full thousand sets another 500 before itself and deletes
/// the one right behind it.
fn ring<'x>(c: &Context<'x, Text<'x>, i64>, _: &(), t: Timer) {
    c.emit(if t.processing { -t.time } else { t.time });
    if !t.processing && t.time % 1000 == 0 {
        c.set_timer(t.time - 500);
        c.delete_timer(t.time + 1);
    }
}

type Pairing<'x> = (ValueState<'x, i64>, ListState<'x, Text<'x>>, SideOutput<'x, Text<'x>>);

/// Keeps the latest number of the other input and emits texts with it; texts that find none wait for a timer 100 ms behind them
/// and then go to a side output.
fn pair_text<'x>(c: &Context<'x, Text<'x>, Text<'x>>, (number, waiting, _): &Pairing<'x>, v: Text<'x>) {
    match number.get() {
        Some(n) => c.emit(equation(c.scratch(), &v, n)),
        None => {
            waiting.add(v);
            c.set_timer(c.timestamp() + 100);
        }
    }
}

fn pair_number<'x>(c: &Context<'x, Text<'x>, Text<'x>>, (number, waiting, _): &Pairing<'x>, v: i64) {
    number.set(v);
    waiting.iter().for_each(|s| c.emit(equation(c.scratch(), &s, v)));
    waiting.clear();
}

fn pair_timer<'x>(_: &Context<'x, Text<'x>, Text<'x>>, (_, waiting, unpaired): &Pairing<'x>, _: Timer) {
    waiting.iter().for_each(|s| unpaired.emit(s));
    waiting.clear();
}

/// A total that was text, where "gone" is dropped.
fn number_of_text(_: u32, old: &[u8]) -> Option<i64> {
    if old == b"gone" {
        return None;
    }
    let number = core::str::from_utf8(old).ok().and_then(|s| s.parse().ok());
    if number.is_none() {
        fail("a total that is no number");
    }
    number
}

/// Names that got a mark with every version.
fn marked(from: u32, old: &[u8]) -> TextBuf {
    [old, if from < 2 { b"!!" } else { b"!" }].concat().into()
}
