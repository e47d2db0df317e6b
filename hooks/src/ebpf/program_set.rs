//! The program set in bpffs: processes find it there by its pins and share it.

use super::batch;
use super::error::{Error, describe};
use super::layout::{Container, MAPS, State, VERSION};
use super::method::Method;
use super::programs;
use super::real_time::RealTime;
use super::standby::{self, standby_for};
use capprof_profile::settings::STATE_DIRECTORY;
use capprof_store::file;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use rustix::mount::{MountFlags, mount};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, OsString};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

const BPFFS: &str = "/sys/fs/bpf";

/// The pins of all versions of capprof.
const ALL_VERSIONS: &str = "/sys/fs/bpf/capprof";

/// The pins of this version. The last component is the version of the maps' layout: a program with another layout must not use these pins.
pub fn directory() -> &'static Path {
    static DIRECTORY: LazyLock<PathBuf> =
        LazyLock::new(|| Path::new(ALL_VERSIONS).join(format!("v{VERSION:016x}")));
    &DIRECTORY
}

/// The map that is pinned last: if it is pinned, all are.
const LAST: &str = "state";

/// The digest of the program in this binary.
const BUILD: &str = env!("CAPPROF_BPF_BUILD");

/// The loader's description of the set for the processes that find it.
#[derive(Debug, Serialize, Deserialize)]
struct Loaded {
    method: Method,
    refused: Vec<String>,
    /// Programs that run at capability checks and process events.
    programs: Vec<String>,
    /// Refused programs without which capabilities are still recorded, with the reasons.
    lacking: BTreeMap<String, String>,
}

/// The pinned program set.
pub(super) struct ProgramSet {
    state: State,
    loaded: Loaded,
    /// The maps, in the order of [`MAPS`], each from its first use on.
    maps: [OnceCell<MapHandle>; MAPS.len()],
    /// Held as long as the process uses the maps.
    _real_time: RealTime,
}

impl ProgramSet {
    /// Opens the set. If there is none, or if it is another build's and serves no recording, loads it by the first of these methods that works.
    pub(super) fn ensure(methods: &[Method]) -> Result<Self, Error> {
        if let Some(set) = Self::open()?
            && set.is_ours()
        {
            return Ok(set);
        }
        mount_bpffs()?;
        let _lock = lock()?;
        // Another hook may have pinned it first.
        if let Some(set) = Self::open()?
            && (set.is_ours() || !set.containers()?.is_empty())
        {
            return Ok(set);
        }
        remove()?;
        let result = Self::load(methods);
        if result.is_err() {
            // An incomplete set is worse than none.
            let _ = remove();
        }
        result
    }

    /// Opens the set; `None` if none is pinned.
    pub(super) fn open() -> Result<Option<Self>, Error> {
        let real_time = RealTime::begin();
        let path = directory().join(LAST);
        let map = match open_map(&path) {
            Ok(map) => map,
            Err(_) if !is_pinned(&path)? => return Ok(None),
            Err(error) => return Err(error),
        };
        let malformed = |reason: &str| Error::Pin {
            operation: "read",
            path: path.clone(),
            reason: format!("{reason} (capprofctl recover --unload removes what is there)"),
        };
        let value = repeated(|| {
            map.lookup(0_u32.as_bytes(), MapFlags::ANY)
                .map_err(|error| malformed(&describe(&error)))
        })?
        .unwrap_or_default();
        let state = State::read_from_bytes(&value)
            .map_err(|_| malformed("its values have another size than this version's"))?;
        let text = usize::try_from(state.length)
            .ok()
            .and_then(|length| state.text.get(..length))
            .unwrap_or_default();
        let loaded = serde_json::from_slice(text).map_err(|error| malformed(&error.to_string()))?;
        Ok(Some(Self {
            state,
            loaded,
            maps: [const { OnceCell::new() }; MAPS.len()],
            _real_time: real_time,
        }))
    }

    fn is_ours(&self) -> bool {
        BUILD.parse() == Ok(self.state.build)
    }

    fn load(methods: &[Method]) -> Result<Self, Error> {
        let loaded = programs::load(methods).map_err(|refused| Error::Refused { refused })?;
        let state = describe_set(&loaded);
        pin_set(loaded, &state)?;
        Self::open()?.ok_or_else(|| Error::pin("open", directory(), &"nothing is there"))
    }

    /// The method by which it sees capability checks.
    pub(super) fn method(&self) -> Method {
        self.loaded.method
    }

