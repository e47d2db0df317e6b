//! `capprofctl audit`

use crate::cli::AuditFormat;
use crate::exit::Exit;
use crate::running::{self, Running};
use crate::{live, output, render};
use capprof_profile::live::{Progress, RowClass};
use capprof_profile::{Capability, CapabilitySet};
use serde::Serialize;
use std::cmp::Reverse;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Capabilities that give a container's processes control of the host, or of much of it (capabilities(7)): dropping them is worth most.
const POWERFUL: [Capability; 12] = [
    Capability::SYS_ADMIN,
    Capability::SYS_MODULE,
    Capability::SYS_RAWIO,
    Capability::SYS_PTRACE,
    Capability::BPF,
    Capability::DAC_READ_SEARCH,
    Capability::SYS_BOOT,
    Capability::MAC_ADMIN,
    Capability::MAC_OVERRIDE,
    Capability::NET_ADMIN,
    Capability::PERFMON,
    Capability::MKNOD,
];

/// The facts about one container.
#[derive(Debug, Serialize)]
struct Entry {
    /// The name that people know it by.
    container: String,
    id: String,
    privileged: bool,
    /// Its capabilities.
    has: CapabilitySet,
    /// The interim result of a recording in progress; `None` if there is none.
    seen: Option<Seen>,
}

#[derive(Debug, Serialize)]
struct Seen {
    recording: String,
    /// The start of the recording, RFC 3339 in UTC.
    since: String,
    used: CapabilitySet,
    /// The capabilities that it has and did not use, although a use would have been seen.
    unused: CapabilitySet,
    refused: CapabilitySet,
}

/// Shows all running containers; those come first that have most to drop.
///
/// # Errors
/// `capprof-hook` could not be run, or failed.
pub(crate) fn run(
    state: &Path,
    roots: &[PathBuf],
    wanted: &[String],
    format: AuditFormat,
) -> anyhow::Result<Exit> {
    let containers = match wanted {
        [] => running::all(roots),
        wanted => wanted
            .iter()
            .map(|wanted| running::find(wanted, roots))
            .collect::<anyhow::Result<_>>()?,
    };
    let recordings = live::so_far(state, &[])?;
    let mut entries: Vec<Entry> = containers
        .iter()
        .map(|container| entry(container, &recordings))
        .collect();
    entries.sort_by_key(|entry| Reverse(worth(entry)));
    match format {
        AuditFormat::Json => output::print_json(&entries)?,
        AuditFormat::Prometheus => output::print_raw(&prometheus(&entries))?,
        AuditFormat::Text => {
            output::print(&render::columns(
                &[
                    "CONTAINER",
                    "HAS",
                    "USED",
                    "UNUSED",
                    "REFUSED",
                    "PRIVILEGED",
                    "SINCE",
                ],
                &entries.iter().map(row).collect::<Vec<_>>(),
                &output::styles(),
            ))?;
            let unseen = entries.iter().filter(|entry| entry.seen.is_none()).count();
            if unseen > 0 {
                output::message(&format!(
                    "{unseen} of {} are not observed: `capprofctl observe --all` observes them",
                    entries.len()
                ));
            }
        }
    }
    Ok(Exit::Success)
}

fn entry(container: &Running, recordings: &[Progress]) -> Entry {
    let progress = recordings
        .iter()
        .rfind(|progress| progress.profile.origin.container_id == container.id);
    Entry {
        container: render::printable(&container.name()),
        id: container.id.clone(),
        privileged: container.is_privileged(),
        has: match progress {
            // A container that is being profiled has all capabilities only until it ends.
            Some(progress) => progress.profile.conditions.original.bounding,
            None => container.sets().bounding,
        },
        seen: progress.map(|progress| Seen {
            recording: progress.profile.origin.recording_id.clone(),
            since: progress.profile.origin.started.clone(),
            used: progress.profile.findings.minimized,
            unused: render::unused(&progress.profile),
            refused: progress
                .rows
                .iter()
                .filter(|row| row.class == RowClass::Refused)
                .map(|row| row.capability)
                .collect(),
        }),
    }
}

/// Ranks a container by how much it can drop. Observed containers rank above those of which only the set is known.
fn worth(entry: &Entry) -> (bool, usize, bool) {
    let droppable = entry.seen.as_ref().map_or(entry.has, |seen| seen.unused);
    let weight = droppable
        .iter()
        .map(|capability| match POWERFUL.contains(&capability) {
            true => 100,
            false => 1,
        })
        .sum();
    (entry.privileged, weight, entry.seen.is_some())
}

