//! Window functions whose values do not all come with the call: the host is asked for the rest, page by page.

use crate::batch::{octets, u32_at};
use crate::group::WINDOW;
use crate::host::native::{STATE, TOLD};
use crate::prelude::*;
use crate::window_test::{call_in, group, open, IN_WINDOW};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// Answers with the values c to g, two at a time, each at the time that its number is.
fn answer(op: u32, p: &[u8]) -> Vec<u8> {
    assert_eq!((op, u32_at(p, 0), u32_at(p, 12), u32_at(p, 16) & 0xffff), (6, 1, 0, 0), "records of group 0, input 0");
    let from = u32_at(p, 24);
    let n = 2.min(7 - from);
    let more = u32::from(from + n < 7);
    let mut out = Vec::from(octets(&[1, 0, 32 + 8 * n + 16 + 8, 4 | more, from + n, 0, n, 0, n, 0]));
    (from..from + n).for_each(|i| out.extend(i64::from(i).to_le_bytes()));
    (0..=n).for_each(|i| out.extend(i.to_le_bytes()));
    out.resize(out.len().next_multiple_of(8), 0);
    (from..from + n).for_each(|i| out.push(b'a' + i as u8));
    out.resize(out.len().next_multiple_of(8), 0);
    let size = (out.len() - 8) as u32;
    out[8..12].copy_from_slice(&size.to_le_bytes());
    out
}

/// A group of 7 values, of which two came with the call.
fn large() -> Vec<u8> {
    let mut g = group(IN_WINDOW, (0, 10), 0, "k", &[(0, 0, &[(0, b"a"), (1, b"b")])]);
    assert_eq!(u32_at(&g, 48 + 8), 2, "the length of the list");
    g[48 + 8] = 7;
    g
}

fn windows(job: &Env) {
    let lines = job.source(generator()).key_by("key", |s| *s).window(tumbling(secs(1)));
    let all = lines.process("all", (), |c, _, values| {
        let twice = values.clone();
        assert_eq!((values.len(), values.clone().skip(3).len(), values.clone().timed().map(|(t, _)| t).sum::<i64>()), (7, 4, 21));
        c.emit(values.chain(twice).collect::<String>());
    });
    all.uid("all").sink_to(print());
    let seen = job.value_state::<i64>("seen");
    let each = lines.process_each(
        "each",
        &seen,
        String::new,
        |c, seen, all, v| {
            all.push_str(&format!("{v}{}", c.value_timestamp()));
            seen.set(c.value_timestamp());
            if v == "d" {
                c.emit(format!("{v} of {}", c.key()));
            }
        },
        |c, seen, all| c.emit(format!("{all} {:?} {}", seen.get(), c.value_timestamp() == crate::NO_TIMESTAMP)),
    );
    each.uid("each").sink_to(print());
    lines
        .process_each(
            "bad",
            (),
            || (),
            |_, _, _, v| {
                if v == "e" {
                    fail("an e")
                }
            },
            |c, _, _| c.emit("end".to_string()),
        )
        .uid("bad")
        .sink_to(print());
}

#[test]
fn what_did_not_come_is_asked_for() {
    let job = open(windows, "all");
    assert!(
        job.manifest().contains(r#""name":"each","kind":"window","inputs":["utf8"],"key":"utf8","output":"utf8","pulls":true,"states""#),
        "{}",
        job.manifest()
    );
    let got = call_in(WINDOW, &large(), answer);
    assert_eq!((got.status, got.emitted), (0, Vec::from([(9, b"abcdefgabcdefg".to_vec())])));
    let _job = open(windows, "each");
    let got = call_in(WINDOW, &large(), answer);
    assert_eq!(got.emitted, [(9, b"d of k".to_vec()), (9, b"a0b1c2d3e4f5g6 Some(6) true".to_vec())]);
    assert_eq!(got.actions, [(1, 0, 6i64.to_le_bytes().to_vec())]);
    let _job = open(windows, "bad");
    assert_eq!(
        (call_in(WINDOW, &large(), answer).status, TOLD.with(|t| t.borrow().emits.len())),
        (1, 0),
        "a function that fails does not go on"
    );
    STATE.with(|s| *s.borrow_mut() = |_, _| panic!("nothing is asked for of a window that came as a whole"));
    let _job = open(windows, "each");
    assert_eq!(call_in(WINDOW, &group(IN_WINDOW, (0, 10), 0, "k", &[(0, 0, &[(5, b"x")])]), |_, _| panic!("asked")).emitted.len(), 1);
}
