//! The files that the low-level runtime would read: their paths and their content. They are never written to.
//!
//! They are read as JSON values and not through the types of the crate oci-spec. Those types refuse valid configurations that runc and crun accept
//! (`findings/oci-spec-scheduler-flags.sh`), add capabilities where a configuration has none (`findings/oci-spec-default-capabilities.sh`), and lose
//! members that they do not know. capprof must pass on every configuration that the low-level runtime accepts, and change only its own members.

use capprof_store::document::Document;
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The largest configuration that is read, in bytes.
pub const LARGEST: u64 = 64 << 20;

/// The file's default name. An option of crun changes it.
const USUAL: &str = "config.json";

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle cannot be reached.
    #[error("open bundle {}: {source}", path.display())]
    Bundle {
        /// The directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file cannot be reached.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is a directory, a FIFO or a device.
    #[error("read {}: not a regular file", path.display())]
    NotRegular {
        /// Its name.
        path: PathBuf,
    },
    /// It is larger than any configuration.
    #[error("read {}: it has more than the {LARGEST} bytes that are accepted", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not UTF-8, which JSON is.
    #[error("read {}: not JSON: not UTF-8", path.display())]
    NotUnicode {
        /// The file.
        path: PathBuf,
    },
    /// It is empty.
    #[error("read {}: the file is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is not JSON.
    #[error("read {}: not JSON: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The reason, with line and column.
        source: serde_json::Error,
    },
}

impl Error {
    /// Returns true if the runtime cannot reach the file either, so that it reports the error itself and creates nothing.
    ///
    /// A file that capprof may not read is another matter: a policy may let the runtime read it, but not capprof.
    pub fn is_refused_by_the_runtime(&self) -> bool {
        match self {
            Self::Bundle { source, .. } | Self::Read { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::IsADirectory
            ),
            _ => false,
        }
    }
}

/// A configuration file.
#[derive(Debug)]
pub struct Configuration {
    /// The bundle, absolute, links resolved.
    pub bundle: PathBuf,
    /// The file, absolute, links resolved.
    pub path: PathBuf,
    /// True if it can be read only once: a pipe.
    pub is_consumed: bool,
    /// Its content, byte for byte.
    pub content: String,
    /// The same, parsed.
    pub document: Document,
}

impl Configuration {
    /// Finds and reads the configuration of a bundle; `named` is the value of crun's `--config`.
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
        // What cannot be looked at may be a directory to the runtime.
        if !fs::metadata(&bundle).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        // crun, src/create.c: a given name is relative to the working directory, except the usual one.
        let named = named.filter(|name| *name != USUAL).map(Path::new);
        let (path, bytes) = match named {
            None => {
                let path = bundle.join(USUAL);
                let path = path
                    .canonicalize()
                    .map_err(|source| Error::Read { path, source })?;
                let bytes = read_regular(&path)?;
                (path, bytes)
            }
            Some(path) => (
                std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
                read_any(path)?,
            ),
        };
        let is_consumed = named.is_some_and(|path| !path.is_file());
        let content = unicode(&path, bytes)?;
        let document = parse(&path, &content, Document::parse)?;
        Ok(Self {
            bundle,
            path,
            is_consumed,
            content,
            document,
        })
    }
}

/// Reads a regular file that is not too large. A symbolic link is an error.
fn read_regular(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        // NONBLOCK: opening a FIFO must not wait for its writer.
        .custom_flags(
            (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY)
                .bits()
                .cast_signed(),
        )
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if !metadata.is_file() {
        return Err(Error::NotRegular {
            path: path.to_owned(),
        });
    }
    read_all(path, file)
}

/// Reads a file, a pipe or a descriptor (`/dev/stdin`, `/dev/fd/5`) to its end.
///
/// # Errors
/// [`Error::Read`], [`Error::TooLarge`].
pub fn read_any(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    read_all(path, file)
}

fn read_all(path: &Path, file: File) -> Result<Vec<u8>, Error> {
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let mut content = Vec::with_capacity(usize::try_from(size.min(LARGEST)).unwrap_or(0) + 1);
    file.take(LARGEST + 1)
        .read_to_end(&mut content)
        .map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
    if content.len() as u64 > LARGEST {
        return Err(Error::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(content)
}

/// The content of a file as text.
///
/// # Errors
/// [`Error::NotUnicode`].
pub fn unicode(path: &Path, content: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(content).map_err(|_| Error::NotUnicode {
        path: path.to_owned(),
    })
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
