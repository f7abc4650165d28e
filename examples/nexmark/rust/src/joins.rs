//! The queries that join kinds of events, without windows: what has come of a key waits for what else comes.

use crate::events::Nexmark;
use wasmill::prelude::*;

#[derive(Clone, Row)]
struct Person<'x> {
    id: i64,
    name: Text<'x>,
    city: Text<'x>,
    state: Text<'x>,
}

#[derive(Clone, Row)]
struct Sale {
    id: i64,
    seller: i64,
    category: i64,
}

#[derive(Clone, Row)]
struct SaleEvent<'x> {
    person: Option<Person<'x>>,
    auction: Option<Sale>,
}

#[derive(Clone, Row)]
struct SellerRow<'x> {
    name: Text<'x>,
    city: Text<'x>,
    state: Text<'x>,
    id: i64,
}

pub fn q3(n: &Nexmark) {
    let people = n.job.list_state::<PersonRef>("people");
    let auctions = n.job.list_state::<i64>("auctions");
    let wanted = n.events::<SaleEventRef>().filter("category and state", |e| match e.person() {
        Some(p) => matches!(p.state().as_bytes(), b"OR" | b"ID" | b"CA"),
        None => e.auction().is_some_and(|a| a.category() == 10),
    });
    wanted
        .key_by("seller", |e| e.person().map_or_else(|| e.auction().map_or(0, |a| a.seller()), |p| p.id()))
        .process("join", (&people, &auctions), |c, (people, auctions), e| {
            if let Some(p) = e.person() {
                auctions.iter().for_each(|id| c.emit(seller_row(p, id)));
                people.add(p);
            } else if let Some(a) = e.auction() {
                people.iter().for_each(|p| c.emit(seller_row(p, a.id())));
                auctions.add(a.id());
            }
        })
        .uid("join")
        .sink_to(n.results());
}

fn seller_row<'x>(p: PersonRef<'x>, id: i64) -> SellerRow<'x> {
    SellerRow { name: p.name(), city: p.city(), state: p.state(), id }
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct ShortBid {
    auction: i64,
    bidder: i64,
    price: i64,
    date_time: Millis,
}

#[derive(Clone, Row)]
struct ShortBidEvent {
    bid: Option<ShortBid>,
}

#[derive(Clone, Row)]
struct Entry<'x> {
    key: i64,
    value: Text<'x>,
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct ValueBid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    date_time: Millis,
    value: Text<'x>,
}

/// q13 with a table of a file: bids wait until it has been read.
pub fn q13(n: &Nexmark, side: &str) {
    let value = n.job.value_state::<Text>("value");
    let early = n.job.list_state::<ShortBidRef>("early");
    let table = n.job.source(json_files::<EntryRef>(side)).name("table");
    let bids = n.events::<ShortBidEventRef>().flat_map("bids", |e| e.bid()).key_by("key", |b| b.auction() % 10_000);
    bids.connect(&table.key_by("table key", |entry| entry.key()))
        .process(
            "lookup",
            (&value, &early),
            |c, (value, early), b| match value.get() {
                Some(value) => c.emit(value_bid(b, value)),
                None => early.add(b),
            },
            |c, (value, early), entry| {
                early.iter().for_each(|b| c.emit(value_bid(b, entry.value())));
                early.clear();
                value.set(entry.value());
            },
        )
        .uid("lookup")
        .sink_to(n.results());
}

fn value_bid<'x>(b: ShortBidRef<'x>, value: Text<'x>) -> ValueBid<'x> {
    ValueBid { auction: b.auction(), bidder: b.bidder(), price: b.price(), date_time: b.date_time(), value }
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Auction<'x> {
    id: i64,
    item_name: Text<'x>,
    description: Text<'x>,
    initial_bid: i64,
    reserve: i64,
    date_time: Millis,
    expires: Millis,
    seller: i64,
    category: i64,
    extra: Text<'x>,
}

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
struct AuctionEvent<'x> {
    auction: Option<Auction<'x>>,
    bid: Option<Bid<'x>>,
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct AuctionOfBid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: Text<'x>,
    url: Text<'x>,
    #[row(name = "bid_dateTime")]
    bid_date_time: Millis,
    #[row(name = "bid_extra")]
    bid_extra: Text<'x>,
    item_name: Text<'x>,
    description: Text<'x>,
    initial_bid: i64,
    reserve: i64,
    #[row(name = "auction_dateTime")]
    auction_date_time: Millis,
    expires: Millis,
    seller: i64,
    category: i64,
    #[row(name = "auction_extra")]
    auction_extra: Text<'x>,
}

/// The auctions of an id. There is hardly more than one: as a value, they come along with each bid.
#[derive(Clone, Row)]
struct Auctions<'x> {
    list: List<AuctionRef<'x>>,
}

