/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: to mark a page that is dirty already writes nothing, so it costs
 * little more than to look, and no more where another vCPU marks the same word.
 *
 *	glean		gln_vcpu_mark(): finds slot and bitmap, counts
 *	view		gln_view_mark(), in a view that is open for all of them
 *	quick-view	the same in a VM with GLN_VM_QUICK_MARKS
 *	dirty-mark	gln_dirty_mark(): the same, on a thread that is no vCPU
 *	load-test	load the word, test the bit, set it if it is not: of one
 *			bitmap, in the loop itself. It neither finds a slot nor
 *			can the bitmap be taken away from under it
 *	load-call	the same behind a call: what any library costs
 *	fetch-or	sets the bit in any case
 *
 *	dirty	64 pages of one word, marked before; of both threads
 *	clean	65536 pages, each marked once by each thread; both run into
 *		each other
 *
 * Times are of one mark as its thread sees it: both threads make as many.
 */
#include "bench/suite/mark.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <glean/glean.h>

#include "bench/suite/marks.h"
#include "bench/suite/pair.h"

#define THREADS_MAX 2

/* Of a thread: so many that starting together is a small part. */
#define MARKS UINT64_C(65536)

static const struct kind {
	const char *name;
	uint64_t nr_pages;
	bool is_dirty;
} kinds[] = {
	{"dirty", 64, true},
	{"clean", MARKS, false},
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct mark_fixture;

/** struct marker - a thread, and what it is in each VM. */
struct marker {
	struct gln_vcpu *vcpu;
	struct gln_vcpu *quick;
};

/* Make MARKS marks; returns how many are new. */
typedef uint64_t (*mark_fn)(struct mark_fixture *f, const struct marker *own);

struct mark_fixture {
	struct suite_fixture head;
	struct marks marks;
	struct marks quick;
	const struct kind *kind;
	mark_fn mark;
	struct pair pair;
	struct marker markers[THREADS_MAX];
};

static struct mark_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct mark_fixture *)(void *)head;
}

/* --- the rivals --- */

static uint64_t mark_vcpu(struct mark_fixture *f, const struct marker *own)
{
	const uint64_t mask = f->kind->nr_pages - 1;
	uint64_t nr = 0;

	for (uint64_t i = 0; i < MARKS; i++)
		nr += gln_vcpu_mark(own->vcpu, i & mask) > 0;
	return nr;
}

static uint64_t mark_in_view(const struct mark_fixture *f,
			     struct gln_vcpu *vcpu)
{
	const uint64_t mask = f->kind->nr_pages - 1;
	struct gln_view view;
	uint64_t nr = 0;

	gln_vcpu_view_open(vcpu, &view);
	for (uint64_t i = 0; i < MARKS; i++)
		nr += gln_view_mark(&view, i & mask) > 0;
	gln_view_close(&view);
	return nr;
}

static uint64_t mark_view(struct mark_fixture *f, const struct marker *own)
{
	return mark_in_view(f, own->vcpu);
}

static uint64_t mark_quick(struct mark_fixture *f, const struct marker *own)
{
	return mark_in_view(f, own->quick);
}

static uint64_t mark_vm(struct mark_fixture *f, const struct marker *own)
{
	const uint64_t mask = f->kind->nr_pages - 1;
	struct gln_vm *const vm = f->marks.vm;
	uint64_t nr = 0;

	(void)own;
	for (uint64_t i = 0; i < MARKS; i++)
		nr += gln_dirty_mark(vm, i & mask) > 0;
	return nr;
}

static inline bool set_bit(_Atomic uint64_t *words, uint64_t page)
{
	const uint64_t bit = UINT64_C(1) << page % 64;

	return !(atomic_fetch_or(&words[page / 64], bit) & bit);
}

static inline bool test_and_set(_Atomic uint64_t *words, uint64_t page)
{
	const uint64_t word =
		atomic_load_explicit(&words[page / 64], memory_order_relaxed);

	return !(word >> page % 64 & 1) && set_bit(words, page);
}

__attribute__((noinline)) static bool call_test_and_set(_Atomic uint64_t *words,
							uint64_t page)
{
	return test_and_set(words, page);
}

static _Atomic uint64_t *words_of(struct mark_fixture *f)
{
	return (_Atomic uint64_t *)f->marks.words;
}

static uint64_t mark_load_test(struct mark_fixture *f, const struct marker *own)
{
	const uint64_t mask = f->kind->nr_pages - 1;
	_Atomic uint64_t *const words = words_of(f);
	uint64_t nr = 0;

	(void)own;
	for (uint64_t i = 0; i < MARKS; i++)
		nr += test_and_set(words, i & mask);
	return nr;
}

static uint64_t mark_load_call(struct mark_fixture *f, const struct marker *own)
{
	const uint64_t mask = f->kind->nr_pages - 1;
	_Atomic uint64_t *const words = words_of(f);
	uint64_t nr = 0;

	(void)own;
	for (uint64_t i = 0; i < MARKS; i++)
		nr += call_test_and_set(words, i & mask);
	return nr;
}

static uint64_t mark_fetch_or(struct mark_fixture *f, const struct marker *own)
{
	const uint64_t mask = f->kind->nr_pages - 1;
	_Atomic uint64_t *const words = words_of(f);
	uint64_t nr = 0;

	(void)own;
	for (uint64_t i = 0; i < MARKS; i++)
		nr += set_bit(words, i & mask);
	return nr;
}

