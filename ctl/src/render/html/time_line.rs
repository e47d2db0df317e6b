//! The time line: the times at which each capability was used during the container's life.

use super::super::evidence::{duration, uses};
use capprof_profile::profile::{Need, Profile};
use jiff::Timestamp;
use maud::{Markup, html};

/// The width of the drawing in its own units.
const WIDTH: f64 = 1000.0;

/// The least width at which a use can be seen.
const MARK: f64 = 6.0;

/// Below this many milliseconds the scale is linear, above it logarithmic.
const KNEE: f64 = 100.0;

/// Marks of the scale, in milliseconds.
const TICKS: [u64; 9] = [
    0,
    100,
    1_000,
    10_000,
    60_000,
    600_000,
    3_600_000,
    36_000_000,
    360_000_000,
];

/// The section; empty if nothing was used.
pub(super) fn section(profile: &Profile) -> Markup {
    let uses = uses(profile);
    let life = life(profile);
    let ticks = ticks(life);
    html! {
        @if !uses.is_empty() {
            section aria-labelledby="time" {
                h2 #time { "Time line" }
                p { "First to last use over the container's life of " (duration(life)) "; the scale is logarithmic." }
                ol.timeline {
                    @for one in &uses {
                        li {
                            span.name { (one.need.capability) }
                            (bar(one.need, life))
                            span.when { (one.when) }
                        }
                    }
                    li.axis aria-hidden="true" {
                        span.name {}
                        span.ticks { @for (tick, position) in &ticks {
                            span style=(format!("left:{position:.1}%")) { (label(*tick)) }
                        } }
                        span.when {}
                    }
                }
            }
        }
    }
}

/// One row's drawing.
fn bar(need: &Need, life: u64) -> Markup {
    let from = position(need.first_ms, life) * WIDTH;
    let to = position(need.last_ms, life) * WIDTH;
    let width = (to - from).max(MARK);
    let from = from.min(WIDTH - width);
    let title = format!(
        "{}: first use after {}, last after {}",
        need.capability,
        duration(need.first_ms),
        duration(need.last_ms)
    );
    html! {
        svg viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" aria-label=(title) {
            line class="rail" x1="0" y1="10" x2="1000" y2="10" {}
            @for (_, position) in ticks(life) {
                line class="rail" x1=(format!("{:.1}", position * 10.0)) y1="2" x2=(format!("{:.1}", position * 10.0)) y2="18" {}
            }
            rect class="use" x=(format!("{from:.1}")) y="3" width=(format!("{width:.1}")) height="14" {}
        }
    }
}

/// The marks that lie within the life, with their position in percent.
fn ticks(life: u64) -> Vec<(u64, f64)> {
    TICKS
        .into_iter()
        .filter(|tick| *tick <= life)
        .map(|tick| (tick, position(tick, life) * 100.0))
        .collect()
}

fn label(tick: u64) -> String {
    match tick {
        0 => "0".to_owned(),
        1..1_000 => format!("0.{} s", tick / 100),
        1_000..60_000 => format!("{} s", tick / 1_000),
        60_000..3_600_000 => format!("{} min", tick / 60_000),
        _ => format!("{} h", tick / 3_600_000),
    }
}

/// The position of a point in time, from 0 to 1.
fn position(milliseconds: u64, life: u64) -> f64 {
    #[expect(clippy::cast_precision_loss)]
    let scale = |value: u64| (value as f64 / KNEE).ln_1p();
    match life {
        0 => 0.0,
        _ => (scale(milliseconds) / scale(life)).clamp(0.0, 1.0),
    }
}

/// The length of the recording in milliseconds; it includes at least the last use.
fn life(profile: &Profile) -> u64 {
    let parse = |time: &str| time.parse::<Timestamp>().ok();
    let recorded = parse(&profile.origin.started)
        .zip(parse(&profile.origin.finished))
        .and_then(|(from, to)| u64::try_from(to.as_millisecond() - from.as_millisecond()).ok())
        .unwrap_or_default();
    let last = profile
        .findings
        .needed
        .iter()
        .map(|need| need.last_ms)
        .max()
        .unwrap_or_default();
    recorded.max(last).max(1_000)
}
