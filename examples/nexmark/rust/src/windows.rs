//! The queries with windows of time.

use crate::events::Nexmark;
use crate::times::{window_of, SECOND};
use wasmill::prelude::*;

const SIZE: i64 = 10 * SECOND;

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct AuctionBid {
    auction: i64,
    date_time: Millis,
}

#[derive(Clone, Row)]
struct AuctionBidEvent {
    bid: Option<AuctionBid>,
}

/// The auctions that have the most bids of a window.
#[derive(Clone, Row)]
struct Most {
    num: i64,
    auctions: List<i64>,
}

impl Most {
    fn merge(mut self, other: Most) -> Most {
        match self.num.cmp(&other.num) {
            std::cmp::Ordering::Less => return other,
            std::cmp::Ordering::Equal => self.auctions.0.extend(other.auctions.0),
            std::cmp::Ordering::Greater => {}
        }
        self
    }
}

#[derive(Clone, Row)]
struct AuctionCount {
    auction: i64,
    num: i64,
}

pub fn q5(n: &Nexmark) {
    let bids = n.timed::<AuctionBidEventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    let counts = bids.key_by("auction", |b| b.auction()).window(sliding(secs(10), secs(2))).count().uid("counts");
    // the counts of a window have its last moment as their time, which is in one of these
    let most = counts.key_by("window", |c| c.window.end).window(tumbling(secs(2))).aggregate(
        "most",
        || Most { num: 0, auctions: List(Vec::new()) },
        |most, count| most.merge(Most { num: count.value, auctions: List(vec![count.key]) }),
        Most::merge,
        |most| most,
    );
    most.uid("most")
        .flat_map("auctions", |w: Windowed<i64, Most>| {
            let num = w.value.num;
            w.value.auctions.0.into_iter().map(move |auction| AuctionCount { auction, num })
        })
        .sink_to(n.results());
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Bid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    date_time: Millis,
    extra: Text<'x>,
}

#[derive(Clone, Row)]
struct Event<'x> {
    bid: Option<Bid<'x>>,
}

/// A bid that may be among the highest of the window that begins at `start`. One of the moment when the window ends counts if it
/// has the price of those in the window, and does not itself make that price.
#[derive(Clone, Row)]
struct Candidate<'x> {
    start: i64,
    bid: BidRef<'x>,
}

impl<'x> Candidate<'x> {
    fn of(bid: BidRef<'x>) -> impl Iterator<Item = Self> {
        let start = window_of(bid.date_time(), SIZE);
        let before = (bid.date_time().0 == start).then_some(start - SIZE);
        std::iter::once(start).chain(before).map(move |start| Candidate { start, bid })
    }
}

/// The highest bids of the windows of each shard are found first, so that not all bids of a time meet in one subtask.
pub fn q7(n: &Nexmark) {
    const SHARDS: i64 = 64;
    let bids = n.timed::<EventRef>(&["bid"]).flat_map("candidates", |e| e.bid().into_iter().flat_map(Candidate::of));
    let of_shards = highest(n, "highest of shards", bids.key_by("shard", |c| (c.start, c.bid.auction() % SHARDS)), true);
    let of_all = highest(n, "highest", of_shards.key_by("window", |c| (c.start, 0)), false);
    of_all.map("bid", |c| c.bid).sink_to(n.results());
}

/// The candidates at the highest price of each key. Those of the end of a window stay candidates in a part of it.
fn highest<'x>(
    n: &Nexmark<'_, 'x>,
    name: &str,
    candidates: wasmill::KeyedStream<'x, (i64, i64), Candidate<'x>>,
    part: bool,
) -> Stream<'x, Candidate<'x>> {
    let price = n.job.value_state::<i64>("price");
    let bids = n.job.list_state::<BidRef>("bids");
    let at_end = n.job.list_state::<BidRef>("bids at the end");
    candidates
        .process_timers(
            name,
            (&price, &bids, &at_end),
            |c, (price, bids, at_end), candidate| {
                let (end, bid) = (candidate.start + SIZE, candidate.bid);
                c.set_timer(end);
                if bid.date_time().0 == end {
                    return at_end.add(bid);
                }
                let highest = price.get().unwrap_or(i64::MIN);
                if bid.price() > highest {
                    bids.clear();
                    price.set(bid.price());
                }
                if bid.price() >= highest {
                    bids.add(bid);
                }
            },
            move |c, (price, bids, at_end), timer| {
                let (start, highest) = (timer.time - SIZE, price.get());
                let at_end_too = at_end.iter().filter(|b| part || Some(b.price()) == highest);
                bids.iter().chain(at_end_too).for_each(|bid| c.emit(Candidate { start, bid }));
                price.clear();
                bids.clear();
                at_end.clear();
            },
        )
        .uid(name)
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Person<'x> {
    id: i64,
    name: Text<'x>,
    date_time: Millis,
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Sale {
    seller: i64,
    date_time: Millis,
}

#[derive(Clone, Row)]
struct ArrivalEvent<'x> {
    person: Option<Person<'x>>,
    auction: Option<Sale>,
}

#[derive(Clone, Row)]
struct NewSeller<'x> {
    id: i64,
    name: Text<'x>,
    stime: Millis,
}

pub fn q8(n: &Nexmark) {
    let sells = n.job.value_state::<i64>("sells");
    let names = n.job.list_state::<Text>("names");
    let arrivals = n.timed::<ArrivalEventRef>(&["person", "auction"]).flat_map("arrivals", |e| {
        let of_person = |p: PersonRef| (p.id(), window_of(p.date_time(), SIZE));
        let of_sale = |s: SaleRef| (s.seller(), window_of(s.date_time(), SIZE));
        e.person().map(of_person).or(e.auction().map(of_sale)).map(|(id, start)| (id, start, e))
    });
    arrivals
        .key_value_by("person and window", |(id, start, e)| ((id, start), e))
        .process_timers(
            "sellers",
            (&sells, &names),
            |c, (sells, names), e| {
                let (id, start) = c.key();
                let emit = |name| c.emit(NewSeller { id, name, stime: Millis(start) });
                c.set_timer(start + SIZE - 1);
                match e.person() {
                    Some(p) if names.iter().all(|name| name != p.name()) => {
                        names.add(p.name());
                        if sells.get().is_some() {
                            emit(p.name());
                        }
                    }
                    None if sells.get().is_none() => {
                        sells.set(1);
                        names.iter().for_each(emit);
                    }
                    _ => {}
                }
            },
            |_, (sells, names), _| {
                sells.clear();
                names.clear();
            },
        )
        .uid("sellers")
        .sink_to(n.results());
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct BidderBid {
    bidder: i64,
    date_time: Millis,
}

#[derive(Clone, Row)]
struct BidderBidEvent {
    bid: Option<BidderBid>,
}

#[derive(Clone, Row)]
struct BidderCount {
    bidder: i64,
    bid_count: i64,
    starttime: Millis,
    endtime: Millis,
}

pub fn q11(n: &Nexmark) {
    by_bidder(n, session(secs(10)));
}

pub fn q12(n: &Nexmark) {
    by_bidder(n, tumbling(secs(10)).processing_time());
}

fn by_bidder(n: &Nexmark, windows: wasmill::TimeWindow) {
    let bids = n.timed::<BidderBidEventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    let counts = bids.key_by("bidder", |b| b.bidder()).window(windows).count().uid("counts");
    counts
        .map("columns", |c| BidderCount {
            bidder: c.key,
            bid_count: c.value,
            starttime: Millis(c.window.start),
            endtime: Millis(c.window.end),
        })
        .sink_to(n.results());
}
