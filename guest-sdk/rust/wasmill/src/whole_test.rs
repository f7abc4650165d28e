//! Functions over all records of a subtask, and sorts.

use crate::group::{BEGIN, END, PROCESS, TIMER};
use crate::prelude::*;
use crate::testing::Job;
use crate::window_test::{call, group, open};
use crate::NO_TIMESTAMP;
use std::string::{String, ToString};
use std::vec::Vec;

#[derive(Clone, Row)]
struct Visit<'x> {
    user: &'x str,
    page: &'x str,
}

fn whole(job: &Env) {
    let (lines, now) = (job.source(files("x")), job.side("now"));
    let all = lines.map_partition(
        "all",
        &now,
        Vec::new,
        |_, now, kept: &mut Vec<String>, line| {
            if line == "now" {
                now.emit(line);
            }
            kept.push(line.to_string());
        },
        |c, _, kept| c.emit(kept.join("+")),
    );
    all.uid("all").sink_to(print());
    now.stream().sink_to(print());
    lines.map("own", |s| s.to_string()).reduce_partition("sum", |a, b| a + &b).uid("sum").sink_to(print());
    lines.aggregate_partition("count", || 0i64, |n, _| *n += 1, |n| n).uid("count").sink_to(print());
    lines.sort_partition("sorted", |s| s.len() as i64, Direction::Descending).uid("sorted").parallelism(3).sink_to(print());
    let visits = lines.map("visit", |s| Visit { user: s, page: s }).parallelism(2);
    visits.sort_partition_by("visits", [Visit::USER.ascending(), Visit::PAGE.descending()]).uid("visits").sink_to(blackhole());
    lines.partition_range_sampled("ranged", |s| s.len() as i64).parallelism(4).sink_to(blackhole());
    visits.partition_range_sampled_by("pages", [Visit::PAGE.descending()]).sink_to(blackhole());
}

#[test]
fn whole_partitions_are_in_the_manifest() {
    let job = Job::describe("whole", whole, &[]).unwrap();
    for want in [
        r#""features":[1,2,8,11,16]"#,
        r#"{"id":0,"name":"all","kind":"mapPartition","inputs":["utf8"],"output":"utf8","sides":["utf8"]}"#,
        r#"{"name":"all","uid":"all","kind":"mapPartition","function":"all","inputs":[{"from":"files"}],"output":"utf8"}"#,
        r#"{"name":"sorted by","kind":"key","function":"sorted by","inputs":[{"from":"files"}],"parallelism":3,"key":"i64","output":"utf8"}"#,
        r#"{"name":"sorted","uid":"sorted","kind":"sortPartition","inputs":[{"from":"sorted by","partition":"forward"}],"parallelism":3,"output":"utf8","order":["desc"]}"#,
        r#"{"name":"visits by","kind":"key","inputs":[{"from":"visit"}],"output":"row(user: utf8, page: utf8)","fields":["user","page"]}"#,
        r#""output":"row(user: utf8, page: utf8)","order":["asc","desc"]}"#,
        r#"{"name":"ranged sample","kind":"sample","inputs":[{"from":"ranged by","partition":"forward"}],"parallelism":4,"output":"bytes"}"#,
        r#"{"name":"ranged","kind":"range","inputs":[{"from":"ranged by","partition":"forward"},{"from":"ranged sample","partition":"broadcast"}],"parallelism":4,"output":"utf8"}"#,
        r#"{"name":"pages sample","kind":"sample","inputs":[{"from":"pages by","partition":"forward"}],"output":"bytes","order":["desc"]}"#,
    ] {
        assert!(job.manifest().contains(want), "expected {want} in {}", job.manifest());
    }
    fn wrong(job: &Env) {
        let visits = job.source(files("x")).map("visit", |s| Visit { user: s, page: s });
        visits.sort_partition_by("visits", []).sink_to(blackhole());
        visits.partition_range_sampled_by("pages", []).sink_to(blackhole());
    }
    let why = Job::describe("wrong", wrong, &[]).err().unwrap();
    assert!(why.contains(r#"partition "pages": by no field"#), "{why}");
    assert!(why.contains(r#"sort "visits": by no field"#) && why.contains(r#""visits" keeps state and has no uid"#), "{why}");
}

#[test]
fn all_records_are_walked_call_by_call() {
    let run = |function: &str, batches: &[&[&str]]| {
        let _job = open(whole, function);
        let mut emitted = Vec::new();
        let mut run = |verb, records: &[&str]| {
            let records: Vec<(i64, &[u8])> = records.iter().map(|r| (7, r.as_bytes())).collect();
            let got = call(verb, &group(0, (0, 0), 0, "", &[(0, 0, &records)]));
            assert_eq!((got.status, got.actions.len()), (0, 0));
            emitted.extend(got.emitted.into_iter().map(|(at, v)| {
                assert_eq!(at, NO_TIMESTAMP);
                v
            }));
        };
        run(BEGIN, &[]);
        batches.iter().for_each(|records| run(PROCESS, records));
        run(END, &[]);
        emitted
    };
    let batches: &[&[&str]] = &[&["a"], &["now", "b"], &["c"]];
    assert_eq!(run("all", batches), [b"a+now+b+c"]);
    assert_eq!(run("all", &[]), [b""], "a subtask without records");
    assert_eq!(run("sum", batches), [b"anowbc"]);
    assert_eq!(run("sum", &[]), [b""; 0]);
    assert_eq!(run("count", batches), [4i64.to_le_bytes()]);
    assert_eq!(call(TIMER, &group(0, (0, 0), 0, "", &[])).status, 4, "another verb");
}
