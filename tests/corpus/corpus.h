// SPDX-License-Identifier: Apache-2.0
//
// What every program of the corpus shares: its description, and the few ways in which it may end.
// See README.md for the rules that a program keeps.

#ifndef CORPUS_H
#define CORPUS_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Exit statuses. Status 2 is kept apart from a refusal: a program that fails for a reason other than the
// missing capability must never pass for one that was refused.
enum { SUCCEEDED = 0, REFUSED = 1, BROKEN = 2, SKIPPED = 77 };

// An id that no test runs under: whoever runs the program, this one is somebody else.
#define OTHER_ID 12345

// Objects of somebody else cannot be made without CAP_CHOWN, CAP_SETUID or CAP_SETGID, so `corpus --prepare` lays them out
// in the root file system before the container starts.
#define OTHER "/other"

struct program {
	const char *file;         // __FILE__: the directory is the group, the base name the program's name
	const char *capabilities; // expected minimal set, kernel order, separated by spaces
	const char *alternatives; // "CAP_X:CAP_Y,CAP_Z CAP_V:CAP_W": Y or Z alone would do where X was asked first
	const char *also_asked;   // capabilities that are asked and granted too, but whose answer changes nothing
	const char *asks;         // kernel function that asks
	const char *needs;        // what kernel or environment must have, separated by semicolons
	const char *note;         // why
	bool guest_only;          // would disturb the machine it runs on
	bool selinux_blind;       // the kernel asks without an audit record, or does not ask at all
	bool ebpf_blind;          // the kernel does not ask at all
	bool initial;             // asked against the initial user namespace: never granted in a container with its own
	int (*run)(void);
};

// Adds a program to the table that the linker collects.
#define PROGRAM(function, ...) \
	static const struct program function##_program = {.file = __FILE__, .run = function, __VA_ARGS__}; \
	static const struct program *const function##_entry \
		__attribute__((used, section("programs"))) = &function##_program

// Ends the privileged act: success, or refusal (EPERM, EACCES) with the error's text.
int verdict(const char *operation, long result);

// The same for an act that was made impossible on purpose, so that it does no harm when granted:
// `harmless` is the error that shows that the capability was there.
int harmless_verdict(const char *operation, long result, int harmless);

// The same where the kernel reports no error but leaves something out.
int outcome(const char *operation, bool done);

int skip(const char *reason);

// Stops the program where the preparation, which needs no capability, fails.
void must(bool condition, const char *operation);

// An unnamed file of our own in /tmp.
int own_file(void);

// Opens somebody else's object, or says what is missing and exits with SKIPPED.
int other_object(const char *path, int flags);

// Starts the prepared set-uid copy of this executable as `corpus HOW`: a process of somebody else, for which the kernel asks no capability.
// It stays until `release` is closed. -1 if it cannot be made here.
pid_t hold_other(const char *how, int *release);

// Runs a function in a child and returns its exit status.
int in_child(int (*function)(void));

// Waits for a child and returns its exit status; a signal counts as BROKEN.
int child_status(pid_t pid);

// Runs this executable again as `corpus ARGUMENT`; does not return.
void execute_again(const char *argument);

// Sets the calling thread's capability sets.
int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable);
int get_capabilities(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable);

#define BIT(capability) (UINT64_C(1) << (capability))

#endif
