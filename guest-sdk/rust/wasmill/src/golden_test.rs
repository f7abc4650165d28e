//! The golden encodings of abi/testdata, which every SDK is held against.

use crate::ask::{Page, Request, PUT, SCAN};
use crate::batch::{words, Aligned, Batch, BatchWriter, VALUES};
use crate::chain::{parse, CallHeader};
use crate::fail::{encode, NONE};
use crate::group::{self, Group, Groups, ReplyWriter};
use crate::guest::parse_params;
use crate::prelude::*;
use crate::record::{codec_of, Field};
use std::boxed::Box;
use std::path::Path;
use std::string::String;
use std::vec::Vec;
use std::{format, fs, vec};

/// Reads a golden encoding: hexadecimal bytes, # begins a comment.
pub(crate) fn golden(name: &str) -> &'static [u8] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../../abi/testdata/{name}.hex"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let digits: String = text.lines().flat_map(|l| l.split('#').next().unwrap_or("").split_whitespace()).collect();
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).expect("hex")).collect();
    let mut a = Aligned::default();
    a.grow(bytes.len().max(8));
    let all = Box::leak(Box::new(a)).bytes();
    all[..bytes.len()].copy_from_slice(&bytes);
    &all[..bytes.len()]
}

fn bytes<'x>(v: &impl Field<'x>) -> Vec<u8> {
    let mut to = Vec::new();
    v.append(&mut to);
    to
}

fn key<'x>(v: &impl Field<'x>) -> Vec<u8> {
    let mut room = vec![1, 2, 3]; // what was there before does not matter
    v.key_bytes(&mut room).to_vec()
}

#[test]
fn params() {
    let pairs = |name| parse_params(golden(name)).into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
    assert_eq!(pairs("params"), ["counter=native", "empty=", "input=/data/*.txt"]);
    assert!(pairs("params-none").is_empty());
}

#[test]
fn handles() {
    let list =
        |name| -> Vec<_> { parse(golden(name)).expect(name).into_iter().map(|s| (s.function, s.upstream, s.input, s.outputs)).collect() };
    let want = [(0, NONE, 0, vec![]), (3, 0, 0, vec![(0, 0, 2)]), (5, 0, 0, vec![(0, 1, 5), (0, 2, 4)]), (6, NONE, 1, vec![(0, 3, 4)])];
    assert_eq!(list("handle"), want);
    assert_eq!(list("handle-sides"), [(2, NONE, 0, vec![(0, 0, 4), (1, 1, 6), (3, 7, 0)])]);
    let whole = golden("handle");
    for n in 0..whole.len() {
        assert!(parse(&whole[..n]).is_none(), "the first {n} bytes");
    }
}

#[test]
fn batches() {
    let b = Batch::parse(golden("batch-values")).expect("a batch");
    let values: Vec<_> = (0..b.n).map(|i| b.value(i)).collect();
    assert_eq!(values, [&b"hi"[..], b""]);
    let mut a = Aligned::default();
    a.grow(BatchWriter::room(2, 2));
    let mut w = BatchWriter::new(a.bytes(), VALUES, 2, 0, 2, 0);
    w.offsets(&[2, 2]);
    w.section(b"hi");
    let size = w.end();
    assert_eq!(&a.bytes()[..size], golden("batch-values"));

    assert_eq!(Batch::parse(golden("batch-empty")).expect("a batch").n, 0);

    let b = Batch::parse(golden("batch-all")).expect("a batch");
    let records: Vec<_> = (0..b.n).map(|i| (b.timestamps.unwrap()[i], b.key(i), b.value(i), b.kinds.unwrap()[i], b.header(i))).collect();
    let want: [(i64, &[u8], &[u8], u8, &[u8]); 3] = [(1000, b"sea", b"blue", 0, b"ab"), (-1, b"", b"", 1, b""), (2000, b"", b"", 3, b"c")];
    assert_eq!(records, want);
    let whole = golden("batch-all");
    for n in 0..whole.len() {
        assert!(Batch::parse(&whole[..n]).is_none(), "the first {n} bytes");
    }
}

#[test]
fn call_headers() {
    let h = CallHeader::parse(golden("call-header"));
    assert_eq!((h.watermark, h.processing, h.parallelism), (5000, 1_700_000_000_000, 4));
    let longer = golden("call-header-longer");
    let h = CallHeader::parse(longer);
    assert_eq!((words::<u32>(longer)[0], h.watermark, h.processing, h.parallelism), (56, i64::MIN, 1, 1));
}

