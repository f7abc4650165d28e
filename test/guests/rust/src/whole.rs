//! Does something with all lines that a subtask has.

use crate::{lines, number, write};
use wasmill::prelude::*;

#[derive(Clone, Row)]
struct Line<'x> {
    number: i64,
    id: i64,
    text: &'x str,
}

pub fn define(job: &Env) {
    let lines = lines(job, "input").rebalance();
    match job.param_or("of", "sort", "what is done: sort, fields, range, map, reduce, aggregate or keys").as_str() {
        "sort" => {
            let sorted = lines.sort_partition("whole", |line| number(line, 0), Direction::Ascending);
            write(job, &sorted.uid("whole"), "");
        }
        "fields" => {
            let rows = lines.map("row", |line| Line { number: number(line, 0), id: number(line, 1), text: line });
            let sorted = rows.sort_partition_by("whole", [Line::NUMBER.descending(), Line::ID.ascending()]);
            write(job, &sorted.uid("whole").map("text", |row| row.text), "");
        }
        "range" => {
            let ranged = lines.partition_range_sampled("ranged", |line| number(line, 0));
            let sorted = ranged.sort_partition("whole", |line| number(line, 0), Direction::Ascending);
            write(job, &sorted.uid("whole"), "");
        }
        "map" => {
            let mapped = lines.map_partition(
                "whole",
                (),
                || (0, 0),
                |c, _, (lines, sum), line| {
                    *lines += 1;
                    *sum += number(line, 0);
                    if *lines % 100 == 0 {
                        c.emit(line.to_string());
                    }
                },
                |c, _, (lines, sum)| c.emit(format!("end,{lines},{sum}")),
            );
            write(job, &mapped.uid("whole"), "");
        }
        "reduce" => {
            let owned = lines.map("owned", |line| line.to_string());
            let add = |a: String, b: String| {
                let sum = |i| number(&a, i) + number(&b, i);
                format!("{},{}", sum(0), sum(1))
            };
            write(job, &owned.reduce_partition("whole", add).uid("whole"), "");
        }
        "keys" => {
            let keys = lines.key_by("seventh", |line| number(line, 1) / 7).window(full_window());
            write(job, &keys.sort("whole", |line| number(line, 0), Direction::Ascending).uid("whole"), "");
        }
        "aggregate" => {
            let add = |all: &mut (i64, i64), line: &str| *all = (all.0 + 1, all.1 + number(line, 0));
            let told = lines.aggregate_partition("whole", || (0, 0), add, |(lines, sum)| format!("end,{lines},{sum}"));
            write(job, &told.uid("whole"), "");
        }
        of => job.refuse(&format!("parameter \"of\": {of:?} (expected sort, fields, range, map, reduce, aggregate or keys)")),
    }
}
