//! Sources and sinks, as the manifest names them. A connector is a type and settings; the host has the rest.

use crate::record::Record;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::time::Duration;

/// A source or sink in the manifest.
#[derive(Clone, Debug)]
pub struct Connector {
    pub(crate) name: &'static str, // of its operator, unless the user says
    pub(crate) kind: &'static str,
    pub(crate) settings: Vec<(String, String)>, // in the order of their keys
    pub(crate) out_of_order: Option<Duration>,
}

impl Connector {
    /// A connector of a type that the host has; its operator is called `name` unless the user says.
    pub fn new(kind: &'static str, name: &'static str) -> Self {
        Connector { name, kind, settings: Vec::new(), out_of_order: None }
    }

    /// Sets a setting, for the last time that counts; an empty one is as if it were not there.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        let at = self.settings.partition_point(|(other, _)| other.as_str() < key);
        if self.settings.get(at).is_some_and(|(other, _)| other == key) {
            self.settings.remove(at);
        }
        self.settings.insert(at, (key.to_string(), value.to_string()));
        self
    }

    /// Of a source that gives its records event times: how far they come behind the newest before they count as late.
    pub fn event_times(self, out_of_order: Duration) -> Self {
        Connector { out_of_order: Some(out_of_order), ..self }
    }
}

/// Where records come from: [`files`](crate::files), [`json_files`](crate::json_files) and others of rows, [`generator`],
/// [`nexmark`].
pub trait Source<'x> {
    type Record: Record<'x>;
    fn connector(self) -> Connector;
}

/// Where records go: [`file_sink`](crate::file_sink), [`print`], [`blackhole`].
pub trait Sink {
    fn connector(self) -> Connector;
}

/// Writes methods that set a setting each.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty)?) $key:literal = $value:expr;)+) => {
        $(
            $(#[$doc])*
            pub fn $name(mut self $(, $arg: $type)?) -> Self {
                self.connector = self.connector.set($key, $value);
                self
            }
        )+
    };
}
pub(crate) use settings;

/// Records that are made up: the same for the same seed.
pub struct Generator {
    connector: Connector,
}

/// Makes records without end, as fast as they are taken, until told otherwise. The event time of a record is its number, in
/// milliseconds.
pub fn generator() -> Generator {
    Generator { connector: Connector::new("generator", "generator").event_times(Duration::ZERO) }
}

impl Generator {
    settings! {
        /// Ends the source after n records.
        count(n: u64) "count" = n;
        /// Limits the source to n records a second, over all its subtasks.
        rate(n: u64) "rate" = n;
        /// Chooses which records come.
        seed(n: u64) "seed" = n;
        /// Sets the size of a record in bytes.
        size(n: u64) "size" = n;
    }
}

impl<'x> Source<'x> for Generator {
    type Record = &'x str;

    fn connector(self) -> Connector {
        self.connector
    }
}

/// The events of the Nexmark benchmark as rows.
pub struct Nexmark<T> {
    connector: Connector,
    rows: PhantomData<fn() -> T>,
}

/// Makes the events of the Nexmark benchmark; of a kind (person, auction, bid) only those, as rows of their fields, else rows of
/// event_type, person, auction and bid, two of which are null. T is a type whose codec is a row; its fields are those that are
/// made. The event time of a row is its dateTime, and records may come up to `out_of_order` behind the newest before they count
/// as late.
pub fn nexmark<T>(kind: &str, out_of_order: Duration) -> Nexmark<T> {
    Nexmark { connector: Connector::new("nexmark", "nexmark").set("kind", kind).event_times(out_of_order), rows: PhantomData }
}

impl<T> Nexmark<T> {
    /// Sets an option: path, limit, or a flag of `wasmill nexmark generate`, such as events.
    pub fn with(mut self, option: &str, value: &str) -> Self {
        self.connector = self.connector.set(option, value);
        self
    }
}

impl<'x, T: Record<'x>> Source<'x> for Nexmark<T> {
    type Record = T;

    fn connector(self) -> Connector {
        self.connector
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
        Connector::new("print", "print")
    }
}

/// Nowhere.
pub struct Blackhole {
    connector: Connector,
}

/// Drops the records.
pub fn blackhole() -> Blackhole {
    Blackhole { connector: Connector::new("blackhole", "blackhole") }
}

impl Blackhole {
    settings! {
        /// Limits the sink to n records a second.
        rate(n: u64) "rate" = n;
    }
}

impl Sink for Blackhole {
    fn connector(self) -> Connector {
        self.connector
    }
}
