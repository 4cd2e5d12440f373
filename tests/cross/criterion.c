/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * criterion.c - run what the files of a program have added.
 */
#include "tests/cross/criterion/criterion.h"

#include <glean/kernel.h>

static struct cross_test *first;

void cross_add(struct cross_test *test)
{
	test->next = first;
	first = test;
}

/* So that the log says what was tested here. */
static void say_kernels(void)
{
	enum { MAX_KERNELS = 16 };
	struct gln_kernel_info kernels[MAX_KERNELS];
	const size_t nr = gln_scan_kernels(kernels, MAX_KERNELS);

	printf("scan kernels:");
	for (size_t i = 0; i < nr && i < MAX_KERNELS; i++)
		printf(" %s%s", kernels[i].name,
		       kernels[i].usable ? "" : " (not on this CPU)");
	putchar('\n');
}

int main(void)
{
	unsigned int nr = 0;

	say_kernels();
	for (const struct cross_test *test = first; test; test = test->next) {
		printf("%s %s\n", test->suite, test->name);
		fflush(stdout);
		test->run();
		nr++;
	}
	printf("%u tests passed\n", nr);
	return nr ? 0 : 1;
}
