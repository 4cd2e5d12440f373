/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broken.h - ways to break the protocol on purpose.
 *
 * A test that cannot fail proves nothing: tests/stress switches each of these
 * on and asserts that the loss is seen. All are 0 in every library that is
 * installed.
 *
 * A build with GLN_BREAKABLE defined as 1 is whole until somebody sets
 * glni_broken, before any VM is made; it has the breaks of enum glni_break. One
 * such build serves every test of them: a look at a variable orders nothing, so
 * that fences which it leaves out are missed as if they were not compiled.
 */
#ifndef GLN_CORE_BASE_BROKEN_H
#define GLN_CORE_BASE_BROKEN_H

#ifndef GLN_BREAKABLE
#define GLN_BREAKABLE 0
#endif

#if GLN_BREAKABLE
/** enum glni_break - which of the breaks below is on. */
enum glni_break {
	GLNI_BREAK_NONE,
	GLNI_BREAK_SKIP_FLUSH,
	GLNI_BREAK_MARK_FIRST,
	GLNI_BREAK_LOSE_DIRTY,
	GLNI_BREAK_SPAN,
	GLNI_BREAK_EARLY_C,
	GLNI_BREAK_KEEP_RMAP,
	GLNI_BREAK_PUBLISH_FIRST,
	GLNI_BREAK_NO_FENCE,
	GLNI_BREAK_NO_GRACE,
	GLNI_BREAK_NO_PROTECT,
	GLNI_BREAK_SUMMARY_FIRST,
	GLNI_BREAK_SUMMARY_LAST,
	GLNI_BREAK_NO_PUT_BACK,
};

extern int glni_broken; /* enum glni_break */
#define GLNI_IS_BROKEN(how) (glni_broken == (how))
#else
#define GLNI_IS_BROKEN(how) 0
#endif

/** Mark and harvest without their fences: the store-buffer shape. */
#define GLN_BREAK_NO_FENCE GLNI_IS_BROKEN(GLNI_BREAK_NO_FENCE)

/** Flip, and start logging, without waiting for those who mark meanwhile. */
#define GLN_BREAK_NO_GRACE GLNI_IS_BROKEN(GLNI_BREAK_NO_GRACE)

/** Harvest does not protect what it takes. */
#define GLN_BREAK_NO_PROTECT GLNI_IS_BROKEN(GLNI_BREAK_NO_PROTECT)

/** Harvest does not flush. */
#define GLN_BREAK_NO_FLUSH GLNI_IS_BROKEN(GLNI_BREAK_SKIP_FLUSH)

/** A fault marks, waits a little, and then makes the entry writable. */
#define GLN_BREAK_MARK_FIRST GLNI_IS_BROKEN(GLNI_BREAK_MARK_FIRST)

/** What a fault, a CPU's log or a collect wants marked is not. */
#define GLN_BREAK_LOSE_DIRTY GLNI_IS_BROKEN(GLNI_BREAK_LOSE_DIRTY)

/**
 * Protect each run without its last page, and mark each that a backend names
 * without it: the last page taken for the exclusive end (H-11). A run of one
 * page is gone. (Where a collect arms its pages itself, protecting too few of
 * them would hurt nobody.)
 */
#define GLN_BREAK_SPAN GLNI_IS_BROKEN(GLNI_BREAK_SPAN)

/** What hardware noted in a hashed entry is read before the invalidation. */
#define GLN_BREAK_EARLY_C GLNI_IS_BROKEN(GLNI_BREAK_EARLY_C)

/** A hash table is reset, and its reverse map is not. */
#define GLN_BREAK_KEEP_RMAP GLNI_IS_BROKEN(GLNI_BREAK_KEEP_RMAP)

/** The first doubleword of a hashed entry is published before the second. */
#define GLN_BREAK_PUBLISH_FIRST GLNI_IS_BROKEN(GLNI_BREAK_PUBLISH_FIRST)

/** Mark sets the summary before the word. */
#define GLN_BREAK_SUMMARY_FIRST GLNI_IS_BROKEN(GLNI_BREAK_SUMMARY_FIRST)

/** With quick marks, mark sets the word before the summary. */
#define GLN_BREAK_SUMMARY_LAST GLNI_IS_BROKEN(GLNI_BREAK_SUMMARY_LAST)

/** Abort forgets what it should put back. */
#define GLN_BREAK_NO_PUT_BACK GLNI_IS_BROKEN(GLNI_BREAK_NO_PUT_BACK)

#endif
