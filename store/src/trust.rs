//! Finds the users who could have written a file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file or directory that another user could have written to.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} {what}: any user could have written what is to be enforced: chown it to root, chmod it go-w, and check its content", path.display()
)]
pub struct Untrusted {
    /// The file or directory.
    pub path: PathBuf,
    /// `belongs to user 1000`, `can be written to by others (mode 0777)`.
    pub what: String,
}

/// Checks that only root and the caller could have written `file`, and any directory from `top` down to it.
///
/// # Errors
/// The first file or directory of which that is not true, or that cannot be looked at.
pub fn check(file: &Path, top: &Path) -> Result<(), Untrusted> {
    let below: Vec<&Path> = file
        .ancestors()
        .take_while(|path| path.starts_with(top))
        .collect();
    let own = nix::unistd::geteuid().as_raw();
    for path in below.into_iter().rev() {
        let untrusted = |what| Untrusted {
            path: path.to_owned(),
            what,
        };
        let it = fs::symlink_metadata(path)
            .map_err(|error| untrusted(format!("cannot be looked at ({error})")))?;
        // The administrator may have made the store itself a link: the check of its target follows.
        if it.is_symlink() && path != top {
            return Err(untrusted("is a link".to_owned()));
        }
        let it = fs::metadata(path)
            .map_err(|error| untrusted(format!("cannot be looked at ({error})")))?;
        if ![0, own].contains(&it.uid()) {
            return Err(untrusted(format!("belongs to user {}", it.uid())));
        }
        if it.mode() & 0o022 != 0 {
            let mode = it.mode() & 0o7777;
            return Err(untrusted(format!(
                "can be written to by others (mode {mode:04o})"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_can_write_to_is_not_trusted() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("store");
        let directory = top.join("profiles/web");
        let file = directory.join("capprof.json");
        fs::create_dir_all(&directory).unwrap();
        fs::write(&file, "{}").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        for path in [&top, &top.join("profiles"), &directory] {
            set(path, 0o700).unwrap();
        }
        set(&file, 0o600).unwrap();
        check(&file, &top).unwrap();
        for (path, good, bad) in [
            (&top, 0o700, 0o777),
            (&directory, 0o700, 0o770),
            (&file, 0o600, 0o666),
        ] {
            set(path, bad).unwrap();
            let error = check(&file, &top).unwrap_err();
            assert_eq!(error.path, *path);
            assert!(
                error.to_string().contains(&format!("mode {bad:04o}")),
                "{error}"
            );
            set(path, good).unwrap();
        }
        fs::rename(&file, directory.join("other")).unwrap();
        std::os::unix::fs::symlink("other", &file).unwrap();
        assert_eq!(check(&file, &top).unwrap_err().what, "is a link");
    }

    #[test]
    fn what_belongs_to_another_user_is_not_trusted() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("capprof.json");
        fs::write(&file, "{}").unwrap();
        if std::os::unix::fs::chown(&file, Some(12345), None).is_err() {
            eprintln!("skipped: this user may not give files away");
            return;
        }
        let error = check(&file, place.path()).unwrap_err();
        assert_eq!(error.what, "belongs to user 12345");
    }
}
