#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `--cap-drop` together with `--privileged` has no effect, not even `--cap-drop ALL`, and neither engine says so. If root of the host lacks
# CAP_SYS_RESOURCE, `podman inspect` shows it as dropped, although the command line did not name it, and shows none of the capabilities that the
# command line did name.
#
# Seen on 2026-11-27, `--privileged --cap-drop ALL`, effective set and standard error:
#     docker 26.1.5  that of the daemon, nothing
#     podman 5.4.2   that of the engine, nothing
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc podman=5.4.2+ds1-2+b2 crun catatonit busybox-static
full=$(sed -n 's/^CapEff:\t*//p' /proc/self/status)

script='ENGINE run --rm --network none --privileged --cap-drop ALL finding grep CapEff /proc/self/status 2>/run/err; cat /run/err'
seen() {
	sed "s/^CapEff:\t*//; s/^$full\$/full/"
}
expect 'docker 26.1.5' full "$(with_docker "$work/trixie" "${script//ENGINE/docker}" | seen)"
expect 'podman 5.4.2' full "$(with_podman "$work/trixie" "${script//ENGINE/podman}" | seen)"
