use crate::Shop;
use wasmill::prelude::*;
use wasmill::FileSink;

/// The clicks of each visit: of a user, without a pause of 20 minutes.
pub fn sessions(from: &Shop, to: FileSink) {
    from.clicks().key_by("user", |c| c.user()).window(session(mins(20))).count().uid("sessions").sink_to(to);
}
