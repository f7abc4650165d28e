//! Window functions: anything, of what a window has when it fires.

use crate::call::{Call, StreamContext};
use crate::chain::{Binding, Fault};
use crate::fail::failed;
use crate::fold::{Aggregation, Folder, Folding, Reduction};
use crate::frame::{keyed_context, AtHand, Frame};
use crate::graph::{Kind, Operator};
use crate::group::{List, ACCUMULATE, CREATE, MERGE, WINDOW};
use crate::local::Own;
use crate::process::NO_TIMESTAMP;
use crate::record::{codec_of, Record};
use crate::state::Scan;
use crate::stream::Stream;
use crate::uses::Uses;
use crate::whole::Direction;
use crate::window::{Window, WindowedStream};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Deref;

/// Why a window has a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Its time has come.
    OnTime,
    /// Before that.
    Early,
    /// A record that came behind its end.
    Late,
}

/// The values of a window, in the order in which they came. Of a window with many of them the host hands some over at a time; all
/// that were walked lie in the guest's memory until the call is over.
pub struct Values<'x, V> {
    came: List<'x>, // with the call
    rest: Option<Scan<'x>>,
    at: usize,
    values: PhantomData<fn() -> V>,
}

impl<V> Clone for Values<'_, V> {
    fn clone(&self) -> Self {
        Values { came: self.came, rest: self.rest.clone(), at: self.at, values: PhantomData }
    }
}

impl<'x, V: Record<'x>> Values<'x, V> {
    fn of(call: &Rc<Call<'x>>) -> Self {
        Values { came: call.at_hand(|g| g.records[0]), rest: call.rest(0), at: 0, values: PhantomData }
    }

    /// The same with the event time of each, [`NO_TIMESTAMP`](crate::NO_TIMESTAMP) if it has none.
    pub fn timed(mut self) -> impl Iterator<Item = (i64, V)> + use<'x, V> {
        core::iter::from_fn(move || self.advance().map(|(time, value)| (time, V::decode(value))))
    }

    fn advance(&mut self) -> Option<(i64, &'x [u8])> {
        let at = self.at;
        let one = match at < self.came.n {
            true => (self.came.timestamp(at), self.came.value(at)),
            false => self.rest.as_mut()?.timed()?,
        };
        self.at += 1;
        Some(one)
    }
}

