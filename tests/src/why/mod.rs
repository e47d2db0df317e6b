//! `capprofctl why` on real programs: plain commands and containers.

mod bounds;
mod containers;
mod input;
mod modules;
mod plain;

use crate::Test;
use crate::environment::Environment;
use anyhow::{Context, bail, ensure};
use capprof_profile::why::report::{Refusal, RefusalReport};
use std::path::Path;
use std::sync::Arc;

/// All of them.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = plain::tests(environment);
    tests.extend(bounds::tests(environment));
    tests.extend(containers::tests(environment));
    tests.extend(modules::tests(environment));
    tests.extend(input::tests(environment));
    tests
}

/// The expected report of a refusal.
#[derive(Clone, Copy)]
struct Expected {
    /// System calls, any of which may be the refused one, with `|` between them.
    calls: &'static str,
    /// The cause's word in the report.
    cause: &'static str,
    /// Words in its text or in a note.
    holds: &'static str,
}

/// The number of times that a run is repeated if its report says that processes were gone too soon, as docs/why.md advises for busy machines.
const RUNS: usize = 5;

/// Runs `why`, which writes `report`; skips the test if `run` returns false. The likeliest culprit must be the expected one, without a second cause.
fn check(
    report: &Path,
    expected: Expected,
    run: impl Fn() -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
    for runs in 1.. {
        if !run()? {
            return Ok(false);
        }
        let (told, text) = read(report)?;
        if runs == RUNS || !is_late(&told) {
            check_report(&told, &text, expected)?;
            break;
        }
    }
    Ok(true)
}

/// Reads the report of `why`, parsed and as text.
fn read(report: &Path) -> anyhow::Result<(RefusalReport, String)> {
    let text =
        std::fs::read_to_string(report).with_context(|| format!("read {}", report.display()))?;
    let told = serde_json::from_str(&text).with_context(|| format!("read {text:?}"))?;
    Ok((told, text))
}

fn is_late(report: &RefusalReport) -> bool {
    let mut missing = report.missing.iter();
    missing.any(|missing| missing.contains("were gone too soon"))
}

fn check_report(report: &RefusalReport, text: &str, expected: Expected) -> anyhow::Result<()> {
    let Some(first) = report.refusals.first() else {
        bail!("nothing was refused: {text}");
    };
    ensure!(
        is_expected(first, expected),
        "expected {} for {}, holding {:?}: {text}",
        expected.cause,
        expected.calls,
        expected.holds
    );
    Ok(())
}

fn is_expected(refusal: &Refusal, expected: Expected) -> bool {
    let [cause, others @ ..] = &refusal.explanation.causes[..] else {
        return false;
    };
    // Neither Landlock nor SELinux leaves a record if the policy keeps SELinux's out of the log.
    let is_one_of_two = expected.cause == "landlock" && modules::selinux_is_missing().is_none();
    if !others.is_empty() && !is_one_of_two {
        return false;
    }
    let told = format!("{cause} {:?}", refusal.explanation.notes);
    expected.calls.split('|').any(|call| call == refusal.call)
        && cause.kind() == expected.cause
        && told.contains(expected.holds)
}
