//! `capprof-hook`: the program that runs next to a profiled container.
//!
//! ```text
//! capprof-hook prestart  DIRECTORY   arm the recorders (OCI hook, state on standard input)
//! capprof-hook poststop  DIRECTORY   collect, classify, write, restore (OCI hook)
//! capprof-hook listen    DIRECTORY   listen to audit while a container runs (started by prestart where needed)
//! capprof-hook attach    DIRECTORY   record a running container, or a service (started by capprofctl observe and unit)
//! capprof-hook join      DIRECTORY   record the programs that systemd executes in this control group (started by systemd, before a service's program)
//! capprof-hook detach    DIRECTORY   end a recording of attach
//! capprof-hook so-far    [--state DIRECTORY] [--every MILLISECONDS] [DIRECTORY...]   print the interim results of recordings in progress as JSON
//! capprof-hook snapshot  [--state DIRECTORY] [DIRECTORY...]   store the interim results
//! capprof-hook recover   [--state DIRECTORY] [--stopped] [--unload]   finish recordings whose container is gone (or has stopped)
//! capprof-hook doctor    [--state DIRECTORY]   print what can be recorded on this host, as JSON
//! capprof-hook why REPORT …   report the refused system calls of a command or a container, and the causes (see the module)
//! ```
//!
//! DIRECTORY is the recording's own, made by the shim. A hook reads everything from there, because engines start hooks with no environment, an
//! arbitrary working directory, and no PATH. `recover` and `doctor` use the configured state directory by default.
//!
//! Modules, each using only those below it:
//!
//! ```text
//! command_line
//! progress
//! prestart   poststop   recover   doctor   why/
//!            finish     unit
//! recorders  results
//! ebpf/      selinux/
//! recorder   lease/
//! container_state   journal
//! ```

pub mod command_line;
mod container_state;
pub mod doctor;
pub mod ebpf;
pub mod finish;
pub mod journal;
mod lease;
pub mod poststop;
pub mod prestart;
pub mod progress;
pub mod recorder;
pub mod recorders;
pub mod recover;
mod results;
pub mod selinux;
mod unit;
pub mod why;
