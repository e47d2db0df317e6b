//! The limits of one recording in the maps.

use crate::container::{Container, Tools};
use crate::whole;
use anyhow::{Context, ensure};
use capprof_profile::Capability;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The largest number of programs of one recording: `LIMIT_PROGRAMS` in the program.
const LIMIT: usize = 4096;

fn wait_for(file: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !file.exists() {
        ensure!(
            Instant::now() < deadline,
            "the container does not make {}",
            file.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

pub(crate) fn a_recording_that_reaches_its_limits_leaves_room_for_others(
    tools: &Tools,
) -> anyhow::Result<()> {
    let script = "/bin/probe programs-4200; touch /done; sleep 60";
    let greedy = Container::shell(tools, script)?;
    let mut other = None;
    let evidence = greedy.run_with(|greedy| {
        wait_for(&greedy.root().join("done"))?;
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

/// A way to fill a map with rows of one recording.
struct Filling {
    map: &'static str,
    /// The number of rows that one recording may have in it: `enum limit` in the program.
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

/// A map of the loaded programs.
fn pinned(name: &str) -> anyhow::Result<MapHandle> {
    let set = fs::read_dir("/sys/fs/bpf/capprof")?
        .next()
        .context("nothing is pinned")??;
    Ok(MapHandle::from_pinned_path(set.path().join(name))?)
}

/// Fills what a pinned map has room for, does `work`, and empties it again.
pub(crate) fn with_full<T>(name: &str, work: impl FnOnce() -> T) -> anyhow::Result<T> {
    with_full_map(&pinned(name)?, work)
}

/// Does the same with a map that is open.
pub(crate) fn with_full_map<T>(map: &MapHandle, work: impl FnOnce() -> T) -> anyhow::Result<T> {
    let size = usize::try_from(map.key_size())?;
    let value = vec![0; usize::try_from(map.value_size())?];
    // No slot and no namespace has a number like these.
    let keys: Vec<Vec<u8>> = (1..=u64::from(map.max_entries()))
        .filter_map(|number| number.to_ne_bytes().get(..size).map(<[u8]>::to_vec))
        .collect();
    let full = keys
        .iter()
        .find_map(|key| map.update(key, &value, MapFlags::NO_EXIST).err())
        .map_or(libbpf_rs::ErrorKind::TooBig, |error| error.kind());
    let result = work();
    for key in &keys {
        // Some keys did not fit.
        let _ = map.delete(key);
    }
    ensure!(
        full == libbpf_rs::ErrorKind::TooBig,
        "fill {}: {full:?}",
        map.name().display()
    );
    Ok(result)
}

pub(crate) fn a_map_without_room_for_another_recording_is_named(
    tools: &Tools,
) -> anyhow::Result<()> {
    // The first container loads the programs.
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

/// The number of call paths that are kept apart for one kind of check: `PATHS` in the program.
const PATHS: u32 = 64;

/// `mix()` of the program.
fn mix(digest: u64, word: u64) -> u64 {
    let digest = (digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    digest ^ (digest >> 29)
}

/// The offsets in the program's `struct check` of the path's number, the digest of its frames, and the number of frames to compare.
const PATH: usize = 24;
const DIGEST: usize = 80;
const DEPTH: usize = 92;

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(word)
}

/// Adds call paths that never occur to the only row of CAP_SYS_CHROOT, until there are as many as can be kept apart.
fn use_up_paths() -> anyhow::Result<()> {
    let checks = pinned("checks")?;
    let is_chroot = |row: &Vec<u8>| {
        u32::try_from(word(row, 16) & 0xffff_ffff) == Ok(Capability::SYS_CHROOT.number().into())
    };
    let rows: Vec<(Vec<u8>, Vec<u8>)> = checks
        .keys()
        .filter_map(|key| Some((checks.lookup(&key, MapFlags::ANY).ok()??, key)))
        .filter(|(row, _)| is_chroot(row))
        .map(|(row, key)| (key, row))
        .collect();
    let [(key, row)] = &rows[..] else {
        anyhow::bail!("{} rows of CAP_SYS_CHROOT", rows.len());
    };
    // digest_of() of the program: the kind without the number of the path.
    let (second, third) = (word(row, 8), word(row, 16));
    let kind = [
        word(row, 0),
        second.rotate_left(32),
        word(row, 24) >> 32 << 32 | third >> 32 << 16 | third & 0xffff_ffff,
    ];
    let kind = kind.into_iter().fold(1, mix);
    ensure!(word(key, 8) == mix(kind, 0), "the digest is another one");
    for path in 0..PATHS {
        let (mut key, mut row) = (key.clone(), row.clone());
        key[8..].copy_from_slice(&mix(kind, path.into()).to_ne_bytes());
        row[PATH..PATH + 4].copy_from_slice(&path.to_ne_bytes());
        row[DIGEST..DIGEST + 8].copy_from_slice(&u64::from(path).to_ne_bytes());
        row[DEPTH..DEPTH + 4].fill(0);
        checks.update(&key, &row, MapFlags::ANY)?;
    }
    Ok(())
}

pub(crate) fn call_paths_beyond_those_told_apart_are_named(tools: &Tools) -> anyhow::Result<()> {
    let script = "/bin/probe chroot; touch /done; while [ ! -e /go ]; do sleep 0.1; done; /bin/probe chroot-1000; touch /end; sleep 60";
    let evidence = Container::shell(tools, script)?.run_with(|container| {
        wait_for(&container.root().join("done"))?;
        use_up_paths()?;
        fs::write(container.root().join("go"), "")?;
        wait_for(&container.root().join("end"))
    })?;
    let lost = "1000 capability checks came from more call paths than capprof tells apart";
    ensure!(
        evidence.losses.iter().any(|line| line.starts_with(lost)),
        "{:?}",
        evidence.losses
    );
    Ok(())
}

pub(crate) fn arguments_that_are_gone_when_they_are_read_are_named(
    tools: &Tools,
) -> anyhow::Result<()> {
    let evidence = Container::new(tools, &["/bin/probe", "capset-unsteady"])?.run()?;
    let lost = "calls of capset(2) had arguments that could not be read";
    ensure!(
        evidence.losses.iter().any(|line| line.contains(lost)),
        "{:?}",
        evidence.losses
    );
    Ok(())
}

/// The number of credentials that are kept apart for the container's mounts of overlayfs: `MOUNTERS` in the program.
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
