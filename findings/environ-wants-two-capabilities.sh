#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# proc_pid_environ(5) says that a ptrace access mode check governs /proc/PID/environ. Root needs two capabilities to read that of another user's
# process. The file has mode 0400 and belongs to the process's user, so open(2) needs CAP_DAC_READ_SEARCH (or CAP_DAC_OVERRIDE) before the kernel asks
# for CAP_SYS_PTRACE. /proc/PID/maps has the same check, but mode 0444, and needs only CAP_SYS_PTRACE. So `ps e` with CAP_SYS_PTRACE shows no
# environment of another user's process, prints no error, and exits with 0.
#
# Seen on 2026-11-27, Linux 6.18, procps 4.0.4, root with these capabilities alone, a process of user 1000 with WORD=seen in its environment:
#                                    environ    maps       ps e
#     sys_ptrace                     refused    read       not shown, 0
#     dac_read_search                refused    refused    not shown, 0
#     sys_ptrace, dac_read_search    read       read       shown, 0
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie util-linux procps=2:4.0.4-9 busybox-static
# shellcheck disable=SC2016  # expanded by the inner shell
script='
	WORD=seen /usr/bin/setpriv --reuid 1000 --clear-groups /usr/bin/busybox sleep 60 &
	busybox sleep 0.5
	id=$!
	as() { /usr/bin/setpriv --bounding-set "-all,$1" busybox sh -c "$2"; }
	for set in +sys_ptrace +dac_read_search +sys_ptrace,+dac_read_search; do
		for file in environ maps; do
			as $set "busybox grep -q . /proc/$id/$file 2>/dev/null && echo read || echo refused"
		done
		as $set "/usr/bin/ps e -p $id | busybox grep -q WORD=seen && echo shown || echo not shown; /usr/bin/ps e -p $id >/dev/null; echo \$?"
	done
	kill $id'
chmod a+rx "$work"
seen=$(inside "$work/trixie" /usr/bin/busybox sh -c "$script" 2>"$work/err") || { cat "$work/err" >&2; exit 1; }
expect 'sys_ptrace' $'refused\nread\nnot shown\n0' "$(head -n 4 <<<"$seen")"
expect 'dac_read_search' $'refused\nrefused\nnot shown\n0' "$(sed -n 5,8p <<<"$seen")"
expect 'both' $'read\nread\nshown\n0' "$(tail -n 4 <<<"$seen")"
