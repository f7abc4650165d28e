//! An open handle: functions composed into one, with what leaves it.

use crate::arena::Scratch;
use crate::batch::{u32_at, Batch};
use crate::fail::{fail, failed, set_record, NONE};
use crate::graph::{Body, Function, Fused, Graph, Kind};
use crate::host;
use crate::output::{Input, KeyCell, Output, Scope, TimeCell};
use crate::process::NO_TIMESTAMP;
use crate::record::{codec_of, Record};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::{Any, TypeId};
use core::cell::RefCell;
use core::marker::PhantomData;
use core::mem;

/// What an export answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok = 0,
    Failed = 1,
    UnknownHandle = 2,
    UnknownFunction = 3,
    UnknownVerb = 4,
    BadInput = 5,
}

/// Why the host's bytes cannot be used.
#[derive(Debug)]
pub(crate) struct Fault(pub Status, pub String);

/// One function of a handle as the host gives it.
pub(crate) struct Spec {
    pub function: u32,
    pub upstream: u32,
    pub input: u32,
    pub outputs: Vec<(u32, u32, u32)>, // tag, number, columns
}

/// Reads the list of functions of a handle.
pub(crate) fn parse(p: &[u8]) -> Option<Vec<Spec>> {
    if p.len() < 8 || u32_at(p, 0) as usize != p.len() {
        return None;
    }
    let mut specs = Vec::new();
    let mut at = 8;
    for _ in 0..u32_at(p, 4) {
        let entry = p.get(at..)?;
        let size = u32_at(entry.get(..24)?, 0) as usize;
        let entry = entry.get(..size)?;
        let outputs = entry.get(24..)?.chunks(12).take(u32_at(entry, 16) as usize);
        specs.push(Spec {
            function: u32_at(entry, 4),
            upstream: u32_at(entry, 8),
            input: u32_at(entry, 12),
            outputs: outputs.map(|o| (u32_at(o, 0), u32_at(o, 4), u32_at(o, 8))).collect(),
        });
        at += size;
    }
    Some(specs)
}

/// What a function of a chain is composed with.
pub(crate) struct Binding<'x> {
    pub input: Rc<Input>,
    pub scope: Scope, // of the records that it puts out
    children: Vec<Linked<'x>>,
    outputs: Vec<Rc<Output>>,      // of the main output
    sides: Vec<(u32, Rc<Output>)>, // of side outputs, by tag
    keys: Option<Rc<KeyCell>>,     // where a head puts the input's key, if somebody wants it
}

impl<'x> Binding<'x> {
    /// What takes the records of side output `tag`.
    pub fn side<R: Record<'x>>(&self, tag: u32) -> Next<'x, R> {
        let outputs = self.sides.iter().filter(|(t, _)| *t == tag).map(|(_, o)| o.clone()).collect();
        Next { outputs, children: Vec::new() }
    }

    /// What takes the records of the main output: the functions behind it and its outputs.
    pub fn next<R: Record<'x>>(&self) -> Result<Next<'x, R>, Fault> {
        let children: Result<_, _> = self.children.iter().rev().map(Linked::take).collect(); // they were linked last first
        Ok(Next { outputs: self.outputs.clone(), children: children? })
    }

    /// The loop of a head over a batch.
    pub fn each<T: Record<'x>>(&self, f: impl Fn(T) + 'x) -> HeadRun<'x> {
        let (keys, scratch) = (self.keys.clone(), Scratch::get());
        HeadRun::Batch(Box::new(move |batch: &Batch<'static>| {
            for i in 0..batch.n {
                set_record(i as u32);
                if let Some(cell) = &keys {
                    cell.set_bytes(batch.key(i));
                }
                f(T::decode(batch.value(i)));
                scratch.reset();
                if failed() {
                    return;
                }
            }
        }))
    }
}

/// Takes the records of a function: outputs, which are all that there is at the end of a chain, and functions behind it.
pub(crate) struct Next<'x, R> {
    outputs: Vec<Rc<Output>>,
    children: Vec<Rc<dyn Fn(R) + 'x>>,
}

