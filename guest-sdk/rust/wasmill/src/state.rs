//! States of a key and of the operator, which the host keeps.

use crate::ask::{Page, Request, APPEND, DELETE, GET, PUT, SCAN};
use crate::call::Call;
use crate::fail::fail;
use crate::group;
use crate::record::{codec_of, Record};
use crate::uses::{Bind, Declaration, Migration, StateSpec, Uses};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::marker::PhantomData;
use core::time::Duration;

/// Declares a kind of state, and says how it is used.
macro_rules! descriptor {
    ($(#[$doc:meta])* $name:ident<$($t:ident),+> $scope:ident $kind:literal $state:ident, $key:expr, $value:ident) => {
        $(#[$doc])*
        pub struct $name<'x, $($t),+> {
            name: String,
            kind: &'static str,
            ttl: Duration,
            event: bool,
            version: u32,
            oldest: u32,
            migrate: Option<Migration<'x>>,
            scope: &'static str,
            types: PhantomData<fn() -> ($($t,)+)>,
        }

        impl<'x, $($t: Record<'x>),+> $name<'x, $($t),+> {
            pub(crate) fn new(name: &str) -> Self {
                $name {
                    name: name.to_string(),
                    kind: $kind,
                    ttl: Duration::ZERO,
                    event: false,
                    version: 0,
                    oldest: 0,
                    migrate: None,
                    scope: $scope,
                    types: PhantomData,
                }
            }

            pub(crate) fn spec(&self) -> StateSpec<'x> {
                StateSpec {
                    name: self.name.clone(),
                    scope: self.scope,
                    kind: self.kind,
                    codec: codec_of::<$value>(),
                    key: $key,
                    ttl: self.ttl,
                    event: self.event,
                    version: self.version,
                    oldest: self.oldest,
                    migrate: self.migrate.clone(),
                }
            }

            /// The oldest version that the function of `migrate` takes: a job whose state may hold older ones is refused.
            pub fn oldest(mut self, version: u32) -> Self {
                self.oldest = version;
                self
            }
        }

        impl<'x, $($t: Record<'x>),+> Uses<'x> for &$name<'x, $($t),+> {
            type Handles = $state<'x, $($t),+>;

            fn declare(&self, to: &mut Declaration<'x>) -> Bind<'x, Self::Handles> {
                let (state, request) = (to.state(self.spec()), if $scope == PER_KEY { Call::request } else { Call::own_request });
                Box::new(move |b| $state { call: b.call.clone(), state, request, types: PhantomData })
            }
        }
    };
}

descriptor! {
    /// Declares a value of each key: see [`Env::value_state`](crate::Env::value_state).
    ValueStateDescriptor<T> PER_KEY "value" ValueState, String::new(), T
}

descriptor! {
    /// Declares a list of each key: see [`Env::list_state`](crate::Env::list_state).
    ListStateDescriptor<T> PER_KEY "list" ListState, String::new(), T
}

descriptor! {
    /// Declares a map of each key: see [`Env::map_state`](crate::Env::map_state).
    MapStateDescriptor<K, V> PER_KEY "map" MapState, codec_of::<K>(), V
}

descriptor! {
    /// Declares a list of the operator: see [`Env::operator_list_state`](crate::Env::operator_list_state) and
    /// [`Env::union_list_state`](crate::Env::union_list_state).
    OperatorListStateDescriptor<T> OPERATOR "list" ListState, String::new(), T
}

descriptor! {
    /// Declares a map of which every subtask has a copy: see [`Env::broadcast_state`](crate::Env::broadcast_state).
    BroadcastStateDescriptor<K, V> BROADCAST "map" MapState, codec_of::<K>(), V
}

/// Says how long what is a key's stays.
macro_rules! ttl {
    ($name:ident<$($t:ident),+>) => {
        impl<'x, $($t: Record<'x>),+> $name<'x, $($t),+> {
            /// Makes what was set or added vanish so long after its last change.
            pub fn ttl(mut self, d: Duration) -> Self {
                self.ttl = d;
                self.event = false;
                self
            }

            /// Makes what was set or added vanish when the watermark is so long past the event time of the record or timer that
            /// wrote it, or past the watermark of then where that has none.
            pub fn event_time_ttl(mut self, d: Duration) -> Self {
                self.ttl = d;
                self.event = true;
                self
            }
        }
    };
}

ttl!(ValueStateDescriptor<T>);
ttl!(ListStateDescriptor<T>);
ttl!(MapStateDescriptor<K, V>);

impl<'x, T: Record<'x>> OperatorListStateDescriptor<'x, T> {
    /// Has every subtask begin with all elements.
    pub(crate) fn union(self) -> Self {
        OperatorListStateDescriptor { kind: "union", ..self }
    }
}

