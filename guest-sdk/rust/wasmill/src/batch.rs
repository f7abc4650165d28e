//! The bytes of a batch, as abi/README.md draws them.

use alloc::vec::Vec;

pub(crate) const TIMESTAMPS: u32 = 1 << 0;
pub(crate) const KEYS: u32 = 1 << 1;
pub(crate) const VALUES: u32 = 1 << 2;
pub(crate) const KINDS: u32 = 1 << 3;
pub(crate) const HASHES: u32 = 1 << 4;
pub(crate) const HEADERS: u32 = 1 << 5;
pub(crate) const KEY_NULLS: u32 = 1 << 6;
pub(crate) const VALUE_NULLS: u32 = 1 << 7;
const KNOWN: u32 = (VALUE_NULLS << 1) - 1;

const VERSION: u16 = 1;
const HEADER_BYTES: usize = 32;

pub(crate) fn u32_at(p: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]])
}

pub(crate) fn i64_at(p: &[u8], at: usize) -> i64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&p[at..at + 8]);
    i64::from_le_bytes(eight)
}

/// Numbers of 4 or 8 bytes that lie in a batch.
///
/// # Safety
///
/// Every value of the type's bytes is one of the type.
pub(crate) unsafe trait Word: Copy {}
unsafe impl Word for u32 {}
unsafe impl Word for i64 {}

/// Views bytes as numbers. The host and every guest are little-endian, and sections begin at a multiple of 8.
pub(crate) fn words<T: Word>(p: &[u8]) -> &[T] {
    assert!(p.as_ptr().align_offset(align_of::<T>()) == 0, "a batch that is not aligned");
    // SAFETY: aligned, and any bytes are a T.
    unsafe { core::slice::from_raw_parts(p.as_ptr().cast(), p.len() / size_of::<T>()) }
}

/// Views numbers as the bytes that a batch has of them.
pub(crate) fn octets<T: Word>(s: &[T]) -> &[u8] {
    // SAFETY: numbers have no padding.
    unsafe { core::slice::from_raw_parts(s.as_ptr().cast(), size_of_val(s)) }
}

/// A view of the records of a call. A column that is absent is None.
#[derive(Clone, Copy, Default)]
pub(crate) struct Batch<'x> {
    pub n: usize,
    pub timestamps: Option<&'x [i64]>,
    pub key_offsets: Option<&'x [u32]>,
    pub value_offsets: Option<&'x [u32]>,
    pub kinds: Option<&'x [u8]>,
    pub header_offsets: Option<&'x [u32]>,
    pub keys: &'x [u8],
    pub values: &'x [u8],
    pub headers: &'x [u8],
}

impl<'x> Batch<'x> {
    /// Views an encoded batch; None when it is no batch of this version. The host wrote it, so the offsets are trusted: what
    /// they lead to is bounds-checked when it is looked at.
    pub fn parse(p: &'x [u8]) -> Option<Self> {
        if p.len() < HEADER_BYTES || u16::from_le_bytes([p[0], p[1]]) != VERSION {
            return None;
        }
        let (columns, n) = (u32_at(p, 4), u32_at(p, 8) as usize);
        if columns & !KNOWN != 0 || u32_at(p, 12) as usize != p.len() || n > 8 * p.len() {
            return None;
        }
        let mut s = Sections { rest: &p[HEADER_BYTES..], columns };
        let timestamps = s.column(TIMESTAMPS, 8 * n)?.map(words);
        let key_offsets = s.column(KEYS, 4 * (n + 1))?.map(words);
        let value_offsets = s.column(VALUES, 4 * (n + 1))?.map(words);
        let kinds = s.column(KINDS, n)?;
        s.column(HASHES, 8 * n)?;
        let header_offsets = s.column(HEADERS, 4 * (n + 1))?.map(words);
        s.column(KEY_NULLS, n.div_ceil(8))?;
        s.column(VALUE_NULLS, n.div_ceil(8))?;
        let keys = s.take(u32_at(p, 16) as usize)?;
        let values = s.take(u32_at(p, 20) as usize)?;
        let headers = s.take(u32_at(p, 24) as usize)?;
        s.rest.is_empty().then_some(Batch { n, timestamps, key_offsets, value_offsets, kinds, header_offsets, keys, values, headers })
    }

