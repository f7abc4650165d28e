use crate::Shop;
use wasmill::prelude::*;
use wasmill::FileSink;

/// What an item was sold for, on average, in the hour before each five minutes.
pub fn average(from: &Shop, to: FileSink) {
    let items = from.orders().key_value_by("item", |o| (o.item(), o.amount()));
    let averages = items.window(sliding(hours(1), mins(5))).aggregate(
        "average",
        || (0, 0),
        |(sum, n), amount| (sum + amount, n + 1),
        |a: (i64, i64), b| (a.0 + b.0, a.1 + b.1),
        |(sum, n)| sum as f64 / n as f64,
    );
    averages.uid("average").sink_to(to);
}