    /// The methods that the kernel refused when the set was loaded, a line each.
    pub(super) fn refused(&self) -> &[String] {
        &self.loaded.refused
    }

    /// Returns the reason why a program of the set is missing; `None` if it is loaded.
    pub(super) fn lacking(&self, program: &str) -> Option<&str> {
        self.loaded.lacking.get(program).map(String::as_str)
    }

    /// The containers that the kernel side knows, by slot.
    pub(super) fn containers(&self) -> Result<Vec<(u64, Container)>, Error> {
        self.rows("containers")
    }

    /// One of the maps, by its name in [`MAPS`].
    pub(super) fn map(&self, name: &str) -> Result<&MapHandle, Error> {
        let path = directory().join(name);
        let cell = MAPS
            .iter()
            .position(|known| *known == name)
            .and_then(|index| self.maps.get(index))
            .ok_or_else(|| Error::pin("open", &path, &"there is no such map"))?;
        if let Some(map) = cell.get() {
            return Ok(map);
        }
        let map = open_map(&path)?;
        Ok(cell.get_or_init(|| map))
    }

    /// The whole content of a map.
    pub(super) fn rows<K, V>(&self, name: &str) -> Result<Vec<(K, V)>, Error>
    where
        K: FromBytes + IntoBytes + KnownLayout + Immutable,
        V: FromBytes + KnownLayout + Immutable,
    {
        self.select(name, |_| true)
    }

    /// The rows of a map whose keys are wanted.
    pub(super) fn select<K, V>(
        &self,
        name: &str,
        wanted: impl Fn(&K) -> bool,
    ) -> Result<Vec<(K, V)>, Error>
    where
        K: FromBytes + IntoBytes + KnownLayout + Immutable,
        V: FromBytes + KnownLayout + Immutable,
    {
        let map = self.map(name)?;
        repeated(|| {
            let mut rows = Vec::new();
            let read = |key: &[u8], value: &[u8]| {
                let unsized_row = || unreadable(name, &OTHER_SIZE);
                let key = K::read_from_bytes(key).map_err(|_| unsized_row())?;
                if wanted(&key) {
                    rows.push((key, V::read_from_bytes(value).map_err(|_| unsized_row())?));
                }
                Ok(())
            };
            batch::walk(map, read, |error| unreadable(name, &error))?;
            Ok(rows)
        })
    }

    /// One row of a map; `None` if there is none of this key.
    pub(super) fn row<K, V>(&self, name: &str, key: &K) -> Result<Option<V>, Error>
    where
        K: IntoBytes + Immutable,
        V: FromBytes + KnownLayout + Immutable,
    {
        let map = self.map(name)?;
        let value = repeated(|| {
            map.lookup(key.as_bytes(), MapFlags::ANY)
                .map_err(|reason| unreadable(name, &describe(&reason)))
        })?;
        value
            .map(|value: Vec<u8>| {
                V::read_from_bytes(&value).map_err(|_| unreadable(name, &OTHER_SIZE))
            })
            .transpose()
    }

    /// The wanted keys of a map.
    pub(super) fn keys<K>(&self, name: &str, wanted: impl Fn(&K) -> bool) -> Result<Vec<K>, Error>
    where
        K: FromBytes + IntoBytes + KnownLayout + Immutable,
    {
        let map = self.map(name)?;
        repeated(|| {
            let mut keys = Vec::new();
            let read = |key: &[u8], _: &[u8]| {
                let key = K::read_from_bytes(key).map_err(|_| unreadable(name, &OTHER_SIZE))?;
                if wanted(&key) {
                    keys.push(key);
                }
                Ok(())
            };
            batch::walk(map, read, |error| unreadable(name, &error))?;
            Ok(keys)
        })
    }

