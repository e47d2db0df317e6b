//! Finds the low-level runtime, and becomes it.

use crate::cloned_binary;
use crate::family::Family;
use crate::helper;
use crate::privilege;
use crate::state;
use capprof_store::file::{self, Attributes};
use nix::errno::Errno;
use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// The directories in which a runtime is looked up by name. Not PATH: podman calls `delete` without it, and `create` and `delete` must find the
/// same runtime.
pub const DIRECTORIES: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// The error that keeps the low-level runtime from being found or started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is in none of the directories.
    #[error("find the low-level runtime: {name} is in none of {}: install it, or set `runtime` in the configuration to an absolute path", DIRECTORIES.join(", "))]
    NotFound {
        /// The name.
        name: String,
    },
    /// An absolute path that is not an executable file.
    #[error("find the low-level runtime: {} is not an executable file: correct `runtime` in the configuration", path.display())]
    NotExecutable {
        /// The path.
        path: PathBuf,
    },
    /// The only match is capprof.
    #[error(
        "find the low-level runtime: {name} is capprof itself: set `runtime` in the configuration to the real one"
    )]
    Itself {
        /// The name or path.
        name: String,
    },
    /// execve(2) failed.
    #[error("start the low-level runtime {}: {source}", path.display())]
    Execute {
        /// The binary.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// The time limit for a runtime's answer to `--version`.
const PATIENCE: Duration = Duration::from_secs(5);

/// The file in the state directory with the answers of runtimes: a line `<device> <inode> <size> <mtime> <ctime> <family>` for each.
const ANSWERS: &str = "runtimes";

/// The runtime's name or path. The end of capprof's own name decides, else the configuration. `family_of` returns a runtime's family.
pub fn select(own_name: &OsStr, configured: &str, family_of: impl Fn(&Path) -> Family) -> String {
    let own_name = own_name.as_bytes();
    let suffix = Family::ALL
        .into_iter()
        .find(|family| own_name.ends_with(format!("-{family}").as_bytes()));
    match suffix {
        // Then the configured path is that runtime, in an unusual directory.
        Some(family)
            if configured.starts_with('/') && family_of(Path::new(configured)) == family =>
        {
            configured.to_owned()
        }
        Some(family) => family.name().to_owned(),
        None => configured.to_owned(),
    }
}

/// The family of a runtime, according to its answer to `--version`. The state directory keeps the answer as long as the file does not change.
///
/// If the answer names neither runc nor crun, or the program cannot be started, its file name decides.
pub fn family_of(path: &Path, state: &Path) -> Family {
    let by_name = || Family::of_name(path);
    let Ok(metadata) = fs::metadata(path) else {
        return by_name();
    };
    let key = format!(
        "{} {} {} {}.{:09} {}.{:09}",
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec()
    );
    let answers = state.join(ANSWERS);
    let known = if state::is_own(state) {
        fs::read_to_string(&answers).unwrap_or_default()
    } else {
        String::new()
    };
    let answered = known.lines().find_map(|line| {
        let name = line.strip_prefix(key.as_str())?.strip_prefix(' ')?;
        Family::ALL.into_iter().find(|family| family.name() == name)
    });
    if let Some(family) = answered {
        return family;
    }
    let answer = helper::output(path, &[OsStr::new("--version")], PATIENCE);
    let Some(family) = answer.ok().and_then(|answer| Family::of_version(&answer)) else {
        return by_name();
    };
    if privilege::is_root_of_host() {
        state::create(state);
    }
    if state::is_own(state) {
        let known: Vec<&str> = known.lines().rev().take(REMEMBERED).collect();
        let mut lines: String = known.iter().rev().map(|line| format!("{line}\n")).collect();
        lines.push_str(&format!("{key} {family}\n"));
        // If this fails, the next call asks again.
        let _ = file::write_unsynced(&answers, lines.as_bytes(), Attributes::Mode(0o600));
    }
    family
}

/// Returns true if a runtime gives a process without `capabilities` all that the runtime itself holds, as runc does from 1.3 on
/// (findings/runc-absent-capabilities.sh).
pub fn gives_all_unasked(path: &Path, family: Family) -> bool {
    family == Family::Runc
        && helper::output(path, &[OsStr::new("--version")], PATIENCE)
            .is_ok_and(|answer| is_runc_from_1_3(&answer))
}

/// Parses `runc version 1.3.6`; a distribution's version has a suffix.
fn is_runc_from_1_3(answer: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(answer);
    let Some(version) = answer.strip_prefix("runc version ") else {
        return false;
    };
    let mut numbers = version
        .split(|character: char| !character.is_ascii_digit())
        .map(str::parse::<u32>);
    matches!(
        (numbers.next(), numbers.next()),
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (1, 3)
    )
}

/// The number of answers that are kept besides the latest.
const REMEMBERED: usize = 15;

/// Finds the binary.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotExecutable`], [`Error::Itself`].
pub fn find(name: &str) -> Result<PathBuf, Error> {
    find_in(name, &DIRECTORIES, itself())
}

/// Device and inode of the running program.
fn itself() -> Option<(u64, u64)> {
    identity(Path::new("/proc/self/exe"))
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn find_in(name: &str, directories: &[&str], own: Option<(u64, u64)>) -> Result<PathBuf, Error> {
    let is_itself = |path: &Path| own.is_some() && identity(path) == own;
    if name.starts_with('/') {
        let path = PathBuf::from(name);
        if !is_executable(&path) {
            return Err(Error::NotExecutable { path });
        }
        if is_itself(&path) {
            return Err(Error::Itself {
                name: name.to_owned(),
            });
        }
        return Ok(path);
    }
    let mut found_itself = false;
    for directory in directories {
        let path = Path::new(directory).join(name);
        if !is_executable(&path) {
            continue;
        }
        // capprof may be installed under the runtime's name in a directory that comes first.
        if is_itself(&path) {
            found_itself = true;
            continue;
        }
        return Ok(path);
    }
    let name = name.to_owned();
    Err(if found_itself {
        Error::Itself { name }
    } else {
        Error::NotFound { name }
    })
}

/// Returns true if the path is a file with a permission to execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The directory under which a runtime keeps its containers' state: `--root`, else the runtime's own default.
///
/// Sources: runc `main.go` and `utils_linux.go` (`shouldHonorXDGRuntimeDir`), crun `src/libcrun/status.c` (`get_run_directory`).
pub fn root(option: Option<&OsStr>, family: Family) -> PathBuf {
    if let Some(root) = option.filter(|root| !root.is_empty()) {
        return absolute(Path::new(root));
    }
    let user = env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty());
    let name = family.name();
    match (user, family) {
        (Some(directory), Family::Crun) => absolute(&Path::new(&directory).join(name)),
        (Some(directory), Family::Runc) if runc_is_rootless() => {
            absolute(&Path::new(&directory).join(name))
        }
        _ => Path::new("/run").join(name),
    }
}

fn runc_is_rootless() -> bool {
    if !nix::unistd::geteuid().is_root() {
        return true;
    }
    // libcontainer/userns: the initial user namespace maps everything to itself in one line.
    !privilege::maps_every_user().unwrap_or(true)
        && env::var_os("USER").is_none_or(|user| user != "root")
}

/// Returns the absolute path without `.`, `..` and doubled slashes, like Go's `filepath.Abs`: it does not look at the file system.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

/// Becomes the runtime, with the same process, arguments, environment, descriptors, working directory and signals.
///
/// The first argument becomes the binary's path, because crun chooses handlers by it. crun is executed from a read-only mount, as it would do
/// itself.
///
/// # Errors
/// [`Error::Execute`]; on success it does not return.
pub fn hand_over(path: &Path, family: Family, arguments: &[OsString]) -> Result<Infallible, Error> {
    let failed = |source: io::Error| Error::Execute {
        path: path.to_owned(),
        source,
    };
    let c_string = |text: &OsStr| {
        CString::new(text.as_bytes()).map_err(|_| failed(io::ErrorKind::InvalidInput.into()))
    };
    let program = c_string(path.as_os_str())?;
    let mut list = vec![program.clone()];
    for argument in arguments.iter().skip(1) {
        list.push(c_string(argument)?);
    }
    if family == Family::Crun
        && let Ok(binary) = cloned_binary::open(path)
    {
        let environment: Vec<CString> = env::vars_os()
            .filter_map(|(name, value)| {
                CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
            })
            .collect();
        // This fails for a script, because its interpreter cannot open a descriptor that execve closes. Then the path is executed.
        let _ = nix::unistd::fexecve(&binary, &list, &environment);
    }
    nix::unistd::execv(&program, &list).map_err(|error: Errno| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(path: &Path) {
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn runc_gives_all_unasked_from_1_3_on() {
        for (answer, gives) in [
            ("runc version 1.3.6\ncommit: x\n", true),
            ("runc version 1.3.0+ds1\n", true),
            ("runc version 1.10.0-rc.1\n", true),
            ("runc version 2.0\n", true),
            ("runc version 1.1.15+ds1\n", false),
            ("runc version 1.2.9\n", false),
            ("crun version 1.28\n", false),
            ("youki version 1.9\n", false),
            ("runc version unknown\n", false),
        ] {
            assert_eq!(is_runc_from_1_3(answer.as_bytes()), gives, "{answer}");
        }
    }

    #[test]
    fn capprofs_own_name_decides_before_the_configuration() {
        for (own, configured, expected) in [
            ("/usr/bin/capprof", "runc", "runc"),
            ("/usr/bin/capprof", "/opt/x", "/opt/x"),
            ("/usr/bin/capprof-crun", "runc", "crun"),
            ("capprof-runc", "crun", "runc"),
            ("capprof-crun", "/opt/crun-1.29", "/opt/crun-1.29"),
            ("capprof-crun", "/opt/runc", "crun"),
            ("runc", "crun", "crun"),
            ("", "runc", "runc"),
        ] {
            assert_eq!(
                select(OsStr::new(own), configured, Family::of_name),
                expected,
                "{own}"
            );
        }
    }

    #[test]
    fn a_runtime_is_asked_once_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("oci");
        let count = directory.path().join("count");
        let says = |name: &str| {
            let script = format!(
                "#!/bin/sh\necho x >>{}\necho {name} version 9\n",
                count.display()
            );
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let asked = || fs::read_to_string(&count).unwrap().lines().count();
        let state = directory.path().join("state");
        fs::create_dir(&state).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
        says("crun");
        for _ in 0..3 {
            assert_eq!(family_of(&path, &state), Family::Crun);
            assert_eq!(asked(), 1);
        }
        // Another program replaces it.
        says("runc");
        assert_eq!(family_of(&path, &state), Family::Runc);
        // The answers in a directory that others can write to are not trusted.
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(family_of(&path, &state), Family::Runc);
        assert_eq!(asked(), 3);
        // This program does not name a family.
        says("something");
        assert_eq!(family_of(&path, &state), Family::Runc);
        assert_eq!(
            family_of(Path::new("/nonexistent/crun"), &state),
            Family::Crun
        );
    }

    #[test]
    fn a_name_is_looked_for_in_order_and_never_found_to_be_capprof() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("a"), directory.path().join("b"));
        let directories = [first.to_str().unwrap(), second.to_str().unwrap()];
        let message = find_in("runc", &directories, None).unwrap_err().to_string();
        assert!(
            message.contains("runc is in none of /usr/local/sbin, "),
            "{message}"
        );
        for directory in [&first, &second] {
            fs::create_dir(directory).unwrap();
        }
        executable(&second.join("runc"));
        // Not executable, so it is passed over.
        fs::write(first.join("runc"), "").unwrap();
        assert_eq!(
            find_in("runc", &directories, None).unwrap(),
            second.join("runc")
        );
        executable(&first.join("runc"));
        assert_eq!(
            find_in("runc", &directories, None).unwrap(),
            first.join("runc")
        );
        let own = identity(&first.join("runc"));
        assert_eq!(
            find_in("runc", &directories, own).unwrap(),
            second.join("runc")
        );
        fs::remove_file(second.join("runc")).unwrap();
        // Under another name too.
        std::os::unix::fs::symlink(first.join("runc"), second.join("runc")).unwrap();
        let error = find_in("runc", &directories, own).unwrap_err();
        assert!(matches!(error, Error::Itself { .. }), "{error}");
        let path = second.join("runc").to_str().unwrap().to_owned();
        let error = find_in(&path, &[], own).unwrap_err();
        assert!(matches!(error, Error::Itself { .. }), "{error}");
        let error = find_in("/nonexistent/runc", &[], own).unwrap_err();
        assert!(matches!(error, Error::NotExecutable { .. }), "{error}");
    }

    #[test]
    fn a_root_is_the_same_however_it_is_spelled() {
        for spelling in ["/run/x", "/run/x/", "/run//x", "/run/./x", "/run/y/../x"] {
            assert_eq!(
                root(Some(OsStr::new(spelling)), Family::Runc),
                Path::new("/run/x"),
                "{spelling}"
            );
        }
        let relative = root(Some(OsStr::new("state")), Family::Runc);
        assert_eq!(relative, env::current_dir().unwrap().join("state"));
    }
}
