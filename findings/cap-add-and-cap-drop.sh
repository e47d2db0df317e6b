#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `--cap-add` and `--cap-drop` of the same capability mean opposite things to two engines. In docker the addition wins, even for `ALL`: `--cap-drop
# ALL --cap-add ALL` gives every capability. podman refuses both command lines.
#
# Seen on 2026-11-27, effective set, where `full` is the set of the daemon:
#                                            docker 26.1.5        podman 5.4.2
#     --cap-drop ALL --cap-add ALL           full                 refused
#     --cap-drop CHOWN --cap-add CHOWN       00000000a80425fb     refused      (docker's default set, which has CAP_CHOWN)
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc podman=5.4.2+ds1-2+b2 crun catatonit busybox-static
full=$(sed -n 's/^CapEff:\t*//p' /proc/self/status)

# shellcheck disable=SC2016  # expanded by the inner shell
script='for name in ALL CHOWN; do
		ENGINE run --rm --network none --cap-drop $name --cap-add $name finding grep CapEff /proc/self/status 2>/run/err || grep -Eo "not allowed|cannot be dropped and added" /run/err
	done'
seen() {
	sed "s/^CapEff:\t*//; s/^$full\$/full/"
}
expect 'docker 26.1.5' $'full\n00000000a80425fb' "$(with_docker "$work/trixie" "${script//ENGINE/docker}" | seen)"
expect 'podman 5.4.2' $'not allowed\ncannot be dropped and added' "$(with_podman "$work/trixie" "${script//ENGINE/podman}" | seen)"
