//! Adds up numbers by key, and sweeps out all sums whenever a line is broadcast.

use crate::{field, lines, number, write};
use wasmill::prelude::*;
use wasmill::ReducingState;

pub fn define(job: &Env) {
    let (sum, sweeps) = (job.reducing_state("sum", |a: i64, b| a + b), job.broadcast_state::<&str, &str>("sweeps"));
    let numbers = lines(job, "input").key_value_by("key", |line| (field(line, 0), number(line, 1)));
    let swept = numbers.connect_broadcast(&lines(job, "sweeps")).process_timers_applying(
        "sweep",
        (&sum, &sweeps),
        |c, (sum, _), n| {
            sum.add(n);
            c.set_timer(i64::MAX - 1); // when both inputs have ended
        },
        |c, (sum, sweeps), line| {
            sweeps.put(line, line);
            c.apply_to_keys(sum);
        },
        |c, (sum, sweeps), line| match sweeps.get(line) {
            Some(_) => put_out(c, sum),
            None => fail("a line is applied that was not broadcast"),
        },
        |c, (sum, _), _| put_out(c, sum),
    );
    write(job, &swept.uid("sweep"), "");
}

/// Puts out what the key has, if it has something.
fn put_out<'x>(c: &Context<'x, &'x str, String>, sum: &ReducingState<'x, i64>) {
    if let Some(n) = sum.get() {
        c.emit(format!("{},{n}", c.key()));
        sum.clear();
    }
}
