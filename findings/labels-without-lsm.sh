#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# If the kernel does not run a security module, the runtime and the member decide what happens to its labels. crun silently drops an AppArmor profile
# and a mount label, and the container starts unconfined. runc refuses both, and both runtimes refuse a process label.
#
# Seen on 2026-11-27, kernel with neither SELinux nor AppArmor:
#                  apparmorProfile   linux.mountLabel   selinuxLabel
#     runc 1.3.6   refused           refused            refused
#     crun 1.28    starts            starts             refused
source "$(dirname "$0")/common.bash"

[[ ! -e /sys/fs/selinux/enforce && ! -e /sys/kernel/security/apparmor/profiles ]] || skip "this kernel runs SELinux or AppArmor"
debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static

seen() { # RUNTIME [OPTION...]
	local statement
	for statement in "c['process']['apparmorProfile'] = 'docker-default'" \
		"c['linux']['mountLabel'] = 'system_u:object_r:container_file_t:s0:c1,c2'" \
		"c['process']['selinuxLabel'] = 'system_u:system_r:container_t:s0:c1,c2'"; do
		bundle "$work/sid/bin/busybox" '["sh", "-c", "exit 0"]' \
			'{"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"]}'
		amend "$statement"
		inside "$work/sid" "$@" --root /run/state run --bundle /shared/bundle finding >"$work/out" 2>&1 && echo starts || echo refused
	done
}

expect 'runc 1.3.6' $'refused\nrefused\nrefused' "$(seen runc)"
expect 'crun 1.28' $'starts\nstarts\nrefused' "$(seen crun --cgroup-manager=disabled)"
