#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A hook without `env` gets the runtime's whole environment, that is the engine's; a hook whose `env` is an empty list gets nothing. The two look
# alike in most people's structures of the configuration. crun adds a variable of its own to what it passes on.
#
# Seen on 2026-11-27, variables of a poststop hook, the runtime being called with PATH and SECRET:
#                     no env                                  env: []
#     runc 1.3.6      PATH SECRET                             (none)
#     crun 1.28       PATH SECRET _LIBCONTAINER_CLONED_BINARY (none)
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static
bundle "$work/sid/bin/busybox" '["sh", "-c", "exit 0"]' \
	'{"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"]}'
# Of its own process: a shell would add variables.
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
