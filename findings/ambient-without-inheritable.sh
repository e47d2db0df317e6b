#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A capability that config.json lists as ambient but not as inheritable is not raised: the kernel raises only what is both permitted and inheritable
# (capabilities(7)). Both runtimes start the container with exit status 0; runc warns on standard error, crun says nothing. A user other than root
# holds a capability only through the ambient set, so the process runs without it.
#
# Seen on 2026-11-27, user 1000, CAP_KILL permitted, effective, bounding and ambient; effective set, status, words on standard error:
#     runc 1.3.6  0000000000000000 0 warned
#     crun 1.28   0000000000000000 0 silent
# with CAP_KILL inheritable too: 0000000000000020 for both.
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static

seen() { # INHERITABLE RUNTIME [OPTION...]
	local status=0 said
	bundle "$work/sid/bin/busybox" '["grep", "CapEff", "/proc/self/status"]' \
		"{\"bounding\": [\"CAP_KILL\"], \"effective\": [\"CAP_KILL\"], \"permitted\": [\"CAP_KILL\"], \"ambient\": [\"CAP_KILL\"], \"inheritable\": $1}"
	amend "c['process']['user'] = {'uid': 1000, 'gid': 1000}"
	inside "$work/sid" "${@:2}" --root /run/state run --bundle /shared/bundle finding >"$work/out" 2>"$work/err" || status=$?
	grep -q 'ambient' "$work/err" && said=warned || said=silent
	echo "$(sed -n 's/^CapEff:\t*//p' "$work/out") $status $said"
}

chmod -R a+rX "$work"
expect 'runc 1.3.6' '0000000000000000 0 warned' "$(seen '[]' runc)"
expect 'crun 1.28' '0000000000000000 0 silent' "$(seen '[]' crun --cgroup-manager=disabled)"
expect 'runc 1.3.6, inheritable too' '0000000000000020 0 silent' "$(seen '["CAP_KILL"]' runc)"
expect 'crun 1.28, inheritable too' '0000000000000020 0 silent' "$(seen '["CAP_KILL"]' crun --cgroup-manager=disabled)"