pub fn q20(n: &Nexmark) {
    let auctions = n.job.value_state::<Auctions>("auctions");
    let bids = n.job.list_state::<BidRef>("bids");
    let wanted = n.events::<AuctionEventRef>().filter("bids and category", |e| match e.auction() {
        Some(a) => a.category() == 10,
        None => e.bid().is_some(),
    });
    wanted
        .key_by("auction", |e| e.auction().map_or_else(|| e.bid().map_or(0, |b| b.auction()), |a| a.id()))
        .process("join", (&auctions, &bids), |c, (auctions, bids), e| {
            if let Some(a) = e.auction() {
                bids.iter().for_each(|b| c.emit(auction_of_bid(a, b)));
                let mut list = auctions.get().map_or_else(Vec::new, |known| known.list.0);
                list.push(a);
                auctions.set(Auctions { list: List(list) });
            } else if let Some(b) = e.bid() {
                auctions.get().into_iter().flat_map(|known| known.list.0).for_each(|a| c.emit(auction_of_bid(a, b)));
                bids.add(b);
            }
        })
        .uid("join")
        .sink_to(n.results());
}

fn auction_of_bid<'x>(a: AuctionRef<'x>, b: BidRef<'x>) -> AuctionOfBid<'x> {
    AuctionOfBid {
        auction: b.auction(),
        bidder: b.bidder(),
        price: b.price(),
        channel: b.channel(),
        url: b.url(),
        bid_date_time: b.date_time(),
        bid_extra: b.extra(),
        item_name: a.item_name(),
        description: a.description(),
        initial_bid: a.initial_bid(),
        reserve: a.reserve(),
        auction_date_time: a.date_time(),
        expires: a.expires(),
        seller: a.seller(),
        category: a.category(),
        auction_extra: a.extra(),
    }
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct WholePerson<'x> {
    id: i64,
    name: Text<'x>,
    email_address: Text<'x>,
    credit_card: Text<'x>,
    city: Text<'x>,
    state: Text<'x>,
    extra: Text<'x>,
}

#[derive(Clone, Row)]
struct WholeEvent<'x> {
    person: Option<WholePerson<'x>>,
    auction: Option<Auction<'x>>,
    bid: Option<Bid<'x>>,
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct SellerBid<'x> {
    bidder: i64,
    price: i64,
    channel: Text<'x>,
    url: Text<'x>,
    #[row(name = "bid_extra")]
    bid_extra: Text<'x>,
    #[row(name = "person_id")]
    person_id: i64,
    name: Text<'x>,
    email_address: Text<'x>,
    credit_card: Text<'x>,
    city: Text<'x>,
    state: Text<'x>,
    #[row(name = "person_extra")]
    person_extra: Text<'x>,
    item_name: Text<'x>,
    description: Text<'x>,
    initial_bid: i64,
    reserve: i64,
    #[row(name = "auction_dateTime")]
    auction_date_time: Millis,
    expires: Millis,
    seller: i64,
    category: i64,
    #[row(name = "auction_extra")]
    auction_extra: Text<'x>,
}

/// All three are joined by the person that bids, is, and sells.
pub fn q23(n: &Nexmark) {
    let people = n.job.list_state::<WholePersonRef>("people");
    let auctions = n.job.list_state::<AuctionRef>("auctions");
    let bids = n.job.list_state::<BidRef>("bids");
    n.events::<WholeEventRef>()
        .key_by("person", |e| match (e.bid(), e.auction(), e.person()) {
            (Some(b), _, _) => b.bidder(),
            (_, Some(a), _) => a.seller(),
            (_, _, person) => person.map_or(0, |p| p.id()),
        })
        .process("join", (&people, &auctions, &bids), |c, (people, auctions, bids), e| {
            let emit = |p, a, b| c.emit(seller_bid(p, a, b));
            if let Some(b) = e.bid() {
                people.iter().for_each(|p| auctions.iter().for_each(|a| emit(p, a, b)));
                bids.add(b);
            } else if let Some(a) = e.auction() {
                people.iter().for_each(|p| bids.iter().for_each(|b| emit(p, a, b)));
                auctions.add(a);
            } else if let Some(p) = e.person() {
                auctions.iter().for_each(|a| bids.iter().for_each(|b| emit(p, a, b)));
                people.add(p);
            }
        })
        .uid("join")
        .sink_to(n.results());
}

fn seller_bid<'x>(p: WholePersonRef<'x>, a: AuctionRef<'x>, b: BidRef<'x>) -> SellerBid<'x> {
    SellerBid {
        bidder: b.bidder(),
        price: b.price(),
        channel: b.channel(),
        url: b.url(),
        bid_extra: b.extra(),
        person_id: p.id(),
        name: p.name(),
        email_address: p.email_address(),
        credit_card: p.credit_card(),
        city: p.city(),
        state: p.state(),
        person_extra: p.extra(),
        item_name: a.item_name(),
        description: a.description(),
        initial_bid: a.initial_bid(),
        reserve: a.reserve(),
        auction_date_time: a.date_time(),
        expires: a.expires(),
        seller: a.seller(),
        category: a.category(),
        auction_extra: a.extra(),
    }
}
