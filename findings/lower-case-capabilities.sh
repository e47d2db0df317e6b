#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The two runtimes read names of capabilities in config.json differently, and neither refuses a name that it does not know. For crun, `cap_kill` is
# CAP_KILL. runc warns on standard error, ignores the name, and starts the container with empty sets and exit status 0.
#
# Seen on 2026-11-27, effective set and exit status, with "cap_kill" in the bounding, effective and permitted set:
#     runc 1.3.6 0000000000000000 0
#     crun 1.28  0000000000000020 0
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static
bundle "$work/sid/bin/busybox" '["grep", "CapEff", "/proc/self/status"]' \
	'{"bounding": ["cap_kill"], "effective": ["cap_kill"], "permitted": ["cap_kill"]}'

seen() { # RUNTIME [OPTION...]
	local status=0
	inside "$work/sid" "$@" --root /run/state run --bundle /shared/bundle finding >"$work/out" 2>"$work/err" || status=$?
	echo "$(sed -n 's/^CapEff:\t*//p' "$work/out") $status"
}

expect 'runc 1.3.6' '0000000000000000 0' "$(seen runc)"
grep -q 'ignoring unknown or unavailable capabilities' "$work/err" || expect 'runc warns' yes "$(cat "$work/err")"
expect 'crun 1.28' '0000000000000020 0' "$(seen crun --cgroup-manager=disabled)"
