//! Functions of one record after the other, and how those that follow each other become one loop.

use crate::arena::Scratch;
use crate::chain::{Binding, Fault, HeadRun, Linked};
use crate::fail::fail;
use crate::graph::{Fused, StepBody};
use crate::output::Scope;
use crate::record::{Field, Record};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use core::marker::PhantomData;

/// A function that is given records and passes records on.
pub trait Step<'x>: 'x {
    type In: Record<'x>;
    type Out: Record<'x>;

    #[doc(hidden)]
    fn run(&self, at: At<'_>, record: Self::In, next: &impl Fn(Self::Out));
}

/// Where the records of a function have their key and timestamp.
#[derive(Clone, Copy)]
pub struct At<'a>(pub(crate) &'a Scope);

/// The functions that lead to a stream from the beginning of its chain.
pub trait Path<'x, Out>: Clone + 'x {
    type In: Record<'x>;

    #[doc(hidden)]
    fn functions(&self, to: &mut Vec<u32>);

    #[doc(hidden)]
    fn run(&self, at: At<'_>, record: Self::In, next: &impl Fn(Out));
}

/// The beginning of a chain.
pub struct Start<T>(PhantomData<fn() -> T>);

impl<T> Default for Start<T> {
    fn default() -> Self {
        Start(PhantomData)
    }
}

impl<T> Clone for Start<T> {
    fn clone(&self) -> Self {
        Start(PhantomData)
    }
}

impl<'x, T: Record<'x>> Path<'x, T> for Start<T> {
    type In = T;

    fn functions(&self, _: &mut Vec<u32>) {}

    #[inline(always)]
    fn run(&self, _: At<'_>, record: T, next: &impl Fn(T)) {
        next(record);
    }
}

/// A path and a function behind it.
pub struct Then<P, S> {
    before: P,
    step: Rc<S>,
    function: u32,
}

impl<P: Clone, S> Clone for Then<P, S> {
    fn clone(&self) -> Self {
        Then { before: self.before.clone(), step: self.step.clone(), function: self.function }
    }
}

impl<P, S> Then<P, S> {
    pub(crate) fn new(before: P, step: Rc<S>, function: u32) -> Self {
        Then { before, step, function }
    }
}

impl<'x, S: Step<'x>, P: Path<'x, S::In>> Path<'x, S::Out> for Then<P, S> {
    type In = P::In;

    fn functions(&self, to: &mut Vec<u32>) {
        self.before.functions(to);
        to.push(self.function);
    }

    #[inline(always)]
    fn run(&self, at: At<'_>, record: P::In, next: &impl Fn(S::Out)) {
        self.before.run(at, record, &|v| self.step.run(at, v, next));
    }
}

/// Makes a path the head of a handle; None when it is too short for it to matter.
pub(crate) fn fuse<'x, T: Record<'x>, P: Path<'x, T>>(path: &P) -> Option<Fused<'x>> {
    let mut functions = Vec::new();
    path.functions(&mut functions);
    if functions.len() < 2 {
        return None;
    }
    let path = path.clone();
    let head = move |b: &Binding<'x>| -> Result<HeadRun<'x>, Fault> {
        let (next, scope, path) = (b.next::<T>()?, b.scope.clone(), path.clone());
        Ok(b.each(move |record: P::In| path.run(At(&scope), record, &|v| next.push(v))))
    };
    Some(Fused { functions, head: Box::new(head) })
}

/// A step in the table of functions.
pub(crate) struct Stepped<S> {
    pub step: Rc<S>,
    pub name: String,
}

impl<S> Stepped<S> {
    pub fn new(name: &str, step: S) -> Self {
        Stepped { step: Rc::new(step), name: name.to_string() }
    }
}

