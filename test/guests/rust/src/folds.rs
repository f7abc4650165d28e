//! Adds up values in sliding windows, and folds all values of a key in their order.

use crate::{duration, field, number, timed, write};
use wasmill::prelude::*;

pub fn define(job: &Env) {
    let size = duration(job, "window", 1000, "length of a window in milliseconds");
    let slide = duration(job, "slide", 500, "milliseconds between the beginnings of windows");
    let numbers = timed(job, "input").key_value_by("number", |line| (field(line, 0), number(line, 2)));
    let results = format!("{}/results", job.param("output", "directory to write"));
    let sums = numbers.window(sliding(size, slide)).sum().uid("sums");
    sums.sink_to(file_sink(results).columns(&["start", "key", "value"]));
    let chains = numbers.fold("chain", String::new, |chain, value| format!("{chain}{value};"), |chain| chain);
    write(job, &chains.uid("chains"), "chains");
}
