/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_fuzz.c - a consumer that writes whatever it likes into the ring.
 *
 * Pages are dirtied and fetched; in between entries are scribbled over: flags,
 * slot, page. A reset answers what is documented, protects nothing that is no
 * page of a logged slot, and ends.
 */
#include "tests/fuzz/guest.h"

#include <errno.h>
#include <string.h>

enum { MAX_STEPS = 1000, MAX_PAGES = 900 };

static struct fuzz_guest guest;
static struct fuzz_input input;
static struct {
	gln_gfn base;
	uint64_t nr_pages;
	bool is_logged;
} slots[FUZZ_SLOTS];
static struct gln_ring_cursor cursor;

static void add_slots(void)
{
	gln_gfn base = fuzz_bytes(&input, 2);

	memset(slots, 0, sizeof(slots));
	for (uint32_t i = 0; i < FUZZ_SLOTS; i++) {
		const struct gln_slot_params params = {
			.struct_bytes = sizeof(params),
			.id = i,
			.base = base,
			.nr_pages = 1 + fuzz_bytes(&input, 2) % MAX_PAGES,
		};

		FUZZ_CHECK(!gln_slot_add(guest.vm, &params), "a slot");
		slots[i].base = base;
		slots[i].nr_pages = params.nr_pages;
		base += params.nr_pages + fuzz_below(&input, 3);
	}
}

static void switch_log(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const int err = slots[id].is_logged ? gln_log_disable(guest.vm, id)
					    : gln_log_enable(guest.vm, id, 0);

	FUZZ_CHECK(!err, "switching a log");
	slots[id].is_logged = !slots[id].is_logged;
}

/* One write, or a run of them, so that the ring fills up. */
static void write_pages(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	uint64_t page = fuzz_below(&input, slots[id].nr_pages);
	uint64_t nr = fuzz_bytes(&input, 1);

	for (nr = nr > 200 ? 300 : nr % 8; nr; nr--, page++) {
		const gln_gfn gfn = slots[id].base + page % slots[id].nr_pages;
		int said;

		FUZZ_CHECK(!gln_vcpu_topup(guest.vcpu), "a top-up");
		said = gln_vcpu_fault(guest.vcpu, gfn, GLN_ACCESS_WRITE);
		FUZZ_CHECK(
			(said >= GLN_FAULT_MAPPED && said <= GLN_FAULT_RETRY) ||
				said == GLN_FAULT_RING_FULL || said == -EFAULT,
			"a write");
		FUZZ_CHECK(said != GLN_FAULT_RING_FULL ||
				   gln_ring_is_full(guest.vcpu),
			   "full is full");
	}
}

static void log_by_cpu(void)
{
	struct gln_ept_pml *const pml =
		guest.cpu_logs ? gln_ept_pml(guest.backend, 1) : NULL;
	const uint16_t nr = (uint16_t)fuzz_below(&input, 512);

	if (!pml)
		return;
	for (uint16_t i = 0; i < nr; i++)
		pml->log[511 - i] = (slots[i % FUZZ_SLOTS].base + i)
				    << guest.page_shift;
	pml->index = (uint16_t)(511 - nr);
	gln_vcpu_exit(guest.vcpu);
}

static void fetch(void)
{
	uint64_t nr = fuzz_bytes(&input, 1) * 4;
	uint32_t slot;
	uint64_t offset;

	/* After scribbling, the ring may never say "no more". */
	while (nr-- && gln_ring_fetch(&cursor, &slot, &offset))
		;
}

static void scribble(void)
{
	for (uint64_t nr = fuzz_below(&input, 16); nr; nr--) {
		struct gln_ring_entry *const entry =
			&cursor.entries[(cursor.next - fuzz_below(&input, 32) +
					 8) %
					cursor.nr_entries];

		switch (fuzz_bytes(&input, 1) % 4) {
		case 0:
			entry->flags = (uint32_t)fuzz_bytes(&input, 1);
			break;
		case 1:
			entry->slot = (uint32_t)fuzz_near(&input, FUZZ_SLOTS);
			break;
		case 2:
			entry->offset = fuzz_near(&input, MAX_PAGES);
			break;
		default:
			entry->flags = (uint32_t)fuzz_bytes(&input, 4);
			entry->slot = (uint32_t)fuzz_bytes(&input, 4);
			entry->offset = fuzz_bytes(&input, 8);
		}
	}
}

/* The consumer claims all of it, whatever it is. */
static void claim_all(void)
{
	for (uint32_t i = 0; i < cursor.nr_entries; i++)
		cursor.entries[i].flags = GLN_RING_RESET;
}

static void reset(void)
{
	const int said = gln_ring_reset(guest.vm);

	FUZZ_CHECK(said >= 0, "a reset fails, and no harvest is open");
	FUZZ_CHECK((uint32_t)said <= cursor.nr_entries,
		   "more entries than there are");
}

static void harvest(void)
{
	static uint64_t bitmap[(MAX_PAGES + 63) / 64];
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const int err = gln_get_dirty_log(guest.vm, id, bitmap);

	FUZZ_CHECK(!err || err == -ENXIO || err == -ENOENT, "a get");
	FUZZ_CHECK(err || slots[id].is_logged, "the log of no slot");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(void) = {
		write_pages, write_pages, write_pages, write_pages, log_by_cpu,
		fetch,	     fetch,	  scribble,    scribble,    claim_all,
		reset,	     reset,	  reset,       harvest,	    switch_log,
	};

	input = (struct fuzz_input){data, size};
	fuzz_guest_open(&guest, &input, FUZZ_RINGS);
	memset(&cursor, 0, sizeof(cursor));
	FUZZ_CHECK(
		!gln_vcpu_ring(guest.vcpu, &cursor.entries, &cursor.nr_entries),
		"a ring");
	add_slots();
	for (uint32_t i = 0; i < FUZZ_SLOTS; i++)
		switch_log();
	for (unsigned int i = 0; input.left && i < MAX_STEPS; i++)
		steps[fuzz_below(&input, sizeof(steps) / sizeof(steps[0]))]();
	fuzz_guest_close(&guest);

	return 0;
}
