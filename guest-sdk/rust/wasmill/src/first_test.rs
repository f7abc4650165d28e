//! Operators that are process functions of the crate's own, and states that are made of what was added.

use crate::group::{ACCUMULATE, MERGE, PARTITION, PROCESS, RESULT, TRIGGER};
use crate::prelude::*;
use crate::stored_test::begin as begin_states;
use crate::testing::Job;
use crate::window_test::{call, call_at, group, n, open, List};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

fn firsts(job: &Env) {
    let words = job.source(files("x"));
    words.key_by("word", |w| *w).first("two", 2).uid("two").sink_to(print());
    words.first("ten", 10).uid("ten").sink_to(print());
    words.distinct_within("words", hours(1)).uid("words").sink_to(print());
    let visits = words.map("visit", |w| KeyValue { key: w, value: 1i64 });
    visits.distinct("visits").uid("visits").sink_to(blackhole());
    visits.key_by("user", |v| v.key.to_string()).distinct("users").uid("users").sink_to(blackhole());
}

#[test]
fn firsts_are_in_the_manifest() {
    let job = Job::describe("firsts", firsts, &[]).unwrap();
    for want in [
        r#"{"id":1,"name":"two","kind":"process","inputs":["utf8"],"key":"utf8","output":"utf8","states":[{"name":"came","scope":"keyed","kind":"value","codec":"i64"}]}"#,
        r#"{"name":"ten","uid":"ten","kind":"process","function":"ten","inputs":[{"from":"ten of all"}],"parallelism":1,"output":"utf8"}"#,
        r#"{"name":"words by value","kind":"key","inputs":[{"from":"files"}],"key":"utf8","output":"utf8","fields":[""]}"#,
        r#""codec":"i64","ttlMs":3600000}"#,
        r#"{"name":"visits by value","kind":"key","function":"visits by value","inputs":[{"from":"visit"}],"key":"row(key: utf8, value: i64)","output":"row(key: utf8, value: i64)"}"#,
        r#"{"name":"users","uid":"users","kind":"process","function":"users","inputs":[{"from":"user"}],"output":"row(key: utf8, value: i64)"}"#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
    }
}

#[test]
fn so_many_are_let_by() {
    let _job = open(firsts, "two");
    begin_states();
    let records: List = (0, 0, &[(0, b"1"), (0, b"2"), (0, b"3")]);
    let (unset, one): (List, List) = ((4, 0, &[]), (4, 0, &[(0, &n(1))]));
    let got = call(PROCESS, &group(0, (0, 0), 0, "a", &[records, unset]));
    let values = |emitted: Vec<(i64, Vec<u8>)>| emitted.into_iter().map(|(_, v)| v).collect::<Vec<_>>();
    assert_eq!(values(got.emitted), [b"1", b"2"]);
    assert_eq!(got.actions, [(1, 0, n(2).to_vec())]);
    let got = call(PROCESS, &group(0, (0, 0), 0, "a", &[records, one]));
    assert_eq!(values(got.emitted), [b"1"], "one has come before");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    fn wrong(job: &Env) {
        let s = job.source(files("x"));
        s.first("f", 0).uid("f").sink_to(print());
        s.distinct_within("d", core::time::Duration::from_micros(1)).uid("d").sink_to(print());
        s.key_by("k", |s| *s).count_window(2).first("g", 1).uid("g").sink_to(print());
        s.partition_range("none", |s| s.len(), []).sink_to(print());
        s.partition_range("same", |s| s.len(), [1, 2, 2]).sink_to(print());
        s.partition_range("nan", |_| 0.0, [1.0, f64::NAN]).sink_to(print());
    }
    let why = Job::describe("wrong", wrong, &[]).err().unwrap();
    for want in [
        r#"first "f": 0 records (expected >= 1)"#,
        r#"distinct "d": a key is forgotten after 1µs (expected whole milliseconds, at least one)"#,
        r#"a process function of key "k": behind a window of records"#,
        r#"partition "none": no bounds (expected one at least)"#,
        r#"partition "same": bound 2 is not above the one before it"#,
        r#"partition "nan": bound 1 is not above the one before it"#,
    ] {
        assert!(why.contains(want), "expected {want} in {why}");
    }
}

