//! The queries whose rows depend on one bid each.

use crate::events::Nexmark;
use crate::times::hour;
use wasmill::prelude::*;

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

pub fn q0(n: &Nexmark) {
    n.events::<EventRef>().flat_map("bids", |e| e.bid()).sink_to(n.results());
}

/// The digits of a whole number.
fn whole(v: Json<'_>) -> Option<&[u8]> {
    v.as_i64().map(|_| v.bytes())
}

/// q0 with the JSON read and written here, to see what that costs.
pub fn q0_by_guest(n: &Nexmark) {
    let (lines, output) = n.lines();
    let bids = lines.flat_map_with("bids", |line, scratch| {
        let bid = Json::from(line.as_bytes()).get("bid").filter(|bid| !bid.is_null())?;
        let (mut auction, mut bidder, mut price, mut time, mut extra) = (None, None, None, None, None);
        for (name, value) in bid.fields() {
            match &*name {
                "auction" => auction = whole(value),
                "bidder" => bidder = whole(value),
                "price" => price = whole(value),
                "dateTime" => time = value.as_str(),
                "extra" => extra = Some(value.bytes()), // escaped as it came
                _ => {}
            }
        }
        let (date, clock) = time.as_ref()?.split_once('T')?;
        let row: [&[u8]; 13] = [
            b"{\"auction\":",
            auction?,
            b",\"bidder\":",
            bidder?,
            b",\"price\":",
            price?,
            b",\"dateTime\":\"",
            date.as_bytes(),
            b" ",
            clock.as_bytes(),
            b"\",\"extra\":",
            extra?,
            b"}",
        ];
        Some(Text::from(scratch.concat(&row)))
    });
    bids.sink_to(output);
}

pub fn q10(n: &Nexmark) {
    let bids = n.timed::<EventRef>(&["bid"]).flat_map("bids", |e| e.bid());
    bids.sink_to(n.results_in("dt={yyyy}-{MM}-{dd}/hm={HH}:{mm}"));
}

type Price = Decimal<23, 3>;

/// 0.908 of a price.
fn euro(price: i64) -> Price {
    Decimal(908 * i128::from(price))
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct EuroBid<'x> {
    auction: i64,
    bidder: i64,
    price: Price,
    date_time: Millis,
    extra: Text<'x>,
}

pub fn q1(n: &Nexmark) {
    let bids = n.events::<EventRef>().flat_map("bids", |e| e.bid());
    bids.map("in euro", |b| EuroBid {
        auction: b.auction(),
        bidder: b.bidder(),
        price: euro(b.price()),
        date_time: b.date_time(),
        extra: b.extra(),
    })
    .sink_to(n.results());
}

#[derive(Clone, Row)]
struct AuctionPrice {
    auction: i64,
    price: i64,
}

#[derive(Clone, Row)]
struct AuctionPriceEvent {
    bid: Option<AuctionPrice>,
}

pub fn q2(n: &Nexmark) {
    let bids = n.events::<AuctionPriceEventRef>().flat_map("bids", |e| e.bid());
    bids.filter("some auctions", |b| b.auction() % 123 == 0).sink_to(n.results());
}

#[derive(Clone, Row)]
struct ValueBid {
    auction: i64,
    bidder: i64,
    price: i64,
    #[row(name = "dateTime")]
    date_time: Millis,
    value: String,
}

/// q13 with the standard table, which has every number below 10,000 as text.
pub fn q13(n: &Nexmark) {
    let bids = n.events::<EventRef>().flat_map("bids", |e| e.bid());
    bids.map("value", |b| ValueBid {
        auction: b.auction(),
        bidder: b.bidder(),
        price: b.price(),
        date_time: b.date_time(),
        value: (b.auction() % 10_000).to_string(),
    })
    .sink_to(n.results());
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct TypedBid<'x> {
    auction: i64,
    bidder: i64,
    price: Price,
    bid_time_type: &'x str,
    date_time: Millis,
    extra: Text<'x>,
    #[row(name = "c_counts")]
    c_counts: i64,
}

