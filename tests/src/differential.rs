//! Makes the same calls with the bare runtime and with capprof in its place. A caller must see the same: in mode `off` byte for byte, in mode
//! `profile` except for the differences in `docs/differences.md`.
//!
//! A scenario is a script of bash. It calls the runtime as `R`, in a directory with a bundle `b`; `t` shows a call's exit status, output and
//! errors, `m` the same with every number masked (process ids, times, sizes).

use crate::container::{Container, succeed};
use crate::environment::{Environment, Runtime};
use crate::runner::{Passed, Test};
use anyhow::{Context, ensure};
use serde_json::json;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The modes, with their names in tests.
const MODES: [(&str, Mode); 3] = [
    ("off_by_annotation", Mode::OffByAnnotation),
    ("off_by_variable", Mode::OffByVariable),
    ("profile", Mode::Profile),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    OffByAnnotation,
    OffByVariable,
    Profile,
}

/// A scenario and the modes in which it must be alike.
struct Scenario {
    name: &'static str,
    script: &'static str,
    /// Text that the bare runtime shows if it works here. If it fails, a comparison proves nothing.
    shows: &'static str,
    modes: &'static [Mode],
}

const ALL: &[Mode] = &[Mode::OffByAnnotation, Mode::OffByVariable, Mode::Profile];

/// Waits for a scenario's turn, which lasts as long as the file is open. One scenario runs at a time on this machine, because all use the same ids, and
/// so the same names of control groups.
fn turn() -> anyhow::Result<fs::File> {
    let control_groups = fs::File::open("/sys/fs/cgroup")?;
    control_groups.lock()?;
    Ok(control_groups)
}

