#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# systemd-nspawn makes the container's capabilities not only permitted and effective for the first process, but also inheritable; runc, crun, docker
# and podman stopped doing that in 2022. There a recorder must not assume that the program itself filled the inheritable set. If `--drop-capability`
# and `--capability` name the same capability, the drop wins; in docker the addition wins.
#
# Seen on 2026-11-27, systemd 257.13, without further options, inheritable and effective set; CAP_NET_ADMIN is 0x1000:
#     (no option)                                                  00000000fcecafff 00000000fcecafff
#     --capability CAP_NET_ADMIN                                   00000000fcecbfff 00000000fcecbfff
#     --capability CAP_NET_ADMIN --drop-capability CAP_NET_ADMIN   00000000fcecafff 00000000fcecafff
# (on a machine whose root lacks one of these, without it)
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie systemd-container=257.13-1~deb13u1 busybox-static
full=$(sed -n 's/^CapEff:\t*//p' /proc/self/status)
# shellcheck disable=SC2016  # expanded by the inner shell
inside "$work/trixie" /usr/bin/busybox sh -c '
	busybox mkdir -p /dev/pts /run/root/usr/bin /run/root/proc /run/root/sys /run/root/dev /run/root/etc /run/root/tmp /run/root/run
	busybox mount -t devpts devpts /dev/pts -o newinstance,ptmxmode=666
	busybox ln -sf pts/ptmx /dev/ptmx
	echo 0123456789abcdef0123456789abcdef >/etc/machine-id
	busybox cp /usr/bin/busybox /run/root/usr/bin && busybox ln -s usr/bin /run/root/bin
	busybox touch /run/root/etc/os-release
	for options in "" "--capability=CAP_NET_ADMIN" "--capability=CAP_NET_ADMIN --drop-capability=CAP_NET_ADMIN"; do
		systemd-nspawn --register=no --keep-unit --quiet --directory /run/root $options /usr/bin/busybox grep -E "^Cap(Inh|Eff)" /proc/self/status
	done' | tr -d '\r' | cut -f 2 | paste -d ' ' - - >"$work/seen"
expected=
for set in 00000000fcecafff 00000000fcecbfff 00000000fcecafff; do
	set=$(printf %016x $((0x$set & 0x$full)))
	expected+="$set $set"$'\n'
done
expect 'systemd 257.13' "${expected%$'\n'}" "$(<"$work/seen")"
