/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clear_fuzz.c - arguments of gln_clear_dirty_log(), against a list of marks.
 *
 * Any slot, any first page, any number of pages, any bitmap, over a backend
 * that write-protects: what the call answers is worked out here once more, from
 * its documentation; and what it leaves is compared page by page.
 */
#include "tests/fuzz/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_STEPS = 200,
	MAX_PAGES = 2500,
	MAX_WORDS = (MAX_PAGES + 63) / 64,
};

/* The slots, and which of their pages are marked. */
static struct {
	bool is_logged;
	gln_gfn base;
	uint64_t nr_pages;
	bool is_marked[MAX_PAGES];
} slots[FUZZ_SLOTS];

static struct fuzz_guest guest;
static struct fuzz_input input;
static bool starts_marked;

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
		slots[i].base = params.base;
		slots[i].nr_pages = params.nr_pages;
		base += params.nr_pages + fuzz_below(&input, 3);
	}
}

static void switch_log(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);

	if (slots[id].is_logged) {
		FUZZ_CHECK(!gln_log_disable(guest.vm, id), "off");
		slots[id].is_logged = false;
		return;
	}
	FUZZ_CHECK(!gln_log_enable(guest.vm, id, 0), "on");
	slots[id].is_logged = true;
	memset(slots[id].is_marked, starts_marked, slots[id].nr_pages);
}

static void write_page(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const uint64_t page = fuzz_below(&input, slots[id].nr_pages);
	int said;

	FUZZ_CHECK(!gln_vcpu_topup(guest.vcpu), "a top-up");
	said = gln_vcpu_fault(guest.vcpu, slots[id].base + page,
			      fuzz_bytes(&input, 1) & 1
				      ? GLN_ACCESS_WRITE
				      : GLN_ACCESS_READ | GLN_ACCESS_WRITE);
	FUZZ_CHECK((said >= GLN_FAULT_MAPPED && said <= GLN_FAULT_RETRY) ||
			   said == -EFAULT,
		   "a write");
	if (!slots[id].is_logged)
		return;
	if (said == GLN_FAULT_MAPPED || said == GLN_FAULT_RELAXED)
		slots[id].is_marked[page] = true;
	FUZZ_CHECK(said != GLN_FAULT_SPURIOUS || slots[id].is_marked[page],
		   "a page that can be written is marked");
}

static void mark_page(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const uint64_t page = fuzz_below(&input, slots[id].nr_pages);

	if (gln_dirty_mark(guest.vm, slots[id].base + page) >= 0 &&
	    slots[id].is_logged)
		slots[id].is_marked[page] = true;
}

static bool bit_of(const uint8_t *bitmap, uint64_t i)
{
	return bitmap[i / 8] >> i % 8 & 1;
}

/* Which error there must be: KVM's rules, as log.h repeats them. */
static int expected_of(const struct gln_clear_log *clear)
{
	const uint32_t id = clear->slot & 0xffff;
	uint64_t nr_pages;

	if (clear->slot >> 16 || id >= GLN_SLOT_IDS)
		return -EINVAL;
	if (clear->first_page % 64)
		return -EINVAL;
	if (id >= FUZZ_SLOTS || !slots[id].is_logged)
		return -ENOENT;
	nr_pages = slots[id].nr_pages;
	if (clear->first_page > nr_pages ||
	    clear->num_pages > nr_pages - clear->first_page ||
	    (clear->num_pages % 64 &&
	     clear->num_pages != nr_pages - clear->first_page))
		return -EINVAL;
	return 0;
}

static void clear_log(void)
{
	struct gln_clear_log clear = {
		.slot = fuzz_bytes(&input, 1) % 8
				? (uint32_t)fuzz_below(&input, FUZZ_SLOTS)
				: (uint32_t)fuzz_bytes(&input, 4),
	};
	const uint64_t nr =
		clear.slot < FUZZ_SLOTS ? slots[clear.slot].nr_pages : 0;
	uint64_t nr_bytes;
	uint8_t *bitmap;
	int expected, err;

	clear.first_page = fuzz_near(&input, nr);
	if (fuzz_bytes(&input, 1) % 4)
		clear.first_page = clear.first_page / 64 * 64 % (nr + 64);
	clear.num_pages = (uint32_t)fuzz_near(&input, nr - clear.first_page);
	if (fuzz_bytes(&input, 1) % 4)
		clear.num_pages = (uint32_t)(nr - clear.first_page);

	expected = expected_of(&clear);
	/* Just as long as it must be: a step past its end is seen. */
	nr_bytes = expected ? 8 : (uint64_t)(clear.num_pages + 63) / 64 * 8;
	bitmap = malloc(nr_bytes + !nr_bytes);
	FUZZ_CHECK(bitmap, "memory for a bitmap");
	for (uint64_t i = 0; i < nr_bytes; i++)
		bitmap[i] = (uint8_t)fuzz_bytes(&input, 1);
	clear.bitmap = bitmap;

	err = gln_clear_dirty_log(guest.vm, &clear);
	FUZZ_CHECK(!err == !expected, "a range is right or wrong");
	FUZZ_CHECK(err == expected || err == -EINVAL || err == -ENOENT,
		   "another error");
	for (uint64_t i = 0; !err && i < clear.num_pages; i++)
		if (bit_of(bitmap, i))
			slots[clear.slot].is_marked[clear.first_page + i] =
				false;
	free(bitmap);
}

static void get_log(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const uint64_t nr_bytes = (slots[id].nr_pages + 63) / 64 * 8;
	uint8_t *const bitmap = malloc(nr_bytes);
	int err;

	FUZZ_CHECK(bitmap, "memory for a bitmap");
	err = gln_get_dirty_log(guest.vm, id, bitmap);
	FUZZ_CHECK(err == (slots[id].is_logged ? 0 : -ENOENT), "a get");
	for (uint64_t i = 0; !err && i < nr_bytes * 8; i++)
		FUZZ_CHECK(bit_of(bitmap, i) == (i < slots[id].nr_pages &&
						 slots[id].is_marked[i]),
			   "the log is what was marked and not cleared");
	free(bitmap);
}

static void split(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	uint64_t next = 0;
	const int err =
		gln_mmu_split(guest.vm, id, &next, fuzz_bytes(&input, 2));

	FUZZ_CHECK(err == (slots[id].is_logged ? 0 : -ENOENT), "a split");
}

static void choose_mode(void)
{
	starts_marked = fuzz_bytes(&input, 1) & 1;
	FUZZ_CHECK(!gln_log_set_mode(
			   guest.vm,
			   GLN_LOG_MANUAL_PROTECT |
				   (starts_marked ? GLN_LOG_INITIALLY_SET : 0)),
		   "a mode");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(void) = {
		clear_log, clear_log,  clear_log,  clear_log,
		get_log,   write_page, write_page, write_page,
		mark_page, switch_log, split,
	};

	input = (struct fuzz_input){data, size};
	fuzz_guest_open(&guest, &input, FUZZ_PROTECTS_ONLY);
	choose_mode();
	add_slots();
	for (unsigned int i = 0; input.left && i < MAX_STEPS; i++)
		steps[fuzz_below(&input, sizeof(steps) / sizeof(steps[0]))]();
	fuzz_guest_close(&guest);

	return 0;
}
