//! Joins and co-groups in the manifest, and their functions over groups as the host hands them.

use crate::batch::octets;
use crate::group::{JOIN, PROCESS};
use crate::host::native::STATE;
use crate::prelude::*;
use crate::testing::Job;
use crate::window_test::{call, group, n, open, List, IN_WINDOW};
use std::format;
use std::string::String;
use std::vec::Vec;

const LEFT: u32 = 0;
const RIGHT: u32 = 1;

fn joins(job: &Env) {
    let left = job.source(files("x")).key_by("left", |s| *s);
    let right = job.source(files("y")).key_value_by("right", |s| (s, 1i64));
    let (odd, early, other) = (job.side("odd"), job.side("early"), job.side("other"));
    let met =
        left.join(&right).window(sliding(secs(2), secs(1))).left_outer().allowed_lateness(mins(1)).late_left(&early).late_right(&other);
    let texts = met.process("met", &odd, |c, odd, l, r: Option<i64>| {
        if let Some(r) = r {
            odd.emit(r);
        }
        c.emit(format!("{} {l} {r:?}", c.key()));
    });
    texts.uid("m").sink_to(print());
    odd.stream().sink_to(print());
    early.stream().sink_to(print());
    other.stream().sink_to(print());
    let both = left.join(&right).window(session(secs(1))).co_group("both", (), |c, _, l, r| {
        c.emit(format!("{} {} {} until {}", c.key(), l.len(), r.iter().sum::<i64>(), c.window().end));
        c.emit_at(7, l.iter().chain(l.iter()).collect::<String>());
    });
    let both = both.uid("b").on_trap(TrapPolicy::DeadLetter);
    both.sink_to(print());
    both.dead_letters().sink_to(print());
    let second = || left.join(&right).window(tumbling(secs(1)));
    second().pairs().name("pairs").uid("p").map("first", |p| p.left).sink_to(print());
    second().full_outer().pairs().name("full").uid("f").map("second", |p| p.right.unwrap_or(0)).sink_to(print());
    let hinted = left.join(&right).window(all_time()).hint(JoinHint::BroadcastHashFirst);
    hinted.right_outer().pairs().uid("r").sink_to(blackhole());
    job.source(files("in")).cross("cross", &job.source(files("out"))).uid("x").sink_to(blackhole());
}

#[test]
fn window_joins_are_in_the_manifest() {
    let job = Job::describe("joins", joins, &[]).unwrap();
    for want in [
        r#""features":[1,2,5,8,14]"#,
        r#"{"id":2,"name":"met","kind":"join","inputs":["utf8","i64"],"key":"utf8","output":"utf8","sides":["i64"]}"#,
        r#"{"name":"met","uid":"m","kind":"join","function":"met","inputs":[{"from":"left"},{"from":"right"}],"window":{"kind":"sliding","sizeMs":2000,"slideMs":1000,"latenessMs":60000},"outer":"left","output":"utf8"}"#,
        r#"{"id":3,"name":"both","kind":"coGroup","inputs":["utf8","i64"],"key":"utf8","output":"utf8"}"#,
        r#"{"name":"both","uid":"b","kind":"join","function":"both","inputs":[{"from":"left"},{"from":"right"}],"window":{"kind":"session","gapMs":1000},"output":"utf8","onTrap":"deadLetter"}"#,
        r#"{"from":"met","side":2}"#,
        r#"{"from":"met","side":3}"#,
        r#"{"from":"both","side":3}"#,
        r#""kind":"join","inputs":[{"from":"left"},{"from":"right"}],"window":{"kind":"tumbling","sizeMs":1000},"output":"row(left: utf8, right: i64)""#,
        r#"{"name":"cross","uid":"x","kind":"join","inputs":[{"from":"cross left"},{"from":"cross right"}],"window":{"kind":"all"},"output":"row(left: utf8, right: utf8)""#,
        r#""window":{"kind":"all"},"outer":"right","hint":"broadcastHashFirst","output":"row(left: utf8?, right: i64)""#,
        r#""window":{"kind":"tumbling","sizeMs":1000},"outer":"full","output":"row(left: utf8?, right: i64?)""#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
    }
}

#[test]
fn a_join_behind_a_window_of_records_is_refused() {
    fn wrong(job: &Env) {
        let keyed = job.source(files("x")).key_by("key", |s| *s);
        keyed.join(&keyed.count_window(3)).window(tumbling(secs(1))).pairs().uid("j").sink_to(print());
    }
    let problems = Job::describe("wrong", wrong, &[]).err().unwrap();
    assert!(problems.contains("a join of key \"key\": behind a window of records"), "{problems}");
}

#[test]
fn a_join_runs_for_each_pair_and_for_what_meets_nothing() {
    let _job = open(joins, "met");
    let (l, r): (List, List) = ((LEFT, 0, &[(0, b"a"), (0, b"b")]), (RIGHT, 0, &[(0, &n(1)), (0, &n(2))]));
    let texts =
        |emitted: &[(i64, Vec<u8>)]| emitted.iter().map(|(at, v)| (*at, String::from_utf8_lossy(v).into_owned())).collect::<Vec<_>>();
    let got = call(JOIN, &group(IN_WINDOW, (1000, 3000), 0, "whale", &[l, r]));
    let want = ["whale a Some(1)", "whale a Some(2)", "whale b Some(1)", "whale b Some(2)"].map(|s| (2999, String::from(s)));
    assert_eq!((got.status, texts(&got.emitted)), (0, Vec::from(want)));
    let alone = call(JOIN, &group(IN_WINDOW, (0, 2000), 0, "me", &[(LEFT, 0, &[(0, b"c")])]));
    assert_eq!(texts(&alone.emitted), [(1999, String::from("me c None"))]);
    assert_eq!(call(PROCESS, &group(IN_WINDOW, (0, 2000), 0, "me", &[])).status, 4, "another verb");
}

#[test]
fn a_co_group_has_both_lists_and_asks_for_what_did_not_come() {
    let _job = open(joins, "both");
    let (l, r): (List, List) = ((LEFT, 0, &[(0, b"a"), (0, b"b")]), (RIGHT, 0, &[(0, &n(1)), (0, &n(2))]));
    let mut whale = group(IN_WINDOW, (1000, 3000), 0, "whale", &[l, r]);
    whale[48 + 8] = 4; // of the first list, behind the group's header and its key: two more are with the host
    STATE.with(|s| *s.borrow_mut() = rest);
    let got = call(JOIN, &whale);
    let want = [(2999, b"whale 4 3 until 3000".to_vec()), (7, b"abcdabcd".to_vec())];
    assert_eq!((got.status, got.emitted), (0, Vec::from(want)));
    let one = call(JOIN, &group(IN_WINDOW, (0, 2000), 0, "me", &[(RIGHT, 0, &[(0, &n(5))])]));
    assert_eq!(one.emitted, [(1999, b"me 0 5 until 2000".to_vec()), (7, Vec::new())]);
}

/// Answers a request for records of input 0 behind the second: "c", and when asked for more, "d".
fn rest(op: u32, request: &[u8]) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
    assert_eq!((op, word(12), word(16) & 0xffff), (6, 0, LEFT), "records of group 0");
    let (letter, more) = match word(24) {
        2 => (b'c', 1),
        cursor => {
            assert_eq!(cursor, 3);
            (b'd', 0)
        }
    };
    octets(&[1u32, 0, 56, more, word(24) + 1, 0, 1, 0, 1, 0, 0, 1, letter.into(), 0]).to_vec()
}
