//! Bad input, and the streams and status that a command keeps.

use crate::Test;
use crate::environment::Environment;
use crate::runner::{Outcome, Passed};
use anyhow::ensure;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

/// The code of a test, with the path of capprofctl.
type Body = fn(&Path) -> anyhow::Result<()>;

const BODIES: [(&str, Body); 7] = [
    ("exit_status_is_the_commands", exit_status_is_the_commands),
    (
        "input_and_output_are_the_commands",
        input_and_output_are_the_commands,
    ),
    ("nothing_refused", nothing_refused),
    ("missing_program", missing_program),
    ("without_rights", without_rights),
    ("missing_process", missing_process),
    ("other_pid_namespace", other_pid_namespace),
];

pub(super) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let skip = environment.unusable_recorder("ebpf");
    BODIES
        .iter()
        .map(|(name, body)| {
            let program = environment.binaries.join("capprofctl");
            let run = move || -> Outcome {
                body(&program)?;
                Ok(Passed::Good)
            };
            Test::new(format!("why/input/{name}"), skip.clone(), run)
        })
        .collect()
}

fn why(program: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    Ok(Command::new(program)
        .arg("why")
        .args(arguments)
        .stdin(Stdio::null())
        .output()?)
}

/// Makes sure that the command failed with one line on standard error that contains this.
fn expect_line(output: &Output, expected: &str) -> anyhow::Result<()> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "it succeeded");
    ensure!(
        errors.lines().count() == 1 && errors.contains(expected),
        "expected one line with {expected:?}: {errors}"
    );
    Ok(())
}

fn exit_status_is_the_commands(program: &Path) -> anyhow::Result<()> {
    for status in [0, 3, 255] {
        let script = format!("exit {status}");
        let output = why(program, &["--", "sh", "-c", &script])?;
        ensure!(output.status.code() == Some(status), "{}", output.status);
    }
    let output = why(program, &["--", "sh", "-c", "kill -TERM $$"])?;
    ensure!(output.status.code() == Some(143), "{}", output.status);
    Ok(())
}

fn input_and_output_are_the_commands(program: &Path) -> anyhow::Result<()> {
    let mut child = Command::new(program)
        .args(["why", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(b"through")?;
    }
    let output = child.wait_with_output()?;
    ensure!(output.stdout == b"through", "{:?}", output.stdout);
    Ok(())
}

fn nothing_refused(program: &Path) -> anyhow::Result<()> {
    let output = why(program, &["--", "true"])?;
    ensure!(
        output.stderr == b"nothing was refused\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn missing_program(program: &Path) -> anyhow::Result<()> {
    let output = why(program, &["--", "/nonexistent/program"])?;
    ensure!(output.status.code() == Some(127), "{}", output.status);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        errors.contains("/nonexistent/program: No such file"),
        "{errors}"
    );
    Ok(())
}

fn without_rights(program: &Path) -> anyhow::Result<()> {
    let output = Command::new("setpriv")
        .args(["--bounding-set", "-bpf,-sys_admin,-perfmon"])
        .arg(program)
        .args(["why", "--", "true"])
        .output()?;
    expect_line(&output, "attach eBPF")?;
    let output = Command::new("setpriv")
        .args(["--reuid", "1234", "--clear-groups"])
        .arg(program)
        .args(["why", &std::process::id().to_string()])
        .output()?;
    expect_line(&output, "run it with sudo")
}

fn missing_process(program: &Path) -> anyhow::Result<()> {
    expect_line(&why(program, &["4194300"])?, "there is no such process")?;
    expect_line(
        &why(program, &["no-such-container"])?,
        "find container no-such-container",
    )
}

fn other_pid_namespace(program: &Path) -> anyhow::Result<()> {
    let output = Command::new("unshare")
        .args(["--pid", "--fork"])
        .arg(program)
        .args(["why", "--", "true"])
        .output()?;
    expect_line(&output, "pid namespace of its own")
}
