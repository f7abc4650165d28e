//! An allocator for modules without std, which would bring one of its own.

use core::alloc::Layout;
use core::ptr;
#[cfg(target_family = "wasm")]
use core::{alloc::GlobalAlloc, cell::UnsafeCell};

/// Keeps lists of free blocks, by powers of two: what an SDK needs that allocates while it opens and then hardly ever. Memory is
/// not given back to the host.
#[cfg(target_family = "wasm")]
pub struct Allocator(UnsafeCell<Blocks>);

// SAFETY: a module without shared memory has one thread.
#[cfg(target_family = "wasm")]
unsafe impl Sync for Allocator {}

#[cfg(target_family = "wasm")]
impl Allocator {
    #[allow(clippy::new_without_default)] // it is a static
    pub const fn new() -> Self {
        Allocator(UnsafeCell::new(Blocks { free: [ptr::null_mut(); CLASSES], next: ptr::null_mut(), left: 0 }))
    }
}

const SMALLEST: u32 = 4; // 16 bytes
const CLASSES: usize = 28;

struct Blocks {
    free: [*mut u8; CLASSES], // by class: a block whose first word is the next
    next: *mut u8,            // memory that was never a block
    left: usize,
}

/// The class of blocks that hold size bytes: class c has 16 << c.
fn class(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(1 << SMALLEST);
    (usize::BITS - (size - 1).leading_zeros() - SMALLEST) as usize
}

impl Blocks {
    /// Takes a block of a class; null when memory does not grow, by `more`, to have it.
    unsafe fn take(&mut self, class: usize, more: impl Fn(usize) -> Option<(*mut u8, usize)>) -> *mut u8 {
        if class >= CLASSES {
            return ptr::null_mut();
        }
        let block = self.free[class];
        if !block.is_null() {
            self.free[class] = block.cast::<*mut u8>().read();
            return block;
        }
        let size = 1 << (class as u32 + SMALLEST);
        let align = size.min(4096); // larger alignments are not asked for
        if self.next.is_null() || self.left < self.next.align_offset(align) + size {
            let Some((at, n)) = more(size + align) else { return ptr::null_mut() };
            if self.next.is_null() || at != self.next.add(self.left) {
                (self.next, self.left) = (at, 0); // what was left before it is lost
            }
            self.left += n;
        }
        let skip = self.next.align_offset(align);
        let block = self.next.add(skip);
        self.next = block.add(size);
        self.left -= skip + size;
        block
    }

    unsafe fn give(&mut self, block: *mut u8, class: usize) {
        block.cast::<*mut u8>().write(self.free[class]);
        self.free[class] = block;
    }
}

#[cfg(target_family = "wasm")]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        (*self.0.get()).take(class(layout), grow)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        (*self.0.get()).give(block, class(layout))
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let to = Layout::from_size_align_unchecked(size, layout.align());
        if class(layout) == class(to) {
            return block;
        }
        let moved = self.alloc(to);
        if !moved.is_null() {
            ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
            self.dealloc(block, layout);
        }
        moved
    }
}

/// Grows memory by at least size bytes; what is new is where, and how large.
#[cfg(target_family = "wasm")]
fn grow(size: usize) -> Option<(*mut u8, usize)> {
    const PAGE: usize = 64 << 10;
    let pages = size.div_ceil(PAGE);
    match core::arch::wasm32::memory_grow(0, pages) {
        usize::MAX => None,
        before => Some(((before * PAGE) as *mut u8, pages * PAGE)),
    }
}

#[cfg(test)]
mod tests {
    use super::{class, Blocks, CLASSES};
    use core::alloc::Layout;
    use core::ptr;
    use std::cell::Cell;
    use std::vec::Vec;

    #[test]
    fn classes_hold_what_is_asked_for() {
        for (size, align, want) in [(1, 1, 0), (16, 8, 0), (17, 8, 1), (32, 8, 1), (33, 1, 2), (1, 64, 2), (4096, 1, 8), (1 << 20, 8, 16)] {
            assert_eq!(class(Layout::from_size_align(size, align).unwrap()), want, "{size} {align}");
        }
    }

    #[test]
    fn blocks_are_apart_aligned_and_used_again() {
        // memory that grows in its place, as that of a module does
        let mut memory = std::vec![0u64; 1 << 20];
        let (base, used) = (memory.as_mut_ptr().cast::<u8>(), Cell::new(0));
        let more = |size: usize| {
            let at = used.replace(used.get() + size.next_multiple_of(64 << 10));
            (used.get() <= 8 << 20).then(|| (base.wrapping_add(at), used.get() - at))
        };
        let mut blocks = Blocks { free: [ptr::null_mut(); CLASSES], next: ptr::null_mut(), left: 0 };
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut seed = 7u32;
        for round in 0..4 {
            for _ in 0..500 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let class = (seed >> 16) as usize % 9;
                let size = 16 << class;
                let at = unsafe { blocks.take(class, more) } as usize;
                assert!(at != 0 && at.is_multiple_of(size.min(4096)), "a block of {size} at {at:#x}");
                assert!(taken.iter().all(|&(other, n)| at + size <= other || other + n <= at), "two blocks overlap");
                unsafe { ptr::write_bytes(at as *mut u8, 0xff, size) };
                taken.push((at, size));
            }
            let grown = used.get();
            for (at, size) in taken.drain(..) {
                unsafe { blocks.give(at as *mut u8, size.trailing_zeros() as usize - 4) };
            }
            if round == 3 {
                assert!(grown < 3 << 20, "{grown} bytes for 4 times the same");
            }
        }
        assert!(unsafe { blocks.take(CLASSES, more) }.is_null(), "more than there can be");
        assert!(unsafe { blocks.take(20, |_| None) }.is_null(), "memory that does not grow");
    }
}
