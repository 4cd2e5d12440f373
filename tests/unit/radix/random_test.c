/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * random_test.c - anything in any order, against what is known of each page.
 *
 * After every step: the rules of the tree; every page leads to what backs it or
 * nowhere; and in a logged slot (G1)
 *
 *	a page that may be written with nobody to notice is marked
 *	a page that was written since it was last taken is marked, or its entry
 *	says so
 */
#include "tests/unit/radix/fixture.h"

enum {
	READ = GLN_ACCESS_READ,
	WRITE = GLN_ACCESS_WRITE,
	NR_STEPS = 500,
	NR_SEEDS = 12,
};

/* What the guest did. */
static struct {
	uint64_t seed;
	unsigned int step;
	const char *last;
	struct test_random random;
	bool is_written[RIG_PAGES]; /* since it was last taken */
} known;

#define hold(condition, i, what)                                               \
	require(condition,                                                     \
		"%s, seed %" PRIu64 ", step %u (%s): page %" PRIu64 ": " what, \
		rig_names[rig.kind], known.seed, known.step, known.last,       \
		(uint64_t)(i))

static uint64_t below(uint64_t end)
{
	return test_random_below(&known.random, end);
}

static struct gln_range any_range(void)
{
	const uint64_t first = below(rig.slot.nr_pages);
	const uint64_t most = below(4) ? 20 : rig.slot.nr_pages;

	return (struct gln_range){
		rig.slot.base + first,
		1 + below(gln_min(most, rig.slot.nr_pages - first)),
	};
}

static void look_at_all(void)
{
	const char *why = NULL;

	hold(!glni_radix_check(rig.radix, &why), 0, "a rule is broken");
	hold(!rig.nr_marks_outside, 0, "marked outside");
	for (uint64_t i = 0; i < rig.slot.nr_pages; i++) {
		const gln_gfn gfn = rig.slot.base + i;
		const uint64_t hpa = rig_hpa(gfn);

		hold(hpa == UINT64_MAX || hpa == rig.host[i].hpa, i,
		     "leads elsewhere");
		hold(rig.host[i].is_writable || !rig_allows(gfn, WRITE), i,
		     "writable against the host's will");
		if (!rig.is_logged)
			continue;
		hold(!rig_is_silent(gfn) || rig.marked[i], i,
		     "can be written in silence");
		hold(!known.is_written[i] || rig.marked[i] ||
			     (rig_level(gfn) == radix_last(rig.radix) &&
			      radix_was_written(rig.radix, rig_see(gfn))),
		     i, "is lost");
	}
}

static void do_access(void)
{
	const uint64_t i = below(rig.slot.nr_pages);
	const uint32_t access = below(3) ? WRITE : READ;

	known.last = "access";
	if ((access & WRITE) && !rig.host[i].is_writable)
		return;
	rig_access(rig.slot.base + i, access);
	if (access & WRITE)
		known.is_written[i] = rig.is_logged;
}

static void do_fault(void)
{
	const uint64_t i = below(rig.slot.nr_pages);
	const uint32_t access = (uint32_t)(1 + below(7));
	int said;

	known.last = "fault";
	said = rig_fault(rig.slot.base + i, access);
	hold(said == -EFAULT
		     ? (access & WRITE) && !rig.host[i].is_writable
		     : said >= GLN_FAULT_MAPPED && said < GLN_FAULT_RETRY,
	     i, "a fault says something else");
}

static void do_start(void)
{
	const bool all_marked = below(2);

	known.last = all_marked ? "start, all marked" : "start";
	if (rig.is_logged)
		return;
	rig.radix->splits_eagerly = below(2);
	memset(known.is_written, 0, sizeof(known.is_written));
	memset(rig.marked, all_marked, sizeof(rig.marked));
	rig.memory.fail_at = below(3) ? 0 : 1 + below(20);
	rig.is_logged = true;
	hold(!glni_radix_op_log_start(&rig.radix->backend, &rig.slot,
				      all_marked ? GLN_LOG_START_ALL_MARKED
						 : 0),
	     0, "a log does not start");
	rig.memory.fail_at = 0;
}

static void do_stop(void)
{
	known.last = "stop";
	rig.is_logged = false;
	glni_radix_op_log_stop(&rig.radix->backend, &rig.slot);
	memset(known.is_written, 0, sizeof(known.is_written));
}

