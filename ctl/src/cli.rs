//! The command line, defined once: help, man pages and completions are made from it.

mod value;

pub(crate) use value::Point;

use crate::engine::Engine;
use crate::render::FormKind;
use capprof_profile::Capability;
use capprof_store::profiles::Store;
use capprof_store::settings;
use clap::builder::PossibleValue;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;
use value::{capability, time};

/// Show which Linux capabilities profiled containers need
///
/// Each container that the OCI runtime capprof runs leaves a profile. This command shows the profiles.
#[derive(Debug, Parser)]
#[command(
    name = "capprofctl",
    version,
    max_term_width = 100,
    after_long_help = "Exit status:\n  0  done\n  1  error\n  2  wrong usage\n  3  a profile is incomplete (--strict, check), or --max-runs ended a search\n  4  a set is not verified (verify, profile)\n  5  more is needed than before or than is allowed (diff, check)\n  130  interrupted\n  of `why -- COMMAND` the command's: 126 or 127 if it cannot be run"
)]
pub(crate) struct Arguments {
    /// Where profiles are kept [default: the configuration's, /var/lib/capprof]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub(crate) store: Option<PathBuf>,

    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Profile a container, verify the answer, and print it: from a command line to a set
    ///
    /// The engine's command line runs once with capprof as its runtime, and then with nothing but what it used. If a member of that set is
    /// doubtful, more runs find out if the program works without it. The options that are added are shown; nothing is left running. Exits with
    /// status 0 if the answer is verified, with 4 if it is not.
    Profile(ProfileOptions),

    /// Record what a systemd service uses, and make the drop-in that gives it nothing else
    ///
    /// Restarts the service with its own settings and records it from the first command of its unit on; a service that does not run is
    /// started, and stopped afterwards. Then prints which of its capabilities it used, and the drop-in. With --write, it starts the service once
    /// more with that drop-in, and installs it if the service works; otherwise the service gets its former settings back.
    Unit(UnitOptions),

    /// Show a profile: what the workload needs, why, and how to tell an engine
    Report {
        /// A recording, container, name, pod or image, the beginning of an id, a file, or `latest`
        #[arg(default_value = "latest", value_name = "PROFILE", add = profiles())]
        profile: String,

        /// What to print
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,

        #[command(flatten)]
        detail: DetailOptions,

        /// Exit with status 3 if the profile is incomplete
        #[arg(long)]
        strict: bool,
    },

    /// Put the verified answer into a compose file, a Kubernetes manifest, a .container or a .service unit
    ///
    /// Removes `privileged`, and sets what the workload needs: capabilities, devices, sysctls. Comments, order, and everything else stay as they
    /// are. Without --write, it shows the change and leaves the file as it is.
    Apply(ApplyOptions),

    /// List the profiles in the store, newest first
    List(ListOptions),

    /// Compare two profiles: what the second one needs more or less, and why
    ///
    /// Exits with status 5 if the second one needs a capability that the first one does not need.
    Diff {
        /// The profile to compare with, as for report
        #[arg(value_name = "FROM", add = profiles())]
        from: String,

        /// The profile to compare
        #[arg(value_name = "TO", add = profiles())]
        to: String,

        /// What to print
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: ListFormat,
    },

    /// Check a profile against what is allowed, for pipelines
    ///
    /// Exits with status 5 if the profile needs more, and with status 3 if it is incomplete.
    Check(CheckOptions),

    /// Remove profiles from the store
    Rm {
        /// The profile, as for report
        #[arg(required = true, value_name = "PROFILE", add = profiles())]
        profiles: Vec<String>,

        /// Remove all profiles of a container, name, pod or image, not only the newest one
        #[arg(long)]
        all: bool,
    },

    /// Remove profiles that are old, or more than the number to keep
    ///
    /// With both options, it removes only profiles for which both hold. Without options, it removes what retention_workload and retention_days of
    /// the configuration do not keep, as capprof-prune.timer does each day. While a workload has other profiles, the one that alone needed a
    /// capability stays, and so does the only complete or verified one: capprofctl rm removes them.
    Prune(PruneOptions),

    /// Record running containers, without a restart and without granting anything
    ///
    /// Attaches to all processes of each container of any engine, and to those that `exec` adds. Detaches when the container ends,
    /// when the time is over, or at Ctrl-C, and shows what was used and refused since. The profile is stored, and never called complete, because
    /// the recording did not see what the container did before.
    Observe(ObserveOptions),

