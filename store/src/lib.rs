//! Files that capprof keeps on disk, and what it asks the host in connection with them.
//!
//! | module | what |
//! |---|---|
//! | [`mod@file`] | atomic writes of files; the error of every file operation |
//! | [`process`] | processes, and if one still exists |
//! | [`random`] | random numbers |
//! | [`time`] | points in time as text |
//! | [`settings`] | `/etc/capprof/config.toml` |
//! | [`recording`] | the directory of a recording in progress |
//! | [`config_json`] | edits of the bundle's configuration |
//! | [`mountinfo`] | the mounts that a process sees |
//! | [`control_group`] | the mount points of control groups, and the group of a process |
//! | [`systemctl`] | calls of systemctl(1) |
//! | [`drop_in`] | drop-ins for systemd services that last as long as a process |
//! | [`document`] | the bundle's configuration, parsed only where capprof looks at it |
//! | [`selinux_contexts`] | the contexts that the policy has for containers |
//! | [`profiles`] | the store of finished profiles |
//! | [`trust`] | the users who could have written a file |
//! | [`prune`] | the selection and removal of profiles |

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
