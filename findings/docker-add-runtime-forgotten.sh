#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# dockerd starts with the runtimes of its option --add-runtime and those of daemon.json. When it reloads a daemon.json that names runtimes, it keeps
# only those: the runtime of the command line is gone until the next start, and its containers cannot be started.
#
# Seen on 2026-11-27, docker 26.1.5, dockerd --add-runtime flag=/usr/bin/runc, daemon.json with a runtime `file`:
#     started so                                     file flag
#     started without the file, which is reloaded    file
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 runc busybox-static

seen() { # STATEMENT
	# shellcheck disable=SC2016  # expanded by the inner shell
	with_docker "$work/trixie" '
		names() { docker info --format "{{range \$name, \$_ := .Runtimes}}{{\$name}} {{end}}" | tr " " "\n" | grep -xE "file|flag" | tr "\n" " "; }
		kill $daemon
		wait
		mkdir -p /etc/docker
		start() {
			dockerd --bridge=none --iptables=false --ip6tables=false --storage-driver=vfs --add-runtime flag=/usr/bin/runc >/run/dockerd.log 2>&1 &
			daemon=$!
			until docker version >/dev/null 2>&1; do sleep 0.2; done
		}
		file() { echo "{\"runtimes\": {\"file\": {\"path\": \"/usr/bin/runc\"}}}" >/etc/docker/daemon.json; }
		'"$1"'
		names
		rm /etc/docker/daemon.json'
}

expect 'started with both' 'file flag ' "$(seen 'file; start')"
# shellcheck disable=SC2016  # expanded by the inner shell
expect 'reloaded' 'file ' "$(seen 'echo {} >/etc/docker/daemon.json; start; file; kill -HUP $daemon; sleep 1')"
