//! A bundle for a test, and the container in it.

use crate::environment::{Environment, Runtime};
use anyhow::{Context, bail, ensure};
use capprof_profile::atlas;
use capprof_profile::profile::{Profile, UNKNOWN_PLACE};
use capprof_profile::{Capability, CapabilitySet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A bundle with busybox and the corpus, a configuration of capprof, and the runtime's state directory.
pub(crate) struct Container {
    pub(crate) environment: Arc<Environment>,
    pub(crate) runtime: Runtime,
    pub(crate) id: String,
    /// Everything that belongs to this container; removed with it.
    directory: TempDir,
    /// The options of the corpus's `bundle`, which lays the bundle out.
    options: &'static [&'static str],
    /// Lines of capprof's configuration.
    pub(crate) configuration: Vec<String>,
    /// The seconds after which a command is killed.
    pub(crate) seconds: u32,
}

impl Container {
    /// A bundle whose program is `arguments`, running as root with the default configuration of `runc spec`, without seccomp.
    pub(crate) fn new(
        environment: &Arc<Environment>,
        runtime: &Runtime,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("capprof-e2e-").tempdir()?;
        make_accessible(directory.path())?;
        let container = Self {
            environment: Arc::clone(environment),
            runtime: runtime.clone(),
            id: format!(
                "e2e-{}-{}",
                std::process::id(),
                NUMBER.fetch_add(1, Ordering::Relaxed)
            ),
            // A guest is emulated, and much slower than any real machine for which a hook has a time limit.
            configuration: vec![
                format!("runtime = \"{}\"", runtime.name),
                "hook_timeout = 60".to_owned(),
            ],
            directory,
            options: &[],
            seconds: 60,
        };
        container.lay_out(arguments)?;
        Ok(container)
    }

