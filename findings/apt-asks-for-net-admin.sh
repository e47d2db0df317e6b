#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `apt-get install` asks for CAP_NET_ADMIN, even for a local package without a network and without D-Bus. Before it runs dpkg, apt loads libsystemd to
# delay a shutdown. sd-bus then enlarges the socket's buffers before it connects, by SO_RCVBUFFORCE and SO_SNDBUFFORCE, which need the capability. If
# the kernel refuses, apt continues with the buffers that it has and prints nothing. A tracer of capabilities reports CAP_NET_ADMIN all the same.
#
# Seen on 2026-11-27; options asked for, their results, exit status of apt-get:
#     apt 2.6.1                        SO_RCVBUFFORCE 0, SO_SNDBUFFORCE 0, 0
#     apt 2.6.1, without NET_ADMIN     SO_RCVBUFFORCE -1 EPERM, SO_SNDBUFFORCE -1 EPERM, 0
#     apt 3.0.4                        SO_RCVBUFFORCE 0, SO_SNDBUFFORCE 0, 0
source "$(dirname "$0")/common.bash"

mkdir -p "$work/shared/one/DEBIAN"
printf 'Package: finding\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: nothing\n' >"$work/shared/one/DEBIAN/control"
seen() { # ROOT BOUNDING-SET
	local status=0
	inside "$1" dpkg-deb --build /shared/one /shared/one.deb >/dev/null
	inside "$1" unshare --net setpriv --bounding-set "$2" strace -f -e trace=setsockopt -o /shared/log \
		apt-get -o APT::Sandbox::User=root -y install --reinstall /shared/one.deb >"$work/out" 2>&1 || status=$?
	sed -nE 's/.*SOL_SOCKET, (SO_...BUFFORCE), .* = (0|-1 [A-Z]+).*/\1 \2/p' "$work/shared/log"
	echo "$status"
}
for suite in bookworm trixie; do
	debian_root "$work/$suite" $suite apt libsystemd0 dpkg strace util-linux dash tar coreutils diffutils libc-bin
done
[[ $(inside "$work/bookworm" apt-get --version) == 'apt 2.6.1'* ]] || skip 'bookworm has another apt now'
[[ $(inside "$work/trixie" apt-get --version) == 'apt 3.0.4'* ]] || skip 'trixie has another apt now'
expect 'apt 2.6.1' $'SO_RCVBUFFORCE 0\nSO_SNDBUFFORCE 0\n0' "$(seen "$work/bookworm" +all)"
expect 'apt 2.6.1 without NET_ADMIN' $'SO_RCVBUFFORCE -1 EPERM\nSO_SNDBUFFORCE -1 EPERM\n0' "$(seen "$work/bookworm" -net_admin)"
expect 'apt 3.0.4' $'SO_RCVBUFFORCE 0\nSO_SNDBUFFORCE 0\n0' "$(seen "$work/trixie" +all)"
