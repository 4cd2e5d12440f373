/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clients.cpp - what orders memory, in a checker of C11's memory model.
 *
 *	clients NAME		run the client; nothing may go wrong
 *	clients NAME --broken	the same, once for each thing that it rests on,
 *				without it; each time something must go wrong
 *
 * bitmap.h, bitmap.c, take.c, kernel_lines.h, gate.h, hpte.h, page.h and
 * fence.c are the library's own text. What is here is what a vCPU, a harvest, a
 * changer of a table and hardware do with them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/bitmap/kernel_lines.h"
#include "core/hpt/hpte.h"
#include "core/hpt/page.h"
#include "core/sync/gate.h"
#include "tests/model/relacy/model.h"
#include "tests/model/relacy/rings.h"

namespace
{

/* A third of a second. */
enum { NR_RANDOM = 20000 };

/*
 * The bitmap. Each marker has a page and what it wrote there; pages lie in one
 * word, in two words of a line, or in lines that meet a level up.
 */

enum {
	MAX_MARKERS = 2,
	NR_SMALL = 100, /* pages: two words of one line */
	/* One word more than the summary of a line has: a level above it. */
	NR_LARGE = LINE_WORDS * SUMMARY_WORD_PAGES + 1,
	NR_WORDS = NR_LARGE / GLN_WORD_BITS + LINE_WORDS,
	NR_SUMMARY_WORDS = 3 * LINE_WORDS,
	OTHER_WORD_PAGE = 70,
	FAR_PAGE = SUMMARY_WORD_PAGES, /* in the second word of the summary */
	FAR_WORD = FAR_PAGE / GLN_WORD_BITS,
};

struct marker {
	uint64_t page;
	gln_word content;
	gln_word has_returned;
	uint64_t copy; /* the taker's */
};

struct {
	struct bitmap bitmap;
	struct marker markers[MAX_MARKERS];
	gln_word summary[NR_SUMMARY_WORDS];
	struct snapshot snapshot;
	uint64_t taken[NR_SUMMARY_WORDS];
} live;

/* So many that only those in use are made. */
gln_word live_words[NR_WORDS];
uint64_t snapshot_words[NR_WORDS];

uint64_t take_lines_scalar(struct bitmap *bm, struct snapshot *snap,
			   uint64_t group, struct line_take *take)
{
	return take_lines(bm, snap, group, take, look_at_words, gln_popcount64);
}

const struct scan_kernel scalar = {
	.name = "scalar",
	.is_usable = nullptr,
	.take_lines = take_lines_scalar,
	.count = nullptr,
	.drain = nullptr,
	.ones = nullptr,
};

void make(gln_word *words, unsigned int nr)
{
	memset(static_cast<void *>(words), 0, nr * sizeof(*words));
	for (unsigned int i = 0; i < nr; i++)
		gln_store_relaxed(&words[i], 0);
}

/* A bitmap of @nr_pages, page 1 marked, and two markers who have not begun. */
void begin_bitmap(enum fence_form form, uint64_t nr_pages, uint64_t page_0,
		  uint64_t page_1)
{
	memset(static_cast<void *>(&live), 0, sizeof(live));
	live.bitmap.nr_pages = nr_pages;
	live.bitmap.words = live_words;
	live.bitmap.summary = live.summary;
	live.bitmap.fence = form;
	live.bitmap.kernel = &scalar;
	bitmap_find_levels(&live.bitmap);
	live.snapshot.nr_pages = nr_pages;
	live.snapshot.words = snapshot_words;
	live.snapshot.taken = live.taken;
	live.markers[0].page = page_0;
	live.markers[1].page = page_1;
	for (struct marker &marker : live.markers) {
		make(&marker.content, 1);
		make(&marker.has_returned, 1);
	}

	make(live_words, LINE_WORDS);
	make(live.summary, LINE_WORDS);
	if (live.bitmap.nr_upper) {
		make(live.bitmap.upper[0], 1);
		make(&live_words[FAR_WORD], LINE_WORDS);
	}
	bitmap_mark(&live.bitmap, 1);
}

/*
 * As a vCPU does: writes, and marks in a read-side section (dirty/mark.h).
 * Where no take waits for sections there are none: fewer accesses to
 * interleave.
 */
void write_and_mark(struct marker *marker)
{
	/* Relaxed: guest memory, which mark and take are to order. */
	gln_store_relaxed(&marker->content, 1);
	if (bitmap_is_quick(&live.bitmap))
		gln_plat_read_lock();
	bitmap_mark(&live.bitmap, marker->page);
	if (bitmap_is_quick(&live.bitmap))
		gln_plat_read_unlock();
}

void mark_range_once(void)
{
	gln_store_relaxed(&live.markers[0].content, 1);
	gln_plat_read_lock();
	glni_bitmap_mark_range(&live.bitmap, 0, OTHER_WORD_PAGE + 1);
	gln_plat_read_unlock();
	gln_store_release(&live.markers[0].has_returned, 1);
}

void mark(struct marker *marker)
{
	write_and_mark(marker);
	gln_store_release(&marker->has_returned, 1);
}

void mark_once(void)
{
	write_and_mark(&live.markers[0]);
}

void mark_0(void)
{
	mark(&live.markers[0]);
}

void mark_1(void)
{
	mark(&live.markers[1]);
}

bool is_taken(uint64_t page)
{
	return snapshot_word(&live.snapshot, page / GLN_WORD_BITS) >>
		       page % GLN_WORD_BITS &
	       1;
}

void copy_taken(void)
{
	for (struct marker &marker : live.markers)
		if (is_taken(marker.page))
			marker.copy = gln_load_relaxed(&marker.content);
}

/* As a harvest does: take, fence, copy (dirty/harvest.c). */
void take(uint64_t max_pages)
{
	const struct take_limits limits = {
		.first = 0,
		.end = live.bitmap.nr_pages,
		.max_pages = max_pages,
		.deadline_ns = 0,
	};

	model_step = "take.2";
	glni_bitmap_take(&live.bitmap, &live.snapshot, &limits);
	model_step = "take.4";
	glni_fence_heavy(live.bitmap.fence);
	model_step = nullptr;
	copy_taken();
	glni_snapshot_reset(&live.snapshot);
}

void take_once(void)
{
	take(UINT64_MAX);
}

/* As gln_clear_dirty_log() does with the first word. */
void clear_once(void)
{
	model_step = "clear.1";
	glni_bitmap_take_bits(&live.bitmap, &live.snapshot, 0, UINT64_MAX);
	glni_fence_heavy(live.bitmap.fence);
	model_step = nullptr;
	copy_taken();
	glni_snapshot_reset(&live.snapshot);
}

/* A mark that has returned before the last take begins is found (B1). */
void take_and_take(uint64_t max_pages)
{
	bool has_returned[MAX_MARKERS];

	take(max_pages);
	for (unsigned int i = 0; i < MAX_MARKERS; i++)
		has_returned[i] =
			gln_load_acquire(&live.markers[i].has_returned) != 0;
	take(UINT64_MAX);
	for (unsigned int i = 0; i < MAX_MARKERS; i++)
		model_check(!has_returned[i] || live.markers[i].copy,
			    "a mark that returned is found by the next take");
}

void take_twice(void)
{
	take_and_take(UINT64_MAX);
}

void take_one_page_and_all(void)
{
	take_and_take(1);
}

/* Nothing is lost: one more take, and all that was written is copied (G1). */
void check_bitmap(void)
{
	take(UINT64_MAX);
	for (struct marker &marker : live.markers)
		model_check(marker.copy == gln_load_relaxed(&marker.content),
			    "what was written is in a copy");
}

template <enum fence_form form> void begin_marked(void)
{
	begin_bitmap(form, NR_SMALL, 1, 0);
}

template <enum fence_form form> void begin_same(void)
{
	begin_bitmap(form, NR_SMALL, 0, 0);
}

template <enum fence_form form> void begin_other_word(void)
{
	begin_bitmap(form, NR_SMALL, 0, OTHER_WORD_PAGE);
}

template <enum fence_form form> void begin_levels(void)
{
	begin_bitmap(form, NR_LARGE, FAR_PAGE, FAR_PAGE);
}

/* The gate: one of the two knows of the other. */

struct {
	struct gate gate;
	struct model_plain table;
	bool was_let_in;
	bool was_alone;
} door;

void begin_gate(void)
{
	memset(static_cast<void *>(&door), 0, sizeof(door));
	gln_store_relaxed(&door.gate.nr_running, 0);
	gate_open(&door.gate);
	model_write(&door.table, 0);
}

void vcpu_enters(void)
{
	door.was_let_in = gate_enter(&door.gate);
}

void changer_closes(void)
{
	door.was_alone = !gate_close(&door.gate);
}

void check_gate(void)
{
	model_check(!door.was_let_in || !door.was_alone,
		    "a vCPU is not in while a changer has found nobody");
}

/* Plain accesses: the checker finds it if they meet. */
void vcpu_uses_table(void)
{
	if (gate_enter(&door.gate))
		model_read(&door.table);
	gate_leave(&door.gate);
}

void changer_changes_table(void)
{
	if (!gate_close(&door.gate))
		model_write(&door.table, 1);
	gate_open(&door.gate);
}

void nothing_to_check(void)
{
}

/* An entry of a hashed page table. */

const uint64_t old_r = UINT64_C(0x1000);
const uint64_t new_r = UINT64_C(0x2000);

struct {
	struct hpte entry;
	struct model_plain chain; /* what the lock of the entry is for */
} pte;

void begin_entry(void)
{
	memset(static_cast<void *>(&pte), 0, sizeof(pte));
	make(&pte.entry.v, 1);
	make(&pte.entry.r, 1);
	hpte_publish(&pte.entry, (struct gln_hpte){0, old_r});
	model_write(&pte.chain, 0);
}

void publishes(void)
{
	hpte_lock(&pte.entry);
	model_write(&pte.chain, model_read(&pte.chain) + 1);
	hpte_publish(&pte.entry, (struct gln_hpte){GLN_HPTE_V_VALID, new_r});
}

/* As hardware does: V, then R, and no lock. */
void walks(void)
{
	if (hpte_be(gln_load_acquire(&pte.entry.v)) & GLN_HPTE_V_VALID)
		model_check(hpte_r(&pte.entry) == new_r,
			    "R belongs to the V that was seen");
}

void locks(void)
{
	const uint64_t v = hpte_lock(&pte.entry);

	model_check(!(v & GLN_HPTE_V_VALID) || hpte_r(&pte.entry) == new_r,
		    "who has the lock sees what the last holder left");
	model_write(&pte.chain, model_read(&pte.chain) + 1);
	hpte_unlock(&pte.entry, v);
}

void check_counted(void)
{
	model_check(model_read(&pte.chain) == 2, "two have had the lock");
}

/* The head of a page's chain: links are plain to who has it. */

struct {
	gln_word page;
	struct model_plain links;
} head;

void begin_head(void)
{
	memset(static_cast<void *>(&head), 0, sizeof(head));
	make(&head.page, 1);
	model_write(&head.links, 0);
}

void locks_head(void)
{
	const uint64_t was = page_lock(&head.page);

	model_write(&head.links, model_read(&head.links) + 1);
	page_unlock(&head.page, was + 1);
}

void check_head(void)
{
	model_check(model_read(&head.links) == 3 &&
			    gln_load_relaxed(&head.page) == 3,
		    "three have had the head");
}

enum { MAX_BREAKS = 7 };

/**
 * struct named - a client, how far it is searched, and what it cannot do
 * without: names of weaknesses.
 */
const struct named {
	const char *name;
	struct model_client client;
	struct model_effort effort;
	const char *breaks[MAX_BREAKS];
} clients[] = {
#define ENTRY(form)                                  \
	{                                            \
		2, begin_marked<form>, check_bitmap, \
		{                                    \
			mark_once, take_once         \
		}                                    \
	}
#define MARKS(begin_at, form, taking)            \
	{                                        \
		3, begin_at<form>, check_bitmap, \
		{                                \
			mark_0, mark_1, taking   \
		}                                \
	}
	{"entry/both",
	 ENTRY(FENCE_BOTH),
	 {MODEL_ALL, NR_RANDOM},
	 {"mark.1", "fence.1"}},
	{"entry/one", ENTRY(FENCE_ONE), {MODEL_ALL, NR_RANDOM}, {"take.4"}},
	{"entry/quick", ENTRY(FENCE_GRACE), {6, NR_RANDOM}, {"take.4"}},
	{"clear/both",
	 {2, begin_marked<FENCE_BOTH>, check_bitmap, {mark_once, clear_once}},
	 {MODEL_ALL, NR_RANDOM},
	 {"mark.1", "fence.1"}},
	{"clear/one",
	 {2, begin_marked<FENCE_ONE>, check_bitmap, {mark_once, clear_once}},
	 {MODEL_ALL, NR_RANDOM},
	 {"clear.1"}},
	{"range/both",
	 {3,
	  begin_other_word<FENCE_BOTH>,
	  check_bitmap,
	  {mark_range_once, mark_1, take_twice}},
	 {2, NR_RANDOM},
	 {"mark.1", "mark.3", "take.3", "fence.1", "summary_first"}},
	{"range/one",
	 {3,
	  begin_other_word<FENCE_ONE>,
	  check_bitmap,
	  {mark_range_once, mark_1, take_twice}},
	 {2, NR_RANDOM},
	 {"take.2", "take.4"}},
	{"range/quick",
	 {3,
	  begin_other_word<FENCE_GRACE>,
	  check_bitmap,
	  {mark_range_once, mark_1, take_twice}},
	 {2, NR_RANDOM},
	 {"take.2", "take.4", "no_grace"}},
	{"same_page/both",
	 MARKS(begin_same, FENCE_BOTH, take_twice),
	 {2, NR_RANDOM},
	 {"mark.1", "mark.2", "mark.6", "take.3", "fence.1", "summary_first"}},
	{"same_page/one",
	 MARKS(begin_same, FENCE_ONE, take_twice),
	 {3, NR_RANDOM},
	 {"take.2", "take.4", "summary_first"}},
	{"same_page/quick",
	 MARKS(begin_same, FENCE_GRACE, take_twice),
	 {3, NR_RANDOM},
	 {"take.2", "take.4", "mark.2", "mark.6", "no_grace", "summary_last"}},
	{"other_word/both",
	 MARKS(begin_other_word, FENCE_BOTH, take_twice),
	 {2, NR_RANDOM},
	 {"mark.6", "take.3", "summary_first"}},
	{"other_word/one",
	 MARKS(begin_other_word, FENCE_ONE, take_twice),
	 {2, NR_RANDOM},
	 {"take.2", "summary_first"}},
	{"other_word/quick",
	 MARKS(begin_other_word, FENCE_GRACE, take_twice),
	 {2, NR_RANDOM},
	 {"take.2"}},
	{"budget/both",
	 MARKS(begin_other_word, FENCE_BOTH, take_one_page_and_all),
	 {2, NR_RANDOM},
	 {"mark.6", "take.3", "summary_first"}},
	{"budget/one",
	 MARKS(begin_other_word, FENCE_ONE, take_one_page_and_all),
	 {2, NR_RANDOM},
	 {"take.2", "summary_first"}},
	{"budget/quick",
	 MARKS(begin_other_word, FENCE_GRACE, take_one_page_and_all),
	 {2, NR_RANDOM},
	 {"take.2"}},
	{"levels/both",
	 MARKS(begin_levels, FENCE_BOTH, take_twice),
	 {2, NR_RANDOM},
	 {"mark.1", "mark.4", "mark.7", "take.1", "fence.1"}},
	{"levels/one",
	 MARKS(begin_levels, FENCE_ONE, take_twice),
	 {2, NR_RANDOM},
	 {"take.4", "mark.4", "mark.7", "take.1", "summary_first"}},
	{"levels/quick",
	 MARKS(begin_levels, FENCE_GRACE, take_twice),
	 {2, NR_RANDOM},
	 {"take.4", "mark.2", "mark.6", "no_grace", "summary_last"}},
#undef ENTRY
#undef MARKS
	{"gate/closes",
	 {2, begin_gate, check_gate, {vcpu_enters, changer_closes}},
	 {MODEL_ALL, NR_RANDOM},
	 {"gate.1", "gate.2"}},
	{"gate/changes",
	 {3,
	  begin_gate,
	  nothing_to_check,
	  {vcpu_uses_table, changer_changes_table, vcpu_uses_table}},
	 {4, NR_RANDOM},
	 {"gate.1", "gate.2", "gate.3", "gate.4", "gate.5", "gate.6"}},
	{"ring",
	 {3,
	  begin_ring,
	  check_ring,
	  {vcpu_pushes, consumer_fetches, resetter_resets}},
	 {2, NR_RANDOM},
	 {"ring.1", "ring.2", "ring.3", "ring.4", "ring.6", "ring.7"}},
	{"hpte/walk",
	 {2, begin_entry, nothing_to_check, {publishes, walks}},
	 {MODEL_ALL, NR_RANDOM},
	 {"hpte.2", "model.2"}},
	{"hpte/lock",
	 {2, begin_entry, check_counted, {publishes, locks}},
	 {MODEL_ALL, NR_RANDOM},
	 {"hpte.1", "hpte.2"}},
	{"page/lock",
	 {3, begin_head, check_head, {locks_head, locks_head, locks_head}},
	 {3, NR_RANDOM},
	 {"page.1", "page.2"}},
};

/* Named after the sync tag whose order is taken out, where there is one. */
const struct {
	const char *name;
	struct model_weakness weakness;
} weaknesses[] = {
	{"mark.1", {"glni_fence_light", MODEL_FENCE, nullptr, GLNI_BREAK_NONE}},
	{"mark.2", {"bitmap_look", MODEL_LOAD, nullptr, GLNI_BREAK_NONE}},
	{"mark.3", {"bitmap_set_bits", MODEL_CHANGE, nullptr, GLNI_BREAK_NONE}},
	{"mark.4",
	 {"bitmap_set_summary", MODEL_CHANGE, nullptr, GLNI_BREAK_NONE}},
	{"mark.6", {"bitmap_set_bit", MODEL_CHANGE, nullptr, GLNI_BREAK_NONE}},
	{"mark.7",
	 {"bitmap_set_summary", MODEL_LOAD, nullptr, GLNI_BREAK_NONE}},
	{"take.1",
	 {"take_summary_word", MODEL_CHANGE, nullptr, GLNI_BREAK_NONE}},
	{"take.3", {"take_word", MODEL_CHANGE, nullptr, GLNI_BREAK_NONE}},
	{"fence.1",
	 {"glni_fence_heavy", MODEL_FENCE, nullptr, GLNI_BREAK_NONE}},
	{"take.2", {nullptr, MODEL_FENCE, "take.2", GLNI_BREAK_NONE}},
	{"take.4", {nullptr, MODEL_FENCE, "take.4", GLNI_BREAK_NONE}},
	{"clear.1", {nullptr, MODEL_FENCE, "clear.1", GLNI_BREAK_NONE}},
	{"no_grace", {nullptr, MODEL_FENCE, nullptr, GLNI_BREAK_NO_GRACE}},
	{"summary_first",
	 {nullptr, MODEL_FENCE, nullptr, GLNI_BREAK_SUMMARY_FIRST}},
	{"summary_last",
	 {nullptr, MODEL_FENCE, nullptr, GLNI_BREAK_SUMMARY_LAST}},
	{"gate.1", {"gate_enter", MODEL_FENCE, nullptr, GLNI_BREAK_NONE}},
	{"gate.2", {"gate_close", MODEL_FENCE, nullptr, GLNI_BREAK_NONE}},
	{"gate.3", {"gate_open", MODEL_STORE, nullptr, GLNI_BREAK_NONE}},
	{"gate.4", {"gate_is_ready", MODEL_LOAD, nullptr, GLNI_BREAK_NONE}},
	{"gate.5", {"gate_leave", MODEL_CHANGE, nullptr, GLNI_BREAK_NONE}},
	{"gate.6", {"gate_nr_running", MODEL_LOAD, nullptr, GLNI_BREAK_NONE}},
	{"hpte.1", {"hpte_try_lock", MODEL_CHANGE, nullptr, GLNI_BREAK_NONE}},
	{"hpte.2", {"hpte_unlock", MODEL_STORE, nullptr, GLNI_BREAK_NONE}},
	{"model.2", {"walks", MODEL_LOAD, nullptr, GLNI_BREAK_NONE}},
	{"ring.1", {"ring_push", MODEL_STORE, nullptr, GLNI_BREAK_NONE}},
	{"ring.2", {"gln_ring_fetch", MODEL_LOAD, nullptr, GLNI_BREAK_NONE}},
	{"ring.3", {"gln_ring_fetch", MODEL_STORE, nullptr, GLNI_BREAK_NONE}},
	{"ring.4", {"is_harvested", MODEL_LOAD, nullptr, GLNI_BREAK_NONE}},
	{"ring.6",
	 {"glni_ring_free_pending", MODEL_STORE, nullptr, GLNI_BREAK_NONE}},
	{"ring.7", {"ring_used", MODEL_LOAD, nullptr, GLNI_BREAK_NONE}},
	{"page.1", {"page_try_lock", MODEL_CHANGE, nullptr, GLNI_BREAK_NONE}},
	{"page.2", {"page_unlock", MODEL_STORE, nullptr, GLNI_BREAK_NONE}},
};

const struct model_weakness *find_weakness(const char *name)
{
	for (const auto &one : weaknesses)
		if (!strcmp(one.name, name))
			return &one.weakness;

	return nullptr;
}

const struct named *find_client(const char *name)
{
	for (const struct named &one : clients)
		if (!strcmp(one.name, name))
			return &one;

	return nullptr;
}

void say(const char *what, const struct model_verdict &verdict)
{
	printf("%-16s %-18s %" PRIu64 " executions\n", what, verdict.what,
	       verdict.nr_executions);
}

bool holds(const struct named &named)
{
	static const struct model_weakness none = {nullptr, MODEL_FENCE,
						   nullptr, GLNI_BREAK_NONE};
	const struct model_verdict verdict =
		model_run(&named.client, &none, &named.effort, true);

	say("as it is", verdict);
	return verdict.outcome == MODEL_HELD;
}

bool fails_without(const struct named &named, const char *name)
{
	const struct model_weakness *const weakness = find_weakness(name);

	if (!weakness) {
		printf("fail: there is no weakness '%s'\n", name);
		return false;
	}

	const struct model_verdict verdict =
		model_run(&named.client, weakness, &named.effort, false);

	say(name, verdict);
	if (verdict.outcome != MODEL_LOST)
		printf("fail: nothing is lost without %s\n", name);
	return verdict.outcome == MODEL_LOST;
}

bool fails_without_each(const struct named &named)
{
	bool good = true;

	for (const char *name : named.breaks)
		if (name && !fails_without(named, name))
			good = false;

	return good;
}

} /* namespace */

int main(int argc, char **argv)
{
	const struct named *const named =
		argc > 1 ? find_client(argv[1]) : nullptr;

	if (!named || argc > 3 || (argc == 3 && strcmp(argv[2], "--broken"))) {
		fputs("usage: clients NAME [--broken]; names are:\n", stderr);
		for (const struct named &one : clients)
			fprintf(stderr, "  %s\n", one.name);
		return 2;
	}
	if (argc == 3)
		return !fails_without_each(*named);
	return !holds(*named);
}