#[test]
fn groups() {
    let (mut groups, mut g) = (Groups::new(golden("groups")), Group::default());
    assert!(groups.read(&mut g));
    assert_eq!((g.index, g.key, g.window, g.timestamp()), (0, &b"whale"[..], Window { start: 1000, end: 2000 }, 1999));
    assert_eq!((g.accumulators.n, i64::decode(g.accumulators.value(0))), (1, 5));
    let records: Vec<_> = (0..g.records[0].n).map(|i| (g.records[0].timestamp(i), i64::decode(g.records[0].value(i)))).collect();
    assert_eq!(records, [(1001, 1), (1999, 1)]);
    assert!(g.state(1).is_none());

    assert!(groups.read(&mut g));
    assert_eq!((g.index, g.key, g.timer, g.timer_is_processing(), g.timestamp()), (1, &b""[..], 3000, false, crate::NO_TIMESTAMP));
    let other = g.records[1];
    assert_eq!((other.n, other.total, other.value(0), other.value(1)), (2, 4, &b"a"[..], &b""[..]));
    assert_eq!(g.state(1).map(|l| (l.n, l.value(0))), Some((1, &b"seen"[..])));
    assert!(g.state(0).is_some_and(|l| l.n == 0 && l.total > 0), "a state that did not come is to be asked for");
    assert!(!groups.read(&mut g));
}

#[test]
#[should_panic(expected = "group has 4 elements of which 2 came with the call (expected all)")]
fn a_list_in_part_is_no_whole() {
    let (mut groups, mut g) = (Groups::new(golden("groups")), Group::default());
    while groups.read(&mut g) {}
    g.records[1].whole();
}

#[test]
fn replies() {
    let mut w = ReplyWriter::default();
    w.begin(0);
    w.action(group::PUT, 0, |to| 7i64.append(to));
    w.end();
    w.begin(1); // nothing becomes of it
    w.end();
    w.begin(2);
    w.action(group::PUT, 3, |to| "abc".append(to));
    w.action(group::CLEAR, 4, |_| ());
    w.timer(group::SET_TIMER, 0, 5000);
    w.timer(group::DELETE_TIMER, 1, 6000);
    w.end();
    assert_eq!(w.bytes, golden("reply"));
}

#[test]
fn failures() {
    assert_eq!(encode(81, "no digits", "parse\n\tmain.go:7"), golden("failure"));
    assert_eq!(encode(NONE, "out of cheese", ""), golden("failure-of-call"));
}

#[test]
fn state_requests_and_answers() {
    let put = |to: &mut Vec<u8>| {
        crate::ask::begin(to);
        let q = Request { op: PUT, group: 3, state: 1, cursor: 0 };
        crate::ask::append(to, q, |to| to.extend_from_slice(b"whale"), |to| to.extend_from_slice(b"1685"));
        crate::ask::append(to, Request { group: NONE, state: 0, ..q }, |_| (), |_| ());
        to[0] = 2;
    };
    let mut to = Vec::new();
    put(&mut to);
    assert_eq!(to, golden("state-put"));

    let mut scan = Vec::new();
    crate::ask::begin(&mut scan);
    crate::ask::append(&mut scan, Request { op: SCAN, group: 3, state: 1, cursor: 7 }, |_| (), |_| ());
    scan[0] = 1;
    scan[8 + 12] = 2; // the limit, which this SDK leaves to the host
    assert_eq!(scan, golden("state-scan"));

    let whole = golden("state-answer");
    let page = Page::parse(&whole[8..8 + 88]);
    let entries: Vec<_> = (0..page.n).map(|i| (page.key(i), page.value(i))).collect();
    assert_eq!((entries, page.more), (vec![(&b"sea"[..], &b"blue"[..]), (b"whale", b"white")], Some(9)));
    let second = 96 + words::<u32>(&whole[96..])[0] as usize;
    let none = Page::parse(&whole[96..second]);
    assert_eq!((none.n, none.more), (0, None));
    let page = Page::parse(&whole[second..]);
    let records: Vec<_> = (0..page.n).map(|i| (page.timestamp(i), page.value(i))).collect();
    assert_eq!(records, [(1001, &b"a"[..]), (1002, b"")]);
}

#[test]
fn keys() {
    assert_eq!(key(&"m\u{f6}we"), golden("key-utf8"));
    assert_eq!(key(&-2i64), golden("key-i64"));
    assert_eq!(key(&1.5), golden("key-f64"));
    assert_eq!(key(&-0.0), golden("key-f64-zero"));
    assert_eq!(key(&f64::from_bits(0xfff8_0000_0000_0001)), golden("key-f64-nan"));
    assert_eq!(key(&(Some("sea"), -0.0, f64::from_bits(0xfff8_0000_0000_0001))), golden("key-composite"));
    assert_eq!(key(&(None::<String>,)), golden("key-nullable"));
}

