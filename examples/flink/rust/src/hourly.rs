use crate::Shop;
use wasmill::prelude::*;
use wasmill::FileSink;

/// The orders of each item by the hour, with those that come up to five minutes late. Those that come later are kept apart.
pub fn hourly(from: &Shop, to: FileSink) {
    let late = from.job.side("late");
    let items = from.orders().key_by("item", |o| o.item());
    let hours = items.window(tumbling(hours(1))).allowed_lateness(mins(5)).late(&late);
    hours.count().uid("hourly").sink_to(to);
    late.stream().sink_to(print());
}
