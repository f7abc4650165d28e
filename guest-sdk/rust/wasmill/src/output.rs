//! What leaves a chain.

use crate::batch::{octets, Aligned, Batch, BatchWriter, HEADERS, KEYS, KINDS, TIMESTAMPS, VALUES};
use crate::copy::push;
use crate::fail::record;
use crate::host;
use crate::local::Own;
use crate::process::NO_TIMESTAMP;
use crate::record::Field;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

/// A batch is sent when it has so many records or so many bytes of keys and values, and at the end of the call.
const BATCH_RECORDS: usize = 1024;
const BATCH_BYTES: usize = 64 << 10;

/// Where the key of the record that runs lies, as the nearest key function or the input has it. Each key function has a cell of
/// its own, so that one branch of a chain does not see the keys of another.
pub(crate) struct KeyCell {
    at: Cell<*const [u8]>,
    room: Own<Vec<u8>>,
}

impl KeyCell {
    pub fn new() -> Self {
        KeyCell { at: Cell::new(&[]), room: Own::new(Vec::new()) }
    }

    /// Sets the key. What it lies in must stay until the record is done with.
    #[inline(always)]
    pub fn set_bytes(&self, key: &[u8]) {
        self.at.set(key);
    }

    #[inline(always)]
    pub fn set<'x, K: Field<'x>>(&self, key: &K) {
        self.room.with(|room| self.at.set(key.key_bytes(room)));
    }

    #[inline(always)]
    fn get(&self) -> &[u8] {
        // SAFETY: whoever set it keeps it for as long as the record runs, and nobody asks for the key outside of that.
        unsafe { &*self.at.get() }
    }
}

/// The same for timestamps, with the newest that a call has seen.
pub(crate) struct TimeCell {
    pub now: Cell<i64>,
    pub seen: Cell<i64>,
}

impl TimeCell {
    pub fn new() -> Self {
        TimeCell { now: Cell::new(NO_TIMESTAMP), seen: Cell::new(NO_TIMESTAMP) }
    }
}

/// Where the records behind a function have their key and timestamp from.
#[derive(Clone)]
pub(crate) struct Scope {
    pub key: Rc<KeyCell>,
    pub time: Option<Rc<TimeCell>>, // None: the input's
}

/// The records that a call came with.
#[derive(Default)]
pub(crate) struct Input {
    pub batch: Own<Batch<'static>>, // during the call only
}

/// Collects what leaves by one output number, column by column, and sends it as batches. It keeps its memory: in steady state
/// it allocates nothing.
pub(crate) struct Output {
    number: u32,
    columns: u32, // that the host wants
    scope: Scope,
    input: Rc<Input>,
    input_keys: bool, // keys are those of the input
    copies: bool,     // some column is copied from the record that came in
    columns_made: Own<Columns>,
}

struct Columns {
    n: usize,
    rows: Ends, // record of the input that each comes from
    key_ends: Ends,
    value_ends: Ends,
    timestamps: Box<[i64; BATCH_RECORDS]>,
    keys: Vec<u8>,
    values: Vec<u8>,
    encoded: Aligned,
}

type Ends = Box<[u32; BATCH_RECORDS]>;

impl Default for Own<Batch<'static>> {
    fn default() -> Self {
        Own::new(Batch::default())
    }
}

impl Output {
    pub fn new(number: u32, columns: u32, scope: &Scope, input: &Rc<Input>, input_key: &Rc<KeyCell>) -> Self {
        let room = |bit| Vec::with_capacity(if columns & bit != 0 { BATCH_BYTES / 4 } else { 0 });
        let made = Columns {
            n: 0,
            rows: Box::new([0; BATCH_RECORDS]),
            key_ends: Box::new([0; BATCH_RECORDS]),
            value_ends: Box::new([0; BATCH_RECORDS]),
            timestamps: Box::new([0; BATCH_RECORDS]),
            keys: room(KEYS),
            values: room(VALUES),
            encoded: Aligned::default(),
        };
        Output {
            number,
            columns,
            scope: scope.clone(),
            input: input.clone(),
            input_keys: Rc::ptr_eq(&scope.key, input_key),
            copies: columns & (KINDS | HEADERS) != 0 || columns & TIMESTAMPS != 0 && scope.time.is_none(),
            columns_made: Own::new(made),
        }
    }