    /// Show what running containers have, use, do not use and are refused
    ///
    /// Shows first what is most worth dropping. Only containers that are being recorded (see observe) show what they use and are refused.
    Audit {
        /// Only these containers [default: all]
        #[arg(conflicts_with = "all", value_name = "CONTAINER")]
        containers: Vec<String>,

        /// All running containers
        #[arg(long)]
        all: bool,

        /// What to print
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: AuditFormat,

        /// Another directory in which a runtime keeps its containers (its --root)
        #[arg(long, value_name = "DIRECTORY")]
        root: Vec<PathBuf>,
    },

    /// List the recordings in progress
    Ps {
        /// What to print
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: ListFormat,
    },

    /// Print each capability that a recorded container uses or is refused for the first time
    ///
    /// Ends when the recording ends, or when nothing new has come for the given time.
    Watch {
        /// A recording in progress, its container or one of its names
        #[arg(value_name = "CONTAINER")]
        container: String,

        /// End when nothing new has come for this time, for example 10m
        #[arg(long, value_name = "TIME", value_parser = time)]
        until_quiet: Option<Duration>,
    },

    /// Show live what recorded containers use and are refused
    ///
    /// In a terminal, r, c, l and n sort by rate, count, last use and capability, and q ends it. Otherwise it prints the table repeatedly.
    Top {
        /// Only this recording in progress, by its container or one of its names
        #[arg(value_name = "CONTAINER")]
        container: Option<String>,

        /// How often to update the table, for example 2s
        #[arg(long, value_name = "TIME", value_parser = time, default_value = "2s")]
        interval: Duration,
    },

    /// Store what is known so far of recordings in progress
    ///
    /// Then a crash of the machine does not lose it. The end of the recording replaces it. A timer does this every hour.
    Snapshot {
        /// Only these containers [default: all]
        #[arg(conflicts_with = "all", value_name = "RECORDING")]
        recordings: Vec<String>,

        /// All recordings in progress
        #[arg(long)]
        all: bool,
    },

    /// Unite profiles of one workload from many runs and hosts
    ///
    /// Shows what any run needed, in how many runs, and when the last new capability appeared. The result can be merged again.
    Merge(MergeOptions),

    /// Run a workload again with nothing but its minimized set, and say if that is enough
    ///
    /// Adds options to the engine's command line that make capprof the runtime and the set the limit. Compares the exit status of a program that
    /// ends by itself and the success of --check with the profiled run, and names system calls that fail for lack of a capability. Writes
    /// the verdict into the profile. Exits with status 4 if the set is not verified.
    Verify(VerifyOptions),

    /// Find a smaller set by running the container with fewer and fewer capabilities
    ///
    /// One run cannot tell if a program that uses a capability works without it; this does. It states the largest number of runs in advance, and
    /// keeps each verdict, so that Ctrl-C and --resume lose none. The result is written into the profile.
    Shrink {
        /// A recording, container, name, pod or image, the beginning of an id, or `latest`
        #[arg(value_name = "PROFILE", add = profiles())]
        profile: String,

        #[command(flatten)]
        options: ShrinkOptions,

        /// The command line that runs the container in the foreground or with --detach: docker, podman, nerdctl, ctr, runc or crun
        #[arg(last = true, required = true, value_name = "ENGINE COMMAND")]
        command: Vec<OsString>,
    },

    /// Finish recordings whose container is gone, and restore what they left switched
    ///
    /// Every new recording and a timer do this, too; run it if you do not want to wait, or after a crash.
    Recover {
        /// Also finish recordings of containers that have ended and are not deleted yet
        #[arg(long)]
        stopped: bool,

        /// Also unload the eBPF programs if no recording is left
        #[arg(long)]
        unload: bool,

        /// Where recordings in progress are kept [default: the configuration's, /run/capprof]
        #[arg(long, value_name = "DIRECTORY")]
        state: Option<PathBuf>,
    },

    /// Say what can be recorded on this host, and the reason for what cannot
    Doctor {
        /// What to print
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: ListFormat,

        /// Where recordings in progress are kept [default: the configuration's, /run/capprof]
        #[arg(long, value_name = "DIRECTORY")]
        state: Option<PathBuf>,
    },

    /// Register the runtime with an engine
    ///
    /// Adds the runtime to the engine's configuration and keeps everything else; the former file stays next to it.
    Install(EngineOptions),

    /// Remove the runtime from an engine's configuration
    ///
    /// Refused while containers exist that were made with it, because their engine could neither stop nor remove them.
    Uninstall(EngineOptions),

