#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# runc gives a hook pipes for its output, and waits until every process has closed them. A hook that ends at once with status 0, but leaves a process
# in the background, delays the container for as long as that process lives. With a `timeout` runc waits just as long; then it says "hook ran past
# specified timeout", although the hook had ended, and does not start the container. crun gives hooks /dev/null, and continues when the hook has
# ended.
#
# Seen on 2026-11-27, `create` with a prestart hook that starts `sleep 4` in the background: exit status, and did it take
# 3 seconds or more (`run` shows no difference, because there crun reaps the container's orphans and so waits for the process too):
#                 no timeout   timeout: 1
#     runc 1.3.6  0 yes        1 yes
#     crun 1.28   0 no         0 no
source "$(dirname "$0")/common.bash"

debian_root "$work/sid" sid runc=1.3.6+ds1-1 crun=1.28-1 busybox-static
bundle "$work/sid/bin/busybox" '["sh", "-c", "exit 0"]' \
	'{"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"]}'
hook="'path': '/usr/bin/busybox', 'args': ['busybox', 'sh', '-c', '/usr/bin/busybox sleep 4 &']"

seen() { # RUNTIME [OPTION...]
	# shellcheck disable=SC2016  # expanded by the inner shell
	inside "$work/sid" busybox sh -c '
		begin=$(busybox cut -d. -f1 /proc/uptime)
		"$@" --root /run/state create --bundle /shared/bundle finding >/dev/null 2>&1
		status=$?
		[ $(($(busybox cut -d. -f1 /proc/uptime) - begin)) -ge 3 ] && echo $status yes || echo $status no
		"$@" --root /run/state delete --force finding >/dev/null 2>&1' create "$@"
}

amend "c['hooks'] = {'prestart': [{$hook}]}"
expect 'runc 1.3.6, no timeout' '0 yes' "$(seen runc)"
expect 'crun 1.28, no timeout' '0 no' "$(seen crun --cgroup-manager=disabled)"
amend "c['hooks'] = {'prestart': [{$hook, 'timeout': 1}]}"
expect 'runc 1.3.6, timeout of 1 s' '1 yes' "$(seen runc)"
expect 'crun 1.28, timeout of 1 s' '0 no' "$(seen crun --cgroup-manager=disabled)"