impl<'x, V: Record<'x>> Iterator for Values<'x, V> {
    type Item = V;

    fn next(&mut self) -> Option<V> {
        self.advance().map(|(_, value)| V::decode(value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.came.total - self.at;
        (left, Some(left))
    }
}

impl<'x, V: Record<'x>> ExactSizeIterator for Values<'x, V> {}

keyed_context! {
    /// What a window function has at hand: the key, the window, the times, and where its records go. Their timestamp is the window's
    /// last millisecond, unless `emit_at` says another; they have none if the window has no end.
    WindowContext { value_at: Cell<i64> }
    /// The key at hand.
}

impl<'x, K: Record<'x>, R: Record<'x>> WindowContext<'x, K, R> {
    /// The window at hand, an empty one if it has no end.
    pub fn window(&self) -> Window {
        self.at_hand(|g| g.window)
    }

    /// In [`process_each`](WindowedStream::process_each): the event time of the value at hand, [`NO_TIMESTAMP`] if it has none.
    pub fn value_timestamp(&self) -> i64 {
        self.value_at.get()
    }

    /// Why the window has this result.
    pub fn timing(&self) -> Timing {
        self.at_hand(|g| g.timing())
    }
}

impl<'x, K: Record<'x>, V: Record<'x>> WindowedStream<'x, K, V> {
    /// Runs a function over all values of each key and window, with the states and side outputs that it uses at hand. States are
    /// those of a key, in all its windows, or [`per_window`](crate::ValueStateDescriptor::per_window). What a call does takes effect
    /// together, or not at all. The operator keeps state: it needs a uid.
    pub fn process<U: Uses<'x>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        each: impl Fn(&WindowContext<'x, K, R>, &U::Handles, Values<'x, V>) + 'static,
    ) -> Stream<'x, R> {
        let all = move |c: &WindowContext<'x, K, R>, u: &U::Handles| {
            each(c, u, Values::of(c.call()));
        };
        self.function(name, uses, String::new(), None, all)
    }

    /// The same over one value after the other, which need not all fit in the guest's memory: `create` makes what is kept of none,
    /// `each` takes the values in the order in which they came, and `end` is called behind the last.
    pub fn process_each<U: Uses<'x>, A: 'static, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        create: impl Fn() -> A + 'static,
        each: impl Fn(&WindowContext<'x, K, R>, &U::Handles, &mut A, V) + 'static,
        end: impl Fn(&WindowContext<'x, K, R>, &U::Handles, A) + 'static,
    ) -> Stream<'x, R> {
        let all = move |c: &WindowContext<'x, K, R>, u: &U::Handles| {
            let kept = Own::new(create());
            c.walk(0, &|at, value| {
                c.value_at.set(at);
                kept.with(|kept| each(c, u, kept, V::decode(value)));
                c.scratch().reset();
            });
            c.value_at.set(NO_TIMESTAMP);
            if !failed() {
                end(c, u, kept.into_inner());
            }
        };
        self.function(name, uses, String::new(), None, all)
    }

    /// Puts out the values of each key and window in the order of what `of` answers; those for which that is equal in the order in which
    /// they came. They must fit in the guest's memory. It is a `process`.
    pub fn sort<O: Ord>(&self, name: &str, of: impl Fn(&V) -> O + 'static, direction: Direction) -> Stream<'x, V> {
        self.process(name, (), move |c, _, values| {
            let mut all: Vec<V> = values.collect();
            all.sort_by(|a, b| match direction {
                Direction::Ascending => of(a).cmp(&of(b)),
                Direction::Descending => of(b).cmp(&of(a)),
            });
            all.into_iter().for_each(|v| c.emit(v));
        })
    }

    /// Combines the values of each key and window, two at a time, and runs a function over what they amount to: values are not
    /// kept.
    pub fn reduce_process<U: Uses<'x>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        reduce: impl Fn(V, V) -> V + 'static,
        each: impl Fn(&WindowContext<'x, K, R>, &U::Handles, V) + 'static,
    ) -> Stream<'x, R> {
        self.folded(name, uses, Reduction::new(reduce), each)
    }

    /// Folds the values of each key and window, as [`aggregate`](WindowedStream::aggregate) does, and runs a function over the
    /// accumulator.
    pub fn aggregate_process<U: Uses<'x>, A: Record<'x>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        create: impl Fn() -> A + 'static,
        add: impl Fn(A, V) -> A + 'static,
        merge: impl Fn(A, A) -> A + 'static,
        each: impl Fn(&WindowContext<'x, K, R>, &U::Handles, A) + 'static,
    ) -> Stream<'x, R> {
        self.folded(name, uses, Aggregation::new(create, add, merge), each)
    }

    fn folded<U: Uses<'x>, A: Record<'x>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        folding: impl Folding<V, A> + 'x,
        each: impl Fn(&WindowContext<'x, K, R>, &U::Handles, A) + 'static,
    ) -> Stream<'x, R> {
        let folder = Folder::new(Rc::new(folding));
        let whole = move |c: &WindowContext<'x, K, R>, u: &U::Handles| {
            let list = c.at_hand(|g| g.accumulators);
            list.whole();
            each(c, u, A::decode(list.value(0)));
        };
        let folds: Folds<'x> = Box::new(move |verb, p| folder.call(verb, p, &|_, _| ()).is_ok());
        self.function(name, uses, codec_of::<A>(), Some(folds), whole)
    }

    /// Adds an operator that runs a window function; folds are its calls that fold values, if it has such.
    fn function<U: Uses<'x>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        accumulator: String,
        folds: Option<Folds<'x>>,
        each: impl Fn(&WindowContext<'x, K, R>, &U::Handles) + 'x,
    ) -> Stream<'x, R> {
        let (mut frame, inputs) = (Frame::of(uses), vec![codec_of::<V>()]);
        let mut f = frame.function(Kind::Window, name, inputs, codec_of::<R>(), move |c: &WindowContext<'x, K, R>, u, verb, h, p| {
            match &folds {
                _ if verb == WINDOW => c.run(h, p, || c.whole(|| each(c, u)), |_| ()),
                Some(fold) if FOLDS.contains(&verb) => return fold(verb, p),
                _ => return false,
            }
            true
        });
        (f.key, f.accumulator) = (codec_of::<K>(), accumulator);
        let o = Operator { inputs: vec![self.keyed.edge()], window: Some(self.windows.clone()), ..Operator::default() };
        self.stream(frame.add(self.env(), f, o))
    }
}

/// Runs calls that fold values.
type Folds<'x> = Box<dyn Fn(u32, &'static [u8]) -> bool + 'x>;

/// Their verbs: a window function has no other result.
const FOLDS: [u32; 3] = [CREATE, ACCUMULATE, MERGE];
