//! The queries that keep a few bids of each group.

use crate::events::Nexmark;
use crate::times::whole;
use std::cmp::Reverse;
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

/// Orders bids for an auction by price, the highest first, then by time, and if need be by what else they have.
fn higher<'x>(b: &BidRef<'x>) -> (Reverse<i64>, Millis, i64, Text<'x>, Text<'x>, Text<'x>) {
    (Reverse(b.price()), b.date_time(), b.bidder(), b.channel(), b.url(), b.extra())
}

pub fn q18(n: &Nexmark) {
    let bids = n.timed::<EventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    let last = bids.key_by("bidder and auction", |b| (b.bidder(), b.auction())).window(whole()).reduce_to(
        "last",
        |a, b| match a.date_time().cmp(&b.date_time()) {
            std::cmp::Ordering::Less => b,
            std::cmp::Ordering::Equal if earlier(&b) < earlier(&a) => b,
            _ => a,
        },
        |_, _, last| last,
    );
    last.uid("last").sink_to(n.results());
}

/// Orders bids of one time.
fn earlier<'x>(b: &BidRef<'x>) -> (i64, Text<'x>, Text<'x>, Text<'x>) {
    (b.price(), b.channel(), b.url(), b.extra())
}

const HIGHEST: usize = 10;

/// The highest bids for an auction, in their order.
#[derive(Clone, Row)]
struct Top<'x> {
    bids: List<BidRef<'x>>,
}

impl<'x> Top<'x> {
    fn add(mut self, bid: BidRef<'x>) -> Self {
        let bids = &mut self.bids.0;
        if bids.len() == HIGHEST && bids[HIGHEST - 1].price() > bid.price() {
            return self;
        }
        let rank = bids.partition_point(|other| higher(other) <= higher(&bid));
        bids.insert(rank, bid);
        bids.truncate(HIGHEST);
        self
    }
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

pub fn q19(n: &Nexmark) {
    let bids = n.timed::<EventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    let top = bids.key_by("auction", |b| b.auction()).window(whole()).aggregate(
        "top",
        || Top { bids: List(Vec::new()) },
        Top::add,
        |a, b| b.bids.0.into_iter().fold(a, Top::add),
        |top| top,
    );
    top.uid("top")
        .flat_map("ranks", |w: Windowed<i64, Top>| {
            w.value.bids.0.into_iter().zip(1..).map(|(b, rank_number)| RankedBid {
                auction: b.auction(),
                bidder: b.bidder(),
                price: b.price(),
                channel: b.channel(),
                url: b.url(),
                date_time: b.date_time(),
                extra: b.extra(),
                rank_number,
            })
        })
        .sink_to(n.results());
}
