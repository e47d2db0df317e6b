# SPDX-License-Identifier: Apache-2.0
# `make help` lists the entries.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
BIN := $(TARGET)/release

# Debian packages that the build needs, those that the demo needs too, and those that the tests need besides both.
BUILD_PACKAGES := ca-certificates clang gcc libc6-dev libelf-dev libclang-dev libpcre2-dev libselinux1-dev llvm make pkg-config python3 zlib1g-dev
DEMO_PACKAGES := jq mmdebstrap mount runc crun util-linux
TEST_PACKAGES := apparmor attr busybox-static bpftool checkpolicy cpio dpkg-dev e2fsprogs iproute2 libcap2-bin linux-libc-dev lintian mandoc \
	openssh-client policycoreutils procps python3-pip qemu-system-x86 qemu-utils rpm rpmlint secilc selinux-utils semodule-utils setools shellcheck strace time xz-utils

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the entries
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

.PHONY: deps
deps: ## install the packages that the build and the demo need (apt)
	@packaging/deps $(BUILD_PACKAGES) $(DEMO_PACKAGES)

.PHONY: test-deps
test-deps: ## install the packages that the tests need (apt)
	@packaging/deps $(BUILD_PACKAGES) $(DEMO_PACKAGES) $(TEST_PACKAGES)

.PHONY: build
build: ## build the programs into target/release, as the packages contain them
	@CARGO=$(CARGO) packaging/compile

.PHONY: demo
demo: deps build ## profile a real rsyslogd under runc, and under crun, and print the answer
	@tests/demo/rsyslogd --bin $(BIN) --runtime runc --expect CAP_SYSLOG
	@tests/demo/rsyslogd --bin $(BIN) --runtime crun --expect CAP_SYSLOG

.PHONY: test-programs
test-programs:
	@$(MAKE) -s -j -C tests/corpus OUT=$(BIN)
	@cp tests/corpus/bundle $(BIN)/corpus-bundle

.PHONY: check
check: test-deps ## for every edit: build, lint, unit tests, a few end-to-end tests
	@tests/run --target check

.PHONY: test
test: test-deps ## run the suite: each test once, without the long matrices
	@tests/run

.PHONY: test-all
test-all: test-deps ## run everything, including the long matrices (hours); write the summary into docs/testing.md
	@tests/run --target all --summary docs/testing.md

.PHONY: accuracy
accuracy: test-deps ## run the suites and update docs/accuracy.md with what they find
	@rows=$$(mktemp -d) && CAPPROF_ROWS=$$rows tests/run host servers guest && tests/accuracy --write $$rows/*.rows; \
		status=$$?; rm -rf $$rows; exit $$status

# Only the generator needs a Python environment, which is below target/; the check and the documents do not.
KERNELS ?= 6.12
.PHONY: atlas
atlas: ## find where a kernel asks for capabilities (KERNELS=6.12), list the places to read, update docs/atlas.md
	@test -x $(TARGET)/atlas/bin/pip || python3 -m venv $(TARGET)/atlas
	@$(TARGET)/atlas/bin/pip --quiet install --requirement profile/atlas/requirements.txt
	@$(TARGET)/atlas/bin/python profile/atlas/atlas update --cache $(TARGET)/atlas/sources $(KERNELS)
	@profile/atlas/atlas documents

.PHONY: test-kernels
test-kernels: test-deps build test-programs ## test each kernel in Debian's archive; update docs/kernels.md and README's table (long)
	@tests/kernels/run --write

.PHONY: pictures
pictures: deps build ## update the pictures of the reports from a real run (chromium)
	@packaging/deps chromium
	@tests/report/pictures --bin $(BIN)

.PHONY: deb
deb: build ## build the Debian package into dist/
	@BIN=$(BIN) packaging/deb/build

.PHONY: rpm
rpm: build ## build the RPM package into dist/
	@BIN=$(BIN) packaging/rpm/build

.PHONY: source
source: ## make the source archives in dist/: capprof's own, and one of all crates for a build without a network
	@packaging/source tree crates

.PHONY: library-sources
library-sources: build ## download into dist/ the sources of the linked C libraries whose licences require that (apt)
	@BIN=$(BIN) packaging/source libraries

.PHONY: torture
torture: test-deps build test-programs ## fail every system call, kill every process, load the machine; write the counts into docs/reliability.md (hours)
	@tests/torture/run --bin $(BIN) --write docs/reliability.md

.PHONY: fuzz
fuzz: test-deps ## give every parser mutated input for a long time (CASES=20000 each); inputs that failed are kept and tried first
	@PROPTEST_CASES=$(or $(CASES),20000) tests/unit fuzz

.PHONY: lint
lint: ## check formatting, lints, documentation, shell, Python and the subjects of commits
	@CARGO=$(CARGO) tests/lint

.PHONY: bench
bench: test-deps build ## compare the speed with that of the bare runtimes
	@tests/bench --bin $(BIN)

.PHONY: bench-engines
bench-engines: test-deps build ## the same for docker and podman on this machine
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
