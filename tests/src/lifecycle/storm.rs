//! More threads than processors, all of them in checks.
//!
//! A kernel that preempts a task in one of the recorder's programs skips that program for the other tasks of the processor.

use super::*;
use capprof_profile::need::CheckSummary;
use capprof_profile::profile::Profile;

pub(super) const BODIES: [(&str, Body); 2] = [
    (
        "no_check_of_many_threads_is_lost",
        no_check_of_many_threads_is_lost,
    ),
    (RESULTS, no_result_of_many_threads_is_lost_in_silence),
];

pub(super) const RESULTS: &str = "no_result_of_many_threads_is_lost_in_silence";

/// Why the results of system calls cannot be followed on this kernel; `None` if they can.
pub(super) fn reason_without_results() -> Option<String> {
    let release = nix::sys::utsname::uname().ok()?.release().to_owned();
    let release = release.to_string_lossy();
    let mut numbers = release.split('.').map(str::parse::<u32>);
    let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let reason = "eBPF programs cannot store anything with a task before Linux 5.15";
    (version < (5, 15)).then(|| reason.to_owned())
}

const THREADS: u64 = 16;

const CHILDREN: u64 = 200;

/// The container, and how many checks for `CAP_SYS_ADMIN` its program makes: those of sethostname(2).
fn storm(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<(Container, u64)> {
    let checks = environment.checks;
    let numbers = [THREADS, checks, CHILDREN].map(|number| number.to_string());
    let command = [
        "/bin/corpus",
        "storm",
        &numbers[0],
        &numbers[1],
        &numbers[2],
    ];
    let mut container = Container::new(environment, runtime, &command)?;
    container.seconds += u32::try_from(THREADS * checks / 4000)?;
    Ok((container, THREADS * checks + CHILDREN))
}

/// Compares a count with the number of checks that were made.
fn expect_count(what: &str, counted: u64, made: u64) -> anyhow::Result<()> {
    // What was preempted between the program and the one that stands by is counted by both. In a guest that seldom gets a processor, that was 3 %.
    ensure!(
        (made..=made + made / 10).contains(&counted),
        "{made} checks were made, {counted} {what}"
    );
    Ok(())
}

fn no_check_of_many_threads_is_lost(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, made) = storm(environment, runtime)?;
    let profile = container.run_and_expect(&[Capability::SYS_ADMIN])?;
    let counted = profile.findings.needed.iter().map(|need| need.count).sum();
    expect_count("counted", counted, made)
}

fn no_result_of_many_threads_is_lost_in_silence(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let (container, made) = storm(environment, runtime)?;
    container.edit(|config| config["annotations"] = json!({"io.capprof.mode": "observe"}))?;
    container.withhold([Capability::SYS_ADMIN].into_iter().collect())?;
    let output = container.run()?;
    ensure!(output.status.success(), "{output:?}");
    let profile = container.profile()?;
    expect_count(
        "refused",
        refused(&profile).map(|check| check.count).sum(),
        made,
    )?;
    let results = refused(&profile).filter_map(|check| check.outcome);
    let failed: u64 = results.map(|results| results.eperm).sum();
    if profile.complete {
        return expect_count("failed", failed, made);
    }
    // The kernel can skip both programs at the end of a system call. The profile must name it.
    let lost: u64 = profile
        .incomplete_because
        .iter()
        .map(|reason| lost_results(reason))
        .sum::<anyhow::Result<_>>()?;
    ensure!(
        failed + lost >= made,
        "{made} checks were refused, {failed} failed, {lost} were lost"
    );
    Ok(())
}

/// How many results were lost for this reason.
fn lost_results(reason: &str) -> anyhow::Result<u64> {
    let number = reason.strip_prefix("eBPF: ").and_then(|rest| {
        let (number, what) = rest.split_once(" refused capability checks ")?;
        let is_of_results =
            what.starts_with("were not followed") || what.starts_with("may have the result");
        is_of_results.then_some(number)
    });
    Ok(number.with_context(|| reason.to_owned())?.parse()?)
}

/// The refused checks for `CAP_SYS_ADMIN`.
fn refused(profile: &Profile) -> impl Iterator<Item = &CheckSummary> {
    let denied = profile.findings.denied.iter();
    denied.filter(|check| check.capability == Capability::SYS_ADMIN)
}