    /// Say which system calls are refused, by whom, and what would allow them
    ///
    /// Runs a command and watches it and all that it starts, or watches a container that runs. Shows for each distinct refusal the program, the
    /// system call, the error, the cause and what would allow it, the likeliest culprit first. The command keeps its standard input, standard
    /// output and exit status; the report goes to standard error. For a finished recording, it shows which capabilities were refused.
    Why(WhyOptions),

    /// Explain what Linux asks a capability for, or what a place in the kernel asks for
    ///
    /// The answers come from the atlas, the table of all places where Linux asks for a capability (capprof-atlas(7)).
    Explain {
        /// A capability, a function of the kernel as a report names it, or a file of the kernel's source
        #[arg(value_name = "CAPABILITY|FUNCTION|FILE")]
        subject: String,

        /// Which kernel [default: the newest in the atlas that is not newer than this host's]
        #[arg(long, value_name = "VERSION")]
        kernel: Option<String>,

        /// Also show places that Debian's amd64 kernel does not have
        #[arg(long)]
        all: bool,
    },

    /// Write man pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory, which must exist
        directory: PathBuf,
    },

    /// Print a completion script
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What `report` and `merge` print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Markdown,
    Html,
    Form(FormKind),
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Format>> = LazyLock::new(|| {
            [Format::Text, Format::Json, Format::Markdown, Format::Html]
                .into_iter()
                .chain(FormKind::ALL.map(Format::Form))
                .collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, about) = match self {
            Self::Text => ("text", "A report for people"),
            Self::Json => ("json", "The profile itself (docs/profile.md)"),
            Self::Markdown => ("markdown", "A report for a ticket"),
            Self::Html => (
                "html",
                "A report in one file, to be read in a browser or printed",
            ),
            Self::Form(kind) => (kind.name(), kind.about()),
        };
        Some(PossibleValue::new(name).help(about))
    }
}

/// What `list`, `doctor` and `why` print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
}

/// How much a report says.
#[derive(Debug, clap::Args)]
pub(crate) struct DetailOptions {
    /// Also show kernel functions, and the checks that do not count
    #[arg(long, short)]
    pub(crate) verbose: bool,

    /// Show the form of every engine, not only of the one that was used
    #[arg(long)]
    pub(crate) all_forms: bool,
}

/// The containers that `observe` attaches to, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct ObserveOptions {
    /// A container's name, id or the beginning of one, its pod, or the number of a process
    #[arg(
        required_unless_present = "all",
        conflicts_with = "all",
        value_name = "CONTAINER"
    )]
    pub(crate) containers: Vec<String>,

    /// All running containers
    #[arg(long)]
    pub(crate) all: bool,

    /// How long, for example 30s, 10m, 24h or 7d [default: until the container ends]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) time: Option<Duration>,

    /// Another directory in which a runtime keeps its containers (its --root)
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) root: Vec<PathBuf>,
}

/// The profiles that `merge` unites, and what it prints.
#[derive(Debug, clap::Args)]
pub(crate) struct MergeOptions {
    /// Files, directories with profiles in them, `-` for JSON documents on standard input, or profiles in the store by their containers,
    /// names, pods or images
    #[arg(required = true, value_name = "PROFILE", add = profiles())]
    pub(crate) profiles: Vec<PathBuf>,

    /// Merge profiles of different images or configurations too
    #[arg(long)]
    pub(crate) mixed: bool,

    /// What to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,

    /// Show the form of every engine
    #[arg(long)]
    pub(crate) all_forms: bool,

    /// Exit with status 3 if a profile is incomplete
    #[arg(long)]
    pub(crate) strict: bool,
}

/// The set that `verify` tries, and how it is judged.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyOptions {
    /// The profile, as for report; it must be in the store
    #[arg(value_name = "PROFILE", add = profiles())]
    pub(crate) profile: String,

    /// A shell command that succeeds if the workload works. It is run repeatedly while the container runs, until it succeeds, with
    /// CAPPROF_CONTAINER_ID and CAPPROF_CONTAINER_PID in its environment; then the container is stopped
    #[arg(long, value_name = "COMMAND")]
    pub(crate) check: Option<String>,

    /// How many seconds the program, or the check, may take; then the container is stopped
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u64,

    /// First make sure, in a separate run, that the check succeeds with everything granted
    #[arg(long, requires = "check")]
    pub(crate) baseline: bool,

    /// Run it with those capabilities that it uses and has today: if it works, the others are not part of the answer
    #[arg(long)]
    pub(crate) today: bool,

    /// Also judge a run of an image, command or user other than the profiled one
    #[arg(long)]
    pub(crate) anyway: bool,

    /// Do not verify the set if a system call fails for lack of a capability, even if the program goes on and does all that is compared
    #[arg(long)]
    pub(crate) strict: bool,

    /// Where recordings in progress are kept [default: the configuration's, /run/capprof]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) state: Option<PathBuf>,

    /// How the container is run: docker, podman, nerdctl, ctr, runc or crun, its options, `run`, and the rest
    #[arg(last = true, required = true, value_name = "ENGINE COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// What `why` watches, and where the report goes.
