//! Process functions over groups as the host hands them: what is asked for, what is replied. The whole of it is held by
//! abi/conformance.

use crate::batch::octets;
use crate::golden_test::golden;
use crate::group::{PARTITION, PROCESS, TIMER};
use crate::host::native::{STATE, TOLD};
use crate::prelude::*;
use crate::testing::Job;
use crate::{batch, guest};
use std::boxed::Box;
use std::mem;
use std::vec::Vec;

/// Has a handle of one keyed function open, and calls it with the golden groups behind a call header.
fn call(job: &Job, verb: u32) -> u32 {
    let _ = job;
    let header = [40u32, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    let groups = golden("groups");
    let words: Vec<u64> = octets(&header).iter().chain(groups).copied().collect::<Vec<u8>>().chunks(8).map(eight).collect();
    let all = Box::leak(words.into_boxed_slice());
    // SAFETY: numbers are bytes.
    let p = unsafe { core::slice::from_raw_parts(all.as_ptr().cast(), 40 + groups.len()) };
    guest::keyed(0, verb, p) as u32
}

fn eight(p: &[u8]) -> u64 {
    u64::from_le_bytes(p.try_into().expect("8 bytes"))
}

fn open(define: guest::Define, function: &str) -> Job {
    let job = Job::describe("test", define, &[]).unwrap();
    job.chain(&[function]);
    job
}

#[test]
fn a_value_is_kept_while_it_is_set_anew() {
    fn latest(job: &Env) {
        let keyed = job.source(generator()).key_by("k", |s| *s);
        let (seen, last) = (job.value_state::<i64>("unused"), job.value_state::<&str>("last"));
        let process = keyed.process("latest", (&seen, &last), |c: &Context<&str, &str>, (_, last), v| {
            let before = last.get().unwrap_or("none");
            last.set(v);
            last.set("x");
            c.emit(before); // still what it was
        });
        process.uid("u").sink_to(print());
    }
    let job = open(latest, "latest");
    STATE.with(|s| *s.borrow_mut() = nothing);
    assert_eq!(call(&job, PROCESS), 0);
    let reply = TOLD.with(|t| mem::take(&mut t.borrow_mut().reply));
    let put = |group| [40u32, group, 1, 0, 24, 1 << 16 | 1, 1, 0, b'x' as u32, 0];
    assert_eq!(reply, octets(&[put(0), put(1)].concat()));
    let emits = TOLD.with(|t| mem::take(&mut t.borrow_mut().emits));
    let b = batch::Batch::parse(aligned(&emits[0].1)).unwrap();
    let values: Vec<&[u8]> = (0..b.n).map(|i| b.value(i)).collect();
    assert_eq!(values, [&b"none"[..], b"x", b"seen", b"x"]);
    let asked = TOLD.with(|t| mem::take(&mut t.borrow_mut().requests));
    assert_eq!(asked.iter().map(|(op, _)| *op).collect::<Vec<_>>(), [1, 6], "the value that did not come, and the rest of a list");
}

#[test]
fn a_timer_sees_its_time_and_the_state_that_came_with_it() {
    fn alarm(job: &Env) {
        let keyed = job.source(generator()).key_by("k", |s| *s);
        let (unused, seen) = (job.value_state::<i64>("unused"), job.value_state::<&str>("seen"));
        let ringing = keyed.process_timers(
            "alarm",
            (&unused, &seen),
            |_, _, _| (),
            |c, (_, seen), t| {
                assert!(!t.processing);
                c.emit(t.time + c.timestamp() + seen.get().map_or(0, |s| s.len() as i64));
                c.set_processing_timer(7);
            },
        );
        ringing.uid("u").sink_to(print());
    }
    let job = open(alarm, "alarm");
    TOLD.with(|t| *t.borrow_mut() = Default::default());
    STATE.with(|s| *s.borrow_mut() = nothing);
    assert_eq!(call(&job, TIMER), 0);
    let emits = TOLD.with(|t| mem::take(&mut t.borrow_mut().emits));
    let b = batch::Batch::parse(aligned(&emits[0].1)).unwrap();
    let values: Vec<i64> = (0..b.n).map(|i| i64::decode(b.value(i))).collect();
    assert_eq!(values, [0, 3000 + 3000 + 4], "group 0 has no timer, and its state is asked for");
}

#[test]
fn a_timer_that_no_function_takes_is_told_of() {
    fn alarm(job: &Env) {
        let keyed = job.source(generator()).key_by("k", |s| *s);
        keyed.process::<_, &str>("alarm", (), |c, _, _| c.set_timer(7)).uid("u").sink_to(print());
    }
    let job = open(alarm, "alarm");
    TOLD.with(|t| *t.borrow_mut() = Default::default());
    assert_ne!(call(&job, TIMER), 0);
    let told = TOLD.with(|t| mem::take(&mut t.borrow_mut().failure));
    assert!(std::string::String::from_utf8_lossy(&told).contains("a timer of a function that has no callback for timers: use the function that takes one"));
}

#[test]
fn a_partition_function_answers_a_receiver_for_each_record() {
    fn placed(job: &Env) {
        let numbers = job.source(generator()).map("length", |s| s.len() as i64);
        numbers.partition_custom("first", |n, receivers| receivers - *n as u32).sink_to(print());
        numbers.partition_custom("wrong", |_, receivers| receivers + 4).sink_to(print());
    }
    let job = open(placed, "first");
    assert_eq!(call(&job, PARTITION), 0);
    let reply = TOLD.with(|t| mem::take(&mut t.borrow_mut().reply));
    // two records of group 0, which go to subtask 0 of one; group 1 has none
    assert_eq!(reply, octets(&[40u32, 0, 1, 0, 24, 8, 8, 0, 0, 0, 32, 1, 1, 0, 16, 8, 0, 0]));
    assert_eq!(call(&job, PROCESS), 4, "another verb");

    let job = open(placed, "wrong");
    assert_eq!(call(&job, PARTITION), 1);
    let failure = TOLD.with(|t| mem::take(&mut t.borrow_mut().failure));
    assert_eq!(failure, crate::fail::encode(0, "subtask 5 (expected 0 <= subtask < 1)", ""));
}

#[test]
fn a_panic_is_told_of_with_its_place() {
    let at = core::panic::Location::caller();
    crate::fail::begin();
    crate::fail::set_record(7);
    crate::exports::panicked("unlucky", Some(at));
    crate::exports::panicked("while it dies", None);
    let failure = TOLD.with(|t| mem::take(&mut t.borrow_mut().failure));
    let place = std::format!("{}:{}", at.file(), at.line());
    assert!(place.contains("process_test.rs:"), "{place}");
    assert_eq!(failure, crate::fail::encode(7, "unlucky", &place));
}

/// Answers that there is no element.
fn nothing(_: u32, _: &[u8]) -> Vec<u8> {
    octets(&[1u32, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0]).to_vec()
}

fn aligned(p: &[u8]) -> &'static [u8] {
    let words = Box::leak(p.chunks(8).map(eight).collect::<Vec<_>>().into_boxed_slice());
    // SAFETY: numbers are bytes.
    unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), p.len()) }
}

#[test]
fn times_of_states_are_in_the_manifest() {
    fn recent(job: &Env) {
        let keyed = job.source(files("x")).key_by("word", |s| *s);
        let last = job.value_state::<i64>("last").ttl(hours(1)).event_time_ttl(mins(1));
        let all = job.list_state::<i64>("all").event_time_ttl(mins(1)).ttl(hours(1));
        keyed.process("recent", (&last, &all), |_: &Context<&str, i64>, _, _| {}).uid("recent").sink_to(print());
    }
    let job = Job::describe("recent", recent, &[]).unwrap();
    for want in [
        r#""features":[1,2,3,19]"#,
        r#"{"name":"last","scope":"keyed","kind":"value","codec":"i64","ttlMs":60000,"time":"event"}"#,
        r#"{"name":"all","scope":"keyed","kind":"list","codec":"i64","ttlMs":3600000}"#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
    }
}
