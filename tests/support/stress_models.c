/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_models.c - guests whose every access goes through a modelled MMU.
 *
 * A vCPU runs until the model makes it exit, tells the library, serves a fault
 * and tries again: the loop of every hypervisor.
 */
#include "tests/support/stress_machine.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* How often the model gives the CPU away where hardware may be slow. */
	PAUSE_PERMILLE = 5,
	READ_PERMILLE = 150,
	ELSEWHERE_PERMILLE = 500, /* of those */
	/* A fault is served at once; what takes longer is a defect. */
	MAX_EXITS = 1000000,
	VMID = 7,
	MODEL_SEED = 1,
};

static void open_ept(struct guest *guest, const struct gln_mmu_host *host)
{
	const struct stress_model_params *const how = &guest->machine->model;
	const struct gln_ept_params params = {
		.struct_bytes = sizeof(params),
		.levels = how->levels,
		.mode = how->cpu_notices ? GLN_EPT_PML : GLN_EPT_WRITE_PROTECT,
		.flags = how->flags,
		.host = host,
		.invept = gln_ept_model_invept,
		.invept_ctx = guest->model,
	};

	CHECK(!gln_ept_create(&params, &guest->backend), "EPT can be made");
	CHECK(!gln_ept_model_set(guest->model, gln_ept_eptp(guest->backend)),
	      "a CPU accepts the EPT pointer");
}

static void open_s2(struct guest *guest, const struct gln_mmu_host *host)
{
	const struct stress_model_params *const how = &guest->machine->model;
	const struct gln_s2_params params = {
		.struct_bytes = sizeof(params),
		.granule = how->page_shift,
		.ipa_bits = how->addr_bits,
		.mode = how->cpu_notices ? GLN_S2_DBM : GLN_S2_WRITE_PROTECT,
		.flags = how->flags,
		.vmid = VMID,
		.host = host,
		.execute = gln_s2_model_execute,
		.execute_ctx = guest->model,
	};

	CHECK(!gln_s2_create(&params, &guest->backend), "stage 2 can be made");
	CHECK(!gln_s2_model_set(guest->model, gln_s2_vtcr(guest->backend),
				gln_s2_vttbr(guest->backend),
				how->flags & GLN_S2_ARMV7),
	      "a CPU accepts the registers");
}

/*
 * Armv7's tables hold 40 bits of a physical address. Let the physical memory of
 * its machine be the window of that size in which this process gets its memory.
 */
#define WINDOW_BYTES (UINT64_C(1) << 40)
static uint64_t window;

static uint64_t to_physical(const void *memory)
{
	const uint64_t address = (uintptr_t)memory;

	if (!window)
		window = address & ~(WINDOW_BYTES - 1);
	if (address - window >= WINDOW_BYTES)
		stress_skip("memory at %p is not in one window of 2^40 bytes "
			    "with the rest",
			    memory);
	return address - window;
}

static uint64_t window_phys_of(void *ctx, const void *memory)
{
	(void)ctx;
	return to_physical(memory);
}

static void *window_memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	return (void *)(uintptr_t)(window + hpa);
}

static int window_translate(void *ctx, const struct gln_backend_slot *slot,
			    gln_gfn gfn, uint32_t access,
			    struct gln_host_page *page)
{
	const char *const memory = slot->hva;

	(void)ctx;
	(void)access;
	page->hpa =
		to_physical(memory + ((gfn - slot->base) << slot->page_shift));
	return 0;
}

static void open_model(struct guest *guest, const struct guest_params *from)
{
	const bool is_arm = guest->machine->model.is_arm;
	struct gln_mmu_host host = {.kick = gln_model_kick};
	const struct gln_model_params params = {
		.struct_bytes = sizeof(params),
		.seed = MODEL_SEED,
		.pause_permille = PAUSE_PERMILLE,
		.host = &host,
	};

	(void)from;
	if (guest->machine->model.flags & GLN_S2_ARMV7 && is_arm) {
		host.phys_of = window_phys_of;
		host.memory_at = window_memory_at;
		host.translate = window_translate;
	}
	CHECK(!(is_arm ? gln_s2_model_create(&params, &guest->model)
		       : gln_ept_model_create(&params, &guest->model)),
	      "a model can be made");
	host.ctx = guest->model;
	if (is_arm)
		open_s2(guest, &host);
	else
		open_ept(guest, &host);
	snprintf(guest->how, sizeof(guest->how), "%s, modelled",
		 guest->machine->name);
}

