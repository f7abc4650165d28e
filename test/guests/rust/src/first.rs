//! Lets the first lines of each key by, or of all, or one of those that are equal.

use crate::{field, lines, write};
use wasmill::prelude::*;

pub fn define(job: &Env) {
    let n = job.param_i64_or("n", 1, "how many lines are let by") as u32;
    let lines = lines(job, "input");
    let keyed = || lines.key_by("key", |line| field(line, 0));
    let some = match job.param_or("of", "key", "of what: key, all, distinct or value").as_str() {
        "key" => keyed().first("some", n),
        "all" => lines.first("some", n),
        "distinct" => keyed().distinct("some"),
        "value" => lines.distinct("some"),
        of => return job.refuse(&format!("parameter \"of\": {of:?} (expected key, all, distinct or value)")),
    };
    write(job, &some.uid("some"), "");
}
