//! Times of day and of the calendar, in UTC.

use wasmill::prelude::*;

pub const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// When all time has passed: a bounded input has ended.
pub const END: i64 = 1 << 62;

/// The start of the window of a size that a time is in.
pub fn window_of(t: Millis, size: i64) -> i64 {
    t.0 - t.0.rem_euclid(size)
}

pub fn hour(t: Millis) -> i64 {
    t.0.rem_euclid(DAY) / HOUR
}

/// HH:mm
pub fn minute(t: Millis) -> String {
    format!("{:02}:{:02}", hour(t), t.0.rem_euclid(HOUR) / MINUTE)
}

/// yyyy-MM-dd
pub fn day(t: Millis) -> String {
    // days since 0000-03-01, in years that begin in March and eras of 400 of them
    let days = t.0.div_euclid(DAY) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", year + 400 * era + i64::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar() {
        for (ms, want) in [
            (0, "1970-01-01 00:00"),
            (-1, "1969-12-31 23:59"),
            (951_782_400_000, "2000-02-29 00:00"),
            (1_767_311_400_000, "2026-01-01 23:50"),
            (4_107_542_399_999, "2100-02-28 23:59"),
            (4_107_542_400_000, "2100-03-01 00:00"),
        ] {
            assert_eq!(format!("{} {}", day(Millis(ms)), minute(Millis(ms))), want);
        }
    }
}
