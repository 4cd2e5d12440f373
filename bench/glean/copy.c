/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.c - copy guest memory, and see whether the copy is right.
 */
#include "bench/glean/copy.h"

#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define COPY_UNSEEN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COPY_UNSEEN 1
#endif
#endif

#ifdef COPY_UNSEEN
/*
 * ThreadSanitizer rightly calls a live copy a race. It is meant to be one, and
 * the stores on the other side may be the library's: look away for this loop,
 * whose words are volatile so that it does not become a memcpy() again.
 */
__attribute__((no_sanitize("thread"))) void copy_live(void *to,
						      const void *from,
						      size_t bytes)
{
	const volatile uint64_t *source = from;
	volatile uint64_t *target = to;

	for (size_t i = 0; i < bytes / sizeof(*target); i++)
		target[i] = source[i];
}
#else
void copy_live(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
}
#endif

uint64_t count_different_pages(const void *a, const void *b, uint64_t nr_pages,
			       uint64_t page_bytes)
{
	const unsigned char *page_a = a;
	const unsigned char *page_b = b;
	uint64_t nr = 0;

	for (uint64_t i = 0; i < nr_pages; i++) {
		nr += memcmp(page_a, page_b, page_bytes) != 0;
		page_a += page_bytes;
		page_b += page_bytes;
	}

	return nr;
}
