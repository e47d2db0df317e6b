# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Functions for suites in shell. They print the Test Anything Protocol, which tests/harness reads:
#
#   ok - NAME # time=SECONDS
#   ok - NAME # SKIP REASON
#   not ok - NAME # time=SECONDS
#     ---
#     the last lines of the test's output
#     ...
#   1..NUMBER      at the end; a suite that ends without the right number has failed
#
# FILTER=TEXT runs only tests whose names contain TEXT. TAP_LIMIT=SECONDS is the time limit of each test.

tap_limit=${TAP_LIMIT:-600} tap_count=0 tap_failed=0
tap_files=$(mktemp -d "${TMPDIR:-/tmp}/tests-tap.XXXXXX")
trap 'rm -rf "$tap_files"' EXIT
tap_ok() { # NAME [SECONDS]
	printf 'ok - %s%s\n' "$1" "${2:+ # time=$2}"
	tap_count=$((tap_count + 1))
}

tap_skip() { # NAME REASON
	printf 'ok - %s # SKIP %s\n' "$1" "$2"
	tap_count=$((tap_count + 1))
}

tap_fail() { # NAME [SECONDS] <LOG
	printf 'not ok - %s%s\n  ---\n' "$1" "${2:+ # time=$2}"
	sed 's/^/  /' | tail -n 60
	printf '  ...\n'
	tap_count=$((tap_count + 1)) tap_failed=$((tap_failed + 1))
}

# Ends the test that calls it.
skip() { # REASON
	printf '%s\n' "$*" >"$tap_files/skip"
	exit 77
}

fail() { # WHY
	printf '%s\n' "$*" >&2
	exit 1
}

# Kills a process and then its descendants.
tap_kill() { # PID
	local list child children=() all=()
	for list in "/proc/$1/task"/*/children; do
		children=()
		read -ra children <"$list" || true
		all+=("${children[@]}")
	done 2>/dev/null
	kill -KILL "$1" 2>/dev/null || true
	for child in "${all[@]}"; do
		tap_kill "$child"
	done
}

# Runs one test in a subshell that ends at the first error, and prints the result.
tap_test() { # NAME COMMAND...
	local name=$1 start=$EPOCHREALTIME pid watchdog status=0 seconds
	[[ -z ${FILTER:-} || $name == *$FILTER* ]] || return 0
	shift
	rm -f "$tap_files"/{skip,expired}
	(
		set -eEuo pipefail
		trap 'echo "line $LINENO: $BASH_COMMAND: exit status $?" >&2' ERR
		"$@"
	) </dev/null >"$tap_files/log" 2>&1 &
	pid=$!
	(
		sleep "$tap_limit"
		: >"$tap_files/expired"
		tap_kill "$pid"
	) </dev/null >/dev/null 2>&1 &
	watchdog=$!
	# Keeps the shell from printing a message when it is killed.
	disown "$watchdog"
	wait "$pid" 2>/dev/null || status=$?
	if [[ -e $tap_files/expired ]]; then
		# tap_kill must still kill the descendants.
		while kill -0 "$watchdog" 2>/dev/null; do sleep 0.05; done
		echo "took longer than its limit of $tap_limit s" >>"$tap_files/log"
	else
		tap_kill "$watchdog"
	fi
	seconds=$(((${EPOCHREALTIME//[.,]/} - ${start//[.,]/}) / 1000))
	printf -v seconds '%d.%03d' $((seconds / 1000)) $((seconds % 1000))
	if ((status == 0)); then
		tap_ok "$name" "$seconds"
	elif ((status == 77)) && [[ -e $tap_files/skip ]]; then
		tap_skip "$name" "$(<"$tap_files/skip")"
	else
		echo "exit status $status" >>"$tap_files/log"
		tap_fail "$name" "$seconds" <"$tap_files/log"
		# What a failed test left behind must not fail the next test.
		! declare -F clean >/dev/null || clean >/dev/null 2>&1 || true
	fi
}

# Prints the tests of another suite as they end, each name with a prefix. A suite that ends early is a failed test.
tap_relay() { # PREFIX COMMAND...
	local prefix=$1 status=0 count failed planned
	shift
	{
		("$@") 2>&1 || status=$?
		echo "$status" >"$tap_files/status"
	} | tap_prefixed "$prefix"
	status=$(<"$tap_files/status")
	read -r count failed planned <"$tap_files/counts"
	tap_count=$((tap_count + count)) tap_failed=$((tap_failed + failed))
	if ((planned != count)) || ((status != 0 && failed == 0)); then
		{
			echo "$* ended with status $status after $count tests of $planned; what it said last:"
			tail -n 50 "$tap_files/last"
		} >"$tap_files/end"
		tap_fail "${prefix}end" <"$tap_files/end"
	fi
}

# No awk: some awks read their input in blocks.
tap_prefixed() { # PREFIX
	local line count=0 failed=0 planned=0 last=()
	while IFS= read -r line; do
		case $line in
		'ok - '*) line="ok - $1${line#ok - }" count=$((count + 1)) last=() ;;
		'not ok - '*) line="not ok - $1${line#not ok - }" count=$((count + 1)) failed=$((failed + 1)) last=() ;;
		1..[0-9]*) planned=$((planned + ${line#1..})) && continue ;;
		*) last+=("$line") ;;
		esac
		printf '%s\n' "$line"
	done
	printf '%s\n' "${last[@]}" >"$tap_files/last"
	echo "$count $failed $planned" >"$tap_files/counts"
}

# Ends the suite, because nothing else can be tested without this.
tap_fatal() { # NAME WHY
	tap_fail "$1" <<<"$2"
	tap_end
	exit 1
}

tap_end() {
	printf '1..%d\n' "$tap_count"
	((tap_failed == 0))
}
