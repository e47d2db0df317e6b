// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/bpf.h>

static int load_tracing_program(void)
{
	struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr program = {.prog_type = BPF_PROG_TYPE_TRACEPOINT, .insn_cnt = 2, .insns = (uintptr_t)code, .license = (uintptr_t)"Apache-2.0"};
	return verdict("load a BPF program for tracing", syscall(SYS_bpf, BPF_PROG_LOAD, &program, sizeof program));
}

PROGRAM(load_tracing_program, .capabilities = "CAP_PERFMON CAP_BPF", .alternatives = "CAP_PERFMON:CAP_SYS_ADMIN CAP_BPF:CAP_SYS_ADMIN",
	.asks = "bpf_prog_load, bpf_token_capable", .initial = true, .needs = "CONFIG_BPF_SYSCALL;CONFIG_BPF_EVENTS;under SELinux: bpf { prog_load }",
	.note = "as of bpftrace and Inspektor Gadget; never attached");
