/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view.c - a read-side section that its caller marks in, inline where he can.
 *
 * Who replaces a bitmap, a log or a slot waits for the section to end, so what
 * is remembered stays good until then: a mark in a bitmap that a flip has
 * retired meanwhile is one of those that the flip waits for.
 */
#include <glean/dirty.h>
#include <glean/view.h>

#include "core/vm/vm.h"

_Static_assert(GLN_VIEW_UPPER == MAX_UPPER, "room for all levels");
_Static_assert(GLN_WORD_BITS == 64 && LINE_PAGES == 512,
	       "view.h has these as numbers");

static const uint64_t *inline_level(const gln_word *level)
{
	return (const uint64_t *)(const void *)level;
}

/*
 * Does a look at @marks tell whether a page needs a mark? With a fence a mark
 * it comes too early, and a vCPU that has a ring pushes, whatever is marked.
 */
static bool can_look(const struct gln_view *view, const struct bitmap *marks)
{
	if (!marks || !fence_is_heavy(marks->fence))
		return false;
	return view->vcpu ? !view->vcpu->ring.entries
			  : !vm_has_rings_only(view->vm);
}

static void remember(struct gln_view *view, const struct slot *slot,
		     struct bitmap *marks)
{
	view->first = slot->face.base;
	view->nr_pages = slot->face.nr_pages;
	view->nr_quick = bitmap_is_quick(marks) ? view->nr_pages : 0;
	view->marks = marks;
	view->words = inline_level(marks->words);
	view->summary = inline_level(marks->summary);
	view->nr_upper = marks->nr_upper;
	for (unsigned int i = 0; i < marks->nr_upper; i++)
		view->upper[i] = inline_level(marks->upper[i]);
}

/*
 * Remember the slot that holds @gfn. False if there is none, or if a look alone
 * cannot do there: then the one before stays.
 */
static bool find_slot(struct gln_view *view, gln_gfn gfn)
{
	const struct slot *const slot = slot_find(&view->vm->slots, gfn);
	struct bitmap *const marks = slot ? slot_marks(slot) : NULL;

	if (!can_look(view, marks))
		return false;
	remember(view, slot, marks);
	return true;
}

static bool has_range(const struct gln_view *view, struct gln_range range)
{
	const uint64_t page = range.first - view->first;

	return page < view->nr_pages && range.count <= view->nr_pages - page;
}

static void open_view(struct gln_view *view, struct gln_vm *vm,
		      struct gln_vcpu *vcpu)
{
	view->first = 0;
	view->nr_pages = 0;
	view->nr_quick = 0;
	view->vm = vm;
	view->vcpu = vcpu;
	glni_read_lock();
}

void gln_view_open(struct gln_vm *vm, struct gln_view *view)
{
	open_view(view, vm, NULL);
}

void gln_vcpu_view_open(struct gln_vcpu *vcpu, struct gln_view *view)
{
	open_view(view, vcpu->vm, vcpu);
}

void gln_view_close(struct gln_view *view)
{
	view->nr_pages = 0;
	view->nr_quick = 0;
	glni_read_unlock();
}

static int mark_here(const struct gln_view *view, gln_gfn gfn)
{
	const bool is_new = bitmap_mark(view->marks, gfn - view->first);

	if (view->vcpu) {
		vcpu_count(view->vcpu, VCPU_MARKS);
		if (is_new)
			vcpu_count(view->vcpu, VCPU_NEW_MARKS);
	}
	return is_new;
}

int gln_view_mark_far(struct gln_view *view, gln_gfn gfn)
{
	if (gfn - view->first < view->nr_pages || find_slot(view, gfn))
		return mark_here(view, gfn);
	return view->vcpu ? gln_vcpu_mark(view->vcpu, gfn)
			  : gln_dirty_mark(view->vm, gfn);
}

uint64_t gln_view_mark_range(struct gln_view *view, struct gln_range range)
{
	if (!has_range(view, range) &&
	    !(find_slot(view, range.first) && has_range(view, range)))
		return gln_dirty_mark_range(view->vm, range);
	return glni_bitmap_mark_range(view->marks, range.first - view->first,
				      range.count);
}
