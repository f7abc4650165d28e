use crate::host;

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// Writes one line to the job's log, where it is tagged with job, operator and subtask. Natively it goes to stderr.
pub fn log(level: Level, text: &str) {
    host::log(level as u32, text);
}

const COUNTER: u32 = 1;
const GAUGE: u32 = 2;

/// Adds to a counter of the task, which its TaskManager serves among its metrics. It counts when the call that the guest is
/// in succeeds. Natively it does nothing.
pub fn counter_add(name: &str, n: i64) {
    host::metric(COUNTER, name, n);
}

/// Sets a gauge of the task, as [`counter_add`] adds to a counter.
pub fn gauge_set(name: &str, value: i64) {
    host::metric(GAUGE, name, value);
}
