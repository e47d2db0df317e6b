#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `runc exec` without --process builds the new process from the bundle's config.json as it is at that moment, not as it was at create. Capabilities
# that were added to the file in between are given to the new process, in a container that does not have them. `crun exec` uses the copy that it made
# at create.
#
# Seen on 2026-11-27: container created with CAP_CHOWN and CAP_KILL (0x21); CAP_NET_RAW (0x2000) added to the file; effective set of the new process:
#     runc 1.3.6  0000000000002021
#     crun 1.28   0000000000000021
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static

seen() { # RUNTIME [OPTION...]
	bundle "$work/sid/bin/busybox" '["sleep", "30"]' \
		'{"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"]}'
	cp "$work/shared/bundle/config.json" "$work/shared/before.json"
	amend "[c['process']['capabilities'][name].append('CAP_NET_RAW') for name in ('bounding', 'effective', 'permitted')]; c['process']['args'] = ['true']"
	cp "$work/shared/bundle/config.json" "$work/shared/after.json"
	cp "$work/shared/before.json" "$work/shared/bundle/config.json"
	# shellcheck disable=SC2016  # expanded by the inner shell
	inside "$work/sid" busybox sh -c '
		"$@" --root /run/state create --bundle /shared/bundle finding >/dev/null 2>&1 && "$@" --root /run/state start finding
		busybox cp /shared/after.json /shared/bundle/config.json
		"$@" --root /run/state exec finding grep CapEff /proc/self/status
		"$@" --root /run/state delete --force finding' exec "$@" | sed -n 's/^CapEff:\t*//p'
}

expect 'runc 1.3.6' 0000000000002021 "$(seen runc)"
expect 'crun 1.28' 0000000000000021 "$(seen crun --cgroup-manager=disabled)"
