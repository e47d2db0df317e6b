#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The runtime-spec (config.md, "POSIX-platform Hooks") says that if a poststop hook fails, the runtime must log a warning, "but the remaining hooks
# and lifecycle continue as if the hook had succeeded". crun runs the remaining hooks. runc warns and runs none of them; its exit status is 0. After a
# create that failed in a prestart hook, runc runs the poststop hooks and crun does not, although the spec requires them after each deletion of a
# container.
#
# Seen on 2026-11-27, poststop hooks that ran:
#                    first of two fails    prestart hook failed
#     runc 1.3.6     (none)                second
#     crun 1.28      second                (none)
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static
bundle "$work/sid/bin/busybox" '["sh", "-c", "exit 0"]' \
	'{"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"]}'
hook='{"path": "/usr/bin/busybox", "args": ["busybox", "touch", "/shared/second"]}'
fail='{"path": "/usr/bin/busybox", "args": ["busybox", "false"]}'

seen() { # RUNTIME [OPTION...]
	rm -f "$work/shared/second"
	inside "$work/sid" "$@" --root /run/state run --bundle /shared/bundle finding >"$work/out" 2>&1 || true
	[[ -e $work/shared/second ]] && echo second || echo none
}

amend "c['hooks'] = {'poststop': [$fail, $hook]}"
expect 'runc 1.3.6, first poststop hook fails' none "$(seen runc)"
expect 'crun 1.28, first poststop hook fails' second "$(seen crun --cgroup-manager=disabled)"
amend "c['hooks'] = {'prestart': [$fail], 'poststop': [$hook]}"
expect 'runc 1.3.6, prestart hook fails' second "$(seen runc)"
expect 'crun 1.28, prestart hook fails' none "$(seen crun --cgroup-manager=disabled)"
