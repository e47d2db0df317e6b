#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `exec --cap CAP_NET_RAW` adds to the container's capabilities under runc, and replaces them under crun: the new process then holds only the named
# capability, although `crun exec --help` says "add a capability".
#
# Seen on 2026-11-27, in a container that has CAP_CHOWN and CAP_KILL (0x21; CAP_NET_RAW is 0x2000), effective set of the new process:
#                without --cap     with --cap CAP_NET_RAW
#     runc 1.3.6 0000000000000021  0000000000002021
#     crun 1.28  0000000000000021  0000000000002000
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static
bundle "$work/sid/bin/busybox" '["sleep", "30"]' \
	'{"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"]}'

seen() { # RUNTIME [OPTION...]
	# shellcheck disable=SC2016  # expanded by the inner shell
	inside "$work/sid" busybox sh -c '
		"$@" --root /run/state create --bundle /shared/bundle finding >/dev/null 2>&1 && "$@" --root /run/state start finding
		for option in "" "--cap CAP_NET_RAW"; do
			"$@" --root /run/state exec $option finding grep CapEff /proc/self/status
		done
		"$@" --root /run/state delete --force finding' exec "$@" | sed -n 's/^CapEff:\t*//p'
}

expect 'runc 1.3.6' $'0000000000000021\n0000000000002021' "$(seen runc)"
expect 'crun 1.28' $'0000000000000021\n0000000000002000' "$(seen crun --cgroup-manager=disabled)"
