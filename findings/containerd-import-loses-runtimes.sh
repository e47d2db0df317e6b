#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A drop-in that adds one runtime to containerd (`imports`, containerd-config.toml(5)) can remove another, with exit status 0.
#  - containerd 1.7.24: the CRI plugin's section of the imported file replaces that of the main file, including built-in defaults.
#  - containerd 2.1.9 merges two files of version 2. If the main file has version 2 and the imported one version 3, it does not migrate the section of
#    the main file: `containerd config dump` says "Ignoring unknown key in TOML for plugin" and leaves the section out.
#
# Seen on 2026-11-27, with `main` in the main file and `added` in the imported one; runtimes in the dump:
#                        both of version 2    version 2 imports version 3
#     containerd 1.7.24  added                (refused: version 3 is not known)
#     containerd 2.1.9   added main runc      added runc
source "$(dirname "$0")/common.bash"

debian_root "$work/trixie" trixie containerd=1.7.24~ds1-6+deb13u1
debian_root "$work/sid" sid containerd

configure() { # VERSION-OF-THE-IMPORTED-FILE PLUGIN-IN-IT
	mkdir -p "$work/shared/conf.d"
	cat >"$work/shared/config.toml" <<-'TOML'
		version = 2
		imports = ["/shared/conf.d/*.toml"]
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.main]
		  runtime_type = "io.containerd.runc.v2"
	TOML
	cat >"$work/shared/conf.d/added.toml" <<-TOML
		version = $1
		[plugins."$2".containerd.runtimes.added]
		  runtime_type = "io.containerd.runc.v2"
	TOML
}
seen() { # ROOT
	inside "$1" containerd --config /shared/config.toml config dump >"$work/dump" 2>"$work/err"
	sed -n "s/.*containerd\.runtimes\.\([a-z]*\)\]$/\1/p" "$work/dump" | sort | tr '\n' ' '
}

version=$(inside "$work/sid" containerd --version | awk '{ print $3 }')
[[ $version == 2.1.9* ]] || skip "sid has containerd $version now"
configure 2 io.containerd.grpc.v1.cri
expect 'containerd 1.7.24, both of version 2' 'added ' "$(seen "$work/trixie")"
expect 'containerd 2.1.9, both of version 2' 'added main runc ' "$(seen "$work/sid")"
configure 3 io.containerd.cri.v1.runtime
expect 'containerd 2.1.9, version 2 imports version 3' 'added runc ' "$(seen "$work/sid")"
