//! The queries that keep a few bids of each group.

use crate::events::Nexmark;
use wasmill::prelude::*;

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Bid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: Text<'x>,
    url: Text<'x>,
    date_time: Millis,
    extra: Text<'x>,
}

#[derive(Clone, Row)]
struct Event<'x> {
    bid: Option<Bid<'x>>,
}

pub fn q18(n: &Nexmark) {
    let bids = n.timed::<EventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    let last = bids.key_by("bidder and auction", |b| (b.bidder(), b.auction())).reduce_to(
        "last",
        |a, b| match a.date_time().cmp(&b.date_time()) {
            std::cmp::Ordering::Less => b,
            std::cmp::Ordering::Equal if earlier(&b) < earlier(&a) => b,
            _ => a,
        },
        |_, last| last,
    );
    last.uid("last").sink_to(n.results());
}

/// Orders bids of one time.
fn earlier<'x>(b: &BidRef<'x>) -> (i64, Text<'x>, Text<'x>, Text<'x>) {
    (b.price(), b.channel(), b.url(), b.extra())
}

const HIGHEST: u32 = 10;

/// One of the highest bids for an auction.
#[derive(Clone, Row)]
struct Ranked<'x> {
    auction: i64,
    rank: i64,
    bid: Bid<'x>,
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct RankedBid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: Text<'x>,
    url: Text<'x>,
    date_time: Millis,
    extra: Text<'x>,
    #[row(name = "rank_number")]
    rank_number: i64,
}

/// Of bids of one price the earliest comes first, and of those at one time that whose other fields are smallest.
fn highest<'x>() -> Aggregate<Bid<'x>> {
    Bid::PRICE.top(HIGHEST).then(Bid::DATE_TIME).then(Bid::BIDDER).then(Bid::CHANNEL).then(Bid::URL).then(Bid::EXTRA)
}

pub fn q19(n: &Nexmark) {
    let bids = n.timed::<EventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    bids.key_by_field("auction", Bid::AUCTION)
        .aggregates([highest()])
        .uid("top")
        .map("ranks", |r: RankedRef| {
            let b = r.bid();
            RankedBid {
                auction: r.auction(),
                bidder: b.bidder(),
                price: b.price(),
                channel: b.channel(),
                url: b.url(),
                date_time: b.date_time(),
                extra: b.extra(),
                rank_number: r.rank(),
            }
        })
        .sink_to(n.results());
}