const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "help",
        shows: "-> 0",
        modes: ALL,
        script: "
            for c in '' checkpoint create delete events exec features kill list pause ps restore resume run spec start state update; do
                t R $c --help
            done
            t R --version; t R -v; t R; t R nonsense; t R --nonsense; m R features; t R help run",
    },
    Scenario {
        name: "nobody",
        shows: "+ delete -f nobody -> 0",
        modes: ALL,
        script: "
            for c in start state kill delete pause resume ps events update 'delete --force' 'exec' 'checkpoint --image-path i'; do
                m R $c nobody; m R $c
            done
            m R kill nobody KILL; m R exec nobody true; m R exec -p p.json nobody; m R list; t R list -q; m R list -f json
            m R delete -f nobody; m R state a/b; m R state ..",
    },
    Scenario {
        name: "foreground",
        shows: "1 hello",
        modes: ALL,
        script: "
            args echo hello; t R run -b b c; t R run --bundle b c; t R run --bundle=b c
            args sh -c 'echo out; echo err >&2; exit 7'; t R run -b b c
            args cat; echo input | t0 R run -b b c
            args sh -c 'kill -9 $$'; t R run -b b c
            args id; t R run -b b c; args /bin/absent; m R run -b b c; m R delete -f c
            (cd b && args echo here && t R run c)
            args ls -1 /proc/self/fd; t R run -b b c; t R run --preserve-fds 2 -b b c 3</dev/null 4</dev/null
            LISTEN_FDS=1 t R run -b b c 3</dev/null
            args sh -c 'echo $LISTEN_FDS'; LISTEN_FDS=1 LISTEN_PID=1 t R run -b b c 3</dev/null
            args cat /proc/self/cgroup; t R run --no-new-keyring -b b c",
    },
    Scenario {
        name: "life",
        shows: r#""running""#,
        modes: ALL,
        script: "
            args sleep 60; d R create --pid-file pid -b b c; test -s pid && echo pid
            m R state c; m R list; m R list -q; d R create -b b c; m R start c; m R start c; m R state c; m R ps c; m R ps -f json c
            m R pause c; m R state c; m R resume c; m R update --pids-limit 100 c; e R events --stats c
            m R delete c; m R kill c 0; m R kill c KILL; sleep 0.3; m R state c; m R kill c TERM; m R delete c; m R state c
            d R run -d -b b c; m R kill c KILL; sleep 0.3; m R delete c
            d R run -d -b b c; m R delete --force c; m R delete --force c; ls root 2>/dev/null",
    },
    Scenario {
        name: "exec",
        shows: "1 hello",
        modes: ALL,
        script: r#"
            args sleep 60; d R run -d -b b c
            t R exec c echo hello; t R exec c sh -c 'exit 9'; t R exec c absent; t R exec c
            t R exec --cwd /bin c pwd; t R exec --env A=b -e C=d c sh -c 'echo $A$C'; t R exec -u 7:8 c id -u; t R exec --user 9 c id -g
            t R exec --no-new-privs c grep NoNewPrivs /proc/self/status
            t R exec --pid-file pid2 c true; test -s pid2 && echo pid
            d R exec -d c sleep 1; t R exec --nonsense c true; t R exec --process absent.json c
            echo '{"args":["echo","file"],"cwd":"/","env":["PATH=/bin"]}' >p.json
            t R exec -p p.json c; t R exec --process=p.json c; cat p.json | t0 R exec -p /dev/stdin c; t R exec -p <(cat p.json) c
            t R exec -p p.json c; cat p.json; chmod 400 p.json; t R exec --process p.json c; sha256sum p.json
            t R exec c ls -1 /proc/self/fd; t R exec --preserve-fds 1 c ls -1 /proc/self/fd 3</dev/null
            echo in | t0 R exec c cat
            m R delete -f c"#,
    },
    Scenario {
        name: "bundle",
        shows: "1 hello",
        modes: ALL,
        script: "
            args echo hello
            t R run -b absent c; t R run -b /dev/null c; t R run -b '' c; (cd / && t R run c)
            mkdir empty; t R run -b empty c; mkdir -p dir/config.json; m R run -b dir c
            cp -al b hard; chmod 444 hard/config.json; t R run -b hard c
            cp -a b link; mv link/config.json real.json; ln -s ../real.json link/config.json; t R run -b link c
            ln -s b lb; t R run -b lb c; t R run -b ./b/../b c
            cp -a b odd; jq -c '.future={\"a\":1.50}|.linux.future=[1e2]' b/config.json >odd/config.json; t R run -b odd c
            sed 's/\"PATH=/\"X=\\\\ud800\",&/' b/config.json >odd/config.json; t R run -b odd c
            find . -name config.json -type f | sort | xargs sha256sum",
    },
    Scenario {
        name: "ids",
        shows: "+ run -b b plain -> 0",
        modes: ALL,
        script: "
            args true; t R run -b b plain
            for id in a a.b-c+d_1 a,b a:b a@b 'a b' \u{e4} '' . .. a/b $(printf 'x%.0s' $(seq 240)) $(printf 'x%.0s' $(seq 300)); do
                m R run -b b \"$id\"
            done
            m R run -b b; m R run -b b a b; m R run a -b b; m R run -b=b a; m R run -b b -- a",
    },
    Scenario {
        name: "log",
        shows: "1 hello",
        modes: ALL,
        script: "
            args echo hello
            for f in text json; do
                t R --log log.$f --log-format $f run -b b c; m R --log log.$f --log-format $f run -b absent c; m cat log.$f
                m R --log=log2.$f --log-format=$f kill nobody 9; m cat log2.$f
            done
            t R --log /nonexistent/log run -b b c; m R --log-format x run -b b c; m R --debug state nobody; m R --systemd-cgroup state nobody",
    },
    Scenario {
        name: "options",
        shows: "1 hello",
        modes: ALL,
        script: "
            args echo hello
            for o in --no-pivot --no-new-keyring --no-subreaper --keep '--pid-file pid' '--preserve-fds 0' '--console-socket absent'; do
                m R run $o -b b c; m R delete -f c
            done
            m R run --unheard-of=1 -b b c; m R run --no-pivot=x -b b c; m R run --bundle; m R run -b
            m R create -b b --bundle b c; m R delete -f c; m R run --help; m R create --help c",
    },
    Scenario {
        name: "many",
        shows: "80 create -> 0",
        modes: &[Mode::Profile],
        // One bundle for all, so that they share config.json. It has no overlay, because two containers cannot mount that at the same time.
        script: "
            args sleep 60; jq 'del(.mounts[] | select(.type == \"overlay\"))' b/config.json >c.json; cat c.json >b/config.json; rm c.json
            all() { for i in $(seq 80); do (\"$@\" c$i </dev/null >/dev/null 2>&1; echo \"$2 -> $?\" >>many) & done; wait; sort many | uniq -c; rm many; }
            all R create -b b; all R start; all R delete -f; t R list -q",
    },
    Scenario {
        name: "malformed",
        shows: "1 hello",
        // If the configuration cannot be read, only the variable can say `off`.
        modes: &[Mode::OffByVariable],
        script: "
            args echo hello; t R run -b b c; cp b/config.json good.json
            try() { printf '%s' \"$1\" >b/config.json; m R run -b b c; }
            try ''; try '{'; try 'x'; try '[]'; try '{\"process\":1}'; try \"$(cat good.json) x\"; try \"$(cat good.json)/**/\"
            try \"$(sed 's/\"process\"/\"Process\"/' good.json)\"; try \"$(sed 's/\"cwd\"/\"args\":[],&/' good.json)\"
            try \"$(sed 's/\"bounding\"/\"bounding\":[],&/' good.json)\"
            printf '\\xff' >>b/config.json; m R run -b b c; cp good.json b/config.json
            t R restore -b b --image-path absent c; mkdir img; m R restore -b b --image-path img c
            args sleep 60; d R run -d -b b c; echo '{' >q.json; m R exec -p q.json c; m R delete -f c
            m R run --unheard-of 1 -b b c; m R run -b b -a; m R --unheard-of run -b b c",
    },
];

/// The functions that scenarios call. Its arguments: the directory, `--`, and the runtime's command line.
const PRELUDE: &str = r#"
    cd "$1" || exit; D=$1; shift 2; program=("$@")
    R() { "${program[@]}" --root "$D/root" "$@"; }
    args() { (cd "$D" && jq '.process.args=$ARGS.positional' b/config.json --args -- "$@" >c.json && cat c.json >b/config.json && rm c.json); }
    # Files, not pipes: what is left of a container would keep a pipe open. `edits` is what else sed is to do.
    edits=()
    t0() { "$@" >"$D/out" 2>"$D/err"; local s=$?; echo "+ ${*:2} -> $s"; sed -E "${edits[@]}" -e 's/^/1 /' "$D/out"; sed -E "${edits[@]}" -e 's/^/2 /' "$D/err"; rm -f "$D/out" "$D/err"; }
    t() { t0 "$@" </dev/null; }
    # Numbers (process ids, times) and the widths of columns differ from run to run. The exit status does not.
    m() { local edits=(-e 's/[0-9]+/N/g; s/ +/ /g; s/-+/-/g'); t "$@"; }
    # Of `events`, runc leaves out whatever counter is 0, and which are 0 differs from run to run.
    # So what is compared is all but the counters. runc 1.1.5: types/events.go, `omitempty`.
    e() { m "$@" | sed -E 's/"[a-z_]+":-?N,?//g; s/,\}/}/g'; }
    d() { m "$@"; }
"#;

/// Every scenario under each runtime and in each of its modes.
pub(crate) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let mut tests = Vec::new();
    for runtime in &environment.runtimes {
        for scenario in &SCENARIOS {
            for (mode_name, mode) in MODES {
                if !scenario.modes.contains(&mode) {
                    continue;
                }
                let name = format!(
                    "differential/{}/{}/{mode_name}",
                    runtime.name, scenario.name
                );
                let (environment_, runtime_) = (Arc::clone(environment), runtime.clone());
                tests.push(Test::new(name, runtime.unusable.clone(), move || {
                    compare(&environment_, &runtime_, scenario, mode)
                        .map(|()| Passed::Good)
                        .map_err(|error| format!("{error:#}").into())
                }));
            }
        }
    }
    tests
}

fn compare(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    scenario: &Scenario,
    mode: Mode,
) -> anyhow::Result<()> {
    let _turn = turn()?;
    let container = Container::new(environment, runtime, &["/bin/true"])?;
    for name in ["echo", "grep", "id", "pwd"] {
        std::os::unix::fs::symlink("busybox", container.bundle().join("rootfs/bin").join(name))?;
    }
    if mode == Mode::OffByAnnotation {
        container.edit(|config| config["annotations"] = json!({"io.capprof.mode": "off"}))?;
    }
    // Both runs use the same directory name, one after the other, so that no path differs.
    let place = container.path("place");
    let capprof = environment.binaries.join("capprof").display().to_string();
    let mut outcomes = Vec::new();
    // It is called by the path that capprof uses, because runc's messages contain the name by which it was called.
    let bare = find(runtime.name)?;
    for program in [&bare, &capprof] {
        fs::create_dir(&place)?;
        succeed(
            Command::new("cp")
                .arg("--archive")
                .arg(container.bundle())
                .arg(place.join("b")),
        )?;
        outcomes.push(carry_out(&container, program, scenario.script, mode)?);
        succeed(Command::new("rm").arg("-rf").arg(&place))?;
    }
    let [bare, ours] = &outcomes[..] else {
        unreachable!()
    };
    ensure!(
        bare.contains(scenario.shows),
        "the bare runtime does not work here: {bare}"
    );
    let recordings = container.recordings()?;
    ensure!(recordings.is_empty(), "left: {recordings:?}");
    let differences = differences(bare, ours);
    ensure!(differences.is_empty(), "{differences}");
    Ok(())
}

/// The runtime, where capprof finds it.
fn find(name: &str) -> anyhow::Result<String> {
    capprof::runtime::DIRECTORIES
        .iter()
        .map(|directory| format!("{directory}/{name}"))
        .find(|path| Path::new(path).exists())
        .with_context(|| format!("find {name}"))
}

/// Runs a scenario; returns its output, and the files in its directory afterwards.
fn carry_out(
    container: &Container,
    program: &str,
    script: &str,
    mode: Mode,
) -> anyhow::Result<String> {
    let place = container.path("place");
    let runtime = &container.runtime;
    // This writes capprof's configuration.
    container.command(&[])?;
    let mut command = Command::new("timeout");
    command
        .args(["-k", "5", "240"])
        .args(&runtime.prefix)
        .args([
            "bash",
            "-c",
            &format!("{PRELUDE}\n{script}"),
            "differential",
        ])
        .arg(&place)
        .args(["--", program])
        .args(&runtime.globals)
        .env("CAPPROF_CONFIG", container.path("config.toml"))
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null());
    if mode == Mode::OffByVariable {
        command.env("CAPPROF_MODE", "off");
    }
    let shown = container.path("shown");
    let status = command
        .stdout(fs::File::create(&shown)?)
        .stderr(Stdio::inherit())
        .status()?;
    ensure!(status.code() != Some(124), "{program}: it hangs");
    let shown = String::from_utf8_lossy(&fs::read(shown)?).into_owned();
    Ok(normalized(&shown) + &left(&place)?)
}

