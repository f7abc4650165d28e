//! This module's instance. The host makes one call at a time.

use crate::batch::{u32_at, Aligned};
use crate::chain::{refuse, CallHeader, Chain, Status};
use crate::env::Env;
use crate::fail::{begin, fail, failed};
use crate::graph::Graph;
use crate::local::thread_static;
use crate::migrate::migrate;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem;

/// The size of the call header in version 1; its own first field says how long it really is.
const CALL_HEADER_BYTES: usize = 40;

/// A definition of a graph. It is generic over the lifetime of the records, so that nothing of it outlives a call.
pub type Define = for<'a, 'x> fn(&'a Env<'x>);

thread_static!(GUEST: RefCell<Guest> = RefCell::new(Guest::new()));

struct Guest {
    input: Option<Aligned>, // where the host writes
    described: Vec<u8>,     // the manifest that the host reads
    graph: Option<Rc<Graph<'static>>>,
    handles: Vec<(u32, Rc<Chain<'static>>)>, // a few
}

impl Guest {
    const fn new() -> Self {
        Guest { input: None, described: Vec::new(), graph: None, handles: Vec::new() }
    }
}

fn guest<R>(f: impl FnOnce(&mut Guest) -> R) -> R {
    GUEST.with(|g| f(&mut g.borrow_mut()))
}

/// A place for the host to write size bytes, on an address that is a multiple of 8.
pub(crate) fn buffer(size: usize) -> *mut u8 {
    guest(|g| {
        let input = g.input.get_or_insert_with(Aligned::default);
        input.grow(size.max(8));
        input.bytes().as_mut_ptr()
    })
}

/// Runs the definition with the parameters p and returns where the manifest lies; it is empty when it was refused.
pub(crate) fn describe(name: &str, define: Define, p: &[u8]) -> (*const u8, usize) {
    begin();
    // The lifetime of records is that of a call, which 'static stands for: define is checked for every one.
    let env: Env<'static> = Env::new(Graph { name: name.to_string(), given: parse_params(p), ..Graph::default() });
    define(&env);
    let mut graph = env.with(mem::take);
    graph.finish();
    let described = graph.manifest().unwrap_or_else(|wrong| {
        fail(&wrong);
        Vec::new()
    });
    if failed() {
        return (core::ptr::null(), 0);
    }
    guest(|g| {
        g.described = described;
        g.graph = Some(Rc::new(graph));
        g.handles.clear();
        (g.described.as_ptr(), g.described.len())
    })
}

/// Reads parameters: u32 count, u32 zero, then u32 name length, u32 value length, name, value, padding.
pub(crate) fn parse_params(p: &[u8]) -> Vec<(String, String)> {
    let text = |p: &[u8]| String::from_utf8_lossy(p).into_owned();
    let mut at = 8;
    (0..u32_at(p, 0))
        .map(|_| {
            let name = at + 8 + u32_at(p, at) as usize;
            let value = name + u32_at(p, at + 4) as usize;
            let param = (text(&p[at + 8..name]), text(&p[name..value]));
            at = (value + 7) & !7;
            param
        })
        .collect()
}

/// Composes the functions that p lists.
pub(crate) fn open(handle: u32, p: &[u8]) -> Status {
    begin();
    let Some(graph) = guest(|g| g.graph.clone()) else { return Status::UnknownFunction };
    match Chain::open(&graph, p) {
        Ok(chain) => {
            guest(|g| {
                g.handles.retain(|(open, _)| *open != handle);
                g.handles.push((handle, Rc::new(chain)));
            });
            Status::Ok
        }
        Err(fault) => refuse(&fault),
    }
}

/// Runs the records of p, a call header and a batch, through a handle.
pub(crate) fn process(handle: u32, p: &'static [u8]) -> Status {
    call(handle, p, |chain, _, rest| chain.process(u32_at(p, 4), rest))
}

/// Runs the groups of p, behind a call header, through the keyed function of a handle.
pub(crate) fn keyed(handle: u32, verb: u32, p: &'static [u8]) -> Status {
    call(handle, p, |chain, header, rest| chain.keyed(verb, header, rest))
}

fn call(
    handle: u32,
    p: &'static [u8],
    run: impl FnOnce(&Chain<'static>, &CallHeader, &'static [u8]) -> Result<(), crate::chain::Fault>,
) -> Status {
    let found = guest(|g| g.handles.iter().find(|(open, _)| *open == handle).map(|(_, chain)| chain.clone()));
    let Some(chain) = found else { return Status::UnknownHandle };
    begin();
    chain.begin();
    if p.len() < CALL_HEADER_BYTES || p.len() < u32_at(p, 0) as usize {
        return Status::BadInput;
    }
    match run(&chain, &CallHeader::parse(p), &p[u32_at(p, 0) as usize..]) {
        Err(fault) => refuse(&fault),
        Ok(()) if failed() => Status::Failed,
        Ok(()) => Status::Ok,
    }
}

/// Brings elements of a state from an older version to the newest.
pub(crate) fn migrate_state(state: u32, from: u32, p: &'static [u8]) -> Status {
    begin();
    match guest(|g| g.graph.clone()) {
        Some(graph) => migrate(&graph, state, from, p),
        None => Status::UnknownFunction,
    }
}

/// The id of a function.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn function(name: &str) -> Option<u32> {
    guest(|g| g.graph.as_ref()?.functions.iter().position(|f| f.name == name).map(|id| id as u32))
}

/// Forgets a handle.
pub(crate) fn close(handle: u32) -> Status {
    let before = guest(|g| g.handles.len());
    guest(|g| g.handles.retain(|(open, _)| *open != handle));
    match guest(|g| g.handles.len()) {
        after if after < before => Status::Ok,
        _ => Status::UnknownHandle,
    }
}
