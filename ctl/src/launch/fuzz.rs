//! Arbitrary command lines of engines: they are parsed or refused, without a panic.

use super::Launch;
use proptest::prelude::*;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

const WORDS: [&str; 40] = [
    "docker",
    "podman",
    "nerdctl",
    "ctr",
    "runc",
    "crun",
    "run",
    "container",
    "create",
    "exec",
    "-d",
    "-it",
    "--rm",
    "--name",
    "--name=web",
    "--cap-add",
    "--cap-add=ALL",
    "--cap-drop",
    "--cap-drop=all",
    "NET_ADMIN",
    "--privileged",
    "--privileged=false",
    "--runtime",
    "--annotation",
    "--annotation=a=b",
    "-v",
    "/a:/b",
    "--cidfile",
    "--entrypoint",
    "--user",
    "1:1",
    "--root",
    "/r",
    "--bundle",
    "-b",
    "--",
    "-",
    "",
    "--=",
    "nginx",
];

proptest! {
    #[test]
    fn a_command_line_is_understood_or_refused(
        engine in prop::sample::select(&WORDS[..6]),
        words in prop::collection::vec(
            prop_oneof![
                8 => prop::sample::select(&WORDS[..]).prop_map(OsString::from),
                1 => prop::collection::vec(any::<u8>(), 0..8).prop_map(OsString::from_vec),
            ],
            0..12,
        ),
    ) {
        let command: Vec<OsString> = [engine.into()].into_iter().chain(words).collect();
        match Launch::parse(&command) {
            Ok(launch) => {
                let _ = launch.check();
            }
            Err(error) => prop_assert_ne!(error.to_string(), ""),
        }
    }
}