static void close_model(struct guest *guest)
{
	if (guest->machine->model.is_arm)
		gln_s2_destroy(guest->backend);
	else
		gln_ept_destroy(guest->backend);
	gln_model_destroy(guest->model);
}

static void enable_rings(struct guest *guest)
{
	const struct stress_model_params *const how = &guest->machine->model;

	if (how->ring_bytes)
		CHECK(!gln_ring_enable(guest->vm, how->ring_bytes,
				       how->ring_flags),
		      "there can be rings");
}

static void init_cpu(struct guest_cpu *cpu)
{
	struct guest *const guest = cpu->guest;
	const bool logs = !guest->machine->model.is_arm &&
			  guest->machine->model.cpu_notices;

	CHECK(!gln_model_vcpu_create(
		      guest->model, cpu->index,
		      logs ? gln_ept_pml(guest->backend, cpu->index) : NULL,
		      &cpu->modelled),
	      "the model has room for vCPU %u", cpu->index);
	CHECK(!gln_vcpu_topup(cpu->vcpu), "there is memory for tables");
}

/* The vCPU's last exit is over: what its CPU logged is in the log. */
static void fini_cpu(struct guest_cpu *cpu)
{
	gln_model_vcpu_destroy(cpu->modelled);
}

static void leave(struct guest_cpu *cpu)
{
	gln_vcpu_exit(cpu->vcpu);
}

/* Where, and what, the guest was refused, from the registers alone. */
static uint32_t decode(const struct guest *guest,
		       const struct gln_model_exit *exit, gln_gfn *gfn)
{
	uint64_t gpa = exit->gpa;
	/*
	 * A misconfiguration does not say. That of a hole which is a page by
	 * now is filled for a read: a write comes back, and is not marked if it
	 * was none.
	 */
	uint32_t access = GLN_ACCESS_READ;

	if (guest->machine->model.is_arm) {
		if (gln_s2_has_fault_ipa(exit->syndrome))
			gpa = gln_s2_fault_ipa(exit->hpfar);
		access = gln_s2_access(exit->syndrome);
	} else if (exit->reason == GLN_MODEL_FAULT) {
		access = gln_ept_access(exit->syndrome);
	}
	*gfn = gpa >> guest->page_shift;

	return access;
}

/* Have the consumer make room; the guest stands still meanwhile. */
static void await_ring(struct guest_cpu *cpu)
{
	gln_vcpu_exit(cpu->vcpu);
	while (gln_ring_is_full(cpu->vcpu)) {
		if (guest_drain_rings(cpu->guest))
			continue;
		sched_yield();
	}
}

/* Serve a fault. 0: try again; -EFAULT: no memory there. */
static int serve_fault(struct guest_cpu *cpu, const struct gln_model_exit *exit)
{
	gln_gfn gfn;
	const uint32_t access = decode(cpu->guest, exit, &gfn);
	int result;

	CHECK(access, "an abort is a fault of the table, not ESR %llx",
	      (unsigned long long)exit->syndrome);
	CHECK(!gln_vcpu_topup(cpu->vcpu), "there is memory for tables");
	result = gln_vcpu_fault(cpu->vcpu, gfn, access);
	CHECK(result >= 0, "a fault of frame %llu can be served, error %d",
	      (unsigned long long)gfn, result);
	if (result == GLN_FAULT_RING_FULL)
		await_ring(cpu);
	if (result == GLN_FAULT_RETRY)
		sched_yield();

	return result == GLN_FAULT_MMIO ? -EFAULT : 0;
}

/* One access, with all the exits it takes. */
static int make_access(struct guest_cpu *cpu, uint64_t gpa, uint32_t access,
		       uint64_t *value)
{
	struct gln_model_exit exit;

	for (unsigned int i = 0; i < MAX_EXITS; i++) {
		int err = 0;

		if (gln_ring_is_full(cpu->vcpu))
			await_ring(cpu);
		if (gln_model_access(cpu->modelled, gpa, access, value, &exit))
			return 0;
		gln_vcpu_exit(cpu->vcpu);
		if (exit.reason == GLN_MODEL_FAULT ||
		    exit.reason == GLN_MODEL_MISCONFIG)
			err = serve_fault(cpu, &exit);
		if (err)
			return err;
	}

	stress_fail("an access to %llx of %s never came to an end",
		    (unsigned long long)gpa, cpu->guest->machine->name);
}

