/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_hpt.c - guests on a modelled POWER CPU, with a hashed page table.
 *
 * The guest has a small kernel (bench/glean/hpt_guest.h) that maps all memory
 * one to one, entry by entry, as it is touched, and throws entries out of full
 * groups. What it cannot know is the library's: absent entries, rights the host
 * took away.
 */
#include "tests/support/stress_machine.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glean/hpt.h>

#include "bench/glean/hpt_guest.h"

enum {
	PAUSE_PERMILLE = 5,
	/* A fault is served at once; what takes longer is a defect. */
	MAX_EXITS = 1000000,
	LPID = 1, /* without a gln_hpt_host there is one partition */
	SEGMENT_SHIFT = 28,
	ADDR_BITS = 40,
	NOWHERE_BYTES = 4096,
	SEED = 1,
};

/** struct stress_hpt_cpu - a vCPU's side of the kernel. */
struct stress_hpt_cpu {
	struct hpt_guest_cpu kernel;
	bool is_inside;
};

static const struct stress_hpt_params *how_of(const struct guest *guest)
{
	return &guest->machine->model.hpt;
}

/*
 * Host memory is where this process has it, far above all guest addresses. A
 * CPU that takes one of those for the host's, because half an entry was there,
 * stores to nowhere.
 */
static void *memory_at(void *ctx, uint64_t hpa)
{
	static gln_word nowhere[NOWHERE_BYTES / sizeof(gln_word)];
	char *const bytes = (char *)(void *)nowhere;

	(void)ctx;
	if (hpa >> ADDR_BITS)
		return (void *)(uintptr_t)hpa;
	return bytes + hpa % NOWHERE_BYTES;
}

static void open_backend(struct guest *guest)
{
	const struct gln_mmu_host host = {
		.ctx = guest->model,
		.kick = gln_model_kick,
	};
	const struct gln_hpt_params params = {
		.struct_bytes = sizeof(params),
		.isa = how_of(guest)->isa,
		.host = &host,
		.tlbie = gln_hpt_model_tlbie,
		.flush_all = gln_hpt_model_flush_all,
		.set_table = gln_hpt_model_set_table,
		.ctx = guest->model,
	};

	CHECK(!gln_hpt_create(&params, &guest->backend),
	      "a hashed page table can be had");
	CHECK(gln_hpt_lpid(guest->backend) == LPID, "the partition is ours");
}

static void open_hpt(struct guest *guest, const struct guest_params *from)
{
	const struct stress_hpt_params *const how = how_of(guest);
	const struct gln_mmu_host memory = {.memory_at = memory_at};
	const struct gln_model_params model = {
		.struct_bytes = sizeof(model),
		.seed = SEED,
		.pause_permille = PAUSE_PERMILLE,
		.host = &memory,
	};
	const struct hpt_guest_params kernel = {
		.base_shift = how->base_shift,
		.actual_shift = how->actual_shift,
		.segment_shift = SEGMENT_SHIFT,
		.order = how->order,
		.seed = SEED,
	};

	(void)from;
	CHECK(!gln_hpt_model_create(&model, how->isa, LPID, &guest->model),
	      "a model can be made");
	open_backend(guest);
	CHECK(!hpt_guest_create(&kernel, &guest->kernel), "a guest boots");
	snprintf(guest->how, sizeof(guest->how), "%s, modelled",
		 guest->machine->name);
}

static void close_hpt(struct guest *guest)
{
	hpt_guest_destroy(guest->kernel);
	gln_hpt_destroy(guest->backend);
	gln_model_destroy(guest->model);
}

static void allocate(struct guest *guest)
{
	uint32_t order = how_of(guest)->order;

	CHECK(!gln_hpt_allocate(guest->vm, &order), "there can be a table");
}

static void init_cpu(struct guest_cpu *cpu)
{
	struct guest *const guest = cpu->guest;

	CHECK(!gln_model_vcpu_create(guest->model, cpu->index, NULL,
				     &cpu->modelled),
	      "the model has room for vCPU %u", cpu->index);
	cpu->power = calloc(1, sizeof(*cpu->power));
	CHECK(cpu->power, "memory for a vCPU");
	hpt_guest_cpu_init(&cpu->power->kernel, guest->kernel, cpu->index,
			   cpu->vcpu, cpu->modelled);
}

static void fini_cpu(struct guest_cpu *cpu)
{
	gln_model_vcpu_destroy(cpu->modelled);
	free(cpu->power);
}

static void enter(struct guest_cpu *cpu)
{
	CHECK(!gln_vcpu_enter(cpu->vcpu), "vCPU %u can enter", cpu->index);
	cpu->power->is_inside = true;
}

static void leave(struct guest_cpu *cpu)
{
	gln_vcpu_exit(cpu->vcpu);
	gln_vcpu_leave(cpu->vcpu);
	cpu->power->is_inside = false;
}

