/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine_hpt.c - a POWER computer in software: the parts that the others have
 * in machine.c, a guest kernel (hpt_guest.h), and the embedder's loop of hpt.h.
 *
 * The guest boots twice. Its firmware has a table of its own: it maps a part of
 * memory, by other segments than the kernel, and runs no longer than that; then
 * the table is asked for again, which clears it. So each run starts on a table
 * that was used, reset and must show nothing of it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <glean/vm.h>

#include "bench/glean/clock.h"
#include "bench/glean/interrupt.h"
#include "bench/glean/machine.h"
#include "bench/glean/machine_arch.h"
#include "bench/glean/random.h"

/* Without a gln_hpt_host there is one partition. */
#define LPID 1

/* So many pages of the guest the firmware maps. */
#define FIRMWARE_PAGES 4096

/* Of the thread that boots; it is gone before vCPUs come, from 0 up. */
#define BOOT_VCPU UINT32_C(0xffffffff)

/* The guest resizes its table so often, to the next order and back. */
#define RESIZE_NS (20 * NS_PER_MS)

/* A step of a resize looks at so many groups. */
#define RESIZE_GROUPS 4096

/*
 * struct machine_hpt - the guest, and who works on resizes.
 *
 * @model:	for the worker to kick.
 * @resize_due:	vCPU 0 shall resize, when it is kicked.
 */
struct machine_hpt {
	struct machine_hpt_params params;
	uint64_t seed;
	struct hpt_guest *guest;
	struct gln_vm *vm;
	struct gln_model *model;
	uint64_t base;
	uint64_t bytes;
	bool has_worker;
	pthread_t worker;
	atomic_bool stop;
	atomic_bool resize_due;
};

/*
 * The machine's first memory, as large as the guest's largest page. It is
 * nobody's: only an entry that is used before it is whole has real page 0.
 */
#define NOWHERE_BYTES (UINT64_C(1) << 24)

_Alignas(4096) static unsigned char nowhere[NOWHERE_BYTES];

/* --- parts --- */

static void *memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	return hpa < NOWHERE_BYTES ? &nowhere[hpa] : (void *)(uintptr_t)hpa;
}

static int book3s_model(const struct gln_model_params *params,
			const struct machine_params *machine,
			struct gln_model **model)
{
	const struct gln_mmu_host host = {.memory_at = memory_at};
	struct gln_model_params ours = *params;

	ours.host = &host;
	return gln_hpt_model_create(&ours, (enum gln_hpt_isa)machine->hpt.isa,
				    LPID, model);
}

static int book3s_create(struct machine *machine,
			 const struct machine_params *params)
{
	const struct gln_mmu_host host = {
		.ctx = machine->model,
		.kick = gln_model_kick,
	};
	const struct gln_hpt_params hpt = {
		.struct_bytes = sizeof(hpt),
		.isa = (enum gln_hpt_isa)params->hpt.isa,
		.default_order = params->hpt.order,
		.host = &host,
		.tlbie = gln_hpt_model_tlbie,
		.flush_all = gln_hpt_model_flush_all,
		.set_table = gln_hpt_model_set_table,
		.ctx = machine->model,
	};
	struct machine_hpt *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;

	const int err = gln_hpt_create(&hpt, &machine->backend);

	if (err) {
		free(made);
		return err;
	}
	made->params = params->hpt;
	made->model = machine->model;
	made->seed = params->seed;
	atomic_init(&made->stop, false);
	atomic_init(&made->resize_due, false);
	machine->hpt = made;
	return 0;
}

static void book3s_destroy(struct gln_backend *backend)
{
	gln_hpt_destroy(backend);
}

/* --- boot --- */

static int create_guest(const struct machine_hpt *hpt, uint64_t seed,
			unsigned int order, struct hpt_guest **guest)
{
	const struct hpt_guest_params params = {
		.base_shift = hpt->params.page_shift,
		.actual_shift = hpt->params.page_shift,
		.segment_shift = hpt->params.segment_shift,
		.order = order,
		.seed = seed,
	};

	return hpt_guest_create(&params, guest);
}

static int enter_pages(const struct machine_hpt *hpt,
		       struct hpt_guest_cpu *kernel, uint64_t nr_pages)
{
	int err = 0;

	for (uint64_t i = 0; i < nr_pages && !err; i++)
		err = interrupt_signal()
			      ? -EINTR
			      : hpt_guest_enter(
					kernel,
					hpt->base +
						(i << hpt->params.page_shift),
					0);
	return err;
}

/* As a vCPU, on this thread and for as long as it takes. */
static int map_pages(const struct machine_hpt *hpt, struct hpt_guest *guest,
		     uint64_t nr_pages)
{
	struct hpt_guest_cpu kernel;
	struct gln_vcpu *vcpu;
	int err = gln_vcpu_register(hpt->vm, BOOT_VCPU, &vcpu);

	if (err)
		return err;
	err = gln_vcpu_enter(vcpu);
	if (!err) {
		hpt_guest_cpu_init(&kernel, guest, BOOT_VCPU, vcpu, NULL);
		err = enter_pages(hpt, &kernel, nr_pages);
		gln_vcpu_leave(vcpu);
	}
	gln_vcpu_unregister(vcpu);
	return err;
}

static uint64_t nr_pages_of(const struct machine_hpt *hpt)
{
	return hpt->bytes >> hpt->params.page_shift;
}

