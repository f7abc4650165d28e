//! Windows in the manifest, and their functions over groups as the host hands them.

use crate::batch::{octets, Batch};
use crate::group::{ACCUMULATE, CREATE, EVICT, GAP, MERGE, PROCESS, RESULT, TRIGGER, WINDOW};
use crate::guest;
use crate::host::native::{STATE, TOLD};
use crate::prelude::*;
use crate::testing::{leak, Job};
use std::format;
use std::mem;
use std::string::String;
use std::vec::Vec;

/// Flags of a group.
pub(crate) const IN_WINDOW: u32 = 1;
const DUE: u32 = 2;
const MERGED: u32 = 8;
const EARLY: u32 = 16;

/// Tags of lists.
const RECORDS: u32 = 0;
const FOLDED: u32 = 2;
const STATES: u32 = 4;

/// A list of a group: its tag and index, and the elements with their times.
pub(crate) type List<'a> = (u32, u32, &'a [(i64, &'a [u8])]);

pub(crate) fn group(flags: u32, window: (i64, i64), timer: i64, key: &str, lists: &[List]) -> Vec<u8> {
    let mut g = Vec::from(octets(&[0, flags]));
    [window.0, window.1, timer].iter().for_each(|n| g.extend(n.to_le_bytes()));
    g.extend(octets(&[key.len() as u32, lists.len() as u32]));
    g.extend(key.as_bytes());
    g.resize(g.len().next_multiple_of(8), 0);
    for (tag, index, all) in lists {
        let (at, n) = (g.len(), all.len() as u32);
        let values: Vec<u8> = all.iter().flat_map(|(_, v)| v.iter().copied()).collect();
        g.extend(octets(&[0, tag | index << 16, n, n, 1, values.len() as u32]));
        all.iter().for_each(|(time, _)| g.extend(time.to_le_bytes()));
        let mut offset = 0u32;
        g.extend(offset.to_le_bytes());
        for (_, v) in *all {
            offset += v.len() as u32;
            g.extend(offset.to_le_bytes());
        }
        g.resize(g.len().next_multiple_of(8), 0);
        g.extend(&values);
        g.resize(g.len().next_multiple_of(8), 0);
        let size = (g.len() - at) as u32;
        g[at..at + 4].copy_from_slice(&size.to_le_bytes());
    }
    let size = g.len() as u32;
    g[..4].copy_from_slice(&size.to_le_bytes());
    g
}

/// What a call had: its status, the values that came out with their times, and the actions of group 0: op, index, value.
pub(crate) struct Answer {
    pub status: u32,
    pub emitted: Vec<(i64, Vec<u8>)>,
    pub actions: Vec<(u16, u16, Vec<u8>)>,
}

pub(crate) fn call(verb: u32, group: &[u8]) -> Answer {
    call_at((0, 1), verb, group)
}

/// Calls with what answers the import state.
pub(crate) fn call_in(verb: u32, group: &[u8], state: fn(u32, &[u8]) -> Vec<u8>) -> Answer {
    STATE.with(|s| *s.borrow_mut() = state);
    call(verb, group)
}

/// Calls one of so many subtasks.
pub(crate) fn call_at((subtask, of): (u32, u32), verb: u32, group: &[u8]) -> Answer {
    TOLD.with(|t| *t.borrow_mut() = Default::default());
    let mut p = Vec::from(octets(&[40u32, 0, 0, 0, 0, 0, 0, subtask, of, 1, 16, 1, 0, 0]));
    p.extend(group);
    let status = guest::keyed(0, verb, leak(&p)) as u32;
    let told = TOLD.with(|t| mem::take(&mut *t.borrow_mut()));
    let mut emitted = Vec::new();
    for (_, bytes) in &told.emits {
        let b = Batch::parse(leak(bytes)).unwrap();
        emitted.extend((0..b.n).map(|i| (b.timestamps.map_or(crate::NO_TIMESTAMP, |t| t[i]), b.value(i).to_vec())));
    }
    let (mut actions, mut at) = (Vec::new(), 16);
    let word = |at: usize| u32::from_le_bytes(told.reply[at..at + 4].try_into().unwrap());
    while at < told.reply.len() {
        let (op, size) = (word(at + 4), word(at + 8) as usize);
        let value = if matches!(op & 0xffff, 3 | 4) { at + 8..at + 16 } else { at + 16..at + 16 + size };
        actions.push((op as u16, (op >> 16) as u16, told.reply[value].to_vec()));
        at += word(at) as usize;
    }
    Answer { status, emitted, actions }
}

pub(crate) fn open(define: guest::Define, function: &str) -> Job {
    let job = Job::describe("test", define, &[]).unwrap();
    job.chain(&[function]);
    job
}

pub(crate) fn n(v: i64) -> [u8; 8] {
    v.to_le_bytes()
}

#[test]
fn windows_that_fire_otherwise_are_in_the_manifest() {
    fn windows(job: &Env) {
        let keyed = job.source(generator()).key_value_by("key", |s| (s, s.len() as i64));
        let second = || keyed.window(tumbling(secs(1)));
        let all = [
            keyed.window(global()).trigger(Trigger::at_count(3).purging()),
            second().trigger(Trigger::every_event_time(millis(100))),
            second().trigger(Trigger::at_delta(2.5, value::<i64>())).purging(),
            second().evict_count(2).evict_after(),
            second().evict_time(secs(2)),
            second().evict_delta(0.5, value()),
            second().evict_by("odd", |_, _, _| ()),
            keyed.session_by("gap", |_| secs(1)),
            second().trigger_by("mine", (), |_, _, _| Decision::Continue).purging(),
            second().purging(),
            keyed.window(full_window()),
        ];
        for (i, w) in all.iter().enumerate() {
            w.process(&format!("f{i}"), (), |c: &WindowContext<&str, i64>, _, all| c.emit(all.sum()))
                .uid(&format!("u{i}"))
                .sink_to(print());
        }
        job.source(generator()).window_all("everything", tumbling(secs(1))).count().uid("all").sink_to(print());
    }
    let job = Job::describe("windows", windows, &[]).unwrap();
    let wants = [
        r#"{"kind":"global","trigger":{"kind":"count","count":3,"purging":true}}"#,
        r#"{"kind":"tumbling","sizeMs":1000,"trigger":{"kind":"continuousEventTime","everyMs":100}}"#,
        r#"{"kind":"tumbling","sizeMs":1000,"trigger":{"kind":"delta","threshold":"2.5","purging":true}}"#,
        r#"{"kind":"tumbling","sizeMs":1000,"evictor":{"kind":"count","count":2,"after":true}}"#,
        r#"{"kind":"tumbling","sizeMs":1000,"evictor":{"kind":"time","keepMs":2000}}"#,
        r#"{"kind":"tumbling","sizeMs":1000,"evictor":{"kind":"delta","threshold":"0.5"}}"#,
        r#"{"kind":"tumbling","sizeMs":1000,"evictor":{"kind":"guest","function":"odd"}}"#,
        r#"{"kind":"session","gap":"gap"}"#,
        r#"{"kind":"tumbling","sizeMs":1000,"trigger":{"kind":"guest","function":"mine","purging":true}}"#,
        r#"{"kind":"tumbling","sizeMs":1000,"trigger":{"kind":"eventTime","purging":true}}"#,
        r#"{"kind":"global","trigger":{"kind":"eventTime","purging":true}}"#,
    ];
    for (i, want) in wants.iter().enumerate() {
        let want =
            format!("\"uid\":\"u{i}\",\"kind\":\"window\",\"function\":\"f{i}\",\"inputs\":[{{\"from\":\"key\"}}],\"window\":{want},");
        assert!(job.manifest().contains(&want), "expected {want} in {}", job.manifest());
    }
    let all = r#""uid":"all","kind":"count","inputs":[{"from":"everything"}],"window":{"kind":"tumbling","sizeMs":1000},"parallelism":1,"#;
    assert!(job.manifest().contains(all), "{}", job.manifest());
    assert!(job.manifest().contains(r#""features":[1,2,4,6,8,12]"#), "{}", job.manifest());
    assert!(job.manifest().contains(r#""name":"odd","kind":"evict","inputs":["i64"],"key":"utf8","output":""}"#), "{}", job.manifest());
}

#[test]
fn an_evictor_behind_the_function_needs_an_evictor() {
    fn windows(job: &Env) {
        let keyed = job.source(generator()).key_by("key", |s| *s);
        keyed.window(tumbling(secs(1))).evict_after().count().uid("c").sink_to(print());
    }
    let problems = Job::describe("windows", windows, &[]).err().unwrap();
    assert!(problems.contains("window of key \"key\": evict_after without an evictor"), "{problems}");
}

#[test]
fn a_window_function_has_all_values_and_both_kinds_of_states() {
    fn all(job: &Env) {
        let keyed = job.source(generator()).key_by("key", |s| *s).window(tumbling(secs(1)));
        let uses = (&job.value_state::<i64>("seen"), &job.value_state::<i64>("times").per_window());
        let results = keyed.process("all", uses, |c, (seen, times), values| {
            let last = values.clone().timed().last().map_or(0, |(time, _)| time);
            seen.set(seen.get().unwrap_or(0) + values.len() as i64);
            times.set(times.get().unwrap_or(0) + 1);
            let all: String = values.collect();
            c.emit(format!("{}{all} {:?} {:?} at {last}", c.key(), c.timing(), c.window()));
        });
        results.uid("u").sink_to(print());
    }
    let job = open(all, "all");
    let states = r#""states":[{"name":"seen","scope":"keyed","kind":"value","codec":"i64"},{"name":"times","scope":"window","kind":"value","codec":"i64"}]"#;
    assert!(job.manifest().contains(states), "{}", job.manifest());
    assert!(job.manifest().contains(r#""features":[1,2,3,12]"#), "{}", job.manifest());
    let lists: [List; 3] = [(RECORDS, 0, &[(5, b"a"), (6, b"b")]), (STATES, 0, &[(0, &n(2))]), (STATES, 1, &[])];
    let got = call(WINDOW, &group(IN_WINDOW | EARLY, (1000, 2000), 0, "k", &lists));
    assert_eq!(got.status, 0);
    assert_eq!(got.emitted, [(1999, b"kab Early Window { start: 1000, end: 2000 } at 6".to_vec())]);
    assert_eq!(got.actions, [(1, 0, n(4).to_vec()), (1, 1, n(1).to_vec())]);
    let endless = call(WINDOW, &group(0, (0, 0), 0, "k", &lists));
    assert_eq!(endless.emitted, [(crate::NO_TIMESTAMP, b"kab OnTime Window { start: 0, end: 0 } at 6".to_vec())]);
    assert_eq!(call(ACCUMULATE, &group(0, (0, 0), 0, "k", &lists)).status, 4, "nothing is folded");
}

#[test]
fn a_folded_window_function_has_what_values_amount_to() {
    fn sums(job: &Env) {
        let keyed = job.source(generator()).key_value_by("key", |s| (s, s.len() as i64)).window(tumbling(secs(1)));
        let seen = job.value_state::<i64>("seen");
        let doubled = keyed.aggregate_process(
            "sum",
            &seen,
            || 0i64,
            |a, v| a + v,
            |a, b| a + b,
            |c, seen, sum| {
                seen.set(sum);
                c.emit(sum * 2);
            },
        );
        doubled.uid("s").accumulators::<i64>(1, 0, |_, _| None).sink_to(print());
        keyed.reduce_process("most", (), i64::max, |c, _, most| c.emit(most)).uid("m").sink_to(print());
    }
    let job = open(sums, "sum");
    let states = r#""states":[{"name":"seen","scope":"keyed","kind":"value","codec":"i64"},{"name":"accumulator","scope":"keyed","kind":"value","codec":"i64","version":1,"migrates":true}]"#;
    assert!(job.manifest().contains(states), "{}", job.manifest());
    assert!(job.manifest().contains(r#""features":[1,2,3,10,12]"#), "{}", job.manifest());
    let (records, folded): (List, List) = ((RECORDS, 0, &[(0, &n(1)), (0, &n(2))]), (FOLDED, 0, &[(0, &n(4))]));
    assert_eq!(call(CREATE, &group(0, (0, 10), 0, "k", &[])).actions, [(1, 0, n(0).to_vec())]);
    assert_eq!(call(ACCUMULATE, &group(0, (0, 10), 0, "k", &[records, folded])).actions, [(1, 0, n(7).to_vec())]);
    assert_eq!(call(MERGE, &group(0, (0, 10), 0, "k", &[(FOLDED, 0, &[(0, &n(4)), (0, &n(5))])])).actions, [(1, 0, n(9).to_vec())]);
    let got = call(WINDOW, &group(IN_WINDOW, (0, 10), 0, "k", &[folded, (STATES, 0, &[])]));
    assert_eq!((got.emitted, got.actions), (Vec::from([(9, n(8).to_vec())]), Vec::from([(1, 0, n(4).to_vec())])));
    assert_eq!(call(RESULT, &group(0, (0, 10), 0, "k", &[folded])).status, 4, "its result is the function's");
}

#[test]
fn a_trigger_answers_each_record_and_makes_one_of_merged_states() {
    fn full(job: &Env) {
        let keyed = job.source(generator()).key_value_by("key", |s| (s, s.len() as i64));
        let sum = job.value_state::<i64>("sum");
        let triggered = keyed.window(session(secs(1))).trigger_by("full", &sum, |c, sum, asked| match asked {
            Asked::Record(v) => {
                c.set_timer(c.window().start + 7);
                sum.set(sum.get().unwrap_or(0) + v);
                if v > 5 {
                    Decision::FireAndPurge
                } else {
                    Decision::Continue
                }
            }
            Asked::Timer(t) => {
                assert_eq!((t.time, c.timestamp()), (17, 17));
                Decision::Fire
            }
            Asked::Merged => {
                assert_eq!(sum.get(), None);
                sum.set(sum.merged().sum());
                c.set_timer(c.window().end);
                Decision::Purge
            }
        });
        triggered.sum().uid("s").sink_to(print());
    }
    let job = open(full, "full");
    assert!(job.manifest().contains(r#""features":[1,2,3,4,6,8,12]"#), "{}", job.manifest());
    assert!(job.manifest().contains(r#"{"name":"sum","scope":"window","kind":"value","codec":"i64"}"#), "{}", job.manifest());
    let one: List = (STATES, 0, &[(0, &n(1))]);
    let got = call(TRIGGER, &group(IN_WINDOW, (10, 30), 0, "k", &[(RECORDS, 0, &[(10, &n(3)), (29, &n(9))]), one]));
    assert_eq!(got.actions, [(1, 0, n(13).to_vec()), (3, 0, n(17).to_vec()), (3, 0, n(17).to_vec()), (5, 0, Vec::from([0, 3]))]);
    assert_eq!(call(TRIGGER, &group(IN_WINDOW | DUE, (10, 30), 17, "k", &[one])).actions, [(5, 0, Vec::from([1]))]);
    let merged: List = (STATES, 0, &[(0, &n(1)), (0, &n(2)), (0, &n(4))]);
    assert_eq!(
        call(TRIGGER, &group(IN_WINDOW | MERGED, (10, 40), 0, "k", &[merged])).actions,
        [(1, 0, n(7).to_vec()), (3, 0, n(40).to_vec())]
    );
    assert_eq!(call(PROCESS, &group(0, (0, 0), 0, "k", &[])).status, 4, "another verb");
}

#[test]
fn an_evictor_says_what_stays_and_a_gap_is_that_of_each_record() {
    fn windows(job: &Env) {
        let keyed = job.source(generator()).key_value_by("key", |s| (s, s.len() as i64));
        let odd = keyed.session_by("gap", |v| secs(*v as u64)).evict_by("odd", |w, all, stay| {
            assert_eq!(w, Window { start: 10, end: 30 });
            all.iter().zip(stay).for_each(|(v, stays)| *stays = v % 2 == 1);
        });
        odd.process("all", (), |c: &WindowContext<&str, i64>, _, all| c.emit(all.sum())).uid("u").sink_to(print());
    }
    let values: Vec<[u8; 8]> = (1..10).map(n).collect();
    let nine: Vec<(i64, &[u8])> = values.iter().map(|v| (0, &v[..])).collect();
    let _job = open(windows, "odd");
    assert_eq!(call(EVICT, &group(IN_WINDOW, (10, 30), 0, "k", &[(RECORDS, 0, &nine)])).actions, [(6, 0, Vec::from([0b0101_0101, 1]))]);
    assert_eq!(call(GAP, &group(0, (0, 0), 0, "", &[])).status, 4, "another verb");
    let _job = open(windows, "gap");
    let gaps = call(GAP, &group(0, (0, 0), 0, "", &[(RECORDS, 0, &[(0, &n(1)), (0, &n(30))])])).actions;
    assert_eq!(gaps, [(7, 0, [n(1000), n(30_000)].concat())]);
}

#[test]
fn a_window_is_put_out_in_order() {
    fn sorted(job: &Env) {
        let keyed = job.source(generator()).key_by("key", |s| *s).window(full_window());
        keyed.sort("up", |v| v.len(), Direction::Ascending).uid("up").sink_to(print());
        keyed.sort("down", |v| v.len(), Direction::Descending).uid("down").sink_to(print());
    }
    let values: List = (RECORDS, 0, &[(0, b"bbb"), (0, b"c"), (0, b"aaa"), (0, b"dd")]);
    for (function, want) in [("up", [&b"c"[..], b"dd", b"bbb", b"aaa"]), ("down", [b"bbb", b"aaa", b"dd", b"c"])] {
        let _job = open(sorted, function);
        let got = call(WINDOW, &group(0, (0, 0), 0, "k", &[values]));
        assert_eq!(got.emitted, want.map(|v| (crate::NO_TIMESTAMP, v.to_vec())));
    }
}
