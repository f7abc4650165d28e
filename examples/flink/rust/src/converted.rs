use crate::Shop;
use wasmill::prelude::*;
use wasmill::FileSink;

/// For each item and hour the clicks and the orders, where there was either.
pub fn converted(from: &Shop, to: FileSink) {
    let clicks = from.clicks().key_by("clicked", |c| c.item());
    let orders = from.orders().key_by("ordered", |o| o.item());
    let rates = clicks.join(&orders).window(tumbling(hours(1))).co_group("converted", (), |c, _, clicks, orders| {
        c.emit(format!("{} {}: {} of {}", c.window().start, c.key(), orders.len(), clicks.len()));
    });
    rates.uid("converted").sink_to(to);
}
