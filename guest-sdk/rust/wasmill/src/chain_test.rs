//! Functions behind each other, as the host opens them.

use crate::host::native::TOLD;
use crate::prelude::*;
use crate::testing::{Job, Out};
use core::cell::Cell;
use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

fn words(job: &Env) {
    let lines = job.source(files(job.param("input", "what to read")));
    let words = lines.flat_map("split", |line| line.split(' ')).filter("some", |w| !w.is_empty());
    let long = words.try_map("long", |w| if w == "bad" { Err("a bad word") } else { Ok((w, w.len() as i64)) });
    long.key_value_by("length", |(w, n)| (w, n)).sum().uid("lengths").sink_to(print());
    words
        .map_with("upper", |w, scratch| scratch.text(format_args!("{}!", w.to_ascii_uppercase())))
        .assign_timestamps("timed", |w| w.len() as i64, secs(5))
        .key_by("word", |w| w.to_string())
        .count()
        .uid("counts")
        .sink_to(print());
}

fn job() -> Job {
    Job::describe("words", words, &[("input", "a.txt")]).expect("a job")
}

#[test]
fn a_chain_is_one_loop_or_composed_and_the_same_comes_of_it() {
    let job = job();
    let want = [(2, "AB!"), (4, "CDE!")].map(|(_, w)| Out { timestamp: w.len() as i64, key: w.to_string(), value: w });
    // from the head of the stream the functions are fused; from their middle they are not
    let fused = job.chain(&["split", "some", "upper", "timed", "word"]).keyed::<_, String, &str>(&["ab  cde"]).unwrap();
    assert_eq!(fused, want);
    let composed = job.chain(&["some", "upper", "timed", "word"]).keyed::<_, String, &str>(&["ab", "", "cde"]).unwrap();
    assert_eq!(composed, want);
}

#[test]
fn a_function_is_given_what_lies_in_the_batch() {
    let job = job();
    let got: Vec<(&str, i64)> = job.chain(&["split", "some", "long"]).process(&["a whale", "sea"]).unwrap();
    assert_eq!(got, [("a", 1), ("whale", 5), ("sea", 3)]);
}

#[test]
fn a_failure_names_the_record_and_nothing_is_left_of_it() {
    let (job, texts) = (job(), |s: &[&str]| s.iter().map(|t| t.to_string()).collect::<Vec<_>>());
    let chain = job.chain(&["split", "some", "long"]);
    let failed = chain.process::<_, (&str, i64)>(&texts(&["good", "so bad it is", "good"]));
    assert_eq!(failed.unwrap_err(), "record 1: a bad word");
    assert_eq!(chain.process::<_, (&str, i64)>(&texts(&["good"])).unwrap(), [("good", 4)]);
    let bytes: &[u8] = b"caf\xe9";
    let failed = chain.process::<_, (&str, i64)>(&[bytes]).unwrap_err();
    assert_eq!(failed, "record 0: text that is not UTF-8 at byte 3 (take it as Text, which may be anything)");
}

#[test]
#[should_panic(expected = "function \"long\" takes another type than the one before it makes")]
fn functions_that_do_not_fit_are_refused() {
    fn numbers(job: &Env) {
        let texts = job.source(generator());
        texts.map("length", |s| s.len() as i64).sink_to(print());
        texts.filter("long", |s| s.len() > 9).sink_to(print());
    }
    Job::describe("numbers", numbers, &[]).unwrap().chain(&["length", "long"]);
}

#[test]
fn types_of_one_codec_fit() {
    fn texts(job: &Env) {
        let texts = job.source(generator());
        texts.map("owned", |s| s.to_uppercase()).sink_to(print());
        texts.map("length", |s| s.len() as i64).sink_to(print());
    }
    let job = Job::describe("texts", texts, &[]).unwrap();
    let got: Vec<i64> = job.chain(&["owned", "length"]).process(&["a", "\u{df}", ""]).unwrap();
    assert_eq!(got, [1, 2, 0]);
}

#[test]
fn many_records_leave_in_several_batches_and_nothing_is_lost() {
    fn numbers(job: &Env) {
        job.source(generator()).flat_map("count", |s: &str| 0..s.len() as i64).map("double", |n| 2 * n).sink_to(print());
    }
    let job = Job::describe("numbers", numbers, &[]).unwrap();
    let got: Vec<i64> = job.chain(&["count", "double"]).process(&["x".repeat(5000)]).unwrap();
    assert_eq!(got, (0..5000).map(|n| 2 * n).collect::<Vec<_>>());
}

