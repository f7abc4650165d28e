//! Joins two inputs in windows of event time.

use crate::{duration, field, keyed, number, write};
use wasmill::prelude::*;

pub fn define(job: &Env) {
    let size = duration(job, "window", 300, "length of a window in milliseconds");
    let slide = duration(job, "slide", 0, "milliseconds between the beginnings of windows; 0: window");
    let window = if slide.is_zero() { tumbling(size) } else { sliding(size, slide) };
    let outer = job.param_or("outer", "", "whose lines come out without one of the other input: full or none");
    let shape = job.param_or("shape", "cogroup", "what comes out: cogroup, function or native");
    let (early, other) = (job.side("early"), job.side("other"));
    let met = keyed(job, "left").join(&keyed(job, "right")).window(window).late_left(&early).late_right(&other);
    match (shape.as_str(), outer.as_str()) {
        ("cogroup", "") => {
            let groups = met.co_group("together", (), |c, _, left, right| {
                let sums = [left, right].map(|lines| lines.iter().map(|line| number(line, 2)).sum::<i64>());
                c.emit(format!("{},{},{},{},{},{}", c.window().start, c.key(), left.len(), sums[0], right.len(), sums[1]));
            });
            write(job, &groups.uid("together"), "together");
        }
        ("function", "full") => {
            let pairs = met.full_outer().process("together", (), |c, _, left, right| c.emit(joined(left, right)));
            write(job, &pairs.uid("together"), "together");
        }
        ("native", "full") => {
            write(job, &met.full_outer().pairs().uid("together").map("lines", |p| joined(p.left, p.right)), "together");
        }
        _ => {
            job.refuse(&format!("parameters shape={shape} outer={outer} (expected cogroup without outer, or function or native with full)"))
        }
    }
    write(job, &early.stream(), "early");
    write(job, &other.stream(), "other");
}

fn joined(left: Option<&str>, right: Option<&str>) -> String {
    format!("{},{}", left.unwrap_or("-"), right.map_or("-", |line| field(line, 2)))
}
