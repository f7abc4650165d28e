//! The imports of a guest. Natively a test stands in for the host.

#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;

#[cfg(target_family = "wasm")]
mod wasm {
    mod import {
        #[link(wasm_import_module = "wasmill")]
        extern "C" {
            pub fn emit(output: u32, p: *const u8, size: usize);
            pub fn reply(p: *const u8, size: usize);
            pub fn watermark(milliseconds: i64);
            pub fn state(op: u32, p: *const u8, size: usize, out: *mut u8, room: usize) -> u32;
            pub fn log(level: u32, p: *const u8, size: usize);
            pub fn metric(kind: u32, name: *const u8, size: usize, value: i64);
            pub fn fail(p: *const u8, size: usize);
        }
    }

    // SAFETY, of each: the host reads the bytes that are lent to it during the call.

    pub fn emit(output: u32, p: &[u8]) {
        unsafe { import::emit(output, p.as_ptr(), p.len()) }
    }

    pub fn reply(p: &[u8]) {
        unsafe { import::reply(p.as_ptr(), p.len()) }
    }

    pub fn watermark(milliseconds: i64) {
        unsafe { import::watermark(milliseconds) }
    }

    pub fn log(level: u32, text: &str) {
        unsafe { import::log(level, text.as_ptr(), text.len()) }
    }

    pub fn metric(kind: u32, name: &str, value: i64) {
        unsafe { import::metric(kind, name.as_ptr(), name.len(), value) }
    }

    pub fn fail(p: &[u8]) {
        unsafe { import::fail(p.as_ptr(), p.len()) }
    }

    /// Makes requests and returns how long their answer is; it is in out if it fits there.
    pub fn state(op: u32, p: &[u8], out: &mut [u8]) -> u32 {
        unsafe { import::state(op, p.as_ptr(), p.len(), out.as_mut_ptr(), out.len()) }
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::*;

#[cfg(not(target_family = "wasm"))]
pub(crate) mod native {
    use alloc::vec::Vec;
    use core::cell::RefCell;

    /// What a guest has told its host.
    #[derive(Default)]
    pub struct Told {
        pub emits: Vec<(u32, Vec<u8>)>,
        pub reply: Vec<u8>,
        pub watermark: Option<i64>,
        pub failure: Vec<u8>,
        pub requests: Vec<(u32, Vec<u8>)>,
    }

    std::thread_local! {
        pub static TOLD: RefCell<Told> = RefCell::new(Told::default());
        /// Answers the import state.
        pub static STATE: RefCell<fn(u32, &[u8]) -> Vec<u8>> = const { RefCell::new(|_, _| Vec::new()) };
    }

    fn tell(f: impl FnOnce(&mut Told)) {
        TOLD.with(|t| f(&mut t.borrow_mut()));
    }

    pub fn emit(output: u32, p: &[u8]) {
        tell(|t| t.emits.push((output, p.to_vec())));
    }

    pub fn reply(p: &[u8]) {
        tell(|t| t.reply.extend_from_slice(p));
    }

    pub fn watermark(milliseconds: i64) {
        tell(|t| t.watermark = Some(milliseconds));
    }

    pub fn log(_level: u32, text: &str) {
        std::eprintln!("{text}");
    }

    pub fn metric(_kind: u32, _name: &str, _value: i64) {}

    pub fn fail(p: &[u8]) {
        tell(|t| t.failure = p.to_vec());
    }

    pub fn state(op: u32, p: &[u8], out: &mut [u8]) -> u32 {
        tell(|t| t.requests.push((op, p.to_vec())));
        let answer = STATE.with(|s| s.borrow()(op, p));
        if answer.len() <= out.len() {
            out[..answer.len()].copy_from_slice(&answer);
        }
        answer.len() as u32
    }
}
