//! The exports of a guest module, which `job!` writes.

use crate::guest;
pub use crate::guest::Define;

/// Declares the job of this module: its name, and the function that defines its graph. A module holds one job.
#[macro_export]
macro_rules! job {
    ($name:expr, $define:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::exports;

            #[no_mangle]
            extern "C" fn wasmill_abi_1() {}

            #[no_mangle]
            extern "C" fn wasmill_buffer(size: usize) -> *mut u8 {
                exports::buffer(size)
            }

            #[no_mangle]
            unsafe extern "C" fn wasmill_describe(p: *const u8, size: usize) -> u64 {
                exports::describe($name, $define, p, size)
            }

            #[no_mangle]
            unsafe extern "C" fn wasmill_open(handle: u32, p: *const u8, size: usize) -> u32 {
                exports::open(handle, p, size)
            }

            #[no_mangle]
            unsafe extern "C" fn wasmill_process(handle: u32, p: *const u8, size: usize) -> u32 {
                exports::process(handle, p, size)
            }

            #[no_mangle]
            unsafe extern "C" fn wasmill_keyed(handle: u32, verb: u32, p: *const u8, size: usize) -> u32 {
                exports::keyed(handle, verb, p, size)
            }

            #[no_mangle]
            unsafe extern "C" fn wasmill_migrate(state: u32, from: u32, p: *const u8, size: usize) -> u32 {
                exports::migrate(state, from, p, size)
            }

            #[no_mangle]
            extern "C" fn wasmill_close(handle: u32) -> u32 {
                exports::close(handle)
            }
        };
        #[cfg(not(target_family = "wasm"))]
        const _: $crate::exports::Define = $define;
    };
}

/// Makes a module one without std: with an allocator, and panics that the host is told of. The crate is then used with
/// `default-features = false`.
#[macro_export]
macro_rules! no_std {
    () => {
        #[cfg(target_family = "wasm")]
        #[global_allocator]
        static ALLOCATOR: $crate::Allocator = $crate::Allocator::new();

        #[cfg(target_family = "wasm")]
        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo) -> ! {
            $crate::exports::panicked(info.message().as_str().unwrap_or("panic"), info.location());
            core::arch::wasm32::unreachable()
        }
    };
}

pub fn buffer(size: usize) -> *mut u8 {
    guest::buffer(size)
}

/// # Safety
///
/// As of all of these: the host has written size bytes at p, and lets them lie until the call returns.
pub unsafe fn describe(name: &str, define: Define, p: *const u8, size: usize) -> u64 {
    #[cfg(feature = "std")]
    tell_panics();
    let (at, len) = guest::describe(name, define, bytes(p, size));
    (at as u64) << 32 | len as u64
}

/// # Safety
///
/// See `describe`.
pub unsafe fn open(handle: u32, p: *const u8, size: usize) -> u32 {
    guest::open(handle, bytes(p, size)) as u32
}

/// # Safety
///
/// See `describe`.
pub unsafe fn process(handle: u32, p: *const u8, size: usize) -> u32 {
    guest::process(handle, bytes(p, size)) as u32
}

/// # Safety
///
/// See `describe`.
pub unsafe fn keyed(handle: u32, verb: u32, p: *const u8, size: usize) -> u32 {
    guest::keyed(handle, verb, bytes(p, size)) as u32
}

/// # Safety
///
/// See `describe`.
pub unsafe fn migrate(state: u32, from: u32, p: *const u8, size: usize) -> u32 {
    guest::migrate_state(state, from, bytes(p, size)) as u32
}

pub fn close(handle: u32) -> u32 {
    guest::close(handle) as u32
}

/// The bytes of a call. Their lifetime is that of the call; nothing keeps them, because a definition cannot.
unsafe fn bytes(p: *const u8, size: usize) -> &'static [u8] {
    core::slice::from_raw_parts(p, size)
}

/// Has the host told of a panic, which ends the instance: what it said, and where.
#[cfg(feature = "std")]
fn tell_panics() {
    std::panic::set_hook(std::boxed::Box::new(|info| panicked(info.payload_as_str().unwrap_or("panic"), info.location())));
}

/// Tells the host of a panic.
pub fn panicked(message: &str, at: Option<&core::panic::Location>) {
    let place = at.map(|l| alloc::format!("{}:{}", l.file(), l.line())).unwrap_or_default();
    crate::fail::report(message, &place);
}