/// The files of a directory, except those that docs/differences.md lists.
fn left(place: &Path) -> anyhow::Result<String> {
    let output = Command::new("find")
        .args([
            ".",
            "(",
            "-name",
            "rootfs",
            "-o",
            "-name",
            "layers",
            ")",
            "-prune",
            "-o",
            "-printf",
            "%p %y %m %n\n",
        ])
        .current_dir(place)
        .output()
        .context("find")?;
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| {
            !line.contains("/capprof.json ") && !line.contains("/config.minimized.json ")
        })
        .map(str::to_owned)
        .collect();
    lines.sort();
    Ok(lines.join("\n"))
}

/// The text without the times at the beginning of messages.
fn normalized(shown: &str) -> String {
    let mut text = String::new();
    for line in shown.lines() {
        let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        let stamped = mark == "2 " && (rest.starts_with("time=\"") || rest.starts_with("20"));
        let rest = match rest.split_once([' ', '\t']) {
            Some((_, rest)) if stamped => rest,
            _ => rest,
        };
        let _ = writeln!(text, "{mark}{rest}");
    }
    text
}

/// The lines in which two texts differ, with their call.
fn differences(bare: &str, ours: &str) -> String {
    let mut text = String::new();
    let (bare, ours): (Vec<&str>, Vec<&str>) = (bare.lines().collect(), ours.lines().collect());
    let mut call = "";
    for number in 0..bare.len().max(ours.len()) {
        let of = |lines: &[&str]| lines.get(number).copied().unwrap_or("(nothing)").to_owned();
        if let Some(line) = bare.get(number).filter(|line| line.starts_with("+ ")) {
            call = line;
        }
        if of(&bare) != of(&ours) {
            let _ = writeln!(
                text,
                "{call}\n  bare:    {}\n  capprof: {}",
                of(&bare),
                of(&ours)
            );
            // The rest may only be shifted.
            if bare.len() != ours.len() {
                break;
            }
        }
    }
    text
}
