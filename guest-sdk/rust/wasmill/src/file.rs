//! The file source and sink.

use crate::connector::{settings, Connector, Sink, Source};
use crate::json::fraction;
use crate::record::Record;
use crate::text::Text;
use alloc::format;
use core::marker::PhantomData;
use core::time::Duration;

fn connector(path: &str) -> Connector {
    Connector::new("file", "files").set("path", path)
}

/// The lines of files.
pub struct Files<T> {
    connector: Connector,
    lines: PhantomData<fn() -> T>,
}

/// Reads the files that a path or glob names, plain, gzip or zstd, line by line. A line comes without its end; one that is not
/// UTF-8 fails.
pub fn files<'x>(path: impl AsRef<str>) -> Files<&'x str> {
    Files { connector: connector(path.as_ref()).set("format", "lines"), lines: PhantomData }
}

impl<'x> Files<&'x str> {
    /// Lines may be anything: nothing looks whether they are UTF-8.
    pub fn unchecked(self) -> Files<Text<'x>> {
        Files { connector: self.connector, lines: PhantomData }
    }
}

impl<T> Files<T> {
    /// Makes the event time of a line its byte offset in the file, in milliseconds.
    pub fn offset_timestamps(mut self) -> Self {
        self.connector = self.connector.set("timestamps", "offset").event_times(Duration::ZERO);
        self
    }
}

impl<'x, T: Record<'x>> Source<'x> for Files<T> {
    type Record = T;

    fn connector(self) -> Connector {
        self.connector
    }
}

/// Rows of files. T is a type whose codec is a row, best one that is read in place: its fields are taken, and nothing else.
pub struct RowFiles<T> {
    connector: Connector,
    rows: PhantomData<fn() -> T>,
}

fn rows<T>(path: &str, format: &str) -> RowFiles<T> {
    RowFiles { connector: connector(path).set("format", format), rows: PhantomData }
}

/// Reads the files that a path or glob names, plain, gzip or zstd. A line is a JSON object.
pub fn json_files<T>(path: impl AsRef<str>) -> RowFiles<T> {
    rows(path.as_ref(), "json")
}

/// Reads the files that a path or glob names, plain, gzip or zstd. A line is a record, whose columns are the fields of T in
/// their order, unless `header` or `names` says otherwise.
pub fn csv_files<T>(path: impl AsRef<str>) -> RowFiles<T> {
    rows(path.as_ref(), "csv")
}

/// Reads the object container files that a path or glob names.
pub fn avro_files<T>(path: impl AsRef<str>) -> RowFiles<T> {
    rows(path.as_ref(), "avro")
}

/// Reads the Parquet files that a path or glob names.
pub fn parquet_files<T>(path: impl AsRef<str>) -> RowFiles<T> {
    rows(path.as_ref(), "parquet")
}

impl<T> RowFiles<T> {
    settings! {
        /// Says that the first line of a file of CSV names its columns.
        header() "header" = true;
        /// Names the columns of CSV, for files without a header.
        names(columns: &[&str]) "names" = columns.join(",");
        /// Sets what stands between the columns of CSV: a character of ASCII, or "tab".
        delimiter(d: &str) "delimiter" = d;
        /// Says that columns of CSV in quotes may have line ends in them. Each file is then read by one subtask.
        quoted_newlines() "quotedNewlines" = true;
    }

    /// Makes the event time of a row the first of the fields that is not null, a time or milliseconds since the Unix epoch:
    /// `timestamps(secs(4), &["bid.dateTime", "auction.dateTime"])`. Records may come up to `out_of_order` behind the newest
    /// before they count as late.
    pub fn timestamps(mut self, out_of_order: Duration, fields: &[&str]) -> Self {
        self.connector = self.connector.set("timestamps", fields.join(",")).event_times(out_of_order);
        self
    }
}

impl<'x, T: Record<'x>> Source<'x> for RowFiles<T> {
    type Record = T;

    fn connector(self) -> Connector {
        self.connector
    }
}

/// Part files in a directory.
pub struct FileSink {
    connector: Connector,
}

/// Writes a line a record to part files in the directory `path`; the fields of a row are separated by tabs. A file is visible
/// once it is complete.
pub fn file_sink(path: impl AsRef<str>) -> FileSink {
    FileSink { connector: connector(path.as_ref()) }
}

impl FileSink {
    settings! {
        /// Writes a line of JSON a record: a row as an object of its fields.
        json() "format" = "json";
        /// Writes a record of CSV a record, which must be a row.
        csv() "format" = "csv";
        /// Writes object container files of rows.
        avro() "format" = "avro";
        /// Writes Parquet files of rows.
        parquet() "format" = "parquet";
        /// Says how times are written where they are text: "iso" (2026-01-31T23:59:59.050Z, the default), "sql"
        /// (2026-01-31 23:59:59.050) or "ms" (1769903999050).
        times(style: &str) "times" = style;
        /// Begins each file of CSV with the names of its columns.
        header() "header" = true;
        /// Sets what stands between the columns of CSV: a character of ASCII, or "tab".
        delimiter(d: &str) "delimiter" = d;
        /// Sets that of Avro and Parquet: "snappy" (the default), "none" or "zstd"; for Avro, "deflate", too.
        compression(name: &str) "compression" = name;
        /// Chooses which fields of a row are written, and in what order.
        columns(names: &[&str]) "columns" = names.join(",");
        /// Writes each record to a directory below the path, by its event time in UTC and its key: with
        /// `dt={yyyy}-{MM}-{dd}/{HH}/{key}` to `dt=2026-01-31/23/whale`. Minutes are `{mm}`. The key is the one that the stream
        /// was keyed by; what is made of a keyed record keeps it.
        partition(template: &str) "partition" = template;
        /// Writes every change of a result, with its op in front: `+I` of a new one, `+U` of one that has changed. Without it, where all
        /// input ends, a result is written once, when it can change no more.
        all_updates() "updates" = "all";
        /// Ends a file that has n bytes, at least 1 KiB, and begins another. Every checkpoint does so, too.
        roll_size(n: u64) "rollSize" = n;
        /// Ends a file that is so old, at least 100 ms, and begins another.
        roll_interval(d: Duration) "rollInterval" = if fraction("", d).is_none() { format!("{}ms", d.as_millis()) } else { format!("{d:?}") };
    }
}

impl Sink for FileSink {
    fn connector(self) -> Connector {
        self.connector
    }
}