static int run_firmware(const struct machine_hpt *hpt, unsigned int order)
{
	const uint64_t nr_pages = nr_pages_of(hpt);
	struct hpt_guest *firmware;
	int err = create_guest(hpt, random_mix(hpt->seed + RANDOM_STEP), order,
			       &firmware);

	if (err)
		return err;
	err = map_pages(hpt, firmware,
			nr_pages < FIRMWARE_PAGES ? nr_pages : FIRMWARE_PAGES);
	hpt_guest_destroy(firmware);
	return err;
}

static bool is_told(const atomic_bool *flag)
{
	/* Relaxed: nothing is read that the flag announces. */
	return atomic_load_explicit(flag, memory_order_relaxed);
}

static void tell(atomic_bool *flag, bool value)
{
	atomic_store_explicit(flag, value, memory_order_relaxed);
}

/* What takes time of a resize; and ask for the next one, now and then. */
static void *work(void *arg)
{
	struct machine_hpt *hpt = arg;
	const struct timespec wait = {.tv_nsec = NS_PER_MS};
	uint64_t asked_ns = clock_ns();

	interrupt_block();
	while (!is_told(&hpt->stop)) {
		while (gln_hpt_resize_work(hpt->vm, RESIZE_GROUPS) > 0 &&
		       !is_told(&hpt->stop))
			;
		if (clock_ns() - asked_ns >= RESIZE_NS) {
			tell(&hpt->resize_due, true);
			gln_model_kick(hpt->model);
			asked_ns = clock_ns();
		}
		nanosleep(&wait, NULL);
	}
	return NULL;
}

static int book3s_boot(struct machine *machine, struct gln_vm *vm,
		       uint64_t base, uint64_t bytes)
{
	struct machine_hpt *hpt = machine->hpt;
	uint32_t order = hpt->params.order;

	hpt->vm = vm;
	hpt->base = base;
	hpt->bytes = bytes;

	int err = gln_hpt_allocate(vm, &order);

	if (!err)
		err = run_firmware(hpt, order);
	if (!err)
		err = gln_hpt_allocate(vm, &order);
	if (!err)
		err = create_guest(hpt, hpt->seed, order, &hpt->guest);
	if (err || !hpt->params.resizes)
		return err;
	err = -pthread_create(&hpt->worker, NULL, work, hpt);
	hpt->has_worker = !err;
	return err;
}

static void book3s_shut_down(struct machine *machine)
{
	struct machine_hpt *hpt = machine->hpt;

	tell(&hpt->stop, true);
	if (hpt->has_worker)
		pthread_join(hpt->worker, NULL);
	if (hpt->guest)
		hpt_guest_destroy(hpt->guest);
	hpt->has_worker = false;
	hpt->guest = NULL;
}

int machine_enter_all(struct machine *machine)
{
	const struct machine_hpt *hpt = machine->hpt;

	return hpt ? map_pages(hpt, hpt->guest, nr_pages_of(hpt)) : -ENOTTY;
}

/* --- a vCPU --- */

static void book3s_vcpu_start(struct machine_vcpu *vcpu, uint32_t id)
{
	hpt_guest_cpu_init(&vcpu->kernel, vcpu->machine->hpt->guest, id,
			   vcpu->vcpu, vcpu->cpu);
}

/* A hypervisor storage interrupt. */
static int storage(struct machine_vcpu *vcpu, const struct gln_model_exit *exit,
		   uint32_t access)
{
	struct gln_hpt_fault fault = {
		.ea = exit->gpa,
		.slb = exit->hpfar,
		.access = access,
	};
	const int result = gln_hpt_fault(vcpu->vcpu, &fault);

	switch (result) {
	case GLN_FAULT_MAPPED:
	case GLN_FAULT_RELAXED:
	case GLN_FAULT_SPURIOUS:
		return 0;
	case GLN_FAULT_RETRY:
		sched_yield();
		return 0;
	case GLN_FAULT_REFLECT:
		return hpt_guest_fault(&vcpu->kernel, fault.ea, fault.dsisr);
	case GLN_FAULT_MMIO:
	case GLN_FAULT_READ_ONLY:
		return -EIO;
	default:
		return result;
	}
}

/* To one order more than it was made with, or less of the largest, and back. */
static int resize(struct machine_vcpu *vcpu)
{
	struct machine_hpt *hpt = vcpu->machine->hpt;
	const unsigned int made = hpt->params.order;
	const unsigned int other =
		made < GLN_HPT_ORDER_MAX ? made + 1 : made - 1;
	const unsigned int order =
		hpt_guest_order(hpt->guest) == made ? other : made;

	tell(&hpt->resize_due, false);
	return hpt_guest_resize(&vcpu->kernel, order);
}

static int book3s_answer(struct machine_vcpu *vcpu,
			 const struct gln_model_exit *exit, uint32_t access)
{
	struct machine_hpt *hpt = vcpu->machine->hpt;
	int err = 0;

	switch (exit->reason) {
	case GLN_MODEL_FAULT:
		err = storage(vcpu, exit, access);
		break;
	case GLN_MODEL_NO_SEGMENT:
		err = hpt_guest_segment(&vcpu->kernel, exit->gpa);
		break;
	case GLN_MODEL_MISCONFIG:
		err = -EIO;
		break;
	default: /* it was kicked: it has left */
		break;
	}
	if (!err && vcpu->kernel.id == 0 && is_told(&hpt->resize_due))
		err = resize(vcpu);
	return err;
}

const struct machine_arch machine_book3s = {
	.create_model = book3s_model,
	.create_backend = book3s_create,
	.boot = book3s_boot,
	.shut_down = book3s_shut_down,
	.vcpu_start = book3s_vcpu_start,
	.answer = book3s_answer,
	.destroy_backend = book3s_destroy,
};
