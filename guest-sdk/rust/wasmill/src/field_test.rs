//! What the host decides by fields, and joins, as the manifest has them.

use crate::batch::{octets, Batch};
use crate::group::{JOIN, PROCESS};
use crate::guest;
use crate::host::native::TOLD;
use crate::prelude::*;
use crate::testing::{leak, Job};
use crate::{JoinContext, SideOutput};
use std::mem;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

#[derive(Clone, Row)]
struct Bid<'x> {
    auction: i64,
    price: i64,
    channel: Option<&'x str>,
    r#where: Millis,
}

#[derive(Clone, Row)]
struct Event<'x> {
    bid: Option<Bid<'x>>,
    weight: f64,
}

#[derive(Clone, Row)]
struct Statistics {
    start: Millis,
    end: Millis,
    auction: i64,
    bids: i64,
    most: i64,
    distinct: i64,
}

#[derive(Clone, Row)]
struct AuctionKey {
    auction: i64,
    channel: Option<String>,
}

fn fields(job: &Env) {
    let bids = job.source(nexmark::<BidRef>("bid", secs(1)));
    let some = bids.filter_where(
        "some",
        Bid::PRICE.ge(100).and(Bid::CHANNEL.is_in(["Apple", "Google"]).or(Bid::CHANNEL.is_null())).and(Bid::WHERE.lt(Millis(7))),
    );
    let auctions = some.key_by_field("auction", Bid::AUCTION);
    auctions
        .window(tumbling(secs(1)))
        .aggregates::<Statistics>([
            Aggregate::count().named("bids").filter(Bid::PRICE.lt(5)),
            Bid::PRICE.max().named("most"),
            Bid::CHANNEL.count_distinct(),
        ])
        .uid("statistics")
        .sink_to(print());
    auctions.max_by(Bid::PRICE).uid("highest").sink_to(print());
    some.key_by_fields::<AuctionKey>("both", (Bid::AUCTION, Bid::CHANNEL))
        .aggregates::<(i64, Option<&str>, i64, BidRef)>([Bid::WHERE.bottom(3).then(Bid::PRICE).then(Bid::CHANNEL)])
        .uid("first")
        .sink_to(print());
    let events = job.source(nexmark::<EventRef>("", secs(1))).map("same", |e| e);
    let dear = events.filter_where("dear", Event::BID.at(&Bid::PRICE).gt(1).or(Event::WEIGHT.le(0.5)));
    dear.key_value_by("weight", |e| ("all", e.weight())).avg().uid("mean").sink_to(print());
}

