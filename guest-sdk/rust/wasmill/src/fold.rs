//! Reduce and aggregate: values are folded into accumulators, which the host keeps.

use crate::chain::{CallHeader, Fault, HeadRun, Next, Status};
use crate::fail::{fail, failed, set_record};
use crate::graph::{Body, Function, Kind, Operator, OperatorId};
use crate::group::{Group, Groups, ReplyWriter, ACCUMULATE, CREATE, MERGE, PUT, RESULT};
use crate::host;
use crate::keyed::KeyedStream;
use crate::local::Own;
use crate::output::Scope;
use crate::record::{codec_of, Record};
use crate::window::{Window, Windows};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec;
use core::marker::PhantomData;

/// How values become an accumulator.
pub(crate) trait Folding<V, A> {
    /// Two accumulators can become one.
    const MERGES: bool = true;

    /// An accumulator of no values; None when only a first value makes one.
    fn create(&self) -> Option<A>;
    fn first(&self, value: V) -> A;
    fn add(&self, a: A, value: V) -> A;
    fn merge(&self, a: A, b: A) -> A;
}

/// The folding whose accumulator is a value.
pub(crate) struct Reduction<F>(F);

impl<F> Reduction<F> {
    pub fn new(f: F) -> Self {
        Reduction(f)
    }
}

impl<V, F: Fn(V, V) -> V> Folding<V, V> for Reduction<F> {
    fn create(&self) -> Option<V> {
        None
    }

    #[inline]
    fn first(&self, value: V) -> V {
        value
    }

    #[inline]
    fn add(&self, a: V, value: V) -> V {
        self.0(a, value)
    }

    fn merge(&self, a: V, b: V) -> V {
        self.0(a, b)
    }
}

/// The folding of functions. Without one that merges, it takes one value after the other.
pub(crate) struct Aggregation<C, D, M> {
    create: C,
    add: D,
    merge: M,
}

impl<C, D, M> Aggregation<C, D, M> {
    pub fn new(create: C, add: D, merge: M) -> Self {
        Aggregation { create, add, merge }
    }
}

/// How two accumulators become one.
pub(crate) trait Merging<A> {
    const MERGES: bool = true;

    fn merge(&self, a: A, b: A) -> A;
}

impl<A, M: Fn(A, A) -> A> Merging<A> for M {
    fn merge(&self, a: A, b: A) -> A {
        self(a, b)
    }
}

/// Of a fold, which merges none.
pub(crate) struct InOrder;

impl<A> Merging<A> for InOrder {
    const MERGES: bool = false;

    fn merge(&self, a: A, _: A) -> A {
        fail("two accumulators of a fold, which merges none (aggregate does)");
        a
    }
}

impl<V, A, C: Fn() -> A, D: Fn(A, V) -> A, M: Merging<A>> Folding<V, A> for Aggregation<C, D, M> {
    const MERGES: bool = M::MERGES;

    fn create(&self) -> Option<A> {
        Some((self.create)())
    }

    #[inline]
    fn first(&self, value: V) -> A {
        self.add((self.create)(), value)
    }

    #[inline]
    fn add(&self, a: A, value: V) -> A {
        (self.add)(a, value)
    }

    fn merge(&self, a: A, b: A) -> A {
        self.merge.merge(a, b)
    }
}

