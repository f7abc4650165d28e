//! Sources and sinks, as the manifest names them. A connector is a type and settings; the host has the rest.

use crate::record::Record;
use crate::text::Text;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::time::Duration;

/// A source or sink in the manifest. `name` is what its operator is called unless the user says.
pub struct Connector {
    pub name: &'static str,
    pub kind: &'static str,
    /// Settings in the order of their keys; an empty one is as if it were not there.
    pub settings: Vec<(&'static str, String)>,
    /// Of a source that gives its records event times: how far they come behind the newest before they count as late.
    pub out_of_order: Option<Duration>,
}

impl Connector {
    pub fn new(kind: &'static str) -> Self {
        Connector { name: kind, kind, settings: Vec::new(), out_of_order: None }
    }

    pub fn set(mut self, key: &'static str, value: impl ToString) -> Self {
        let at = self.settings.partition_point(|(other, _)| *other < key);
        self.settings.insert(at, (key, value.to_string()));
        self
    }

    /// Sets a number; 0 stands for the connector's default.
    pub fn number(self, key: &'static str, n: u64) -> Self {
        if n == 0 {
            return self;
        }
        self.set(key, n)
    }
}

/// Where records come from: [`files`], [`json_files`], [`generator`].
pub trait Source<'x> {
    type Record: Record<'x>;
    fn connector(self) -> Connector;
}

/// Where records go: [`file_sink`], [`print`], [`blackhole`].
pub trait Sink {
    fn connector(self) -> Connector;
}

/// The lines of files.
pub struct Files<T> {
    path: String,
    offsets: bool,
    lines: PhantomData<fn() -> T>,
}

/// Reads the files that a path or glob names, plain, gzip or zstd, line by line. A line comes without its end; one that is not
/// UTF-8 fails.
pub fn files<'x>(path: impl Into<String>) -> Files<&'x str> {
    Files { path: path.into(), offsets: false, lines: PhantomData }
}

impl<'x> Files<&'x str> {
    /// Lines may be anything: nothing looks whether they are UTF-8.
    pub fn unchecked(self) -> Files<Text<'x>> {
        Files { path: self.path, offsets: self.offsets, lines: PhantomData }
    }
}

impl<T> Files<T> {
    /// Makes the event time of a line its byte offset in the file, in milliseconds.
    pub fn offset_timestamps(mut self) -> Self {
        self.offsets = true;
        self
    }
}

impl<'x, T: Record<'x>> Source<'x> for Files<T> {
    type Record = T;

    fn connector(self) -> Connector {
        let timestamps = if self.offsets { "offset" } else { "" };
        let c = Connector::new("file").set("format", "lines").set("path", self.path).set("timestamps", timestamps);
        Connector { name: "files", out_of_order: self.offsets.then_some(Duration::ZERO), ..c }
    }
}

/// Rows of files.
pub struct RowFiles<T> {
    path: String,
    format: &'static str,
    fields: String,
    out_of_order: Duration,
    rows: PhantomData<fn() -> T>,
}

/// Reads the files that a path or glob names, plain, gzip or zstd. A line is a JSON object, of which the fields of T are taken;
/// T is a type whose codec is a row, best its `Ref`.
pub fn json_files<T>(path: impl Into<String>) -> RowFiles<T> {
    RowFiles { path: path.into(), format: "json", fields: String::new(), out_of_order: Duration::ZERO, rows: PhantomData }
}

impl<T> RowFiles<T> {
    /// Makes the event time of a row the first of the fields that is not null, a time or milliseconds since the Unix epoch:
    /// `timestamps(secs(4), &["bid.dateTime", "auction.dateTime"])`. Records may come up to `out_of_order` behind the newest
    /// before they count as late.
    pub fn timestamps(self, out_of_order: Duration, fields: &[&str]) -> Self {
        RowFiles { fields: fields.join(","), out_of_order, ..self }
    }
}

impl<'x, T: Record<'x>> Source<'x> for RowFiles<T> {
    type Record = T;

    fn connector(self) -> Connector {
        let out_of_order = (!self.fields.is_empty()).then_some(self.out_of_order);
        let c = Connector::new("file").set("format", self.format).set("path", self.path).set("timestamps", self.fields);
        Connector { name: "files", out_of_order, ..c }
    }
}

/// Records that are made up: the same for the same seed.
#[derive(Default)]
pub struct Generator {
    count: u64,
    rate: u64,
    seed: u64,
    size: u64,
}

