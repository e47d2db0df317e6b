/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Distinguishes the call paths of checks without a stack trace for each check.
 */
#pragma once

/*
 * A stack trace costs two microseconds. The return addresses of one call path always have the same distances from the hook. A path that was
 * traced once is therefore recognised by a few words. Two paths are never confused: where they first differ, the same word holds different
 * addresses. A word may be a stale copy of a return address. The next trace of the path corrects that.
 */
static __always_inline void count_check(struct check *row, u64 now)
{
	__sync_fetch_and_add(&row->count, 1);
	if (row->last_ns < now)
		row->last_ns = now;
}

/* Returns the time of this processor's last clock tick, a few milliseconds ago at most: reading the clock would double the program's time. */
static __always_inline u64 recent_time(struct check_scratch *scratch)
{
	u64 jiffies = bpf_jiffies64();

	if (scratch->jiffies != jiffies) {
		scratch->jiffies = jiffies;
		scratch->now = bpf_ktime_get_boot_ns();
	}
	return scratch->now;
}

/* Sets scratch->key to the row of this path of the current kind. */
static __always_inline void name_row(struct check_scratch *scratch, u32 path)
{
	scratch->check.kind.path = path;
	scratch->key.digest = mix(scratch->digest, path);
}

/* Returns true if the row is that of the current kind and path. Another kind may have the same digest. */
static __always_inline bool is_named(const struct check *row, const struct check_scratch *scratch)
{
	const u64 *one = (const u64 *)&row->kind, *other = (const u64 *)&scratch->check.kind;
	u64 difference = 0;

#pragma unroll
	for (u32 i = 0; i < sizeof(row->kind) / sizeof(*one); i++)
		difference |= one[i] ^ other[i];
	return !difference;
}

extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym __weak; /* Linux 6.2 */

/*
 * Reads a word of kernel memory as a number, by a plain load if the kernel allows that. A load through the pointer's own type would cost
 * milliseconds in the verifier: it searches all types of the kernel to find out if it may trust the pointer.
 */
static __always_inline u64 word_of(const void *address)
{
	u64 word = 0;

	if (bpf_ksym_exists(bpf_rdonly_cast)) {
		/* Any type that begins with a 64-bit number would do. */
		struct timespec64 *number = bpf_rdonly_cast(address, settings.timespec64);

		return number->tv_sec;
	}
	bpf_probe_read_kernel(&word, sizeof(word), address);
	return word;
}

/* Reads a word of the stack: by a plain load if the kernel allows that, else from the copied window. */
static __always_inline u64 word_at(const struct check_scratch *scratch, u32 offset)
{
	offset &= WINDOW - 1;
	if (!bpf_ksym_exists(bpf_rdonly_cast))
		return scratch->words[offset];
	return word_of((void *)(scratch->stack + offset * sizeof(u64)));
}

/* Copies the window. Returns false if the stack cannot be read. */
static __always_inline bool read_window(struct check_scratch *scratch)
{
	return scratch->stack && !bpf_probe_read_kernel(scratch->words, sizeof(scratch->words), (void *)scratch->stack);
}

/* The result of comparing a check with one path of its kind. */
enum compared { COMPARED_ABSENT, COMPARED_OTHER, COMPARED_DUE, COMPARED_COUNTED };

/* Counts the check if it has this path and the path is not due for a comparison by trace. */
__noinline int compare_path(u32 place, u32 path)
{
	struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);
	struct check *row;
	u64 count;

	if (!scratch)
		return COMPARED_ABSENT;
	name_row(scratch, path);
	row = bpf_map_lookup_elem(&checks, &scratch->key);
	if (!row)
		return COMPARED_ABSENT;
	if (!row->depth || !is_named(row, scratch))
		return COMPARED_OTHER;
	for (u32 i = 0; i < DEPTH; i++) {
		u32 frame = row->from + i;

		if (i >= row->depth)
			break;
		if (frame >= FRAMES || word_at(scratch, row->offsets[i]) != row->stack[frame])
			return COMPARED_OTHER;
	}
	count = row->count;
	if (!(count & (count < VERIFY_KNOWN ? VERIFY - 1 : VERIFY_KNOWN - 1)))
		return COMPARED_DUE;
	count_check(row, recent_time(scratch));
	return COMPARED_COUNTED;
}