/// Says how elements of older versions become those of the newest.
macro_rules! migrate {
    ($name:ident) => {
        impl<'x, T: Record<'x>> $name<'x, T> {
            /// Says that elements are of a new schema version, and how one of an older version (0: none was given) becomes
            /// one; None drops it. What it makes may depend on nothing but its arguments.
            pub fn migrate(mut self, version: u32, f: impl Fn(u32, &'x [u8]) -> Option<T> + 'static) -> Self {
                self.version = version;
                self.migrate = Some(Rc::new(move |from, _, old, to| match f(from, old) {
                    Some(v) => {
                        v.append(to);
                        true
                    }
                    None => false,
                }));
                self
            }
        }
    };
}

migrate!(ValueStateDescriptor);
migrate!(ListStateDescriptor);
migrate!(OperatorListStateDescriptor);

/// Says how values of older versions become those of the newest.
macro_rules! migrate_map {
    ($name:ident) => {
        impl<'x, K: Record<'x>, V: Record<'x>> $name<'x, K, V> {
            /// Says that values are of a new schema version, and how one of an older version (0: none was given) becomes one; None
            /// drops the entry. What it makes may depend on nothing but its arguments.
            pub fn migrate(mut self, version: u32, f: impl Fn(u32, K, &'x [u8]) -> Option<V> + 'static) -> Self {
                self.version = version;
                self.migrate = Some(Rc::new(move |from, key, old, to| match f(from, K::decode(key), old) {
                    Some(v) => {
                        v.append(to);
                        true
                    }
                    None => false,
                }));
                self
            }
        }
    };
}

migrate_map!(MapStateDescriptor);
migrate_map!(BroadcastStateDescriptor);

impl<'x, T: Record<'x>> ValueStateDescriptor<'x, T> {
    /// Makes it a value of each key in one window, with which it ends: of a window function that is not of sessions. The states of a
    /// trigger are like that without it.
    pub fn per_window(mut self) -> Self {
        self.scope = PER_WINDOW;
        self
    }
}

/// Scopes of a state: of a key, of a key in one window, and of the operator.
pub(crate) const PER_KEY: &str = "keyed";
pub(crate) const PER_WINDOW: &str = "window";
pub(crate) const OPERATOR: &str = "operator";
pub(crate) const BROADCAST: &str = "broadcast";

/// Makes a request about a state: of the key at hand, or of the operator.
type Requests<'x> = fn(&Call<'x>, u32, u16) -> Request;

/// The name of the state that stands for the accumulators of a function.
pub(crate) const ACCUMULATOR: &str = "accumulator";

/// The state that stands for the accumulators of a function.
pub(crate) fn accumulators<'x, A: Record<'x>>(
    version: u32,
    oldest: u32,
    f: impl Fn(u32, &'x [u8]) -> Option<A> + 'static,
) -> StateSpec<'x> {
    let state = ValueStateDescriptor::new(ACCUMULATOR).migrate(version, f).oldest(oldest);
    state.spec()
}

/// One value of the key at hand.
pub struct ValueState<'x, T> {
    call: Rc<Call<'x>>,
    state: u16,
    request: Requests<'x>,
    types: PhantomData<fn() -> T>,
}

/// Makes requests about a state.
macro_rules! requests {
    ($name:ident<$($t:ident),+>) => {
        impl<'x, $($t),+> $name<'x, $($t),+> {
            fn request(&self, op: u32) -> Request {
                (self.request)(&self.call, op, self.state)
            }
        }
    };
}

requests!(ValueState<T>);
requests!(ListState<T>);
requests!(MapState<K, V>);

impl<'x, T: Record<'x>> ValueState<'x, T> {
    pub(crate) fn new(call: &Rc<Call<'x>>, state: u16) -> Self {
        ValueState { call: call.clone(), state, request: Call::request, types: PhantomData }
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<T> {
        if !self.call.cell(self.state, |c| c.known) {
            self.know();
        }
        // a copy, because the function may set the value while it has it at hand
        self.call.cell(self.state, |c| c.set.then(|| T::decode(self.call.scratch().copy(&c.bytes))))
    }

    /// Makes the value of the group known: it came with the call, or it is asked for.
    fn know(&self) {
        let value = self.call.fetched(self.state).unwrap_or_else(|| {
            let page = self.call.ask(|a, arena| a.read(self.request(GET), |_| (), arena));
            (page.n > 0).then(|| page.value(0))
        });
        self.call.cell(self.state, |c| {
            c.known = true;
            c.set = value.is_some();
            c.bytes.clear();
            c.bytes.extend_from_slice(value.unwrap_or_default());
        });
    }

    /// In a trigger that is told of sessions that have become one: the values that they had.
    pub fn merged(&self) -> impl Iterator<Item = T> + use<'x, T> {
        let all = self.call.merged(self.state);
        (0..all.n).map(move |i| T::decode(all.value(i)))
    }

    /// Sets the value.
    pub fn set(&self, value: T) {
        self.call.cell(self.state, |c| {
            c.bytes.clear();
            value.append(&mut c.bytes);
            (c.known, c.set, c.action) = (true, true, group::PUT);
        });
    }

    /// Removes the value.
    pub fn clear(&self) {
        self.call.cell(self.state, |c| {
            c.bytes.clear();
            (c.known, c.set, c.action) = (true, false, group::CLEAR);
        });
    }
}