/*
 * Now and then the guest reads a page first, this one or another: a TLB then
 * has what others change.
 */
int stress_model_store(struct guest_cpu *cpu, const struct guest_slot *slot,
		       uint64_t page, unsigned int word, uint64_t value)
{
	const struct machine *const machine = cpu->guest->machine;
	const unsigned int shift = cpu->guest->page_shift;
	const uint64_t in_page = word * sizeof(value);
	uint64_t from = page;
	uint64_t ignored;
	int err = 0;

	if (stress_chance(&cpu->random, READ_PERMILLE)) {
		if (stress_chance(&cpu->random, ELSEWHERE_PERMILLE))
			from = stress_below(&cpu->random, slot->nr_pages);
		err = machine->access(cpu,
				      ((slot->base + from) << shift) + in_page,
				      GLN_ACCESS_READ, &ignored);
	}
	if (err)
		return err;
	return machine->access(cpu, ((slot->base + page) << shift) + in_page,
			       GLN_ACCESS_WRITE, &value);
}

#define MODEL                                                              \
	.open = open_model, .close = close_model, .vm_made = enable_rings, \
	.cpu_init = init_cpu, .cpu_fini = fini_cpu, .leave = leave,        \
	.access = make_access, .store = stress_model_store

#define EPT(words, nr_levels, ...)                           \
	{                                                    \
		.name = "x86_ept" words,                     \
		.model = {.page_shift = 12,                  \
			  .levels = (nr_levels),             \
			  .addr_bits = 12 + 9 * (nr_levels), \
			  __VA_ARGS__},                      \
		MODEL,                                       \
	}

#define S2(words, shift, bits, ...)              \
	{                                        \
		.name = "arm_s2" words,          \
		.model = {.is_arm = true,        \
			  .page_shift = (shift), \
			  .addr_bits = (bits),   \
			  __VA_ARGS__},          \
		MODEL,                           \
	}

/* Of the smallest size that any of them may have: often full. */
#define RING_BYTES (16 * 1024)

static const struct machine models[] = {
	EPT("", 4, .flags = GLN_EPT_EAGER_SPLIT),
	EPT("/lazy", 4, .flags = 0),
	EPT("/5", 5, .flags = 0),
	EPT("/pml", 4, .cpu_notices = true),
	EPT("/ring", 4, .ring_bytes = RING_BYTES),
	EPT("/pml-ring", 4, .cpu_notices = true, .ring_bytes = RING_BYTES),
	S2("/4K", 12, 40, .flags = GLN_S2_EAGER_SPLIT | GLN_S2_HW_AF),
	S2("/4K-lazy", 12, 48, .flags = GLN_S2_TLB_RANGE | GLN_S2_TTL),
	S2("/16K", 14, 47, .flags = GLN_S2_TLB_RANGE | GLN_S2_TTL),
	S2("/64K", 16, 48,
	   .flags = GLN_S2_TLB_RANGE | GLN_S2_TTL | GLN_S2_HW_AF),
	S2("/lpa2", 12, 52, .flags = GLN_S2_LPA2 | GLN_S2_TLB_RANGE),
	S2("/v7", 12, 40, .flags = GLN_S2_ARMV7),
	S2("/4K-dbm", 12, 40, .cpu_notices = true, .flags = GLN_S2_HW_AF),
	S2("/16K-dbm", 14, 40, .cpu_notices = true,
	   .flags = GLN_S2_HW_AF | GLN_S2_TLB_RANGE),
	S2("/64K-dbm", 16, 52, .cpu_notices = true, .flags = GLN_S2_HW_AF),
	S2("/4K-ring", 12, 40, .ring_bytes = RING_BYTES,
	   .ring_flags = GLN_RING_WITH_BITMAP),
	S2("/4K-dbm-ring", 12, 40, .cpu_notices = true, .flags = GLN_S2_HW_AF,
	   .ring_bytes = RING_BYTES, .ring_flags = GLN_RING_WITH_BITMAP),
};

const struct machine *stress_model(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(models); i++)
		if (!strcmp(name, models[i].name))
			return &models[i];

	return stress_hpt(name);
}

void stress_model_names(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(models); i++)
		fprintf(stderr, " %s", models[i].name);
	stress_hpt_names();
}
