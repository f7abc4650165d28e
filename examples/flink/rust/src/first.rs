use crate::Shop;
use wasmill::prelude::*;
use wasmill::FileSink;

/// The first order of each user in a day.
pub fn first(from: &Shop, to: FileSink) {
    let seen = from.job.value_state("seen").ttl(hours(24)); // the last day with an order
    let firsts = from.orders().key_by("user", |o| o.user()).process("first", &seen, |c, seen, o| {
        let day = c.timestamp() / 86_400_000;
        if seen.get().is_none_or(|last| last < day) {
            seen.set(day);
            c.emit(format!("{} {}", o.user(), o.item()));
        }
    });
    firsts.uid("first").sink_to(to);
}
