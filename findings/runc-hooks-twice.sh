#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# If a container has no mount namespace of its own, runc 1.1 (in Debian 12) runs its prestart and createRuntime hooks twice, one round after the
# other, with the same state on standard input. Each hook runs once with a mount namespace, in runc 1.3, and under crun. A hook that sets something up
# must detect that it has already run.
#
# Seen on 2026-11-27, hooks in the order in which they ran:
#                  with a mount namespace           without
#     runc 1.1.5   prestart createRuntime poststop  prestart createRuntime prestart createRuntime poststop
#     runc 1.3.6   prestart createRuntime poststop  prestart createRuntime poststop
#     crun 1.28    prestart createRuntime poststop  prestart createRuntime poststop
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static
debian_root "$work/bookworm" bookworm runc=1.1.5+ds1-1+deb12u1 busybox-static

seen() { # ROOT STATEMENT RUNTIME [OPTION...]
	bundle "$work/sid/bin/busybox" '["busybox", "true"]' '{"bounding": ["CAP_CHOWN"]}'
	cp "$work/sid/bin/busybox" "$work/shared/busybox"
	amend 'c["hooks"] = {name: [{"path": "/shared/busybox", "args": ["busybox", "sh", "-c", "echo %s >>/shared/hooks" % name]}]
		for name in ("prestart", "createRuntime", "poststop")}'
	amend "$2"
	rm -f "$work/shared/hooks"
	inside "$work/$1" "${@:3}" --root /run/state run --bundle /shared/bundle finding >/dev/null 2>&1 || echo "status $?"
	tr '\n' ' ' <"$work/shared/hooks"
}

once='prestart createRuntime poststop ' twice='prestart createRuntime prestart createRuntime poststop '
without='c["linux"]["namespaces"] = [one for one in c["linux"]["namespaces"] if one["type"] != "mount"]'

expect 'runc 1.1.5, with a mount namespace' "$once" "$(seen bookworm pass runc)"
expect 'runc 1.1.5, without' "$twice" "$(seen bookworm "$without" runc)"
expect 'runc 1.3.6, with a mount namespace' "$once" "$(seen sid pass runc)"
expect 'runc 1.3.6, without' "$once" "$(seen sid "$without" runc)"
expect 'crun 1.28, with a mount namespace' "$once" "$(seen sid pass crun --cgroup-manager=disabled)"
expect 'crun 1.28, without' "$once" "$(seen sid "$without" crun --cgroup-manager=disabled)"
