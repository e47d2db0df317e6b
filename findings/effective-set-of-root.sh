#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `process.capabilities.effective` and `.permitted` in config.json do not limit a program that runs as root: it holds the bounding set, including what
# the other two sets lack. With an empty bounding set it holds nothing, even if both of them name something. The runtimes set everything that
# config.json says; then execve(2) of the container's program, as user 0, computes the permitted and effective sets from the bounding set.
#
# Seen on 2026-11-27, CapEff of `grep CapEff /proc/self/status` as user 0 (CAP_CHOWN is 0x1, CAP_KILL 0x20):
#                                                      runc 1.3.6  crun 1.28
#     bounding CHOWN and KILL, the others CHOWN alone  21          21
#     bounding CHOWN, the others absent                1           1
#     bounding empty, the others CHOWN                 0           0
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static

seen() { # CAPABILITIES RUNTIME [OPTION...]
	bundle "$work/sid/bin/busybox" '["grep", "CapEff", "/proc/self/status"]' "$1"
	inside "$work/sid" "${@:2}" --root /run/state run --bundle /shared/bundle finding | sed -n 's/^CapEff:\t0*\([0-9a-f]\)/\1/p'
}

both() { # WHAT EXPECTED CAPABILITIES
	expect "runc 1.3.6, $1" "$2" "$(seen "$3" runc)"
	expect "crun 1.28, $1" "$2" "$(seen "$3" crun --cgroup-manager=disabled)"
}

both 'more in the bounding set' 21 '{"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]}'
both 'a bounding set alone' 1 '{"bounding": ["CAP_CHOWN"]}'
both 'an empty bounding set' 0 '{"bounding": [], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]}'
