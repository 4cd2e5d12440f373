/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk_test.c - the walker alone, under visitors that misbehave.
 *
 * H-27, H-30, H-31.
 */
#include "tests/unit/radix/fixture.h"

enum { READ = GLN_ACCESS_READ, WRITE = GLN_ACCESS_WRITE, MAX_SEEN = 4096 };

/* What a visitor was shown, in order. */
static struct {
	struct radix_walk walk;
	int says;
	size_t says_at;
	size_t nr;
	struct {
		char what; /* p, l, <, > */
		unsigned int level;
		struct gln_range range;
	} seen[MAX_SEEN];
} spy;

static int note(char what, unsigned int level, struct gln_range range)
{
	require(spy.nr < MAX_SEEN, "more calls than that");
	spy.seen[spy.nr].what = what;
	spy.seen[spy.nr].level = level;
	spy.seen[spy.nr].range = range;
	return ++spy.nr == spy.says_at ? spy.says : 0;
}

static int see_pages(struct radix_walk *walk, gln_word *entries, uint64_t nr,
		     gln_gfn gfn)
{
	require(entries == rig_entry(gfn, radix_last(walk->radix)),
		"gfn %" PRIu64, gfn);
	return note('p', radix_last(walk->radix), (struct gln_range){gfn, nr});
}

static int see_leaf(struct radix_walk *walk, const struct radix_visit *visit)
{
	(void)walk;
	require(visit->seen == gln_load_relaxed(visit->entry), "seen");
	return note('l', visit->level, visit->range);
}

static int see_pre(struct radix_walk *walk, const struct radix_visit *visit)
{
	(void)walk;
	return note('<', visit->level, visit->range);
}

static int see_post(struct radix_walk *walk, const struct radix_visit *visit)
{
	(void)walk;
	return note('>', visit->level, visit->range);
}

static const struct radix_visitor spies[] = {
	{false, see_pages, see_leaf, see_pre, see_post},
	{true, see_pages, see_leaf, see_pre, see_post},
};

static int walk(bool is_fault, struct gln_range range)
{
	int said;

	spy.nr = 0;
	spy.walk = (struct radix_walk){
		.radix = rig.radix,
		.visitor = &spies[is_fault],
		.range = range,
	};
	glni_read_lock();
	said = glni_radix_walk(&spy.walk);
	glni_read_unlock();
	return said;
}

static void quiet(void)
{
	spy.says = 0;
	spy.says_at = 0;
}

Test(walk, sees_every_frame_once_and_in_order)
{
	static const unsigned int pages_of_all[] = {0, 1};

	quiet();
	each_kind(kind)
	{
		for (unsigned int i = 0; i < 2; i++) {
			const struct gln_range all = all_of_slot();
			gln_gfn next = all.first;
			unsigned int depth = 0;

			rig_populate(pages_of_all[i], READ);
			cr_assert_eq(walk(false, all), 0);
			for (size_t n = 0; n < spy.nr; n++) {
				const struct gln_range range =
					spy.seen[n].range;

				if (spy.seen[n].what == '<') {
					require(spy.seen[n].level == depth++,
						"depth");
				} else if (spy.seen[n].what == '>') {
					require(spy.seen[n].level == --depth,
						"depth");
				} else if (spy.seen[n].what == 'p') {
					require(range.first == next, "order");
					next += range.count;
				} else {
					require(range.first <= next, "order");
					next = range.first + range.count;
				}
			}
			cr_assert_eq(depth, 0);
			cr_assert_eq(next, all.first + all.count);
			rig_remove(rig.radix, &rig.slot, all);
		}
	}
}

Test(walk, shows_an_empty_tree_as_leaves_of_the_root)
{
	quiet();
	each_kind(kind)
	{
		const uint64_t nr = radix_nr_frames(rig.radix);

		cr_assert_eq(walk(false, (struct gln_range){0, nr}), 0);
		cr_assert_eq(spy.nr, radix_nr_entries(rig.radix, 0));
		cr_assert_eq(walk(false, (struct gln_range){nr - 1, 1}), 0);
		cr_assert_eq(spy.nr, 1);
		cr_assert_eq(spy.seen[0].what, 'l');
		cr_assert_eq(spy.seen[0].range.first,
			     nr - radix_pages(rig.radix, 0));
	}
}

Test(walk, finds_joined_tables_side_by_side)
{
	/* The made-up root is two tables long: both are used. */
	quiet();
	for (enum rig_kind kind = 0; kind < RIG_OWN_KINDS; kind++) {
		rig_open(kind);
		rig_slot(OWN_FRAMES / 2 - 8, 16);
		rig_populate(true, WRITE);
		cr_assert_eq(walk(false, all_of_slot()), 0);
		for (uint64_t i = 0; i < 16; i++)
			cr_assert_eq(rig_hpa(rig.slot.base + i),
				     rig.host[i].hpa);
		cr_assert(radix_is_table(rig.radix, 0,
					 gln_load_relaxed(&rig.own.root[7])));
		cr_assert(radix_is_table(rig.radix, 0,
					 gln_load_relaxed(&rig.own.root[8])));
		rig_close();
	}
}

