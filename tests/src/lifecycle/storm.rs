//! More threads than processors, all of them in checks.

use super::*;
use capprof_profile::profile::Profile;

pub(super) const BODIES: [(&str, Body); 1] = [(
    "no_check_of_many_threads_is_lost",
    no_check_of_many_threads_is_lost,
)];

/// A kernel that preempts a task in the recorder's program skips that program for the other tasks of the processor.
fn no_check_of_many_threads_is_lost(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    const CHILDREN: u64 = 200;
    let (threads, checks) = (16, if environment.guest { 10_000 } else { 40_000 });
    let (threads_text, checks_text) = (threads.to_string(), checks.to_string());
    let command = [
        "/bin/corpus",
        "storm",
        &threads_text,
        &checks_text,
        &CHILDREN.to_string(),
    ];
    let container = Container::new(environment, runtime, &command)?;
    let profile = container.run_and_expect(&[Capability::SYS_ADMIN])?;
    let made = threads * checks + CHILDREN;
    let counted = counted(&profile);
    ensure!(
        counted >= made,
        "{made} checks were made, {counted} counted"
    );
    // What was preempted between the program and the one that stands by is counted by both.
    ensure!(
        counted <= made + made / 100,
        "{made} checks were made, {counted} counted"
    );
    Ok(())
}

/// The checks that the container used `CAP_SYS_ADMIN` in: those of sethostname(2).
fn counted(profile: &Profile) -> u64 {
    profile.findings.needed.iter().map(|need| need.count).sum()
}
