//! The frame of functions over groups: how they come into the graph with what they use, and how they are run in an open handle.

use crate::call::{Call, StreamContext};
use crate::chain::{Binding, CallHeader, Fault, HeadRun, Status};
use crate::env::Env;
use crate::graph::{Body, Function, Kind, Operator, OperatorId};
use crate::group::ReplyWriter;
use crate::record::Record;
use crate::uses::{Bind, Binder, Declaration, Uses};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

/// A function over groups that is being added. H are the handles of what it uses.
pub(crate) struct Frame<'x, H> {
    pub declared: Declaration<'x>,
    bind: Rc<Bind<'x, H>>,
}

/// What a function has at hand in an open handle.
pub(crate) trait AtHand<'x>: Sized + 'x {
    fn open(call: Rc<Call<'x>>, b: &Binding<'x>) -> Result<Self, Fault>;
}

impl<'x> AtHand<'x> for Rc<Call<'x>> {
    fn open(call: Rc<Call<'x>>, _: &Binding<'x>) -> Result<Self, Fault> {
        Ok(call)
    }
}

impl<'x, R: Record<'x>> AtHand<'x> for StreamContext<'x, R> {
    fn open(call: Rc<Call<'x>>, b: &Binding<'x>) -> Result<Self, Fault> {
        Ok(StreamContext::new(call, b.next::<R>()?))
    }
}

/// Makes a context with a key, besides what a `StreamContext` is.
macro_rules! keyed_context {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* } $(#[$key:meta])*) => {
        $(#[$doc])*
        pub struct $name<'x, K, R> {
            stream: StreamContext<'x, R>,
            keys: PhantomData<fn() -> K>,
            $($field: $type),*
        }

        impl<'x, K: Record<'x>, R: Record<'x>> AtHand<'x> for $name<'x, K, R> {
            fn open(call: Rc<Call<'x>>, b: &Binding<'x>) -> Result<Self, Fault> {
                Ok($name { stream: StreamContext::open(call, b)?, keys: PhantomData, $($field: <$type>::default()),* })
            }
        }

        impl<'x, K, R> Deref for $name<'x, K, R> {
            type Target = StreamContext<'x, R>;

            fn deref(&self) -> &StreamContext<'x, R> {
                &self.stream
            }
        }

        impl<'x, K: Record<'x>, R: Record<'x>> $name<'x, K, R> {
            $(#[$key])*
            pub fn key(&self) -> K {
                K::decode(self.at_hand(|g| g.key))
            }
        }
    };
}
pub(crate) use keyed_context;

impl<'x, H: 'x> Frame<'x, H> {
    pub fn of(uses: impl Uses<'x, Handles = H>) -> Self {
        let mut declared = Declaration::default();
        let bind = uses.declare(&mut declared);
        Frame::declared(declared, bind)
    }

    pub fn declared(declared: Declaration<'x>, bind: Bind<'x, H>) -> Self {
        Frame { declared, bind: Rc::new(bind) }
    }

    /// Makes the function. run runs a call, and answers whether the verb is one of the function's.
    pub fn function<C: AtHand<'x>>(
        &mut self,
        kind: Kind,
        name: &str,
        inputs: Vec<String>,
        output: String,
        run: impl Fn(&C, &H, u32, &CallHeader, &'static [u8]) -> bool + 'x,
    ) -> Function<'x> {
        let (states, bind, run) = (self.declared.states.len(), self.bind.clone(), Rc::new(run));
        let body = Body::Keyed(Box::new(move |b: &Binding<'x>| {
            let call = Rc::new(Call::new(b.scope.clone(), states));
            let handles = bind(&Binder { binding: b, call: &call });
            let (context, run) = (C::open(call, b)?, run.clone());
            Ok(HeadRun::Groups(Box::new(move |verb, h: &CallHeader, p| match run(&context, &handles, verb, h, p) {
                true => Ok(()),
                false => Err(Fault(Status::UnknownVerb, format!("verb {verb} is not one of a function of kind {}", kind.name()))),
            })))
        }));
        let mut f = Function::new(kind, name, inputs, output, body);
        f.states = mem::take(&mut self.declared.states);
        f.sides = self.declared.sides.iter().map(|(codec, _)| codec.clone()).collect();
        f
    }

    /// Adds the operator of the function.
    pub fn add(self, env: &Env<'x>, f: Function<'x>, o: Operator) -> OperatorId {
        let operator = env.with(|g| g.call(f, o));
        for (k, (_, tell)) in self.declared.sides.iter().enumerate() {
            tell(operator, k + 1);
        }
        operator
    }
}

/// Makes a function that answers each group of one verb, and does nothing else.
pub(crate) fn answering<'x>(
    kind: Kind,
    verb: u32,
    name: &str,
    codecs: (String, String),
    answer: impl Fn(&Call<'x>, &mut ReplyWriter) + 'x,
) -> Function<'x> {
    Frame::of(()).function(kind, name, Vec::from([codecs.0]), codecs.1, move |call: &Rc<Call<'x>>, _, given, h, p| {
        let mine = given == verb;
        if mine {
            call.run(h, p, || (), |reply| answer(call, reply));
        }
        mine
    })
}
