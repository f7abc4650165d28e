//! The queries that count bids by day.

use crate::events::Nexmark;
use crate::times::{day, minute, window_of, DAY};
use std::borrow::Cow;
use wasmill::prelude::*;
use wasmill::KeyedStream;

/// 1 to 3 by price.
fn rank(price: i64) -> usize {
    match price {
        ..10_000 => 1,
        ..1_000_000 => 2,
        _ => 3,
    }
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Bid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: Text<'x>,
    date_time: Millis,
}

#[derive(Clone, Row)]
struct Event<'x> {
    bid: Option<Bid<'x>>,
}

/// A bid of a group, and of which sets its bidder and its auction are seen for the first time: bit 0 of all bids of the day, bits
/// 1 to 3 of those of a rank.
#[derive(Clone, Row)]
struct Seen<'x> {
    group: Text<'x>,
    bidder: i64,
    auction: i64,
    rank: i64,
    at: Millis,
    bidders: i64,
    auctions: i64,
}

/// What a day's bids of a group come to; of each four, the first is of all and the others of a rank.
#[derive(Clone, Row)]
struct Totals {
    latest: Millis,
    bids: List<i64>,
    bidders: List<i64>,
    auctions: List<i64>,
}

impl Totals {
    fn none() -> Totals {
        let zero = || List(vec![0; 4]);
        Totals { latest: Millis(i64::MIN), bids: zero(), bidders: zero(), auctions: zero() }
    }

    fn add(mut self, seen: Seen) -> Totals {
        self.latest = self.latest.max(seen.at);
        let sets = 1 | 1 << seen.rank;
        for (of, sets) in [(&mut self.bids, sets), (&mut self.bidders, seen.bidders), (&mut self.auctions, seen.auctions)] {
            (0..4).for_each(|i| of.0[i] += sets >> i & 1);
        }
        self
    }

    fn merge(mut self, other: Totals) -> Totals {
        self.latest = self.latest.max(other.latest);
        for (of, more) in [(&mut self.bids, other.bids), (&mut self.bidders, other.bidders), (&mut self.auctions, other.auctions)] {
            (0..4).for_each(|i| of.0[i] += more.0[i]);
        }
        self
    }
}

/// The statistics of each group and day. Who is there for the first time is found by bidder and by auction, which any number of
/// subtasks share; what is left to do for a group is to add.
fn statistics<'x>(n: &Nexmark<'_, 'x>, group: impl Fn(&BidRef<'x>) -> Text<'x> + 'static) -> Stream<'x, Windowed<Text<'x>, Totals>> {
    let bids = n.timed::<EventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    let bids = bids.map("group", move |b| Seen {
        group: group(&b),
        bidder: b.bidder(),
        auction: b.auction(),
        rank: rank(b.price()) as i64,
        at: b.date_time(),
        bidders: 0,
        auctions: 0,
    });
    let by_bidder = bids.key_by("bidder", |b| (b.group.clone(), window_of(b.at, DAY), b.bidder));
    let bids = first_seen(n, "bidders", by_bidder, |b, sets| b.bidders = sets);
    let by_auction = bids.key_by("auction of day", |b| (b.group.clone(), window_of(b.at, DAY), b.auction));
    let bids = first_seen(n, "auctions", by_auction, |b, sets| b.auctions = sets);
    let days = bids.key_value_by("by group", |b| (b.group.clone(), b)).window(tumbling(days(1)));
    days.aggregate("add up", Totals::none, Totals::add, Totals::merge, |t| t).uid("totals")
}

/// Marks the sets in which a key is for the first time.
fn first_seen<'x>(
    n: &Nexmark<'_, 'x>,
    name: &str,
    bids: KeyedStream<'x, (Text<'x>, i64, i64), Seen<'x>>,
    mark: impl Fn(&mut Seen<'x>, i64) + 'static,
) -> Stream<'x, Seen<'x>> {
    let seen = n.job.value_state::<i64>("seen");
    bids.process_timers(
        name,
        (&seen,),
        move |c, (seen,), mut b| {
            let (before, sets) = (seen.get(), 1 | 1 << b.rank);
            let new = sets & !before.unwrap_or(0);
            if before.is_none() {
                c.set_timer(window_of(b.at, DAY) + DAY);
            }
            if new != 0 {
                seen.set(before.unwrap_or(0) | sets);
            }
            mark(&mut b, new);
            c.emit(b);
        },
        |_, (seen,), _| seen.clear(),
    )
    .uid(name)
}

