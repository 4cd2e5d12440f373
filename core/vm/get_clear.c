/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * get_clear.c - the dirty log as Linux KVM shapes it (G5, G9).
 */
#include <glean/log.h>

#include "core/vm/vm.h"

enum { SLOT_ID_BITS = 16 }; /* below them, the id; above, the address space */

/* Claim a logged slot by its KVM number. The VM's lock is held. */
static int claim_logged(struct gln_vm *vm, uint32_t number, struct slot **slot)
{
	int err;

	if (number >> SLOT_ID_BITS)
		return -EINVAL;
	err = glni_vm_claim(vm, number, CLAIM_LOGGED, slot);
	if (err)
		return err;
	if (!(*slot)->log) {
		slot_release(*slot);
		return -ENOENT;
	}

	return 0;
}

typedef uint64_t (*word_fn)(const struct log *log, uint64_t word);

static uint64_t taken_word(const struct log *log, uint64_t word)
{
	return snapshot_word(&log->snap, word);
}

static uint64_t live_word(const struct log *log, uint64_t word)
{
	/*
	 * Relaxed: the marks stay, so the clear that takes them orders what
	 * must be ordered.
	 */
	return gln_load_relaxed(&log->live->words[word]);
}

/* Copy the whole bitmap out, in pieces, as little-endian words. */
static int copy_out(struct log *log, word_fn read, char *to)
{
	const uint64_t nr_words = bitmap_nr_words(log_nr_pages(log));
	const uint64_t piece = log->staging_bytes / GLN_WORD_BYTES;
	int err = 0;

	for (uint64_t word = 0; word < nr_words && !err; word += piece) {
		const uint64_t nr = gln_min(piece, nr_words - word);

		for (uint64_t i = 0; i < nr; i++)
			log->staging[i] = gln_le64(read(log, word + i));
		err = gln_plat_copy_out(to + word * GLN_WORD_BYTES,
					log->staging,
					(size_t)nr * GLN_WORD_BYTES);
	}

	return err;
}

/* Take all marks, and give them out. */
static int get_and_clear(struct gln_harvest *harvest, void *bitmap)
{
	const struct gln_harvest_params all = {.struct_bytes = sizeof(all)};
	int err = glni_harvest_take(harvest, &all);

	if (err)
		return err;
	err = copy_out(harvest->log, taken_word, bitmap);
	if (err)
		return glni_harvest_fail(harvest, err);

	glni_harvest_drop(harvest);
	dirty_count(&harvest->stats->harvests, 1);
	return 0;
}

/* Give the marks out and leave them where they are. */
static int get_only(struct gln_harvest *harvest, void *bitmap)
{
	const uint64_t nr_pages = log_nr_pages(harvest->log);
	int err = glni_harvest_collect(harvest, 0, nr_pages);

	if (!err)
		err = copy_out(harvest->log, live_word, bitmap);
	if (err)
		return glni_harvest_fail(harvest, err);

	dirty_count(&harvest->stats->harvests, 1);
	return 0;
}

int gln_get_dirty_log(struct gln_vm *vm, uint32_t number, void *bitmap)
{
	struct gln_harvest *harvest;
	struct slot *slot;
	int err;

	if (vm_has_rings_only(vm))
		return -ENXIO;

	gln_plat_mutex_lock(&vm->lock);
	err = claim_logged(vm, number, &slot);
	if (err)
		goto out;

	harvest = glni_harvest_start(slot, vm->backend, &vm->stats);
	if (gln_load_relaxed(&vm->log_mode) & GLN_LOG_MANUAL_PROTECT)
		err = get_only(harvest, bitmap);
	else
		err = get_and_clear(harvest, bitmap);
	slot_release(slot);
out:
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}

/* KVM's rules for the range, by subtraction: sums could wrap (H-07). */
static bool range_is_valid(const struct gln_clear_log *clear, uint64_t nr_pages)
{
	if (clear->first_page > nr_pages ||
	    clear->num_pages > nr_pages - clear->first_page)
		return false;
	return clear->num_pages % GLN_WORD_BITS == 0 ||
	       clear->num_pages == nr_pages - clear->first_page;
}

/*
 * A log that began with every page marked began without protection, so blocks
 * may still be whole: split them before any page of them is protected. What
 * there is no memory for is protected whole.
 */
static void split_asked(struct gln_vm *vm, struct slot *slot,
			const struct gln_clear_log *clear)
{
	uint64_t page = clear->first_page;

	if (slot->log->is_all_marked)
		glni_vm_split(vm, slot, &page,
			      clear->first_page + clear->num_pages,
			      GLN_SPLIT_FOR_CLEAR);
}

/* Take the marks that the caller's bitmap asks for, piece by piece. */
static int take_asked(struct gln_harvest *harvest,
		      const struct gln_clear_log *clear)
{
	struct log *const log = harvest->log;
	const char *const from = clear->bitmap;
	const uint64_t first = clear->first_page >> GLN_WORD_SHIFT;
	const uint64_t nr_words = bitmap_nr_words(clear->num_pages);
	const uint64_t piece = log->staging_bytes / GLN_WORD_BYTES;

	for (uint64_t word = 0; word < nr_words; word += piece) {
		const uint64_t nr = gln_min(piece, nr_words - word);
		const int err = gln_plat_copy_in(log->staging,
						 from + word * GLN_WORD_BYTES,
						 (size_t)nr * GLN_WORD_BYTES);

		if (err)
			return err;
		glni_harvest_take_bits(harvest, first + word, log->staging, nr);
	}

	return 0;
}

int gln_clear_dirty_log(struct gln_vm *vm, const struct gln_clear_log *clear)
{
	struct gln_harvest *harvest;
	struct slot *slot;
	int err;

	if (vm_has_rings_only(vm))
		return -ENXIO;
	/* In KVM's order: a misaligned page is said before a missing slot. */
	if (clear->first_page % GLN_WORD_BITS)
		return -EINVAL;

	gln_plat_mutex_lock(&vm->lock);
	err = claim_logged(vm, clear->slot, &slot);
	if (err)
		goto out;

	err = -EINVAL;
	if (!range_is_valid(clear, slot->face.nr_pages))
		goto release;
	split_asked(vm, slot, clear);
	harvest = glni_harvest_start(slot, vm->backend, &vm->stats);
	err = take_asked(harvest, clear);
	if (err)
		err = glni_harvest_fail(harvest, err);
	else
		err = glni_harvest_clear(harvest);
release:
	slot_release(slot);
out:
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}
