#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The engine decides what `--cap-add` does for a container whose user is not root. podman adds the capability to the ambient set, so the process holds
# it. docker adds it only to the bounding set, and the process holds nothing. `--privileged`, which grants more, gives such a process nothing under
# either engine, so podman with `--cap-add ALL` gives more than podman with `--privileged`.
#
# Seen on 2026-11-27, `--user 1000`, effective set, where `full` is the set of the engine:
#                                docker 26.1.5        podman 5.4.2
#     --cap-add NET_ADMIN        0000000000000000     0000000000001000
#     --cap-add ALL              0000000000000000     full
#     --privileged               0000000000000000     0000000000000000
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc podman=5.4.2+ds1-2+b2 crun catatonit busybox-static
full=$(sed -n 's/^CapEff:\t*//p' /proc/self/status)

# shellcheck disable=SC2016  # expanded by the inner shell
script='for options in "--cap-add NET_ADMIN" "--cap-add ALL" --privileged; do
		ENGINE run --rm --network none --user 1000 $options finding grep CapEff /proc/self/status 2>/run/err || cat /run/err
	done'
seen() {
	sed "s/^CapEff:\t*//; s/^$full\$/full/"
}
none=0000000000000000
expect 'docker 26.1.5' "$none"$'\n'"$none"$'\n'"$none" "$(with_docker "$work/trixie" "${script//ENGINE/docker}" | seen)"
expect 'podman 5.4.2' $'0000000000001000\nfull\n'"$none" "$(with_podman "$work/trixie" "${script//ENGINE/podman}" | seen)"
