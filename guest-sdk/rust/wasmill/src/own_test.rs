//! Process functions without key, states of the operator, and functions of two streams.

use crate::group::{APPLY, BEGIN, PROCESS, TIMER};
use crate::prelude::*;
use crate::stored_test::{begin as begin_states, elements, put, OWN};
use crate::testing::Job;
use crate::window_test::{call, call_at, group, open, Answer, List};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

fn texts(got: Answer) -> Vec<String> {
    assert_eq!(got.status, 0);
    got.emitted.iter().map(|(_, v)| String::from_utf8_lossy(v).into_owned()).collect()
}

fn lists(job: &Env) {
    let (held, shared) = (job.operator_list_state::<&str>("held"), job.union_list_state::<&str>("shared").migrate(2, |_, _| None));
    let lines = job.source(files("in"));
    let begins = begin((&held, &shared), |c, (_, shared)| {
        shared.clear();
        c.emit_at(5, "begun".to_string());
    });
    let hold = lines.process("hold", begins, |c, (held, shared), line| {
        held.add(line);
        shared.iter().for_each(|l| c.emit_at(7, format!("{l}{line} in {:?}", c.subtask())));
    });
    hold.uid("hold").sink_to(print());
    let odd = job.side("odd");
    let both = lines.connect(&lines.map("length", |l| l.len() as i64).broadcast()).process(
        "both",
        &odd,
        |c, _, l| c.emit(l),
        |_, odd, n| odd.emit(n),
    );
    both.sink_to(print());
    odd.stream().sink_to(print());
}

#[test]
fn lists_of_the_operator_are_in_the_manifest() {
    let job = Job::describe("lists", lists, &[]).unwrap();
    for want in [
        r#""features":[1,2,3,5,16]"#,
        r#"{"id":0,"name":"hold","kind":"process","inputs":["utf8"],"output":"utf8","begins":true,"states":[{"name":"held","scope":"operator","kind":"list","codec":"utf8"},{"name":"shared","scope":"operator","kind":"union","codec":"utf8","version":2,"migrates":true}]}"#,
        r#"{"id":2,"name":"both","kind":"process","inputs":["utf8","i64"],"output":"utf8","sides":["i64"]}"#,
        r#""function":"both","inputs":[{"from":"files"},{"from":"length","partition":"broadcast"}],"output":"utf8"}"#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
    }
}

#[test]
fn lists_of_the_operator_are_asked_for_with_no_group() {
    let _job = open(lists, "hold");
    begin_states();
    put(1, OWN, &["old"]);
    let begun = call(BEGIN, &group(0, (0, 0), 0, "", &[]));
    assert_eq!(begun.emitted, [(5, b"begun".to_vec())]);
    assert!(elements(1, OWN).is_empty(), "what was shared is not there behind the beginning");
    put(1, OWN, &["a", "b"]);
    let records: List = (0, 0, &[(0, b"x"), (0, b"y")]);
    let got = call_at((1, 3), PROCESS, &group(0, (0, 0), 0, "", &[records]));
    let want = ["ax", "bx", "ay", "by"].map(|s| (7, format!("{s} in (1, 3)").into_bytes()));
    assert_eq!((got.status, got.emitted, got.actions.len()), (0, Vec::from(want), 0));
    assert_eq!(elements(0, OWN), ["x", "y"].map(|v| (Vec::new(), v.as_bytes().to_vec())));
    assert_eq!(call(TIMER, &group(0, (0, 0), 0, "", &[])).status, 4, "it has no timers");
}

