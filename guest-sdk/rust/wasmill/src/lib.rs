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
//! other target it has no host behind it, so that a job is tested with `cargo test`:
//! see `testing`.
//!
//! # Borrowed records
//!
//! A definition is generic over a lifetime, that of [`Env`]: the time in which a function has a record at hand. A stream of
//! `&str` has that lifetime in its type, so that functions are given the bytes where they lie, pass parts of them on, and
//! cannot keep any: closures are `'static`, and what they capture cannot hold a record. Who wants to keep something uses
//! state.
//!
//! ```compile_fail
//! # use {std::cell::RefCell, wasmill::prelude::*};
//! fn hoard(job: &Env) {
//!     let kept = RefCell::new(Vec::new());
//!     job.source(files("x")).map("keep", move |s| {
//!         kept.borrow_mut().push(s); // error: the record would be there for longer than its bytes
//!         0
//!     });
//! }
//! ```
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
//!
//! # Without std
//!
//! The crate needs `core` and `alloc` only. With `default-features = false`, a module that is `#![no_std]` gets an allocator and a
//! panic handler from [`no_std!`].
#![no_std]
#![allow(clippy::type_complexity)] // functions of functions

extern crate alloc;
extern crate self as wasmill; // what derive(Row) writes names it so
#[cfg(any(feature = "std", not(target_family = "wasm")))]
extern crate std;

#[cfg(test)]
mod chain_test;
#[cfg(test)]
mod duration_test;
#[cfg(test)]
mod field_test;
#[cfg(test)]
mod first_test;
#[cfg(test)]
mod golden_test;
#[cfg(test)]
mod own_test;
#[cfg(test)]
mod pages_test;
#[cfg(test)]
mod process_test;
#[cfg(test)]
mod request_test;
#[cfg(test)]
mod stored_test;
#[cfg(test)]
mod whole_test;
#[cfg(test)]
mod window_join_test;
#[cfg(test)]
mod window_test;

mod aggregates;
#[cfg(any(test, target_family = "wasm"))]
mod allocator;
mod arena;
mod ask;
mod batch;
mod call;
mod chain;
mod connect;
mod connector;
mod copy;
mod document;
mod env;
mod evictor;
#[doc(hidden)]
pub mod exports;
mod fail;
mod field;
mod file;
mod first;
mod fold;
mod folding;
mod frame;
mod graph;
mod group;
mod guest;
mod host;
mod join;
mod json;
mod keyed;
mod local;
mod log;
mod manifest;
mod migrate;
mod output;
mod partition;
mod process;
mod record;
mod request;
mod row;
mod side;
mod state;
mod step;
mod stream;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod text;
mod trap;
mod trigger;
mod uses;
mod whole;
mod window;
mod window_function;
mod window_join;

#[cfg(target_family = "wasm")]
pub use allocator::Allocator;
pub use aggregates::{Aggregate, Decides, Number, Ordered};
pub use arena::Scratch;
pub use call::{Call, StreamContext};
pub use connect::{BroadcastKeyedStreams, BroadcastStreams, ConnectedKeyedStreams, ConnectedStreams};
pub use connector::{blackhole, generator, nexmark, print, Connector, Sink, Source};
pub use document::Json;
pub use env::Env;
pub use fail::fail;
pub use field::{value, Constant, FieldOf, KeyField, Predicate, Rows, Several};
pub use file::{avro_files, csv_files, file_sink, files, json_files, parquet_files, FileSink, Files, RowFiles};
pub use folding::{AggregatingState, AggregatingStateDescriptor, ReducingState, ReducingStateDescriptor};
pub use join::{IntervalJoin, IntervalJoined, JoinContext};
pub use keyed::KeyedStream;
pub use log::{counter_add, gauge_set, log, Level};
pub use process::{Context, Timer, NO_TIMESTAMP};
pub use record::{Field, Millis, Record};
pub use request::{ordered, unordered, Answer, HttpRequest, HttpResponse, Requests};
pub use row::{Decimal, KeyValue, List, ListRef, Pair, RowBytes, RowWriter, Windowed};
pub use side::{Side, SideOutput, Sides};
pub use state::{
    BroadcastStateDescriptor, ListState, ListStateDescriptor, MapState, MapStateDescriptor, OfKeys, OperatorListStateDescriptor,
    ValueState, ValueStateDescriptor,
};
pub use step::{Path, Start, Step, Then};
pub use stream::{After, Outlet, SinkOperator, Stream};
pub use text::{Text, TextBuf};
pub use trap::{Letter, TrapPolicy};
pub use trigger::{Asked, Decision, Trigger, TriggerContext};
pub use uses::{begin, Begin, Begins, Uses};
pub use whole::{Direction, SortField};

