//! Asks a server about each line, and writes the line with the answer.

use crate::{duration, field, flag, lines, write};
use wasmill::prelude::*;

pub fn define(job: &Env) {
    let url = job.param_or("url", "http://127.0.0.1:1", "URL that is asked, before /key/id");
    let host = job.param_or("host", "127.0.0.1:1", "host that is asked, HOST:PORT");
    let order = if flag(job, "ordered", "not empty: lines come out in their order") { ordered } else { unordered };
    let retries = job.param_i64_or("retries", 0, "tries behind the first") as u32;
    let delay = duration(job, "delay", 10, "milliseconds before a retry");
    let capacity = job.param_i64_or("capacity", 100, "requests at once") as u32;
    let how = order(&[&host]).capacity(capacity).timeout(duration(job, "timeout", 60_000, "milliseconds to an answer"));
    let how = how.exponential_backoff(retries, delay, 10 * delay, 200);
    let ask = move |line: &str| {
        let (key, id) = (field(line, 0), field(line, 1));
        (!id.ends_with('7')).then(|| HttpRequest::get(&format!("{url}/{key}/{id}")).header("X-Asked-By", "asking"))
    };
    let lines = lines(job, "input");
    let asked = if flag(job, "keyed", "not empty: lines go by key") {
        lines.key_by("key", |line| field(line, 0)).async_wait("ask", how, ask, answer)
    } else {
        lines.async_wait("ask", how, ask, answer)
    };
    write(job, &asked.uid("ask"), "");
}

fn answer<'x>(c: &StreamContext<'x, String>, line: &'x str, answer: Answer<'x>) {
    c.emit(match answer {
        Answer::Unasked => format!("{line}=self"),
        Answer::Response(r) if r.status == 200 => format!("{line}={}", String::from_utf8_lossy(r.body)),
        Answer::Response(r) => format!("{line}=!{}", r.status),
        other => format!("{line}=?{other:?}"), // it asks to be told of none
    });
}