/// Makes records without end, as fast as they are taken, until told otherwise. The event time of a record is its number, in
/// milliseconds.
pub fn generator() -> Generator {
    Generator::default()
}

impl Generator {
    /// Ends the source after n records.
    pub fn count(self, n: u64) -> Self {
        Generator { count: n, ..self }
    }

    /// Limits the source to n records a second, over all its subtasks.
    pub fn rate(self, n: u64) -> Self {
        Generator { rate: n, ..self }
    }

    /// Chooses which records come.
    pub fn seed(self, n: u64) -> Self {
        Generator { seed: n, ..self }
    }

    /// Sets the size of a record in bytes.
    pub fn size(self, n: u64) -> Self {
        Generator { size: n, ..self }
    }
}

impl<'x> Source<'x> for Generator {
    type Record = &'x str;

    fn connector(self) -> Connector {
        let c = Connector::new("generator").number("count", self.count).number("rate", self.rate);
        Connector { out_of_order: Some(Duration::ZERO), ..c.number("seed", self.seed).number("size", self.size) }
    }
}

/// Part files in a directory.
#[derive(Default)]
pub struct FileSink {
    path: String,
    columns: Vec<String>,
    format: &'static str,
    times: String,
    partition: String,
    roll_size: u64,
    roll_interval: Duration,
}

/// Writes a line a record to part files in the directory `path`; the fields of a row are separated by tabs. A file is visible
/// once it is complete.
pub fn file_sink(path: impl Into<String>) -> FileSink {
    FileSink { path: path.into(), ..FileSink::default() }
}

impl FileSink {
    /// Writes a line of JSON a record: a row as an object of its fields.
    pub fn json(self) -> Self {
        FileSink { format: "json", ..self }
    }

    /// Says how times are written where they are text: "iso" (2026-01-31T23:59:59.050Z, the default), "sql"
    /// (2026-01-31 23:59:59.050) or "ms" (1769903999050).
    pub fn times(self, style: &str) -> Self {
        FileSink { times: style.to_string(), ..self }
    }

    /// Chooses which fields of a row are written, and in what order.
    pub fn columns(self, names: &[&str]) -> Self {
        FileSink { columns: names.iter().map(|n| n.to_string()).collect(), ..self }
    }

    /// Writes each record to a directory below the path, by its event time in UTC and its key: with
    /// `dt={yyyy}-{MM}-{dd}/{HH}/{key}` to `dt=2026-01-31/23/whale`. Minutes are `{mm}`. The key is the one that the stream was
    /// keyed by; what is made of a keyed record keeps it.
    pub fn partition(self, template: &str) -> Self {
        FileSink { partition: template.to_string(), ..self }
    }

    /// Ends a file that has n bytes, at least 1 KiB, and begins another. Every checkpoint does so, too.
    pub fn roll_size(self, n: u64) -> Self {
        FileSink { roll_size: n, ..self }
    }

    /// Ends a file that is so old, at least 100 ms, and begins another.
    pub fn roll_interval(self, d: Duration) -> Self {
        FileSink { roll_interval: d, ..self }
    }
}

impl Sink for FileSink {
    fn connector(self) -> Connector {
        let interval = match self.roll_interval.as_millis() {
            0 => String::new(),
            ms => format!("{ms}ms"),
        };
        let c = Connector::new("file").set("columns", self.columns.join(",")).set("format", self.format).set("partition", self.partition);
        let c = c.set("path", self.path).set("rollInterval", interval).number("rollSize", self.roll_size).set("times", self.times);
        Connector { name: "files", ..c }
    }
}

/// The job's output.
pub struct Print(());

/// Prints a line a record to the job's output.
pub fn print() -> Print {
    Print(())
}

impl Sink for Print {
    fn connector(self) -> Connector {
        Connector::new("print")
    }
}

/// Nowhere.
#[derive(Default)]
pub struct Blackhole {
    rate: u64,
}

/// Drops the records.
pub fn blackhole() -> Blackhole {
    Blackhole::default()
}

impl Blackhole {
    /// Limits the sink to n records a second.
    pub fn rate(self, n: u64) -> Self {
        Blackhole { rate: n }
    }
}

impl Sink for Blackhole {
    fn connector(self) -> Connector {
        Connector::new("blackhole").number("rate", self.rate)
    }
}
