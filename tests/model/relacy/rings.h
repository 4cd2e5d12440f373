/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rings.h - the client of a dirty ring, for clients.cpp.
 *
 * A vCPU makes a page writable and pushes it into a ring of one entry, twice; a
 * consumer fetches; the resetter protects what was fetched and frees the entry.
 */
#ifndef GLN_TESTS_MODEL_RELACY_RINGS_H
#define GLN_TESTS_MODEL_RELACY_RINGS_H

void begin_ring(void);
void vcpu_pushes(void);
void consumer_fetches(void);
void resetter_resets(void);
void check_ring(void);

#endif
