//! The program set in bpffs: where it is pinned, and how one process after the other finds it.

use super::layout::{Container, State};
use super::{Error, programs};
use capprof_profile::recording::STATE_DIRECTORY;
use libbpf_rs::{MapCore, MapFlags, MapHandle, ProgramHandle};
use rustix::mount::{MountFlags, mount};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

const BPFFS: &str = "/sys/fs/bpf";

/// The last component is the version of the maps' layout: another layout must not meet these pins.
const DIRECTORY: &str = "/sys/fs/bpf/capprof/v3";

/// The map that is pinned last: where it is, all is.
const LAST: &str = "state";

/// The pins of the program that follows refused checks to the end of their system call, while a recording wants that.
const RESULTS: [&str; 2] = ["program-system_call_exit", "link-system_call_exit"];

/// Which build of the program this binary carries.
const BUILD: &str = env!("CAPPROF_BPF_BUILD");

/// Maps that user space works with, with sizes of key and value.
const MAPS: [&str; 11] = [
    "containers",
    "tasks",
    "joins",
    "checks",
    "programs",
    "capsets",
    "devices",
    "sysctls",
    "symbols",
    "refusals",
    LAST,
];

/// What the loader leaves for whoever finds the set.
#[derive(Debug, Serialize, Deserialize)]
struct Loaded {
    method: String,
    refused: Vec<String>,
    /// Programs that run at capability checks and process events.
    programs: Vec<String>,
    /// Programs that see what is no capability check and were refused, with the reason.
    lacking: BTreeMap<String, String>,
}

/// The pinned program set.
pub(super) struct Set {
    state: State,
    loaded: Loaded,
}

impl Set {
    /// Opens the set, and loads it if there is none or if it is another build's and serves nobody; in the way that `only`
    /// names, if it is given.
    pub(super) fn ensure(only: Option<&str>) -> Result<Self, Error> {
        if let Some(set) = Self::open()?
            && set.is_ours()
        {
            return Ok(set);
        }
        mount_bpffs()?;
        let _lock = lock()?;
        // Somebody may have been faster.
        if let Some(set) = Self::open()?
            && (set.is_ours() || !super::live_slots()?.is_empty())
        {
            return Ok(set);
        }
        remove()?;
        let result = Self::load(only);
        if result.is_err() {
            // Half a set is worse than none.
            let _ = remove();
        }
        result
    }

    /// Opens the set; `None` if none is pinned.
    pub(super) fn open() -> Result<Option<Self>, Error> {
        let path = Path::new(DIRECTORY).join(LAST);
        let map = match open_map(&path) {
            Ok(map) => map,
            Err(_) if !path.exists() => return Ok(None),
            Err(error) => return Err(error),
        };
        let malformed = |reason: &str| Error::Pin {
            operation: "read",
            path: path.clone(),
            reason: format!("{reason} (capprofctl recover --unload removes what is there)"),
        };
        let value = map
            .lookup(0_u32.as_bytes(), MapFlags::ANY)
            .map_err(|error| malformed(&programs::describe(&error)))?
            .unwrap_or_default();
        let state = State::read_from_bytes(&value)
            .map_err(|_| malformed("its values have another size than this version's"))?;
        let text = usize::try_from(state.length)
            .ok()
            .and_then(|length| state.text.get(..length))
            .unwrap_or_default();
        let loaded = serde_json::from_slice(text).map_err(|error| malformed(&error.to_string()))?;
        Ok(Some(Self { state, loaded }))
    }

    fn is_ours(&self) -> bool {
        BUILD.parse() == Ok(self.state.build)
    }

