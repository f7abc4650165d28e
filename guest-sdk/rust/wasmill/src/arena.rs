use crate::batch::Aligned;
use crate::local::{thread_static, Own};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

/// Memory that a function may use for what it makes of a record: it stays until the record is done with, also by the functions
/// behind it, and costs no allocation.
pub struct Scratch(Arena);

thread_static!(SCRATCH: Cell<Option<&'static Scratch>> = Cell::new(None));

impl Scratch {
    /// That of the instance.
    pub(crate) fn get() -> &'static Scratch {
        SCRATCH.with(|s| match s.get() {
            Some(scratch) => scratch,
            None => {
                let scratch: &Scratch = Box::leak(Box::new(Scratch(Arena::new())));
                s.set(Some(scratch));
                scratch
            }
        })
    }

    /// Takes size bytes, on an address that is a multiple of 8. What they are is not said.
    #[allow(clippy::mut_from_ref)] // no two of them overlap
    pub fn bytes(&self, size: usize) -> &mut [u8] {
        // SAFETY: functions have it for the lifetime of records, and it is reset between those.
        unsafe { self.0.take(size) }
    }

    /// Copies bytes.
    pub fn copy(&self, bytes: &[u8]) -> &[u8] {
        let copy = self.bytes(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }

    /// Puts bytes together.
    pub fn concat(&self, parts: &[&[u8]]) -> &[u8] {
        let all = self.bytes(parts.iter().map(|p| p.len()).sum());
        let mut at = 0;
        for p in parts {
            all[at..at + p.len()].copy_from_slice(p);
            at += p.len();
        }
        all
    }

    /// Writes text: `scratch.text(format_args!("{key}={value}"))`.
    pub fn text(&self, text: fmt::Arguments) -> &str {
        let mut size = Size(0);
        let _ = fmt::write(&mut size, text);
        let mut to = Into { to: self.bytes(size.0), at: 0 };
        let written = fmt::write(&mut to, text);
        let Into { to, at } = to;
        match written {
            Ok(()) => crate::record::utf8(&to[..at]),
            Err(fmt::Error) => panic!("text that is formatted in another way the second time"),
        }
    }

    pub(crate) fn arena(&self) -> &Arena {
        &self.0
    }

    #[inline]
    pub(crate) fn reset(&self) {
        self.0.reset();
    }
}

/// Measures text.
struct Size(usize);

impl fmt::Write for Size {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0 += s.len();
        Ok(())
    }
}

/// Writes text to bytes.
struct Into<'a> {
    to: &'a mut [u8],
    at: usize,
}

impl fmt::Write for Into<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let to = self.to.get_mut(self.at..self.at + s.len()).ok_or(fmt::Error)?;
        to.copy_from_slice(s.as_bytes());
        self.at += s.len();
        Ok(())
    }
}

/// Memory that is taken bit by bit and given back at once.
pub(crate) struct Arena {
    chunks: Own<Vec<Aligned>>,
    base: Cell<*mut u8>, // of the last chunk, which is in use
    size: Cell<usize>,   // of it
    used: Cell<usize>,   // of it
    several: Cell<bool>, // there are other chunks
}

const SMALLEST: usize = 8 << 10;

impl Arena {
    pub fn new() -> Self {
        let base = Cell::new(core::ptr::dangling_mut());
        Arena { chunks: Own::new(Vec::new()), base, size: Cell::new(0), used: Cell::new(0), several: Cell::new(false) }
    }

    /// Takes size bytes, on an address that is a multiple of 8.
    ///
    /// # Safety
    ///
    /// They are not used behind `reset`.
    #[allow(clippy::mut_from_ref)] // no two of them overlap
    #[inline]
    pub unsafe fn take<'a>(&self, size: usize) -> &'a mut [u8] {
        let padded = (size + 7) & !7;
        if padded > self.size.get() - self.used.get() {
            self.grow(padded);
        }
        let at = self.used.replace(self.used.get() + padded);
        core::slice::from_raw_parts_mut(self.base.get().add(at), size)
    }

    /// Gives back what was taken last but for `kept` of its bytes.
    pub fn keep(&self, taken: usize, kept: usize) {
        self.used.set(self.used.get() - ((taken + 7) & !7) + ((kept + 7) & !7));
    }

    /// Forgets everything; the largest chunk stays, so that in steady state there is one.
    #[inline]
    pub fn reset(&self) {
        self.used.set(0);
        if self.several.get() {
            self.shrink();
        }
    }

    #[cold]
    fn shrink(&self) {
        self.several.set(false);
        self.chunks.with(|chunks| {
            let last = chunks.len() - 1;
            chunks.drain(..last);
        });
    }

    /// Makes a chunk that has size bytes.
    #[cold]
    #[inline(never)]
    fn grow(&self, size: usize) {
        let (at, len) = self.chunks.with(|chunks| {
            let mut chunk = Aligned::default();
            chunk.grow(size.max(2 * self.size.get()).max(SMALLEST));
            chunks.push(chunk);
            self.several.set(chunks.len() > 1);
            let bytes = chunks.last_mut().expect("the chunk").bytes();
            (bytes.as_mut_ptr(), bytes.len())
        });
        self.base.set(at);
        self.size.set(len);
        self.used.set(0);
    }
}
