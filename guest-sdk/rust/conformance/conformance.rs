//! The guest that abi/conformance runs its scenarios against, in Rust. Every SDK has one, with the same functions under the
//! same names.

use wasmill::prelude::*;

wasmill::job!("conformance", define);

fn define(job: &Env) {
    let prefix = job.param("prefix", "what greet puts before a text");
    let suffix = job.param_or("suffix", "!", "what greet puts behind a text");
    let times = job.param_i64_or("times", 2, "how often repeat emits a text");
    if times < 0 {
        job.refuse("times is negative");
    }

    let texts = job.source(files("texts").offset_timestamps().unchecked());
    texts.map_with("upper", upper).sink_to(blackhole());
    texts.map_with("greet", move |s, scratch| join(scratch, &[prefix.as_bytes(), &s, suffix.as_bytes()])).sink_to(blackhole());
    texts.try_map("picky", picky).sink_to(blackhole());
    texts.filter("not-empty", |s| !s.is_empty()).sink_to(blackhole());
    texts.flat_map("repeat", move |s| (0..times).map(move |_| s)).sink_to(blackhole());
    texts.assign_timestamps("timed", length, millis(5)).sink_to(blackhole());
    let words = texts.flat_map("words", split);
    let lengths = texts.map("length", |s| length(&s));
    lengths.flat_map("count-to", |n| 1..=n).sink_to(blackhole());
    let halves = lengths.map("half", |n| n as f64 / 2.0);

    let by_half = halves.key_by("by-half", |v| *v);
    let by_length = texts.key_value_by("by-length", |s| (length(&s), TextBuf::from(s)));
    let by_text = words.key_value_by("by-text", |s| (s, TextBuf::from(s)));
    let by_word = words.key_value_by("word-and-length", |s| (s, length(&s)));
    let second = tumbling(secs(1));

    by_length.count().uid("count").sink_to(blackhole());
    by_length.window(second).count().uid("count-by-window").sink_to(blackhole());
    by_half.sum().uid("sum-of-halves").sink_to(blackhole());
    by_half.reduce("sum-by-half", |a, b| a + b).uid("sum-by-half").sink_to(blackhole());
    by_length.reduce("concat-by-length", concat).uid("concat-by-length").sink_to(blackhole());
    let sums = by_word.reduce("sum", i64::wrapping_add).uid("sum");
    sums.map_with("show", |r, scratch| show(scratch, &[], &r.key, r.value)).sink_to(blackhole());
    let windowed = by_word.window(second).reduce("sum-by-window", i64::wrapping_add).uid("sum-by-window");
    windowed.map_with("show-window", |r, scratch| show(scratch, interval(r.window).as_bytes(), &r.key, r.value)).sink_to(blackhole());
    by_text.reduce_to("concat", concat, |key, all| TextBuf::from([&key, &b"="[..], &all].concat())).uid("concat").sink_to(blackhole());
    by_text.window(second).reduce_to("concat-by-window", concat, show_all).uid("concat-by-window").sink_to(blackhole());
    by_word.aggregate("mean", Total::default, add, merge, mean).uid("mean").sink_to(blackhole());
    by_word.window(second).aggregate("mean-by-window", Total::default, add, merge, mean).uid("mean-by-window").sink_to(blackhole());
}

fn join<'x>(scratch: &'x Scratch, parts: &[&[u8]]) -> Text<'x> {
    scratch.concat(parts).into()
}

/// ASCII only: other bytes stay as they are, UTF-8 or not.
fn upper<'x>(s: Text<'x>, scratch: &'x Scratch) -> Text<'x> {
    let to = scratch.bytes(s.len());
    to.copy_from_slice(&s);
    to.make_ascii_uppercase();
    to.into()
}

fn picky(s: Text) -> Result<Text, &'static str> {
    counter_add("texts", 1);
    match s.as_bytes() {
        b"bad" => return Err("a bad text"),
        b"odd" => {
            log(Level::Warn, "an odd text");
            gauge_set("odd", 7);
        }
        _ => {}
    }
    Ok(s)
}

/// What stands between spaces.
fn split<'x>(s: Text<'x>) -> impl Iterator<Item = Text<'x>> {
    s.as_bytes().split(|&c| c == b' ').filter(|word| !word.is_empty()).map(Text::from)
}

fn length(s: &Text) -> i64 {
    s.len() as i64
}

/// Keeps the order, so that a test sees it.
fn concat(a: TextBuf, b: TextBuf) -> TextBuf {
    if *b == *b"bad" {
        fail("a bad value");
    }
    [&a, &b","[..], &b].concat().into()
}

fn show<'x>(scratch: &'x Scratch, before: &[u8], key: &Text, value: i64) -> Text<'x> {
    join(scratch, &[before, key, b"=", value.to_string().as_bytes()])
}

fn show_all(w: Window, key: Text, all: TextBuf) -> TextBuf {
    [interval(w).as_bytes(), &key, b"=", &all].concat().into()
}

fn interval(w: Window) -> String {
    format!("{}..{} ", w.start, w.end)
}

/// The accumulator of mean: a sum and how many values it has.
type Total = KeyValue<i64, i64>;

fn add(t: Total, v: i64) -> Total {
    Total { key: t.key + v, value: t.value + 1 }
}

fn merge(a: Total, b: Total) -> Total {
    Total { key: a.key + b.key, value: a.value + b.value }
}

fn mean(t: Total) -> f64 {
    t.key as f64 / t.value as f64
}