/* Take some of the marks, protect exactly these; flushing is nothing here. */
static void do_harvest(void)
{
	const unsigned int share = (unsigned int)below(257);

	known.last = "harvest";
	if (!rig.is_logged)
		return;
	glni_radix_collect(rig.radix, &rig.slot, all_of_slot());
	for (uint64_t i = 0; i < rig.slot.nr_pages;) {
		const uint64_t first = i;

		while (i < rig.slot.nr_pages && rig.marked[i] &&
		       test_random_chance(&known.random, share)) {
			rig.marked[i] = false;
			known.is_written[i++] = false;
		}
		if (first < i)
			glni_radix_protect(
				rig.radix,
				&(struct gln_range){rig.slot.base + first,
						    i - first},
				1);
		else
			i++;
	}
}

static void do_split(void)
{
	known.last = "split";
	rig.memory.fail_at = below(3) ? 0 : 1 + below(20);
	glni_radix_split(rig.radix, any_range(), RADIX_SPLIT_KEEP);
	rig.memory.fail_at = 0;
}

static void do_age(void)
{
	const struct gln_range range = any_range();

	known.last = "age";
	hold(glni_radix_age(rig.radix, range) <= range.count, 0,
	     "more young pages than pages");
	hold(!glni_radix_age(rig.radix, range), 0, "young twice");
}

static void do_unmap(void)
{
	known.last = "unmap";
	glni_radix_unmap(rig.radix, &rig.slot, any_range());
}

/* No block may map any page beside one of @range. */
static void break_up(struct gln_range range)
{
	for (uint64_t i = 0; i < rig.slot.nr_pages; i++) {
		const gln_gfn first =
			(rig.slot.base + i) & ~(block_pages() - 1);

		if (first < range.first + range.count &&
		    first + block_pages() > range.first)
			rig.host[i].order = 0;
	}
}

/* The host moves or locks memory, and says so. */
static void do_move(void)
{
	const struct gln_range range = any_range();
	const uint64_t what = below(3);

	known.last = "move";
	break_up(range);
	for (uint64_t n = 0; n < range.count; n++) {
		struct gln_host_page *const page =
			&rig.host[range.first - rig.slot.base + n];

		if (what == 0) {
			page->hpa ^= UINT64_C(1) << 41;
		} else if (what == 1) {
			page->is_writable = !page->is_writable;
		}
	}
	glni_radix_unmap(rig.radix, &rig.slot, range);
}

/* All is as it was at first, so that there are blocks again. */
static void do_heal(void)
{
	known.last = "heal";
	glni_radix_unmap(rig.radix, &rig.slot, all_of_slot());
	for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
		rig.host[i] = (struct gln_host_page){
			.hpa = RIG_HPA +
			       ((rig.slot.base + i) << rig.slot.page_shift),
			.order = 63,
			.is_writable = true,
		};
}

static void do_remove(void)
{
	known.last = "remove";
	if (rig.is_logged)
		do_stop();
	glni_radix_op_detach(&rig.radix->backend, &rig.slot);
	hold(rig_hpa(rig.slot.base) == UINT64_MAX, 0, "stays");
	glni_radix_note_mmio(rig.radix, rig.slot.base + 1);
	hold(!glni_radix_op_attach(&rig.radix->backend, &rig.slot), 0,
	     "no slot");
}

static void step(void)
{
	static const struct {
		void (*does)(void);
		unsigned int times;
	} steps[] = {
		{do_access, 40},  {do_fault, 20}, {do_start, 6},  {do_stop, 1},
		{do_harvest, 12}, {do_split, 4},  {do_age, 3},	  {do_unmap, 3},
		{do_move, 3},	  {do_heal, 1},	  {do_remove, 1},
	};
	uint64_t lot = below(94);

	for (unsigned int i = 0;; lot -= steps[i++].times) {
		if (lot < steps[i].times) {
			steps[i].does();
			return;
		}
	}
}

Test(random, anything_in_any_order_loses_no_write)
{
	for (enum rig_kind kind = 0; kind < RIG_KINDS; kind++) {
		/* Tables of 512 entries take their time. */
		const unsigned int nr_steps =
			kind < RIG_OWN_KINDS ? NR_STEPS : NR_STEPS / 4;

		for (uint64_t seed = 1; seed <= NR_SEEDS; seed++) {
			memset(&known, 0, sizeof(known));
			known.seed = seed;
			known.random.state = seed * RIG_KINDS + kind;
			rig_open(kind);
			for (known.step = 0; known.step < nr_steps;
			     known.step++) {
				step();
				look_at_all();
			}
			rig_close();
		}
	}
}
