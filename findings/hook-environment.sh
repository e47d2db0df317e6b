#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A hook without `env` gets the runtime's whole environment, which is the engine's. A hook whose `env` is an empty list gets nothing. Many programs
# parse the two cases into the same value. crun adds its own variable to those that it passes on.
#
# Seen on 2026-11-27, variables of a poststop hook, with PATH and SECRET in the environment of the runtime:
#                     no env                                  env: []
#     runc 1.3.6      PATH SECRET                             (none)
#     crun 1.28       PATH SECRET _LIBCONTAINER_CLONED_BINARY (none)
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static
bundle "$work/sid/bin/busybox" '["sh", "-c", "exit 0"]' \
	'{"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"]}'
# cp copies its own environment; a shell would add variables.
hook="'path': '/usr/bin/busybox', 'args': ['busybox', 'cp', '/proc/self/environ', '/shared/environ']"

seen() { # RUNTIME [OPTION...]
	rm -f "$work/shared/environ"
	inside "$work/sid" /usr/bin/busybox env -i PATH=/usr/sbin:/usr/bin SECRET=1 "$@" --root /run/state run --bundle /shared/bundle finding >"$work/out" 2>&1
	tr '\0' '\n' <"$work/shared/environ" | sed 's/=.*//' | sort | tr '\n' ' '
}

amend "c['hooks'] = {'poststop': [{$hook}]}"
expect 'runc 1.3.6, no env' 'PATH SECRET ' "$(seen runc)"
expect 'crun 1.28, no env' 'PATH SECRET _LIBCONTAINER_CLONED_BINARY ' "$(seen crun --cgroup-manager=disabled)"
amend "c['hooks'] = {'poststop': [{$hook, 'env': []}]}"
expect 'runc 1.3.6, empty env' '' "$(seen runc)"
expect 'crun 1.28, empty env' '' "$(seen crun --cgroup-manager=disabled)"
