/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broken.h - ways to break the protocol on purpose.
 *
 * A test that cannot fail proves nothing: tests/stress builds the core once
 * more for each of these and asserts that the loss is seen. All are 0 in every
 * library that is installed.
 */
#ifndef GLN_CORE_BASE_BROKEN_H
#define GLN_CORE_BASE_BROKEN_H

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
#define GLN_BREAK_NO_FLUSH 0
#endif

/** Mark sets the summary before the word. */
#ifndef GLN_BREAK_SUMMARY_FIRST
#define GLN_BREAK_SUMMARY_FIRST 0
#endif

/** Abort forgets what it should put back. */
#ifndef GLN_BREAK_NO_PUT_BACK
#define GLN_BREAK_NO_PUT_BACK 0
#endif

#endif
