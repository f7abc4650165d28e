//! The queries of the Nexmark benchmark. Results are final: what a query would revise is put out when it can change no more.

mod events;
mod joins;
mod ranks;
mod stateless;
mod statistics;
mod times;
mod windows;
mod winners;

use events::Nexmark;
use wasmill::prelude::*;

wasmill::job!("nexmark", define);

fn define(job: &Env) {
    let query = job.param("query", "q0 to q23");
    let nexmark = Nexmark::new(job);
    let side = job.param_or("side", "", "file of the table that q13 joins, lines of key and value; without it, the standard one");
    if nexmark.json_by_guest && query != "q0" {
        job.refuse("parameter \"json\": guest (expected host: only q0 can)");
    }
    match query.as_str() {
        "q0" if nexmark.json_by_guest => stateless::q0_by_guest(&nexmark),
        "q0" => stateless::q0(&nexmark),
        "q1" => stateless::q1(&nexmark),
        "q2" => stateless::q2(&nexmark),
        "q3" => joins::q3(&nexmark),
        "q4" => winners::q4(&nexmark),
        "q5" => windows::q5(&nexmark),
        "q6" => winners::q6(&nexmark),
        "q7" => windows::q7(&nexmark),
        "q8" => windows::q8(&nexmark),
        "q9" => winners::q9(&nexmark),
        "q10" => stateless::q10(&nexmark),
        "q11" => windows::q11(&nexmark),
        "q12" => windows::q12(&nexmark),
        "q13" if side.is_empty() => stateless::q13(&nexmark),
        "q13" => joins::q13(&nexmark, &side),
        "q14" => stateless::q14(&nexmark),
        "q15" => statistics::q15(&nexmark),
        "q16" => statistics::q16(&nexmark),
        "q17" => statistics::q17(&nexmark),
        "q18" => ranks::q18(&nexmark),
        "q19" => ranks::q19(&nexmark),
        "q20" => joins::q20(&nexmark),
        "q21" => stateless::q21(&nexmark),
        "q22" => stateless::q22(&nexmark),
        "q23" => joins::q23(&nexmark),
        "" => stateless::q0(&nexmark), // at upload, before there are parameters
        _ => job.refuse(&format!("parameter \"query\": {query:?} (expected q0 to q23)")),
    }
}
