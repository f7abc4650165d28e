//! Manifests have whole milliseconds. What a definition says beyond these would be lost, so it is refused, with the call and the
//! operator.

use crate::prelude::*;
use crate::testing::Job;
use crate::{KeyedStream, Requests, TimeWindow};
use core::time::Duration;

const ODD: Duration = Duration::from_micros(1500);

fn keyed<'x>(job: &Env<'x>) -> KeyedStream<'x, &'x str, &'x str> {
    job.source(files("x")).key_by("key", |s| *s)
}

fn counted<'x>(job: &Env<'x>, w: TimeWindow) {
    keyed(job).window(w).count().name("n").uid("n").sink_to(print());
}

fn asked(job: &Env, how: Requests) {
    let answered = job.source(files("x")).async_wait("ask", how, |_: &str| None, |c, word, _| c.emit(word));
    answered.uid("a").sink_to(print());
}

type Define = for<'a, 'b> fn(&'a Env<'b>);

#[test]
fn durations_are_whole_milliseconds() {
    let all: [(&str, Define); 14] = [
        ("operator \"n\": 1.5ms in tumbling", |job| counted(job, tumbling(ODD))),
        ("operator \"n\": 1.5ms in sliding", |job| counted(job, sliding(ODD, millis(1)))),
        ("operator \"n\": 1ns in the slide of sliding", |job| counted(job, sliding(secs(1), Duration::from_nanos(1)))),
        ("operator \"n\": 1.5ms in offset", |job| counted(job, tumbling(secs(1)).offset_before(ODD))),
        ("operator \"n\": 500µs in session", |job| counted(job, session(Duration::from_micros(500)))),
        ("operator \"n\": 1.5ms in allowed_lateness", |job| {
            keyed(job).window(tumbling(secs(1))).allowed_lateness(ODD).count().name("n").uid("n").sink_to(print());
        }),
        ("operator \"n\": 1.5ms in the trigger", |job| {
            keyed(job).window(global()).trigger(Trigger::every_event_time(ODD)).count().name("n").uid("n").sink_to(print());
        }),
        ("function \"p\": 500µs in ttl of state \"v\"", |job| {
            let v = job.value_state::<i64>("v").ttl(Duration::from_micros(500));
            keyed(job).process("p", &v, |c, _, line: &str| c.emit(line)).uid("p").sink_to(print());
        }),
        ("operator \"times\": 1.5ms in out_of_order", |job| {
            job.source(files("x")).assign_timestamps("times", |_| 0, ODD).sink_to(print());
        }),
        ("operator \"times\": 1.5ms in idleness", |job| {
            job.source(files("x")).assign_timestamps("times", |_| 0, millis(0)).idleness(ODD).sink_to(print());
        }),
        ("operator \"times\": 1.5ms in alignment", |job| {
            job.source(files("x")).assign_timestamps("times", |_| 0, millis(0)).alignment("g", ODD).sink_to(print());
        }),
        ("operator \"ask\": 1.5ms in timeout", |job| asked(job, ordered(&["a:1"]).timeout(ODD))),
        ("operator \"ask\": 1.5ms in the delay of retries", |job| asked(job, ordered(&["a:1"]).fixed_delay(2, ODD))),
        ("distinct \"d\": a key is forgotten after 1.5ms", |job| {
            keyed(job).distinct_within("d", ODD).uid("d").sink_to(print());
        }),
    ];
    for (want, define) in all {
        let problems = Job::describe("odd", define, &[]).err().expect(want);
        assert!(problems.starts_with(want) && problems.contains("(expected whole milliseconds"), "{problems}, not {want}");
    }
}

/// Problems are told together, in the order of the graph, whenever they are found.
#[test]
fn problems_are_told_in_the_order_of_the_graph() {
    let problems = Job::describe(
        "odd",
        |job| {
            let keyed = job.source(files("x")).assign_timestamps("times", |_| 0, ODD).key_by("key", |s| *s);
            keyed.count().name("first").sink_to(print()).parallelism(0);
            let last = job.value_state::<i64>("last").ttl(ODD);
            keyed.process("second", &last, |c, _, line: &str| c.emit(line)).uid("p").sink_to(print());
            keyed.window(tumbling(ODD)).count().name("third").uid("w").sink_to(print());
            keyed.window(global()).trigger(Trigger::at_count(2)).count().name("fourth").sink_to(print());
        },
        &[],
    );
    let problems = problems.err().unwrap();
    let mut rest = problems.as_str();
    for want in [
        "operator \"times\": 1.5ms in out_of_order",
        "operator \"first\" keeps state and has no uid",
        "parallelism 0",
        "function \"second\": 1.5ms in ttl of state \"last\"",
        "operator \"third\": 1.5ms in tumbling",
        "operator \"fourth\" keeps state and has no uid",
    ] {
        rest = rest.split_once(want).unwrap_or_else(|| panic!("{problems}\nlacks {want}, or has it too early")).1;
    }
}
