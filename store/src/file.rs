//! Files that capprof writes whole or not at all.

use crate::process;
use capprof_profile::recording::FileIdentity;
use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, XattrFlags, fchmod, fchown, fgetxattr,
    fsetxattr, fstat, fsync, lgetxattr, open, openat, openat2, renameat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An operation on a file or directory that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {source}", path.display())]
pub struct Error {
    /// The operation: `read`, `write`, `create directory`, `list`, `look for`, `look at`, `open`, `remove`, `lock`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The reason. Unexpected content is [`io::ErrorKind::InvalidData`].
    pub source: io::Error,
}

/// Makes the error of an operation from its cause, for [`Result::map_err`].
pub fn error<E: Into<io::Error>>(operation: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
    move |source| Error {
        operation,
        path: path.to_owned(),
        source: source.into(),
    }
}

/// The source of a new file's mode and owner.
#[derive(Debug, Clone, Copy)]
pub enum Attributes<'a> {
    /// An existing file. From a replaced file, the new one also takes the SELinux label, if the policy allows that.
    Like(&'a fs::Metadata),
    /// This mode, and the process's own user and group.
    Mode(u32),
}

/// Reads a whole file.
///
/// # Errors
/// [`Error`].
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(error("read", path))
}

/// Reads a whole file that any user may have written: a regular file of at most `largest` bytes.
///
/// # Errors
/// [`Error`]. It refuses a device, a FIFO or a larger file before it reads anything.
pub fn read_regular(path: &Path, largest: u64) -> Result<Vec<u8>, Error> {
    let refuse = |reason: String| error("read", path)(io::Error::other(reason));
    // Without O_NONBLOCK, the open would wait for a FIFO that has no writer.
    let file = File::options()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
        .open(path)
        .map_err(error("read", path))?;
    let metadata = file.metadata().map_err(error("read", path))?;
    if !metadata.is_file() {
        return Err(refuse("not a regular file".to_owned()));
    }
    let mut content = Vec::new();
    // The file may grow while it is read.
    if metadata.len() <= largest {
        file.take(largest.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(error("read", path))?;
    }
    if metadata.len() > largest || u64::try_from(content.len()).is_ok_and(|length| length > largest)
    {
        return Err(refuse(format!("it has more than {largest} bytes")));
    }
    Ok(content)
}

/// Reads a JSON document.
///
/// # Errors
/// The file cannot be read, or is not such a document.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    serde_json::from_slice(&read(path)?).map_err(error("read", path))
}

/// Puts a JSON document at `path` as [`write()`] does, readable by its owner alone, with a newline at its end.
///
/// # Errors
/// [`Error`]; then an existing file is unchanged.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let mut content = serde_json::to_vec_pretty(value).map_err(error("write", path))?;
    content.push(b'\n');
    write(path, &content, Attributes::Mode(0o600))
}

/// Returns true if there is a file or directory at `path`, links followed.
///
/// # Errors
/// [`Error`]: it is not known if it exists, which is not the same as its absence.
pub fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(error("look for", path))
}

/// The directories in a directory, links left out; none if it cannot be read.
pub fn subdirectories(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Returns the identity of the directory at `path`. Links are followed.
///
/// # Errors
/// [`Error`]. A file is not a directory.
pub fn directory_identity(path: &Path) -> Result<FileIdentity, Error> {
    let metadata = fs::metadata(path).map_err(error("look at", path))?;
    match metadata.is_dir() {
        true => Ok(FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
        }),
        false => Err(error("look at", path)(Errno::NOTDIR)),
    }
}

/// Removes a file. It is no error if the file does not exist.
///
/// # Errors
/// [`Error`].
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(error("remove", path)),
    }
}

/// Creates a directory that only its owner can enter.
///
/// # Errors
/// [`Error`]; one that exists already is an error too.
pub fn create_directory(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(error("create directory", path))
}

/// Removes a directory and everything in it. It is no error if the directory does not exist.
///
/// # Errors
/// [`Error`].
pub fn remove_directory(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(error("remove", path)),
    }
}

