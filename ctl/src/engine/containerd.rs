//! `/etc/containerd/config.toml` (containerd-config.toml(5)).
//!
//! Edited in place and not by a drop-in: containerd before 2.0 does not merge a plugin's configuration from an imported file but replaces the
//! whole section (containerd issue 5837), so the node would lose its network settings.

use super::kind::{Engine, NAME};
use anyhow::{Context, bail};
use std::fs;
use std::path::Path;
use toml_edit::{Array, DocumentMut, Item, RawString, Table, TableLike, value};

/// The runtime that containerd has if none is configured, and uses if a pod names no handler.
const BUILT_IN: &str = "runc";

/// containerd's shim for runtimes with the command line of runc.
const RUNTIME_TYPE: &str = "io.containerd.runc.v2";

/// The comment above the table of the built-in runtime, if capprofctl had to write that.
const NOTE: &str =
    "# Built in, but only as long as no other runtime is configured. Added by capprofctl.";

/// The configuration with the runtime handler added.
///
/// # Errors
/// It is no TOML, of a version without plugins by name, or has something else in the place of a table.
pub(super) fn add(before: Option<&str>, runtime: &str) -> anyhow::Result<String> {
    let mut document: DocumentMut = before.unwrap_or("version = 2\n").parse()?;
    let plugin = plugin(&document)?;
    let default = document
        .get("plugins")
        .and_then(|item| {
            item.get(plugin)?
                .get("containerd")?
                .get("default_runtime_name")?
                .as_str()
        })
        .unwrap_or(BUILT_IN)
        .to_owned();
    let runtimes = descend(
        document.as_table_mut(),
        &["plugins", plugin, "containerd", "runtimes"],
    )?;
    // The first configured runtime replaces the built-in one, and without its default runtime the whole plugin does not start.
    if runtimes.is_empty() && default == BUILT_IN {
        let mut built_in = Table::new();
        built_in["runtime_type"] = value(RUNTIME_TYPE);
        built_in.decor_mut().set_prefix(format!("\n{NOTE}\n"));
        runtimes.insert(BUILT_IN, Item::Table(built_in));
    }
    // The same cgroup driver as the node's other runtimes: with the wrong one pods fail.
    let systemd_cgroup = runtimes
        .get("runc")
        .and_then(|runc| runc.get("options")?.get("SystemdCgroup")?.as_bool());
    let registered = runtimes
        .get(NAME)
        .and_then(|handler| handler.get("options")?.get("BinaryName")?.as_str())
        == Some(runtime);
    if registered && let Some(text) = before {
        return Ok(text.to_owned());
    }
    let mut options = Table::new();
    options["BinaryName"] = value(runtime);
    if let Some(systemd_cgroup) = systemd_cgroup {
        options["SystemdCgroup"] = value(systemd_cgroup);
    }
    // Pods may choose mode, name, output and scope.
    let annotations = || value(Array::from_iter(["io.capprof.*"]));
    let mut handler = Table::new();
    handler["runtime_type"] = value(RUNTIME_TYPE);
    handler["pod_annotations"] = annotations();
    handler["container_annotations"] = annotations();
    handler["options"] = Item::Table(options);
    runtimes.insert(NAME, Item::Table(handler));
    Ok(document.to_string())
}

/// Returns true if a configuration, as `containerd config dump` shows it, has the runtime handler.
pub(super) fn has_handler(dump: &str) -> bool {
    let Ok(document) = dump.parse::<DocumentMut>() else {
        return false;
    };
    ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"]
        .iter()
        .any(|plugin| {
            let runtimes = document
                .get("plugins")
                .and_then(|plugins| plugins.get(plugin)?.get("containerd")?.get("runtimes"));
            runtimes.is_some_and(|runtimes| runtimes.get(NAME).is_some())
        })
}

/// The configuration without the runtime handler; `None` if nothing but the version is left.
///
/// # Errors
/// As [`add`], or the handler is the default one.
pub(super) fn remove(before: &str) -> anyhow::Result<Option<String>> {
    let mut document: DocumentMut = before.parse()?;
    let plugin = plugin(&document)?;
    let containerd = document
        .get("plugins")
        .and_then(|item| item.get(plugin)?.get("containerd"));
    let Some(containerd) = containerd else {
        return Ok(Some(before.to_owned()));
    };
    if containerd
        .get("runtimes")
        .and_then(|runtimes| runtimes.get(NAME))
        .is_none()
    {
        return Ok(Some(before.to_owned()));
    }
    if containerd
        .get("default_runtime_name")
        .and_then(Item::as_str)
        == Some(NAME)
    {
        bail!("default_runtime_name is {NAME}: name another one first");
    }
    let path = ["plugins", plugin, "containerd", "runtimes"];
    let runtimes = descend(document.as_table_mut(), &path)?;
    runtimes.remove(NAME);
    if runtimes.len() == 1 && runtimes.get(BUILT_IN).is_some_and(was_added) {
        runtimes.remove(BUILT_IN);
    }
    // Tables that were made only to hold it.
    for length in (1..=path.len()).rev() {
        let (last, above) = (path[length - 1], &path[..length - 1]);
        let parent = descend(document.as_table_mut(), above)?;
        let made_by_us = parent
            .get(last)
            .and_then(Item::as_table)
            .is_some_and(|table| table.is_empty() && table.is_implicit());
        if made_by_us {
            parent.remove(last);
        }
    }
    let text = document.to_string();
    Ok((text.trim() != "version = 2").then_some(text))
}