/* 0: try again; -EFAULT: no memory there. */
static int serve_fault(struct guest_cpu *cpu, const struct gln_model_exit *exit)
{
	struct gln_hpt_fault fault = {
		.ea = exit->gpa,
		.slb = exit->hpfar,
		.access = exit->syndrome & GLN_DSISR_ISSTORE ? GLN_ACCESS_WRITE
							     : GLN_ACCESS_READ,
	};
	const int result = gln_hpt_fault(cpu->vcpu, &fault);
	int err;

	CHECK(result >= 0, "a fault at %llx can be served, error %d",
	      (unsigned long long)exit->gpa, result);
	switch (result) {
	case GLN_FAULT_REFLECT:
		err = hpt_guest_fault(&cpu->power->kernel, fault.ea,
				      fault.dsisr);
		CHECK(!err, "the guest can map %llx, DSISR %llx, error %d",
		      (unsigned long long)fault.ea,
		      (unsigned long long)fault.dsisr, err);
		return 0;
	case GLN_FAULT_MMIO:
		return -EFAULT;
	case GLN_FAULT_RETRY:
		sched_yield();
		return 0;
	default:
		return 0;
	}
}

static int serve_exit(struct guest_cpu *cpu, const struct gln_model_exit *exit)
{
	gln_vcpu_exit(cpu->vcpu);
	switch (exit->reason) {
	case GLN_MODEL_NO_SEGMENT:
		CHECK(!hpt_guest_segment(&cpu->power->kernel, exit->gpa),
		      "the guest has a segment");
		return 0;
	case GLN_MODEL_FAULT:
		return serve_fault(cpu, exit);
	default:
		return 0;
	}
}

/* The last test before the guest runs: is the table about to change? */
static void settle(struct guest_cpu *cpu)
{
	while (!gln_vcpu_may_run(cpu->vcpu)) {
		leave(cpu);
		enter(cpu);
	}
}

/* One access, with all the exits it takes. */
static int make_access(struct guest_cpu *cpu, uint64_t gpa, uint32_t access,
		       uint64_t *value)
{
	struct gln_model_exit why;

	for (unsigned int i = 0; i < MAX_EXITS; i++) {
		int err;

		settle(cpu);
		if (gln_model_access(cpu->modelled, gpa, access, value, &why))
			return 0;
		err = serve_exit(cpu, &why);
		if (err)
			return err;
	}

	/* A CPU keeps what nobody told it to forget: the access is lost. */
	printf("an access to %llx of %s never came to an end\n",
	       (unsigned long long)gpa, cpu->guest->machine->name);
	exit(stress_verdict(1));
}

/* A thread that stores without having entered comes in for it. */
static int store_hpt(struct guest_cpu *cpu, const struct guest_slot *slot,
		     uint64_t page, unsigned int word, uint64_t value)
{
	const bool was_inside = cpu->power->is_inside;
	int err;

	if (!was_inside)
		enter(cpu);
	err = stress_model_store(cpu, slot, page, word, value);
	if (!was_inside)
		leave(cpu);
	return err;
}

#define BOOK3S(words, version, shift, base, actual, bytes_order)            \
	{                                                                   \
		.name = "book3s_hv/" words,                                 \
		.model =                                                    \
			{                                                   \
				.page_shift = (shift),                      \
				.addr_bits = ADDR_BITS,                     \
				.hpt =                                      \
					{                                   \
						.isa = (version),           \
						.base_shift = (base),       \
						.actual_shift = (actual),   \
						.order = (bytes_order),     \
					},                                  \
			},                                                  \
		.open = open_hpt, .close = close_hpt, .vm_made = allocate,  \
		.cpu_init = init_cpu, .cpu_fini = fini_cpu, .enter = enter, \
		.leave = leave, .access = make_access, .store = store_hpt,  \
	}

/* Orders: too small for the guest, so that groups fill up, or large enough. */
static const struct machine machines[] = {
	BOOK3S("2.07-4K", GLN_HPT_ISA_2_07, 12, 12, 12, 18),
	BOOK3S("3.0-4K", GLN_HPT_ISA_3_0, 12, 12, 12, 21),
	BOOK3S("2.07-64K", GLN_HPT_ISA_2_07, 16, 16, 16, 20),
	BOOK3S("3.0-64K", GLN_HPT_ISA_3_0, 16, 16, 16, 18),
	BOOK3S("2.07-64K-in-4K", GLN_HPT_ISA_2_07, 16, 12, 16, 18),
	BOOK3S("3.0-4K-of-64K", GLN_HPT_ISA_3_0, 16, 12, 12, 20),
	BOOK3S("2.07-64K-over-4K", GLN_HPT_ISA_2_07, 12, 16, 16, 18),
	BOOK3S("3.0-16M-over-64K", GLN_HPT_ISA_3_0, 16, 24, 24, 18),
	BOOK3S("2.07-16M-over-4K", GLN_HPT_ISA_2_07, 12, 24, 24, 18),
	BOOK3S("3.0-16M-in-64K", GLN_HPT_ISA_3_0, 12, 16, 24, 18),
};

const struct machine *stress_hpt(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (!strcmp(name, machines[i].name))
			return &machines[i];

	return NULL;
}

void stress_hpt_names(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		fprintf(stderr, " %s", machines[i].name);
}
