//! The number of processes, which the programs check before they look for a process.

use anyhow::{Context, ensure};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

/// A map of the program set.
pub(crate) fn map(name: &str) -> anyhow::Result<MapHandle> {
    let path = capprof_hook::ebpf::directory().join(name);
    Ok(MapHandle::from_pinned_path(path)?)
}

/// Makes sure that exactly the processes of a recording are counted: a process that is not counted is not recorded.
pub(crate) fn are_counted() -> anyhow::Result<()> {
    let value = map("members")?
        .lookup(&0_u32.to_ne_bytes(), MapFlags::ANY)?
        .context("the map of members is empty")?;
    let counted: Vec<u32> = value
        .chunks_exact(4)
        .map(|bytes| u32::from_ne_bytes(bytes.try_into().unwrap_or_default()))
        .collect();
    let (all, of) = (counted[0], &counted[2..]);
    let mut expected = vec![0; of.len()];
    for key in map("tasks")?.keys() {
        let tgid = u32::from_ne_bytes(key.as_slice().try_into()?);
        expected[usize::try_from(tgid)? % of.len()] += 1;
    }
    ensure!(of == expected, "{of:?}\n{expected:?}");
    ensure!(all == expected.iter().sum::<u32>(), "{all} in all");
    Ok(())
}
