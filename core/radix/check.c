/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - the rules of a quiet table, as code, for tests.
 *
 *   I1  No entry is locked.
 *   I2  A leaf above the last level stands where one may, and is aligned.
 *   I3  What may be written may be made writable, and the host agrees.
 *   I4  An entry that maps nothing is empty, or says MMIO.
 *   I5  As many tables hang in the tree as are counted.
 */
#include "core/radix/radix.h"

struct check {
	struct radix *radix;
	uint64_t nr_tables;
	const char *why;
};

static bool is_right(bool rule, struct check *check, const char *why)
{
	if (!rule)
		check->why = why;
	return rule;
}

static bool leaf_is_right(struct check *check, uint64_t leaf,
			  unsigned int level)
{
	const struct radix *const radix = check->radix;
	const struct radix_format *const f = &radix->format;
	const uint64_t in_block =
		(UINT64_C(1) << radix->geometry.level[level].shift) - 1;

	return is_right(level == radix_last(radix) ||
				radix->geometry.level[level].block_ok,
			check, "I2: a block stands where none may") &&
	       is_right(!(radix_addr(radix, leaf) & in_block), check,
			"I2: a leaf's address is aligned to what it maps") &&
	       is_right(!radix_allows(radix, leaf, GLN_ACCESS_WRITE) ||
				(leaf & f->mmu_writable),
			check, "I3: a writable leaf may be made writable") &&
	       is_right(!(leaf & f->mmu_writable) || (leaf & f->host_writable),
			check, "I3: the host lets a writable leaf be written");
}

static bool table_is_right(struct check *check, gln_word *table,
			   unsigned int level)
{
	const struct radix *const radix = check->radix;
	const struct radix_format *const f = &radix->format;

	for (uint64_t i = 0; i < radix_nr_entries(radix, level); i++) {
		/* Relaxed: nobody else is here. */
		const uint64_t entry = gln_load_relaxed(&table[i]);

		if (radix_is_table(radix, level, entry)) {
			check->nr_tables++;
			if (!table_is_right(check, radix_child(radix, entry),
					    level + 1))
				return false;
		} else if (radix_is_present(radix, entry)) {
			if (!leaf_is_right(check, entry, level))
				return false;
		} else if (!is_right(entry != f->locked, check,
				     "I1: a quiet table has no locked entry") ||
			   !is_right(entry == f->empty || entry == f->mmio,
				     check, "I4: what maps nothing is empty")) {
			return false;
		}
	}

	return true;
}

int glni_radix_check(struct radix *radix, const char **why)
{
	struct check check = {.radix = radix};
	const bool right =
		table_is_right(&check, radix->root, 0) &&
		is_right(check.nr_tables == gln_load_relaxed(&radix->nr_tables),
			 &check, "I5: every table counted hangs in the tree");

	*why = check.why;
	return right ? 0 : -EINVAL;
}