#[test]
fn what_a_definition_refuses_is_said_together() {
    fn wrong(job: &Env) {
        job.param_i64("n", "");
        let late = job.side::<i64>("late");
        let other = job.side::<i64>("other");
        let keyed = job.source(generator()).map("n", |s| s.len() as i64).parallelism(0).key_by("k", |n| *n);
        keyed.window(tumbling(secs(1))).late(&late).count().sink_to(print());
        keyed.window(tumbling(secs(2))).late(&late).count().uid("again").sink_to(print());
        other.stream().sink_to(print());
        job.source(files("x")).key_by("k", |s| *s).sum().uid("s").sink_to(print());
    }
    let problems = Job::describe("wrong", wrong, &[("n", "many")]).err().unwrap();
    for part in [
        "parameter \"n\": \"many\" (expected a whole number)",
        "operator \"n\": parallelism 0 (expected >= 1)",
        "side output \"late\": of two operators, \"count\" and \"count\"",
        "side output \"other\": stream before it is an operator's",
        "side output \"other\" is of no operator",
        "sum behind \"k\": values of codec utf8 (expected i64 or f64)",
        "operator \"count\" keeps state and has no uid",
        "operator \"k\": defined twice",
        "function \"k\": defined twice",
    ] {
        assert!(problems.contains(part), "{part}\nis not in\n{problems}");
    }
}

#[test]
fn the_manifest_says_how_operators_run() {
    fn placed(job: &Env) {
        let rows = job.source(json_files::<(i64, Option<&str>)>("in").timestamps(secs(4), &["f0"])).on_trap(TrapPolicy::DeadLetter);
        rows.dead_letters().sink_to(print());
        let spread = rows.shuffle().map("one", |(n, _)| n).start_new_chain().slot_sharing_group("heavy").parallelism(3);
        spread
            .partition_custom("even", |n, receivers| *n as u32 % receivers)
            .map("two", |n| n)
            .disable_chaining()
            .sink_to(file_sink("out").json().times("ms").columns(&["f0"]).all_updates().roll_size(1 << 20).roll_interval(secs(90)).partition("{key}"));
        spread.union(&[&spread.rebalance(), &spread.global()]).sink_to(blackhole().rate(7)).disable_chaining().name("all").uid("u");
    }
    let job = Job::describe("placed", placed, &[]).unwrap();
    let operators = &job.manifest()[job.manifest().find("\"operators\"").unwrap()..];
    let want = concat!(
        "\"operators\":[",
        "{\"name\":\"files\",\"kind\":\"source\",\"connector\":{\"type\":\"file\",\"config\":{\"format\":\"json\",\"path\":\"in\",\"timestamps\":\"f0\"}},",
        "\"watermarks\":{\"outOfOrderMs\":4000},\"output\":\"row(f0: i64, f1: utf8?)\",\"onTrap\":\"deadLetter\"},",
        "{\"name\":\"print\",\"kind\":\"sink\",\"inputs\":[{\"from\":\"files\",\"side\":1}],\"connector\":{\"type\":\"print\"}},",
        "{\"name\":\"one\",\"kind\":\"map\",\"function\":\"one\",\"inputs\":[{\"from\":\"files\",\"partition\":\"shuffle\"}],\"parallelism\":3,",
        "\"output\":\"i64\",\"chaining\":\"begin\",\"slotGroup\":\"heavy\"},",
        "{\"name\":\"even\",\"kind\":\"partition\",\"function\":\"even\",\"inputs\":[{\"from\":\"one\"}],\"parallelism\":3,\"output\":\"i64\"},",
        "{\"name\":\"two\",\"kind\":\"map\",\"function\":\"two\",\"inputs\":[{\"from\":\"even\"}],\"output\":\"i64\",\"chaining\":\"alone\"},",
        "{\"name\":\"files-2\",\"kind\":\"sink\",\"inputs\":[{\"from\":\"two\"}],\"connector\":{\"type\":\"file\",\"config\":{\"columns\":\"f0\",\"format\":\"json\",",
        "\"partition\":\"{key}\",\"path\":\"out\",\"rollInterval\":\"90000ms\",\"rollSize\":\"1048576\",\"times\":\"ms\",\"updates\":\"all\"}}},",
        "{\"name\":\"union\",\"kind\":\"union\",\"inputs\":[{\"from\":\"one\"},{\"from\":\"one\",\"partition\":\"rebalance\"},{\"from\":\"one\",\"partition\":\"global\"}],",
        "\"output\":\"i64\"},",
        "{\"name\":\"all\",\"uid\":\"u\",\"kind\":\"sink\",\"inputs\":[{\"from\":\"union\"}],\"connector\":{\"type\":\"blackhole\",\"config\":{\"rate\":\"7\"}},",
        "\"chaining\":\"alone\"}]}",
    );
    assert_eq!(operators, want);
    assert!(job.manifest().contains("\"features\":[1,2,8,9]"), "{}", job.manifest());
}

