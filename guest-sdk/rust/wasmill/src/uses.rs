//! What functions use: states and side outputs.

use crate::call::{Call, StreamContext};
use crate::chain::Binding;
use crate::graph::OperatorId;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// What a function uses: states and side outputs, as a tuple of references to what was declared. The function is given a tuple of
/// handles, in the same order. `()` uses nothing.
pub trait Uses<'x> {
    type Handles: 'x;

    /// Declares it, and returns what makes the handles in an open chain.
    #[doc(hidden)]
    fn declare(&self, to: &mut Declaration<'x>) -> Bind<'x, Self::Handles>;
}

/// Makes handles in an open chain.
pub type Bind<'x, H> = Box<dyn Fn(&Binder<'_, 'x>) -> H + 'x>;

/// What a function declares.
#[derive(Default)]
pub struct Declaration<'x> {
    pub(crate) states: Vec<StateSpec<'x>>,
    pub(crate) sides: Vec<(String, Box<dyn Fn(OperatorId, usize) + 'x>)>, // codec, and who is told where it is
    pub(crate) merges: Vec<Merge<'x>>,
}

/// Makes one value of those that windows had which have become one.
pub(crate) type Merge<'x> = Box<dyn Fn(&Rc<Call<'x>>) + 'x>;

impl<'x> Declaration<'x> {
    /// Adds a state and returns its number.
    pub(crate) fn state(&mut self, s: StateSpec<'x>) -> u16 {
        self.states.push(s);
        (self.states.len() - 1) as u16
    }
}

/// An open chain that handles are made in.
pub struct Binder<'a, 'x> {
    pub(crate) binding: &'a Binding<'x>,
    pub(crate) call: &'a Rc<Call<'x>>,
}

impl<'x> Uses<'x> for () {
    type Handles = ();

    fn declare(&self, _: &mut Declaration<'x>) -> Bind<'x, ()> {
        Box::new(|_| ())
    }
}

macro_rules! uses {
    ($($t:ident $i:tt),+) => {
        impl<'x, $($t: Uses<'x>),+> Uses<'x> for ($($t,)+) {
            type Handles = ($($t::Handles,)+);

            fn declare(&self, to: &mut Declaration<'x>) -> Bind<'x, Self::Handles> {
                let each = ($(self.$i.declare(to),)+);
                Box::new(move |b| ($(each.$i(b),)+))
            }
        }
    };
}

uses!(A 0);
uses!(A 0, B 1);
uses!(A 0, B 1, C 2);
uses!(A 0, B 1, C 2, D 3);
uses!(A 0, B 1, C 2, D 3, E 4);
uses!(A 0, B 1, C 2, D 3, E 4, F 5);
uses!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
uses!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// What a process function that puts out R uses, and what is to be done with it first: [`begin`].
pub trait Begins<'x, R> {
    type Handles: 'x;

    #[doc(hidden)]
    fn declare_all(self, to: &mut Declaration<'x>) -> (Bind<'x, Self::Handles>, Option<Beginning<'x, R, Self::Handles>>);
}

/// Runs before the first record of a subtask.
pub type Beginning<'x, R, H> = Rc<dyn Fn(&StreamContext<'x, R>, &H) + 'x>;

impl<'x, R, U: Uses<'x>> Begins<'x, R> for U {
    type Handles = U::Handles;

    fn declare_all(self, to: &mut Declaration<'x>) -> (Bind<'x, Self::Handles>, Option<Beginning<'x, R, Self::Handles>>) {
        (self.declare(to), None)
    }
}

/// What a process function uses and begins with.
pub struct Begin<'x, R, U: Uses<'x>> {
    uses: U,
    f: Beginning<'x, R, U::Handles>,
}

/// What a process function uses, and what it does before a subtask's first record, whenever the job begins or goes on. There is no
/// key then: only lists of the operator can be reached. It is given the same handles.
///
/// ```
/// use wasmill::prelude::*;
///
/// fn numbered(job: &Env) {
///     let (first, names) = (job.operator_list_state::<i64>("first"), job.union_list_state::<&str>("names"));
///     let begins = begin((&first, &names), |c, (first, _)| first.add(c.now()));
///     job.source(files("names.txt"))
///         .process("named", begins, |c, (first, names), line| {
///             names.add(line);
///             c.emit(format!("{line} is {} since {:?}", names.iter().count(), first.iter().next()));
///         })
///         .uid("named")
///         .sink_to(print());
/// }
/// # wasmill::job!("numbered", numbered);
/// ```
pub fn begin<'x, R, U: Uses<'x>>(uses: U, f: impl Fn(&StreamContext<'x, R>, &U::Handles) + 'static) -> Begin<'x, R, U> {
    Begin { uses, f: Rc::new(f) }
}

impl<'x, R, U: Uses<'x>> Begins<'x, R> for Begin<'x, R, U> {
    type Handles = U::Handles;

    fn declare_all(self, to: &mut Declaration<'x>) -> (Bind<'x, Self::Handles>, Option<Beginning<'x, R, Self::Handles>>) {
        (self.uses.declare(to), Some(self.f))
    }
}

/// What the manifest says of a state.
pub(crate) struct StateSpec<'x> {
    pub name: String,
    pub scope: &'static str,
    pub kind: &'static str,
    pub codec: String,
    pub key: String,
    pub ttl: Duration,
    /// The time is event time.
    pub event: bool,
    pub version: u32,
    pub oldest: u32,
    pub migrate: Option<Migration<'x>>,
}

/// Appends an element of the newest version, made of a key and an element of an older one; false drops it.
pub(crate) type Migration<'x> = Rc<dyn Fn(u32, &'x [u8], &'x [u8], &mut Vec<u8>) -> bool + 'x>;
