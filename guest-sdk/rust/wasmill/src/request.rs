//! Request functions: what is asked of the outside about records, and what becomes of the answers.

use crate::batch::u32_at;
use crate::call::{Call, StreamContext};
use crate::env::Env;
use crate::fail::{fail, failed};
use crate::frame::Frame;
use crate::graph::{Edge, Kind, Operator};
use crate::group::{ReplyWriter, ASK, REQUEST, RESPONSE};
use crate::json::{fraction, JsonWriter};
use crate::keyed::KeyedStream;
use crate::record::{codec_of, Record};
use crate::step::{Path, Start};
use crate::stream::Stream;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

const CLIENT: &str = "http";

/// What is asked about a record.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest {
    method: String,
    url: String,
    headers: Vec<u8>,
    body: Vec<u8>,
    timeout: Duration,
}

impl HttpRequest {
    /// Asks for a URL.
    pub fn get(url: &str) -> Self {
        HttpRequest::new("GET", url)
    }

    /// Sends a body to a URL.
    pub fn post(url: &str, content_type: &str, body: &[u8]) -> Self {
        HttpRequest::new("POST", url).header("Content-Type", content_type).body(body)
    }

    /// A request of any method.
    pub fn new(method: &str, url: &str) -> Self {
        HttpRequest { method: method.to_string(), url: url.to_string(), ..HttpRequest::default() }
    }

    /// Adds a line to the head of the request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        put(&mut self.headers, &[name.len(), value.len()]);
        self.headers.extend_from_slice(name.as_bytes());
        self.headers.extend_from_slice(value.as_bytes());
        self
    }

    /// Sets the body of the request.
    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// How long this request may take with all its tries, in place of the operator's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Writes the request about record i of a group as the value of an action.
    fn append(&self, i: usize, to: &mut Vec<u8>) {
        if let Some(problem) = fraction("timeout", self.timeout) {
            fail(&problem);
        }
        let parts = [self.method.as_bytes(), self.url.as_bytes(), &self.headers, &self.body];
        let lengths = parts.map(<[u8]>::len);
        put(to, &[i, self.timeout.as_millis() as usize, CLIENT.len(), 16 + lengths.iter().sum::<usize>()]);
        to.extend_from_slice(CLIENT.as_bytes());
        put(to, &lengths);
        parts.iter().for_each(|p| to.extend_from_slice(p));
    }
}

fn put(to: &mut Vec<u8>, numbers: &[usize]) {
    numbers.iter().for_each(|n| to.extend_from_slice(&(*n as u32).to_le_bytes()));
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpResponse<'x> {
    pub status: u32,
    pub body: &'x [u8],
    headers: &'x [u8],
}

impl<'x> HttpResponse<'x> {
    /// The first header of a name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&'x [u8]> {
        let mut p = self.headers;
        while !p.is_empty() {
            let (n, value) = (u32_at(p, 0) as usize, u32_at(p, 4) as usize);
            if p[8..8 + n].eq_ignore_ascii_case(name.as_bytes()) {
                return Some(&p[8 + n..8 + n + value]);
            }
            p = &p[8 + n + value..];
        }
        None
    }
}