/// The configured directory of containerd's running tasks.
pub(super) fn state(root: &Path) -> Option<String> {
    let text = fs::read_to_string(Engine::Containerd.configuration(root)).ok()?;
    let document: DocumentMut = text.parse().ok()?;
    Some(document.get("state")?.as_str()?.to_owned())
}

/// Returns true if the table of the built-in runtime is the one that [`add`] wrote, and still as it was.
fn was_added(built_in: &Item) -> bool {
    built_in.as_table().is_some_and(|table| {
        let prefix = table.decor().prefix().and_then(RawString::as_str);
        table.len() == 1 && prefix.is_some_and(|prefix| prefix.contains(NOTE))
    })
}

/// The plugin that holds the runtimes, by the version of the configuration's format.
fn plugin(document: &DocumentMut) -> anyhow::Result<&'static str> {
    match document.get("version").and_then(Item::as_integer) {
        Some(2) => Ok("io.containerd.grpc.v1.cri"),
        Some(3 | 4) => Ok("io.containerd.cri.v1.runtime"),
        version => bail!(
            "version {}: expected 2, 3 or 4; `containerd config migrate` gives a newer one",
            version.unwrap_or(1)
        ),
    }
}

/// Returns the table at the end of the path. Missing tables are made, without headers of their own.
fn descend<'a>(
    from: &'a mut dyn TableLike,
    path: &[&str],
) -> anyhow::Result<&'a mut dyn TableLike> {
    let mut table = from;
    for (depth, key) in path.iter().enumerate() {
        let item = table.entry(key).or_insert_with(|| {
            let mut made = Table::new();
            made.set_implicit(true);
            Item::Table(made)
        });
        table = item
            .as_table_like_mut()
            .with_context(|| format!("{}: not a table", path[..=depth].join(".")))?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handler_is_added_where_the_version_has_it() {
        for (version, plugin) in [
            (2, "io.containerd.grpc.v1.cri"),
            (3, "io.containerd.cri.v1.runtime"),
            (4, "io.containerd.cri.v1.runtime"),
        ] {
            let text = add(Some(&format!("version = {version}\n")), "/usr/bin/capprof").unwrap();
            let document: DocumentMut = text.parse().unwrap();
            let handler = &document["plugins"][plugin]["containerd"]["runtimes"]["capprof"];
            assert_eq!(
                handler["runtime_type"].as_str(),
                Some("io.containerd.runc.v2")
            );
            assert_eq!(
                handler["options"]["BinaryName"].as_str(),
                Some("/usr/bin/capprof")
            );
            assert!(handler["options"].get("SystemdCgroup").is_none());
            assert!(!text.contains("[plugins]"), "{text}");
        }
    }

    #[test]
    fn the_cgroup_driver_is_that_of_runc() {
        let before = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
        let text = add(Some(before), "/usr/bin/capprof").unwrap();
        assert_eq!(text.matches("SystemdCgroup = true").count(), 2, "{text}");
        assert!(text.starts_with(before), "{text}");
    }

    #[test]
    fn the_built_in_runtime_stays() {
        let runc = |text: &str| -> Option<Item> {
            let document: DocumentMut = text.parse().unwrap();
            let plugin = document.get("plugins")?.get("io.containerd.grpc.v1.cri")?;
            plugin
                .get("containerd")?
                .get("runtimes")?
                .get("runc")
                .cloned()
        };
        let before = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/usr/lib/cni\"\n";
        let with = add(Some(before), "/usr/bin/capprof").unwrap();
        assert_eq!(
            runc(&with).unwrap()["runtime_type"].as_str(),
            Some("io.containerd.runc.v2")
        );
        assert_eq!(add(Some(&with), "/usr/bin/capprof").unwrap(), with);
        assert_eq!(remove(&with).unwrap().as_deref(), Some(before));
        // Keys that were added to it since are not capprof's to remove.
        let changed = with.replace(NOTE, &format!("{NOTE}\n# mine")).replacen(
            "runtime_type",
            "privileged_without_host_devices = true\nruntime_type",
            1,
        );
        let without = remove(&changed).unwrap().unwrap();
        assert!(runc(&without).is_some(), "{without}");

        // If other runtimes are already configured, or another is the default, runc is no longer built in.
        for before in [
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.crun]\nruntime_type = \"io.containerd.runc.v2\"\n",
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\ndefault_runtime_name = \"crun\"\n",
        ] {
            let with = add(Some(before), "/usr/bin/capprof").unwrap();
            assert!(runc(&with).is_none(), "{with}");
        }
    }

    #[test]
    fn tables_of_the_administrator_stay_though_empty() {
        let before = "version = 2\n\n[plugins]\n";
        let with = add(Some(before), "/usr/bin/capprof").unwrap();
        assert_eq!(remove(&with).unwrap().as_deref(), Some(before));
    }
}
