//! Points in time as capprof writes them, in UTC.

use jiff::Timestamp;

/// The time now, as RFC 3339 with seconds: `2026-11-23T15:01:02Z`.
pub fn now() -> String {
    rfc3339(Timestamp::now())
}

/// A point in time as RFC 3339 with seconds.
pub fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A point in time to the second and without separators: `20261123T150102Z`. Ids that sort by time begin with it.
pub fn compact(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc_and_to_the_second() {
        let time: Timestamp = "2026-11-23T17:01:02.75+02:00".parse().unwrap();
        assert_eq!(rfc3339(time), "2026-11-23T15:01:02Z");
        assert_eq!(compact(time), "20261123T150102Z");
    }
}
