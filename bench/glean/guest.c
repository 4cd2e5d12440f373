/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.c - a guest of real memory, and the region it is copied to.
 */
#include "bench/glean/guest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/glean/interrupt.h"
#include "bench/glean/random.h"

/* Page tables, dirty logs and the rest: at most this part of the regions. */
#define OVERHEAD_PART UINT64_C(64)

/* Filling looks for a signal this often. */
#define FILL_PAGES 4096

uint64_t guest_memory_needed(uint64_t memory_bytes)
{
	if (memory_bytes > UINT64_MAX / 4)
		return UINT64_MAX;
	return 2 * (memory_bytes + memory_bytes / OVERHEAD_PART);
}

uint64_t guest_memory_largest(uint64_t available_bytes)
{
	return available_bytes / (2 * (OVERHEAD_PART + 1)) * OVERHEAD_PART;
}

/* MemAvailable of /proc/meminfo, in bytes. */
static uint64_t available_in_machine(void)
{
	uint64_t kib = UINT64_MAX / 1024;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "r");

	if (!file)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			break;
	}
	fclose(file);
	return kib * 1024;
}

/* What a container may hold at most: its own, as it sees it at the root. */
static uint64_t limit_of_group(void)
{
	uint64_t bytes = UINT64_MAX;
	FILE *file = fopen("/sys/fs/cgroup/memory.max", "r");

	if (!file)
		return UINT64_MAX;
	if (fscanf(file, "%" SCNu64, &bytes) != 1) /* or it says "max" */
		bytes = UINT64_MAX;
	fclose(file);
	return bytes;
}

uint64_t guest_memory_available(void)
{
	const uint64_t machine = available_in_machine();
	const uint64_t group = limit_of_group();

	return machine < group ? machine : group;
}

/*
 * A region whose address is @phase bytes past a multiple of the largest block:
 * map what surely has such an address in it, and unmap what is around it.
 */
static unsigned char *map_region(uint64_t bytes, uint64_t phase)
{
	const uint64_t more = bytes + GUEST_BLOCK_BYTES;
	unsigned char *wide = NULL;

	if (more > bytes && more <= SIZE_MAX)
		wide = mmap(NULL, (size_t)more, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!wide || wide == MAP_FAILED)
		return NULL;

	const uint64_t before =
		(phase - (uintptr_t)wide) & (GUEST_BLOCK_BYTES - 1);
	const uint64_t after = GUEST_BLOCK_BYTES - before;

	if (before)
		munmap(wide, (size_t)before);
	munmap(wide + before + bytes, (size_t)after);
	return wide + before;
}

int guest_create(struct guest *guest, uint64_t memory_bytes,
		 uint64_t page_bytes, uint64_t align_bytes)
{
	const uint64_t base = guest_base(page_bytes, align_bytes);
	const uint64_t phase = base & (GUEST_BLOCK_BYTES - 1);
	unsigned char *memory = map_region(memory_bytes, phase);
	unsigned char *copy = map_region(memory_bytes, 0);

	if (!memory || !copy) {
		if (memory)
			munmap(memory, (size_t)memory_bytes);
		if (copy)
			munmap(copy, (size_t)memory_bytes);
		return -ENOMEM;
	}
	/* Nobody tracks the copy: the fewer entries it takes, the better. */
	madvise(copy, (size_t)memory_bytes, MADV_HUGEPAGE);

	*guest = (struct guest){
		.base = base / page_bytes,
		.nr_pages = memory_bytes / page_bytes,
		.page_bytes = page_bytes,
		.memory = memory,
		.copy = copy,
	};
	return 0;
}

void guest_destroy(struct guest *guest)
{
	const size_t bytes = (size_t)(guest->nr_pages * guest->page_bytes);

	munmap(guest->memory, bytes);
	munmap(guest->copy, bytes);
}

/*
 * Every word of the guest differs from every other and from 0, which is what
 * the copy starts with: no page that was not copied, or was copied to a wrong
 * place, can pass for right.
 */
static void fill_pages(struct guest *guest, uint64_t first, uint64_t count)
{
	const uint64_t page_words = guest->page_bytes / sizeof(uint64_t);
	uint64_t *word = (uint64_t *)(void *)guest_page(guest, first);
	uint64_t value = (first * page_words + 1) * RANDOM_STEP;

	for (uint64_t i = 0; i < count * page_words; i++) {
		word[i] = value;
		value += RANDOM_STEP;
	}
}

int guest_fill(struct guest *guest)
{
	for (uint64_t first = 0; first < guest->nr_pages; first += FILL_PAGES) {
		const uint64_t left = guest->nr_pages - first;
		const uint64_t count = left < FILL_PAGES ? left : FILL_PAGES;

		if (interrupt_signal())
			return -EINTR;
		fill_pages(guest, first, count);
		/* Memory for the copy now, not while copying is timed. */
		memset(guest_copy_page(guest, first), 0,
		       (size_t)(count * guest->page_bytes));
	}

	return 0;
}
