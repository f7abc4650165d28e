//! Where events come from, and where results go.

use std::marker::PhantomData;
use wasmill::prelude::*;
use wasmill::{Connector, Sink, Source};

/// How far an event may come behind younger ones.
const OUT_OF_ORDER: std::time::Duration = secs(4);

/// What the source of the host that makes events is told, if a parameter says so.
const MADE: [(&str, &str); 6] = [
    ("events", "of a generator: how many events it makes; without it, there is no end"),
    ("rate", "of a generator: events a second of event time"),
    ("start", "of a generator: when event time begins"),
    ("seed", "of a generator: which events it makes"),
    ("out-of-order", "of a generator: how far events are behind younger ones"),
    ("limit", "of a generator: events a second that it makes at most"),
];

/// The input and output that the parameters name.
pub struct Nexmark<'a, 'x> {
    pub job: &'a Env<'x>,
    input: String,
    output: String,
    made: Vec<(&'static str, String)>,
    /// The guest reads and writes JSON, and not the host.
    pub json_by_guest: bool,
    /// Results are put out each time that they change, and not once, when they can change no more.
    pub updates: bool,
}

impl<'a, 'x> Nexmark<'a, 'x> {
    pub fn new(job: &'a Env<'x>) -> Self {
        let updates = job.param_or("updates", "final", "of results that change: final, or all for each change");
        if updates != "final" && updates != "all" {
            job.refuse(&format!("parameter \"updates\": {updates:?} (expected final or all)"));
        }
        let json = job.param_or("json", "host", "who reads and writes the JSON lines of files: host, or of q0 guest");
        if json != "host" && json != "guest" {
            job.refuse(&format!("parameter \"json\": {json:?} (expected host or guest)"));
        }
        Nexmark {
            job,
            json_by_guest: json == "guest",
            updates: updates == "all",
            input: job.param("input", "file or pattern of events, JSON lines; or generator"),
            output: job.param("output", "directory to write; or blackhole"),
            made: MADE.iter().map(|(name, doc)| (*name, job.param_or(name, "", doc))).collect(),
        }
    }

    /// The lines of the input, and where lines go.
    pub fn lines(&self) -> (Stream<'x, Text<'x>>, Results) {
        if self.input == "generator" {
            self.job.refuse("parameter \"json\": guest, and the events are made (expected input to name files)");
        }
        let output = match self.output.as_str() {
            "blackhole" => blackhole().connector(),
            path => file_sink(path).connector(),
        };
        (self.job.source(files(&self.input).unchecked()), Results(output))
    }

    /// The events as rows of T, which has a field for each kind that it takes: person, auction, bid.
    pub fn events<T: Record<'x>>(&self) -> Stream<'x, T> {
        self.timed(&[])
    }

    /// The same, with times: those of the kinds in T.
    pub fn timed<T: Record<'x>>(&self, kinds: &[&str]) -> Stream<'x, T> {
        let connector = if self.input == "generator" {
            let made = self.made.iter().filter(|(_, value)| !value.is_empty());
            made.fold(nexmark::<T>("", OUT_OF_ORDER), |n, (name, value)| n.with(name, value)).connector()
        } else if kinds.is_empty() {
            json_files::<T>(&self.input).connector()
        } else {
            let fields: Vec<String> = kinds.iter().map(|kind| format!("{kind}.dateTime")).collect();
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            json_files::<T>(&self.input).timestamps(OUT_OF_ORDER, &fields).connector()
        };
        self.job.source(Events { connector, rows: PhantomData })
    }

    /// Files of JSON lines.
    pub fn results(&self) -> Results {
        self.results_in("")
    }

    /// The same, in directories by time.
    pub fn results_in(&self, partition: &str) -> Results {
        let connector = match self.output.as_str() {
            "blackhole" => blackhole().connector(),
            path => file_sink(path).json().times("sql").partition(partition).connector(),
        };
        Results(connector.set("updates", if self.updates { "all" } else { "" }))
    }
}

struct Events<T> {
    connector: Connector,
    rows: PhantomData<fn() -> T>,
}

impl<'x, T: Record<'x>> Source<'x> for Events<T> {
    type Record = T;

    fn connector(self) -> Connector {
        self.connector
    }
}

pub struct Results(Connector);

impl Sink for Results {
    fn connector(self) -> Connector {
        self.0
    }
}
