//! The configuration file that the low-level runtime will read: where it is, and holding it still while it is rewritten.

use crate::document::Document;
use crate::rewrite;
use capprof_profile::recording::Mode;
use capprof_store::config_json::MARK;
use capprof_store::recording::{Directory, is_in_runtime_state};
use capprof_store::{file, process};
use nix::fcntl::{Flock, OFlag};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The largest configuration that is read, in bytes.
pub const LARGEST: u64 = 64 << 20;

/// What the file is called unless crun is told otherwise.
const USUAL: &str = "config.json";

/// How long another `create` of the same bundle is waited for. It needs the file until its runtime has read it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle cannot be reached.
    #[error("open bundle {}: {source}", path.display())]
    Bundle {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be reached.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link that leads elsewhere.
    #[error("read {}: it is a link to {}, which is outside the bundle", path.display(), target.display())]
    Outside {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A directory, a FIFO, a device.
    #[error("read {}: not a regular file", path.display())]
    NotRegular {
        /// What it is called.
        path: PathBuf,
    },
    /// Larger than anybody's configuration.
    #[error("read {}: {size} bytes, more than the {LARGEST} that are accepted", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// JSON is UTF-8.
    #[error("read {}: not JSON: not UTF-8", path.display())]
    NotUnicode {
        /// The file.
        path: PathBuf,
    },
    /// Nothing in it.
    #[error("read {}: the file is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Not JSON.
    #[error("read {}: not JSON: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        source: serde_json::Error,
    },
    /// Another `create` works on it.
    #[error("lock {}: another container is being created from this bundle: {source}", path.display())]
    Lock {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another container is being created from the same file and its runtime does not come to read it.
    #[error("read {}: another container is being created from this bundle (recording {})", path.display(), recording.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// The directory of the other's recording.
        recording: PathBuf,
    },
}

/// A configuration file that nobody else who keeps to the lock will change.
#[derive(Debug)]
pub struct Configuration {
    /// The bundle, absolute, links resolved.
    pub bundle: PathBuf,
    /// The file, absolute, links resolved.
    pub path: PathBuf,
    /// Its mode and owner.
    pub metadata: Metadata,
    /// What is in it, byte for byte.
    pub content: String,
    /// The same, taken apart.
    pub document: Document,
    lock: Flock<OwnedFd>,
}

impl Configuration {
    /// Finds, locks and reads the configuration of a bundle; `named` is what crun's `--config` says.
    ///
    /// If the file is what another recording's shim wrote, and that recording's runtime has not come to read it yet, waits until it has.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn open(bundle: &OsStr, named: Option<&OsStr>) -> Result<Self, Error> {
        let given = Path::new(bundle);
        let failed = |source| Error::Bundle {
            path: given.to_owned(),
            source,
        };
        let bundle = given.canonicalize().map_err(failed)?;
        if !bundle.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let path = resolve(&bundle, named)?;
        let parent = path.parent().unwrap_or(&bundle).to_owned();
        let started = Instant::now();
        loop {
            let patience = PATIENCE.saturating_sub(started.elapsed());
            let lock = file::lock_directory(&parent, patience).map_err(|source| Error::Lock {
                path: parent.clone(),
                source,
            })?;
            let (metadata, content) = read_regular(&path)?;
            let document = parse(&path, &content, Document::parse)?;
            match taken_by(&document.value) {
                None => {
                    return Ok(Self {
                        bundle,
                        path,
                        metadata,
                        content,
                        document,
                        lock,
                    });
                }
                Some(recording) if started.elapsed() >= PATIENCE => {
                    return Err(Error::InUse { path, recording });
                }
                Some(_) => {}
            }
            drop(lock);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Makes the engine's own configuration out of one that a recording has left behind; gives whether it was such a one.
    ///
    /// The bytes that the recording kept are preferred, unless somebody has changed the file since.
    pub fn undo_rewriting(&mut self) -> bool {
        let Some(directory) = rewrite::mark(&self.document.value) else {
            return false;
        };
        self.document.value = rewrite::restore(self.document.value.take());
        let restored = self.document.write(&self.content);
        let kept = Directory::at(directory).original_configuration();
        let kept = std::fs::read_to_string(kept).ok().filter(|kept| {
            Document::parse(kept).is_ok_and(|document| document.write(kept) == restored)
        });
        // What was JSON before is UTF-8 still.
        self.content = kept.unwrap_or_else(|| String::from_utf8_lossy(&restored).into_owned());
        self.document = Document::parse(&self.content).unwrap_or_default();
        true
    }

    /// Lets others have the file.
    pub fn unlock(self) {
        drop(self.lock);
    }
}

/// The directory of the recording that this file was rewritten for, while its runtime may not have read it yet.
fn taken_by(value: &Value) -> Option<PathBuf> {
    // Most files carry no mark at all, which is quick to see.
    value.get("annotations")?.get(MARK)?;
    let path = rewrite::mark(value)?;
    let directory = Directory::at(path.clone());
    let recording = directory.load().ok()?;
    let has_been_read = match recording.mode {
        Mode::Profile | Mode::Verify => directory.is_armed().unwrap_or(false),
        Mode::Enforce => is_in_runtime_state(&recording),
    };
    (!has_been_read && process::exists(recording.shim)).then_some(path)
}

/// The file that the runtime will open, links resolved. A link may lead around in the bundle, not out of it.
fn resolve(bundle: &Path, named: Option<&OsStr>) -> Result<PathBuf, Error> {
    // crun, src/create.c: a name that is given is looked for from the working directory, except the usual one.
    let path = match named {
        Some(name) if name != USUAL => PathBuf::from(name),
        _ => bundle.join(USUAL),
    };
    let failed = |source| Error::Read {
        path: path.clone(),
        source,
    };
    let resolved = path.canonicalize().map_err(failed)?;
    if resolved.starts_with(bundle) {
        return Ok(resolved);
    }
    // A file that `--config` names outside the bundle may be meant; a link that leads out of where it lies is not.
    let parent = std::path::absolute(&path)
        .and_then(|path| path.parent().unwrap_or(bundle).canonicalize())
        .map_err(failed)?;
    if resolved.starts_with(&parent) {
        Ok(resolved)
    } else {
        Err(Error::Outside {
            path,
            target: resolved,
        })
    }
}

/// Reads a file that is a regular one, no link, and not too large.
///
/// # Errors
/// [`Error::Read`], [`Error::NotRegular`], [`Error::TooLarge`].
pub fn read_regular(path: &Path) -> Result<(Metadata, String), Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file: File = OpenOptions::new()
        .read(true)
        // NONBLOCK: opening a FIFO must not wait for its writer.
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Error::NotRegular {
            path: path.to_owned(),
        });
    }
    let size = metadata.len();
    if size > LARGEST {
        return Err(Error::TooLarge {
            path: path.to_owned(),
            size,
        });
    }
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(LARGEST)
        .read_to_end(&mut content)
        .map_err(failed)?;
    let content = String::from_utf8(content).map_err(|_| Error::NotUnicode {
        path: path.to_owned(),
    })?;
    Ok((metadata, content))
}

/// Parses the content of a file.
///
/// # Errors
/// [`Error::Empty`], [`Error::Malformed`].
pub fn parse<'a, T>(
    path: &Path,
    content: &'a str,
    parse: impl FnOnce(&'a str) -> serde_json::Result<T>,
) -> Result<T, Error> {
    if content.trim().is_empty() {
        return Err(Error::Empty {
            path: path.to_owned(),
        });
    }
    parse(content).map_err(|source| Error::Malformed {
        path: path.to_owned(),
        source,
    })
}
