//! The SELinux label of a recording. No other recording has it, and it gives the same access as the engine's label.
//!
//! Type: in scope `domain` capprof's own, in scope `host` the engine's. Low level: the engine's, because volumes are labelled with it, and new files
//! in volumes take it if the policy has no `default_range` (Debian). High level: the low level with two categories that no other process uses. The
//! extra categories make the label unique and fresh (no cache has decisions for it yet), and engines never choose a label of that form: theirs
//! have a single level.
//!
//! In a pod, other containers run at exactly the engine's level, and the policy lets them reach only levels that theirs dominates. There the label
//! keeps the plain level, unless another recording has it. Then the prestart hook empties the access vector cache.
//!
//! The shim runs in the engine's domain, which may not even read selinuxfs on Debian. The prestart hook asks the questions that the shim cannot ask,
//! in a domain of its own, before the container starts.

use capprof_profile::recording::{Label, Process};
use capprof_profile::settings::Settings;
use capprof_profile::settings::{Recorders, Scope};
use capprof_store::recording::Directory;
use capprof_store::selinux_contexts;
use capprof_store::{process, random};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The type of profiled containers in scope `domain` (packaging/selinux).
const DOMAIN: &str = "capprof_t";

/// The boolean that only capprof's policy module has.
const BOOLEAN: &str = "booleans/capprof_recording";

/// The categories that policies usually have (`mcs_num_cats`): c0 to c1023.
const CATEGORIES: u32 = 1024;

/// The number of labels that are remembered. An access vector cache holds some 500 decisions, so it has none for older labels.
const REMEMBERED: usize = 20_000;

/// The number of pairs of categories to try.
const ATTEMPTS: u32 = 256;

/// The reason why no label could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Scope `domain` is wanted and the policy module is not loaded.
    #[error(
        "choose an SELinux label: scope domain needs capprof's policy module, which is not loaded (semodule -i /usr/share/capprof/selinux/capprof.cil)"
    )]
    NoModule,
    /// The engine's label is not a context with a level.
    #[error(
        "choose an SELinux label: {label}: expected user:role:type:level; a policy without levels (MCS or MLS) cannot tell recordings apart"
    )]
    NoLevel {
        /// The label.
        label: String,
    },
    /// No two categories are free.
    #[error("choose an SELinux label: no two categories are free above {level}")]
    Exhausted {
        /// The low level.
        level: String,
    },
    /// The kernel does not accept the label.
    #[error("choose an SELinux label: {label}: not valid under the loaded policy")]
    Invalid {
        /// The label.
        label: String,
    },
    /// The list of labels in use could not be read or written.
    #[error("choose an SELinux label: {}: {source}", path.display())]
    Registry {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The kernel gave no random number.
    #[error("choose an SELinux label: {0}")]
    Random(io::Error),
}

/// The label for a new recording; `None` on a host without SELinux, or if only the eBPF recorder is wanted.
///
/// `scope` is the scope to use, `original` the engine's label or empty, `state` the state directory.
///
/// # Errors
/// The host has SELinux and no label can be made.
pub fn choose(
    configuration: &Settings,
    scope: Option<Scope>,
    original: &str,
    state: &Path,
) -> Result<Option<Label>, Error> {
    let host = Host::new(Path::new("/proc"), Path::new("/sys/fs/selinux"));
    if configuration.recorders == Recorders::Ebpf || !host.has_selinux() {
        return Ok(None);
    }
    let scope = host.scope(scope.unwrap_or(configuration.scope))?;
    let wanted = Wanted::from_engine(
        original,
        scope,
        selinux_contexts::container_process().as_deref(),
    )?;
    let context = host.unused(&wanted, state)?;
    Ok(Some(Label {
        context,
        original: original.to_owned(),
        scope,
        booleans: match scope {
            Scope::Host => configuration.booleans.clone(),
            Scope::Domain | Scope::Auto => Vec::new(),
        },
    }))
}

/// One level: a sensitivity with a set of categories, `s0:c1,c5.c9`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Level {
    sensitivity: String,
    categories: BTreeSet<u32>,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        let (sensitivity, list) = match text.split_once(':') {
            Some((sensitivity, list)) => (sensitivity, Some(list)),
            None => (text, None),
        };
        sensitivity
            .strip_prefix('s')?
            .parse::<u32>()
            .ok()
            .map(drop)?;
        let mut categories = BTreeSet::new();
        for part in list.iter().flat_map(|list| list.split(',')) {
            let number = |text: &str| text.strip_prefix('c')?.parse::<u32>().ok();
            match part.split_once('.') {
                Some((first, last)) => {
                    let (first, last) = (number(first)?, number(last)?);
                    // A range is expanded, so a number beyond any policy must be refused first.
                    if last >= 65_536 {
                        return None;
                    }
                    categories.extend(first..=last);
                }
                None => {
                    categories.insert(number(part)?);
                }
            }
        }
        Some(Self {
            sensitivity: sensitivity.to_owned(),
            categories,
        })
    }
}

