//! The settings that `capprof-hook recover` and `doctor` take from the configuration.

use std::fs;
use std::process::Command;

#[test]
fn the_state_directory_is_that_of_the_configuration_unless_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let configuration = directory.path().join("config.toml");
    let (configured, named) = (directory.path().join("one"), directory.path().join("two"));
    fs::create_dir_all(configured.join("recordings/key.id")).unwrap();
    fs::create_dir_all(named.join("recordings")).unwrap();
    // An unknown key must not keep recovery from finding recordings.
    let text = format!("state = \"{}\"\nno_such_key = 1\n", configured.display());
    fs::write(&configuration, text).unwrap();
    let named = named.to_string_lossy();
    for (arguments, expected) in [(&[][..], 1), (&["--state", &*named], 0)] {
        let output = Command::new(env!("CARGO_BIN_EXE_capprof-hook"))
            .arg("doctor")
            .args(arguments)
            .env("CAPPROF_CONFIG", &configuration)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["recordings"], expected, "{arguments:?}");
    }
}
