//! Has all lines of two inputs meet that have the same key, whatever their times.

use crate::{field, lines, write};
use wasmill::prelude::*;

pub fn define(job: &Env) {
    let keyed = |input| lines(job, input).rebalance().key_by(&format!("{input} key"), |line| field(line, 0));
    let all = keyed("left").join(&keyed("right")).window(all_time());
    let all = match job.param_or("hint", "", "how it is done in batch mode").as_str() {
        "" => all,
        "repartitionSortMerge" => all.hint(JoinHint::RepartitionSortMerge),
        "repartitionHashFirst" => all.hint(JoinHint::RepartitionHashFirst),
        "repartitionHashSecond" => all.hint(JoinHint::RepartitionHashSecond),
        "broadcastHashFirst" => all.hint(JoinHint::BroadcastHashFirst),
        "broadcastHashSecond" => all.hint(JoinHint::BroadcastHashSecond),
        how => return job.refuse(&format!("parameter \"hint\": {how:?} (expected one of Flink's)")),
    };
    let met = match job.param_or("outer", "none", "whose lines come out alone: left, right, full or none").as_str() {
        "left" => all.left_outer().process("met", (), |c, _, l, r| c.emit(met(c.key(), Some(l), r))),
        "right" => all.right_outer().process("met", (), |c, _, l, r| c.emit(met(c.key(), l, Some(r)))),
        "full" => all.full_outer().process("met", (), |c, _, l, r| c.emit(met(c.key(), l, r))),
        _ => all.process("met", (), |c, _, l, r| c.emit(met(c.key(), Some(l), Some(r)))),
    };
    write(job, &met.uid("met"), "");
}

fn met(key: &str, left: Option<&str>, right: Option<&str>) -> String {
    let [left, right] = [left, right].map(|line| line.map_or("-", |line| field(line, 1)));
    format!("{key},{left},{right}")
}
