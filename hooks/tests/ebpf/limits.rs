//! What one recording may take of the maps.

use crate::container::{Container, Tools};
use crate::whole;
use anyhow::{Context, ensure};
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// The number of programs that are kept of one recording: `LIMIT_PROGRAMS` in the program.
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

/// What fills a map of one recording.
struct Filling {
    map: &'static str,
    /// How many rows of it one recording may have: `enum limit` in the program.
    limit: u32,
    script: &'static str,
}

const FILLINGS: [Filling; 7] = [
    Filling {
        map: "checks",
        limit: 8192,
        script: "/bin/probe checks-220",
    },
    Filling {
        map: "capsets",
        limit: 1024,
        script: "/bin/probe capsets-1100",
    },
    Filling {
        map: "attributes",
        limit: 256,
        script: "/bin/probe attributes-300",
    },
    Filling {
        map: "devices",
        limit: 1024,
        script: "/bin/probe devices-1100",
    },
    Filling {
        map: "sysctls",
        limit: 1024,
        script: "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do busybox ln /bin/probe /tmp/$i; /tmp/$i sysctls; done",
    },
    Filling {
        map: "ports",
        limit: 1024,
        script: "/bin/probe ports; /bin/second ports",
    },
    Filling {
        map: "tasks",
        limit: 4096,
        script: "/bin/probe processes-4200",
    },
];

pub(crate) fn each_limit_that_is_reached_is_named(tools: &Tools) -> anyhow::Result<()> {
    for filling in FILLINGS {
        let container = Container::shell(tools, filling.script)?;
        let shut = container.root().join("shut");
        fs::create_dir(&shut)?;
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o700))?;
        let evidence = container.run().context(filling.script)?;
        let reached = format!(
            "this recording has reached its limit of {} rows in the map {}",
            filling.limit, filling.map
        );
        ensure!(
            evidence
                .losses
                .iter()
                .chain(&evidence.unseen)
                .any(|line| line.contains("did not fit") && line.ends_with(&reached)),
            "{}: losses {:?}, unseen {:?}",
            filling.script,
            evidence.losses,
            evidence.unseen
        );
    }
    Ok(())
}

/// Fills what a pinned map has room for, does `work`, and empties it again.
fn with_full<T>(name: &str, work: impl FnOnce() -> T) -> anyhow::Result<T> {
    let set = fs::read_dir("/sys/fs/bpf/capprof")?
        .next()
        .context("nothing is pinned")??;
    let map = MapHandle::from_pinned_path(set.path().join(name))?;
    let size = usize::try_from(map.key_size())?;
    let value = vec![0; usize::try_from(map.value_size())?];
    // No time since boot and no namespace has such a number.
    let keys: Vec<Vec<u8>> = (1..=u64::from(map.max_entries()))
        .filter_map(|number| number.to_ne_bytes().get(..size).map(<[u8]>::to_vec))
        .collect();
    let full = keys
        .iter()
        .find_map(|key| map.update(key, &value, MapFlags::NO_EXIST).err())
        .map_or(libbpf_rs::ErrorKind::TooBig, |error| error.kind());
    let result = work();
    for key in &keys {
        // Some had no room.
        let _ = map.delete(key);
    }
    ensure!(
        full == libbpf_rs::ErrorKind::TooBig,
        "fill {name}: {full:?}"
    );
    Ok(result)
}

pub(crate) fn a_map_without_room_for_another_recording_is_named(
    tools: &Tools,
) -> anyhow::Result<()> {
    // Loads the programs.
    whole(&Container::new(tools, &["/bin/true"])?.run()?)?;
    let before = tools.record(&["slots"])?;
    let container = Container::new(tools, &["/bin/true"])?;
    let refused = with_full("containers", || container.start_and_wait())?;
    let refused = format!("{:#}", refused.err().context("a container was armed")?);
    ensure!(
        refused.contains("update eBPF map containers: it is full"),
        "{refused}"
    );
    ensure!(tools.record(&["slots"])? == before);

    let container = Container::new(tools, &["/bin/probe", "chroot"])?;
    let evidence = with_full("joins", || container.run())??;
    ensure!(
        evidence
            .losses
            .iter()
            .any(|line| line.contains("mount namespace could not be registered")),
        "{:?}",
        evidence.losses
    );
    Ok(())
}

/// How many credentials with which the container mounts overlayfs are told apart: `MOUNTERS` in the program.
const MOUNTERS: usize = 4;

pub(crate) fn mounters_of_overlays_that_are_not_told_apart_are_named(
    tools: &Tools,
) -> anyhow::Result<()> {
    let is_about_mounts = |line: &&String| line.contains("mounts of an overlayfs had more");
    for (mounters, lost) in [(MOUNTERS, false), (MOUNTERS + 1, true)] {
        let action = format!("mounters-{mounters}");
        let evidence = Container::new(tools, &["/bin/probe", &action])?.run()?;
        let found = evidence.losses.iter().find(is_about_mounts);
        ensure!(found.is_some() == lost, "{mounters}: {:?}", evidence.losses);
    }
    Ok(())
}
