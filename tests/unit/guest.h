/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.h - a VM on a fake backend and a fake allocator, for tests that go
 * through the public interface and look behind it.
 */
#ifndef GLN_TESTS_UNIT_GUEST_H
#define GLN_TESTS_UNIT_GUEST_H

#include <glean/glean.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/vm/vm.h"
#include "tests/support/fake_allocator.h"
#include "tests/support/fake_backend.h"
#include "tests/support/pages.h"
#include "tests/unit/require.h"

enum {
	ALL_CAPS = GLN_CAP_PROTECT | GLN_CAP_COLLECT | GLN_CAP_FLUSH,
	MMU_CAPS = GLN_CAP_PROTECT | GLN_CAP_FLUSH | GLN_CAP_FAULT,
};

/** Either form of fence, as flags of a VM. */
static const uint32_t vm_flags[] = {0, GLN_VM_FULL_FENCE, GLN_VM_QUICK_MARKS};

/** struct guest - one a test; too large for a stack. */
struct guest {
	struct gln_vm *vm;
	struct fake_allocator memory;
	struct fake_backend fake;
};

/** guest_start() - @caps of 0: no backend. */
static inline void guest_start(struct guest *guest, uint32_t caps,
			       uint32_t flags)
{
	struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.flags = flags,
		.allocator = &guest->memory.allocator,
	};

	fake_allocator_init(&guest->memory);
	fake_backend_init(&guest->fake, caps);
	if (caps)
		params.backend = &guest->fake.backend;
	cr_assert_eq(gln_vm_create(&params, &guest->vm), 0);
}

/** guest_stop() - destroy it; nothing may be left behind. */
static inline void guest_stop(struct guest *guest)
{
	cr_assert_eq(gln_vm_destroy(guest->vm), 0);
	cr_assert_eq(guest->memory.nr_live, 0, "memory was leaked");
	cr_assert_eq(guest->fake.nr_slots, 0, "a slot is still attached");
	cr_assert_eq(guest->fake.nr_logged, 0, "a slot is still logged");
	cr_assert_eq(guest->fake.nr_vcpus, 0, "a vCPU is still attached");
}

static inline int guest_try_slot(struct guest *guest, uint32_t id, gln_gfn base,
				 uint64_t nr_pages)
{
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = id,
		.base = base,
		.nr_pages = nr_pages,
	};

	return gln_slot_add(guest->vm, &params);
}

static inline void guest_add_slot(struct guest *guest, uint32_t id,
				  gln_gfn base, uint64_t nr_pages)
{
	const int err = guest_try_slot(guest, id, base, nr_pages);

	require(!err, "slot %" PRIu32 " at %#" PRIx64 ": %d", id, base, err);
}

/** guest_log_slot() - add a slot and log it; forget the calls that took. */
static inline void guest_log_slot(struct guest *guest, uint32_t id,
				  gln_gfn base, uint64_t nr_pages)
{
	int err;

	guest_add_slot(guest, id, base, nr_pages);
	err = gln_log_enable(guest->vm, id, 0);
	require(!err, "slot %" PRIu32 ": %d", id, err);
	fake_backend_forget(&guest->fake);
}

/** guest_mark() - mark what @pages say, page 0 being frame @base. */
static inline void guest_mark(struct guest *guest, gln_gfn base,
			      const uint8_t *pages, uint64_t nr_pages)
{
	for (uint64_t i = 0; i < nr_pages; i++)
		if (pages[i])
			gln_dirty_mark(guest->vm, base + i);
}

static inline struct log *guest_log(struct guest *guest, uint32_t id)
{
	struct slot *const slot = glni_slot_by_id(&guest->vm->slots, id);

	return slot ? slot->log : NULL;
}

/**
 * guest_has_marks() - are the marks of slot @id these, and is every marked line
 * summarised (B1)? Looks without taking.
 */
static inline bool guest_has_marks(struct guest *guest, uint32_t id,
				   const uint8_t *pages)
{
	const struct bitmap *const live = guest_log(guest, id)->live;

	for (uint64_t i = 0; i < live->nr_pages; i++) {
		const uint64_t word = gln_load_relaxed(&live->words[i / 64]);
		const uint64_t line = i >> LINE_SHIFT;
		const uint64_t lines =
			gln_load_relaxed(&live->summary[line / 64]);

		if ((word >> i % 64 & 1) != pages[i] ||
		    (pages[i] && !(lines >> line % 64 & 1)))
			return false;
	}

	return true;
}

/** guest_spare_is_clear() - L2: the bitmap that is not live is all 0. */
static inline bool guest_spare_is_clear(struct guest *guest, uint32_t id)
{
	const struct snapshot *const snap = &guest_log(guest, id)->snap;
	const uint64_t nr_lines = gln_div_up(snap->nr_pages, LINE_PAGES);

	for (uint64_t i = 0; i < nr_lines * LINE_WORDS; i++)
		if (snap->words[i])
			return false;
	for (uint64_t i = 0; i < bitmap_nr_summary_words(snap->nr_pages); i++)
		if (snap->taken[i])
			return false;

	return true;
}

static inline uint64_t guest_count_marks(struct guest *guest, uint32_t id)
{
	return glni_bitmap_count(guest_log(guest, id)->live);
}

static inline struct gln_vcpu *guest_vcpu(struct guest *guest, uint32_t id)
{
	struct gln_vcpu *vcpu = NULL;
	const int err = gln_vcpu_register(guest->vm, id, &vcpu);

	require(!err && vcpu, "vCPU %" PRIu32 ": %d", id, err);
	return vcpu;
}

static inline struct gln_stats guest_stats(struct guest *guest)
{
	struct gln_stats stats = {.struct_bytes = sizeof(stats)};

	cr_assert_eq(gln_vm_stats(guest->vm, &stats), 0);
	return stats;
}

/** guest_strategy() - another at each call: results must not depend on it. */
static inline enum gln_harvest_strategy guest_strategy(void)
{
	static unsigned int turn;

	return turn++ % (GLN_HARVEST_FLIP + 1);
}

/** guest_begin() - a harvest without a budget, which must succeed. */
static inline struct gln_harvest *guest_begin(struct guest *guest, uint32_t id)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = guest_strategy(),
	};
	struct gln_harvest *harvest = NULL;
	const int err = gln_harvest_begin(guest->vm, id, &params, &harvest);

	require(!err && harvest, "slot %" PRIu32 ": %d", id, err);
	return harvest;
}

static inline struct gln_harvest_report guest_report(
	struct gln_harvest *harvest)
{
	struct gln_harvest_report report = {.struct_bytes = sizeof(report)};

	require(!gln_harvest_report(harvest, &report), "no report");
	return report;
}

/**
 * guest_walk() - the rest of a walk, as bytes: sets @pages, which must be 0,
 * and checks that runs ascend within the slot and do not touch.
 */
static inline uint64_t guest_walk(struct gln_harvest *harvest, gln_gfn base,
				  uint8_t *pages, uint64_t nr_pages)
{
	uint64_t end = 0, nr = 0;
	struct gln_range run;

	while (gln_harvest_next(harvest, &run, 1)) {
		const uint64_t first = run.first - base;

		require(run.count && first < nr_pages &&
				run.count <= nr_pages - first &&
				(!nr || first > end),
			"run of %" PRIu64 " at %#" PRIx64, run.count,
			run.first);
		end = first + run.count;
		nr += test_pages_set(pages, first, end);
	}

	return nr;
}

#endif