/// Makes a struct a row, whose fields are read where they lie. The fields are of types that implement [`Field`]; a lifetime, if
/// there is one, is `'x`.
///
/// ```
/// use wasmill::prelude::*;
///
/// #[derive(Clone, Row)]
/// #[row(rename_all = "camelCase")]
/// struct Bid<'x> {
///     auction: i64,
///     price: i64,
///     date_time: Millis,      // dateTime in the schema
///     #[row(name = "where")]
///     channel: Option<&'x str>,
/// }
///
/// fn auctions(job: &Env) {
///     let bids = job.source(json_files::<BidRef>("bids.json").timestamps(secs(4), &["dateTime"]));
///     bids.filter("dear", |b| b.price() > 1000 && b.channel().is_some())
///         .key_by("auction", |b| b.auction())
///         .count()
///         .uid("counts")
///         .sink_to(print());
/// }
/// # wasmill::job!("auctions", auctions);
/// ```
///
/// `Bid` is what functions make and may take apart, all fields at once. `BidRef`, which is derived beside it, is the same record
/// where it lies: 8 bytes to pass on, a method a field, and nothing is read that nobody asks for. Both are records of one
/// codec, `row(auction: i64, price: i64, dateTime: ms, where: utf8?)`, so one can be written and the other read; and both are
/// keys, states and fields of other rows. Conditions, keys and aggregates that the host decides name its fields as `Bid::PRICE`
/// ([`FieldOf`]). In a `Ref`, a `String` is read as `&str`, a row as its `Ref`, a [`List`] as [`ListRef`].
pub use wasmill_derive::Row;
pub use window::{all_time, full_window, global, session, sliding, tumbling, TimeWindow, Window, WindowedStream};
pub use window_function::{Timing, Values, WindowContext};
pub use window_join::{JoinHint, Together, WindowJoin, WindowJoinContext, WindowJoined};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

/// The documentation's pages with Rust in them.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../../docs/aggregation.md")]
    mod aggregation {}
    #[doc = include_str!("../../../../docs/batch.md")]
    mod batch {}
    #[doc = include_str!("../../../../docs/joins.md")]
    mod joins {}
    #[doc = include_str!("../../../../docs/requests.md")]
    mod requests {}
    #[doc = include_str!("../../../../docs/state.md")]
    mod state {}
    #[doc = include_str!("../../../../docs/windows.md")]
    mod windows {}
}

/// What derived code names, with and without std.
#[doc(hidden)]
pub mod export {
    pub use alloc::string::String;
    pub use alloc::vec::Vec;
}

/// What a definition needs.
pub mod prelude {
    pub use crate::aggregates::Aggregate;
    pub use crate::arena::Scratch;
    pub use crate::call::{Call, StreamContext};
    pub use crate::connector::{blackhole, generator, nexmark, print};
    pub use crate::document::Json;
    pub use crate::env::Env;
    pub use crate::field::value;
    pub use crate::file::{avro_files, csv_files, file_sink, files, json_files, parquet_files};
    pub use crate::process::{Context, Timer};
    pub use crate::record::{Field, Millis, Record};
    pub use crate::request::{ordered, unordered, Answer, HttpRequest, HttpResponse};
    pub use crate::row::{Decimal, KeyValue, List, ListRef, Pair, Windowed};
    pub use crate::stream::Stream;
    pub use crate::text::{Text, TextBuf};
    pub use crate::trap::{Letter, TrapPolicy};
    pub use crate::trigger::{Asked, Decision, Trigger, TriggerContext};
    pub use crate::uses::begin;
    pub use crate::whole::Direction;
    pub use crate::window::{all_time, days, full_window, global, hours, millis, mins, secs, session, sliding, tumbling, Window};
    pub use crate::window_function::{Timing, Values, WindowContext};
    pub use crate::window_join::{JoinHint, Together, WindowJoinContext};
    pub use crate::{counter_add, fail, gauge_set, log, Level};
    pub use wasmill_derive::Row;
}