#[test]
fn records_are_cloned_only_where_a_chain_branches() {
    #[derive(Debug)]
    struct Counted(Rc<Cell<usize>>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.set(self.0.get() + 1);
            Counted(self.0.clone())
        }
    }
    impl<'x> Field<'x> for Counted {
        type Ref = Self;
        fn schema(to: &mut String) {
            to.push_str("bytes");
        }
        fn append(&self, to: &mut Vec<u8>) {
            to.extend_from_slice(format!("{}", self.0.get()).as_bytes());
        }
        fn decode(_: &'x [u8]) -> Self {
            Counted(Rc::default())
        }
    }
    impl<'x> Record<'x> for Counted {
        fn codec(to: &mut String) {
            to.push_str("test.counted");
        }
    }
    fn counted(job: &Env) {
        job.source(generator()).map("make", |_| Counted(Rc::default())).filter("all", |_| true).map("same", |c| c).sink_to(print());
    }
    let job = Job::describe("counted", counted, &[]).unwrap();
    assert!(job.manifest().contains("\"output\":\"test.counted\""), "{}", job.manifest());
    let got: Vec<&[u8]> = job.chain(&["make", "all", "same"]).process(&["a", "b"]).unwrap();
    assert_eq!(got, [b"0", b"0"]);
}

#[test]
fn a_function_says_how_far_event_time_has_come() {
    fn marked(job: &Env) {
        let timed = job.source(files("x")).assign_watermarks("mark", |s| (s.len() as i64, s.contains('!').then_some(7)));
        timed.idleness(secs(2)).key_by("key", |s| *s).count().uid("c").sink_to(print());
        job.source(generator()).idleness(millis(5)).sink_to(print());
    }
    let job = Job::describe("marked", marked, &[]).unwrap();
    for want in [r#""watermarks":{"guest":true,"idleMs":2000}"#, r#""watermarks":{"idleMs":5}"#] {
        assert!(job.manifest().contains(want), "{want} in {}", job.manifest());
    }
    let told = |lines: &[&str]| {
        TOLD.with(|t| t.borrow_mut().watermark = None);
        let out = job.chain(&["mark"]).keyed::<_, &str, &str>(lines).unwrap();
        assert_eq!(out.iter().map(|o| o.timestamp).collect::<Vec<_>>(), lines.iter().map(|l| l.len() as i64).collect::<Vec<_>>());
        TOLD.with(|t| t.borrow().watermark)
    };
    assert_eq!((told(&["a long line", "b!", "c"]), told(&["a", "bb"])), (Some(7), None));

    fn wrong(job: &Env) {
        job.source(files("x")).idleness(secs(1)).sink_to(print());
        job.source(generator()).idleness(millis(0)).sink_to(print());
    }
    let problems = Job::describe("wrong", wrong, &[]).err().unwrap();
    assert!(problems.contains("idleness of \"files\": it has no watermarks"), "{problems}");
    assert!(problems.contains("idleness of \"generator\": 0ns (expected >= 1ms)"), "{problems}");
}

#[test]
fn windows_are_in_the_manifest() {
    fn windows(job: &Env) {
        let keyed = job.source(files("x")).key_by("key", |s| *s);
        let all = [
            tumbling(secs(1)),
            sliding(secs(10), secs(2)),
            tumbling(secs(1)).offset(millis(300)),
            tumbling(days(1)).offset_before(hours(8)),
            session(millis(0)), // the host refuses it
            sliding(millis(10), millis(10)).processing_time(),
            session(secs(3)),
        ];
        for (i, w) in all.into_iter().enumerate() {
            keyed.window(w).count().uid(&format!("c{i}")).sink_to(print());
            keyed.window(w).allowed_lateness(mins(1)).count().uid(&format!("d{i}")).sink_to(print());
        }
    }
    let job = Job::describe("windows", windows, &[]).unwrap();
    for want in [
        r#"{"kind":"tumbling","sizeMs":1000"#,
        r#"{"kind":"sliding","sizeMs":10000,"slideMs":2000"#,
        r#"{"kind":"tumbling","sizeMs":1000,"offsetMs":300"#,
        r#"{"kind":"tumbling","sizeMs":86400000,"offsetMs":-28800000"#,
        r#"{"kind":"session""#,
        r#"{"kind":"sliding","sizeMs":10,"slideMs":10,"time":"processing""#,
        r#"{"kind":"session","gapMs":3000"#,
    ] {
        for end in ["}", ",\"latenessMs\":60000}"] {
            let want = format!("\"window\":{want}{end}");
            assert!(job.manifest().contains(&want), "{want} in {}", job.manifest());
        }
    }
}

