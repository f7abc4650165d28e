//! The Rust SDK for Wasmill jobs. A job is a `cdylib` with one definition of a graph:
//!
//! ```
//! use wasmill::prelude::*;
//!
//! fn wordcount(job: &Env) {
//!     job.source(files(job.param("input", "what to read")))
//!         .flat_map("split", |line| line.split_ascii_whitespace())
//!         .key_by("word", |word| *word)
//!         .count()
//!         .uid("counts")
//!         .sink_to(file_sink(job.param("output", "where to write")));
//! }
//!
//! wasmill::job!("wordcount", wordcount);
//! ```
//!
//! The crate knows ABI version 1 (the exports and imports of a guest module, the bytes of batches, groups and handles)
//! and typed streams over it. It knows nothing of windows, state or partitioning: those belong to the host. Built for any
//! other target it has no host behind it, so that a job's functions are tested with
//! `cargo test`.
//!
//! # Borrowed records
//!
//! A definition is generic over a lifetime, that of [`Env`]: the time in which a function has a record at hand. A stream of
//! `&str` has that lifetime in its type, so that functions are given the bytes where they lie, pass parts of them on, and
//! cannot keep any: closures are `'static`, and what they capture cannot hold a record. Who wants to keep something uses
//! state.
//!
//! # Fusion
//!
//! Functions that follow each other in the graph are compiled into one loop over a batch, and records go from one to the next
//! without being encoded. What the host asks for otherwise (branches, a chain that begins in its middle) is composed when it
//! is opened, with one indirect call a record and function. Nothing is allocated per record.
//!
//! # Failures
//!
//! A function that cannot go on calls [`fail`], or is a `try_` one and returns an error: the record is named, the instance
//! stays good. A panic is told of with its message and place, and ends the instance.
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", not(target_family = "wasm")))]
extern crate std;

mod arena;
mod ask;
mod batch;
mod chain;
mod connector;
mod env;
#[doc(hidden)]
pub mod exports;
mod fail;
mod fold;
mod graph;
mod group;
mod guest;
mod host;
mod json;
mod keyed;
mod local;
mod log;
mod manifest;
mod migrate;
mod output;
mod process;
mod record;
mod row;
mod side;
mod state;
mod step;
mod stream;
mod text;
mod trap;
mod window;

pub use arena::Scratch;
pub use connector::{blackhole, file_sink, files, generator, print, Connector, Sink, Source};
pub use env::Env;
pub use fail::fail;
pub use keyed::{ConnectedStreams, KeyedStream};
pub use log::{counter_add, gauge_set, log, Level};
pub use process::{Call, Context, Timer, Uses, NO_TIMESTAMP};
pub use record::{Field, Millis, Record};
pub use row::{KeyValue, Row, RowWriter, Windowed};
pub use side::{Side, SideOutput};
pub use state::{ListState, ListStateDescriptor, MapState, MapStateDescriptor, ValueState, ValueStateDescriptor};
pub use stream::{SinkOperator, Stream};
pub use text::Text;
pub use trap::{Letter, TrapPolicy};
pub use window::{tumbling, Tumbling, Window, WindowedStream};

/// What a definition needs.
pub mod prelude {
    pub use crate::arena::Scratch;
    pub use crate::connector::{blackhole, file_sink, files, generator, print};
    pub use crate::env::Env;
    pub use crate::process::{Call, Context, Timer};
    pub use crate::record::{Field, Millis, Record};
    pub use crate::row::{KeyValue, Windowed};
    pub use crate::stream::Stream;
    pub use crate::text::Text;
    pub use crate::trap::{Letter, TrapPolicy};
    pub use crate::window::{days, hours, millis, mins, secs, tumbling, Window};
    pub use crate::{counter_add, fail, gauge_set, log, Level};
}
