//! Hands a rewritten configuration to the low-level runtime. The engine's own file stays as it is.
//!
//! crun has an option for that. runc always reads the bundle's config.json, so it runs in a mount namespace in which another file is mounted
//! over it (`mount_namespace`). Sometimes that is not possible: without CAP_SYS_ADMIN, under a policy that forbids the mount, or for a container
//! without a mount namespace of its own, which would stay in that one. Then runc gets a bundle in the recording's directory, and names that in the
//! container's state.

use crate::argv::{self, Command};
use crate::bundle::Configuration;
use crate::family::Family;
use crate::mount_namespace;
use crate::runtime;
use capprof_profile::recording::Delivery;
use capprof_store::document::Document;
use capprof_store::file::{self, Attributes};
use capprof_store::recording::Directory;
use nix::fcntl::{FcntlArg, fcntl};
use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;

/// The runtime's arguments, in which capprof's file replaces the engine's.
#[derive(Debug)]
pub struct CommandLine<'a> {
    /// The whole list with the program's name at its head.
    pub arguments: &'a mut Vec<OsString>,
    /// The index of the subcommand.
    pub subcommand: usize,
    /// The parsed arguments after the subcommand.
    pub command: &'a Command,
}

impl CommandLine<'_> {
    fn replace(&mut self, present: Option<&argv::Value>, option: &str, value: &OsStr) {
        argv::replace(self.arguments, self.subcommand, present, option, value);
    }
}

/// Hands a rewritten configuration, whose text is that of `source`, to the runtime that the process is about to become.
///
/// # Errors
/// A file cannot be written.
pub fn deliver(
    document: &Document,
    source: &Configuration,
    directory: &Directory,
    family: Family,
    line: &mut CommandLine<'_>,
) -> Result<Delivery, file::Error> {
    let path = directory.configuration();
    let write = |path: &Path, document: &Document| {
        let text = document.write(&source.content);
        // The file is of no use after a crash of the machine.
        file::write_unsynced(path, &text, Attributes::Mode(0o600))
    };
    match family {
        Family::Crun => {
            write(&path, document)?;
            let present = line.command.configuration.as_ref();
            line.replace(present, "config", path.as_os_str());
            Ok(Delivery::Option)
        }
        Family::Runc => {
            write(&path, document)?;
            if has_own_mounts(&document.value)
                && mount_namespace::enter(&path, &source.path).is_ok()
            {
                return Ok(Delivery::Mount);
            }
            let bundle = directory.bundle();
            file::create_directory(&bundle)?;
            write(
                &bundle.join("config.json"),
                &with_absolute_paths(document.clone(), &source.bundle),
            )?;
            let present = line.command.bundle.as_ref();
            line.replace(present, "bundle", bundle.as_os_str());
            Ok(Delivery::Bundle)
        }
    }
}

/// Shows runc the configuration that the container was created with, because it makes the process of `exec` from the bundle's config.json.
///
/// # Errors
/// Those of `mount_namespace::enter`. A bundle without a configuration is no error here: runc will refuse it.
pub fn show_again(directory: &Directory, bundle: &Path) -> io::Result<()> {
    match bundle.join("config.json").canonicalize() {
        Ok(file) => mount_namespace::enter(&directory.configuration(), &file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Replaces the file of an option by a copy in memory, which ends with the runtime.
///
/// # Errors
/// There is no memory or no descriptor left.
pub fn in_memory(
    line: &mut CommandLine<'_>,
    present: Option<&argv::Value>,
    option: &str,
    content: &[u8],
) -> io::Result<()> {
    let mut file = File::from(memfd_create("capprof", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    // It must be above those that the container gets: runc and crun close the others, or mark them to be closed at execve.
    let descriptor = above(&OwnedFd::from(file), first_free(line.command))?;
    let path = format!("/proc/self/fd/{descriptor}");
    line.replace(present, option, OsStr::new(&path));
    Ok(())
}

/// A duplicate that stays open at execve, numbered `lowest` or higher.
fn above(file: &OwnedFd, lowest: RawFd) -> io::Result<RawFd> {
    Ok(fcntl(file.as_fd(), FcntlArg::F_DUPFD(lowest))?)
}

/// The first descriptor that is not passed on to the container by `--preserve-fds` or socket activation.
fn first_free(command: &Command) -> RawFd {
    let number = |text: Option<OsString>| -> RawFd {
        text.and_then(|text| text.to_str()?.trim().parse().ok())
            .filter(|number| (0..=4096).contains(number))
            .unwrap_or(0)
    };
    3 + number(command.preserved_descriptors.clone()) + number(std::env::var_os("LISTEN_FDS"))
}

/// Returns true if the container gets, or joins, a mount namespace that is not the runtime's.
fn has_own_mounts(configuration: &Value) -> bool {
    configuration
        .pointer("/linux/namespaces")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|namespace| namespace.get("type").and_then(Value::as_str) == Some("mount"))
}

/// Returns the configuration for another bundle: paths relative to the bundle (runtime-spec, config.md: `root.path`, sources of bind mounts) become
/// absolute.
fn with_absolute_paths(mut document: Document, bundle: &Path) -> Document {
    let absolute = |value: &mut Value| {
        let path = value
            .as_str()
            .map(|path| runtime::absolute(&bundle.join(path)));
        if let Some(path) = path.as_deref().and_then(Path::to_str) {
            *value = Value::from(path);
        }
    };
    if let Some(path) = document.value.pointer_mut("/root/path") {
        absolute(path);
    }
    let mounts = document
        .value
        .get_mut("mounts")
        .and_then(Value::as_array_mut);
    for mount in mounts.into_iter().flatten() {
        if is_bind_mount(mount)
            && let Some(source) = mount.get_mut("source")
        {
            absolute(source);
        }
    }
    document
}

/// Returns true if a mount of a configuration is a bind mount.
pub fn is_bind_mount(mount: &Value) -> bool {
    let options = mount.get("options").and_then(Value::as_array);
    mount.get("type").and_then(Value::as_str) == Some("bind")
        || options
            .into_iter()
            .flatten()
            .any(|option| matches!(option.as_str(), Some("bind" | "rbind")))
}