    /// The bytes of value i, nothing when the batch has no values.
    #[inline(always)]
    pub fn value(&self, i: usize) -> &'x [u8] {
        slice(self.value_offsets, self.values, i)
    }

    #[inline]
    pub fn key(&self, i: usize) -> &'x [u8] {
        slice(self.key_offsets, self.keys, i)
    }

    #[inline]
    pub fn header(&self, i: usize) -> &'x [u8] {
        slice(self.header_offsets, self.headers, i)
    }
}

#[inline(always)]
fn slice<'x>(offsets: Option<&[u32]>, bytes: &'x [u8], i: usize) -> &'x [u8] {
    match offsets {
        Some(o) => &bytes[o[i] as usize..o[i + 1] as usize],
        None => &[],
    }
}

/// Walks the sections of a batch.
struct Sections<'x> {
    rest: &'x [u8],
    columns: u32,
}

impl<'x> Sections<'x> {
    fn column(&mut self, bit: u32, size: usize) -> Option<Option<&'x [u8]>> {
        if self.columns & bit == 0 {
            return Some(None);
        }
        self.take(size).map(Some)
    }

    fn take(&mut self, size: usize) -> Option<&'x [u8]> {
        let padded = size.checked_add(7)? & !7;
        let (section, rest) = self.rest.split_at_checked(padded)?;
        self.rest = rest;
        Some(&section[..size])
    }
}

/// Bytes whose address is a multiple of 8, which are kept from one use to the next.
#[derive(Default)]
pub(crate) struct Aligned(Vec<u64>);

impl Aligned {
    pub fn len(&self) -> usize {
        8 * self.0.len()
    }

    /// Makes it at least so long; the address may change.
    pub fn grow(&mut self, size: usize) {
        if size > self.len() {
            self.0 = alloc::vec![0; (size + size / 2).div_ceil(8)];
        }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        let n = self.len();
        // SAFETY: numbers have no padding, and any bytes are numbers.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), n) }
    }
}

/// Writes the sections of a batch one after the other.
pub(crate) struct BatchWriter<'a> {
    to: &'a mut [u8],
    at: usize,
}

impl<'a> BatchWriter<'a> {
    /// How much room a batch needs at most.
    pub fn room(n: usize, bytes: usize) -> usize {
        HEADER_BYTES + (8 + 4 + 4 + 1 + 4) * (n + 2) + n.div_ceil(8) + bytes + 10 * 8
    }

    pub fn new(to: &'a mut [u8], columns: u32, n: usize, keys: usize, values: usize, headers: usize) -> Self {
        to[..HEADER_BYTES].fill(0);
        to[..2].copy_from_slice(&VERSION.to_le_bytes());
        for (at, word) in [(4, columns as usize), (8, n), (16, keys), (20, values), (24, headers)] {
            to[at..at + 4].copy_from_slice(&(word as u32).to_le_bytes());
        }
        BatchWriter { to, at: HEADER_BYTES }
    }

    pub fn section(&mut self, p: &[u8]) {
        self.to[self.at..self.at + p.len()].copy_from_slice(p);
        self.at += p.len();
        self.pad();
    }

    pub fn pad(&mut self) {
        let end = (self.at + 7) & !7;
        self.to[self.at..end].fill(0);
        self.at = end;
    }

    /// Writes the offsets column of strings that end at ends.
    pub fn offsets(&mut self, ends: &[u32]) {
        self.put(&[0; 4]);
        self.section(octets(ends));
    }

    /// Writes a part of a section.
    pub fn put(&mut self, p: &[u8]) {
        self.to[self.at..self.at + p.len()].copy_from_slice(p);
        self.at += p.len();
    }

    /// Ends the batch and returns its size.
    pub fn end(self) -> usize {
        self.to[12..16].copy_from_slice(&(self.at as u32).to_le_bytes());
        self.at
    }
}