/// Adds an operator that folds the values of each key, and makes the record to emit of an accumulator.
pub(crate) fn fold<'x, K, V, A, R, F>(
    input: &KeyedStream<'x, K, V>,
    kind: Kind,
    name: &str,
    window: Option<Windows>,
    folding: F,
    finish: impl Fn(Window, K, A) -> R + 'x,
) -> OperatorId
where
    K: Record<'x>,
    V: Record<'x>,
    A: Record<'x>,
    R: Record<'x>,
    F: Folding<V, A> + 'x,
{
    if !F::MERGES && window.as_ref().is_some_and(Windows::merge) {
        input.env.refuse(&format!(
            "fold {name:?}: in windows that slide, or sessions (expected aggregate, which can merge what parts of them have)"
        ));
    }
    let (folding, finish) = (Rc::new(folding), Rc::new(finish));
    let body = Body::Keyed(Box::new(move |b| {
        let (folder, finish) = (Folder::new(folding.clone()), finish.clone());
        let (next, scope): (Next<'x, R>, Scope) = (b.next()?, b.scope.clone());
        let result = move |g: &Group<'x>, a| {
            scope.key.set_bytes(g.key);
            if let Some(time) = &scope.time {
                time.now.set(g.timestamp());
            }
            next.push(finish(g.window, K::decode(g.key), a));
        };
        Ok(HeadRun::Groups(Box::new(move |verb, _: &CallHeader, p| folder.call(verb, p, &result))))
    }));
    let mut f = Function::new(kind, name, vec![codec_of::<V>()], codec_of::<R>(), body);
    f.key = codec_of::<K>();
    f.accumulator = codec_of::<A>();
    f.combine = F::MERGES;
    let o = Operator { inputs: vec![input.edge()], window, ..Operator::default() };
    input.env.with(|g| g.call(f, o))
}

/// Folds values in an open handle.
pub(crate) struct Folder<'x, V, A, F> {
    folding: Rc<F>,
    calls: Own<Memory<'x>>,
    types: PhantomData<fn() -> (V, A)>,
}

/// What is kept from call to call so that nothing is allocated.
#[derive(Default)]
struct Memory<'x> {
    group: Group<'x>,
    reply: ReplyWriter,
}

impl Default for Own<Memory<'_>> {
    fn default() -> Self {
        Own::new(Memory::default())
    }
}

impl<'x, V: Record<'x>, A: Record<'x>, F: Folding<V, A>> Folder<'x, V, A, F> {
    pub fn new(folding: Rc<F>) -> Self {
        Folder { folding, calls: Own::default(), types: PhantomData }
    }

    /// Runs a call; result has the groups whose result is asked for.
    pub fn call(&self, verb: u32, p: &'static [u8], result: &impl Fn(&Group<'x>, A)) -> Result<(), Fault> {
        if !matches!(verb, CREATE | ACCUMULATE | MERGE | RESULT) || verb == CREATE && self.folding.create().is_none() {
            return Err(Fault(Status::UnknownVerb, format!("verb {verb} is not one of this function")));
        }
        self.calls.with(|m| {
            m.reply.clear();
            let mut groups = Groups::new(p);
            while groups.read(&mut m.group) {
                set_record(m.group.index);
                self.group(verb, &m.group, &mut m.reply, result);
                if failed() {
                    return;
                }
            }
            if !m.reply.bytes.is_empty() {
                host::reply(&m.reply.bytes);
            }
        });
        Ok(())
    }

    fn group(&self, verb: u32, g: &Group<'x>, reply: &mut ReplyWriter, result: &impl Fn(&Group<'x>, A)) {
        g.records[0].whole();
        g.accumulators.whole();
        let accumulator = match verb {
            CREATE => self.folding.create(),
            ACCUMULATE => self.accumulate(g),
            _ => self.merge(g),
        };
        let Some(a) = accumulator else { return };
        if verb == RESULT {
            return result(g, a);
        }
        reply.begin(g.index);
        reply.action(PUT, 0, |to| a.append(to));
        reply.end();
    }

    /// Folds the group's records into its accumulator, if it has one.
    fn accumulate(&self, g: &Group<'x>) -> Option<A> {
        let (fold, records) = (&self.folding, &g.records[0]);
        let (mut a, first) = match (g.accumulators.n, records.n) {
            (0, 0) => return None,
            (0, _) => (fold.first(V::decode(records.value(0))), 1),
            _ => (A::decode(g.accumulators.value(0)), 0),
        };
        for i in first..records.n {
            a = fold.add(a, V::decode(records.value(i)));
        }
        Some(a)
    }

    /// Combines the group's accumulators, in their order.
    fn merge(&self, g: &Group<'x>) -> Option<A> {
        let all = (0..g.accumulators.n).map(|i| A::decode(g.accumulators.value(i)));
        all.reduce(|a, b| self.folding.merge(a, b))
    }
}