#[derive(Debug, clap::Args)]
pub(crate) struct WhyOptions {
    /// A running container, by its id or name or by the number of one of its processes; or a profile, as for report
    #[arg(
        value_name = "CONTAINER",
        required_unless_present = "command",
        conflicts_with = "command"
    )]
    pub(crate) container: Option<String>,

    /// Stop watching a container after this many seconds [default: when it ends, or at Ctrl-C]
    #[arg(long = "for", value_name = "SECONDS", requires = "container")]
    pub(crate) seconds: Option<u64>,

    /// What to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: ListFormat,

    /// Write the report into a file
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// The command to run
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// The file that `apply` changes, and the profile that it takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ApplyOptions {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The service of the compose file, or the container of the manifest [default: all that have a profile]
    #[arg(long, visible_alias = "container", value_name = "NAME")]
    pub(crate) service: Option<String>,

    /// The profile, as for report [default: that of the service, the container, or the unit]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,

    /// Show what would change, and change nothing; this is the default
    #[arg(long, conflicts_with = "write")]
    pub(crate) diff: bool,

    /// Write the file
    #[arg(long)]
    pub(crate) write: bool,

    /// Also accept a set that was never verified
    #[arg(long)]
    pub(crate) unverified: bool,
}

/// What `profile` runs, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct ProfileOptions {
    /// A shell command that succeeds if the workload works, as for verify; each run ends when it succeeds
    #[arg(long, value_name = "COMMAND", conflicts_with = "duration")]
    pub(crate) check: Option<String>,

    /// How long to use the container in each run, for example 60s or 5m; then it is stopped
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) duration: Option<Duration>,

    /// Use the container until no new capability has come for this time, for example 5m; then it is stopped. Later runs take as long
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with_all = ["check", "duration"])]
    pub(crate) until_quiet: Option<Duration>,

    /// How long the check may take in each run
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub(crate) timeout: Duration,

    /// Do not try to leave out doubtful members of the set
    #[arg(long)]
    pub(crate) no_shrink: bool,

    /// What to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,

    /// Where recordings in progress are kept [default: the configuration's, /run/capprof]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) state: Option<PathBuf>,

    /// How you run the container: docker, podman, nerdctl, ctr, runc or crun, its options, `run`, and the rest, or docker compose run or up
    /// with a service; sudo may stand in front.
    /// Or a program of this host, which then runs as root with all capabilities
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// The service that `unit` records, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct UnitOptions {
    /// The service; `.service` may be left out
    #[arg(value_name = "NAME.service", add = services())]
    pub(crate) unit: String,

    /// A shell command that succeeds if the service works; it is repeated until it does, and ends the recording [default: until Ctrl-C]
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["duration", "until_quiet"])]
    pub(crate) check: Option<String>,

    /// How long to record, for example 60s or 24h
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) duration: Option<Duration>,

    /// Record until no new capability has come for this time, for example 5m
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "duration")]
    pub(crate) until_quiet: Option<Duration>,

    /// How long the check may take
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub(crate) timeout: Duration,

    /// Try the drop-in, and install it as /etc/systemd/system/NAME.service.d/capprof.conf if the service works with it
    #[arg(long)]
    pub(crate) write: bool,

    /// What to print; `systemd` is the drop-in alone
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// The profiles that `prune` removes.
#[derive(Debug, clap::Args)]
pub(crate) struct PruneOptions {
    /// Remove profiles of recordings that ended before this: a time span like 30d or 12h, a date, or a point in time
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: Option<Point>,

    /// Keep this many profiles of each workload: one image or name with one command, user and set of capabilities
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep: Option<usize>,

    /// Only print what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The profile that `check` looks at, and the limit.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckOptions {
    /// The profile, as for report
    #[arg(value_name = "PROFILE", add = profiles())]
    pub(crate) profile: String,

    /// A list like CHOWN,KILL (or `none`), a file with names or with a profile, or a level of the Pod Security Standards (`baseline`, `restricted`)
    #[arg(long, value_name = "LIMIT")]
    pub(crate) against: String,

