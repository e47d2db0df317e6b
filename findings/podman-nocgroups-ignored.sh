#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# containers.conf(5) names the list of runtimes that make containers without a control group `runtime_supports_nocgroups`. podman reads
# `runtime_supports_nocgroup`, and silently ignores the documented name: a runtime in the documented list is still refused.
#
# Seen on 2026-11-27, podman 5.4.2, `podman --runtime other run --cgroups=disabled`, `other` a link to crun:
#     runtime_supports_nocgroups = ["other"]    requested OCI runtime other is not compatible with NoCgroups
#     runtime_supports_nocgroup = ["other"]     runs
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie podman=5.4.2+ds1-2+b2 crun catatonit busybox-static

seen() { # KEY
	# shellcheck disable=SC2016  # expanded by the inner shell
	with_podman "$work/trixie" '
		ln -sf crun /usr/bin/other
		printf "[containers]\npids_limit = 0\n[engine]\n%s = [\"other\"]\n[engine.runtimes]\nother = [\"/usr/bin/other\"]\n" '"$1"' >/etc/containers/containers.conf
		podman --runtime other run --rm --network=none --cgroups=disabled localhost/finding busybox echo runs 2>&1 | sed "s/: invalid argument//; s/^Error: //"'
}

expect 'the documented name' 'requested OCI runtime other is not compatible with NoCgroups' "$(seen runtime_supports_nocgroups)"
expect 'the other name' runs "$(seen runtime_supports_nocgroup)"
