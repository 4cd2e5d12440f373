/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine.c - a computer in software: its parts, put together.
 *
 * Architectures differ in how the parts are made and in how a fault is read; an
 * entry of archs[] each.
 */
#include "bench/glean/machine.h"

#include <errno.h>
#include <stdlib.h>

#include <glean/model.h>

#include "bench/glean/machine_arch.h"

/* So many of 1000 times a CPU is slow where hardware may be. */
#define PAUSE_PERMILLE 2

#define VMID 1

static int ept_model(const struct gln_model_params *params,
		     const struct machine_params *machine,
		     struct gln_model **model)
{
	(void)machine;
	return gln_ept_model_create(params, model);
}

static int ept_create(struct machine *machine,
		      const struct machine_params *params)
{
	const struct gln_mmu_host host = {
		.ctx = machine->model,
		.kick = gln_model_kick,
	};
	const struct gln_ept_params ept = {
		.struct_bytes = sizeof(ept),
		.levels = params->levels,
		.mode = params->dirty_by_hw ? GLN_EPT_PML
					    : GLN_EPT_WRITE_PROTECT,
		.flags = (params->blocks ? 0 : GLN_EPT_NO_BLOCKS) |
			 (params->eager_split ? GLN_EPT_EAGER_SPLIT : 0),
		.host = &host,
		.invept = gln_ept_model_invept,
		.invept_ctx = machine->model,
	};

	return gln_ept_create(&ept, &machine->backend);
}

static int ept_load(struct machine *machine)
{
	return gln_ept_model_set(machine->model,
				 gln_ept_eptp(machine->backend));
}

static struct gln_ept_pml *ept_pml(const struct machine *machine, uint32_t id)
{
	struct gln_ept_pml *pml = gln_ept_pml(machine->backend, id);

	return pml && pml->log ? pml : NULL;
}

static void ept_decode(const struct machine *machine,
		       const struct gln_model_exit *exit,
		       struct machine_fault *fault)
{
	fault->gfn = exit->gpa >> machine->page_shift;
	fault->access = gln_ept_access(exit->syndrome);
}

static int s2_model(const struct gln_model_params *params,
		    const struct machine_params *machine,
		    struct gln_model **model)
{
	(void)machine;
	return gln_s2_model_create(params, model);
}

/* A CPU that has all that the backend can use, and no more than it needs. */
static uint32_t s2_flags(const struct machine_params *params)
{
	uint32_t flags = GLN_S2_TLB_RANGE | GLN_S2_TTL | GLN_S2_HW_AF;

	/* With 64 KiB, 52 bits come without it (FEAT_LPA). */
	if (params->ipa_bits > 48 && params->page_shift < 16)
		flags |= GLN_S2_LPA2;
	if (!params->blocks)
		flags |= GLN_S2_NO_BLOCKS;
	if (params->eager_split)
		flags |= GLN_S2_EAGER_SPLIT;
	return flags;
}

static int s2_create(struct machine *machine,
		     const struct machine_params *params)
{
	const struct gln_s2_params s2 = {
		.struct_bytes = sizeof(s2),
		.granule = params->page_shift,
		.ipa_bits = params->ipa_bits,
		.mode = params->dirty_by_hw ? GLN_S2_DBM : GLN_S2_WRITE_PROTECT,
		.flags = s2_flags(params),
		.vmid = VMID,
		.execute = gln_s2_model_execute,
		.execute_ctx = machine->model,
	};

	return gln_s2_create(&s2, &machine->backend);
}

static int s2_load(struct machine *machine)
{
	return gln_s2_model_set(machine->model, gln_s2_vtcr(machine->backend),
				gln_s2_vttbr(machine->backend), false);
}

static void s2_decode(const struct machine *machine,
		      const struct gln_model_exit *exit,
		      struct machine_fault *fault)
{
	const uint64_t ipa = gln_s2_has_fault_ipa(exit->syndrome)
				     ? gln_s2_fault_ipa(exit->hpfar)
				     : exit->gpa;

	fault->gfn = ipa >> machine->page_shift;
	fault->access = gln_s2_access(exit->syndrome);
}

static const struct machine_arch x86_ept = {
	.create_model = ept_model,
	.create_backend = ept_create,
	.load = ept_load,
	.pml = ept_pml,
	.decode = ept_decode,
	.answer = machine_second_stage,
	.destroy_backend = gln_ept_destroy,
};

static const struct machine_arch arm_s2 = {
	.create_model = s2_model,
	.create_backend = s2_create,
	.load = s2_load,
	.decode = s2_decode,
	.answer = machine_second_stage,
	.destroy_backend = gln_s2_destroy,
};

static const struct machine_arch *const archs[] = {
	[MACHINE_X86_EPT] = &x86_ept,
	[MACHINE_ARM_S2] = &arm_s2,
	[MACHINE_BOOK3S] = &machine_book3s,
};

/* The backend calls the model, and the model walks the backend's table. */
static int connect(struct machine *machine, const struct machine_params *params)
{
	int err = machine->arch->create_backend(machine, params);

	if (err || !machine->arch->load)
		return err;
	err = machine->arch->load(machine);
	if (err)
		machine->arch->destroy_backend(machine->backend);
	return err;
}

int machine_create(const struct machine_params *params,
		   struct machine **machine)
{
	const struct gln_model_params model = {
		.struct_bytes = sizeof(model),
		.seed = params->seed,
		.pause_permille = PAUSE_PERMILLE,
	};
	struct machine *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->arch = archs[params->kind];
	made->page_shift = params->page_shift;

	int err = made->arch->create_model(&model, params, &made->model);

	if (err) {
		free(made);
		return err;
	}
	err = connect(made, params);
	if (err) {
		gln_model_destroy(made->model);
		free(made);
		return err;
	}
	*machine = made;
	return 0;
}

void machine_destroy(struct machine *machine)
{
	machine->arch->destroy_backend(machine->backend);
	gln_model_destroy(machine->model);
	free(machine->hpt);
	free(machine);
}

int machine_boot(struct machine *machine, struct gln_vm *vm, uint64_t base,
		 uint64_t bytes)
{
	const struct machine_arch *arch = machine->arch;

	return arch->boot ? arch->boot(machine, vm, base, bytes) : 0;
}

void machine_shut_down(struct machine *machine)
{
	if (machine->arch->shut_down)
		machine->arch->shut_down(machine);
}

#ifdef GLN_BREAKABLE
/* Not in the interface: no library that is installed has it. */
extern int glni_broken;

void machine_break(int how)
{
	glni_broken = how;
}
#else
void machine_break(int how)
{
	(void)how;
}
#endif

struct gln_backend *machine_backend(const struct machine *machine)
{
	return machine->backend;
}