fn broadcast(job: &Env) {
    let words = job.source(files("x"));
    let rules = job.source(files("y"));
    let known = job.broadcast_state::<&str, &str>("rules");
    let apply = words.key_by("word", |w| *w).connect_broadcast(&rules).process(
        "apply",
        &known,
        |c, known, w| {
            if let Some(to) = known.get(w) {
                c.emit(format!("{}>{to}", c.key()));
            }
            known.iter().for_each(|(from, to)| c.emit(format!("{from}={to}")));
        },
        |_, known, rule| match rule.split_once(':') {
            Some((from, "")) => known.remove(from),
            Some((from, to)) => known.put(from, to),
            None => known.clear(),
        },
    );
    apply.uid("apply").sink_to(print());
    let plain = words.connect_broadcast(&rules).process("plain", &known, |c, _, w| c.emit(w), |_, known, r| known.put(r, r));
    plain.uid("plain").sink_to(print());
    let both = words.connect(&rules);
    both.map("both", |w| format!("w {w}"), |r| format!("r {r}")).sink_to(print());
    both.flat_map("each", |w| w.chars().map(|c| c.to_string()).collect::<Vec<_>>(), |r| (r != "-").then(|| r.to_string())).sink_to(print());
}

#[test]
fn broadcast_is_in_the_manifest() {
    let job = Job::describe("broadcast", broadcast, &[]).unwrap();
    for want in [
        r#""features":[1,2,3,5,14,16]"#,
        r#"{"id":1,"name":"apply","kind":"process","inputs":["utf8","utf8"],"key":"utf8","output":"utf8","states":[{"name":"rules","scope":"broadcast","kind":"map","codec":"utf8","key":"utf8"}]}"#,
        r#"{"name":"apply","uid":"apply","kind":"process","function":"apply","inputs":[{"from":"word"},{"from":"files-2","partition":"broadcast"}],"output":"utf8"}"#,
        r#"{"name":"plain","uid":"plain","kind":"process","function":"plain","inputs":[{"from":"files"},{"from":"files-2","partition":"broadcast"}],"output":"utf8"}"#,
        r#"{"id":3,"name":"both","kind":"process","inputs":["utf8","utf8"],"output":"utf8"}"#,
        r#"{"name":"both","kind":"process","function":"both","inputs":[{"from":"files"},{"from":"files-2"}],"output":"utf8"}"#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
    }
}

#[test]
fn a_broadcast_state_is_the_operators() {
    let _job = open(broadcast, "apply");
    begin_states();
    let rules: List = (1, 0, &[(0, b"a:1"), (0, b"b:2"), (0, b"c:3"), (0, b"b:")]);
    let changed = call(PROCESS, &group(0, (0, 0), 0, "", &[rules]));
    assert_eq!((changed.status, changed.emitted.len(), changed.actions.len()), (0, 0, 0));
    let known = |from: &str, to: &str| (from.as_bytes().to_vec(), to.as_bytes().to_vec());
    assert_eq!(elements(0, OWN), [known("a", "1"), known("c", "3")]);
    let one = |w: &'static str| texts(call(PROCESS, &group(0, (0, 0), 0, w, &[(0, 0, &[(0, w.as_bytes())])])));
    assert_eq!(one("a"), ["a>1", "a=1", "c=3"]);
    assert_eq!(one("x"), ["a=1", "c=3"]);
}

fn applied(job: &Env) {
    let (sum, last, rules) =
        (job.reducing_state("sum", |a: i64, b| a + b), job.value_state::<&str>("last"), job.broadcast_state::<&str, i64>("rules"));
    let lengths = job.source(files("x")).key_value_by("word", |w| (w, w.len() as i64));
    let swept = lengths.connect_broadcast(&job.source(files("y"))).process_applying(
        "swept",
        (&sum, &last, &rules),
        |_, (sum, ..), n| sum.add(n),
        |c, (sum, last, _), rule| match rule {
            "last" => c.apply_to_keys(last),
            "none" => {}
            _ => {
                c.apply_to_keys(last);
                c.apply_to_keys(sum);
            }
        },
        |c, (sum, last, _), rule| {
            c.emit(format!("{rule} {} {:?} at {}", c.key(), sum.get(), c.timestamp()));
            sum.clear();
            last.set(rule);
        },
    );
    swept.uid("swept").sink_to(print());
}

