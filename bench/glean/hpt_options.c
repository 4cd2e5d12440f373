/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_options.c - options about a hashed page table.
 */
#include "bench/glean/hpt_options.h"

#include <inttypes.h>

#include "bench/glean/guest.h"
#include "bench/glean/options.h"
#include "bench/glean/run.h"
#include "bench/glean/units.h"

static struct option_value given(const char *command, const char *option)
{
	return (struct option_value){
		.command = command,
		.option = option,
		.text = optarg,
	};
}

bool hpt_read_page(const char *command, unsigned int *shift)
{
	static const char *const names[] = {"4K", "64K", "16M", NULL};
	static const unsigned int shifts[] = {12, 16, 24};
	const struct option_value value = given(command, "--page");
	unsigned int index;

	if (!read_name(&value, "a page size", names, &index))
		return false;
	*shift = shifts[index];
	return true;
}

bool hpt_read_isa(const char *command, enum gln_hpt_isa *isa)
{
	const struct option_value value = given(command, "--isa");
	unsigned int index;

	if (!read_name(&value, "an ISA", isa_names, &index))
		return false;
	*isa = (enum gln_hpt_isa)index;
	return true;
}

bool hpt_read_segment(const char *command, unsigned int *shift)
{
	static const char *const names[] = {"256M", "1T", NULL};
	static const unsigned int shifts[] = {28, 40};
	const struct option_value value = given(command, "--segment");
	unsigned int index;

	if (!read_name(&value, "a segment size", names, &index))
		return false;
	*shift = shifts[index];
	return true;
}

bool hpt_read_order(const char *command, const char *option, uint64_t *order)
{
	const struct option_value value = given(command, option);

	return read_number(&value, "an order", GLN_HPT_ORDER_MIN,
			   GLN_HPT_ORDER_MAX, order);
}

bool hpt_fits(const char *command, uint64_t order, unsigned int copies)
{
	const uint64_t table = UINT64_C(1) << order;
	const uint64_t available = guest_memory_available();
	char needed[UNITS_BYTES], had[UNITS_BYTES];

	/* Of order 46 at most: the product is far from overflow. */
	if (table * (1 + copies) <= available)
		return true;
	complain(command,
		 "--hpt-order: a table of order %" PRIu64
		 " and what belongs to it need %s and this machine has %s "
		 "available: give less",
		 order, units_size(needed, table * (1 + copies)),
		 units_size(had, available));
	return false;
}