fn row(entry: &Entry) -> Vec<String> {
    let short = |set: CapabilitySet| match set.is_empty() {
        true => "-".to_owned(),
        false => {
            let names: Vec<String> = set.iter().map(|one| one.short_name().to_owned()).collect();
            render::first_few(&names)
        }
    };
    let seen = |of: fn(&Seen) -> CapabilitySet| {
        entry
            .seen
            .as_ref()
            .map_or_else(|| "?".to_owned(), |seen| short(of(seen)))
    };
    vec![
        entry.container.clone(),
        entry.has.len().to_string(),
        seen(|seen| seen.used),
        entry.seen.as_ref().map_or_else(
            || "?".to_owned(),
            |seen| match seen.unused.len() {
                0 => "-".to_owned(),
                number => format!("{number}: {}", short(seen.unused)),
            },
        ),
        seen(|seen| seen.refused),
        if entry.privileged { "yes" } else { "no" }.to_owned(),
        entry
            .seen
            .as_ref()
            .map_or_else(|| "not observed".to_owned(), |seen| seen.since.clone()),
    ]
}

/// The text format of Prometheus, for node_exporter's directory of text files.
fn prometheus(entries: &[Entry]) -> String {
    let mut text = String::from(
        "# HELP capprof_container_capabilities Capabilities of a running container, by what is known of them.\n\
         # TYPE capprof_container_capabilities gauge\n",
    );
    for entry in entries {
        let mut sets = vec![("has", entry.has)];
        if let Some(seen) = &entry.seen {
            sets.extend([
                ("used", seen.used),
                ("unused", seen.unused),
                ("refused", seen.refused),
            ]);
        }
        for (state, set) in sets {
            let _ = writeln!(
                text,
                "capprof_container_capabilities{{{},state=\"{state}\"}} {}",
                labels(entry),
                set.len()
            );
        }
    }
    text.push_str(
        "# HELP capprof_container_privileged Whether a running container is privileged.\n\
         # TYPE capprof_container_privileged gauge\n",
    );
    for entry in entries {
        let _ = writeln!(
            text,
            "capprof_container_privileged{{{}}} {}",
            labels(entry),
            u8::from(entry.privileged)
        );
    }
    text.push_str(
        "# HELP capprof_container_capability_unused A capability that a running container has and has not used.\n\
         # TYPE capprof_container_capability_unused gauge\n",
    );
    for entry in entries {
        for capability in entry.seen.iter().flat_map(|seen| seen.unused.iter()) {
            let _ = writeln!(
                text,
                "capprof_container_capability_unused{{{},capability=\"{capability}\"}} 1",
                labels(entry)
            );
        }
    }
    text
}

fn labels(entry: &Entry) -> String {
    let value = |text: &str| {
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    };
    format!(
        "container=\"{}\",id=\"{}\"",
        value(&entry.container),
        value(&entry.id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, has: &[Capability], unused: Option<&[Capability]>) -> Entry {
        let set = |members: &[Capability]| members.iter().copied().collect::<CapabilitySet>();
        Entry {
            container: name.to_owned(),
            id: "1".to_owned(),
            privileged: false,
            has: set(has),
            seen: unused.map(|unused| Seen {
                recording: "r".to_owned(),
                since: "t".to_owned(),
                used: set(has).difference(set(unused)),
                unused: set(unused),
                refused: CapabilitySet::EMPTY,
            }),
        }
    }

    #[test]
    fn what_is_most_worth_dropping_comes_first() {
        let ordinary = [Capability::CHOWN, Capability::KILL, Capability::SETUID];
        let mut entries = [
            entry("all used", &ordinary, Some(&[])),
            entry("three unused", &ordinary, Some(&ordinary)),
            entry("not observed", &ordinary, None),
            entry(
                "one that is powerful",
                &[Capability::SYS_ADMIN],
                Some(&[Capability::SYS_ADMIN]),
            ),
            Entry {
                privileged: true,
                ..entry("privileged", &ordinary, None)
            },
        ];
        entries.sort_by_key(|entry| Reverse(worth(entry)));
        let names: Vec<&str> = entries
            .iter()
            .map(|entry| entry.container.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "privileged",
                "one that is powerful",
                "three unused",
                "not observed",
                "all used"
            ]
        );
    }

    #[test]
    fn labels_are_quoted_for_prometheus() {
        let text = prometheus(&[entry(
            "a\"b\\",
            &[Capability::CHOWN],
            Some(&[Capability::CHOWN]),
        )]);
        assert!(
            text.contains("capprof_container_capabilities{container=\"a\\\"b\\\\\",id=\"1\",state=\"unused\"} 1\n"),
            "{text}"
        );
        assert!(text.contains(",capability=\"CAP_CHOWN\"} 1\n"), "{text}");
    }
}
