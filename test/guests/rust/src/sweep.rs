//! Adds up numbers by key, and sweeps out all sums whenever a line is broadcast.

use crate::{field, lines, number, write};
use wasmill::prelude::*;
use wasmill::{ListState, MapState, OfKeys, ReducingState, Uses};

pub fn define(job: &Env) {
    match job.param_or("keep", "sum", "how numbers are kept: sum, list or map").as_str() {
        "sum" => sweep(job, &job.reducing_state("sum", |a: i64, b| a + b)),
        "list" => sweep(job, &job.list_state::<i64>("sum")),
        "map" => sweep(job, &job.map_state::<i64, i64>("sum")),
        keep => job.refuse(&format!("parameter \"keep\": {keep:?} (expected sum, list or map)")),
    }
}

fn sweep<'x, U: Uses<'x, Handles: Kept>>(job: &Env<'x>, kept: U) {
    let sweeps = job.broadcast_state::<&str, &str>("sweeps");
    let numbers = lines(job, "input").key_value_by("key", |line| (field(line, 0), number(line, 1)));
    let swept = numbers.connect_broadcast(&lines(job, "sweeps")).process_timers_applying(
        "sweep",
        (kept, &sweeps),
        |c, (kept, _), n| {
            kept.add_number(n);
            c.set_timer(i64::MAX - 1); // when both inputs have ended
        },
        |c, (kept, sweeps), line| {
            sweeps.put(line, line);
            c.apply_to_keys(kept);
        },
        |c, (kept, sweeps), line| match sweeps.get(line) {
            Some(_) => put_out(c, kept),
            None => fail("a line is applied that was not broadcast"),
        },
        |c, (kept, _), _| put_out(c, kept),
    );
    write(job, &swept.uid("sweep"), "");
}

/// Puts out what the key has, if it has something: every number is above 0.
fn put_out<'x>(c: &Context<'x, &'x str, String>, kept: &impl Kept) {
    match kept.take() {
        0 => {}
        sum => c.emit(format!("{},{sum}", c.key())),
    }
}

/// The numbers of a key.
trait Kept: OfKeys {
    fn add_number(&self, n: i64);
    /// Takes their sum away.
    fn take(&self) -> i64;
}

impl<'x> Kept for ReducingState<'x, i64> {
    fn add_number(&self, n: i64) {
        self.add(n);
    }

    fn take(&self) -> i64 {
        let sum = self.get().unwrap_or(0);
        self.clear();
        sum
    }
}

impl<'x> Kept for ListState<'x, i64> {
    fn add_number(&self, n: i64) {
        self.add(n);
    }

    fn take(&self) -> i64 {
        let sum = self.iter().sum();
        self.clear();
        sum
    }
}

/// How often there was each.
impl<'x> Kept for MapState<'x, i64, i64> {
    fn add_number(&self, n: i64) {
        self.put(n, self.get(n).unwrap_or(0) + 1);
    }

    fn take(&self) -> i64 {
        let sum = self.iter().map(|(n, times)| n * times).sum();
        self.clear();
        sum
    }
}