impl<'x, R: Record<'x>> Next<'x, R> {
    #[inline(always)]
    pub fn push(&self, v: R) {
        match (self.outputs.as_slice(), self.children.is_empty()) {
            ([only], true) => only.add(&v),
            _ => self.push_all(v),
        }
    }

    #[inline(never)]
    fn push_all(&self, v: R) {
        for o in &self.outputs {
            o.add(&v);
        }
        if let Some((last, rest)) = self.children.split_last() {
            for child in rest {
                child(v.clone());
            }
            last(v);
        }
    }
}

/// A function that takes the records of another: of the same type, or of another with the same codec.
pub(crate) struct Linked<'x> {
    name: String,
    takes: TypeId,
    codec: String,
    step: Box<dyn Erased + 'x>, // an Rc<dyn Fn(T)> for the T that takes says
    decode: Rc<dyn Fn(&'x [u8]) + 'x>,
}

trait Erased {}
impl<T> Erased for T {}

impl<'x> Linked<'x> {
    pub fn new<T: Record<'x>>(name: &str, step: Rc<dyn Fn(T) + 'x>) -> Self {
        let decoded = step.clone();
        Linked {
            name: name.into(),
            takes: type_of::<T>(),
            codec: codec_of::<T>(),
            step: Box::new(step),
            decode: Rc::new(move |bytes| decoded(T::decode(bytes))),
        }
    }

    fn take<R: Record<'x>>(&self) -> Result<Rc<dyn Fn(R) + 'x>, Fault> {
        if self.takes == type_of::<R>() {
            let step: *const (dyn Erased + 'x) = &*self.step;
            // SAFETY: the types are the same but for lifetimes, and all of those are 'x.
            return Ok(unsafe { &*step.cast::<Rc<dyn Fn(R) + 'x>>() }.clone());
        }
        if self.codec != codec_of::<R>() {
            return Err(Fault(Status::BadInput, format!("function {:?} takes another type than the one before it makes", self.name)));
        }
        let (decode, bytes, scratch) = (self.decode.clone(), RefCell::new(Vec::new()), Scratch::get());
        Ok(Rc::new(move |record: R| {
            let copy = {
                let mut bytes = bytes.borrow_mut();
                bytes.clear();
                record.append(&mut bytes);
                scratch.copy(&bytes)
            };
            decode(copy);
        }))
    }
}

/// The identity of a type that borrows. TypeId asks for types that do not, for somebody might tell lifetimes apart by it; here
/// there is one lifetime.
fn type_of<T: ?Sized>() -> TypeId {
    trait Named {
        fn id(&self) -> TypeId
        where
            Self: 'static;
    }
    impl<T: ?Sized> Named for PhantomData<T> {
        fn id(&self) -> TypeId
        where
            Self: 'static,
        {
            Any::type_id(self)
        }
    }
    let named = PhantomData::<T>;
    // SAFETY: only the lifetime changes, of a value without content.
    let named: &(dyn Named + 'static) = unsafe { mem::transmute::<&dyn Named, &(dyn Named + 'static)>(&named) };
    named.id()
}

/// What runs the first function of a handle.
pub(crate) enum HeadRun<'x> {
    Batch(Box<dyn Fn(&Batch<'static>) + 'x>),
    Groups(Box<dyn Fn(u32, &CallHeader, &'static [u8]) -> Result<(), Fault> + 'x>),
}

/// What a keyed function may ask of its call.
#[derive(Clone, Copy, Default)]
pub(crate) struct CallHeader {
    pub watermark: i64,
    pub processing: i64,
    pub subtask: u32,
    pub parallelism: u32,
}

pub(crate) struct Chain<'x> {
    input: Rc<Input>,
    heads: Vec<(u32, HeadRun<'x>)>, // with the number of the input that it reads
    outputs: Vec<Rc<Output>>,
    assigners: Vec<Rc<TimeCell>>,
}

impl<'x> Chain<'x> {
    /// Composes the functions that the bytes of a handle list, each behind the one that it takes its records from.
    pub fn open(graph: &Graph<'x>, p: &[u8]) -> Result<Self, Fault> {
        let specs = parse(p).ok_or_else(|| Fault(Status::BadInput, "the handle cannot be read".into()))?;
        let mut c = Composer { graph, specs, bindings: Vec::new(), input_key: Rc::new(KeyCell::new()), chain: Chain::new() };
        for i in 0..c.specs.len() {
            c.bind(i)?;
        }
        if c.chain.outputs.iter().any(|o| o.wants_input_keys()) {
            c.bindings.iter_mut().for_each(|b| b.keys = Some(c.input_key.clone()));
        }
        let fused = c.fuse()?;
        for i in (0..c.specs.len()).rev().filter(|i| !fused.contains(i)) {
            c.link(i)?;
        }
        Ok(c.chain)
    }

    fn new() -> Self {
        Chain { input: Rc::new(Input::default()), heads: Vec::new(), outputs: Vec::new(), assigners: Vec::new() }
    }

    /// Forgets what a call that failed has left.
    pub fn begin(&self) {
        self.input.batch.with(|b| *b = Batch::default());
        self.outputs.iter().for_each(|o| o.reset());
        self.assigners.iter().for_each(|t| t.seen.set(NO_TIMESTAMP));
    }

    /// Runs the heads that read the input over the batch p.
    pub fn process(&self, input: u32, p: &'static [u8]) -> Result<(), Fault> {
        let batch = Batch::parse(p).ok_or_else(|| Fault(Status::BadInput, "the batch cannot be read".into()))?;
        self.input.batch.with(|b| *b = batch);
        for (number, head) in &self.heads {
            if let (HeadRun::Batch(run), true) = (head, *number == input) {
                run(&batch);
                if failed() {
                    return Ok(());
                }
            }
        }
        self.end();
        Ok(())
    }

    /// Runs the groups of p through the keyed function.
    pub fn keyed(&self, verb: u32, header: &CallHeader, p: &'static [u8]) -> Result<(), Fault> {
        for (_, head) in &self.heads {
            if let HeadRun::Groups(run) = head {
                run(verb, header, p)?;
                if !failed() {
                    self.end();
                }
                return Ok(());
            }
        }
        Err(Fault(Status::UnknownFunction, "the handle has no keyed function".into()))
    }

    /// Sends what is left and reports the newest timestamp that every assigner has reached.
    fn end(&self) {
        set_record(NONE);
        self.outputs.iter().for_each(|o| o.flush());
        match self.assigners.iter().map(|t| t.seen.get()).min() {
            Some(newest) if newest != NO_TIMESTAMP => host::watermark(newest),
            _ => {}
        }
    }
}

/// A chain that is being composed.
struct Composer<'g, 'x> {
    graph: &'g Graph<'x>,
    specs: Vec<Spec>,
    bindings: Vec<Binding<'x>>,
    input_key: Rc<KeyCell>,
    chain: Chain<'x>,
}

impl<'g, 'x> Composer<'g, 'x> {
    fn function(&self, i: usize) -> Result<&'g Function<'x>, Fault> {
        let id = self.specs[i].function;
        let table = &self.graph.functions;
        table.get(id as usize).ok_or_else(|| Fault(Status::UnknownFunction, format!("function {id} of {}", table.len())))
    }

    /// Settles, from the head down, where the records behind function i have their key and time from.
    fn bind(&mut self, i: usize) -> Result<(), Fault> {
        let f = self.function(i)?;
        let spec = &self.specs[i];
        let keyed = matches!(f.body, Body::Keyed(_));
        let mut scope = Scope { key: self.input_key.clone(), time: None };
        if spec.upstream != NONE {
            if spec.upstream as usize >= i || keyed {
                let problem = format!("function {:?} cannot follow function {} of the handle", f.name, spec.upstream);
                return Err(Fault(Status::BadInput, problem));
            }
            scope = self.bindings[spec.upstream as usize].scope.clone();
        }
        if keyed || f.kind == Kind::Key {
            scope.key = Rc::new(KeyCell::new());
        }
        if keyed || f.kind == Kind::Timestamp {
            let time = Rc::new(TimeCell::new());
            scope.time = Some(time.clone());
            if !keyed {
                self.chain.assigners.push(time);
            }
        }
        let mut b =
            Binding { input: self.chain.input.clone(), scope, children: Vec::new(), outputs: Vec::new(), sides: Vec::new(), keys: None };
        for &(tag, number, columns) in &spec.outputs {
            if tag as usize > f.sides.len() {
                return Err(Fault(Status::BadInput, format!("function {:?} has no side output {tag}", f.name)));
            }
            let out = Rc::new(Output::new(number, columns, &b.scope, &b.input, &self.input_key));
            self.chain.outputs.push(out.clone());
            match tag {
                0 => b.outputs.push(out),
                _ => b.sides.push((tag, out)),
            }
        }
        self.bindings.push(b);
        Ok(())
    }

    /// Finds functions that follow each other without a branch and were compiled into one loop, and makes those heads. It
    /// returns which functions are done with.
    fn fuse(&mut self) -> Result<Vec<usize>, Fault> {
        let mut done = Vec::new();
        for head in 0..self.specs.len() {
            let run = self.straight(head);
            let Some((fused, run)) = self.fused(&run) else { continue };
            let (first, last) = (run[0], run[run.len() - 1]);
            for i in (last + 1..self.specs.len()).rev() {
                // what branches off behind the last is linked to it first
                if self.behind(i, last) {
                    self.link(i)?;
                    done.push(i);
                }
            }
            let body = (fused.head)(&self.bindings[last])?;
            self.chain.heads.push((self.specs[first].input, body));
            done.extend(run);
        }
        Ok(done)
    }

    /// The functions from a head on, up to the first that records leave by or that branches.
    fn straight(&self, head: usize) -> Vec<usize> {
        let mut run = Vec::new();
        if self.specs[head].upstream != NONE {
            return run;
        }
        let mut i = head;
        loop {
            run.push(i);
            let mut children = (i + 1..self.specs.len()).filter(|&k| self.specs[k].upstream as usize == i);
            match (children.next(), children.next()) {
                (Some(only), None) if self.specs[i].outputs.is_empty() => i = only,
                _ => return run,
            }
        }
    }

    /// The longest part of a straight run, from its beginning, that there is a loop for. Several timestamp functions have a
    /// cell each, which a loop has not.
    fn fused(&self, run: &[usize]) -> Option<(&'g Fused<'x>, Vec<usize>)> {
        (2..=run.len()).rev().find_map(|n| {
            let ids: Vec<u32> = run[..n].iter().map(|&i| self.specs[i].function).collect();
            let assigners = ids.iter().filter(|&&id| self.graph.functions[id as usize].kind == Kind::Timestamp).count();
            let fused = self.graph.fused.iter().find(|f| f.functions == ids && assigners <= 1)?;
            Some((fused, run[..n].to_vec()))
        })
    }

    /// Whether function i takes its records, perhaps through others, from function before.
    fn behind(&self, mut i: usize, before: usize) -> bool {
        while self.specs[i].upstream != NONE {
            i = self.specs[i].upstream as usize;
            if i == before {
                return true;
            }
        }
        false
    }

    /// Composes function i, from the leaves up, and hands it to the function before it.
    fn link(&mut self, i: usize) -> Result<(), Fault> {
        let f = self.function(i)?;
        let (upstream, input) = (self.specs[i].upstream, self.specs[i].input);
        match &f.body {
            Body::Keyed(body) => self.chain.heads.push((input, body(&self.bindings[i])?)),
            Body::Step(body) if upstream == NONE => self.chain.heads.push((input, body.head(&self.bindings[i])?)),
            Body::Step(body) => {
                let linked = body.link(&self.bindings[i])?;
                self.bindings[upstream as usize].children.push(linked);
            }
        }
        Ok(())
    }
}

/// Answers a fault of the host's bytes.
pub(crate) fn refuse(fault: &Fault) -> Status {
    fail(&fault.1);
    fault.0
}
