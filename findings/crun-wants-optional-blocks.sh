#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `linux` and `mounts` in config.json are optional (runtime-spec 1.0.2, config.md, and its JSON schema). crun refuses a configuration that lacks
# either. runc accepts one without `linux` and runs the container in its caller's namespaces: the container sees the host's name, network and
# processes.
#
# Seen on 2026-11-27, without `linux`, of `readlink /proc/self/ns/uts` (`own` is the caller's):
#     runc 1.3.6  own
#     crun 1.28   status 1: invalid config file, no `linux` block specified
# and without `mounts`:
#     crun 1.28   status 1: invalid config file, no `mounts` block specified
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static

seen() { # STATEMENT RUNTIME [OPTION...]
	bundle "$work/sid/bin/busybox" '["busybox", "readlink", "/proc/self/ns/uts"]' '{"bounding": ["CAP_CHOWN"]}'
	amend "$1"
	# shellcheck disable=SC2016  # expanded by the inner shell
	inside "$work/sid" busybox sh -c '
		own=$(busybox readlink /proc/self/ns/uts)
		"$@" --root /run/state run --bundle /shared/bundle finding >/run/out 2>&1
		status=$?
		case $(cat /run/out) in
		"$own") echo own ;;
		*) echo "status $status: $(cat /run/out)" ;;
		esac' run "${@:2}"
}

expect 'runc 1.3.6, no linux' own "$(seen 'del c["linux"]' runc)"
# shellcheck disable=SC2016  # crun's own backquotes
expect 'crun 1.28, no linux' 'status 1: invalid config file, no `linux` block specified' "$(seen 'del c["linux"]' crun --cgroup-manager=disabled)"
# shellcheck disable=SC2016  # crun's own backquotes
expect 'crun 1.28, no mounts' 'status 1: invalid config file, no `mounts` block specified' "$(seen 'del c["mounts"]' crun --cgroup-manager=disabled)"
