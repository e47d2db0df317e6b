//! The result of a search: printed, and stored in the profile.

use super::runner::{WORKERS, Worker};
use super::search::{Conclusion, Search, Stop};
use crate::exit::Exit;
use crate::output;
use anyhow::{Context, bail};
use capprof_profile::CapabilitySet;
use capprof_profile::minimize;
use capprof_profile::profile::{Profile, Shrunk};
use capprof_store::config_json;
use capprof_store::file;
use capprof_store::profiles::{self, Store, StoredProfile};
use std::fs;
use std::path::Path;

/// The configuration with the shrunk sets, next to the minimized one.
const CONFIGURATION: &str = "config.shrunk.json";

/// Prints the result and stores it.
///
/// # Errors
/// The search itself failed, its result is not reliable, or it cannot be written.
pub(super) fn conclude(
    search: &mut Search<'_>,
    store: &Store,
    found: &mut StoredProfile,
    conclusion: Result<Conclusion, Stop>,
    tell: fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let (set, stop) = match conclusion {
        Ok(Conclusion::Found(set)) => (set, None),
        Ok(Conclusion::Stopped(set, stop)) => (set, Some(stop)),
        Err(stop) => (found.profile.findings.minimized, Some(stop)),
        Ok(other) => {
            search.state.finished = true;
            search.save()?;
            return refuse(search, other);
        }
    };
    match stop {
        Some(stop) => keep_unfinished(search, &found.profile, set, stop, tell),
        None => keep(search, store, found, set, tell),
    }
}

/// Returns the reason why there is no result.
fn refuse(search: &Search<'_>, conclusion: Conclusion) -> anyhow::Result<Exit> {
    match conclusion {
        Conclusion::FullFails(why) => bail!(
            "the profile's own set does not pass: {why}; output in {}",
            search.runner.log(Worker(0)).display()
        ),
        Conclusion::EmptyPasses => bail!(
            "it passes without any capability: nothing is needed, or the check does not test what needs a capability"
        ),
        Conclusion::Unstable(set, why) => bail!(
            "{set} passed once and failed once ({why}): the check or the program is not reliable; nothing was changed"
        ),
        Conclusion::Found(_) | Conclusion::Stopped(..) => Ok(Exit::Success),
    }
}

fn keep_unfinished(
    search: &Search<'_>,
    profile: &Profile,
    set: CapabilitySet,
    stop: Stop,
    tell: fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    search.save()?;
    let (why, exit) = match stop {
        Stop::Error(error) => return Err(error),
        Stop::Interrupted => ("interrupted", Exit::Interrupted),
        Stop::Budget => ("stopped by --max-runs", Exit::Incomplete),
    };
    let left_out = profile.findings.minimized.difference(set);
    tell(&format!(
        "minimal so far: {set}\n{}",
        explain(profile, left_out)
    ))?;
    output::message(&format!(
        "{why} after {} runs: not proved minimal, the profile is as it was; --resume continues",
        search.state.made()
    ));
    Ok(exit)
}

fn keep(
    search: &mut Search<'_>,
    store: &Store,
    found: &mut StoredProfile,
    set: CapabilitySet,
    tell: fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let runs = search.state.made();
    let left_out = found.profile.findings.minimized.difference(set);
    let shrunk = Shrunk {
        set,
        sets: found.profile.sets_of(set),
        left_out,
        added: set.difference(found.profile.findings.minimized),
        check: search.state.question.check.clone(),
        command: search.state.question.command.clone(),
        runs,
        finished: capprof_store::time::now(),
    };
    store.set_shrunk(&found.profile.origin.recording_id, &shrunk)?;
    found.profile.take_shrunk(shrunk);
    write_configuration(found)?;
    search.state.finished = true;
    search.save()?;
    for worker in (0..WORKERS).map(Worker) {
        let _ = fs::remove_file(search.runner.log(worker));
    }
    tell(&format!(
        "needed: {set}\n{}found in {runs} runs, of at most {} that were promised; it fails without any one of these\n",
        explain(&found.profile, left_out),
        search.state.promised
    ))?;
    Ok(Exit::Success)
}

/// The reasons why the omitted capabilities had looked needed, a line each.
fn explain(profile: &Profile, left_out: CapabilitySet) -> String {
    let mut text = String::new();
    for need in &profile.findings.needed {
        if !left_out.contains(need.capability) {
            continue;
        }
        let mut line = format!(
            "not needed: {}, which had looked needed: {}",
            need.capability,
            minimize::describe(need.reason)
        );
        if let Some(program) = need.programs.first() {
            line.push_str(&format!(" by {program}"));
        }
        if let Some(syscall) = need.syscalls.first() {
            line.push_str(&format!(" in {syscall}"));
        }
        line.push_str(&match need.count {
            1 => ", once".to_owned(),
            count => format!(", {count} times"),
        });
        for note in &need.notes {
            line.push_str("; ");
            line.push_str(note);
        }
        text.push_str(&line.replace(char::is_control, "?"));
        text.push('\n');
    }
    text
}

/// The engine's configuration with the shrunk sets, from the one with the minimized sets.
fn write_configuration(found: &StoredProfile) -> anyhow::Result<()> {
    let directory = found.path.parent().unwrap_or(Path::new("."));
    let minimized = directory.join(profiles::CONFIGURATION);
    let Ok(content) = file::read(&minimized) else {
        return Ok(());
    };
    let mut value: serde_json::Value = serde_json::from_slice(&content)
        .with_context(|| format!("read {}", minimized.display()))?;
    if let Some(process) = value
        .get_mut("process")
        .and_then(serde_json::Value::as_object_mut)
    {
        config_json::set_capabilities(process, &found.profile.answer().1.named());
    }
    Ok(file::write_json(&directory.join(CONFIGURATION), &value)?)
}
