use crate::{OrderRef, Shop};
use wasmill::prelude::*;
use wasmill::FileSink;

#[derive(Clone, Row)]
pub struct Item<'x> {
    item: &'x str,
    category: &'x str,
}

/// The category of each order's item, from a table of which every subtask has a copy. An order waits until event time says that the
/// table has been read.
pub fn categories(from: &Shop, to: FileSink) {
    let table = from.job.broadcast_state::<&str, &str>("table");
    let waiting = from.job.list_state::<OrderRef>("waiting");
    let orders = from.orders().key_by("user", |o| o.user());
    let said = orders.connect_broadcast(&from.items()).process_timers(
        "categories",
        (&table, &waiting),
        |c, (_, waiting), order| {
            waiting.add(order);
            c.set_timer(c.timestamp());
        },
        |_, (table, _), i| table.put(i.item(), i.category()),
        |c, (table, waiting), _| {
            for o in waiting.iter() {
                c.emit(format!("{} {} {}", o.user(), o.item(), table.get(o.item()).unwrap_or("")));
            }
            waiting.clear();
        },
    );
    said.uid("categories").sink_to(to);
}
