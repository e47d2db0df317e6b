#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# capabilities(7) lists "set promiscuous mode" under CAP_NET_ADMIN. A packet socket can set it without: PACKET_ADD_MEMBERSHIP (packet(7)) needs only
# CAP_NET_RAW, which the process needed to open the socket. Only `ip link set promisc on` needs NET_ADMIN. Debian's tcpdump, run as root, needs
# CAP_SETUID and CAP_SETGID, because it changes to its own user, and with `-w FILE` also CAP_CHOWN. With `-Z root` it needs none of the three. So a
# container that sniffs needs only NET_RAW.
#
# Seen on 2026-11-27, Linux 6.18, tcpdump 4.99.5 as root with these capabilities alone: the device becomes promiscuous, or tcpdump says:
#     net_raw                            Couldn't change to 'tcpdump'
#     net_raw, net_admin                 Couldn't change to 'tcpdump'
#     net_raw, -Z root                   promiscuous
#     net_raw, -Z root -w FILE           promiscuous
#     net_raw, setuid, setgid            promiscuous
#     net_raw, setuid, setgid, -w FILE   Couldn't change ownership of savefile
#     the same with chown                promiscuous
#     ip link set promisc on, net_raw    RTNETLINK answers: Operation not permitted
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie tcpdump=4.99.5-2 iproute2 util-linux dash busybox-static
printf 'root:x:0:0::/:/bin/sh\ntcpdump:x:100:100::/:/bin/sh\n' >"$work/trixie/etc/passwd"
printf 'root:x:0:\ntcpdump:x:100:\n' >"$work/trixie/etc/group"
# shellcheck disable=SC2016  # expanded by the inner shell
script='
	export PATH=/usr/sbin:/usr/bin
	ip link add finding type veth peer name other || exit 3
	ip link set finding up && ip link set other up
	dump() {
		: >/run/err
		setpriv --bounding-set "-all,$1" tcpdump -i finding -n $2 >/dev/null 2>>/run/err &
		id=$! tries=0
		until busybox grep -Eq "listening on|Couldn.t change" /run/err; do
			[ $((tries += 1)) -lt 100 ] || break
			busybox sleep 0.1
		done
		said=$(busybox grep -o "Couldn.t change .*" /run/err)
		[ -n "$said" ] || ! ip -d link show finding | busybox grep -q "promiscuity 1" || said=promiscuous
		echo "${said:-neither}" | busybox sed "s/ uid=.*//"
		kill $id 2>/dev/null
		wait $id 2>/dev/null
	}
	dump +net_raw
	dump +net_raw,+net_admin
	dump +net_raw "-Z root"
	dump +net_raw "-Z root -w /run/file"
	dump +net_raw,+setuid,+setgid
	dump +net_raw,+setuid,+setgid "-w /run/other"
	dump +net_raw,+setuid,+setgid,+chown "-w /run/third"
	setpriv --bounding-set -all,+net_raw ip link set finding promisc on 2>&1 || true'
seen=$(inside "$work/trixie" /usr/bin/unshare --net --pid --fork --kill-child /usr/bin/dash -c "$script") || {
	[[ $? == 3 ]] && skip "this kernel has no veth devices"
	exit 1
}
expect 'tcpdump 4.99.5' "Couldn't change to 'tcpdump'
Couldn't change to 'tcpdump'
promiscuous
promiscuous
promiscuous
Couldn't change ownership of savefile
promiscuous
RTNETLINK answers: Operation not permitted" "$seen"