/// What became of what was asked about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'x> {
    /// An answer, whatever its status.
    Response(HttpResponse<'x>),
    /// The function had nothing to ask.
    Unasked,
    /// There was no answer in time, and why. This and the next two are for functions that are told of failures.
    TimedOut(&'x str),
    /// The host does not make the request, or does not take its answer.
    Refused(&'x str),
    /// There was no answer.
    Broken(&'x str),
}

impl<'x> Answer<'x> {
    /// Reads an answer; the host has written it, so lengths are trusted.
    fn read(p: &'x [u8]) -> Self {
        let why = core::str::from_utf8(&p[8..]).unwrap_or_default();
        match u32_at(p, 0) {
            0 => {
                let (head, body) = (u32_at(p, 8) as usize, u32_at(p, 12) as usize);
                let p = &p[16..];
                Answer::Response(HttpResponse { status: 0, headers: &p[..head], body: &p[head..head + body] })
            }
            1 => Answer::TimedOut(why),
            2 => Answer::Refused(why),
            4 => Answer::Unasked,
            _ => Answer::Broken(why),
        }
        .with_status(u32_at(p, 4))
    }

    fn with_status(self, status: u32) -> Self {
        match self {
            Answer::Response(r) => Answer::Response(HttpResponse { status, ..r }),
            other => other,
        }
    }
}

/// How a request operator asks: `ordered(hosts)` or `unordered(hosts)`.
///
/// ```
/// use wasmill::prelude::*;
///
/// fn rates(job: &Env) {
///     let how = unordered(&["api.example.com:443"]).capacity(100).timeout(secs(5)).exponential_backoff(3, millis(100), secs(2), 200);
///     let urls = job.source(files("urls.txt"));
///     let sizes = urls.async_wait("sizes", how, |url| Some(HttpRequest::get(url)), |c, url, answer| {
///         if let Answer::Response(page) = answer {
///             c.emit(format!("{url} {} {}", page.status, page.body.len()));
///         }
///     });
///     sizes.uid("sizes").sink_to(print());
/// }
/// # wasmill::job!("rates", rates);
/// ```
#[derive(Clone, Default)]
pub struct Requests {
    hosts: Vec<String>,
    order: &'static str,
    capacity: u32,
    timeout: Duration,
    failures: bool,
    retries: u32,
    delay: Duration,
    max_delay: Duration,
    grow_percent: u32,
    on: Vec<String>,
}

/// Puts results out in the order of the records. The hosts are those that may be asked, `HOST:PORT`: the cluster must grant them;
/// the port may be `*`, and a host begin with `*.`.
pub fn ordered(hosts: &[&str]) -> Requests {
    Requests { hosts: strings(hosts), order: "ordered", ..Requests::default() }
}

/// Puts results out as answers come; none gets on the other side of a watermark.
pub fn unordered(hosts: &[&str]) -> Requests {
    Requests { hosts: strings(hosts), order: "unordered", ..Requests::default() }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| s.to_string()).collect()
}

impl Requests {
    /// How many records are asked about at once, 100 without it: those whose results are not out count.
    pub fn capacity(mut self, n: u32) -> Self {
        self.capacity = n;
        self
    }

    /// How long the answer about a record may take, with all tries; a minute without it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Has the function told of requests that came to nothing. Without it, such a one fails the job, which then goes on from its last
    /// checkpoint, unless the request is not allowed.
    pub fn told_of_failures(mut self) -> Self {
        self.failures = true;
        self
    }

    /// Makes a request again, up to so many times, each so long behind the answer before.
    pub fn fixed_delay(mut self, retries: u32, delay: Duration) -> Self {
        (self.retries, self.delay, self.grow_percent) = (retries, delay, 0);
        self
    }

    /// Makes a request again, up to so many times; each delay is so many percent of the one before, at most `most`.
    pub fn exponential_backoff(mut self, retries: u32, first: Duration, most: Duration, percent: u32) -> Self {
        (self.retries, self.delay, self.max_delay, self.grow_percent) = (retries, first, most, percent);
        self
    }

    /// Which answers are asked for again: "broken" (none), a status as "429", a class as "5xx". Without it, these.
    pub fn retry_on(mut self, answers: &[&str]) -> Self {
        self.on = strings(answers);
        self
    }

    pub(crate) fn write(&self, w: &mut JsonWriter) {
        w.text("client", CLIENT);
        w.array("hosts", &self.hosts, |w, h| w.element(h));
        w.text("order", self.order);
        w.number_or("capacity", self.capacity.into());
        w.millis_or("timeoutMs", "timeout", self.timeout);
        if self.retries == 0 {
            return;
        }
        w.object("retry", |w| {
            w.number("retries", self.retries.into());
            w.millis_or("delayMs", "the delay of retries", self.delay);
            w.millis_or("maxDelayMs", "the largest delay of retries", self.max_delay);
            w.number_or("growPercent", self.grow_percent.into());
            if !self.on.is_empty() {
                w.array("on", &self.on, |w, on| w.element(on));
            }
        });
    }
}

impl<'x, T: Record<'x>, P: Path<'x, T>> Stream<'x, T, P> {
    /// Asks the outside about each record: `request` says what, and `answer` emits what it makes of the answer, with the record's
    /// event time and key. The host makes the requests, many at once, while the job goes on. The operator keeps state: it needs a
    /// uid.
    pub fn async_wait<R: Record<'x>>(
        &self,
        name: &str,
        how: Requests,
        request: impl Fn(T) -> Option<HttpRequest> + 'static,
        answer: impl Fn(&StreamContext<'x, R>, T, Answer<'x>) + 'static,
    ) -> Stream<'x, R> {
        async_wait(self.env(), self.input(), name, how, request, answer)
    }
}

