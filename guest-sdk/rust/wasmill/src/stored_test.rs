//! A host's states, for tests: lists and maps by state and group.

use crate::batch::{octets, u32_at};
use crate::host::native::STATE;
use core::cell::RefCell;
use std::collections::BTreeMap;
use std::vec::Vec;

/// The group of what is the operator's.
pub(crate) const OWN: u32 = u32::MAX;

type Elements = Vec<(Vec<u8>, Vec<u8>)>; // keys, empty in a list, and values

std::thread_local! {
    static STORED: RefCell<BTreeMap<(u32, u32), Elements>> = const { RefCell::new(BTreeMap::new()) };
}

/// Answers the import state from now on, and has nothing.
pub(crate) fn begin() {
    STORED.with(|s| s.borrow_mut().clear());
    STATE.with(|s| *s.borrow_mut() = answer);
}

/// Has a list hold values.
pub(crate) fn put(state: u32, group: u32, values: &[&str]) {
    let all = values.iter().map(|v| (Vec::new(), v.as_bytes().to_vec())).collect();
    STORED.with(|s| s.borrow_mut().insert((state, group), all));
}

/// The elements of a state, each with its key.
pub(crate) fn elements(state: u32, group: u32) -> Elements {
    STORED.with(|s| s.borrow().get(&(state, group)).cloned().unwrap_or_default())
}

fn answer(op: u32, p: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::from(octets(&[u32_at(p, 0), 0])), 8);
    for _ in 0..u32_at(p, 0) {
        let place = (u32_at(p, at + 8) & 0xffff, u32_at(p, at + 4));
        let key = &p[at + 32..][..u32_at(p, at + 24) as usize];
        let value = &p[at + 32 + key.len().next_multiple_of(8)..][..u32_at(p, at + 28) as usize];
        STORED.with(|s| page(&mut out, one(s.borrow_mut().entry(place).or_default(), op, key, value)));
        at += u32_at(p, at) as usize;
    }
    out
}

/// Carries out a request and returns the elements that it reads.
fn one(elements: &mut Elements, op: u32, key: &[u8], value: &[u8]) -> Elements {
    let same = |(k, _): &(Vec<u8>, Vec<u8>)| key.is_empty() || k == key;
    match op {
        1 | 5 => return elements.iter().filter(|e| same(e)).cloned().collect(),
        2 | 3 => elements.retain(|e| !same(e)),
        _ => {}
    }
    if matches!(op, 2 | 4) {
        elements.push((key.to_vec(), value.to_vec()));
        elements.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Vec::new()
}

/// Appends an answer: the elements, with their keys.
fn page(out: &mut Vec<u8>, elements: Elements) {
    let at = out.len();
    let (keys, values): (Vec<_>, Vec<_>) = elements.into_iter().unzip();
    out.extend_from_slice(octets(&[0, 2, 0, 0, keys.len() as u32, keys.concat().len() as u32, values.concat().len() as u32, 0]));
    for column in [&keys, &values] {
        let mut end = 0u32;
        out.extend_from_slice(&end.to_le_bytes());
        for bytes in column {
            end += bytes.len() as u32;
            out.extend_from_slice(&end.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(8), 0);
    }
    for column in [keys, values] {
        out.extend(column.concat());
        out.resize(out.len().next_multiple_of(8), 0);
    }
    let size = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&size.to_le_bytes());
}
