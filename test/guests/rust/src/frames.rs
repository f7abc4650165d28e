//! A window function over lines, in windows of any kind with any trigger and evictor.

use crate::{duration, keyed, number, write};
use wasmill::prelude::*;
use wasmill::{AggregatingState, ReducingState, Uses, WindowedStream};

type Windows<'x> = WindowedStream<'x, &'x str, &'x str>;

pub fn define(job: &Env) {
    let (late, kind) = (
        job.side("late"),
        job.param_or("kind", "tumbling", "tumbling, sliding, session, pause (sessions whose gap a line says), global or full (the same at the end of the input)"),
    );
    let windows = evicted(job, triggered(job, cut(job, &kind))).late(&late);
    let fold = job.param_or("fold", "no", "whether lines are folded when they come: yes or no") == "yes";
    let all = job.reducing_state("all", |a: i64, b: i64| a + b);
    let hold = job.param_or("hold", "no", "whether a window's lines are in memory at once: yes or no") == "yes";
    let results = if kind == "session" || kind == "pause" {
        frames(&windows, (fold, hold), &all, |c, all, lines, sum| put(c, all, 0, lines, sum))
    } else {
        let results = job.aggregating_state("results", || 0i64, |n, more: i64| n + more, |n| n).per_window();
        frames(&windows, (fold, hold), (&all, &results), |c, (all, results), lines, sum| put(c, all, next(results), lines, sum))
    };
    write(job, &results.uid("frames"), "results");
    write(job, &late.stream(), "late");
}

/// Has put run over what a window has: how many lines, and the sum of their values.
fn frames<'x, U: Uses<'x>>(
    windows: &Windows<'x>,
    (fold, hold): (bool, bool),
    uses: U,
    put: impl Fn(&WindowContext<'x, &'x str, String>, &U::Handles, i64, i64) + 'static,
) -> Stream<'x, String> {
    let (none, both) = (|| (0i64, 0i64), |a: (i64, i64), b: (i64, i64)| (a.0 + b.0, a.1 + b.1));
    if fold {
        let add = move |a, line: &str| both(a, (1, number(line, 2)));
        return windows.aggregate_process("frames", uses, none, add, both, move |c, u, (lines, sum)| put(c, u, lines, sum));
    }
    if hold {
        return windows.process("frames", uses, move |c, u, lines| {
            let lines: Vec<&str> = lines.collect();
            put(c, u, lines.len() as i64, lines.iter().map(|line| number(line, 2)).sum());
        });
    }
    let add = move |_: &_, _: &_, a: &mut (i64, i64), line: &str| *a = both(*a, (1, number(line, 2)));
    windows.process_each("frames", uses, none, add, move |c, u, (lines, sum)| put(c, u, lines, sum))
}

fn next(results: &AggregatingState<i64, i64, i64>) -> i64 {
    results.add(1);
    results.get().unwrap_or_default()
}

fn put<'x>(c: &WindowContext<'x, &'x str, String>, all: &ReducingState<'x, i64>, result: i64, lines: i64, sum: i64) {
    all.add(lines);
    let why = match c.timing() {
        Timing::OnTime => 0,
        Timing::Early => 1,
        Timing::Late => 2,
    };
    c.emit(format!("{},{},{lines},{sum},{result},{},{why}", c.window().start, c.key(), all.get().unwrap_or_default()));
}

fn cut<'x>(job: &Env<'x>, kind: &str) -> Windows<'x> {
    let lines = keyed(job, "input");
    let size = duration(job, "window", 1000, "length of a window, or gap of a session, in milliseconds");
    let windows = match kind {
        "sliding" => lines.window(sliding(size, size / 4)),
        "session" => lines.window(session(size)),
        "pause" => lines.session_by("pause", |line| millis(1 + number(line, 2) as u64 % 50)),
        "global" => lines.window(global()),
        "full" => lines.window(full_window()),
        _ => lines.window(tumbling(size)),
    };
    windows.allowed_lateness(duration(job, "lateness", 0, "how long a window takes late lines, in milliseconds"))
}

fn triggered<'x>(job: &Env<'x>, windows: Windows<'x>) -> Windows<'x> {
    let full = job.param_i64_or("full", 1000, "when the trigger full fires");
    let every = job.param_i64_or("every", 3, "of triggers that count, or have steps in milliseconds");
    let purging = job.param_or("purging", "no", "yes or no") == "yes";
    let windows = match job.param_or("trigger", "none", "none, full (the guest's), count or continuousEventTime").as_str() {
        "full" => return full_or_over(job, windows, full),
        "count" => windows.trigger(Trigger::at_count(every as u32)),
        "continuousEventTime" => windows.trigger(Trigger::every_event_time(millis(every as u64))),
        _ => windows,
    };
    if purging {
        windows.purging()
    } else {
        windows
    }
}

/// Has a window fire, and be purged, when its values make so much, and when it ends.
fn full_or_over<'x>(job: &Env<'x>, windows: Windows<'x>, full: i64) -> Windows<'x> {
    let sum = job.reducing_state("sum", |a: i64, b: i64| a + b);
    windows.trigger_by("full", &sum, move |c, sum, asked| {
        let Window { start, end } = c.window();
        match asked {
            Asked::Timer(_) => return Decision::FireAndPurge,
            Asked::Record(line) => sum.add(number(line, 2)),
            Asked::Merged => {} // the sum is that of all
        }
        if end > start {
            c.set_timer(end - 1);
        }
        if asked == Asked::Merged || sum.get() < Some(full) {
            return Decision::Continue;
        }
        sum.clear();
        Decision::FireAndPurge
    })
}

fn evicted<'x>(job: &Env<'x>, windows: Windows<'x>) -> Windows<'x> {
    match job.param_or("evictor", "none", "none, odd (the guest's) or count").as_str() {
        "odd" => windows.evict_by("odd", |_, lines, stay| {
            lines.iter().zip(stay).for_each(|(line, stays)| *stays = number(line, 2) % 2 == 0);
        }),
        "count" => windows.evict_count(2),
        _ => windows,
    }
}