impl std::fmt::Display for Level {
    /// The kernel's form (security/selinux/ss/mls.c, `mls_sid_to_context()`): three or more in a row are `c1.c3`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.sensitivity)?;
        let mut separator = ':';
        let mut rest = self.categories.iter().copied().peekable();
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(formatter, "{separator}c{first}")?;
            separator = ',';
            match last - first {
                0 => {}
                1 => write!(formatter, ",c{last}")?,
                _ => write!(formatter, ".c{last}")?,
            }
        }
        Ok(())
    }
}

/// A label without the part that makes it unique.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    /// `user:role:type`.
    identity: String,
    low: Level,
}

impl Wanted {
    fn from_engine(original: &str, scope: Scope, default: Option<&str>) -> Result<Self, Error> {
        // For a privileged container, `label=disable`, or an engine without SELinux support: the label of an ordinary container without categories.
        let unlabelled = original.is_empty();
        let context = if unlabelled {
            default.unwrap_or("system_u:system_r:container_t:s0")
        } else {
            original
        };
        let no_level = || Error::NoLevel {
            label: context.to_owned(),
        };
        let mut parts = context.splitn(4, ':');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (Some(user), Some(role), Some(type_), Some(range)) = (part(), part(), part(), part())
        else {
            return Err(no_level());
        };
        let low = range.split_once('-').map_or(range, |(low, _)| low);
        let mut low = Level::parse(low).ok_or_else(no_level)?;
        if unlabelled {
            low.categories.clear();
        }
        let type_ = match scope {
            Scope::Host => type_,
            Scope::Domain | Scope::Auto => DOMAIN,
        };
        Ok(Self {
            identity: format!("{user}:{role}:{type_}"),
            low,
        })
    }

    fn plain(&self) -> String {
        format!("{}:{}", self.identity, self.low)
    }

    fn extended(&self, categories: [u32; 2]) -> String {
        let mut high = self.low.clone();
        high.categories.extend(categories);
        format!("{}:{}-{high}", self.identity, self.low)
    }
}

/// The categories that the running processes of the host use.
#[derive(Debug, Default)]
struct InUse {
    contexts: BTreeSet<String>,
    categories: BTreeSet<u32>,
}

/// The paths of the files that describe the host.
#[derive(Debug)]
struct Host {
    proc: PathBuf,
    selinuxfs: PathBuf,
}

impl Host {
    fn new(proc: &Path, selinuxfs: &Path) -> Self {
        Self {
            proc: proc.to_owned(),
            selinuxfs: selinuxfs.to_owned(),
        }
    }

    /// Returns true if SELinux is enabled and has a policy. The kernel registers selinuxfs only if SELinux is enabled; other security modules also
    /// use /proc/PID/attr, with text of another form.
    fn has_selinux(&self) -> bool {
        let registered = fs::read_to_string(self.proc.join("filesystems"))
            .is_ok_and(|list| list.split_whitespace().any(|word| word == "selinuxfs"));
        registered
            && context(&self.proc.join("self/attr/current"))
                .is_some_and(|context| context.split(':').count() >= 3)
    }

    fn scope(&self, wanted: Scope) -> Result<Scope, Error> {
        if wanted == Scope::Host {
            return Ok(Scope::Host);
        }
        let loaded = match fs::metadata(self.selinuxfs.join(BOOLEAN)) {
            Ok(_) => true,
            // The engine is confined: its domain cannot switch anything on the host, so the module's own domain is the only way.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => true,
            Err(_) => false,
        };
        match (wanted, loaded) {
            (_, true) => Ok(Scope::Domain),
            (Scope::Domain, false) => Err(Error::NoModule),
            (_, false) => Ok(Scope::Host),
        }
    }

    /// Finds a label that no process, recording or earlier recording has, and remembers it.
    fn unused(&self, wanted: &Wanted, state: &Path) -> Result<String, Error> {
        let mut registry = Registry::open(state)?;
        let in_use = self.in_use();
        let plain = wanted.plain();
        let pod = !wanted.low.categories.is_empty()
            && in_use
                .contexts
                .iter()
                .any(|context| context.splitn(4, ':').nth(3) == Some(&wanted.low.to_string()));
        if pod
            && !in_use.contexts.contains(&plain)
            && !registry.is_live(&plain)
            && !recorded(state, &plain)
        {
            self.check(&plain)?;
            registry.add(&plain)?;
            return Ok(plain);
        }
        let free: Vec<u32> = (0..CATEGORIES)
            .filter(|category| {
                !wanted.low.categories.contains(category) && !in_use.categories.contains(category)
            })
            .collect();
        for _ in 0..ATTEMPTS {
            let (Some(one), Some(other)) = (pick(&free)?, pick(&free)?) else {
                break;
            };
            let context = wanted.extended([one, other]);
            if one != other && !in_use.contexts.contains(&context) && !registry.has(&context) {
                self.check(&context)?;
                registry.add(&context)?;
                return Ok(context);
            }
        }
        Err(Error::Exhausted {
            level: wanted.low.to_string(),
        })
    }

