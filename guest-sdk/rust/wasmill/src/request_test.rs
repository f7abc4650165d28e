//! Request functions over groups as the host hands them: what is asked, and what becomes of answers.

use crate::batch::{self, octets};
use crate::golden_test::golden;
use crate::group::{PROCESS, REQUEST, RESPONSE};
use crate::guest;
use crate::host::native::TOLD;
use crate::prelude::*;
use crate::testing::{leak, Job};
use std::mem;
use std::string::{String, ToString};
use std::vec::Vec;

fn asking(job: &Env) {
    let words = job.source(files("x"));
    let how = unordered(&["rates.example.com:443", "*.example.org:*"]).capacity(7).timeout(secs(3)).told_of_failures();
    let how = how.exponential_backoff(5, millis(100), secs(2), 150).retry_on(&["5xx", "broken"]);
    let rates = words.key_by("key", |w| *w).async_wait("rates", how, ask, |c, word, answer| {
        let text = match answer {
            Answer::Response(r) => {
                let rate = r.header("x-rate").map_or(&b"?"[..], |h| h);
                std::format!("{} {} {} {}", word, r.status, text(rate), text(r.body))
            }
            other => std::format!("{word} {other:?} {}", c.timestamp()),
        };
        c.emit(text);
    });
    rates.uid("r").sink_to(print());
    let plain = words.async_wait("plain", ordered(&["a:1"]).fixed_delay(2, secs(1)), ask, |c, word, _| c.emit(word));
    plain.uid("p").sink_to(print());
}

fn ask(word: &str) -> Option<HttpRequest> {
    let url = std::format!("https://rates.example.com/{word}");
    let request = HttpRequest::get(&url).header("Accept", "text/plain").body(b"hi").timeout(millis(500));
    (word != "self").then_some(request)
}

fn text(p: &[u8]) -> String {
    String::from_utf8_lossy(p).to_string()
}

#[test]
fn requests_are_in_the_manifest() {
    let job = Job::describe("test", asking, &[]).unwrap();
    for want in [
        r#""features":[1,2,7]"#,
        r#""name":"rates","kind":"request","inputs":["utf8"],"output":"utf8","failures":true}"#,
        concat!(
            r#""inputs":[{"from":"key"}],"requests":{"client":"http","hosts":["rates.example.com:443","*.example.org:*"],"#,
            r#""order":"unordered","capacity":7,"timeoutMs":3000,"retry":{"retries":5,"delayMs":100,"maxDelayMs":2000,"#,
            r#""growPercent":150,"on":["5xx","broken"]}}"#
        ),
        r#""requests":{"client":"http","hosts":["a:1"],"order":"ordered","retry":{"retries":2,"delayMs":1000}}"#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in\n{}", job.manifest());
    }
    fn never(job: &Env) {
        let words = job.source(files("x"));
        words.async_wait("r", ordered(&["a:1"]).retry_on(&["5xx"]), ask, |c, w, _| c.emit(w)).sink_to(print());
    }
    let why = Job::describe("test", never, &[]).err().unwrap();
    assert!(why.contains("retry_on without") && why.contains("has no uid"), "{why}");
}

/// A group of one record, with its answer if there is one.
fn group(word: &str, at: i64, answer: Option<&[u8]>) -> Vec<u8> {
    let mut p = Vec::from(octets(&[0u32, 0, 0, 0, 0, 0, 0, 0, word.len() as u32, 1 + answer.is_some() as u32]));
    p.extend_from_slice(word.as_bytes());
    pad(&mut p);
    list(&mut p, 0, Some(at), word.as_bytes());
    if let Some(answer) = answer {
        list(&mut p, 3, None, answer);
    }
    let size = p.len() as u32;
    p[..4].copy_from_slice(&size.to_le_bytes());
    p
}

fn list(p: &mut Vec<u8>, tag: u32, at: Option<i64>, value: &[u8]) {
    let n = value.len() as u32;
    let size = 24 + 8 * at.is_some() as u32 + 8 + ((n + 7) & !7);
    p.extend_from_slice(octets(&[size, tag, 1, 1, at.is_some() as u32, n]));
    if let Some(at) = at {
        p.extend_from_slice(&at.to_le_bytes());
    }
    p.extend_from_slice(octets(&[0, n]));
    p.extend_from_slice(value);
    pad(p);
}

fn pad(p: &mut Vec<u8>) {
    p.resize((p.len() + 7) & !7, 0);
}

fn call(verb: u32, groups: &[Vec<u8>]) -> u32 {
    let mut p = Vec::from(octets(&[40u32, 0, 0, 0, 0, 0, 0, 0, 1, 1, 16, groups.len() as u32, 0, 0]));
    p.extend(groups.concat());
    guest::keyed(0, verb, leak(&p)) as u32
}

#[test]
fn a_request_is_written_as_the_specification_has_it() {
    let job = Job::describe("test", asking, &[]).unwrap();
    job.chain(&["rates"]);
    assert_eq!(call(REQUEST, &[group("self", 1, None), group("CHF", 2, None)]), 0);
    let told = TOLD.with(|t| mem::take(&mut *t.borrow_mut()));
    let want = golden("request");
    let padded = (want.len() + 7) & !7;
    assert_eq!(told.reply[..32], *octets(&[32 + padded as u32, 1, 1, 0, 16 + padded as u32, 9, want.len() as u32, 0]));
    assert_eq!(told.reply[32..32 + want.len()], *want);
    assert_eq!(told.reply.len(), 32 + padded);
    assert!(told.emits.is_empty());
}

#[test]
fn answers_become_results() {
    let job = Job::describe("test", asking, &[]).unwrap();
    job.chain(&["rates"]);
    let said = |outcome: u32, why: &str| [octets(&[outcome, 0]), why.as_bytes()].concat();
    let groups = [
        group("CHF", 5, Some(golden("answer"))),
        group("self", 6, Some(&said(4, ""))),
        group("EUR", 7, Some(&said(1, "late"))),
        group("USD", 8, Some(&said(2, "no"))),
        group("JPY", 9, Some(&said(3, "reset"))),
    ];
    assert_eq!(call(RESPONSE, &groups), 0);
    let emits = TOLD.with(|t| mem::take(&mut t.borrow_mut().emits));
    let b = batch::Batch::parse(leak(&emits[0].1)).unwrap();
    let values: Vec<String> = (0..b.n).map(|i| text(b.value(i))).collect();
    let want = ["CHF 200 1 1.07", "self Unasked 6", "EUR TimedOut(\"late\") 7", "USD Refused(\"no\") 8", "JPY Broken(\"reset\") 9"];
    assert_eq!(values, want);
    assert_eq!(b.timestamps.unwrap(), [5, 6, 7, 8, 9]);
    let keys: Vec<String> = (0..b.n).map(|i| text(b.key(i))).collect();
    assert_eq!(keys, ["CHF", "self", "EUR", "USD", "JPY"]);
    assert_eq!(call(PROCESS, &[]), 4, "another verb");
}