/// Locks a directory against all other processes that do the same (flock(2)), until the returned value is dropped or the process becomes another program.
/// It is closed then, and not unlocked before: that can fail.
///
/// # Errors
/// It cannot be opened, or another process has held it for as long as `patience`.
pub fn lock_directory(path: &Path, patience: Duration) -> io::Result<File> {
    let directory = File::from(open(path, DIRECTORY, Mode::empty())?);
    let started = Instant::now();
    loop {
        let error = match directory.try_lock() {
            Ok(()) => return Ok(directory),
            Err(error) => io::Error::from(error),
        };
        let passes = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
        if !passes.contains(&error.kind()) || started.elapsed() >= patience {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Puts `content` at `path`: a reader sees the old file or the new one, never a part, also after a crash.
///
/// A temporary file in the same directory is written, synced, given its mode and owner, and renamed; then the directory is synced.
/// If `path` is a symbolic link, the link is replaced, not followed.
///
/// # Errors
/// Any; then the temporary file is gone and `path` is as it was.
pub fn write(path: &Path, content: &[u8], attributes: Attributes<'_>) -> Result<(), Error> {
    let (directory, name) = parent(path)?;
    directory.write(name, content, attributes)
}

/// As [`write()`], but without waiting for the disk: after a crash of the machine the file may be empty. For a file that is of no use by then, or
/// that has a copy elsewhere.
///
/// # Errors
/// As [`write()`].
pub fn write_unsynced(
    path: &Path,
    content: &[u8],
    attributes: Attributes<'_>,
) -> Result<(), Error> {
    let (directory, name) = parent(path)?;
    directory.write_unsynced(name, content, attributes)
}

/// The directory that a file is in, and its name there.
fn parent(path: &Path) -> Result<(OpenDirectory, &OsStr), Error> {
    let name = path
        .file_name()
        .ok_or_else(|| error("write", path)(io::Error::from(io::ErrorKind::InvalidInput)))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // The error names the file, because the caller knows only that.
    let descriptor = open(directory, DIRECTORY, Mode::empty()).map_err(error("write", path))?;
    let directory = OpenDirectory {
        descriptor,
        path: directory.to_owned(),
    };
    Ok((directory, name))
}

/// The flags with which a directory is opened.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// A directory that is held open: files are written into this directory, even if its path leads elsewhere by then.
#[derive(Debug)]
pub struct OpenDirectory {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl OpenDirectory {
    /// Opens a directory, links followed.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            descriptor: open(path, DIRECTORY, Mode::empty()).map_err(error("open", path))?,
            path: path.to_owned(),
        })
    }

    /// Opens a directory that must be the same as before; no symbolic link may lead to it. `former` is its identity from then, if that is
    /// known.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open_again(path: &Path, former: Option<FileIdentity>) -> Result<Self, Error> {
        let descriptor = openat2(
            CWD,
            path,
            DIRECTORY,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
        .map_err(error("open", path))?;
        let directory = Self {
            descriptor,
            path: path.to_owned(),
        };
        let now = directory.identity()?;
        if former.is_some_and(|former| former != now) {
            let reason = "it is not the directory that it was when the container was created";
            return Err(error("open", path)(io::Error::other(reason)));
        }
        Ok(directory)
    }

    /// The identity of the directory, independent of its path.
    ///
    /// # Errors
    /// [`Error`].
    pub fn identity(&self) -> Result<FileIdentity, Error> {
        let status = fstat(&self.descriptor).map_err(error("look at", &self.path))?;
        Ok(FileIdentity {
            device: status.st_dev,
            inode: status.st_ino,
        })
    }

    /// As [`write()`].
    ///
    /// # Errors
    /// As [`write()`].
    pub fn write(
        &self,
        name: &OsStr,
        content: &[u8],
        attributes: Attributes<'_>,
    ) -> Result<(), Error> {
        self.replace(name, content, attributes, true)
            .map_err(error("write", &self.path.join(name)))
    }

    /// As [`write_unsynced()`].
    ///
    /// # Errors
    /// As [`write()`].
    pub fn write_unsynced(
        &self,
        name: &OsStr,
        content: &[u8],
        attributes: Attributes<'_>,
    ) -> Result<(), Error> {
        self.replace(name, content, attributes, false)
            .map_err(error("write", &self.path.join(name)))
    }

    fn replace(
        &self,
        name: &OsStr,
        content: &[u8],
        attributes: Attributes<'_>,
        sync: bool,
    ) -> io::Result<()> {
        let temporary = temporary(name, std::process::id());
        let result = (|| {
            let create = || {
                openat(
                    &self.descriptor,
                    temporary.as_os_str(),
                    OFlags::WRONLY
                        | OFlags::CREATE
                        | OFlags::EXCL
                        | OFlags::CLOEXEC
                        | OFlags::NOFOLLOW,
                    Mode::from_raw_mode(0o600),
                )
            };
            let descriptor = match create() {
                // Only a killed process with our pid can have left it: no other process writes a file of this name.
                Err(Errno::EXIST) => {
                    self.unlink(&temporary)?;
                    create()?
                }
                result => result?,
            };
            let mut file = File::from(descriptor);
            file.write_all(content)?;
            self.dress(name, &file, attributes)?;
            if sync {
                file.sync_all()?;
            }
            renameat(
                &self.descriptor,
                temporary.as_os_str(),
                &self.descriptor,
                name,
            )?;
            if sync {
                fsync(&self.descriptor)?;
            }
            Ok(())
        })();
        if result.is_err() {
            let _ = self.unlink(&temporary);
        }
        result
    }

    /// Gives a new file its mode, owner and label.
    fn dress(&self, name: &OsStr, file: &File, attributes: Attributes<'_>) -> io::Result<()> {
        match attributes {
            Attributes::Like(metadata) => {
                let own = file.metadata()?;
                if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
                    fchown(
                        file,
                        Some(Uid::from_raw(metadata.uid())),
                        Some(Gid::from_raw(metadata.gid())),
                    )?;
                }
                fchmod(file, Mode::from_raw_mode(metadata.mode() & 0o7777))?;
                copy_label(&self.path.join(name), file);
            }
            Attributes::Mode(mode) => fchmod(file, Mode::from_raw_mode(mode))?,
        }
        Ok(())
    }

    /// Removes the temporary files that killed processes left while they wrote files of these names.
    ///
    /// # Errors
    /// [`Error`].
    pub fn remove_temporaries(&self, names: &[&OsStr]) -> Result<(), Error> {
        // This needs a descriptor of its own, because reading a directory moves the position in it.
        let mut entries = Dir::read_from(&self.descriptor).map_err(error("list", &self.path))?;
        for entry in &mut entries {
            let entry = entry.map_err(error("list", &self.path))?;
            let found = OsStr::from_bytes(entry.file_name().to_bytes());
            if let Some(pid) = names.iter().find_map(|name| writer(name, found))
                && process::find(pid).is_none()
            {
                self.unlink(found)
                    .map_err(error("remove", &self.path.join(found)))?;
            }
        }
        Ok(())
    }

    fn unlink(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            result => Ok(result?),
        }
    }
}

