//! Values of options that are more than text: points in time, time spans, capabilities.

use capprof_profile::Capability;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::str::FromStr;
use std::time::Duration;

/// The reason why a value is invalid; clap names the option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// It is not a point in time.
    #[error(
        "expected a time span like 30d or 12h, a date like 2026-01-31, or a point in time like 2026-01-31T12:00:00Z"
    )]
    Point,
    /// It is no time with a unit, or no time at all.
    #[error("expected a time like 90s, 10m, 24h or 7d")]
    Time,
    /// Linux has no such capability.
    #[error("no capability is called {0}")]
    Capability(String),
}

/// A point in time, given directly or as a span before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point(Timestamp);

impl Point {
    /// The point in time in the form at the beginning of recording ids.
    pub(crate) fn compact(&self) -> String {
        capprof_store::time::compact(self.0)
    }
}

impl FromStr for Point {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(time) = text.parse() {
            return Ok(Self(time));
        }
        let midnight = format!("{text}T00:00:00Z").parse::<Timestamp>().ok();
        let span = || {
            let span = text.parse::<jiff::Span>().ok()?;
            let now = Timestamp::now().to_zoned_datetime(TimeZone::UTC);
            Some(now.checked_sub(span).ok()?.timestamp())
        };
        midnight.or_else(span).map(Self).ok_or(Error::Point)
    }
}

/// A capability by its name, with or without `CAP_`, in any case.
pub(super) fn capability(text: &str) -> Result<Capability, Error> {
    let upper = text.to_ascii_uppercase();
    let full = match upper.starts_with("CAP_") {
        true => upper,
        false => format!("CAP_{upper}"),
    };
    full.parse().map_err(|_| Error::Capability(text.to_owned()))
}

/// A time like `90s`, `10m`, `24h` or `7d`.
pub(super) fn time(text: &str) -> Result<Duration, Error> {
    let unit = text.char_indices().last().map(|(position, _)| position);
    let (number, unit) = text.split_at(unit.unwrap_or_default());
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(Error::Time),
    };
    let number: u64 = number.parse().map_err(|_| Error::Time)?;
    match number.checked_mul(seconds) {
        None | Some(0) => Err(Error::Time),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("7d"), Ok(Duration::from_secs(7 * 86400)));
        for wrong in [
            "",
            "s",
            "10",
            "0m",
            "-1h",
            "1w",
            "1ä",
            "99999999999999999999d",
            "300000000000000000d",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn points_in_time_are_dates_times_or_spans() {
        let of = |text: &str| text.parse::<Point>().unwrap().compact();
        assert_eq!(of("2026-01-31"), "20260131T000000Z");
        assert_eq!(of("2026-01-31T12:00:00+01:00"), "20260131T110000Z");
        assert!(of("1d") < of("1h"));
        assert!("yesterday".parse::<Point>().is_err());
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert!(time("90").is_err() && time("0s").is_err());
    }
}
