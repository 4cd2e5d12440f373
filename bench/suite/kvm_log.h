/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvm_log.h - the dirty log of this machine's own hypervisor, of a slot that
 * nobody writes.
 *
 * No guest runs on it. To dirty pages of a slot of 1 TiB takes a guest that
 * writes them, and memory for each: so the slot is clean, always.
 */
#ifndef BENCH_SUITE_KVM_LOG_H
#define BENCH_SUITE_KVM_LOG_H

#include <stddef.h>
#include <stdint.h>

/** Pages of a slot, at most (KVM_MEM_MAX_NR_PAGES, 2^31 - 1, in whole words).
 */
#define KVM_LOG_PAGES_MAX (((UINT64_C(1) << 31) - 1) / 64 * 64)

/** struct kvm_log - all zeroes is none. */
struct kvm_log {
	int kvm;
	int vm;
	void *memory;
	size_t memory_bytes;
};

/**
 * kvm_log_open() - make a VM with one logged slot of @nr_pages.
 *
 * Return: 0; -ENOTSUP where there is no KVM, or not for us, or not so large.
 */
int kvm_log_open(struct kvm_log *log, uint64_t nr_pages);
void kvm_log_close(struct kvm_log *log);

/** kvm_log_get() - KVM_GET_DIRTY_LOG. Return: 0 or a negative errno. */
int kvm_log_get(const struct kvm_log *log, uint64_t *bitmap);

#endif
