/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvm_log.c - the dirty log of this machine's own hypervisor.
 */
#include "bench/suite/kvm_log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOT	   0U
#define PAGE_SHIFT 12

static int add_slot(struct kvm_log *log)
{
	const struct kvm_userspace_memory_region region = {
		.slot = SLOT,
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
		.memory_size = log->memory_bytes,
		.userspace_addr = (uintptr_t)log->memory,
	};

	return ioctl(log->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

/* Addresses only: nobody writes there, so there need be no memory. */
static int reserve(struct kvm_log *log, uint64_t nr_pages)
{
	const size_t bytes = (size_t)nr_pages << PAGE_SHIFT;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -1;
	log->memory = memory;
	log->memory_bytes = bytes;
	return 0;
}

int kvm_log_open(struct kvm_log *log, uint64_t nr_pages)
{
	*log = (struct kvm_log){.vm = -1};
	log->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (log->kvm >= 0)
		log->vm = ioctl(log->kvm, KVM_CREATE_VM, 0);
	if (log->vm >= 0 && !reserve(log, nr_pages) && !add_slot(log))
		return 0;

	kvm_log_close(log);
	return -ENOTSUP;
}

/* The files of a log that was never opened are 0, which is not ours. */
void kvm_log_close(struct kvm_log *log)
{
	if (log->vm > 0)
		close(log->vm);
	if (log->kvm > 0)
		close(log->kvm);
	if (log->memory)
		munmap(log->memory, log->memory_bytes);
	*log = (struct kvm_log){0};
}

int kvm_log_get(const struct kvm_log *log, uint64_t *bitmap)
{
	struct kvm_dirty_log get = {.slot = SLOT};

	get.dirty_bitmap = bitmap;
	return ioctl(log->vm, KVM_GET_DIRTY_LOG, &get) ? -errno : 0;
}