    /// What to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: CheckFormat,
}

/// The engine whose configuration is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct EngineOptions {
    /// The engine
    #[arg(long, value_enum)]
    pub(crate) engine: Engine,

    /// Show what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The directory that holds the engine's configuration, for images that are being made
    #[arg(long, default_value = "/", value_name = "DIRECTORY", hide = true)]
    pub(crate) root: PathBuf,
}

/// The profiles that `list` shows.
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    /// Only those of a container, name, pod or image
    #[arg(value_name = "NAME", add = profiles())]
    pub(crate) name: Option<String>,

    /// Only those recorded since then: a time span like 2d or 12h, a date, or a point in time
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Point>,

    /// At most this many
    #[arg(long, value_name = "NUMBER")]
    pub(crate) limit: Option<usize>,

    /// Only those that need this capability; may be repeated
    #[arg(long, value_name = "CAPABILITY", value_parser = capability)]
    pub(crate) needs: Vec<Capability>,

    /// Only those of an image, whose name may be short
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,

    /// Only those in this state
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) state: Option<ProfileState>,

    /// What to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: ListFormat,
}

impl ListOptions {
    /// Returns true if an option restricts the list.
    pub(crate) fn chooses(&self) -> bool {
        self.name.is_some()
            || self.since.is_some()
            || self.limit.is_some()
            || !self.needs.is_empty()
            || self.image.is_some()
            || self.state.is_some()
    }
}

/// The state of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileState {
    /// Nothing was lost
    Complete,
    /// Something was lost
    Incomplete,
    /// Its set has passed
    Verified,
    /// Its set has not passed, or has not been tried
    NotVerified,
    /// The container's program failed
    Failed,
}

/// What `check` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
    /// JUnit's XML, for CI systems
    Junit,
}

/// The number of profiles that completion looks at for names.
const COMPLETED: usize = 200;

/// The names of profiles, for a shell that completes one.
fn profiles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let store = Store::at(settings::essentials(&settings::path()).store);
        let (summaries, _) = store
            .select(None, Some(COMPLETED), |_| true)
            .unwrap_or_default();
        let mut names: Vec<String> = vec!["latest".to_owned()];
        for summary in summaries {
            names.extend(summary.name);
            names.extend(summary.workload.container);
            names.extend(summary.workload.service);
            names.extend(summary.workload.pod);
            names.extend(summary.workload.image);
            names.push(summary.recording_id);
        }
        names.sort();
        names.dedup();
        names.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// The services that run, for a shell that completes the name of one.
fn services() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let output = std::process::Command::new("systemctl")
            .args(["list-units", "--type=service", "--plain", "--no-legend"])
            .output();
        let text = output.map_or_else(|_| Vec::new(), |output| output.stdout);
        String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(|name| CompletionCandidate::new(name.to_owned()))
            .collect()
    })
}

/// What `audit` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
    /// For the text files that node_exporter of Prometheus collects
    Prometheus,
}

/// How `shrink` judges a run, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct ShrinkOptions {
    /// A command for sh that succeeds if the container does what it should
    ///
    /// It is repeated until it succeeds or the time is over; CAPPROF_CONTAINER_ID is the container's id. Without it, the program must end by itself with status 0.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) check: Option<String>,

    /// How long one run may take, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub(crate) timeout: u64,

    /// How many containers may run at the same time, each with another set
    ///
    /// They must not disturb each other: no fixed name, no published port of the host, and a check that finds the container by CAPPROF_CONTAINER_ID.
    #[arg(long, short = 'j', default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) jobs: u8,

    /// Stop after this many runs, with the smallest set so far
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_runs: Option<usize>,

    /// Continue where an earlier call was interrupted
    #[arg(long)]
    pub(crate) resume: bool,

    /// Make sure first that nothing works without any capability
    #[arg(long)]
    pub(crate) empty_fails: bool,

    /// Give capabilities by the engine's own options, without capprof as its runtime
    ///
    /// A user other than root then gets what the engine gives: with docker, nothing ambient.
    #[arg(long)]
    pub(crate) engine_options: bool,

    /// The name under which docker knows capprof
    #[arg(long, default_value = "capprof", value_name = "NAME")]
    pub(crate) runtime: String,
}

impl Default for ShrinkOptions {
    fn default() -> Self {
        Self {
            check: None,
            timeout: 30,
            jobs: 1,
            max_runs: None,
            resume: false,
            empty_fails: false,
            engine_options: false,
            runtime: "capprof".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Arguments::command().debug_assert();
    }
}