/// A list of the key at hand, or of the operator.
pub struct ListState<'x, T> {
    call: Rc<Call<'x>>,
    state: u16,
    request: Requests<'x>,
    types: PhantomData<fn() -> T>,
}

impl<'x, T: Record<'x>> ListState<'x, T> {
    /// Appends an element.
    pub fn add(&self, value: T) {
        self.call.ask(|a, _| a.write(self.request(APPEND), |_| (), |to| value.append(to)));
    }

    /// The elements in the order in which they were added. The list is not to be changed meanwhile.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'x, T> {
        Scan::of(&self.call, self.request(SCAN)).map(|(_, value)| T::decode(value))
    }

    /// Removes all elements.
    pub fn clear(&self) {
        self.call.ask(|a, _| a.write(self.request(DELETE), |_| (), |_| ()));
    }
}

/// A map of the key at hand, or one that every subtask has.
pub struct MapState<'x, K, V> {
    call: Rc<Call<'x>>,
    state: u16,
    request: Requests<'x>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'x, K: Record<'x>, V: Record<'x>> MapState<'x, K, V> {
    /// The value of a key of the map, if there is one.
    pub fn get(&self, key: K) -> Option<V> {
        let page = self.keyed(GET, &key, |q, key| self.call.ask(|a, arena| a.read(q, |to| to.extend_from_slice(key), arena)))?;
        (page.n > 0).then(|| V::decode(page.value(0)))
    }

    /// Sets the value of a key of the map.
    pub fn put(&self, key: K, value: V) {
        self.keyed(PUT, &key, |q, key| self.call.ask(|a, _| a.write(q, |to| to.extend_from_slice(key), |to| value.append(to))));
    }

    /// Removes the value of a key of the map.
    pub fn remove(&self, key: K) {
        self.keyed(DELETE, &key, |q, key| self.call.ask(|a, _| a.write(q, |to| to.extend_from_slice(key), |_| ())));
    }

    /// Makes a request about one key, which to the host would mean all of them if it were empty.
    fn keyed<R>(&self, op: u32, key: &K, f: impl FnOnce(Request, &[u8]) -> R) -> Option<R> {
        self.call.map_key(key, |key| {
            if key.is_empty() {
                fail("an empty key of a map state");
                return None;
            }
            Some(f(self.request(op), key))
        })
    }

    /// The entries in the order of their keys' bytes. The map is not to be changed meanwhile.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + use<'x, K, V> {
        Scan::of(&self.call, self.request(SCAN)).map(|(key, value)| (K::decode(key), V::decode(value)))
    }

    /// Removes all entries.
    pub fn clear(&self) {
        self.call.ask(|a, _| a.write(self.request(DELETE), |_| (), |_| ()));
    }
}

/// A state of keys.
pub trait OfKeys {
    #[doc(hidden)]
    fn number(&self) -> u16;
}

impl<T> OfKeys for ValueState<'_, T> {
    fn number(&self) -> u16 {
        self.state
    }
}

impl<T> OfKeys for ListState<'_, T> {
    fn number(&self) -> u16 {
        self.state
    }
}

impl<K, V> OfKeys for MapState<'_, K, V> {
    fn number(&self) -> u16 {
        self.state
    }
}

/// Walks a list or map, or records, page by page.
#[derive(Clone)]
pub(crate) struct Scan<'x> {
    call: Rc<Call<'x>>,
    next: Option<Request>,
    page: Page<'x>,
    at: usize,
}

impl<'x> Scan<'x> {
    /// Walks what a request and those behind it answer.
    pub fn of(call: &Rc<Call<'x>>, first: Request) -> Self {
        Scan { call: call.clone(), next: Some(first), page: Page::default(), at: 0 }
    }

    /// The number of the next element in the page; None behind the last one.
    fn advance(&mut self) -> Option<usize> {
        while self.at == self.page.n {
            let q = self.next?;
            self.page = self.call.ask(|a, arena| a.read(q, |_| (), arena));
            self.at = 0;
            self.next = self.page.more.map(|cursor| Request { cursor, ..q });
        }
        self.at += 1;
        Some(self.at - 1)
    }

    /// The next record and its time.
    pub fn timed(&mut self) -> Option<(i64, &'x [u8])> {
        self.advance().map(|i| (self.page.timestamp(i), self.page.value(i)))
    }
}

impl<'x> Iterator for Scan<'x> {
    type Item = (&'x [u8], &'x [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().map(|i| (self.page.key(i), self.page.value(i)))
    }
}
