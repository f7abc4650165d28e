//! Adds up values in windows whose results change: by=sum and by=lines, in tumbling, sliding and session windows.

use crate::{duration, field, number, timed};
use wasmill::prelude::*;

#[derive(Clone, Row)]
struct Total<'x> {
    start: Millis,
    key: &'x str,
    value: i64,
}

fn put<'x>(c: &WindowContext<'x, &'x str, Total<'x>>, _: &(), value: i64) {
    c.emit(Total { start: Millis(c.window().start), key: c.key(), value });
}

pub fn define(job: &Env) {
    let values = timed(job, "input").key_value_by("key", |line| (field(line, 0), number(line, 2)));
    let size = duration(job, "window", 1000, "length of a window, or gap of a session, in milliseconds");
    let windows = values.window(match job.param_or("kind", "tumbling", "tumbling, sliding or session").as_str() {
        "sliding" => sliding(size, size / 2),
        "session" => session(size),
        _ => tumbling(size),
    });
    let windows = windows.allowed_lateness(duration(job, "lateness", 0, "how long a window takes late lines, in milliseconds"));
    let every = duration(job, "every", 100, "steps of a trigger, in milliseconds");
    let windows = match job.param_or("trigger", "none", "none or continuousEventTime").as_str() {
        "continuousEventTime" => windows.trigger(Trigger::every_event_time(every)),
        _ => windows,
    };
    let mut to = file_sink(job.param("output", "directory to write")).json();
    if job.param_or("updates", "final", "which rows are written: final or all") == "all" {
        to = to.all_updates();
    }
    if job.param_or("by", "sum", "what adds up: sum, an aggregate, or lines, a window function") == "lines" {
        let add = |_: &_, _: &_, sum: &mut i64, value: i64| *sum += value;
        windows.process_each("lines", (), || 0i64, add, put).uid("results").sink_to(to);
    } else {
        let sums = windows.aggregate("sum", || 0i64, |a, b| a + b, |a, b| a + b, |sum| sum);
        sums.uid("results").sink_to(to.columns(&["start", "key", "value"]));
    }
}