#[test]
fn rows() {
    assert_eq!(bytes(&KeyValue { key: "whale", value: 1685 }), golden("row-count"));
    let window = Window { start: 60_000, end: 120_000 };
    assert_eq!(bytes(&Windowed { window, key: "", value: -1 }), golden("row-window"));
    assert_eq!(Windowed::<&str, i64>::decode(golden("row-window")), Windowed { window, key: "", value: -1 });
    let letter = Letter { unit: "record", key: None, cause: "trap", bytes: b"k,7" };
    assert_eq!(bytes(&letter), golden("row-letter"));
    assert_eq!(Letter::decode(golden("row-letter")), letter);
    let letter = Letter { unit: "timer", key: Some(b""), cause: "", bytes: b"k" };
    assert_eq!(Letter::decode(&bytes(&letter)), letter);
}

#[derive(Clone, Debug, PartialEq, Row)]
struct Inner {
    x: i64,
    y: String,
}

/// A row with a field of every type.
#[derive(Clone, Debug, PartialEq, Row)]
struct All<'x> {
    b: bool,
    i: i64,
    f: f64,
    t: Millis,
    s: &'x str,
    y: &'x [u8],
    j: Json<'x>,
    d: Decimal<12, 2>,
    l: List<Option<String>>,
    r: Inner,
    n: Option<i64>,
    z: Option<String>,
}

#[test]
fn a_derived_row_has_every_type() {
    let row = All {
        b: true,
        i: -2,
        f: 2.5,
        t: Millis(1_700_000_000_000),
        s: "gr\u{fc}ezi",
        y: b"",
        j: Json::from("{\"a\":1}"),
        d: Decimal(-12345),
        l: List(vec![Some("one".into()), None, Some("".into())]),
        r: Inner { x: 7, y: "in".into() },
        n: None,
        z: Some("12345678".into()),
    };
    assert_eq!(bytes(&row), golden("row-all"));
    assert_eq!(All::decode(golden("row-all")), row);
    let schema = "row(b: bool, i: i64, f: f64, t: ms, s: utf8, y: bytes, j: json, d: decimal(12, 2), l: list(utf8?), \
                  r: row(x: i64, y: utf8), n: i64?, z: utf8?)";
    assert_eq!(codec_of::<All>(), schema);
    assert_eq!(codec_of::<AllRef>(), schema);

    // in place
    let view = AllRef::decode(golden("row-all"));
    assert_eq!((view.b(), view.i(), view.s(), view.n(), view.z()), (true, -2, "gr\u{fc}ezi", None, Some("12345678")));
    assert_eq!((view.r().x(), view.r().y(), view.d()), (7, "in", Decimal(-12345)));
    assert_eq!(view.l().iter().collect::<Vec<_>>(), [Some("one"), None, Some("")]);
    assert_eq!((view.l().len(), view.l().get(2), view.l().is_empty()), (3, Some(""), false));
    assert_eq!(view.read(), row);
    assert_eq!(bytes(&view), golden("row-all"));
    let text = view.s().as_ptr();
    let all = AllRef::decode(golden("row-all"));
    assert_ne!(text, all.s().as_ptr(), "another copy of the bytes");
    assert_eq!(text, view.s().as_ptr(), "where it lies");
}

#[test]
fn a_bitmap_may_have_several_words() {
    let row = crate::RowBytes::<65>::new(golden("row-65"));
    let some: Vec<_> = (0..65).filter_map(|i| row.get::<Option<i64>>(i).map(|v| (i, v))).collect();
    assert_eq!(some, [(0, 5), (64, 6)]);
    let mut to = Vec::new();
    let mut w = crate::RowWriter::<65>::new(&mut to);
    for i in 0..65 {
        w.put(&(i == 0).then_some(5i64).or((i == 64).then_some(6)));
    }
    assert_eq!(to, golden("row-65"));
}

#[derive(Clone, Row)]
#[row(rename_all = "camelCase")]
struct Named {
    date_time: Millis,
    #[row(name = "a \"b\"")]
    odd: bool,
    r#type: i64,
}

#[test]
fn names_are_spelled_as_the_schema_has_them() {
    assert_eq!(codec_of::<Named>(), "row(dateTime: ms, \"a \\\"b\\\"\": bool, type: i64)");
    let view = NamedRef::decode(Box::leak(Box::new(bytes(&Named { date_time: Millis(1), odd: true, r#type: 2 }))));
    assert_eq!((view.date_time(), view.odd(), view.r#type()), (Millis(1), true, 2));
}