    fn load(only: Option<&str>) -> Result<Self, Error> {
        let mut loaded = programs::load(only).map_err(|refused| Error::Refused { refused })?;
        let directory = Path::new(DIRECTORY);
        let names: Vec<String> = loaded
            .links
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .filter(|name| name != "name_symbols")
            .collect();
        let description = Loaded {
            method: loaded.method.to_owned(),
            refused: loaded.refused,
            programs: names,
            lacking: loaded.lacking,
        };
        let mut state = State::new_zeroed();
        state.build = BUILD.parse().unwrap_or_default();
        let mut text = serde_json::to_vec(&description).unwrap_or_default();
        if text.len() > state.text.len() {
            text = serde_json::to_vec(&Loaded {
                refused: Vec::new(),
                ..description
            })
            .unwrap_or_default();
        }
        for (to, from) in state.text.iter_mut().zip(&text) {
            *to = *from;
        }
        state.length = u32::try_from(text.len()).unwrap_or(0);

        for parent in [directory.parent().unwrap_or(directory), directory] {
            match DirBuilder::new().mode(0o700).create(parent) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::pin("create", parent, &error));
                }
                _ => {}
            }
        }
        for (name, link) in &mut loaded.links {
            let path = directory.join(format!("link-{name}"));
            link.pin(&path)
                .map_err(|error| Error::pin("pin", &path, &programs::describe(&error)))?;
        }
        for mut program in loaded.object.progs_mut() {
            if !program.autoload() {
                continue;
            }
            let path = directory.join(format!("program-{}", program.name().display()));
            program
                .pin(&path)
                .map_err(|error| Error::pin("pin", &path, &programs::describe(&error)))?;
        }
        for name in MAPS {
            for mut map in loaded.object.maps_mut().filter(|map| map.name() == name) {
                if name == LAST {
                    map.update(0_u32.as_bytes(), state.as_bytes(), MapFlags::ANY)
                        .map_err(|error| Error::update(LAST, &error))?;
                }
                let path = directory.join(name);
                map.pin(&path)
                    .map_err(|error| Error::pin("pin", &path, &programs::describe(&error)))?;
            }
        }
        Self::open()?.ok_or_else(|| Error::pin("open", directory, &"nothing is there"))
    }

    /// How capability checks are seen.
    pub(super) fn method(&self) -> String {
        self.loaded.method.clone()
    }

    /// What was refused when the set was loaded.
    pub(super) fn refused(&self) -> Vec<String> {
        self.loaded.refused.clone()
    }

    /// Why what a program is there to see is not seen; `None` if it is.
    pub(super) fn lacking(&self, program: &str) -> Option<&str> {
        self.loaded.lacking.get(program).map(String::as_str)
    }

    /// One of the maps.
    pub(super) fn map(&self, name: &str) -> Result<MapHandle, Error> {
        open_map(&Path::new(DIRECTORY).join(name))
    }

    /// The whole content of a map.
    pub(super) fn rows<K, V>(&self, name: &str) -> Result<Vec<(K, V)>, Error>
    where
        K: FromBytes + KnownLayout + Immutable,
        V: FromBytes + KnownLayout + Immutable,
    {
        self.select(name, |_| true)
    }

    /// The rows of a map whose key is wanted.
    pub(super) fn select<K, V>(
        &self,
        name: &str,
        wanted: impl Fn(&K) -> bool,
    ) -> Result<Vec<(K, V)>, Error>
    where
        K: FromBytes + KnownLayout + Immutable,
        V: FromBytes + KnownLayout + Immutable,
    {
        let map = self.map(name)?;
        let error = |reason: String| Error::Pin {
            operation: "read",
            path: Path::new(DIRECTORY).join(name),
            reason,
        };
        // In one go: the kernel ends a batch early where a bucket does not fit, which libbpf-rs takes for the end of the map.
        // Memory that no row is written to is never touched.
        let iterator = map
            .lookup_batch(map.max_entries(), MapFlags::ANY, MapFlags::ANY)
            .map_err(|reason| error(programs::describe(&reason)))?;
        let mut rows = Vec::new();
        for (key, value) in iterator {
            let (Ok(key), Ok(value)) = (K::read_from_bytes(&key), V::read_from_bytes(&value))
            else {
                return Err(error(
                    "its rows have another size than this version's (capprofctl recover --unload removes what is there)"
                        .to_owned(),
                ));
            };
            if wanted(&key) {
                rows.push((key, value));
            }
        }
        Ok(rows)
    }

    /// The wanted keys of a map whose rows are too large to be read for that: a call each, but no memory for the whole map.
    /// A key can be among them twice if others delete rows meanwhile.
    pub(super) fn keys<K>(&self, name: &str, wanted: impl Fn(&K) -> bool) -> Result<Vec<K>, Error>
    where
        K: FromBytes + KnownLayout + Immutable,
    {
        let keys = self
            .map(name)?
            .keys()
            .filter_map(|key| K::read_from_bytes(&key).ok())
            .filter(wanted)
            .collect();
        Ok(keys)
    }

    /// How many runs of the programs the kernel has skipped because the same program was running on that processor
    /// (`recursion_misses`, kernel/bpf/syscall.c).
    pub(super) fn missed(&self) -> u64 {
        self.loaded
            .programs
            .iter()
            .map(|name| format!("program-{name}"))
            .chain([RESULTS[0].to_owned()])
            .filter_map(|name| {
                let path = Path::new(DIRECTORY).join(name);
                let program = ProgramHandle::from_pinned_path(path).ok()?;
                let descriptor = program.as_fd().as_raw_fd();
                let information = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"));
                information.ok()?.lines().find_map(|line| {
                    line.strip_prefix("recursion_misses:")?
                        .trim()
                        .parse::<u64>()
                        .ok()
                })
            })
            .sum()
    }

    /// Has refused checks followed to the end of their system call while `work` enters a recording that wants it, and until the last such
    /// recording is [forgotten](Self::release_results).
    ///
    /// # Errors
    /// The program is refused by the kernel, or `work` failed; then it is as before.
    pub(super) fn with_results<T>(
        &self,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        // Until the recording is in the map, another hook could take the program for left over.
        let _lock = lock()?;
        let result = self.attach_results().and_then(|()| work());
        if result.is_err() {
            self.remove_unwanted_results()?;
        }
        result
    }

    fn attach_results(&self) -> Result<(), Error> {
        let [program, link] = RESULTS.map(|name| Path::new(DIRECTORY).join(name));
        if link.exists() {
            return Ok(());
        }
        let mut loaded = programs::load_results(Path::new(DIRECTORY))
            .map_err(|reason| Error::pin("load", &program, &reason))?;
        // Left by a hook that was killed in between.
        remove_pin(&program)?;
        for mut object in loaded
            .object
            .progs_mut()
            .filter(|program| program.autoload())
        {
            object
                .pin(&program)
                .map_err(|error| Error::pin("pin", &program, &programs::describe(&error)))?;
        }
        loaded
            .link
            .pin(&link)
            .map_err(|error| Error::pin("pin", &link, &programs::describe(&error)))
    }

    /// Unloads the program that follows refused checks, if no recording wants that any more; gives whether it was there.
    pub(super) fn release_results(&self) -> Result<bool, Error> {
        if !RESULTS
            .iter()
            .any(|name| Path::new(DIRECTORY).join(name).exists())
        {
            return Ok(false);
        }
        let _lock = lock()?;
        self.remove_unwanted_results()
    }

    fn remove_unwanted_results(&self) -> Result<bool, Error> {
        let wanted = self
            .rows::<u64, Container>("containers")?
            .iter()
            .any(|(_, container)| container.results_wanted != 0);
        if wanted {
            return Ok(false);
        }
        let mut found = false;
        for name in RESULTS {
            found |= remove_pin(&Path::new(DIRECTORY).join(name))?;
        }
        Ok(found)
    }

    /// Asks the kernel for the names of addresses, as many as the map takes.
    pub(super) fn name(&self, addresses: &[u64]) -> Result<HashMap<u64, String>, Error> {
        let map = self.map("symbols")?;
        let mut names = HashMap::new();
        // The map serves one at a time.
        let _lock = lock()?;
        for chunk in addresses.chunks(super::layout::SYMBOLS as usize) {
            let mut values = vec![0_u64; super::layout::SYMBOLS as usize];
            for (to, from) in values.iter_mut().zip(chunk) {
                *to = *from;
            }
            let keys: Vec<u32> = (0..super::layout::SYMBOLS).collect();
            map.update_batch(
                keys.as_bytes(),
                values.as_bytes(),
                super::layout::SYMBOLS,
                MapFlags::ANY,
                MapFlags::ANY,
            )
            .map_err(|error| Error::update("symbols", &error))?;
            let path = Path::new(DIRECTORY).join("link-name_symbols");
            let mut text = String::new();
            File::open(&path)
                .and_then(|mut file| file.read_to_string(&mut text))
                .map_err(|error| Error::pin("read", &path, &error))?;
            if text.lines().count() != chunk.len() {
                return Err(Error::pin(
                    "read",
                    &path,
                    &format!(
                        "{} names for {} addresses",
                        text.lines().count(),
                        chunk.len()
                    ),
                ));
            }
            names.extend(
                chunk
                    .iter()
                    .copied()
                    .zip(text.lines().map(ToOwned::to_owned)),
            );
        }
        Ok(names)
    }
}

