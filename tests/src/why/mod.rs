//! `capprofctl why`: who refused, for real programs, of plain commands and of containers.

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

/// What is to be told of a refusal.
#[derive(Clone, Copy)]
struct Expected {
    /// System calls, any of which may be the refused one, with `|` between them.
    calls: &'static str,
    /// The cause's word in the report.
    cause: &'static str,
    /// What its text or a note holds.
    holds: &'static str,
}

/// How often a run is repeated whose report says that processes were gone before they were looked at, as docs/why.md says of busy machines.
const RUNS: usize = 5;

/// Runs `why`, which writes `report`, unless `run` returns false: the likeliest culprit is the one expected, and it has no second cause.
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

/// What `why` wrote, and the text of it.
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
    // Neither leaves a record of what it refuses, where the policy keeps SELinux's out of the log.
    let is_one_of_two = expected.cause == "landlock" && modules::selinux_is_missing().is_none();
    if !others.is_empty() && !is_one_of_two {
        return false;
    }
    let told = format!("{cause} {:?}", refusal.explanation.notes);
    expected.calls.split('|').any(|call| call == refusal.call)
        && cause.kind() == expected.cause
        && told.contains(expected.holds)
}
