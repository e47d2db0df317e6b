//! The options of a daemon's command line that replace settings of its configuration file.

use super::directory::entries;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The values of an option of a daemon (`--data-root` of `dockerd`): those of every daemon that runs with this root directory, and those in the unit
/// files, and their files of variables, below it.
pub(super) fn values(root: &Path, daemon: &str, unit: &str, option: &str) -> Vec<String> {
    let running = entries(&root.join("proc"))
        .into_iter()
        .filter(|process| has_root(process, root))
        .filter_map(|process| fs::read(process.join("cmdline")).ok())
        .map(|line| {
            line.split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect::<Vec<_>>()
        })
        .filter(|words| {
            let program = words.first().map(Path::new).and_then(Path::file_name);
            program.is_some_and(|name| name == daemon)
        });
    let mut files = vec![
        root.join("etc/default").join(unit),
        root.join("etc/sysconfig").join(unit),
    ];
    for directory in [
        "etc/systemd/system",
        "run/systemd/system",
        "usr/local/lib/systemd/system",
        "usr/lib/systemd/system",
        "lib/systemd/system",
    ] {
        let directory = root.join(directory);
        files.push(directory.join(format!("{unit}.service")));
        files.extend(entries(&directory.join(format!("{unit}.service.d"))));
    }
    let configured = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .map(|text| {
            text.lines()
                .map(str::trim_start)
                .filter(|line| !line.starts_with(['#', ';']))
                .flat_map(|line| line.split([' ', '\t', '"', '\'']))
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
    let mut found: Vec<String> = running
        .chain(configured)
        .flat_map(|words| in_words(&words, option))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Returns false if a process has another root directory: a daemon in a container reads the files of that container.
fn has_root(process: &Path, root: &Path) -> bool {
    match (fs::metadata(process.join("root")), fs::metadata(root)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => true,
    }
}

/// Finds `--option VALUE` and `--option=VALUE`; also with one dash, as Go's own parser accepts it.
fn in_words(words: &[String], option: &str) -> Vec<String> {
    let after = |word: &str| {
        let name = word.trim_start_matches('-');
        (name.len() < word.len())
            .then(|| name.strip_prefix(option))
            .flatten()
            .map(str::to_owned)
    };
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match after(word) {
            Some(rest) if rest.is_empty() => found.extend(words.get(at + 1).cloned()),
            Some(rest) => found.extend(rest.strip_prefix('=').map(str::to_owned)),
            None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::containers::tests::write;
    use super::*;

    #[test]
    fn options_of_running_and_of_configured_daemons_are_found() {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("proc/1/cmdline", "/usr/sbin/dockerd\0--data-root\0/one\0"),
            ("proc/2/cmdline", "/bin/other\0--data-root=/other\0"),
            (
                "etc/default/docker",
                "# DOCKER_OPTS=\"--data-root=/commented\"\nDOCKER_OPTS=\"--ip 1.2.3.4 --data-root=/two\"\n",
            ),
            (
                "etc/systemd/system/docker.service.d/x.conf",
                "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd --data-root /three -H fd://\n",
            ),
            (
                "usr/lib/systemd/system/docker.service",
                "[Service]\nExecStart=/usr/sbin/dockerd --data-root-of-another=/four --data-root=/one\n",
            ),
        ] {
            write(root.path(), name, text);
        }
        assert_eq!(
            values(root.path(), "dockerd", "docker", "data-root"),
            ["/one", "/three", "/two"]
        );
        assert!(values(root.path(), "dockerd", "docker", "exec-root").is_empty());
    }

    #[test]
    fn a_daemon_in_a_container_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        for (number, name, place) in [(1, "here", root.path()), (2, "there", other.path())] {
            write(
                root.path(),
                &format!("proc/{number}/cmdline"),
                &format!("dockerd\0--config-file\0/{name}\0"),
            );
            let link = root.path().join(format!("proc/{number}/root"));
            std::os::unix::fs::symlink(place, link).unwrap();
        }
        assert_eq!(
            values(root.path(), "dockerd", "docker", "config-file"),
            ["/here"]
        );
    }
}
