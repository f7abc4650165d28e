//! For `cargo test`: a job without its host. Functions are plain functions, and tested as such; here a definition is looked at as
//! a whole, and functions run as the host has them run, batch by batch, behind each other.
//!
//! ```
//! # use wasmill::prelude::*;
//! # fn wordcount(job: &Env) {
//! #     job.source(files(job.param("input", "")))
//! #         .flat_map("split", |line| line.split(' ')).key_by("word", |w| *w).count().uid("counts").sink_to(blackhole());
//! # }
//! let job = wasmill::testing::Job::describe("wordcount", wordcount, &[("input", "a.txt")]).unwrap();
//! let words: Vec<&str> = job.chain(&["split"]).process(&["call me", "ishmael"]).unwrap();
//! assert_eq!(words, ["call", "me", "ishmael"]);
//! ```
//!
//! State, timers and windows are the host's: a module as a whole is tested with `host/hosttest`, or `wasmill run`.

use crate::batch::{Aligned, BatchWriter, KEYS, TIMESTAMPS, VALUES};
use crate::fail::NONE;
use crate::guest;
use crate::host::native::TOLD;
use crate::record::Record;
use crate::{batch, Text};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::marker::PhantomData;
use core::mem;

/// A job that was described. A thread has one at a time: the next one takes its place.
pub struct Job {
    manifest: String,
    handles: Cell<u32>,
    here: PhantomData<*const ()>, // and no other thread
}

/// Functions of a job, open behind each other.
pub struct Chain {
    handle: u32,
    here: PhantomData<*const ()>,
}

/// What came out of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Out<K, V> {
    pub timestamp: i64,
    pub key: K,
    pub value: V,
}

impl Job {
    /// Runs the definition with parameters. The error is why it was refused.
    pub fn describe(name: &str, define: guest::Define, params: &[(&str, &str)]) -> Result<Job, String> {
        let (at, size) = guest::describe(name, define, &params_of(params));
        if size == 0 {
            return Err(failure());
        }
        // SAFETY: the manifest lies there until the next describe.
        let manifest = unsafe { core::slice::from_raw_parts(at, size) };
        Ok(Job { manifest: String::from_utf8_lossy(manifest).into_owned(), handles: Cell::new(0), here: PhantomData })
    }

    /// What the host is told of the job, in JSON.
    pub fn manifest(&self) -> &str {
        &self.manifest
    }

    /// Opens functions, each behind the one before it.
    ///
    /// # Panics
    ///
    /// When there is no such function, or one takes another type than the one before it makes.
    pub fn chain(&self, functions: &[&str]) -> Chain {
        let ids: Vec<u32> = functions.iter().map(|name| self.function(name)).collect();
        let handle = self.handles.replace(self.handles.get() + 1);
        let status = guest::open(handle, &handle_of(&ids));
        assert!(status as u32 == 0, "{functions:?}: {}", failure());
        Chain { handle, here: PhantomData }
    }

    fn function(&self, name: &str) -> u32 {
        guest::function(name).unwrap_or_else(|| panic!("there is no function {name:?} in {}", self.manifest))
    }
}

impl Chain {
    /// Runs the functions over records and returns those that come out. The error is what a function failed with.
    pub fn process<'a, T: Record<'a>, R: Record<'static>>(&self, records: &[T]) -> Result<Vec<R>, String> {
        Ok(self.keyed::<T, Text, R>(records)?.into_iter().map(|out| out.value).collect())
    }

    /// The same with keys and timestamps, of functions that set them.
    pub fn keyed<'a, T: Record<'a>, K: Record<'static>, R: Record<'static>>(&self, records: &[T]) -> Result<Vec<Out<K, R>>, String> {
        let status = guest::process(self.handle, call_of(records));
        let emits = TOLD.with(|t| mem::take(&mut t.borrow_mut().emits));
        if status as u32 != 0 {
            return Err(failure());
        }
        let mut out = Vec::new();
        for (_, bytes) in emits {
            let b = batch::Batch::parse(leak(&bytes)).expect("a batch");
            out.extend((0..b.n).map(|i| Out {
                timestamp: b.timestamps.map_or(crate::NO_TIMESTAMP, |t| t[i]),
                key: K::decode(b.key(i)),
                value: R::decode(b.value(i)),
            }));
        }
        Ok(out)
    }
}

/// What the guest failed with, and for which record.
fn failure() -> String {
    let p = TOLD.with(|t| mem::take(&mut t.borrow_mut().failure));
    if p.is_empty() {
        return "the host's bytes were refused".to_string();
    }
    let message = String::from_utf8_lossy(&p[16..16 + batch::u32_at(&p, 8) as usize]).into_owned();
    match batch::u32_at(&p, 4) {
        NONE => message,
        record => format!("record {record}: {message}"),
    }
}

/// Bytes that stay: tests are short.
pub(crate) fn leak(p: &[u8]) -> &'static [u8] {
    let mut a = Aligned::default();
    a.grow(p.len());
    let all = Box::leak(Box::new(a)).bytes();
    all[..p.len()].copy_from_slice(p);
    &all[..p.len()]
}

fn params_of(params: &[(&str, &str)]) -> Vec<u8> {
    let mut p = Vec::from((params.len() as u64).to_le_bytes());
    for (name, value) in params {
        p.extend_from_slice(&(name.len() as u32).to_le_bytes());
        p.extend_from_slice(&(value.len() as u32).to_le_bytes());
        p.extend_from_slice(name.as_bytes());
        p.extend_from_slice(value.as_bytes());
        p.resize((p.len() + 7) & !7, 0);
    }
    p
}

/// A handle of functions behind each other, of which the last has an output.
fn handle_of(functions: &[u32]) -> Vec<u8> {
    let mut words: Vec<u32> = Vec::from([0, functions.len() as u32]);
    for (i, id) in functions.iter().enumerate() {
        let upstream = (i as u32).checked_sub(1).unwrap_or(NONE);
        if i + 1 < functions.len() {
            words.extend([24, *id, upstream, 0, 0, 0]);
        } else {
            words.extend([40, *id, upstream, 0, 1, 0, 0, 0, TIMESTAMPS | KEYS | VALUES, 0]);
        }
    }
    words[0] = 4 * words.len() as u32;
    batch::octets(&words).to_vec()
}

/// A call header and a batch of values.
fn call_of<'a, T: Record<'a>>(records: &[T]) -> &'static [u8] {
    let (mut values, mut ends) = (Vec::new(), Vec::new());
    for r in records {
        r.append(&mut values);
        ends.push(values.len() as u32);
    }
    let mut a = Aligned::default();
    a.grow(BatchWriter::room(records.len(), values.len()));
    let mut w = BatchWriter::new(a.bytes(), VALUES, records.len(), 0, values.len(), 0);
    w.offsets(&ends);
    w.section(&values);
    let size = w.end();
    let mut call = Vec::from(batch::octets(&[40u32, 0, 0, 0x8000_0000, 0, 0, NONE, 0, 1, 1]));
    call.extend_from_slice(&a.bytes()[..size]);
    leak(&call)
}
