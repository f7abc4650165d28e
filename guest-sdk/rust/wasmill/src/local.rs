//! Memory of the one thread that a guest has.

use core::cell::UnsafeCell;

/// A value that is changed through a shared reference, without a flag that says whether somebody looks at it: this is the
/// way of every record. `with` is not to be entered again from inside itself, which nothing in this crate does.
pub(crate) struct Own<T>(UnsafeCell<T>);

impl<T> Own<T> {
    pub const fn new(value: T) -> Self {
        Own(UnsafeCell::new(value))
    }

    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: Own is not Sync, and see above.
        f(unsafe { self.hold() })
    }

    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }

    /// The value itself, for code that is to be compiled into its caller, as closures not always are.
    ///
    /// # Safety
    ///
    /// Nobody else holds it meanwhile.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn hold(&self) -> &mut T {
        &mut *self.0.get()
    }
}

/// A static of the only thread: a module without shared memory has no other.
#[cfg(target_family = "wasm")]
pub(crate) struct Global<T>(pub T);

#[cfg(target_family = "wasm")]
unsafe impl<T> Sync for Global<T> {}

#[cfg(target_family = "wasm")]
impl<T> Global<T> {
    #[inline(always)]
    pub fn with<R>(&'static self, f: impl FnOnce(&'static T) -> R) -> R {
        f(&self.0)
    }
}

/// Declares a static of the thread: natively every test has its own.
macro_rules! thread_static {
    ($name:ident: $type:ty = $init:expr) => {
        #[cfg(target_family = "wasm")]
        static $name: $crate::local::Global<$type> = $crate::local::Global($init);
        #[cfg(not(target_family = "wasm"))]
        std::thread_local! { static $name: $type = const { $init } }
    };
}
pub(crate) use thread_static;
