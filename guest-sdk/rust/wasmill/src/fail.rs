use crate::host;
use crate::local::thread_static;
use alloc::vec::Vec;
use core::cell::Cell;

/// The u32 that stands for "no index".
pub(crate) const NONE: u32 = u32::MAX;

thread_static!(RECORD: Cell<u32> = Cell::new(NONE));
thread_static!(FAILED: Cell<bool> = Cell::new(false));

/// Ends the call: the host learns the message and which record it was. The function should return at once; what it returns,
/// and what the call has emitted, does not count.
#[cold]
#[inline(never)]
pub fn fail(message: &str) {
    report(message, "");
}

/// Says why the call fails, unless somebody has said so: the first cause counts.
#[cold]
pub(crate) fn report(message: &str, trace: &str) {
    if !FAILED.with(|f| f.replace(true)) {
        host::fail(&encode(record(), message, trace));
    }
}

/// u32 size, record, message length, trace length, then both texts, padded.
pub(crate) fn encode(record: u32, message: &str, trace: &str) -> Vec<u8> {
    let size = (16 + message.len() + trace.len() + 7) & !7;
    let mut p = Vec::with_capacity(size);
    for word in [size as u32, record, message.len() as u32, trace.len() as u32] {
        p.extend_from_slice(&word.to_le_bytes());
    }
    p.extend_from_slice(message.as_bytes());
    p.extend_from_slice(trace.as_bytes());
    p.resize(size, 0);
    p
}

/// The record of the input, or the group, that runs now: what a failure names.
#[inline(always)]
pub(crate) fn record() -> u32 {
    RECORD.with(Cell::get)
}

#[inline(always)]
pub(crate) fn set_record(record: u32) {
    RECORD.with(|r| r.set(record));
}

/// Whether the call that runs has failed.
#[inline(always)]
pub(crate) fn failed() -> bool {
    FAILED.with(Cell::get)
}

/// Begins a call.
pub(crate) fn begin() {
    FAILED.with(|f| f.set(false));
    set_record(NONE);
}
