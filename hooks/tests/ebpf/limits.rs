//! What one recording may take of the maps.

use crate::container::{Container, Tools};
use crate::whole;
use anyhow::{Context, ensure};
use std::time::{Duration, Instant};

/// How many programs are kept of one recording: `LIMIT_PROGRAMS` in the program.
const LIMIT: usize = 4096;

pub(crate) fn a_recording_that_reaches_its_limits_leaves_room_for_others(
    tools: &Tools,
) -> anyhow::Result<()> {
    let script = "/bin/probe programs-4200; touch /done; sleep 60";
    let greedy = Container::shell(tools, script)?;
    let mut other = None;
    let evidence = greedy.run_with(|greedy| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !greedy.root().join("done").exists() {
            ensure!(Instant::now() < deadline, "the programs do not end");
            std::thread::sleep(Duration::from_millis(50));
        }
        other = Some(Container::new(tools, &["/bin/probe", "programs-50"])?.run()?);
        Ok(())
    })?;
    ensure!(
        evidence
            .losses
            .iter()
            .any(|line| line.contains("map of programs") && line.contains("limit of 4096 rows")),
        "{:?}",
        evidence.losses
    );
    let kept: usize = evidence.executions.len();
    ensure!(kept <= LIMIT, "{kept}");
    let other = other.context("the other container did not run")?;
    whole(&other)?;
    let executed: u64 = other
        .executions
        .iter()
        .filter(|one| one.path.ends_with("probe"))
        .map(|one| one.count)
        .sum();
    ensure!(executed == 51, "{:?}", other.executions);
    Ok(())
}
