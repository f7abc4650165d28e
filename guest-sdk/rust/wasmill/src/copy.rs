use alloc::vec::Vec;

/// Appends bytes of which most are few: a word, a key. To call for a copy would cost more than the copy.
#[inline(always)]
pub(crate) fn push(to: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() <= SHORT && readable(bytes) {
        if to.capacity() - to.len() < SHORT {
            grow(to);
        }
        // SAFETY: there is room for SHORT bytes, and the bytes behind those that count are memory of the module as well: they are
        // written over by what comes next.
        unsafe {
            let (from, at) = (bytes.as_ptr().cast::<u64>(), to.as_mut_ptr().add(to.len()).cast::<u64>());
            let (low, high) = (from.read_unaligned(), from.add(1).read_unaligned());
            at.write_unaligned(low);
            at.add(1).write_unaligned(high);
            to.set_len(to.len() + bytes.len());
        }
        return;
    }
    to.extend_from_slice(bytes);
}

/// So many bytes are copied whether there are as many or not: no branch depends on how many there are.
const SHORT: usize = 16;

#[cold]
#[inline(never)]
fn grow(to: &mut Vec<u8>) {
    to.reserve(SHORT.max(to.capacity()));
}

/// Whether SHORT bytes may be read where these begin: all memory of a module may, up to its end.
#[cfg(target_family = "wasm")]
#[inline(always)]
fn readable(bytes: &[u8]) -> bool {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static END: AtomicUsize = AtomicUsize::new(0); // of the memory, when it was last looked at

    #[cold]
    #[inline(never)]
    fn look(end: usize) -> bool {
        END.store(core::arch::wasm32::memory_size(0) << 16, Relaxed);
        end <= END.load(Relaxed)
    }

    let end = bytes.as_ptr() as usize + SHORT;
    end <= END.load(Relaxed) || look(end)
}

#[cfg(not(target_family = "wasm"))]
fn readable(bytes: &[u8]) -> bool {
    bytes.len() == SHORT
}

#[cfg(test)]
mod tests {
    use super::push;
    use std::vec::Vec;

    #[test]
    fn bytes_of_every_length_are_appended() {
        let all: Vec<u8> = (0..100).collect();
        let (mut got, mut want) = (Vec::new(), Vec::new());
        for n in (0..100).chain(14..18) {
            push(&mut got, &all[100 - n..]);
            want.extend_from_slice(&all[100 - n..]);
            assert_eq!(got, want, "{n} bytes");
        }
    }
}
