/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_live.c - a guest that is there for nothing but its hashed page table.
 */
#include "bench/glean/hpt_live.h"

#include <glean/slot.h>
#include <glean/vm.h>

#include "bench/glean/guest.h"
#include "bench/glean/hpt_size.h"

/* A guest under way. */
struct live {
	struct machine *machine;
	struct guest guest;
	struct hpt_stream *stream;
};

static int fill(struct live *live, struct gln_vm *vm)
{
	const struct guest *guest = &live->guest;
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.base = guest->base,
		.nr_pages = guest->nr_pages,
		.hva = guest->memory,
	};
	int err = gln_slot_add(vm, &slot);

	if (err)
		return err;
	err = machine_boot(live->machine, vm, guest->base * guest->page_bytes,
			   guest->nr_pages * guest->page_bytes);
	if (!err)
		err = machine_enter_all(live->machine);
	if (!err)
		err = hpt_stream_of(vm, live->stream);
	machine_shut_down(live->machine);
	return err;
}

static int run_in_vm(struct live *live, unsigned int slot_shift)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.page_shift = slot_shift,
		.backend = machine_backend(live->machine),
	};
	struct gln_vm *vm;
	int err = gln_vm_create(&params, &vm);

	if (err)
		return err;
	err = fill(live, vm);
	gln_vm_destroy(vm);
	return err;
}

int hpt_live(const struct machine_hpt_params *params, uint64_t memory_bytes,
	     uint64_t seed, struct hpt_stream *stream)
{
	const unsigned int slot_shift = hpt_slot_shift(params->page_shift);
	const struct machine_params machine = {
		.kind = MACHINE_BOOK3S,
		.page_shift = slot_shift,
		.hpt = *params,
		.seed = seed,
	};
	struct live live = {.stream = stream};
	int err = guest_create(&live.guest, memory_bytes,
			       UINT64_C(1) << slot_shift,
			       UINT64_C(1) << params->page_shift);

	if (err)
		return err;
	err = machine_create(&machine, &live.machine);
	if (!err) {
		err = run_in_vm(&live, slot_shift);
		machine_destroy(live.machine);
	}
	guest_destroy(&live.guest);
	return err;
}
