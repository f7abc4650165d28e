use crate::chain::Next;
use crate::env::Env;
use crate::graph::OperatorId;
use crate::record::{codec_of, Record};
use crate::step::Start;
use crate::stream::Stream;
use crate::uses::{Bind, Declaration, Uses};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::marker::PhantomData;

/// An output besides the main one: of a process function that uses it, or of a window for its late records.
pub struct Side<'x, T> {
    env: Env<'x>,
    name: String,
    place: Rc<Cell<Option<(OperatorId, usize)>>>, // which output of which operator, once one has it
    records: PhantomData<fn() -> T>,
}

impl<T> Clone for Side<'_, T> {
    fn clone(&self) -> Self {
        Side { env: self.env.clone(), name: self.name.clone(), place: self.place.clone(), records: PhantomData }
    }
}

impl<'x, T: Record<'x>> Side<'x, T> {
    pub(crate) fn new(env: &Env<'x>, name: &str) -> Self {
        let s = Side { env: env.clone(), name: name.to_string(), place: Rc::default(), records: PhantomData };
        let (place, name) = (s.place.clone(), s.name.clone());
        env.with(|g| {
            g.checks.push(Box::new(move || place.get().is_none().then(|| format!("side output {name:?} is of no operator"))));
        });
        s
    }

    /// What comes out of it, once an operator has it.
    pub fn stream(&self) -> Stream<'x, T> {
        let (operator, number) = self.place.get().unwrap_or_else(|| {
            self.env.refuse(&format!(
                "side output {:?}: stream before it is an operator's (expected: first the operator, then its side output)",
                self.name
            ));
            (0, 0)
        });
        Stream::new(self.env.clone(), operator, number, Start::default())
    }

    /// It is an output of an operator.
    pub(crate) fn declare(&self, operator: OperatorId, number: usize) {
        if let Some((other, _)) = self.place.replace(Some((operator, number))) {
            let names = self.env.with(|g| (g.operators[other].name.clone(), g.operators[operator].name.clone()));
            self.env.refuse(&format!("side output {:?}: of two operators, {:?} and {:?}", self.name, names.0, names.1));
        }
    }
}

impl<'x, T: Record<'x>> Uses<'x> for &Side<'x, T> {
    type Handles = SideOutput<'x, T>;

    fn declare(&self, to: &mut Declaration<'x>) -> Bind<'x, Self::Handles> {
        let side = Side::clone(self);
        to.sides.push((codec_of::<T>(), Box::new(move |operator, number| side.declare(operator, number))));
        let number = to.sides.len() as u32;
        Box::new(move |b| SideOutput { next: b.binding.side(number) })
    }
}

/// Side outputs that a function uses, as a tuple of references to them; `()` uses none.
pub trait Sides<'x>: Uses<'x> {}

impl Sides<'_> for () {}
impl<'x, T: Record<'x>> Sides<'x> for &Side<'x, T> {}

macro_rules! sides {
    ($($t:ident),+) => {
        impl<'x, $($t: Sides<'x>),+> Sides<'x> for ($($t,)+) {}
    };
}

sides!(A);
sides!(A, B);
sides!(A, B, C);
sides!(A, B, C, D);

/// A side output in a function.
pub struct SideOutput<'x, T> {
    next: Next<'x, T>,
}

impl<'x, T: Record<'x>> SideOutput<'x, T> {
    /// Puts out a record.
    pub fn emit(&self, record: T) {
        self.next.push(record);
    }
}
