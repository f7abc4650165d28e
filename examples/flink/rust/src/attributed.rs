use crate::Shop;
use wasmill::prelude::*;
use wasmill::FileSink;

/// For each order the clicks of the same user in the quarter of an hour before it.
pub fn attributed(from: &Shop, to: FileSink) {
    let clicks = from.clicks().key_by("who clicks", |c| c.user());
    let orders = from.orders().key_by("who orders", |o| o.user());
    let near = clicks.interval_join(&orders).between(0, mins(15).as_millis() as i64);
    let attributed = near.process("attributed", (), |c, _, click, order| {
        c.emit(format!("{} ordered {} after {}", c.key(), order.item(), click.item()));
    });
    attributed.uid("attributed").sink_to(to);
}
