//! The guest that abi/conformance runs its scenarios of windows, joins in windows, requests, broadcast states and lists of the
//! operator against, in Rust. Every SDK has one, with the same functions under the same names; what it lacks it leaves out.

use wasmill::prelude::*;
use wasmill::{
    begin, AggregatingState, ListState, MapState, ReducingState, SideOutput, StreamContext, Timing, Together, ValueState, Values,
    WindowContext, WindowJoinContext,
};

wasmill::job!("conformance-operators", define);

fn define(job: &Env) {
    let texts = job.source(files("texts"));
    let by_text = texts.key_by("by-text", |s| *s);
    let lengths = texts.key_value_by("by-text-length", |s| (s, s.len() as i64));

    let large = job.side("large");
    let uses = (&job.value_state("all"), &job.value_state("results").per_window(), &large);
    let seconds = lengths.window(tumbling(secs(1))).allowed_lateness(mins(1));
    seconds.process("report", uses, report).uid("report").sink_to(blackhole());
    large.stream().sink_to(blackhole());
    let plus = |a: i64, b: i64| a + b;
    lengths.window(sliding(secs(1), millis(500))).aggregate_process("totals", (), || 0, plus, plus, total).uid("totals").sink_to(blackhole());
    let sum = job.value_state("sum");
    lengths.window(session(secs(1))).trigger_by("enough", &sum, enough).count().uid("enough").sink_to(blackhole());
    let threes = lengths.window(global()).trigger(Trigger::at_count(3).purging());
    let even = threes.evict_by("odd", |_, all, stay| all.iter().zip(stay).for_each(|(v, stays)| *stays = v % 2 == 0));
    even.process("kept", (), |c: &WindowContext<&str, i64>, _, all| c.emit(all.len() as i64)).uid("kept").sink_to(blackhole());
    lengths.session_by("pause", |v| millis((v + 1) as u64)).count().uid("pauses").sink_to(blackhole());
    let most = job.reducing_state("most", i64::max);
    lengths.window(session(secs(1))).trigger_by("plenty", &most, plenty).count().uid("plenty").sink_to(blackhole());

    by_text.join(&lengths).window(tumbling(secs(1))).co_group("together", (), together).uid("together").sink_to(blackhole());
    by_text.join(&lengths).window(tumbling(secs(1))).left_outer().process("met", (), met).uid("met").sink_to(blackhole());
    let how = ordered(&["host.test:80"]).capacity(8).timeout(secs(5)).told_of_failures().fixed_delay(2, millis(50)).retry_on(&["broken", "5xx"]);
    texts.async_wait("ask", how, ask, answered).uid("ask").sink_to(blackhole());
    let count = job.value_state("count").event_time_ttl(secs(1));
    lengths.process("recent", &count, recent).uid("recent").sink_to(blackhole());
    let sums = (&job.reducing_state("most", i64::max), &job.aggregating_state("sum", || 100, |a: i64, v: i64| a + v, |a| format!("sum {a}")));
    lengths.process("tally", sums, tally).uid("tally").sink_to(blackhole());
    let known = job.broadcast_state("known");
    by_text.connect_broadcast(&texts).process("rules", &known, apply, hear).uid("rules").sink_to(blackhole());
    let lists = (&job.operator_list_state("held"), &job.union_list_state("known"));
    texts.process("roster", begin(lists, list), enlist).uid("roster").sink_to(blackhole());
}

/// Says what a window has, how many results it has had, how many values results of the key have had so far, and why it has this one.
/// Sums above 99 go to a side output; -13 fails after a change.
fn report<'x>(
    c: &WindowContext<'x, &'x str, String>,
    (all, results, large): &(ValueState<'x, i64>, ValueState<'x, i64>, SideOutput<'x, i64>),
    values: Values<'x, i64>,
) {
    let (n, sum) = (values.len() as i64, values.sum::<i64>());
    all.set(all.get().unwrap_or(0) + n);
    results.set(results.get().unwrap_or(0) + 1);
    let why = match c.timing() {
        Timing::OnTime => "on time",
        Timing::Early => "early",
        Timing::Late => "late",
    };
    let (of, result, so_far) = (c.window(), results.get().unwrap_or(0), all.get().unwrap_or(0));
    c.emit(format!("n={n} sum={sum} result {result} of {}..{}, {so_far} of all, {why}", of.start, of.end));
    if sum > 99 {
        large.emit(sum);
    }
    if sum == -13 {
        fail("an unlucky sum");
    }
}

/// Says of what time a sum is.
fn total<'x>(c: &WindowContext<'x, &'x str, String>, _: &(), sum: i64) {
    c.emit(format!("{sum} of {}..{}", c.window().start, c.window().end));
}

/// Fires when the values make 10 or more, and is purged when they make 100 or more, and at its end, for which it sets a timer with its
/// first value. 0 sets a timer 10 ms ahead by the clock, which fires; a negative value takes the first timer back, and purges.
fn enough<'x>(c: &TriggerContext<'x>, sum: &ValueState<'x, i64>, asked: Asked<i64>) -> Decision {
    let end = c.window().end - 1;
    match asked {
        Asked::Record(v) => {
            if sum.get().is_none() {
                c.set_timer(end);
            }
            match v {
                0 => {
                    c.set_processing_timer(c.now() + 10);
                    return Decision::Continue;
                }
                1.. => sum.set(sum.get().unwrap_or(0) + v),
                _ => {
                    c.delete_timer(end);
                    return Decision::Purge;
                }
            }
            match sum.get().unwrap_or(0) {
                100.. => Decision::FireAndPurge,
                10.. => Decision::Fire,
                _ => Decision::Continue,
            }
        }
        Asked::Timer(t) if t.processing => Decision::Fire,
        Asked::Timer(_) => Decision::FireAndPurge,
        Asked::Merged => {
            sum.set(sum.merged().sum());
            c.set_timer(end);
            Decision::Continue
        }
    }
}