pub fn q14(n: &Nexmark) {
    let bids = n.events::<EventRef>().flat_map("bids", |e| e.bid());
    let priced = bids.filter("price", |b| (1_000_000_001..50_000_000_000).contains(&euro(b.price()).0));
    priced
        .map("columns", |b| TypedBid {
            auction: b.auction(),
            bidder: b.bidder(),
            price: euro(b.price()),
            bid_time_type: time_type(b.date_time()),
            date_time: b.date_time(),
            extra: b.extra(),
            c_counts: b.extra().as_bytes().iter().filter(|&&c| c == b'c').count() as i64,
        })
        .sink_to(n.results());
}

fn time_type(t: Millis) -> &'static str {
    match hour(t) {
        8..=18 => "dayTime",
        0..=6 | 20.. => "nightTime",
        _ => "otherTime",
    }
}

#[derive(Clone, Row)]
struct LinkedBid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: &'x str,
    url: &'x str,
}

#[derive(Clone, Row)]
struct LinkedEvent<'x> {
    bid: Option<LinkedBid<'x>>,
}

#[derive(Clone, Row)]
struct ChannelBid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: &'x str,
    channel_id: &'x str,
}

pub fn q21(n: &Nexmark) {
    let bids = n.events::<LinkedEventRef>().flat_map("bids", |e| e.bid());
    bids.flat_map("channel", |b| {
        let channel = b.channel();
        let channel_id = channel_id(channel, b.url())?;
        Some(ChannelBid { auction: b.auction(), bidder: b.bidder(), price: b.price(), channel, channel_id })
    })
    .sink_to(n.results());
}

/// That of four known channels, or what the URL says.
fn channel_id<'x>(channel: &str, url: &'x str) -> Option<&'x str> {
    const KNOWN: [(&str, &str); 4] = [("apple", "0"), ("google", "1"), ("facebook", "2"), ("baidu", "3")];
    if let Some((_, id)) = KNOWN.iter().find(|(name, _)| channel.eq_ignore_ascii_case(name)) {
        return Some(id);
    }
    url.split('&').find_map(|part| part.strip_prefix("channel_id="))
}

#[derive(Clone, Row)]
struct FolderBid<'x> {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: &'x str,
    dir1: Option<&'x str>,
    dir2: Option<&'x str>,
    dir3: Option<&'x str>,
}

pub fn q22(n: &Nexmark) {
    let bids = n.events::<LinkedEventRef>().flat_map("bids", |e| e.bid());
    bids.map("folders", |b| {
        let mut folders = b.url().split('/').skip(3);
        let mut next = || folders.next();
        FolderBid {
            auction: b.auction(),
            bidder: b.bidder(),
            price: b.price(),
            channel: b.channel(),
            dir1: next(),
            dir2: next(),
            dir3: next(),
        }
    })
    .sink_to(n.results());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_ids() {
        for (channel, url, want) in [
            ("apple", "https://a/b?channel_id=7&channel_id=8", Some("0")),
            ("BAIDU", "", Some("3")),
            ("channel-7", "https://a/b?query=1&channel_id=99", Some("99")),
            ("channel-7", "channel_id=5&x", Some("5")),
            ("channel-7", "https://a/b?channel_id=99", None),
            ("channel-7", "&channel_id=", Some("")),
        ] {
            assert_eq!(channel_id(channel, url), want, "{channel} {url}");
        }
    }

    #[test]
    fn times_of_day() {
        let types: Vec<&str> = [0, 6, 7, 8, 18, 19, 20, 23].iter().map(|h| time_type(Millis(h * 3_600_000 + 59))).collect();
        assert_eq!(types, ["nightTime", "nightTime", "otherTime", "dayTime", "dayTime", "otherTime", "nightTime", "nightTime"]);
    }
}
