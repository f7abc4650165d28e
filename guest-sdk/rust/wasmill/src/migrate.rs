use crate::batch::{Aligned, Batch, BatchWriter, KEYS, VALUES, VALUE_NULLS};
use crate::chain::Status;
use crate::fail::{fail, failed, set_record};
use crate::graph::Graph;
use crate::host;
use alloc::vec::Vec;

/// Brings elements of a declared state from an older schema version to the newest: p is a batch of values, with keys for a
/// map, and the reply is one of as many records.
pub(crate) fn migrate(graph: &Graph<'static>, state: u32, from: u32, p: &'static [u8]) -> Status {
    let function = graph.functions.get((state >> 16) as usize);
    let Some(spec) = function.and_then(|f| f.states.get((state & 0xffff) as usize)) else {
        return Status::UnknownFunction;
    };
    let Some(batch) = Batch::parse(p) else { return Status::BadInput };
    let Some(migration) = &spec.migrate else {
        fail("a state of an older version, and no function that migrates it");
        return Status::Failed;
    };
    let (mut values, mut ends, mut nulls) = (Vec::new(), Vec::with_capacity(batch.n), alloc::vec![0u8; batch.n.div_ceil(8)]);
    for i in 0..batch.n {
        set_record(i as u32);
        if !migration(from, batch.key(i), batch.value(i), &mut values) {
            nulls[i / 8] |= 1 << (i % 8);
        }
        ends.push(values.len() as u32);
        if failed() {
            return Status::Failed;
        }
    }
    let columns = VALUES | VALUE_NULLS | if batch.key_offsets.is_some() { KEYS } else { 0 };
    let mut out = Aligned::default();
    out.grow(BatchWriter::room(batch.n, batch.keys.len() + values.len()));
    let mut w = BatchWriter::new(out.bytes(), columns, batch.n, batch.keys.len(), values.len(), 0);
    if let Some(offsets) = batch.key_offsets {
        w.offsets(&offsets[1..]);
    }
    w.offsets(&ends);
    w.section(&nulls);
    w.section(batch.keys);
    w.section(&values);
    let size = w.end();
    host::reply(&out.bytes()[..size]);
    Status::Ok
}
