#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What `podman exec --user 1000` holds of a container's `--cap-add` depends on the user of the container's first process. If that is 1000, the new
# process has the added capabilities, as the first process does (user-and-cap-add.sh). If it is root, the new process has nothing, although the
# command line and the container's capabilities are the same. `exec --privileged` changes neither: it fills only the bounding set. So what works in a
# container with USER 1000 fails with `exec --user 1000` in a container of root. Under docker such a process never holds anything.
#
# Seen on 2026-11-27, `run --cap-add NET_ADMIN` (0x1000), effective set of `exec --user 1000`:
#                                            docker 26.1.5    podman 5.4.2
#     run --user 0                           0                0
#     run --user 1000                        0                1000
#     run --user 1000, exec --privileged     0                1000
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc podman=5.4.2+ds1-2+b2 crun catatonit busybox-static

# shellcheck disable=SC2016  # expanded by the inner shell
script='for user in 0 1000; do
		ENGINE run -d --name profiled --network none --user $user --cap-add NET_ADMIN finding sleep 60 >/dev/null 2>&1
		for options in "" --privileged; do
			[ "$user $options" = "0 --privileged" ] || ENGINE exec --user 1000 $options profiled grep CapEff /proc/self/status
		done
		ENGINE rm -f -t 0 profiled >/dev/null 2>&1 || ENGINE rm -f profiled >/dev/null
	done'
seen() {
	sed 's/^CapEff:\t0*\(.\)/\1/'
}
expect 'docker 26.1.5' $'0\n0\n0' "$(with_docker "$work/trixie" "${script//ENGINE/docker}" | seen)"
expect 'podman 5.4.2' $'0\n1000\n1000' "$(with_podman "$work/trixie" "${script//ENGINE/podman}" | seen)"
