use crate::Shop;
use wasmill::FileSink;

/// The running revenue of each item.
pub fn revenue(from: &Shop, to: FileSink) {
    from.orders().key_value_by("item", |o| (o.item(), o.amount())).sum().uid("revenue").sink_to(to);
}
