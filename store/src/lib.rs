//! Files that capprof keeps on disk, and questions to the host that go with them.
//!
//! | module | what |
//! |---|---|
//! | [`mod@file`] | files that are written whole or not at all; the error of every file operation |
//! | [`process`] | whether a process is still the one it was |
//! | [`random`] | random numbers |
//! | [`time`] | points in time as text |
//! | [`settings`] | `/etc/capprof/config.toml` |
//! | [`recording`] | the directory of a recording in progress |
//! | [`config_json`] | edits of the bundle's configuration |
//! | [`mountinfo`] | the mounts that a process sees |
//! | [`control_group`] | where control groups are mounted, and which one a process is in |
//! | [`systemctl`] | what systemd is told to do, and asked |
//! | [`drop_in`] | drop-ins for systemd services that last as long as a process |
//! | [`document`] | the bundle's configuration as text that is taken apart only where it is looked at |
//! | [`selinux_contexts`] | the contexts that the policy has for containers |
//! | [`profiles`] | the store of finished profiles |
//! | [`trust`] | who could have written a file |
//! | [`prune`] | which of them are shown, and which go |

pub mod config_json;
pub mod control_group;
pub mod document;
pub mod drop_in;
pub mod file;
pub mod mountinfo;
pub mod process;
pub mod profiles;
pub mod prune;
pub mod random;
pub mod recording;
pub mod selinux_contexts;
pub mod settings;
pub mod systemctl;
pub mod time;
pub mod trust;