#[test]
fn fields_in_the_manifest() {
    let job = Job::describe("fields", fields, &[]).unwrap();
    let row = "row(auction: i64, price: i64, channel: utf8?, where: ms)";
    for want in [
        r#""features":[1,8,11,18]"#.into(),
        format!(
            r#"{{"name":"some","kind":"filter","inputs":[{{"from":"nexmark"}}],"output":"{row}","predicate":{{"op":"and","of":[{{"op":">=","field":"price","values":["100"]}},{{"op":"or","of":[{{"op":"in","field":"channel","values":["Apple","Google"]}},{{"op":"null","field":"channel"}}]}},{{"op":"<","field":"where","values":["7"]}}]}}}}"#
        ),
        format!(r#"{{"name":"auction","kind":"key","inputs":[{{"from":"some"}}],"key":"i64","output":"{row}","fields":["auction"]}}"#),
        r#""kind":"aggregates","inputs":[{"from":"auction"}],"window":{"kind":"tumbling","sizeMs":1000},"output":"row(start: ms, end: ms, auction: i64, bids: i64, most: i64, distinct: i64)","aggregates":[{"name":"bids","kind":"count","filter":{"op":"<","field":"price","values":["5"]}},{"name":"most","kind":"max","field":"price"},{"name":"countDistinct","kind":"countDistinct","field":"channel"}]}"#.into(),
        format!(r#""output":"row(key: i64, value: {row})","aggregates":[{{"name":"maxBy","kind":"maxBy","field":"price"}}]}}"#),
        r#""key":"row(auction: i64, channel: utf8?)""#.into(),
        r#""fields":["auction","channel"]"#.into(),
        r#""aggregates":[{"name":"bottom","kind":"bottom","field":"where","n":3,"then":["price","channel"]}]"#.into(),
        r#""predicate":{"op":"or","of":[{"op":">","field":"bid.price","values":["1"]},{"op":"<=","field":"weight","values":["0.5"]}]}"#.into(),
        r#""output":"row(key: utf8, value: f64)","aggregates":[{"name":"avg","kind":"avg"}]"#.into(),
    ] {
        assert!(job.manifest().contains(&want), "expected {want} in\n{}", job.manifest());
    }
}

#[test]
fn aggregates_keep_state() {
    fn nameless(job: &Env) {
        let keyed = job.source(generator()).map("length", |s| s.len() as i64).key_by_field("key", value());
        keyed.max().sink_to(print());
        keyed.interval_join(&keyed).between(0, 1).pairs().sink_to(print());
    }
    let problems = Job::describe("nameless", nameless, &[]).err().unwrap();
    for what in ["aggregates", "join"] {
        assert!(problems.contains(&format!("operator {what:?} keeps state and has no uid")), "{problems}");
    }
}

type Odd<'x> = (SideOutput<'x, i64>,);

fn joins(job: &Env) {
    let left = job.source(files("x")).key_by("left", |s| *s);
    let right = job.source(files("y")).key_value_by("right", |s| (s, 1));
    let (odd, early, other) = (job.side("odd"), job.side("early"), job.side("other"));
    left.interval_join(&right)
        .between(-1000, 2000)
        .lower_bound_exclusive()
        .late_left(&early)
        .late_right(&other)
        .process("near", (&odd,), |c: &JoinContext<&str, String>, (odd,): &Odd, l, r| {
            if r % 2 == 1 {
                odd.emit(r);
            }
            c.emit(format!("{} {l} {r} {},{}", c.key(), c.left_timestamp(), c.right_timestamp()));
            if r == 8 {
                c.emit_at(7, "again".into());
            }
        })
        .uid("n")
        .sink_to(print());
    odd.stream().sink_to(print());
    early.stream().sink_to(print());
    other.stream().sink_to(print());
    let pairs = left.interval_join(&right).between(0, 1000).upper_bound_exclusive().pairs().uid("p");
    pairs.map("first", |p| format!("{}{}", p.left, p.right)).sink_to(print());
}

#[test]
fn joins_in_the_manifest() {
    let job = Job::describe("joins", joins, &[]).unwrap();
    for want in [
        r#""features":[1,2,5,8]"#,
        r#"{"id":2,"name":"near","kind":"join","inputs":["utf8","i64"],"key":"utf8","output":"utf8","sides":["i64"]}"#,
        r#""kind":"join","function":"near","inputs":[{"from":"left"},{"from":"right"}],"interval":{"lowerMs":-1000,"upperMs":2000,"lowerExclusive":true},"output":"utf8""#,
        r#"{"from":"near","side":2}"#,
        r#"{"from":"near","side":3}"#,
        r#""kind":"join","inputs":[{"from":"left"},{"from":"right"}],"interval":{"lowerMs":0,"upperMs":1000,"upperExclusive":true},"output":"row(left: utf8, right: i64)""#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in\n{}", job.manifest());
    }
}

/// Appends a list of a group: its tag, and values with their times.
fn list(to: &mut Vec<u8>, tag: u32, values: &[(&[u8], i64)]) {
    let at = to.len();
    let n = values.len() as u32;
    let bytes: u32 = values.iter().map(|(v, _)| v.len() as u32).sum();
    to.extend_from_slice(octets(&[0u32, tag, n, n, 1, bytes]));
    values.iter().for_each(|(_, t)| to.extend_from_slice(&t.to_le_bytes()));
    let mut end = 0u32;
    to.extend_from_slice(&end.to_le_bytes());
    for (v, _) in values {
        end += v.len() as u32;
        to.extend_from_slice(&end.to_le_bytes());
    }
    to.resize((to.len() + 7) & !7, 0);
    values.iter().for_each(|(v, _)| to.extend_from_slice(v));
    to.resize((to.len() + 7) & !7, 0);
    let size = (to.len() - at) as u32;
    to[at..at + 4].copy_from_slice(&size.to_le_bytes());
}

/// A call of groups, each a key and the records of both inputs.
fn call(groups: &[(&str, &[(&[u8], i64)], &[(&[u8], i64)])]) -> &'static [u8] {
    let mut p = octets(&[40u32, 0, 0, 0, 0, 0, 0, 0, 1, 1]).to_vec();
    p.extend_from_slice(octets(&[8u32, groups.len() as u32]));
    for (key, left, right) in groups {
        let at = p.len();
        p.extend_from_slice(octets(&[0u32, 0, 0, 0, 0, 0, 0, 0, key.len() as u32, 2]));
        p.extend_from_slice(key.as_bytes());
        p.resize((p.len() + 7) & !7, 0);
        list(&mut p, 0, left);
        list(&mut p, 1, right);
        let size = (p.len() - at) as u32;
        p[at..at + 4].copy_from_slice(&size.to_le_bytes());
    }
    leak(&p)
}

#[test]
fn a_join_function_runs_for_each_pair() {
    let job = Job::describe("joins", joins, &[]).unwrap();
    let handle = [56u32, 1, 48, 2, u32::MAX, 0, 2, 0, 0, 0, 7, 1, 1, 4];
    assert_eq!(guest::open(0, octets(&handle)) as u32, 0);
    let n = |v: i64| v.to_le_bytes();
    let (one, two, eight) = (n(1), n(2), n(8));
    let p = call(&[("whale", &[(b"a", 50)], &[(&one, 40), (&two, 60)]), ("me", &[(b"b", 70), (b"c", 71)], &[(&eight, 71)])]);
    assert_eq!(guest::keyed(0, JOIN, p) as u32, 0);
    let (mut main, mut odd) = (vec![], vec![]);
    for (output, bytes) in TOLD.with(|t| mem::take(&mut t.borrow_mut().emits)) {
        let b = Batch::parse(leak(&bytes)).expect("a batch");
        for i in 0..b.n {
            match output {
                0 => main.push((b.key(i), b.value(i), b.timestamps.unwrap()[i])),
                _ => odd.push(b.value(i)),
            }
        }
    }
    let want: [(&[u8], &[u8], i64); 6] = [
        (b"whale", b"whale a 1 50,40", 50),
        (b"whale", b"whale a 2 50,60", 60),
        (b"me", b"me b 8 70,71", 71),
        (b"me", b"again", 7),
        (b"me", b"me c 8 71,71", 71),
        (b"me", b"again", 7),
    ];
    assert_eq!(main, want);
    assert_eq!(odd, [&one[..]]);
    assert_eq!(guest::keyed(0, PROCESS, p) as u32, 4, "an unknown verb");
    drop(job);
}
