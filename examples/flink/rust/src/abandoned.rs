use crate::Shop;
use wasmill::FileSink;

/// The clicks after which the user orders nothing for an hour: two inputs, state, and timers.
pub fn abandoned(from: &Shop, to: FileSink) {
    const HOUR: i64 = 3_600_000;
    let clicked = from.job.map_state::<i64, &str>("clicked"); // items, by the time at which they are given up
    let ordered = from.job.map_state::<i64, i64>("ordered"); // amounts, by time
    let clicks = from.clicks().key_by("who clicks", |c| c.user());
    let orders = from.orders().key_by("who orders", |o| o.user());
    let left = clicks.connect(&orders).process_timers(
        "abandoned",
        (&clicked, &ordered),
        |c, (clicked, _), click| {
            clicked.put(c.timestamp() + HOUR, click.item());
            c.set_timer(c.timestamp() + HOUR);
        },
        |c, (_, ordered), order| {
            ordered.put(c.timestamp(), order.amount());
            c.set_timer(c.timestamp() + HOUR);
        },
        |c, (clicked, ordered), t| {
            let bought = ordered.iter().any(|(at, _)| at > t.time - HOUR && at <= t.time);
            if let Some(item) = clicked.get(t.time).filter(|_| !bought) {
                c.emit(format!("{} left {item}", c.key()));
            }
            clicked.remove(t.time);
            ordered.remove(t.time - HOUR);
        },
    );
    left.uid("abandoned").sink_to(to);
}