    /// A file or directory of this container's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The bundle directory.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.path("bundle")
    }

    /// Edits the bundle's config.json.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        let path = self.bundle().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
        edit(&mut config);
        fs::write(&path, serde_json::to_vec_pretty(&config)?)?;
        Ok(())
    }

    /// Lays the bundle out again with a user namespace whose root is user 100000.
    pub(crate) fn use_user_namespace(&mut self) -> anyhow::Result<()> {
        self.options = &["--userns"];
        self.renew()
    }

    /// Lays the bundle out again with the same arguments, so that changes of its files are undone.
    pub(crate) fn renew(&self) -> anyhow::Result<()> {
        let config: Value = serde_json::from_slice(&fs::read(self.bundle().join("config.json"))?)?;
        let arguments: Vec<String> = serde_json::from_value(config["process"]["args"].clone())?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        fs::remove_dir_all(self.bundle())?;
        self.lay_out(&arguments)
    }

    /// Copies the corpus's own bundle.
    fn lay_out(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let template = template(&self.environment, self.runtime.name, self.options)?;
        succeed(
            Command::new("cp")
                .arg("--archive")
                .arg(&template)
                .arg(self.bundle()),
        )?;
        let path = self.bundle().join("config.json");
        let config = fs::read_to_string(&path)?;
        let (from, to) = (template.to_string_lossy(), self.bundle());
        fs::write(&path, config.replace(from.as_ref(), &to.to_string_lossy()))?;
        self.edit(|config| config["process"]["args"] = json!(arguments))
    }

    /// Makes the process run as this user and group.
    pub(crate) fn use_user(&self, id: u32) -> anyhow::Result<()> {
        self.edit(|config| config["process"]["user"] = json!({"uid": id, "gid": id}))
    }

    /// Makes capprof grant a user other than root effective capabilities while it profiles.
    pub(crate) fn grant_ambient(&mut self) {
        self.configuration
            .push("grant_non_root = \"ambient\"".to_owned());
    }

    /// capprof with the runtime's global options and these arguments, not yet started. It is killed after [`Self::seconds`].
    pub(crate) fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        self.program("capprof", &[], Some(arguments), self.seconds)
    }

    /// capprofctl with these arguments, and the command line that runs this container by its runtime. It is killed after five minutes.
    pub(crate) fn ctl_with_runtime(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut own = arguments.to_vec();
        own.extend(["--", self.runtime.name]);
        let bundle = self.bundle();
        let run = ["run", "--bundle", &bundle.to_string_lossy(), &self.id];
        self.program("capprofctl", &own, Some(&run), 300)
    }

    /// capprofctl with these arguments, not yet started.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        self.program("capprofctl", arguments, None, 60)
    }

    /// One of capprof's programs with its own arguments and, if it calls the runtime, the runtime's global options and arguments. It is killed after
    /// this many seconds.
    fn program(
        &self,
        name: &str,
        own: &[&str],
        arguments: Option<&[&str]>,
        seconds: u32,
    ) -> anyhow::Result<Command> {
        let path = self.path("config.toml");
        let mut lines = self.configuration.clone();
        if !self.environment.system {
            lines.push(format!("store = \"{}\"", self.path("store").display()));
            lines.push(format!("state = \"{}\"", self.path("run").display()));
        }
        fs::write(&path, lines.join("\n"))?;
        let seconds = seconds.to_string();
        let mut words: Vec<String> = ["timeout", "-k", "5", &seconds].map(str::to_owned).to_vec();
        words.extend(self.runtime.prefix.iter().cloned());
        words.push(self.environment.binaries.join(name).display().to_string());
        words.extend(own.iter().map(|&word| word.to_owned()));
        if let Some(arguments) = arguments {
            words.extend(self.runtime.globals.iter().cloned());
            words.extend([
                "--root".to_owned(),
                self.path("runtime").display().to_string(),
            ]);
            words.extend(arguments.iter().map(|&word| word.to_owned()));
        }
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env("CAPPROF_CONFIG", path)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs capprof and waits.
    pub(crate) fn capprof(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        // Files, not pipes: a detached container keeps them open.
        let output = self.path("stdout");
        let errors = self.path("stderr");
        let status = self
            .command(arguments)?
            .stdout(fs::File::create(&output)?)
            .stderr(fs::File::create(&errors)?)
            .status()?;
        Ok(Output {
            status,
            stdout: fs::read(output)?,
            stderr: fs::read(errors)?,
        })
    }

    /// Runs capprof, which must succeed.
    pub(crate) fn capprof_succeeds(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.capprof(arguments)?;
        if !output.status.success() {
            bail!(
                "capprof {arguments:?}: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(output)
    }

    /// `capprof run`.
    pub(crate) fn run(&self) -> anyhow::Result<Output> {
        let bundle = self.bundle();
        self.capprof(&["run", "--bundle", &bundle.to_string_lossy(), &self.id])
    }

    /// `capprof run --detach`.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        let bundle = self.bundle();
        self.capprof_succeeds(&[
            "run",
            "--detach",
            "--bundle",
            &bundle.to_string_lossy(),
            &self.id,
        ])?;
        Ok(())
    }

    /// A started container that only waits.
    pub(crate) fn waiting(
        environment: &Arc<Environment>,
        runtime: &Runtime,
    ) -> anyhow::Result<Self> {
        let container = Self::new(environment, runtime, &["/bin/corpus", "wait"])?;
        container.start()?;
        Ok(container)
    }

    /// Returns true if its own program has begun, according to the runtime.
    pub(crate) fn is_running(&self) -> anyhow::Result<bool> {
        let output = self.capprof(&["state", &self.id])?;
        let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(state["status"] == "running")
    }

    /// Kills and deletes it.
    pub(crate) fn stop(&self) -> anyhow::Result<()> {
        self.capprof_succeeds(&["kill", &self.id, "KILL"])?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.capprof(&["delete", &self.id])?.status.success() {
            ensure!(Instant::now() < deadline, "the container does not stop");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Runs it to its end, which must be a success. The profile must be complete, and its answer exactly this.
    pub(crate) fn run_and_expect(&self, expected: &[Capability]) -> anyhow::Result<Profile> {
        let output = self.run()?;
        ensure!(
            output.status.success(),
            "the container failed: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let profile = self.profile()?;
        expect_answer(&profile, expected)?;
        self.expect_nothing_left()?;
        Ok(profile)
    }

    /// Makes sure that no recording of it is in progress any more.
    pub(crate) fn expect_nothing_left(&self) -> anyhow::Result<()> {
        let left = self.recordings()?;
        ensure!(left.is_empty(), "recordings left behind: {left:?}");
        Ok(())
    }

    /// The bare runtime on this bundle, not yet started. It is killed after a minute.
    pub(crate) fn bare(&self) -> Command {
        let mut words: Vec<String> = ["timeout", "-k", "5", "60"].map(str::to_owned).to_vec();
        words.extend(self.runtime.prefix.iter().cloned());
        words.push(self.runtime.name.to_owned());
        words.extend(self.runtime.globals.iter().cloned());
        words.extend(["--root".to_owned(), self.path("bare").display().to_string()]);
        words.extend(["run".to_owned(), "--bundle".to_owned()]);
        words.push(self.bundle().display().to_string());
        words.push(format!("{}-bare", self.id));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command
    }

    /// Puts these into every capability set of config.json.
    pub(crate) fn grant(&self, granted: CapabilitySet) -> anyhow::Result<()> {
        self.edit(|config| {
            let sets = config["process"]["capabilities"].as_object_mut();
            for set in sets.into_iter().flat_map(serde_json::Map::values_mut) {
                if let Some(set) = set.as_array_mut() {
                    set.extend(granted.iter().map(|one| Value::from(one.to_string())));
                }
            }
        })
    }

    /// Removes these from every capability set of config.json.
    pub(crate) fn withhold(&self, withheld: CapabilitySet) -> anyhow::Result<()> {
        self.edit(|config| {
            let sets = config["process"]["capabilities"].as_object_mut();
            for set in sets.into_iter().flat_map(serde_json::Map::values_mut) {
                if let Some(set) = set.as_array_mut() {
                    set.retain(|name| !withheld.iter().any(|one| *name == one.to_string()));
                }
            }
        })
    }

    /// The profile next to config.json.
    pub(crate) fn profile(&self) -> anyhow::Result<Profile> {
        let path = self.bundle().join("capprof.json");
        let content = fs::read(&path).with_context(|| {
            format!(
                "read {}: {}",
                path.display(),
                fs::read_to_string(self.path("stderr")).unwrap_or_default()
            )
        })?;
        let profile: Profile = serde_json::from_slice(&content)?;
        let unknown = |note: &&String| note.contains(UNKNOWN_PLACE);
        if let Some(note) = profile.findings.notes.iter().find(unknown)
            && atlas::covers(&profile.origin.host.kernel)
        {
            bail!("the atlas lacks a place: {note}");
        }
        Ok(profile)
    }

    /// The store's directory.
    pub(crate) fn store(&self) -> PathBuf {
        if self.environment.system {
            PathBuf::from("/var/lib/capprof")
        } else {
            self.path("store")
        }
    }

    /// Recordings in progress of this container.
    pub(crate) fn recordings(&self) -> anyhow::Result<Vec<PathBuf>> {
        use capprof_store::recording::{Directory, container_key};
        let state = if self.environment.system {
            PathBuf::from("/run/capprof")
        } else {
            self.path("run")
        };
        let key = container_key(self.id.as_ref());
        Ok(Directory::list(&state, Some(&key))?
            .iter()
            .map(|directory| directory.path().to_owned())
            .collect())
    }
}

/// The corpus's bundle for one runtime and these options, with a few more names for busybox. It is laid out only once, because that takes seconds in
/// a guest.
fn template(environment: &Environment, runtime: &str, options: &[&str]) -> anyhow::Result<PathBuf> {
    static TEMPLATES: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = format!("{runtime} {}", options.join(" "));
    if let Some(path) = templates.get(&key) {
        return Ok(path.clone());
    }
    let path = environment
        .templates
        .path()
        .join(templates.len().to_string());
    succeed(
        Command::new(&environment.bundle)
            .arg("--corpus")
            .arg(&environment.corpus)
            .args(["--runtime", runtime])
            .args(options)
            .arg(&path),
    )?;
    let root = path.join("rootfs");
    for name in ["ls", "cat", "true", "sleep"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name))?;
    }
    fs::create_dir_all(root.join("etc"))?;
    templates.insert(key, path.clone());
    Ok(path)
}

impl Drop for Container {
    fn drop(&mut self) {
        // A test that failed half-way must not leave a container. Most tests leave none, and starting capprof and the runtime for nothing takes a
        // large part of a test's time in an emulated guest.
        if self.path("runtime").join(&self.id).exists() {
            let _ = self.capprof(&["delete", "--force", &self.id]);
        }
    }
}

/// Makes sure that the profile is complete and its answer exactly this.
pub(crate) fn expect_answer(profile: &Profile, expected: &[Capability]) -> anyhow::Result<()> {
    let expected: CapabilitySet = expected.iter().copied().collect();
    ensure!(
        profile.complete,
        "incomplete: {}",
        profile.incomplete_because.join("; ")
    );
    ensure!(
        profile.findings.minimized == expected,
        "expected {expected}, found {}: {}",
        profile.findings.minimized,
        serde_json::to_string(&profile.findings.needed)?
    );
    Ok(())
}

/// Runs a command, which must succeed.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Makes the path accessible to processes in a user namespace and to other users.
pub(crate) fn make_accessible(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}
