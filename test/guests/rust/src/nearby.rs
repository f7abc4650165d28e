//! Joins two inputs by key and by how near their times are.

use crate::{field, flag, keyed, write};
use wasmill::prelude::*;

pub fn define(job: &Env) {
    let (left, right) = (keyed(job, "left"), keyed(job, "right"));
    let lower = job.param_i64_or("lower", -200, "first time that meets, in milliseconds");
    let upper = job.param_i64_or("upper", 300, "time behind the last that meets, in milliseconds");
    let (early, other) = (job.side("early"), job.side("other"));
    let near = left.interval_join(&right).between(lower, upper).upper_bound_exclusive().late_left(&early).late_right(&other);
    if flag(job, "native", "not empty: the host makes the pairs") {
        write(job, &near.pairs().uid("nearby").map("lines", |p| joined(p.left, p.right)), "joined");
    } else {
        let met = near.process("nearby", (), |c, _, left: &str, right: &str| {
            if [field(left, 0), field(right, 0)] != [c.key(); 2] || c.timestamp() != c.left_timestamp().max(c.right_timestamp()) {
                fail("lines of another key or time");
            }
            c.emit(joined(left, right));
        });
        write(job, &met.uid("nearby"), "joined");
    }
    write(job, &early.stream(), "early");
    write(job, &other.stream(), "other");
}

fn joined(left: &str, right: &str) -> String {
    format!("{left},{}", field(right, 2))
}