impl<'x, K: Record<'x>, V: Record<'x>> KeyedStream<'x, K, V> {
    /// That of [`Stream::async_wait`]: results keep the key, and in order those of a key follow each other as its records did.
    pub fn async_wait<R: Record<'x>>(
        &self,
        name: &str,
        how: Requests,
        request: impl Fn(V) -> Option<HttpRequest> + 'static,
        answer: impl Fn(&StreamContext<'x, R>, V, Answer<'x>) + 'static,
    ) -> Stream<'x, R> {
        async_wait(&self.env, self.input("requests"), name, how, request, answer)
    }
}

fn async_wait<'x, T: Record<'x>, R: Record<'x>>(
    env: &Env<'x>,
    (edge, codec): (Edge, String),
    name: &str,
    how: Requests,
    request: impl Fn(T) -> Option<HttpRequest> + 'static,
    answer: impl Fn(&StreamContext<'x, R>, T, Answer<'x>) + 'static,
) -> Stream<'x, R> {
    if how.retries == 0 && !how.on.is_empty() {
        env.refuse(&format!("request {name:?}: retry_on without fixed_delay or exponential_backoff"));
    }
    let mut frame = Frame::of(());
    let mut function = frame.function(Kind::Request, name, vec![codec], codec_of::<R>(), move |c: &StreamContext<'x, R>, _, verb, h, p| {
        match verb {
            REQUEST => c.run(h, p, || (), |reply| ask(c, reply, |record| request(T::decode(record)))),
            RESPONSE => c.run(h, p, || answers(c, |record, given| answer(c, T::decode(record), Answer::read(given))), |_| ()),
            _ => return false,
        }
        true
    });
    function.failures = how.failures;
    let operator = frame.add(env, function, Operator { inputs: vec![edge], requests: Some(how), ..Operator::default() });
    Stream::new(env.clone(), operator, 0, Start::default())
}

/// Asks about the records of the group at hand.
fn ask<'x>(call: &Call<'x>, reply: &mut ReplyWriter, request: impl Fn(&'x [u8]) -> Option<HttpRequest>) {
    let records = call.records();
    for i in 0..records.n {
        call.record(records.timestamp(i), || {
            if let Some(asked) = request(records.value(i)) {
                reply.action(ASK, 0, |to| asked.append(i, to));
            }
        });
        if failed() {
            return;
        }
    }
}

/// Hands over the records of the group at hand, with their answers.
fn answers<'x>(call: &Call<'x>, answer: impl Fn(&'x [u8], &'x [u8])) {
    let (records, answers) = (call.records(), call.at_hand(|g| g.answers));
    for i in 0..records.n {
        call.record(records.timestamp(i), || answer(records.value(i), answers.value(i)));
        if failed() {
            return;
        }
    }
}