impl<'x, S: Step<'x>> StepBody<'x> for Stepped<S> {
    fn head(&self, b: &Binding<'x>) -> Result<HeadRun<'x>, Fault> {
        let (next, scope, step) = (b.next::<S::Out>()?, b.scope.clone(), self.step.clone());
        Ok(b.each(move |record: S::In| step.run(At(&scope), record, &|v| next.push(v))))
    }

    fn link(&self, b: &Binding<'x>) -> Result<Linked<'x>, Fault> {
        let (next, scope, step) = (b.next::<S::Out>()?, b.scope.clone(), self.step.clone());
        Ok(Linked::new::<S::In>(&self.name, Rc::new(move |record| step.run(At(&scope), record, &|v| next.push(v)))))
    }
}

/// A user's function with the types that it takes and makes.
macro_rules! step {
    ($(#[$doc:meta])* $name:ident<$f:ident, $t:ident $(, $r:ident)*>($($bound:tt)*); $out:ty; |$step:ident, $at:ident, $v:ident, $next:ident| $body:expr) => {
        $(#[$doc])*
        pub struct $name<$f, $t $(, $r)*>($f, PhantomData<fn($t) -> ($($r,)*)>);

        impl<$f, $t $(, $r)*> $name<$f, $t $(, $r)*> {
            pub(crate) fn new(f: $f) -> Self {
                $name(f, PhantomData)
            }
        }

        impl<'x, $f, $t $(, $r)*> Step<'x> for $name<$f, $t $(, $r)*>
        where
            $t: Record<'x>,
            $f: 'x,
            $($bound)*
        {
            type In = $t;
            type Out = $out;

            #[inline(always)]
            fn run(&self, $at: At<'_>, $v: $t, $next: &impl Fn($out)) {
                let $step = &self.0;
                $body
            }
        }
    };
}

step! {
    /// Turns each record into another.
    MapStep<F, T, R>(F: Fn(T) -> R, R: Record<'x>); R; |f, _at, v, next| next(f(v))
}

step! {
    /// Turns each record into another, or fails.
    TryMapStep<F, T, R, E>(F: Fn(T) -> Result<R, E>, R: Record<'x>, E: Display + 'x); R;
    |f, _at, v, next| match f(v) {
        Ok(made) => next(made),
        Err(e) => fail(&e.to_string()),
    }
}

step! {
    /// Keeps a record or not.
    FilterStep<F, T>(F: Fn(&T) -> bool); T; |f, _at, v, next| if f(&v) {
        next(v)
    }
}

step! {
    /// Turns each record into any number of others.
    FlatMapStep<F, T, I>(F: Fn(T) -> I, I: IntoIterator + 'x, I::Item: Record<'x>); I::Item;
    |f, _at, v, next| f(v).into_iter().for_each(next)
}

step! {
    /// Turns each record into another, with scratch memory.
    MapWithStep<F, T, R>(F: Fn(T, &'x Scratch) -> R, R: Record<'x>); R; |f, _at, v, next| next(f(v, Scratch::get()))
}

step! {
    /// Turns each record into any number of others, with scratch memory.
    FlatMapWithStep<F, T, I>(F: Fn(T, &'x Scratch) -> I, I: IntoIterator + 'x, I::Item: Record<'x>); I::Item;
    |f, _at, v, next| f(v, Scratch::get()).into_iter().for_each(next)
}

step! {
    /// The same, with a function that emits.
    EmitStep<F, T, R>(F: Fn(T, &'x Scratch, &dyn Fn(R)), R: Record<'x>); R; |f, _at, v, next| f(v, Scratch::get(), next)
}

step! {
    /// Sets the event time.
    TimestampStep<F, T>(F: Fn(&T) -> i64); T; |f, at, v, next| {
        if let Some(cell) = &at.0.time {
            let time = f(&v);
            cell.now.set(time);
            cell.seen.set(cell.seen.get().max(time));
        }
        next(v)
    }
}

step! {
    /// Sets the event time and says how far it has come.
    WatermarkStep<F, T>(F: Fn(&T) -> (i64, Option<i64>)); T; |f, at, v, next| {
        if let Some(cell) = &at.0.time {
            let (time, watermark) = f(&v);
            cell.now.set(time);
            cell.seen.set(cell.seen.get().max(watermark.unwrap_or(i64::MIN)));
        }
        next(v)
    }
}

step! {
    /// Sets the key.
    KeyStep<F, T, K>(F: Fn(&T) -> K, K: Field<'x>); T; |f, at, v, next| {
        let key = f(&v);
        at.0.key.set(&key);
        next(v)
    }
}

step! {
    /// Sets the key and makes a value.
    KeyValueStep<F, T, K, V>(F: Fn(T) -> (K, V), K: Field<'x>, V: Record<'x>); V; |f, at, v, next| {
        let (key, value) = f(v);
        at.0.key.set(&key);
        next(value)
    }
}