/// A struct of columns that ends in the twelve of the statistics, and how it is made.
macro_rules! statistics_row {
    ($row:ident { $($column:ident: $type:ty),+ }) => {
        #[derive(Clone, Row)]
        struct $row<'x> {
            $($column: $type,)+
            total_bids: i64,
            rank1_bids: i64,
            rank2_bids: i64,
            rank3_bids: i64,
            total_bidders: i64,
            rank1_bidders: i64,
            rank2_bidders: i64,
            rank3_bidders: i64,
            total_auctions: i64,
            rank1_auctions: i64,
            rank2_auctions: i64,
            rank3_auctions: i64,
        }

        impl<'x> $row<'x> {
            fn of($($column: $type,)+ t: &Totals) -> Self {
                let (bids, bidders, auctions) = (&t.bids.0, &t.bidders.0, &t.auctions.0);
                $row {
                    $($column,)+
                    total_bids: bids[0],
                    rank1_bids: bids[1],
                    rank2_bids: bids[2],
                    rank3_bids: bids[3],
                    total_bidders: bidders[0],
                    rank1_bidders: bidders[1],
                    rank2_bidders: bidders[2],
                    rank3_bidders: bidders[3],
                    total_auctions: auctions[0],
                    rank1_auctions: auctions[1],
                    rank2_auctions: auctions[2],
                    rank3_auctions: auctions[3],
                }
            }
        }
    };
}

statistics_row!(DayRow { day: Cow<'x, str> });
statistics_row!(ChannelRow { channel: Text<'x>, day: Cow<'x, str>, minute: Cow<'x, str> });

pub fn q15(n: &Nexmark) {
    let days = statistics(n, |_| Text::default());
    days.map("columns", |w| DayRow::of(day(Millis(w.window.start)).into(), &w.value)).sink_to(n.results());
}

pub fn q16(n: &Nexmark) {
    let days = statistics(n, |b| b.channel());
    days.map("columns", |w| ChannelRow::of(w.key, day(Millis(w.window.start)).into(), minute(w.value.latest).into(), &w.value))
        .sink_to(n.results());
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct PricedBid {
    auction: i64,
    price: i64,
    date_time: Millis,
}

#[derive(Clone, Row)]
struct PricedEvent {
    bid: Option<PricedBid>,
}

/// What the prices of an auction on a day come to.
#[derive(Clone, Row)]
struct Prices {
    bids: i64,
    rank1: i64,
    rank2: i64,
    rank3: i64,
    min: i64,
    max: i64,
    sum: i64,
}

impl Prices {
    fn none() -> Prices {
        Prices { bids: 0, rank1: 0, rank2: 0, rank3: 0, min: i64::MAX, max: i64::MIN, sum: 0 }
    }

    fn of(price: i64) -> Prices {
        let is = |r| i64::from(rank(price) == r);
        Prices { bids: 1, rank1: is(1), rank2: is(2), rank3: is(3), min: price, max: price, sum: price }
    }

    fn merge(self, b: Prices) -> Prices {
        Prices {
            bids: self.bids + b.bids,
            rank1: self.rank1 + b.rank1,
            rank2: self.rank2 + b.rank2,
            rank3: self.rank3 + b.rank3,
            min: self.min.min(b.min),
            max: self.max.max(b.max),
            sum: self.sum + b.sum,
        }
    }
}

#[derive(Clone, Row)]
struct AuctionDay {
    auction: i64,
    day: String,
    total_bids: i64,
    rank1_bids: i64,
    rank2_bids: i64,
    rank3_bids: i64,
    min_price: i64,
    max_price: i64,
    avg_price: i64,
    sum_price: i64,
}

pub fn q17(n: &Nexmark) {
    let bids = n.timed::<PricedEventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    let prices = bids.key_value_by("auction", |b| (b.auction(), b.price())).window(tumbling(days(1))).aggregate(
        "prices",
        Prices::none,
        |all, price| all.merge(Prices::of(price)),
        Prices::merge,
        |all| all,
    );
    prices
        .uid("prices")
        .map("columns", |w| AuctionDay {
            auction: w.key,
            day: day(Millis(w.window.start)),
            total_bids: w.value.bids,
            rank1_bids: w.value.rank1,
            rank2_bids: w.value.rank2,
            rank3_bids: w.value.rank3,
            min_price: w.value.min,
            max_price: w.value.max,
            avg_price: w.value.sum / w.value.bids,
            sum_price: w.value.sum,
        })
        .sink_to(n.results());
}
