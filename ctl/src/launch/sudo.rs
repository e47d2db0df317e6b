//! `sudo` in front of an engine's command line (sudo(8)).

use anyhow::bail;
use std::ffi::OsString;
use std::path::Path;

/// Options without effect for a process that is already root.
const HARMLESS: [&str; 10] = [
    "-n",
    "--non-interactive",
    "-S",
    "--stdin",
    "-E",
    "--preserve-env",
    "-H",
    "--set-home",
    "-k",
    "--reset-timestamp",
];

/// Returns the command line after `sudo`, or the whole if there is none. A process that is already root does not need it.
///
/// # Errors
/// This process is not root; `sudo` has an option that means something else than to become root.
pub(super) fn strip(command: &[OsString], is_root: bool) -> anyhow::Result<&[OsString]> {
    let is_sudo = |word: &OsString| Path::new(word).file_name().is_some_and(|it| it == "sudo");
    let Some((_, mut rest)) = command.split_first().filter(|(first, _)| is_sudo(first)) else {
        return Ok(command);
    };
    if !is_root {
        bail!(
            "sudo: put it in front of capprofctl, which needs root itself, and leave it out here"
        );
    }
    while let Some((word, behind)) = rest.split_first() {
        let text = word.to_string_lossy();
        rest = match (text.as_ref(), behind.split_first()) {
            ("--", _) => return Ok(behind),
            ("-u" | "--user", Some((user, behind))) if user == "root" => behind,
            ("--user=root" | "-uroot", _) => behind,
            (option, _) if HARMLESS.contains(&option) => behind,
            (option, _) if option.starts_with('-') || option.contains('=') => {
                bail!("sudo {option}: capprofctl does not know what it means here; leave it out")
            }
            _ => return Ok(rest),
        };
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip_line(line: &str, is_root: bool) -> anyhow::Result<String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let rest: Vec<_> = strip(&words, is_root)?
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        Ok(rest.join(" "))
    }

    #[test]
    fn root_does_without_it() {
        for line in [
            "docker run x",
            "sudo docker run x",
            "/usr/bin/sudo -E -n -- docker run x",
            "sudo -u root --preserve-env docker run x",
            "sudo --user=root docker run x",
        ] {
            assert_eq!(strip_line(line, true).unwrap(), "docker run x", "{line}");
        }
        assert_eq!(
            strip_line("docker run sudo", false).unwrap(),
            "docker run sudo"
        );
        assert_eq!(strip_line("sudo", true).unwrap(), "");
    }

    #[test]
    fn what_it_would_change_is_refused() {
        for (line, is_root, expected) in [
            ("sudo docker run x", false, "put it in front of capprofctl"),
            ("sudo -u www docker run x", true, "sudo -u: "),
            (
                "sudo DOCKER_HOST=x docker run x",
                true,
                "sudo DOCKER_HOST=x: ",
            ),
        ] {
            let error = strip_line(line, is_root).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