/// Emits each text with the sum of the numbers, or "none" if there is no text; "bad" fails.
fn together<'x>(c: &WindowJoinContext<'x, &'x str, String>, _: &(), texts: &Together<'x, &'x str>, numbers: &Together<'x, i64>) {
    let sum = numbers.iter().sum::<i64>();
    for s in texts.iter() {
        if s == "bad" {
            return fail("a bad text");
        }
        c.emit(format!("{s}={sum}"));
    }
    if texts.is_empty() {
        c.emit(format!("none={sum}"));
    }
}

/// Emits texts with the number that they meet, at that number's time if that is below 100, or with "none".
fn met<'x>(c: &WindowJoinContext<'x, &'x str, String>, _: &(), s: &'x str, n: Option<i64>) {
    match n {
        None => c.emit(format!("{s}=none")),
        Some(n) if n < 100 => c.emit_at(n, format!("{s}={n}")),
        Some(n) => c.emit(format!("{s}={n}")),
    }
}

/// Asks about texts, but for the empty one and "bad", which fails; "send" is posted.
fn ask(s: &str) -> Option<HttpRequest> {
    match s {
        "" => None,
        "bad" => {
            fail("a bad text");
            None
        }
        "send" => Some(HttpRequest::new("POST", "http://host.test/").body(b"send")),
        _ => Some(HttpRequest::get(&format!("http://host.test/{s}")).header("Accept", "text/plain")),
    }
}

/// Emits what was answered, or why nothing was.
fn answered<'x>(c: &StreamContext<'x, String>, s: &'x str, answer: Answer<'x>) {
    c.emit(match answer {
        Answer::Response(r) => {
            let kind = r.header("x-kind").map_or(String::new(), |kind| format!(" of kind {}", String::from_utf8_lossy(kind)));
            format!("{s}={} {}{kind}", r.status, String::from_utf8_lossy(r.body))
        }
        Answer::Unasked => String::from("nothing was asked"),
        Answer::TimedOut(why) => format!("{s} timed out: {why}"),
        Answer::Refused(why) => format!("{s} refused: {why}"),
        Answer::Broken(why) => format!("{s} broken: {why}"),
    });
}

/// Counts the values of a key in a state that ends by event time.
fn recent<'x>(c: &Context<'x, &'x str, i64>, count: &ValueState<'x, i64>, _: i64) {
    count.set(count.get().unwrap_or(0) + 1);
    c.emit(count.get().unwrap_or(0));
}

/// Fires when one of the values is 10 or more.
fn plenty<'x>(_: &TriggerContext<'x>, most: &ReducingState<'x, i64>, asked: Asked<i64>) -> Decision {
    if let Asked::Record(v) = asked {
        most.add(v);
    }
    if most.get() >= Some(10) {
        Decision::Fire
    } else {
        Decision::Continue
    }
}

type Tally<'x> = (ReducingState<'x, i64>, AggregatingState<'x, i64, i64, String>);

/// Says what the largest value is and what all make with 100. 0 forgets them.
fn tally<'x>(c: &Context<'x, &'x str, String>, (most, sum): &Tally<'x>, v: i64) {
    if v == 0 {
        most.clear();
        sum.clear();
    } else {
        most.add(v);
        sum.add(v);
    }
    c.emit(match (most.get(), sum.get()) {
        (Some(most), Some(sum)) => format!("most {most}, {sum}"),
        _ => String::from("nothing"),
    });
}

type Known<'x> = MapState<'x, &'x str, i64>;

/// Says of texts how often they were broadcast, and for "all" of each that there is.
fn apply<'x>(c: &Context<'x, &'x str, String>, known: &Known<'x>, s: &'x str) {
    match s {
        "all" => known.iter().for_each(|(k, n)| c.emit(format!("{k}={n}"))),
        _ => c.emit(format!("{s}={}", known.get(s).unwrap_or(0))),
    }
}

/// Keeps how often each text was broadcast: "-x" forgets x, "clear" all of them.
fn hear<'x>(c: &StreamContext<'x, String>, known: &Known<'x>, s: &'x str) {
    match s.strip_prefix('-') {
        Some(rest) => known.remove(rest),
        None if s == "clear" => known.clear(),
        None => known.put(s, known.get(s).unwrap_or(0) + 1),
    }
    c.emit(format!("heard {s}"));
}

type Lists<'x> = (ListState<'x, &'x str>, ListState<'x, &'x str>);

/// Puts out what is in both lists.
fn list<'x>(c: &StreamContext<'x, &'x str>, (held, known): &Lists<'x>) {
    held.iter().chain(known.iter()).for_each(|s| c.emit(s));
}

/// Holds texts back, those that begin with + in a list that all begin with, and puts them out for "list"; "clear" removes those of the
/// first list.
fn enlist<'x>(c: &StreamContext<'x, &'x str>, lists: &Lists<'x>, s: &'x str) {
    match s {
        "list" => list(c, lists),
        "clear" => lists.0.clear(),
        _ if s.starts_with('+') => lists.1.add(s),
        _ => lists.0.add(s),
    }
}
