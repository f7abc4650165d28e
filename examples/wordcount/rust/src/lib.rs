//! Counts the words of text files. A word is a longest run of ASCII letters, in lower case.

use wasmill::prelude::*;

wasmill::job!("wordcount", define);

fn define(job: &Env) {
    let mut lines = files(job.param("input", "file or pattern to read")).unchecked();
    let mut sink = file_sink(job.param("output", "directory to write"));
    let window = job.param_i64_or("window", 0, "milliseconds of a tumbling window, 0 for none");
    let counter = job.param_or("counter", "native", "who counts: native or guest");
    if window != 0 {
        lines = lines.offset_timestamps(); // a line's event time is its offset in the file
        sink = sink.columns(&["start", "key", "value"]);
    }
    let size = millis(window.unsigned_abs());
    let words = job.source(lines).flat_map_with("split", |line, scratch| Words::of(&line, scratch));
    match counter.as_str() {
        "native" => {
            let by_word = words.key_by("word", |word| *word);
            if window == 0 {
                by_word.count().uid("counts").sink_to(sink);
            } else {
                by_word.window(tumbling(size)).count().uid("counts").sink_to(sink);
            }
        }
        "guest" => {
            let ones = words.key_value_by("word", |word| (word, 1));
            if window == 0 {
                ones.reduce("add", |a, b| a + b).uid("counts").sink_to(sink);
            } else {
                ones.window(tumbling(size)).reduce("add", |a, b| a + b).uid("counts").sink_to(sink);
            }
        }
        _ => job.refuse(&format!("parameter \"counter\": {counter:?} (expected native or guest)")),
    }
}

/// The words of a line. It goes from edge to edge, where a word begins or ends, and not from byte to byte.
struct Words<'x> {
    lower: &'x [u8],      // whole blocks, of which the last ends in zeros
    next: usize,          // the block that comes
    edges: u64,           // those of the block before it that are left
    inside: u64,          // 1 if that block ends inside a word
    start: Option<usize>, // of the word whose end comes
}

const BLOCK: usize = 64;

impl<'x> Words<'x> {
    fn of(line: &[u8], scratch: &'x Scratch) -> Self {
        let size = (line.len() / BLOCK + 1) * BLOCK;
        let lower = scratch.bytes(size);
        lower[size - BLOCK..].copy_from_slice(&[0; BLOCK]);
        for (to, c) in lower.iter_mut().zip(line) {
            *to = c | 0x20; // letters in lower case; nothing else becomes one
        }
        Words { lower, next: 0, edges: 0, inside: 0, start: None }
    }

    /// Finds the edges of the next block; false behind the last.
    fn load(&mut self) -> bool {
        let at = self.next * BLOCK;
        let Some(block) = self.lower.get(at..at + BLOCK) else { return false };
        let mut is = 0;
        for (i, eight) in block.chunks_exact(8).enumerate() {
            is |= letters(u64::from_le_bytes(eight.try_into().expect("8 bytes"))) << (8 * i);
        }
        self.edges = is ^ (is << 1 | self.inside);
        self.inside = is >> 63;
        self.next += 1;
        true
    }
}

/// Bit i says whether byte i of eight is a letter in lower case.
fn letters(eight: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let bits = eight & (0x7f * EACH);
    let from_a = bits + (0x80 - b'a' as u64) * EACH;
    let past_z = bits + (0x7f - b'z' as u64) * EACH;
    let is = from_a & !past_z & !eight & (0x80 * EACH); // the high bit of each byte
    (is >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56 // gathered
}

impl<'x> Iterator for Words<'x> {
    type Item = Text<'x>;

    #[inline(always)]
    fn next(&mut self) -> Option<Text<'x>> {
        loop {
            while self.edges == 0 {
                if !self.load() {
                    return None;
                }
            }
            let edge = (self.next - 1) * BLOCK + self.edges.trailing_zeros() as usize;
            self.edges &= self.edges - 1;
            match self.start.take() {
                Some(start) => return Some(Text::from(&self.lower[start..edge])),
                None => self.start = Some(edge),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill::testing::Job;

    #[test]
    fn split_makes_longest_runs_of_letters_in_lower_case() {
        let job = Job::describe("wordcount", define, &[("input", "in"), ("output", "out")]).expect("a job");
        let split = job.chain(&["split"]);
        let long = "whale".repeat(50);
        for (line, want) in [
            ("", vec![]),
            (" ... 42 ", vec![]),
            ("Call me Ishmael.", vec!["call", "me", "ishmael"]),
            ("it's THE-end", vec!["it", "s", "the", "end"]),
            ("na\u{ef}ve \u{212a}elvin caf\u{e9}", vec!["na", "ve", "elvin", "caf"]),
            ("\tx\0y\u{7f}z", vec!["x", "y", "z"]),
            (&"A".repeat(64), vec![&"a".repeat(64)]),
            (&format!("{} b", "a".repeat(63)), vec![&"a".repeat(63), "b"]),
            (&format!("-{long} {long}-"), vec![&long, &long]),
        ] {
            let got: Vec<Text> = split.process(&[line]).expect("words");
            let got: Vec<&str> = got.iter().map(|word| word.to_str().expect("ASCII")).collect();
            assert_eq!(got, want, "{line:?}");
        }
    }

    #[test]
    fn a_word_is_a_key_and_a_wrong_counter_is_refused() {
        let params = [("input", "in"), ("output", "out"), ("counter", "guest")];
        let job = Job::describe("wordcount", define, &params).expect("a job");
        let ones = job.chain(&["split", "word"]).keyed::<_, Text, i64>(&["Moby Dick"]).expect("keys");
        let ones: Vec<_> = ones.iter().map(|out| (out.key.as_bytes(), out.value)).collect();
        assert_eq!(ones, [(&b"moby"[..], 1), (b"dick", 1)]);
        let refused = Job::describe("wordcount", define, &[("counter", "nobody")]).err();
        assert_eq!(refused.as_deref(), Some("parameter \"counter\": \"nobody\" (expected native or guest)"));
    }
}
