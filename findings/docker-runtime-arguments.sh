#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docker does not start a runtime that has `runtimeArgs` with these arguments. The daemon writes a shell script below its data directory that passes
# them on, and containerd starts the script. The script does not `exec`, so a shell stays between containerd's shim and the runtime. It also does not
# quote `$@`, so an argument with a blank becomes two.
#
# Seen on 2026-11-27, docker 26.1.5, {"path": "/usr/bin/runc", "runtimeArgs": ["--debug"]}: the whole file is
#     #!/bin/sh
#     /usr/bin/runc --debug $@
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc busybox-static
mkdir -p "$work/trixie/etc/docker"
echo '{"runtimes": {"finding": {"path": "/usr/bin/runc", "runtimeArgs": ["--debug"]}}}' >"$work/trixie/etc/docker/daemon.json"
# shellcheck disable=SC2016  # that is what the file says
expect 'docker 26.1.5' $'#!/bin/sh\n/usr/bin/runc --debug $@' "$(with_docker "$work/trixie" 'find /var/lib/docker/runtimes -type f -exec cat {} +')"