    /// Whether the output has its keys from the input.
    pub fn wants_input_keys(&self) -> bool {
        self.input_keys && self.columns & KEYS != 0
    }

    /// Drops what a call that failed has left.
    pub fn reset(&self) {
        self.columns_made.with(Columns::reset);
    }

    /// Adds a record. What the host wants of it is encoded at once.
    #[inline(always)]
    pub fn add<'x, R: Field<'x>>(&self, value: &R) {
        // SAFETY: flush is called when c is done with, and nothing else that is called here knows the output.
        let c = unsafe { self.columns_made.hold() };
        let n = c.n % BATCH_RECORDS; // which it is, and needs no check
        if self.columns & KEYS != 0 {
            push(&mut c.keys, self.scope.key.get());
            c.key_ends[n] = c.keys.len() as u32;
        }
        if self.columns & VALUES != 0 {
            value.append(&mut c.values);
            c.value_ends[n] = c.values.len() as u32;
        }
        if self.columns & TIMESTAMPS != 0 {
            if let Some(time) = &self.scope.time {
                c.timestamps[n] = time.now.get();
            }
        }
        if self.copies {
            c.rows[n] = record();
        }
        c.n += 1;
        if c.n == BATCH_RECORDS || c.keys.len() + c.values.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Sends the batch, if there is one.
    #[inline(never)]
    pub fn flush(&self) {
        self.columns_made.with(|c| {
            if c.n > 0 {
                self.input.batch.with(|input| {
                    let size = self.encode(c, input);
                    host::emit(self.number, &c.encoded.bytes()[..size]);
                });
                c.reset();
            }
        });
    }

    fn encode(&self, c: &mut Columns, input: &Batch) -> usize {
        let mut columns = self.columns & (TIMESTAMPS | KEYS | VALUES | KINDS | HEADERS);
        for (bit, absent) in [
            (TIMESTAMPS, self.scope.time.is_none() && input.timestamps.is_none()),
            (KEYS, self.input_keys && input.key_offsets.is_none()),
            (KINDS, input.kinds.is_none()),
            (HEADERS, input.header_offsets.is_none()),
        ] {
            if absent {
                columns &= !bit;
            }
        }
        let Columns { n, rows, key_ends, value_ends, timestamps, keys, values, encoded } = c;
        let (rows, key_ends, value_ends, timestamps) = (&rows[..*n], &key_ends[..*n], &value_ends[..*n], &timestamps[..*n]);
        let headers: usize = if columns & HEADERS == 0 { 0 } else { rows.iter().map(|&i| input.header(i as usize).len()).sum() };
        encoded.grow(BatchWriter::room(*n, keys.len() + values.len() + headers));
        let mut w = BatchWriter::new(encoded.bytes(), columns, *n, keys.len(), values.len(), headers);
        if columns & TIMESTAMPS != 0 {
            match input.timestamps {
                Some(times) if self.scope.time.is_none() => rows.iter().for_each(|&i| w.put(&times[i as usize].to_le_bytes())),
                _ => w.section(octets(timestamps)),
            }
        }
        if columns & KEYS != 0 {
            w.offsets(key_ends);
        }
        if columns & VALUES != 0 {
            w.offsets(value_ends);
        }
        if let (true, Some(kinds)) = (columns & KINDS != 0, input.kinds) {
            rows.iter().for_each(|&i| w.put(&[kinds[i as usize]]));
            w.pad();
        }
        if columns & HEADERS != 0 {
            write_header_ends(&mut w, input, rows);
        }
        w.section(keys);
        w.section(values);
        if headers > 0 {
            rows.iter().for_each(|&i| w.put(input.header(i as usize)));
            w.pad();
        }
        w.end()
    }
}

fn write_header_ends(w: &mut BatchWriter, input: &Batch, rows: &[u32]) {
    let mut end = 0u32;
    w.put(&end.to_le_bytes());
    for &i in rows {
        end += input.header(i as usize).len() as u32;
        w.put(&end.to_le_bytes());
    }
    w.pad();
}

impl Columns {
    fn reset(&mut self) {
        self.n = 0;
        self.keys.clear();
        self.values.clear();
    }
}