Test(walk, ends_where_it_is_told_to)
{
	each_kind(kind)
	{
		size_t nr;

		quiet();
		rig_populate(true, READ);
		walk(false, all_of_slot());
		nr = spy.nr;
		for (unsigned int i = 1; i <= nr && i < 40; i++) {
			spy.says_at = i;
			spy.says = RADIX_DONE;
			cr_assert_eq(walk(false, all_of_slot()), RADIX_DONE);
			cr_assert_eq(spy.nr, i);
			spy.says = -EFAULT;
			cr_assert_eq(walk(true, all_of_slot()), -EFAULT);
			cr_assert_eq(spy.nr, i);
		}
	}
}

Test(walk, a_lost_race_ends_that_of_a_fault_and_no_other)
{
	each_kind(kind)
	{
		size_t nr;

		quiet();
		rig_populate(true, READ);
		walk(false, all_of_slot());
		nr = spy.nr;
		for (unsigned int i = 1; i <= nr && i < 40; i++) {
			spy.says_at = i;
			spy.says = RADIX_RACE;
			cr_assert_eq(walk(false, all_of_slot()), 0);
			cr_assert_eq(spy.nr, nr, "%s: call %u of %zu",
				     rig_names[kind], i, spy.nr);
			cr_assert_eq(walk(true, all_of_slot()), RADIX_RACE);
			cr_assert_eq(spy.nr, i);
		}
	}
}

static gln_word *replaced;
static uint64_t with;

static int replace_it(struct radix_walk *walking,
		      const struct radix_visit *visit)
{
	(void)walking;
	if (visit->entry == replaced)
		gln_store_relaxed(replaced, with);
	return note('r', visit->level, visit->range);
}

static const struct radix_visitor replaces = {
	.pages = see_pages,
	.leaf = replace_it,
	.table_pre = replace_it,
};

Test(walk, reads_an_entry_again_after_a_visitor_had_it)
{
	quiet();
	each_kind(kind)
	{
		struct radix_walk walking = {
			.radix = rig.radix,
			.visitor = &replaces,
			.range = {in_block(), 1},
		};
		const unsigned int level = block_level();
		uint64_t table;

		rig_populate(true, READ);
		replaced = rig_entry(in_block(), level);
		table = gln_load_relaxed(replaced);

		/* A table that is gone is not entered. */
		with = rig.radix->format.locked;
		spy.nr = 0;
		cr_assert_eq(glni_radix_walk_batches(&walking), 0);
		cr_assert_eq(spy.nr, level + 1);

		/* One that has come is. */
		with = table;
		spy.nr = 0;
		cr_assert_eq(glni_radix_walk_batches(&walking), 0);
		cr_assert_gt(spy.nr, level + 1);
		cr_assert_eq(spy.seen[spy.nr - 1].what, 'p');
	}
}

Test(walk, in_batches_sees_what_one_walk_sees)
{
	/* Three sections, and a bit of a fourth: holes cost no time. */
	const struct gln_range range = {(UINT64_C(1) << 18) - 3,
					(UINT64_C(3) << 18) + 1};
	gln_gfn next;

	quiet();
	rig_open(RIG_EPT);
	rig_slot((UINT64_C(1) << 18) - 3, 6);
	rig_populate(true, WRITE);
	spy.nr = 0;
	spy.walk = (struct radix_walk){
		.radix = rig.radix,
		.visitor = &spies[0],
		.range = range,
	};
	cr_assert_eq(glni_radix_walk_batches(&spy.walk), 0);
	cr_assert_eq(spy.walk.range.first, range.first);
	cr_assert_eq(spy.walk.range.count, range.count);
	next = range.first;
	for (size_t i = 0; i < spy.nr; i++) {
		if (spy.seen[i].what == '<' || spy.seen[i].what == '>')
			continue;
		require(spy.seen[i].range.first <= next, "order");
		next = spy.seen[i].range.first + spy.seen[i].range.count;
	}
	cr_assert_geq(next, range.first + range.count);

	spy.says_at = 3;
	spy.says = RADIX_DONE;
	spy.nr = 0;
	cr_assert_eq(glni_radix_walk_batches(&spy.walk), RADIX_DONE);
	cr_assert_eq(spy.nr, 3);
	cr_assert_eq(spy.walk.range.count, range.count);
	rig_close();
}
