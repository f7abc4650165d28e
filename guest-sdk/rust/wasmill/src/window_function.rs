//! Window functions: anything, of what a window has when it fires.

use crate::arena::Scratch;
use crate::chain::{Binding, CallHeader, Fault, HeadRun, Next, Status};
use crate::fold::{Aggregation, Folder, Folding, Reduction};
use crate::graph::{Body, Function, Kind, Operator};
use crate::group::{List, ACCUMULATE, CREATE, MERGE, WINDOW};
use crate::process::{Binder, Call, Declaration, Uses};
use crate::record::{codec_of, Record};
use crate::stream::Stream;
use crate::window::{Window, WindowedStream};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

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

/// The values of a window, in the order in which they came.
pub struct Values<'x, V> {
    list: List<'x>,
    at: usize,
    values: PhantomData<fn() -> V>,
}

impl<V> Clone for Values<'_, V> {
    fn clone(&self) -> Self {
        Values { list: self.list, at: self.at, values: PhantomData }
    }
}

impl<'x, V: Record<'x>> Values<'x, V> {
    /// The same with the event time of each, [`NO_TIMESTAMP`](crate::NO_TIMESTAMP) if it has none.
    pub fn timed(self) -> impl Iterator<Item = (i64, V)> + use<'x, V> {
        (self.at..self.list.n).map(move |i| (self.list.timestamp(i), V::decode(self.list.value(i))))
    }
}

impl<'x, V: Record<'x>> Iterator for Values<'x, V> {
    type Item = V;

    fn next(&mut self) -> Option<V> {
        let at = self.at;
        (at < self.list.n).then(|| {
            self.at += 1;
            V::decode(self.list.value(at))
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.list.n - self.at;
        (left, Some(left))
    }
}

impl<'x, V: Record<'x>> ExactSizeIterator for Values<'x, V> {}

/// What a window function has at hand: the key, the window, the times, and where its records go.
pub struct WindowContext<'x, K, R> {
    call: Rc<Call<'x>>,
    next: Next<'x, R>,
    key: PhantomData<fn() -> K>,
}

impl<'x, K: Record<'x>, R: Record<'x>> WindowContext<'x, K, R> {
    /// The key at hand.
    pub fn key(&self) -> K {
        K::decode(self.call.at_hand(|g| g.key))
    }

    /// The window at hand, an empty one if it has no end.
    pub fn window(&self) -> Window {
        self.call.at_hand(|g| g.window)
    }

    /// Why the window has this result.
    pub fn timing(&self) -> Timing {
        self.call.at_hand(|g| g.timing())
    }

    /// The event time that has been reached.
    pub fn watermark(&self) -> i64 {
        self.call.watermark()
    }

    /// The processing time of the call, in milliseconds since the Unix epoch.
    pub fn now(&self) -> i64 {
        self.call.now()
    }

    /// Memory for what the function makes of the values.
    pub fn scratch(&self) -> &'x Scratch {
        self.call.scratch()
    }

    /// Puts out a record. Its timestamp is the window's last millisecond; it has none if the window has no end.
    pub fn emit(&self, record: R) {
        self.next.push(record);
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
            let list = c.call.at_hand(|g| g.records[0]);
            list.whole();
            each(c, u, Values { list, at: 0, values: PhantomData });
        };
        self.function(name, uses, String::new(), || None, all)
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
        let folding = Rc::new(folding);
        let folds = move || {
            let folder = Folder::new(folding.clone());
            Some(Box::new(move |verb, p: &'static [u8]| folder.call(verb, p, &|_, _| ())) as Folds<'x>)
        };
        let whole = move |c: &WindowContext<'x, K, R>, u: &U::Handles| {
            let list = c.call.at_hand(|g| g.accumulators);
            list.whole();
            each(c, u, A::decode(list.value(0)));
        };
        self.function(name, uses, codec_of::<A>(), folds, whole)
    }

    /// Adds an operator that runs a window function; folds makes what folds the values in an open handle.
    fn function<U: Uses<'x>, R: Record<'x>>(
        &self,
        name: &str,
        uses: U,
        accumulator: String,
        folds: impl Fn() -> Option<Folds<'x>> + 'x,
        each: impl Fn(&WindowContext<'x, K, R>, &U::Handles) + 'x,
    ) -> Stream<'x, R> {
        let mut declared = Declaration { states: Vec::new(), sides: Vec::new() };
        uses.declare(&mut declared);
        let (states, each) = (declared.states.len(), Rc::new(each));
        let body = Body::Keyed(Box::new(move |b: &Binding<'x>| {
            let call = Rc::new(Call::new(b.scope.clone(), states));
            let handles = U::bind(&mut Binder { binding: b, call: &call, states: 0, sides: 0 });
            let context = WindowContext { call, next: b.next::<R>()?, key: PhantomData };
            let (each, fold) = (each.clone(), folds());
            Ok(HeadRun::Groups(Box::new(move |verb, h: &CallHeader, p| match &fold {
                _ if verb == WINDOW => {
                    let call = &context.call;
                    call.run(h, p, || call.record(call.at_hand(|g| g.timestamp()), || each(&context, &handles)), |_| ());
                    Ok(())
                }
                Some(fold) if FOLDS.contains(&verb) => fold(verb, p),
                _ => Err(Fault(Status::UnknownVerb, format!("verb {verb} is not one of a window function"))),
            })))
        }));
        let mut f = Function::new(Kind::Window, name, vec![codec_of::<V>()], codec_of::<R>(), body);
        f.key = codec_of::<K>();
        f.accumulator = accumulator;
        f.states = declared.states;
        f.sides = declared.sides.iter().map(|(codec, _)| codec.clone()).collect();
        let o = Operator { inputs: vec![self.keyed.edge()], window: Some(self.windows.clone()), ..Operator::default() };
        let operator = self.env().with(|g| g.call(f, o));
        for (k, (_, tell)) in declared.sides.iter().enumerate() {
            tell(operator, k + 1);
        }
        self.stream(operator)
    }
}

/// Runs calls that fold values.
type Folds<'x> = Box<dyn Fn(u32, &'static [u8]) -> Result<(), Fault> + 'x>;

/// Their verbs: a window function has no other result.
const FOLDS: [u32; 3] = [CREATE, ACCUMULATE, MERGE];