/* Counts the check if the words on the stack match a known path. Returns 1 if it did. */
__noinline int count_known_path(u32 place)
{
	for (u32 path = 0; path < PATHS; path++) {
		int compared = compare_path(place, path);

		if (compared != COMPARED_OTHER)
			return compared == COMPARED_COUNTED;
	}
	return 0;
}

/* Returns a mask: bit i is set if words[i] is the address. It has no branches because the verifier would follow both sides of each. */
__noinline u64 find_word(u32 place, u64 address)
{
	const struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);
	u64 found = 0;

	if (!scratch)
		return 0;
	for (u32 i = 0; i < WINDOW; i++) {
		u64 difference = scratch->words[i] ^ address;

		difference |= -difference;
		barrier_var(difference); /* else the compiler makes a branch of it */
		found |= (~difference >> 63) << i;
	}
	return found;
}

/* Finds the frames of the trace in the window. */
__noinline int learn_path(u32 place, bool have_words)
{
	struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);
	struct check *row;

	if (!scratch)
		return 0;
	row = &scratch->check;
	row->digest = 1;
	for (u32 frame = 1; frame < LEARNED; frame++) {
		if ((s32)frame >= row->frames)
			break;
		row->digest = mix(row->digest, row->stack[frame]);
	}
	row->depth = 0;
	row->from = 0;
	if (!have_words)
		return 0;
	scratch->above = ~0ULL;
	/* The first frame is the recorder. The last lies above a gap of random size (CONFIG_RANDOMIZE_KSTACK_OFFSET). */
	for (u32 frame = 1; frame < LEARNED; frame++) {
		u32 depth = row->depth;
		u64 found;

		if ((s32)frame >= row->frames - 1 || depth >= DEPTH)
			break;
		found = find_word(place, row->stack[frame]) & scratch->above;
		found &= -found;
		if (!found) {
			if (depth)
				break;
			continue;
		}
		if (!depth)
			row->from = frame;
		row->offsets[depth] = __builtin_popcountll(found - 1);
		row->depth = depth + 1;
		scratch->above = ~(found | (found - 1));
	}
	return row->depth;
}

/* Counts the check if its trace is that of this path. */
__noinline int compare_trace(u32 place, u32 path, u64 now)
{
	struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);
	struct check *row;

	if (!scratch)
		return COMPARED_ABSENT;
	name_row(scratch, path);
	row = bpf_map_lookup_elem(&checks, &scratch->key);
	if (!row) {
		scratch->room = path + 1;
		return COMPARED_ABSENT;
	}
	if (!is_named(row, scratch) || row->digest != scratch->check.digest)
		return COMPARED_OTHER;
	count_check(row, now);
	if (scratch->check.depth) {
		/* The same frames at other offsets: the words found before were stale. */
		row->from = scratch->check.from;
		row->depth = scratch->check.depth;
		__builtin_memcpy(row->offsets, scratch->check.offsets, sizeof(row->offsets));
	}
	return COMPARED_COUNTED;
}

/* Counts the check if its trace is that of a known path. Else sets scratch->room to an unused number. Returns 1 if it counted. */
__noinline int count_traced_path(u32 place, u64 now)
{
	struct check_scratch *scratch = bpf_map_lookup_elem(&check_scratches, &place);

	if (!scratch)
		return 0;
	scratch->room = 0;
	for (u32 path = 0; path < PATHS; path++) {
		int compared = compare_trace(place, path, now);

		if (compared != COMPARED_OTHER)
			return compared == COMPARED_COUNTED;
	}
	return 0;
}
