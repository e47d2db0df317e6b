/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The object of the system call in which a check was made for the first time: what a person wants to know of it. Nothing depends on it, and
 * what cannot be read is absent.
 */
#pragma once

#include "object_calls.h"

#define AF_UNIX 1
#define SUN_PATH 2 /* offset in struct sockaddr_un */

/*
 * Returns true if the text that an execve(2) was given is no longer there: the process may have its new memory. The kernel looks for the file,
 * which asks for these two capabilities alone, before that.
 */
static __always_inline bool text_is_gone(const struct check_scratch *scratch)
{
	u32 capability = scratch->check.kind.capability;

	return is_execve(scratch->call.number, false) && capability != CAP_DAC_OVERRIDE && capability != CAP_DAC_READ_SEARCH;
}

/* Reads the object of the current system call into the row that will be added. Compat calls have other numbers and registers. */
__noinline int read_object(u32 place)
{
	struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);
	struct object *object;
	u32 number, how;
	u64 from;

	if (!scratch)
		return 0;
	object = &scratch->check.object;
	__builtin_memset(object, 0, sizeof(*object));
	number = scratch->call.number;
	if (scratch->call.compat || number >= OBJECT_CALLS || text_is_gone(scratch))
		return 0;
	__builtin_memcpy(object->arguments, scratch->call.arguments, sizeof(object->arguments));
	object->read = 1;
	how = object_calls[number & (OBJECT_CALLS - 1)];
	if (!how)
		return 0;
	from = scratch->call.arguments[((how & OBJECT_ARGUMENT) - 1) & 3];
	if (how & OBJECT_ADDRESS) {
		if (bpf_probe_read_user(object->detail, 4, (void *)from) || object->detail[0] != AF_UNIX || object->detail[1])
			return 0;
		from += SUN_PATH;
	} else if (number == SYS_mount) {
		bpf_probe_read_user_str(object->detail, sizeof(object->detail), (void *)scratch->call.arguments[2]);
	}
	object->length = bpf_probe_read_user_str(object->text, sizeof(object->text), (void *)from);
	return 0;
}
