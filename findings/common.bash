# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Functions that the findings share. A finding runs public packages of a pinned version, without capprof, on valid input, and fails if they no
# longer behave as it says. It needs root, mmdebstrap, util-linux and python3, and works in a temporary directory that it removes.
set -euo pipefail

work=$(mktemp -d "${TMPDIR:-/tmp}/capprof-finding.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

skip() { # REASON
	echo "skipped: $(basename "$0" .sh): $1"
	exit 0
}

# Unpacks packages and their dependencies without running their scripts. The mirror is that of this machine's apt configuration.
debian_root() { # DIRECTORY SUITE PACKAGE[=VERSION]...
	local root=$1 suite=$2 mirror link IFS=,
	shift 2
	mirror=$("$(dirname "${BASH_SOURCE[0]}")/../tests/mirror")
	mmdebstrap --quiet --variant=extract --include="$*" --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$root" "$mirror" 2>"$work/apt.log" ||
		skip "$suite has no $* any more: $(grep '^E:' "$work/apt.log" | head -n 1)"
	for link in bin sbin lib lib64; do
		[[ -e $root/$link ]] || ln -s "usr/$link" "$root/$link"
	done
	mkdir -p "$root"/{proc,sys,dev,run,tmp,old,shared,var/tmp,var/lib/docker}
	[[ -e $root/usr/bin/sh ]] || ln -s busybox "$root/usr/bin/sh"
}

# Runs a command in its own mount namespace, with the directory as its root and with control groups of version 2 only.
# $work/shared is at /shared there.
inside() { # DIRECTORY COMMAND...
	mkdir -p "$work/shared"
	# shellcheck disable=SC2016  # expanded by the inner shell
	unshare --mount --propagation private bash -c '
		root=$1 shared=$2
		shift 2
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount -t sysfs sysfs "$root/sys"
		mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
		mount -t tmpfs -o mode=755 tmpfs "$root/dev"
		for name in null zero full random urandom tty; do
			touch "$root/dev/$name" && mount --bind "/dev/$name" "$root/dev/$name"
		done
		mount -t tmpfs tmpfs "$root/run"
		mount --bind "$shared" "$root/shared"
		cd "$root"
		pivot_root . old
		exec "$@"' inside "$1" "$work/shared" "${@:2}" </dev/null
}

# Runs a script with busybox's shell next to an engine that has the image `finding` of a static busybox. Its containers have no network.
# ROOT has docker.io, docker-cli and busybox-static.
with_docker() { # ROOT SCRIPT
	# shellcheck disable=SC2016  # expanded by the inner shell
	inside "$1" /usr/bin/busybox sh -c "$image"'
		mount -t tmpfs tmpfs /var/lib/docker
		dockerd --bridge=none --iptables=false --ip6tables=false --storage-driver=vfs >/run/dockerd.log 2>&1 &
		daemon=$! tries=0
		until docker version >/dev/null 2>&1; do
			[ $((tries += 1)) -lt 100 ] || { tail -n 3 /run/dockerd.log >&2; exit 1; }
			sleep 0.2
		done
		tar -C /run/image -c . | docker import - finding >/dev/null
		eval "$1"
		kill $daemon
		wait
		rmdir /sys/fs/cgroup/docker 2>/dev/null || true' docker "$2"
}
# ROOT has podman, crun, catatonit and busybox-static.
with_podman() { # ROOT SCRIPT
	# shellcheck disable=SC2016  # expanded by the inner shell
	inside "$1" /usr/bin/busybox sh -c "$image"'
		mkdir -p /dev/shm /etc/containers
		mount -t tmpfs tmpfs /dev/shm
		echo "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}" >/etc/containers/policy.json
		# By default podman limits the number of processes, and the host may have that controller in version 1.
		printf "[containers]\npids_limit = 0\n" >/etc/containers/containers.conf
		podman() { command podman --root /run/podman/root --runroot /run/podman/run --storage-driver vfs --cgroup-manager cgroupfs --events-backend none "$@"; }
		tar -C /run/image -c . | podman import - localhost/finding >/dev/null 2>&1
		eval "$1"
		rmdir /sys/fs/cgroup/libpod_parent 2>/dev/null || true' podman "$2"
}
# shellcheck disable=SC2016  # expanded by the inner shell
image='
	export HOME=/run PATH=/run/applets:/usr/sbin:/usr/bin
	busybox mkdir -p /run/image/bin /run/applets
	busybox --install -s /run/applets
	cp /usr/bin/busybox /run/image/bin
	for name in sh grep sleep mount mkdir; do ln -s busybox "/run/image/bin/$name"; done'

# Makes a bundle of a static busybox in $work/shared/bundle; ARGUMENTS is a JSON list, CAPABILITIES the JSON of process.capabilities, or
# `absent` to leave the member out.
bundle() { # BUSYBOX ARGUMENTS CAPABILITIES
	local bundle=$work/shared/bundle
	mkdir -p "$bundle/rootfs/bin" "$bundle/rootfs/proc"
	cp "$1" "$bundle/rootfs/bin/busybox"
	for name in sh grep sleep; do ln -sf busybox "$bundle/rootfs/bin/$name"; done
	python3 - "$bundle/config.json" "$2" "$3" <<'PYTHON'
import json, sys
path, arguments, capabilities = sys.argv[1:]
process = {"cwd": "/", "user": {"uid": 0, "gid": 0}, "args": json.loads(arguments), "env": ["PATH=/bin"]}
if capabilities != "absent":
    process["capabilities"] = json.loads(capabilities)
json.dump({
    "ociVersion": "1.0.2", "process": process, "root": {"path": "rootfs"},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
               {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}],
    "linux": {"namespaces": [{"type": name} for name in ("pid", "mount", "ipc", "uts", "network")]},
}, open(path, "w"))
PYTHON
}

# Changes the bundle's configuration, `c`, by a statement of Python.
amend() { # STATEMENT
	python3 - "$work/shared/bundle/config.json" "$1" <<'PYTHON'
import json, sys
path, statement = sys.argv[1:]
with open(path) as file:
    c = json.load(file)
exec(statement)
with open(path, "w") as file:
    json.dump(c, file)
PYTHON
}

# Reads a Rust program from standard input, runs it with the crates oci-spec and serde_json, and puts its output into $seen.
with_oci_spec() {
	command -v cargo >/dev/null || skip "no Rust toolchain"
	mkdir -p "$work/crate/src"
	cat >"$work/crate/src/main.rs"
	cat >"$work/crate/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
oci-spec = { version = "=0.10.0", default-features = false, features = ["runtime"] }
serde_json = "1"
TOML
	# shellcheck disable=SC2034  # the finding reads it
	seen=$(cargo run --quiet --manifest-path "$work/crate/Cargo.toml" 2>"$work/err") || { cat "$work/err" >&2 && exit 1; }
}

# Compares what was seen with what this finding says. If they differ, shows both and fails.
expect() { # WHAT EXPECTED SEEN
	if [[ $2 == "$3" ]]; then
		printf 'as found: %s: %s\n' "$1" "$(tr '\n' ' ' <<<"$3")"
	else
		printf 'changed: %s\n  found then: %s\n  seen now:   %s\n' "$1" "$2" "$3" >&2
		exit 1
	fi
}