/* --- threads --- */

static int enter(void *ctx, unsigned int index)
{
	struct mark_fixture *const f = ctx;

	int err =
		gln_vcpu_register(f->marks.vm, index, &f->markers[index].vcpu);

	if (err)
		return err;
	err = gln_vcpu_register(f->quick.vm, index, &f->markers[index].quick);
	if (err)
		gln_vcpu_unregister(f->markers[index].vcpu);
	return err;
}

static uint64_t work(void *ctx, unsigned int index)
{
	struct mark_fixture *const f = ctx;

	return f->mark(f, &f->markers[index]);
}

static void leave(void *ctx, unsigned int index)
{
	struct mark_fixture *const f = ctx;

	gln_vcpu_unregister(f->markers[index].quick);
	gln_vcpu_unregister(f->markers[index].vcpu);
}

static const struct pair_ops pair_ops = {
	.enter = enter,
	.work = work,
	.leave = leave,
};

/* --- one iteration --- */

static int prepare(struct suite_fixture *head, mark_fn mark)
{
	struct mark_fixture *const f = fixture_of(head);
	int err = 0;

	f->mark = mark;
	if (f->kind->is_dirty) {
		const struct gln_range all = {0, f->kind->nr_pages};

		marks_set(&f->marks, all);
		marks_set(&f->quick, all);
	} else {
		err = marks_drop(&f->marks);
		if (!err)
			err = marks_drop(&f->quick);
	}
	if (!err)
		pair_meet(&f->pair);
	return err;
}

static int vcpu_prepare(struct suite_fixture *head)
{
	return prepare(head, mark_vcpu);
}

static int view_prepare(struct suite_fixture *head)
{
	return prepare(head, mark_view);
}

static int quick_prepare(struct suite_fixture *head)
{
	return prepare(head, mark_quick);
}

static int vm_prepare(struct suite_fixture *head)
{
	return prepare(head, mark_vm);
}

static int load_test_prepare(struct suite_fixture *head)
{
	return prepare(head, mark_load_test);
}

static int load_call_prepare(struct suite_fixture *head)
{
	return prepare(head, mark_load_call);
}

static int fetch_or_prepare(struct suite_fixture *head)
{
	return prepare(head, mark_fetch_or);
}

static int run(struct suite_fixture *head, uint64_t *answer)
{
	*answer = pair_run(&fixture_of(head)->pair);
	return 0;
}

/* Every page is marked now, and no other. */
static int check_marks(struct suite_fixture *head, struct marks *marks)
{
	struct mark_fixture *const f = fixture_of(head);
	uint64_t nr_new;
	int64_t nr;

	run(head, &nr_new);
	nr = marks_harvested(marks);
	if (nr < 0)
		return (int)nr;
	return nr_new == head->answer && (uint64_t)nr == f->kind->nr_pages
		       ? 0
		       : -EBADMSG;
}

static int glean_check(struct suite_fixture *head)
{
	return check_marks(head, &fixture_of(head)->marks);
}

static int quick_check(struct suite_fixture *head)
{
	return check_marks(head, &fixture_of(head)->quick);
}

static int loop_check(struct suite_fixture *head)
{
	struct mark_fixture *const f = fixture_of(head);
	uint64_t nr_new;

	run(head, &nr_new);
	for (uint64_t i = 0; i < f->kind->nr_pages / 64; i++)
		if (f->marks.words[i] != UINT64_MAX)
			return -EBADMSG;
	return nr_new == head->answer ? 0 : -EBADMSG;
}

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "mark/kind:%s/threads:%zu",
		 kinds[index % NR_KINDS].name, index / NR_KINDS + 1);
}

static void teardown(struct suite_fixture *head)
{
	struct mark_fixture *f = fixture_of(head);

	pair_stop(&f->pair);
	marks_fini(&f->quick);
	marks_fini(&f->marks);
	free(f);
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct mark_fixture *f = calloc(1, sizeof(*f));
	int err;

	(void)seed;
	if (!f)
		return -ENOMEM;
	f->kind = &kinds[index % NR_KINDS];
	f->head.threads = (unsigned int)(index / NR_KINDS) + 1;
	f->head.batch = MARKS;
	f->head.answer = f->kind->is_dirty ? 0 : MARKS;
	f->head.repeatable = f->kind->is_dirty;

	err = marks_init(&f->marks, MARKS, 0);
	if (!err)
		err = marks_init(&f->quick, MARKS, GLN_VM_QUICK_MARKS);
	if (!err)
		err = pair_start(&f->pair, f->head.threads, f->head.repeatable,
				 &pair_ops, f);
	if (err) {
		teardown(&f->head);
		return err;
	}
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", vcpu_prepare, run, glean_check},
	{"view", view_prepare, run, glean_check},
	{"quick-view", quick_prepare, run, quick_check},
	{"dirty-mark", vm_prepare, run, glean_check},
	{"load-test", load_test_prepare, run, loop_check},
	{"load-call", load_call_prepare, run, loop_check},
	{"fetch-or", fetch_or_prepare, run, loop_check},
};

const struct suite mark_suite = {
	.name = "mark",
	.claim = "to mark a dirty page costs little more than to look",
	.counter = "new_marks",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 4,
	.nr_cases = NR_KINDS * THREADS_MAX,
	.nr_quick = NR_KINDS * THREADS_MAX,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
