/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_size.h - how large a hashed page table should be, and what it costs; and
 * how many insertions a table of some fill will refuse. Arithmetic only.
 */
#ifndef BENCH_GLEAN_HPT_SIZE_H
#define BENCH_GLEAN_HPT_SIZE_H

#include <stdint.h>

#include <glean/hpte.h>

/** Bytes of guest memory for a byte of its table, by the usual rule. */
#define HPT_MEMORY_PART 128U

/**
 * Entries of the table for each page of the guest, by the same rule: a page of
 * 4 KiB has 32 bytes of table.
 */
#define HPT_ENTRIES_A_PAGE 2U

/**
 * hpt_order() - by the usual rule: 1/128 of memory, rounded up to a power of
 * two, from order 18 to 46.
 */
unsigned int hpt_order(uint64_t memory_bytes);

/**
 * hpt_order_least() - what would do if all memory is mapped by pages of
 * @page_shift: as many entries a page as the rule gives to pages of 4 KiB.
 */
unsigned int hpt_order_least(uint64_t memory_bytes, unsigned int page_shift);

/** hpt_slot_shift() - page shift of the VM for a guest with such pages. */
unsigned int hpt_slot_shift(unsigned int page_shift);

/**
 * hpt_rmap_bytes() - heads for all pages of the guest: 8 bytes each, as many
 * pages as its slots have.
 */
uint64_t hpt_rmap_bytes(uint64_t memory_bytes, unsigned int page_shift);

/**
 * hpt_predict_failures() - the part of @nr_entries that would find no place in
 * a table of @order, if hashes were random.
 *
 * A group and its complement are each other's secondary group: so the pair
 * takes what hashes to either, 16 entries, and it does not matter which came
 * first. The number that hash to a pair is Poisson distributed.
 */
double hpt_predict_failures(uint64_t nr_entries, unsigned int order);

#endif