    /// The contexts of all processes that this process may look at. Engines run with all categories; those do not count as used.
    fn in_use(&self) -> InUse {
        let mut in_use = InUse::default();
        for entry in fs::read_dir(&self.proc).into_iter().flatten().flatten() {
            let number = entry.file_name();
            if !number
                .as_encoded_bytes()
                .first()
                .is_some_and(u8::is_ascii_digit)
            {
                continue;
            }
            let Some(context) = context(&entry.path().join("attr/current")) else {
                continue;
            };
            if let Some(range) = context.splitn(4, ':').nth(3) {
                for level in range.split('-').filter_map(Level::parse) {
                    if level.categories.len() < 64 {
                        in_use.categories.extend(level.categories);
                    }
                }
            }
            in_use.contexts.insert(context);
        }
        in_use
    }

    /// Asks the kernel if it accepts the context. If this domain may not ask, the prestart hook will.
    fn check(&self, context: &str) -> Result<(), Error> {
        let result = OpenOptions::new()
            .write(true)
            .open(self.selinuxfs.join("context"))
            .and_then(|mut file| file.write_all(context.as_bytes()));
        match result {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(Error::Invalid {
                label: context.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

fn context(path: &Path) -> Option<String> {
    // This is done for each process of the host, and one read(2) returns everything: at most a page (fs/proc/base.c, proc_pid_attr_read()).
    let mut content = [0; 4096];
    let length = File::open(path)
        .and_then(|mut file| file.read(&mut content))
        .ok()?;
    let text = content[..length]
        .split(|byte| *byte == 0 || *byte == b'\n')
        .next()
        .unwrap_or_default();
    let text = std::str::from_utf8(text).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Picks one at random; `None` if there is none.
fn pick(from: &[u32]) -> Result<Option<u32>, Error> {
    let length = match u64::try_from(from.len()) {
        Ok(length) if length > 0 => length,
        _ => return Ok(None),
    };
    // The slight preference for the first ones does not matter: a label is no secret.
    let index =
        usize::try_from(random::number().map_err(Error::Random)? % length).unwrap_or_default();
    Ok(from.get(index).copied())
}

/// Returns true if a recording in progress has the label.
fn recorded(state: &Path, context: &str) -> bool {
    Directory::list(state, None).is_ok_and(|directories| {
        directories
            .iter()
            .filter_map(|directory| directory.load().ok()?.grant.label)
            .any(|label| label.context == context)
    })
}

/// The labels that were given out since boot, in a locked file in the state directory: a line `<pid> <start time> <context>` for each.
#[derive(Debug)]
struct Registry {
    path: PathBuf,
    file: File,
    lines: Vec<String>,
}

impl Registry {
    fn open(state: &Path) -> Result<Self, Error> {
        let path = state.join("labels");
        let error = |source| Error::Registry {
            path: path.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state)
            .map_err(error)?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(error)?;
        file.lock().map_err(error)?;
        let mut content = String::new();
        file.read_to_string(&mut content).map_err(error)?;
        Ok(Self {
            lines: content.lines().map(str::to_owned).collect(),
            path: path.clone(),
            file,
        })
    }

    fn has(&self, context: &str) -> bool {
        self.lines
            .iter()
            .any(|line| line.rsplit(' ').next() == Some(context))
    }

    /// Returns true if the shim that took the label is still running: its recording may not exist yet.
    fn is_live(&self, context: &str) -> bool {
        self.lines.iter().any(|line| {
            let mut words = line.split(' ');
            let pid = words.next().and_then(|word| word.parse().ok());
            let start_time = words.next().and_then(|word| word.parse().ok());
            words.next() == Some(context)
                && matches!((pid, start_time), (Some(pid), Some(start_time))
                    if process::exists(Process { pid, start_time }))
        })
    }

    fn add(&mut self, context: &str) -> Result<(), Error> {
        let pid = std::process::id();
        let own = i32::try_from(pid).ok().and_then(process::find);
        let line = format!(
            "{pid} {} {context}",
            own.map_or(0, |process| process.start_time)
        );
        let result = if self.lines.len() >= REMEMBERED {
            self.lines.drain(..REMEMBERED / 2);
            let mut content = self.lines.join("\n");
            content.push('\n');
            content.push_str(&line);
            content.push('\n');
            self.file
                .set_len(0)
                .and_then(|()| self.file.rewind())
                .and_then(|()| self.file.write_all(content.as_bytes()))
        } else {
            self.file.write_all(format!("{line}\n").as_bytes())
        };
        result.map_err(|source| Error::Registry {
            path: self.path.clone(),
            source,
        })?;
        self.lines.push(line);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