    /// Deletes rows of a map. It is no error if one is already gone.
    pub(super) fn delete<'key, K: IntoBytes + Immutable + 'key>(
        &self,
        name: &'static str,
        keys: impl IntoIterator<Item = &'key K>,
    ) -> Result<(), Error> {
        let keys: Vec<&[u8]> = keys.into_iter().map(IntoBytes::as_bytes).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let map = self.map(name)?;
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        // The kernel ends a batch at a missing row.
        let is_done = map
            .delete_batch(&keys.concat(), count, MapFlags::ANY, MapFlags::ANY)
            .is_ok();
        if is_done {
            return Ok(());
        }
        for key in keys {
            match map.delete(key) {
                Err(error) if error.kind() != libbpf_rs::ErrorKind::NotFound => {
                    return Err(Error::update(name, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The largest possible number of events that were lost because the kernel skipped a program that was already running on that processor
    /// (`recursion_misses`, kernel/bpf/syscall.c). If another program stands by, an event is lost only if the kernel skipped both. The programs at
    /// the end of system calls are not included: see [`Self::missed_results`].
    pub(super) fn missed(&self) -> u64 {
        let skipped = |pin: &str| recursion_misses(&open_program(&directory().join(pin))?);
        let lost = |name: &String| {
            let first = skipped(&format!("program-{name}"))?;
            let second = standby_for(name)
                .filter(|standby| self.loaded.programs.iter().any(|name| name == standby))
                .and_then(|standby| skipped(&format!("program-{standby}")));
            Some(second.map_or(first, |second| first.min(second)))
        };
        self.loaded
            .programs
            .iter()
            .filter(|name| !standby::is_standby(name))
            .filter_map(lost)
            .sum()
    }

    /// The largest possible number of ends of system calls that all programs which follow refused checks have missed since they were loaded; `None` if
    /// the kernel does not report it. They find most losses themselves (`bpf/results.h`).
    pub(super) fn missed_results(&self) -> Option<u64> {
        result_pins()
            .filter_map(|pin| recursion_misses(&open_program(&pin)?))
            .min()
    }

    /// Asks the kernel for the names of addresses, as many as the map takes.
    pub(super) fn name(&self, addresses: &[u64]) -> Result<HashMap<u64, String>, Error> {
        let path = directory().join("link-name_symbols");
        if let Some(reason) = self.lacking("name_symbols") {
            return Err(Error::pin("read", &path, &reason));
        }
        let map = self.map("symbols")?;
        let mut names = HashMap::new();
        // The map serves one process at a time.
        let _lock = lock()?;
        for chunk in addresses.chunks(super::layout::SYMBOLS as usize) {
            put_symbols(map, chunk)?;
            // The buffer has room for everything, because each further read makes the kernel go on with naming.
            let mut text = String::with_capacity(64 << 10);
            let read = File::open(&path).and_then(|mut file| file.read_to_string(&mut text));
            // Otherwise the next hook would have these addresses named too.
            put_symbols(map, &vec![0; chunk.len()])?;
            read.map_err(|error| Error::pin("read", &path, &error))?;
            // A killed hook may have left other symbols after ours.
            let lines = text.lines().count();
            if lines < chunk.len() {
                let reason = format!("{lines} names for {} addresses", chunk.len());
                return Err(Error::pin("read", &path, &reason));
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

/// The pins of the programs that follow refused checks, from which [`ProgramSet::missed_results`] reads.
pub(super) fn result_pins() -> impl Iterator<Item = PathBuf> {
    let names = programs::results().iter();
    names.map(|name| directory().join(format!("program-{name}")))
}

/// The content of the map `state` of a loaded set.
fn describe_set(loaded: &programs::Loaded) -> State {
    let names = loaded.links.iter().map(|(name, _)| (*name).to_owned());
    let description = Loaded {
        method: loaded.method,
        refused: loaded.refused.clone(),
        programs: names.filter(|name| name != "name_symbols").collect(),
        lacking: loaded.lacking.clone(),
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
    state
}

/// Pins links, programs and maps, so that they outlive this process.
fn pin_set(mut loaded: programs::Loaded, state: &State) -> Result<(), Error> {
    for directory in [Path::new(ALL_VERSIONS), directory()] {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::pin("create", directory, &error));
            }
            _ => {}
        }
    }
    for (name, link) in &mut loaded.links {
        let path = directory().join(format!("link-{name}"));
        link.pin(&path)
            .map_err(|error| Error::pin("pin", &path, &describe(&error)))?;
    }
    for mut program in loaded.object.progs_mut() {
        if !program.autoload() {
            continue;
        }
        let path = directory().join(format!("program-{}", program.name().display()));
        program
            .pin(&path)
            .map_err(|error| Error::pin("pin", &path, &describe(&error)))?;
    }
    for name in MAPS {
        // Maps of a kind that this kernel does not know were not created.
        for mut map in loaded
            .object
            .maps_mut()
            .filter(|map| map.name() == name && map.autocreate())
        {
            if name == LAST {
                map.update(0_u32.as_bytes(), state.as_bytes(), MapFlags::ANY)
                    .map_err(|error| Error::update(LAST, &error))?;
            }
            let path = directory().join(name);
            map.pin(&path)
                .map_err(|error| Error::pin("pin", &path, &describe(&error)))?;
        }
    }
    Ok(())
}

/// Opens a pinned program; `None` if there is none.
#[allow(unsafe_code)]
pub(super) fn open_program(pin: &Path) -> Option<OwnedFd> {
    let pin = CString::new(pin.as_os_str().as_bytes()).ok()?;
    // SAFETY: the kernel reads a string that ends with NUL.
    let descriptor = unsafe { libbpf_sys::bpf_obj_get(pin.as_ptr()) };
    if descriptor < 0 {
        return None;
    }
    // SAFETY: the call has returned a new descriptor, which no other code knows.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The number of runs of a program that the kernel has skipped, from its `struct bpf_prog_info`. `/proc/self/fdinfo` has the same number but takes
/// three times as long, and every container would wait for it twice.
#[allow(unsafe_code)]
fn recursion_misses(program: &OwnedFd) -> Option<u64> {
    let mut information = libbpf_sys::bpf_prog_info::default();
    let mut length = u32::try_from(size_of_val(&information)).ok()?;
    // SAFETY: both pointers are to live values, and the kernel writes at most `length` bytes of numbers and characters. All counts in the
    // structure are zero, so the kernel uses none of its addresses as a buffer.
    let status = unsafe {
        libbpf_sys::bpf_prog_get_info_by_fd(
            program.as_raw_fd(),
            &raw mut information,
            &raw mut length,
        )
    };
    (status == 0).then_some(information.recursion_misses)
}

/// Writes addresses into the map of addresses to name, beginning with its first row.
fn put_symbols(map: &MapHandle, addresses: &[u64]) -> Result<(), Error> {
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let keys: Vec<u32> = (0..count).collect();
    map.update_batch(
        keys.as_bytes(),
        addresses.as_bytes(),
        count,
        MapFlags::ANY,
        MapFlags::ANY,
    )
    .map_err(|error| Error::update("symbols", &error))
}

/// Removes the pins, including those of other versions; the kernel then detaches and frees the programs. Returns true if there were any.
pub fn unload() -> Result<bool, Error> {
    let all = Path::new(ALL_VERSIONS);
    if !is_pinned(all)? {
        return Ok(false);
    }
    let _lock = lock()?;
    let listed = |error: io::Error| Error::pin("list", all, &error);
    for version in fs::read_dir(all).map_err(listed)? {
        remove_set(&version.map_err(listed)?.path())?;
    }
    Ok(true)
}

fn remove() -> Result<(), Error> {
    remove_set(directory())
}

fn remove_set(directory: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::pin("list", directory, &error)),
        Ok(entries) => entries,
    };
    // The pin that marks the set as complete is removed first.
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

/// Returns true if there is a pin of this name.
pub(super) fn is_pinned(path: &Path) -> Result<bool, Error> {
    path.try_exists()
        .map_err(|error| Error::pin("look for", path, &error))
}

/// Removes a pin. Returns true if it existed.
pub(super) fn remove_pin(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::pin("remove", path, &error)),
    }
}

/// The error of a map whose keys or values have another size than this version's.
const OTHER_SIZE: &str = "its rows have another size than this version's (capprofctl recover --unload removes what is there)";

fn unreadable(name: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::pin("read", &directory().join(name), reason)
}

fn open_map(path: &Path) -> Result<MapHandle, Error> {
    repeated(|| {
        MapHandle::from_pinned_path(path)
            .map_err(|error| Error::pin("open", path, &describe(&error)))
    })
}

/// Tries again if reading failed: a call may fail once, for example for lack of memory, and the rows would be lost.
fn repeated<T>(mut read: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    const TRIES: usize = 3;
    for _ in 1..TRIES {
        if let Ok(value) = read() {
            return Ok(value);
        }
    }
    read()
}

fn mount_bpffs() -> Result<(), Error> {
    /// `BPF_FS_MAGIC`, include/uapi/linux/magic.h.
    const MAGIC: u64 = 0xcafe_4a11;
    let path = PathBuf::from(BPFFS);
    // Another mount would hide what is pinned in one that cannot be looked at.
    let statistics = rustix::fs::statfs(&path)
        .map_err(io::Error::from)
        .map_err(file::error("look at", &path))?;
    if u64::try_from(statistics.f_type) == Ok(MAGIC) {
        return Ok(());
    }
    // systemd does the same.
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", &path, "bpf", flags, c"mode=700").map_err(|error| Error::Mount {
        path,
        source: error.into(),
    })
}

/// Keeps other hooks from loading, unloading and naming until it is dropped.
pub(super) fn lock() -> Result<File, Error> {
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
    Ok(open().map_err(file::error("lock", &path))?)
}