#[test]
fn windows_of_records_are_in_the_manifest() {
    fn windows(job: &Env) {
        let keyed = job.source(files("x")).key_by("key", |s| *s);
        keyed.count_window(10).count().uid("c").sink_to(print());
        keyed.sliding_count_window(10, 4).reduce("first", |a, _| a).uid("d").sink_to(print());
    }
    let job = Job::describe("windows", windows, &[]).unwrap();
    for want in [
        r#""window":{"kind":"count","count":10},"output":"row(key: utf8, value: i64)""#,
        r#""window":{"kind":"count","count":10,"countSlide":4},"output":"row(key: utf8, value: utf8)""#,
    ] {
        assert!(job.manifest().contains(want), "{want} in {}", job.manifest());
    }

    fn wrong(job: &Env) {
        let cut = job.source(files("x")).key_by("key", |s| *s).count_window(10);
        cut.window(tumbling(secs(1))).count().uid("c").sink_to(print());
        cut.process("p", (), |c, _, v: &str| c.emit(v)).uid("d").sink_to(print());
    }
    let problems = Job::describe("wrong", wrong, &[]).err().unwrap();
    assert!(problems.contains("a window of time of key \"key\": behind a window of records"), "{problems}");
    assert!(problems.contains("a process function of key \"key\": behind a window of records"), "{problems}");
}

#[test]
fn accumulators_have_a_version() {
    fn versioned(job: &Env) {
        let keyed = job.source(files("x")).key_value_by("key", |s| (s, s.len() as i64));
        let sums = keyed.reduce("sum", |a, b| a + b).accumulators(3, 1, |from, old| Some(i64::from(from) + old.len() as i64));
        sums.uid("s").sink_to(print());
    }
    let job = Job::describe("versioned", versioned, &[]).unwrap();
    let state = r#""states":[{"name":"accumulator","scope":"keyed","kind":"value","codec":"i64","version":3,"migrates":true,"oldest":1}]"#;
    assert!(job.manifest().contains(state) && job.manifest().contains(r#""features":[1,2,8,10]"#), "{}", job.manifest());

    fn wrong(job: &Env) {
        let texts = job.source(files("x"));
        let sums = texts.key_value_by("key", |s| (s, 1)).reduce("sum", |a, b| a + b).uid("s");
        sums.clone().accumulators(0, 0, |_, _| Some(7)).accumulators(1, 0, |_, _| Some(7.5));
        texts.accumulators(1, 0, |_, _| Some(7));
    }
    let problems = Job::describe("wrong", wrong, &[]).err().unwrap();
    for part in [
        "operator \"sum\": accumulators of version 0 (expected > 0)",
        "operator \"sum\": accumulators of codec f64 (expected i64)",
        "operator \"files\": accumulators (expected a reduce or aggregate)",
    ] {
        assert!(problems.contains(part), "{part}\nis not in\n{problems}");
    }
}

#[test]
fn sources_and_sinks_of_rows_say_their_settings() {
    fn formats(job: &Env) {
        let csv = csv_files::<(i64,)>("a").header().names(&["f0", "z"]).delimiter("tab").quoted_newlines();
        job.source(csv).sink_to(file_sink("b").csv().header().delimiter(";"));
        job.source(avro_files::<(i64,)>("c")).name("avro").sink_to(file_sink("d").avro().compression("zstd"));
        job.source(parquet_files::<(i64,)>("e")).name("parquet").sink_to(file_sink("f").parquet());
        job.source(nexmark::<(i64,)>("bid", secs(4)).with("events", "9").with("events", "10")).sink_to(print());
    }
    let job = Job::describe("formats", formats, &[]).unwrap();
    for want in [
        r#"{"delimiter":"tab","format":"csv","header":"true","names":"f0,z","path":"a","quotedNewlines":"true"}"#,
        r#"{"delimiter":";","format":"csv","header":"true","path":"b"}"#,
        r#"{"format":"avro","path":"c"}"#,
        r#"{"compression":"zstd","format":"avro","path":"d"}"#,
        r#"{"format":"parquet","path":"e"}"#,
        r#"{"format":"parquet","path":"f"}"#,
        r#"{"type":"nexmark","config":{"events":"10","kind":"bid"}},"watermarks":{"outOfOrderMs":4000}"#,
    ] {
        assert!(job.manifest().contains(want), "{want} in {}", job.manifest());
    }
}
