use crate::{Order, Shop};
use wasmill::prelude::*;
use wasmill::FileSink;

#[derive(Clone, Row)]
struct Sold<'x> {
    start: Millis,
    end: Millis,
    item: &'x str,
    amount: i64,
}

#[derive(Clone, Row)]
struct Hour {
    start: Millis,
}

#[derive(Clone, Row)]
struct Ranked<'x> {
    start: Millis,
    rank: i64,
    sold: Sold<'x>,
}

/// The three items of the most revenue in each hour.
pub fn top(from: &Shop, to: FileSink) {
    let hours = from.orders().key_by_field("item", Order::ITEM).window(tumbling(hours(1)));
    let items = hours.aggregates::<SoldRef>([Order::AMOUNT.sum().named("amount")]).name("sold").uid("sold");
    let ranked = items.key_by_fields::<Hour>("hour", Sold::START).aggregates::<RankedRef>([Sold::AMOUNT.top(3).named("sold")]);
    ranked.name("top").uid("top").sink_to(to.json());
}