/// Removes the pins, those that other versions left too, whereupon the kernel detaches and frees the programs; gives whether there were any.
pub(super) fn unload() -> Result<bool, Error> {
    let Some(all) = Path::new(DIRECTORY).parent().filter(|path| path.exists()) else {
        return Ok(false);
    };
    let _lock = lock()?;
    let listed = |error: io::Error| Error::pin("list", all, &error);
    for version in fs::read_dir(all).map_err(listed)? {
        remove_set(&version.map_err(listed)?.path())?;
    }
    Ok(true)
}

fn remove() -> Result<(), Error> {
    remove_set(Path::new(DIRECTORY))
}

fn remove_set(directory: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::pin("list", directory, &error)),
        Ok(entries) => entries,
    };
    // What says that the set is whole goes first.
    let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort_by_key(|name| name != LAST);
    for name in names {
        remove_pin(&directory.join(name))?;
    }
    for path in [Some(directory), directory.parent()].into_iter().flatten() {
        // The parent may hold another version's set.
        let _ = fs::remove_dir(path);
    }
    Ok(())
}

/// Gives whether it was there.
fn remove_pin(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::pin("remove", path, &error)),
    }
}

fn open_map(path: &Path) -> Result<MapHandle, Error> {
    MapHandle::from_pinned_path(path)
        .map_err(|error| Error::pin("open", path, &programs::describe(&error)))
}

fn mount_bpffs() -> Result<(), Error> {
    /// `BPF_FS_MAGIC`, include/uapi/linux/magic.h.
    const MAGIC: u64 = 0xcafe_4a11;
    let path = PathBuf::from(BPFFS);
    let mounted = rustix::fs::statfs(&path)
        .is_ok_and(|statistics| u64::try_from(statistics.f_type) == Ok(MAGIC));
    if mounted {
        return Ok(());
    }
    // As systemd does.
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", &path, "bpf", flags, c"mode=700").map_err(|error| Error::Mount {
        path,
        source: error.into(),
    })
}

/// Keeps other hooks from loading, unloading and naming until it is dropped.
fn lock() -> Result<File, Error> {
    let directory = Path::new(STATE_DIRECTORY);
    let path = directory.join("ebpf.lock");
    let open = || {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let file = File::options().create(true).append(true).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|source| Error::Lock {
        path: path.clone(),
        source,
    })
}

impl Error {
    pub(super) fn pin(
        operation: &'static str,
        path: &Path,
        reason: &dyn std::fmt::Display,
    ) -> Self {
        Self::Pin {
            operation,
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
