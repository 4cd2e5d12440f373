/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.h - the bytes of a stream.
 *
 *	record	index, number of entries that follow, number of empty ones
 *	entries V and R, big-endian, the old format whatever the table's
 */
#ifndef GLN_CORE_HPT_RECORD_H
#define GLN_CORE_HPT_RECORD_H

#include <glean/hpt.h>

enum {
	RECORD_HEADER_BYTES = 8,
	RECORD_ENTRY_BYTES = 16,
};

static inline uint64_t record_get_bytes(const uint8_t *from, unsigned int nr,
					bool is_big)
{
	uint64_t x = 0;

	for (unsigned int i = 0; i < nr; i++)
		x = x << 8 | from[is_big ? i : nr - 1 - i];
	return x;
}

static inline void record_put_bytes(uint8_t *to, unsigned int nr, bool is_big,
				    uint64_t x)
{
	for (unsigned int i = 0; i < nr; i++)
		to[is_big ? nr - 1 - i : i] = (uint8_t)(x >> 8 * i);
}

static inline bool record_is_big(enum gln_hpt_endian endian)
{
	if (endian == GLN_HPT_ENDIAN_HOST)
		return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	return endian == GLN_HPT_ENDIAN_BIG;
}

static inline struct gln_hpt_record record_get_header(
	enum gln_hpt_endian endian, const uint8_t *from)
{
	const bool is_big = record_is_big(endian);

	return (struct gln_hpt_record){
		.index = (uint32_t)record_get_bytes(from, 4, is_big),
		.nr_valid = (uint16_t)record_get_bytes(from + 4, 2, is_big),
		.nr_invalid = (uint16_t)record_get_bytes(from + 6, 2, is_big),
	};
}

static inline void record_put_header(enum gln_hpt_endian endian, uint8_t *to,
				     struct gln_hpt_record record)
{
	const bool is_big = record_is_big(endian);

	record_put_bytes(to, 4, is_big, record.index);
	record_put_bytes(to + 4, 2, is_big, record.nr_valid);
	record_put_bytes(to + 6, 2, is_big, record.nr_invalid);
}

static inline struct gln_hpte record_get_entry(const uint8_t *from)
{
	return (struct gln_hpte){record_get_bytes(from, 8, true),
				 record_get_bytes(from + 8, 8, true)};
}

static inline void record_put_entry(uint8_t *to, struct gln_hpte entry)
{
	record_put_bytes(to, 8, true, entry.v);
	record_put_bytes(to + 8, 8, true, entry.r);
}

#endif
