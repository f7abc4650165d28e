//! Nothing is allocated per record, whether functions are one loop or composed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmill::prelude::*;
use wasmill::testing::Job;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        System.dealloc(at, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Clone, Row)]
struct Word<'x> {
    text: &'x str,
    length: i64,
}

fn words(job: &Env) {
    job.source(generator())
        .flat_map("split", |line| line.split(' '))
        .filter("some", |w| !w.is_empty())
        .map_with("shout", |w, scratch| scratch.text(format_args!("{w}!")))
        .map("row", |w| Word { text: w, length: w.len() as i64 })
        .assign_timestamps("timed", |w| w.length, secs(1))
        .key_value_by("key", |w| ((w.length, w.text), w))
        .count()
        .uid("counts")
        .sink_to(print());
}

#[test]
fn nothing_is_allocated_per_record() {
    let job = Job::describe("words", words, &[]).expect("a job");
    let lines = vec!["call me  ishmael some years ago"; 10_000];
    let fused = job.chain(&["split", "some", "shout", "row", "timed", "key"]);
    let composed = job.chain(&["some", "shout", "row", "timed", "key"]); // not from the beginning of the stream
    for (chain, name, want) in [(fused, "fused", 60_000), (composed, "composed", 10_000)] {
        let run = || chain.keyed::<_, (i64, &str), Word>(&lines).expect("words").len();
        run(); // buffers grow
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        assert_eq!(run(), want, "{name}");
        // those of the harness, which keeps each of the batches that come out
        let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert!(allocated < want / 50, "{name}: {allocated} allocations for {want} records");
    }
}