#[test]
fn ranges_go_to_subtasks_in_their_order() {
    fn ranges(job: &Env) {
        let numbers = job.source(files("x")).map("number", |s| s.parse::<f64>().unwrap_or(f64::NAN));
        numbers.partition_range("by size", |v| *v, [10.0, 20.0, 30.0]).sink_to(print());
        job.source(files("x")).partition_range("by name", |s| *s, Vec::from(["h", "p"])).sink_to(print());
    }
    let receivers = |function: &str, values: &[&[u8]], of: u32| {
        let _job = open(ranges, function);
        let all: Vec<(i64, &[u8])> = values.iter().map(|v| (0, *v)).collect();
        let got = call_at((0, of), PARTITION, &group(0, (0, 0), 0, "", &[(0, 0, &all)]));
        let (op, index, p) = &got.actions[0];
        assert_eq!((got.status, *op, *index), (0, 8, 0));
        p.chunks(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect::<Vec<_>>()
    };
    let numbers = [9.9, 10.0, 19.0, 20.0, 30.0, f64::NAN].map(f64::to_le_bytes);
    let numbers: Vec<&[u8]> = numbers.iter().map(|n| &n[..]).collect();
    assert_eq!(receivers("by size", &numbers, 4), [0, 1, 1, 2, 3, 3]);
    assert_eq!(receivers("by size", &numbers, 2), [0, 0, 0, 1, 1, 1]);
    assert_eq!(receivers("by size", &numbers, 8), [0, 2, 2, 4, 6, 6]);
    assert_eq!(receivers("by name", &[b"a", b"h", b"ox", b"z"], 3), [0, 1, 1, 2]);
}

fn folds(job: &Env) {
    let lengths = job.source(files("x")).key_value_by("by first", |w| (&w[..1], w.len() as i64));
    let longest = job.reducing_state("longest", i64::max).ttl(mins(1));
    let mean = job.aggregating_state("mean", || (0i64, 0i64), |(sum, k), v: i64| (sum + v, k + 1), |(sum, k)| sum as f64 / k as f64);
    let mean = mean.migrate(2, |_, _| Some((1, 1))).oldest(1);
    let fold = lengths.process("fold", (&longest, &mean), |c, (longest, mean), v| {
        longest.add(v);
        mean.add(v);
        c.emit(format!("{} {}", longest.get().unwrap(), mean.get().unwrap()));
        if v == 0 {
            longest.clear();
            mean.clear();
            assert!(longest.get().is_none() && mean.get().is_none());
        }
    });
    fold.uid("fold").sink_to(print());
    let most = job.reducing_state("most", i64::max);
    let windows = lengths.window(session(secs(1))).trigger_by("enough", &most, |_, most, asked| {
        if let Asked::Record(v) = asked {
            most.add(v);
        }
        if most.get() > Some(9) {
            Decision::Fire
        } else {
            Decision::Continue
        }
    });
    windows.count().uid("count").sink_to(print());
}

#[test]
fn a_fold_is_an_aggregate_that_merges_nothing() {
    fn define(job: &Env) {
        let lengths = job.source(files("x")).key_value_by("by first", |w| (&w[..1], w.len() as i64));
        let add = |all: String, v: i64| format!("{all}{v}");
        lengths.fold("digits", String::new, add, |all| all.len() as i64).uid("digits").sink_to(print());
        lengths.window(tumbling(secs(1))).fold("in windows", String::new, add, |all| all).uid("w").sink_to(print());
        lengths.aggregate("sum", || 0, |a: i64, v| a + v, |a, b| a + b, |a| a).uid("sum").sink_to(print());
    }
    let job = Job::describe("fold", define, &[]).unwrap();
    for want in [
        r#""name":"digits","kind":"aggregate","inputs":["i64"],"key":"utf8","accumulator":"utf8","output":"row(key: utf8, value: i64)"}"#,
        r#""accumulator":"i64","output":"row(key: utf8, value: i64)","combine":true}"#,
        r#""function":"in windows","inputs":[{"from":"by first"}],"window":{"kind":"tumbling","sizeMs":1000}"#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
    }
    let _job = open(define, "digits");
    let (records, before): (List, List) = ((0, 0, &[(0, &n(3)), (0, &n(12))]), (2, 0, &[(0, b"7")]));
    let got = call(ACCUMULATE, &group(0, (0, 0), 0, "w", &[records, before]));
    assert_eq!((got.status, got.actions), (0, Vec::from([(1, 0, b"7312".to_vec())])));
    let got = call(RESULT, &group(0, (0, 0), 0, "w", &[(2, 0, &[(0, b"7312")])]));
    assert_eq!(KeyValue::<&str, i64>::decode(crate::testing::leak(&got.emitted[0].1)), KeyValue { key: "w", value: 4 });
    assert_eq!(call(MERGE, &group(0, (0, 0), 0, "w", &[(2, 0, &[(0, b"1"), (0, b"2")])])).status, 1, "it cannot");

    fn wrong(job: &Env) {
        let words = job.source(files("x")).key_by("word", |w| *w);
        words.window(session(secs(1))).fold("f", || 0, |n: i64, _| n + 1, |n| n).uid("f").sink_to(print());
    }
    let why = Job::describe("wrong", wrong, &[]).err().unwrap();
    assert!(why.contains(r#"fold "f": in windows that slide, or sessions (expected aggregate"#), "{why}");
}

#[test]
fn folding_states_are_values_to_the_host() {
    let job = Job::describe("folds", folds, &[]).unwrap();
    for want in [
        r#""states":[{"name":"longest","scope":"keyed","kind":"value","codec":"i64","ttlMs":60000},"#,
        r#"{"name":"mean","scope":"keyed","kind":"value","codec":"row(f0: i64, f1: i64)","version":2,"migrates":true,"oldest":1}]"#,
        r#"{"name":"most","scope":"window","kind":"value","codec":"i64"}"#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
    }
    let _job = open(folds, "fold");
    let (five, unset): (List, List) = ((4, 0, &[(0, &n(5))]), (4, 1, &[]));
    let numbers = [n(3), n(8), n(0), n(2)];
    let numbers: Vec<(i64, &[u8])> = numbers.iter().map(|v| (0, &v[..])).collect();
    let got = call(PROCESS, &group(0, (0, 0), 0, "w", &[(0, 0, &numbers), five, unset]));
    let texts: Vec<_> = got.emitted.iter().map(|(_, v)| core::str::from_utf8(v).unwrap()).collect();
    assert_eq!(texts, ["5 3", "8 5.5", "8 3.6666666666666665", "2 2"]);
    assert_eq!(got.actions.len(), 2);
    assert_eq!(got.actions[0], (1, 0, n(2).to_vec()));
}

#[test]
fn a_reducing_state_of_sessions_that_became_one_is_made_of_all_of_theirs() {
    const MERGED: u32 = 1 | 8;
    let _job = open(folds, "enough");
    let theirs: List = (4, 0, &[(0, &n(4)), (0, &n(7)), (0, &n(5))]);
    let got = call(TRIGGER, &group(MERGED, (0, 1000), 0, "w", &[theirs]));
    assert_eq!((got.status, got.actions), (0, Vec::from([(1, 0, n(7).to_vec())])));
}
