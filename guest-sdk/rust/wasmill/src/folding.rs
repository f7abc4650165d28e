//! States that are one value, made of all that was added: to the host, values.

use crate::record::Record;
use crate::state::{OfKeys, ValueState, ValueStateDescriptor};
use crate::uses::{Bind, Declaration, Uses};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::time::Duration;

/// Declares a value of each key that is made of all that was added: see [`Env::reducing_state`](crate::Env::reducing_state).
pub struct ReducingStateDescriptor<'x, T> {
    value: ValueStateDescriptor<'x, T>,
    merge: Rc<dyn Fn(T, T) -> T + 'x>,
}

/// Declares an accumulator of each key: see [`Env::aggregating_state`](crate::Env::aggregating_state).
pub struct AggregatingStateDescriptor<'x, T, A, R> {
    value: ValueStateDescriptor<'x, A>,
    functions: Rc<Aggregating<'x, T, A, R>>,
}

/// The functions of an aggregating state.
struct Aggregating<'x, T, A, R> {
    create: Box<dyn Fn() -> A + 'x>,
    add: Box<dyn Fn(A, T) -> A + 'x>,
    result: Box<dyn Fn(A) -> R + 'x>,
}

/// Passes on what is said of the value.
macro_rules! value {
    ($name:ident<$($t:ident),+>, $value:ident) => {
        impl<'x, $($t: Record<'x>),+> $name<'x, $($t),+> {
            /// Makes it vanish so long after the last time that something was added.
            pub fn ttl(self, d: Duration) -> Self {
                $name { value: self.value.ttl(d), ..self }
            }

            /// That of [`ValueStateDescriptor`].
            pub fn event_time_ttl(self, d: Duration) -> Self {
                $name { value: self.value.event_time_ttl(d), ..self }
            }

            /// That of [`ValueStateDescriptor`].
            pub fn migrate(self, version: u32, f: impl Fn(u32, &'x [u8]) -> Option<$value> + 'static) -> Self {
                $name { value: self.value.migrate(version, f), ..self }
            }

            /// That of [`ValueStateDescriptor`].
            pub fn oldest(self, version: u32) -> Self {
                $name { value: self.value.oldest(version), ..self }
            }

            /// That of [`ValueStateDescriptor`].
            pub fn per_window(self) -> Self {
                $name { value: self.value.per_window(), ..self }
            }
        }
    };
}

value!(ReducingStateDescriptor<T>, T);
value!(AggregatingStateDescriptor<T, A, R>, A);

impl<'x, T: Record<'x>> ReducingStateDescriptor<'x, T> {
    pub(crate) fn new(name: &str, merge: impl Fn(T, T) -> T + 'static) -> Self {
        ReducingStateDescriptor { value: ValueStateDescriptor::new(name), merge: Rc::new(merge) }
    }
}

impl<'x, T: Record<'x>, A: Record<'x>, R: Record<'x>> AggregatingStateDescriptor<'x, T, A, R> {
    pub(crate) fn new(
        name: &str,
        create: impl Fn() -> A + 'static,
        add: impl Fn(A, T) -> A + 'static,
        result: impl Fn(A) -> R + 'static,
    ) -> Self {
        let functions = Aggregating { create: Box::new(create), add: Box::new(add), result: Box::new(result) };
        AggregatingStateDescriptor { value: ValueStateDescriptor::new(name), functions: Rc::new(functions) }
    }
}

impl<'x, T: Record<'x>> Uses<'x> for &ReducingStateDescriptor<'x, T> {
    type Handles = ReducingState<'x, T>;

    fn declare(&self, to: &mut Declaration<'x>) -> Bind<'x, Self::Handles> {
        let (state, merge) = (to.state(self.value.spec()), self.merge.clone());
        let merged = merge.clone();
        to.merges.push(Box::new(move |call| {
            let s = ReducingState { value: ValueState::new(call, state), merge: merged.clone() };
            s.value.merged().for_each(|v| s.add(v));
        }));
        Box::new(move |b| ReducingState { value: ValueState::new(b.call, state), merge: merge.clone() })
    }
}

impl<'x, T: Record<'x>, A: Record<'x>, R: Record<'x>> Uses<'x> for &AggregatingStateDescriptor<'x, T, A, R> {
    type Handles = AggregatingState<'x, T, A, R>;

    fn declare(&self, to: &mut Declaration<'x>) -> Bind<'x, Self::Handles> {
        let (state, functions) = (to.state(self.value.spec()), self.functions.clone());
        Box::new(move |b| AggregatingState { value: ValueState::new(b.call, state), functions: functions.clone() })
    }
}

/// One value of the key at hand, made of all that was added. Of sessions that have become one it is made of the values of all.
pub struct ReducingState<'x, T> {
    value: ValueState<'x, T>,
    merge: Rc<dyn Fn(T, T) -> T + 'x>,
}

impl<'x, T: Record<'x>> ReducingState<'x, T> {
    /// Takes v into the value.
    pub fn add(&self, v: T) {
        self.value.set(match self.value.get() {
            Some(old) => (self.merge)(old, v),
            None => v,
        });
    }

    /// The value, if something was added.
    pub fn get(&self) -> Option<T> {
        self.value.get()
    }

    /// Removes the value.
    pub fn clear(&self) {
        self.value.clear();
    }
}

/// One accumulator of the key at hand, into which values of another type are taken, and of which the result is made when it is
/// asked for.
pub struct AggregatingState<'x, T, A, R> {
    value: ValueState<'x, A>,
    functions: Rc<Aggregating<'x, T, A, R>>,
}

impl<'x, T: Record<'x>, A: Record<'x>, R: Record<'x>> AggregatingState<'x, T, A, R> {
    /// Takes v into the accumulator.
    pub fn add(&self, v: T) {
        let accumulator = self.value.get().unwrap_or_else(|| (self.functions.create)());
        self.value.set((self.functions.add)(accumulator, v));
    }

    /// The result of what was added, if something was.
    pub fn get(&self) -> Option<R> {
        self.value.get().map(|a| (self.functions.result)(a))
    }

    /// Removes the accumulator.
    pub fn clear(&self) {
        self.value.clear();
    }
}

impl<'x, T: Record<'x>> OfKeys for ReducingState<'x, T> {
    fn number(&self) -> u16 {
        self.value.number()
    }
}

impl<'x, T: Record<'x>, A: Record<'x>, R: Record<'x>> OfKeys for AggregatingState<'x, T, A, R> {
    fn number(&self) -> u16 {
        self.value.number()
    }
}
