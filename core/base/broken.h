/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broken.h - ways to break the protocol on purpose.
 *
 * A test that cannot fail proves nothing: tests/stress builds the core once
 * more for each of these and asserts that the loss is seen. All are 0 in every
 * library that is installed.
 *
 * A build with GLN_BREAKABLE defined as 1 is whole until somebody sets
 * glni_broken, before any vCPU runs; it has the breaks of enum glni_break.
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
};

extern int glni_broken; /* enum glni_break */
#define GLNI_IS_BROKEN(how) (glni_broken == (how))
#else
#define GLNI_IS_BROKEN(how) 0
#endif

/** Mark and harvest without their fences: the store-buffer shape. */
#ifndef GLN_BREAK_NO_FENCE
#define GLN_BREAK_NO_FENCE 0
#endif

/** Flip, and start logging, without waiting for those who mark meanwhile. */
#ifndef GLN_BREAK_NO_GRACE
#define GLN_BREAK_NO_GRACE 0
#endif

/** Harvest does not protect what it takes. */
#ifndef GLN_BREAK_NO_PROTECT
#define GLN_BREAK_NO_PROTECT 0
#endif

/** Harvest does not flush. */
#ifndef GLN_BREAK_NO_FLUSH
#define GLN_BREAK_NO_FLUSH GLNI_IS_BROKEN(GLNI_BREAK_SKIP_FLUSH)
#endif

/** A fault marks, waits a little, and then makes the entry writable. */
#ifndef GLN_BREAK_MARK_FIRST
#define GLN_BREAK_MARK_FIRST GLNI_IS_BROKEN(GLNI_BREAK_MARK_FIRST)
#endif

/** What a fault, a CPU's log or a collect wants marked is not. */
#ifndef GLN_BREAK_LOSE_DIRTY
#define GLN_BREAK_LOSE_DIRTY GLNI_IS_BROKEN(GLNI_BREAK_LOSE_DIRTY)
#endif

/**
 * Protect each run without its last page, and mark each that a backend names
 * without it: the last page taken for the exclusive end (H-11). A run of one
 * page is gone. (Where a collect arms its pages itself, protecting too few of
 * them would hurt nobody.)
 */
#ifndef GLN_BREAK_SPAN
#define GLN_BREAK_SPAN GLNI_IS_BROKEN(GLNI_BREAK_SPAN)
#endif

/** What hardware noted in a hashed entry is read before the invalidation. */
#ifndef GLN_BREAK_EARLY_C
#define GLN_BREAK_EARLY_C GLNI_IS_BROKEN(GLNI_BREAK_EARLY_C)
#endif

/** A hash table is reset, and its reverse map is not. */
#ifndef GLN_BREAK_KEEP_RMAP
#define GLN_BREAK_KEEP_RMAP GLNI_IS_BROKEN(GLNI_BREAK_KEEP_RMAP)
#endif

/** The first doubleword of a hashed entry is published before the second. */
#ifndef GLN_BREAK_PUBLISH_FIRST
#define GLN_BREAK_PUBLISH_FIRST GLNI_IS_BROKEN(GLNI_BREAK_PUBLISH_FIRST)
#endif

/** Mark sets the summary before the word. */
#ifndef GLN_BREAK_SUMMARY_FIRST
#define GLN_BREAK_SUMMARY_FIRST 0
#endif

/** With quick marks, mark sets the word before the summary. */
#ifndef GLN_BREAK_SUMMARY_LAST
#define GLN_BREAK_SUMMARY_LAST 0
#endif

/** Abort forgets what it should put back. */
#ifndef GLN_BREAK_NO_PUT_BACK
#define GLN_BREAK_NO_PUT_BACK 0
#endif

#endif
