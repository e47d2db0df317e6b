# SPDX-License-Identifier: Apache-2.0
# `make help` lists the entries.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
BIN := $(TARGET)/release

# What building needs, what the demo needs on top, and what the tests need on top of both (Debian's package names).
BUILD_PACKAGES := ca-certificates clang gcc libc6-dev libelf-dev libclang-dev libpcre2-dev libselinux1-dev llvm make pkg-config python3 zlib1g-dev
DEMO_PACKAGES := jq mmdebstrap mount runc crun util-linux
TEST_PACKAGES := attr busybox-static bpftool checkpolicy cpio dpkg-dev e2fsprogs iproute2 libcap2-bin linux-libc-dev lintian mandoc \
	openssh-client policycoreutils procps qemu-system-x86 qemu-utils rpm rpmlint secilc selinux-utils semodule-utils setools shellcheck strace time xz-utils

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the entries
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

.PHONY: deps
deps: ## install what building and the demo need (apt)
	@packaging/deps $(BUILD_PACKAGES) $(DEMO_PACKAGES)

.PHONY: test-deps
test-deps: ## install what the tests need (apt)
	@packaging/deps $(BUILD_PACKAGES) $(DEMO_PACKAGES) $(TEST_PACKAGES)

.PHONY: build
build: ## build the binaries into target/release, as the packages have them
	@CARGO=$(CARGO) packaging/compile

.PHONY: demo
demo: deps build ## profile a real rsyslogd under runc, and under crun, and print the answer
	@tests/demo/rsyslogd --bin $(BIN) --runtime runc --expect CAP_SYSLOG
	@tests/demo/rsyslogd --bin $(BIN) --runtime crun --expect CAP_SYSLOG

.PHONY: test
test: test-deps build ## run the suite, SELinux's part in a guest (test-vm-full, test-engines: all that guests can run; test-servers: longer)
	@tests/run

.PHONY: test-host
test-host: test-deps build ## run the part of the suite that needs no guest
	@tests/run unit demo host policy

.PHONY: test-vm
test-vm: test-deps build ## run the part of the suite that runs in the guest
	@tests/run guest

.PHONY: test-vm-full
test-vm-full: test-deps build ## the same with every program, recorder, runtime and variant (hours)
	@tests/run guest-full

.PHONY: test-engines
test-engines: test-deps build ## run all tests of docker, podman and containerd in guests (long)
	@tests/run engines-full

.PHONY: accuracy
accuracy: test-deps build ## make docs/accuracy.md anew, from what the suites find
	@rows=$$(mktemp -d) && CAPPROF_ROWS=$$rows tests/run host servers guest && tests/accuracy --write $$rows/*.rows; \
		status=$$?; rm -rf $$rows; exit $$status

# The Python environment of the generator lies below target/; the check and the documents need none.
KERNELS ?= 6.12
.PHONY: atlas
atlas: ## find where a kernel asks for capabilities (KERNELS=6.12), list what must be read, make docs/atlas.md
	@test -x $(TARGET)/atlas/bin/pip || python3 -m venv $(TARGET)/atlas
	@$(TARGET)/atlas/bin/pip --quiet install --requirement profile/atlas/requirements.txt
	@$(TARGET)/atlas/bin/python profile/atlas/atlas update --cache $(TARGET)/atlas/sources $(KERNELS)
	@profile/atlas/atlas documents

.PHONY: test-servers
test-servers: test-deps build ## prove each member of the servers' sets: run them without (twenty minutes)
	@tests/run members

.PHONY: deb
deb: build ## build the Debian package into dist/
	@BIN=$(BIN) packaging/deb/build

.PHONY: rpm
rpm: build ## build the RPM package into dist/
	@BIN=$(BIN) packaging/rpm/build

.PHONY: lint
lint: ## check format, lints and documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked
	git ls-files -z | xargs -0 grep -lE '^#!(/bin/sh|/usr/bin/env bash|/bin/bash)' -- | xargs shellcheck

.PHONY: bench
bench: test-deps build ## measure against the bare runtimes
	@tests/bench --bin $(BIN)

.PHONY: bench-engines
bench-engines: test-deps build ## measure docker and podman with capprof against the bare runtimes, on this machine
	@tests/engines/bench

.PHONY: install
install: ## install below PREFIX (default /usr/local), or below DESTDIR
	@BIN=$(BIN) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) packaging/install

.PHONY: uninstall
uninstall: ## remove what install installed
	@PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) packaging/uninstall

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean
