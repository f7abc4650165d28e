//! Workloads whose answers a checker knows, as jobs of one module: with the parameters, inputs and outputs of the guests in C of the
//! same names, whose comments say what comes out. Lines are made of fields with commas between them.

mod asking;
mod bad;
mod first;
mod folds;
mod frames;
mod met;
mod nearby;
mod roster;
mod rules;
mod sweep;
mod together;
mod updates;
mod whole;

use wasmill::prelude::*;
use wasmill::{KeyedStream, Path};

wasmill::job!("work", define);

fn define(job: &Env) {
    match job.param("work", "which of them").as_str() {
        "asking" => asking::define(job),
        "bad" => bad::define(job),
        "first" => first::define(job),
        "folds" => folds::define(job),
        "frames" => frames::define(job),
        "met" => met::define(job),
        "nearby" => nearby::define(job),
        "roster" => roster::define(job),
        "rules" => rules::define(job),
        "sweep" => sweep::define(job),
        "updates" => updates::define(job),
        "whole" => whole::define(job),
        "together" | "" => together::define(job), // without a parameter it is at upload
        other => job.refuse(&format!(
            "parameter \"work\": {other:?} (expected asking, bad, first, folds, frames, met, nearby, roster, rules, sweep, together, updates or whole)"
        )),
    }
}

/// Field i of a line. One that is missing fails the record.
fn field(line: &str, i: usize) -> &str {
    line.split(',').nth(i).unwrap_or_else(|| {
        fail("a line with a field too few");
        ""
    })
}

/// Field i of a line as a number.
fn number(line: &str, i: usize) -> i64 {
    field(line, i).parse().unwrap_or_else(|_| {
        fail("a field that is no number");
        0
    })
}

/// The lines of the files that a parameter names.
fn lines<'x>(job: &Env<'x>, input: &str) -> Stream<'x, &'x str> {
    job.source(files(job.param(input, "files of lines to read")))
}

/// The same with the event times that the second fields say.
fn timed<'x>(job: &Env<'x>, input: &str) -> Stream<'x, &'x str, impl Path<'x, &'x str>> {
    let disorder = duration(job, "disorder", 100, "how far a line may be behind, in milliseconds");
    lines(job, input).assign_timestamps(&format!("{input}-time"), |line| number(line, 1), disorder)
}

/// The same by the keys that the first fields are.
fn keyed<'x>(job: &Env<'x>, input: &str) -> KeyedStream<'x, &'x str, &'x str> {
    timed(job, input).key_by(&format!("{input}-key"), |line| field(line, 0))
}

fn duration(job: &Env, name: &str, default: i64, doc: &str) -> std::time::Duration {
    millis(job.param_i64_or(name, default, doc).max(0) as u64)
}

fn flag(job: &Env, name: &str, doc: &str) -> bool {
    !job.param_or(name, "", doc).is_empty()
}

/// Writes a stream to a folder of the directory that the parameter output names.
fn write<'x, T: Record<'x>>(job: &Env<'x>, s: &Stream<'x, T, impl Path<'x, T>>, folder: &str) {
    let output = job.param("output", "directory to write");
    s.sink_to(file_sink(if folder.is_empty() { output } else { format!("{output}/{folder}") }));
}

#[cfg(test)]
mod tests {
    use wasmill::testing::Job;

    #[test]
    fn each_is_a_job() {
        for (work, inputs) in [
            ("asking", &["input"][..]),
            ("first", &["input"]),
            ("folds", &["input"]),
            ("frames", &["input"]),
            ("met", &["left", "right"]),
            ("nearby", &["left", "right"]),
            ("roster", &["input", "calls"]),
            ("rules", &["facts", "rules"]),
            ("sweep", &["input", "sweeps"]),
            ("together", &["left", "right"]),
            ("updates", &["input"]),
            ("whole", &["input"]),
        ] {
            let given: Vec<_> = inputs.iter().map(|input| (*input, "x")).chain([("work", work), ("output", "y")]).collect();
            Job::describe("work", super::define, &given).unwrap_or_else(|why| panic!("{work}: {why}"));
        }
        assert!(Job::describe("work", super::define, &[("work", "none")]).err().unwrap().contains("expected asking, bad"));
    }
}
