//! Is wrong in the way that the parameter what says. Each must be told of before it runs, or at its first records. Two are not wrong:
//! global counts, and offset has windows that begin before the multiples of their size.

use crate::{lines, write};
use core::cell::Cell;
use core::time::Duration;
use wasmill::prelude::*;
use wasmill::WindowedStream;

#[derive(Clone, Row)]
struct Pair<'x> {
    word: &'x str,
    other: &'x str,
}

fn counted<'x>(windows: WindowedStream<'x, &'x str, &'x str>) {
    windows.count().name("counts").uid("c").sink_to(blackhole());
}

pub fn define(job: &Env) {
    let all = lines(job, "input").assign_timestamps("times", |line| 3_600_000 * line.len() as i64, millis(0));
    let by = || all.key_by("whose", |line| *line);
    match job.param("what", "in which way").as_str() {
        "uid" => drop(by().count().sink_to(blackhole())),
        "window" => counted(by().window(tumbling(millis(0)))),
        "slide" => counted(by().window(sliding(secs(1), mins(1)))),
        "gap" => counted(by().window(session(millis(0)))),
        "records" => drop(by().count_window(0).count().uid("c").sink_to(blackhole())),
        "fraction" => counted(by().window(tumbling(Duration::from_micros(1500)))),
        "trigger" => counted(by().window(global())),
        "lateness" => counted(by().window(tumbling(secs(1)).processing_time()).allowed_lateness(secs(1))),
        "bounds" => {
            let words = by();
            words.interval_join(&words).between(1000, -1000).pairs().name("near").uid("j").sink_to(blackhole());
        }
        "alltime" => {
            let words = by();
            words.join(&words).window(all_time()).allowed_lateness(secs(1)).pairs().name("all").uid("j").sink_to(blackhole());
        }
        "codec" => drop(by().sum().uid("sum").sink_to(blackhole())),
        "rows" => drop(by().aggregates::<PairRef>([Aggregate::count()]).name("rows").uid("rows").sink_to(blackhole())),
        "state" => {
            let last = job.value_state::<i64>("last");
            all.process("states", &last, |c, last, line| c.emit(last.get().map_or(line, |_| ""))).uid("s").sink_to(blackhole());
        }
        "ttl" => {
            let last = job.value_state::<i64>("last").ttl(Duration::from_micros(500));
            by().process("forgets", &last, |c, _, line| c.emit(line)).uid("f").sink_to(blackhole());
        }
        "timer" => {
            let alarm = by().process::<_, &str>("alarm", (), |c, _, _| c.set_timer(0));
            alarm.uid("a").sink_to(blackhole());
        }
        "key" => {
            let asked = Cell::new(0);
            let fickle = move |_: &&str| {
                asked.set(asked.get() + 1);
                asked.get()
            };
            all.key_by("fickle", fickle).count().uid("c").sink_to(blackhole());
        }
        "endless" => {
            all.sink_to(blackhole());
            counted(job.source(generator()).key_by("whose", |line| *line).window(full_window()));
        }
        "global" => write(job, &by().window(global()).trigger(Trigger::at_count(2).purging()).count().uid("g"), ""),
        "offset" => write(job, &by().window(tumbling(days(1)).offset_before(hours(8))).count().uid("o"), ""),
        what => job.refuse(&format!("parameter \"what\": {what:?}")),
    }
    job.param_or("output", "", "directory to write, of those that are not wrong");
}
