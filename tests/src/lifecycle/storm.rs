//! More threads than processors, all of which make checks.
//!
//! A kernel that preempts a task in one of the recorder's programs may skip that program for the other tasks of the processor.

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

/// The reason why this kernel does not let the results of system calls be followed; `None` if it does.
pub(super) fn reason_without_results() -> Option<String> {
    let reason = "eBPF programs cannot store anything with a task before Linux 5.15";
    (kernel()? < (5, 15)).then(|| reason.to_owned())
}

/// Version and patch level of the running kernel.
fn kernel() -> Option<(u32, u32)> {
    let release = nix::sys::utsname::uname().ok()?.release().to_owned();
    let release = release.to_string_lossy();
    let mut numbers = release.split('.').map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Returns true on Linux 7.0 and later, which skip programs, so that a second one stands by for each.
fn skips_programs() -> bool {
    kernel().is_none_or(|version| version >= (7, 0))
}

const THREADS: u64 = 16;

const CHILDREN: u64 = 200;

/// A container whose threads and children each cause checks for `CAP_SYS_ADMIN` again and again, with sethostname(2).
struct Storm {
    container: Container,
    /// The number of checks that they cause.
    made: u64,
}

impl Storm {
    fn new(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<Self> {
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
        let made = THREADS * checks + CHILDREN;
        Ok(Self { container, made })
    }

    /// Runs it. Returns the profile, and the number of checks that may be counted twice.
    fn run(&self) -> anyhow::Result<(Profile, u64)> {
        let output = self.container.run()?;
        ensure!(output.status.success(), "{output:?}");
        self.container.expect_nothing_left()?;
        // A program and the one that stands by for it both count a check if the kernel preempts the task between them.
        let preempted = String::from_utf8(output.stdout)?.trim().parse()?;
        let twice = if skips_programs() { preempted } else { 0 };
        Ok((self.container.profile()?, twice))
    }

    /// Compares a count with the number of checks that were made.
    fn expect(&self, what: &str, counted: u64, twice: u64) -> anyhow::Result<()> {
        let made = self.made;
        ensure!(
            (made..=made + twice).contains(&counted),
            "{made} checks were made, {counted} {what}; {twice} may be counted twice"
        );
        Ok(())
    }
}

fn no_check_of_many_threads_is_lost(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let storm = Storm::new(environment, runtime)?;
    let (profile, twice) = storm.run()?;
    expect_answer(&profile, &[Capability::SYS_ADMIN])?;
    let counted = profile.findings.needed.iter().map(|need| need.count).sum();
    storm.expect("counted", counted, twice)
}

fn no_result_of_many_threads_is_lost_in_silence(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let storm = Storm::new(environment, runtime)?;
    let container = &storm.container;
    container.edit(|config| config["annotations"] = json!({"io.capprof.mode": "observe"}))?;
    container.withhold([Capability::SYS_ADMIN].into_iter().collect())?;
    let (profile, twice) = storm.run()?;
    let checks = refused(&profile).map(|check| check.count).sum();
    storm.expect("were refused", checks, twice)?;
    let results = refused(&profile).filter_map(|check| check.outcome);
    let failed: u64 = results.map(|results| results.eperm).sum();
    // Linux 7.0 and later can skip both programs at the end of a system call. The profile must name it.
    let lost: u64 = profile
        .incomplete_because
        .iter()
        .map(|reason| lost_results(reason))
        .sum::<anyhow::Result<_>>()?;
    ensure!(
        profile.complete == (lost == 0) && (lost == 0 || skips_programs()),
        "{lost} results were lost: {:?}",
        profile.incomplete_because
    );
    if lost == 0 {
        return storm.expect("failed", failed, twice);
    }
    ensure!(
        failed + lost >= storm.made,
        "{} checks were refused, {failed} failed, {lost} were lost",
        storm.made
    );
    Ok(())
}

/// The number of results that were lost for this reason.
fn lost_results(reason: &str) -> anyhow::Result<u64> {
    let number = reason.strip_prefix("eBPF: ").and_then(|rest| {
        let (number, what) = rest.split_once(" refused capability checks ")?;
        let is_of_results =
            what.starts_with("were not followed") || what.starts_with("may have the result");
        is_of_results.then_some(number)
    });
    Ok(number.with_context(|| reason.to_owned())?.parse()?)
}

/// The refused checks of sethostname(2). Others for `CAP_SYS_ADMIN` are those of memory that execve(2) maps, which all kernels make and only some
/// show.
fn refused(profile: &Profile) -> impl Iterator<Item = &CheckSummary> {
    let denied = profile.findings.denied.iter();
    denied.filter(|check| check.syscalls == ["sethostname"])
}