/// Returns the name of the temporary file that a process writes before it renames it to this name.
fn temporary(name: &OsStr, pid: u32) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".capprof-{pid}"));
    temporary
}

/// Returns the process that writes, or wrote, this temporary file of the named file; `None` if it is another file.
fn writer(name: &OsStr, found: &OsStr) -> Option<i32> {
    let rest = found.as_bytes().strip_prefix(b".")?;
    let pid = rest.strip_prefix(name.as_bytes())?;
    std::str::from_utf8(pid.strip_prefix(b".capprof-")?)
        .ok()?
        .parse()
        .ok()
}

/// Gives a file the SELinux label of the file that it will replace. The policy's label for a new file in that directory is nearly always the
/// same. If it differs and may not be changed, the write goes on: the content matters more.
fn copy_label(path: &Path, file: &File) {
    const LABEL: &str = "security.selinux";
    // The kernel's own limit for contexts is a page.
    let (mut old, mut new) = ([0; 4096], [0; 4096]);
    let Ok(length) = lgetxattr(path, LABEL, &mut old) else {
        return;
    };
    let current = fgetxattr(file, LABEL, &mut new).map(|length| &new[..length]);
    if current != Ok(&old[..length]) {
        let _ = fsetxattr(file, LABEL, &old[..length], XattrFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        write(&path, b"new", Attributes::Like(&metadata)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_replaced_whole_without_waiting_for_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("capprof.json");
        fs::write(&path, "old").unwrap();
        write_unsynced(&path, b"new", Attributes::Mode(0o600)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_label() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        let file = File::create(&path).unwrap();
        let label = b"system_u:object_r:container_file_t:s0:c1,c2\0";
        if fsetxattr(&file, "security.selinux", label, XattrFlags::empty()).is_err() {
            eprintln!("skipped: this user or file system has no SELinux labels");
            return;
        }
        write(&path, b"new", Attributes::Like(&file.metadata().unwrap())).unwrap();
        let mut found = [0; 128];
        let length = lgetxattr(&path, "security.selinux", &mut found).unwrap();
        assert_eq!(&found[..length], label);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let outside = directory.path().join("outside");
        let path = directory.path().join("link");
        fs::write(&outside, "untouched").unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        write(&path, b"new", Attributes::Mode(0o600)).unwrap();
        assert_eq!(fs::read(&outside).unwrap(), b"untouched");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn an_error_names_the_file_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("absent/config.json");
        let error = write(&path, b"new", Attributes::Mode(0o600)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("absent/config.json: No such file"),
            "{error}"
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    /// One process is gone, and one is writing.
    #[test]
    fn temporary_files_of_killed_processes_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let opened = OpenDirectory::open(directory.path()).unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let own = std::process::id();
        for (name, stays) in [
            (format!(".config.json.capprof-{}", child.id()), false),
            (format!(".config.json.capprof-{own}"), true),
            (".config.json.capprof-x".to_owned(), true),
            (format!(".other.json.capprof-{}", child.id()), true),
            ("config.json".to_owned(), true),
        ] {
            let found = directory.path().join(&name);
            fs::write(&found, "").unwrap();
            opened
                .remove_temporaries(&[OsStr::new("config.json")])
                .unwrap();
            assert_eq!(found.exists(), stays, "{name}");
        }
    }

    #[test]
    fn a_directory_is_opened_again_only_if_it_is_the_same() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (path, moved) = (root.join("out"), root.join("moved"));
        fs::create_dir(&path).unwrap();
        let former = OpenDirectory::open(&path).unwrap().identity().unwrap();
        OpenDirectory::open_again(&path, Some(former)).unwrap();
        fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        let error = OpenDirectory::open_again(&path, Some(former)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "open {}: Too many levels of symbolic links (os error 40)",
                path.display()
            )
        );
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = OpenDirectory::open_again(&path, Some(former)).unwrap_err();
        assert!(
            error.to_string().contains("is not the directory"),
            "{error}"
        );
        OpenDirectory::open_again(&path, None).unwrap();
    }

    #[test]
    fn what_is_written_into_an_open_directory_lands_there() {
        let root = tempfile::tempdir().unwrap();
        let (path, moved) = (root.path().join("out"), root.path().join("moved"));
        fs::create_dir(&path).unwrap();
        let directory = OpenDirectory::open(&path).unwrap();
        fs::rename(&path, &moved).unwrap();
        fs::create_dir(&path).unwrap();
        directory
            .write(OsStr::new("file"), b"new", Attributes::Mode(0o600))
            .unwrap();
        assert_eq!(fs::read(moved.join("file")).unwrap(), b"new");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_is_locked_until_it_is_let_go() {
        let directory = tempfile::tempdir().unwrap();
        let lock = lock_directory(directory.path(), Duration::ZERO).unwrap();
        let error = lock_directory(directory.path(), Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        lock_directory(directory.path(), Duration::ZERO).unwrap();
    }
}
