/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Names of kernel functions.
 */
#pragma once

/*
 * Writes a line with the name for each address that user space has put into the map. /proc/kallsyms takes tens of milliseconds to read and
 * may hide its addresses.
 */
SEC("iter/bpf_map_elem")
int name_symbols(struct bpf_iter__bpf_map_elem *ctx)
{
	static const char format[] = "%ps\n";
	struct symbol *symbol = ctx->value;
	u64 address;

	if (!symbol || !symbol->address)
		return 0;
	address = symbol->address;
	bpf_seq_printf(ctx->meta->seq, format, sizeof(format), &address, sizeof(address));
	return 0;
}