#[test]
fn a_broadcast_record_is_applied_to_the_keys_of_states() {
    let job = open(applied, "swept");
    for want in [r#""features":[1,2,3,5,14,20]"#, r#""output":"utf8","applies":true,"states":[{"name":"sum","#] {
        assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
    }
    begin_states();
    let told = |rule: &'static str| call(PROCESS, &group(0, (0, 0), 0, "", &[(1, 0, &[(0, rule.as_bytes())])])).actions;
    assert_eq!(told("last"), [(10, 1, Vec::new())]);
    assert_eq!(told("all"), [(10, 1, Vec::new()), (10, 0, Vec::new())]);
    assert!(told("none").is_empty());
    let lists: [List; 3] = [(4, 0, &[(0, &7i64.to_le_bytes())]), (4, 1, &[]), (1, 0, &[(5, b"all")])];
    let got = call(APPLY, &group(0, (0, 0), 0, "k", &lists));
    assert_eq!(got.emitted, [(5, b"all k Some(7) at 5".to_vec())]);
    assert_eq!(got.actions, [(2, 0, Vec::new()), (1, 1, b"all".to_vec())]);
    let _job = open(broadcast, "apply");
    assert_eq!(call(APPLY, &group(0, (0, 0), 0, "k", &lists)).status, 4, "nothing is applied");
}

#[test]
fn each_of_two_streams_has_its_function() {
    for (function, want) in [("both", ["w ab", "r -"].as_slice()), ("each", &["a", "b"])] {
        let _job = open(broadcast, function);
        let (word, rule): (List, List) = ((0, 0, &[(0, b"ab")]), (1, 0, &[(0, b"-")]));
        assert_eq!(texts(call(PROCESS, &group(0, (0, 0), 0, "", &[word, rule]))), want);
    }
}

#[test]
fn what_says_nothing_of_use_is_refused() {
    fn wrong(job: &Env) {
        let s = job.source(files("x"));
        let times = s.assign_timestamps("times", |_| 0, secs(1));
        times.alignment("orders", secs(2)).sink_to(print());
        s.connect_broadcast(&s).process("p", (), |c: &StreamContext<&str>, _, v| c.emit(v), |_, _, _| ()).sink_to(print());
        let held = job.operator_list_state::<i64>("held");
        s.process("held", &held, |c: &StreamContext<&str>, _, v| c.emit(v)).sink_to(print());
        let counted = s.key_by("k", |s| *s).count_window(2);
        counted.connect(&s.key_by("l", |s| *s)).process("c", (), |c, _, v| c.emit(v), |c, _, v| c.emit(v)).uid("c").sink_to(print());
        s.clone().alignment("orders", secs(1)).sink_to(print());
        s.assign_timestamps("more", |_| 0, secs(1)).alignment("", millis(0)).sink_to(print());
    }
    let why = Job::describe("wrong", wrong, &[]).err().unwrap();
    for want in [
        r#"process "p": no broadcast state (expected one of broadcast_state"#,
        r#"operator "held" keeps state and has no uid"#,
        r#"a process function of key "k": behind a window of records"#,
        r#"alignment of "files": it has no watermarks"#,
        r#"alignment of "more": group "", drift 0ns (expected a name, and >= 1ms)"#,
    ] {
        assert!(why.contains(want), "expected {want} in {why}");
    }
    assert!(!why.contains(r#""p" keeps state"#), "{why}");

    fn aligned(job: &Env) {
        let s = job.source(files("x")).assign_timestamps("times", |_| 0, secs(0));
        s.alignment("orders", secs(2)).idleness(secs(3)).sink_to(print());
    }
    let job = Job::describe("aligned", aligned, &[]).unwrap();
    let want = r#""watermarks":{"group":"orders","driftMs":2000,"idleMs":3000}"#;
    assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
}
