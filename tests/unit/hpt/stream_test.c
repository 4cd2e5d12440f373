/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream_test.c - the table as records, first all of it and then what changed;
 * and back (H-78, H-81, H-82, H-84).
 */
#include "tests/unit/hpt/guest_table.h"

enum {
	ORDER = 18,
	NR_ENTRIES = 1 << (ORDER - GLN_HPT_ENTRY_SHIFT),
	HEADER = 8,
	ENTRY = 16,
	BUFFER = 1 << 21,
};

static uint8_t buffer[BUFFER];

static struct gln_hpt_stream *open_stream(uint32_t flags,
					  enum gln_hpt_endian endian,
					  uint64_t start)
{
	const struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
		.flags = flags,
		.endian = endian,
		.start = start,
	};
	struct gln_hpt_stream *stream;

	cr_assert_eq(gln_hpt_stream_open(rig.vm, &params, &stream), 0);
	return stream;
}

static bool endian_is_big(enum gln_hpt_endian endian)
{
	return endian == GLN_HPT_ENDIAN_BIG ||
	       (endian == GLN_HPT_ENDIAN_HOST &&
		__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

static uint64_t get(const uint8_t *at, unsigned int bytes, bool is_big)
{
	uint64_t x = 0;

	for (unsigned int i = 0; i < bytes; i++)
		x |= (uint64_t)at[is_big ? bytes - 1 - i : i] << 8 * i;
	return x;
}

static void put(uint8_t *at, unsigned int bytes, bool is_big, uint64_t x)
{
	for (unsigned int i = 0; i < bytes; i++)
		at[is_big ? bytes - 1 - i : i] = (uint8_t)(x >> 8 * i);
}

static struct gln_hpt_record header_at(const uint8_t *at, bool is_big)
{
	return (struct gln_hpt_record){
		.index = (uint32_t)get(at, 4, is_big),
		.nr_valid = (uint16_t)get(at + 4, 2, is_big),
		.nr_invalid = (uint16_t)get(at + 6, 2, is_big),
	};
}

/** struct copy - what a reader of the stream has of the table. */
static struct copy {
	struct gln_hpte entries[NR_ENTRIES * 4];
	uint64_t nr_told;
	uint64_t nr_records;
} copy;

static void copy_records(const uint8_t *from, int64_t bytes, bool is_big)
{
	int64_t used = 0;

	while (used < bytes) {
		const struct gln_hpt_record h = header_at(from + used, is_big);
		uint64_t i = h.index;

		used += HEADER;
		cr_assert(h.nr_valid || h.nr_invalid);
		for (unsigned int n = 0; n < h.nr_valid; n++, i++) {
			copy.entries[i].v = get(from + used, 8, true);
			copy.entries[i].r = get(from + used + 8, 8, true);
			used += ENTRY;
		}
		for (unsigned int n = 0; n < h.nr_invalid; n++, i++)
			copy.entries[i] = (struct gln_hpte){0, 0};
		copy.nr_told += i - h.index;
		copy.nr_records++;
	}
	cr_assert_eq(used, bytes, "a record was cut off");
}

/* Until there is nothing to tell. */
static void read_all(struct gln_hpt_stream *stream, size_t bytes, bool is_big)
{
	int64_t nr;

	while ((nr = gln_hpt_stream_read(stream, buffer, bytes))) {
		require(nr > 0 && nr <= (int64_t)bytes, "read: %" PRId64, nr);
		copy_records(buffer, nr, is_big);
	}
}

static void compare(const struct gln_hpte *known)
{
	for (uint64_t i = 0; i < hpt_table(rig.mmu)->nr_entries; i++)
		require(known[i].v == copy.entries[i].v &&
				known[i].r == copy.entries[i].r,
			"entry %#" PRIx64 " is %#" PRIx64 " %#" PRIx64
			", not %#" PRIx64 " %#" PRIx64,
			i, copy.entries[i].v, copy.entries[i].r, known[i].v,
			known[i].r);
}

static struct gln_hpte known[NR_ENTRIES * 4];

static void enter(const struct rig_entry *e)
{
	const uint64_t index = rig_index(e, ORDER);

	cr_assert_eq(rig_enter(e, ORDER), 0);
	known[index] = rig_hpte(e);
	known[index].v |= GLN_HPTE_V_VALID;
}

/* Without memory behind it, and where nobody looks for it. */
static void enter_at(uint64_t index)
{
	const struct gln_hpte e = {
		.v = index << 12,
		.r = RIG_R,
	};

	require(rig_enter_at(index, e) == 0, "enter at %#" PRIx64, index);
	known[index] = e;
	known[index].v |= GLN_HPTE_V_VALID;
}

static const struct rig_entry some[] = {
	{RIG_SLB_4K, 0x1000, false, 0, 0, RIG_R | 0x105000},
	{RIG_SLB_4K, 0x2000, true, 1, GLN_HPTE_V_BOLTED, RIG_R | 0x106000},
	{RIG_SLB_1T, 0x30000, false, 7, 0, 3 | GLN_HPTE_R_M | 0x110000},
	{RIG_SLB_4K, 0x4000, false, 2, GLN_HPTE_V_BOLTED, RIG_R | 0x5000},
};

static void start(enum gln_hpt_isa isa)
{
	rig_open(isa, ORDER);
	memset(&copy, 0xff, sizeof(copy.entries));
	copy.nr_told = copy.nr_records = 0;
	memset(known, 0, sizeof(known));
	for (const struct rig_entry *e = some; e < ARRAY_END(some); e++)
		enter(e);
	for (uint64_t i = 1000; i < 1005; i++)
		enter_at(i);
}

Test(stream, wrong_ways_to_open_are_refused)
{
	const struct gln_hpt_stream_params wrong[] = {
		{.struct_bytes = 1},
		{.struct_bytes = sizeof(wrong[0]), .flags = 4},
		{.struct_bytes = sizeof(wrong[0]),
		 .endian = (enum gln_hpt_endian)3},
	};
	struct gln_hpt_stream *stream;

	start(GLN_HPT_ISA_2_07);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(gln_hpt_stream_open(rig.vm, &wrong[i], &stream),
			     -EINVAL);
	stream = open_stream(0, GLN_HPT_ENDIAN_HOST, 0);
	cr_assert_eq(gln_hpt_stream_read(stream, buffer, HEADER + ENTRY - 1),
		     -EINVAL);
	cr_assert_eq(gln_hpt_stream_write(stream, buffer, 100), -EBUSY);
	gln_vcpu_leave(rig.vcpu);
	cr_assert_eq(gln_hpt_stream_write(stream, buffer, 100), -EINVAL);
	cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
	gln_hpt_stream_close(stream);
	stream = open_stream(GLN_HPT_STREAM_WRITE, GLN_HPT_ENDIAN_HOST, 0);
	cr_assert_eq(gln_hpt_stream_read(stream, buffer, BUFFER), -EINVAL);
	gln_hpt_stream_close(stream);
	rig_close();
}

Test(stream, the_first_pass_tells_all_whatever_the_buffer)
{
	static const size_t sizes[] = {24, 25, 39, 40, 64, 1000, BUFFER};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (unsigned int endian = 0; endian < 3; endian++) {
			struct gln_hpt_stream *stream;

			start((enum gln_hpt_isa)(i % 2));
			stream = open_stream(
				0, (enum gln_hpt_endian)endian,
				i % 3 ? 0 : rig_index(&some[i % 4], ORDER));
			read_all(stream, sizes[i],
				 endian_is_big((enum gln_hpt_endian)endian));
			cr_assert_eq(copy.nr_told, NR_ENTRIES);
			compare(known);
			gln_hpt_stream_close(stream);
			rig_close();
		}
}

Test(stream, a_pass_ends_where_the_table_does)
{
	struct gln_hpt_stream *stream;
	int64_t nr;

	start(GLN_HPT_ISA_2_07);
	stream = open_stream(0, GLN_HPT_ENDIAN_LITTLE, 0);
	nr = gln_hpt_stream_read(stream, buffer, BUFFER);
	copy_records(buffer, nr, false);
	cr_assert_eq(copy.nr_told, NR_ENTRIES);
	cr_assert_eq(gln_hpt_stream_read(stream, buffer, BUFFER), 0);
	gln_hpt_stream_close(stream);
	rig_close();
}

Test(stream, only_bolted_entries_are_told_to_who_asks_for_them)
{
	struct gln_hpt_stream *stream;

	start(GLN_HPT_ISA_3_0);
	stream = open_stream(GLN_HPT_STREAM_BOLTED, GLN_HPT_ENDIAN_BIG, 0);
	read_all(stream, 100, true);
	for (uint64_t i = 0; i < NR_ENTRIES; i++)
		if (!(known[i].v & GLN_HPTE_V_BOLTED))
			known[i] = (struct gln_hpte){0, 0};
	compare(known);
	gln_hpt_stream_close(stream);
	rig_close();
}

/* Later passes: just what changed, whoever changed it. */
Test(stream, later_passes_tell_what_changed)
{
	const struct rig_entry more = {RIG_SLB_4K, 0x9000, false,
				       5,	   0,	   RIG_R | 0x107000};
	uint64_t at[4];
	struct gln_hpt_stream *stream;

	start(GLN_HPT_ISA_3_0);
	for (unsigned int i = 0; i < 4; i++)
		at[i] = rig_index(&some[i], ORDER);
	stream = open_stream(0, GLN_HPT_ENDIAN_LITTLE, 0);
	read_all(stream, BUFFER, false);
	copy.nr_told = 0;

	enter(&more);
	cr_assert_eq(rig_call(GLN_H_REMOVE, 0, at[0]), 0);
	known[at[0]] = (struct gln_hpte){0, 0};
	cr_assert_eq(rig_call(GLN_H_PROTECT, 3, at[3]), 0);
	known[at[3]].r |= 3;
	rig_note(rig_at(at[1]), GLN_HPTE_R_R | GLN_HPTE_R_C);
	known[at[1]].r |= GLN_HPTE_R_R | GLN_HPTE_R_C;
	read_all(stream, BUFFER, false);
	cr_assert_eq(copy.nr_told, 4);
	compare(known);

	/* The guest was told of R, so it is there to be cleared. */
	copy.nr_told = 0;
	cr_assert_eq(rig_call(GLN_H_CLEAR_REF, 0, at[1]), 0);
	known[at[1]].r &= ~GLN_HPTE_R_R;
	read_all(stream, BUFFER, false);
	cr_assert_eq(copy.nr_told, 1);
	compare(known);
	gln_hpt_stream_close(stream);
	rig_close();
}

/* What a read meets and has no room for is news to the next. */
Test(stream, a_small_buffer_loses_no_change)
{
	struct gln_hpt_stream *stream;

	start(GLN_HPT_ISA_2_07);
	stream = open_stream(0, GLN_HPT_ENDIAN_LITTLE, 0);
	read_all(stream, BUFFER, false);
	for (uint64_t page = 0; page < 200; page++) {
		const struct rig_entry e = {
			RIG_SLB_4K, 0x100000 + (page << 12),
			page % 2,   (unsigned int)(page / 2 % 8),
			0,	    RIG_R | rig_rpn(page)};

		enter(&e);
	}
	for (uint64_t i = 0; i < NR_ENTRIES; i += 3)
		if (known[i].v && i != rig_index(&some[0], ORDER)) {
			cr_assert_eq(rig_call(GLN_H_REMOVE, 0, i), 0);
			known[i] = (struct gln_hpte){0, 0};
		}
	copy.nr_told = 0;
	read_all(stream, HEADER + ENTRY, false);
	compare(known);
	cr_assert_leq(copy.nr_told, 204);
	gln_hpt_stream_close(stream);
	rig_close();
}

Test(stream, runs_are_split_where_a_count_ends)
{
	enum { LARGE = 21 };
	struct gln_hpt_stream *stream;
	uint32_t order = LARGE;

	start(GLN_HPT_ISA_2_07);
	cr_assert_eq(rig_allocate(order), 0);
	stream = open_stream(0, GLN_HPT_ENDIAN_LITTLE, 0);
	cr_assert_eq(gln_hpt_stream_read(stream, buffer, BUFFER), 3 * HEADER);
	for (unsigned int i = 0; i < 3; i++) {
		const struct gln_hpt_record h =
			header_at(buffer + i * HEADER, false);

		cr_assert_eq(h.index, i * 65535);
		cr_assert_eq(h.nr_valid, 0);
		cr_assert_eq(h.nr_invalid, i < 2 ? 65535 : (1 << 17) - 131070);
	}
	gln_hpt_stream_close(stream);
	rig_close();
}

Test(stream, runs_of_entries_are_split_too)
{
	enum { LARGE = 21, NR = 65540 };
	struct gln_hpt_stream *stream;

	start(GLN_HPT_ISA_2_07);
	cr_assert_eq(rig_allocate(LARGE), 0);
	memset(known, 0, sizeof(known));
	for (uint64_t i = 0; i < NR; i++) {
		const struct gln_hpte e = {i << 12, RIG_R};

		require(rig_enter_at(i, e) == 0, "enter at %#" PRIx64, i);
	}
	stream = open_stream(0, GLN_HPT_ENDIAN_LITTLE, 0);
	cr_assert_gt(gln_hpt_stream_read(stream, buffer, BUFFER), 0);
	cr_assert_eq(header_at(buffer, false).nr_valid, 65535);
	cr_assert_eq(header_at(buffer, false).nr_invalid, 0);
	cr_assert_eq(header_at(buffer + HEADER + 65535 * ENTRY, false).index,
		     65535);
	cr_assert_eq(header_at(buffer + HEADER + 65535 * ENTRY, false).nr_valid,
		     NR - 65535);
	gln_hpt_stream_close(stream);
	rig_close();
}

/* It would say that there is no change, and there is one behind it. */
Test(stream, a_read_that_finds_nothing_up_to_the_end_goes_on)
{
	struct gln_hpt_stream *stream;

	start(GLN_HPT_ISA_2_07);
	stream = open_stream(0, GLN_HPT_ENDIAN_LITTLE, 0);
	read_all(stream, BUFFER, false);
	enter_at(2000);
	cr_assert_eq(gln_hpt_stream_read(stream, buffer, HEADER + ENTRY),
		     HEADER + ENTRY);
	enter_at(1500);
	cr_assert_eq(gln_hpt_stream_read(stream, buffer, HEADER + ENTRY),
		     HEADER + ENTRY);
	cr_assert_eq(header_at(buffer, false).index, 1500);
	cr_assert_eq(gln_hpt_stream_read(stream, buffer, HEADER + ENTRY), 0);
	gln_hpt_stream_close(stream);
	rig_close();
}

Test(stream, another_table_or_an_empty_one_begins_anew)
{
	for (unsigned int order = ORDER; order < ORDER + 2; order++) {
		struct gln_hpt_stream *stream;

		start(GLN_HPT_ISA_2_07);
		stream = open_stream(0, GLN_HPT_ENDIAN_LITTLE, 0);
		cr_assert_gt(gln_hpt_stream_read(stream, buffer, 64), 0);
		cr_assert_eq(rig_allocate(order), 0);
		read_all(stream, BUFFER, false);
		cr_assert_eq(copy.nr_told, 1U << (order - GLN_HPT_ENTRY_SHIFT));
		memset(known, 0, sizeof(known));
		compare(known);
		gln_hpt_stream_close(stream);
		rig_close();
	}
}

Test(stream, a_resized_table_begins_anew)
{
	for (uint32_t flags = 0; flags < 2; flags++) {
		struct gln_hpt_stream *stream;

		start(GLN_HPT_ISA_3_0);
		stream = open_stream(0, GLN_HPT_ENDIAN_LITTLE, 0);
		read_all(stream, BUFFER, false);
		rig_note(rig_at(rig_index(&some[1], ORDER)), GLN_HPTE_R_C);
		gln_hpt_resize_prepare(rig.vm, ORDER + 1, flags);
		while (gln_hpt_resize_work(rig.vm, 100))
			;
		cr_assert_eq(gln_hpt_resize_commit(rig.vm, ORDER + 1), 0);
		copy.nr_told = 0;
		read_all(stream, BUFFER, false);
		cr_assert_eq(copy.nr_told, NR_ENTRIES * 2);
		cr_assert_eq(copy.entries[rig_index(&some[1], ORDER + 1)].r,
			     rig_hpte(&some[1]).r | GLN_HPTE_R_C);
		gln_hpt_stream_close(stream);
		rig_close();
	}
}

/* Writing. */

static struct writer {
	size_t bytes;
	bool is_big;
} writer;

static void add_record(uint32_t index, unsigned int nr_valid,
		       unsigned int nr_invalid)
{
	uint8_t *const at = buffer + writer.bytes;

	put(at, 4, writer.is_big, index);
	put(at + 4, 2, writer.is_big, nr_valid);
	put(at + 6, 2, writer.is_big, nr_invalid);
	writer.bytes += HEADER;
}

static void add_entry(struct gln_hpte entry)
{
	put(buffer + writer.bytes, 8, true, entry.v);
	put(buffer + writer.bytes + 8, 8, true, entry.r);
	writer.bytes += ENTRY;
}

static struct gln_hpte valid_entry(const struct rig_entry *e)
{
	struct gln_hpte entry = rig_hpte(e);

	entry.v |= GLN_HPTE_V_VALID;
	return entry;
}

static int64_t write_all(size_t bytes)
{
	struct gln_hpt_stream *const stream = open_stream(
		GLN_HPT_STREAM_WRITE,
		writer.is_big ? GLN_HPT_ENDIAN_BIG : GLN_HPT_ENDIAN_LITTLE, 0);
	int64_t nr;

	gln_vcpu_leave(rig.vcpu);
	nr = gln_hpt_stream_write(stream, buffer, bytes);
	cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
	gln_hpt_stream_close(stream);
	return nr;
}

static void start_writing(void)
{
	start(GLN_HPT_ISA_3_0);
	writer = (struct writer){0, false};
}

Test(stream, what_is_read_of_one_table_can_be_written_into_another)
{
	for (unsigned int i = 0; i < 4; i++) {
		const bool is_big = i & 1;
		struct gln_hpt_stream *stream;
		int64_t nr;

		start((enum gln_hpt_isa)(i / 2));
		stream = open_stream(
			0, is_big ? GLN_HPT_ENDIAN_BIG : GLN_HPT_ENDIAN_LITTLE,
			0);
		nr = gln_hpt_stream_read(stream, buffer, BUFFER);
		cr_assert_gt(nr, 0);
		gln_hpt_stream_close(stream);
		rig_close();

		rig_open((enum gln_hpt_isa)(1 - i / 2), ORDER);
		writer.is_big = is_big;
		cr_assert_eq(rig_enter_at(77, valid_entry(&some[0])), 0);
		cr_assert_eq(write_all((size_t)nr), nr);
		for (uint64_t n = 0; n < NR_ENTRIES; n++) {
			const struct gln_hpte got = rig_read(n);

			require(got.v == known[n].v && got.r == known[n].r,
				"entry %#" PRIx64, n);
		}
		cr_assert_eq(rig_check(), 0);
		rig_close();
	}
}

Test(stream, several_records_go_in_one_write)
{
	start_writing();
	add_record(100, 1, 2);
	add_entry(valid_entry(&some[0]));
	add_record(200, 2, 0);
	add_entry(valid_entry(&some[1]));
	add_entry(valid_entry(&some[2]));
	add_record((uint32_t)rig_index(&some[3], ORDER), 0, 1);
	cr_assert_eq(write_all(writer.bytes), (int64_t)writer.bytes);
	cr_assert_eq(rig_read(100).r, rig_hpte(&some[0]).r);
	cr_assert_eq(rig_read(200).r, rig_hpte(&some[1]).r);
	cr_assert_eq(rig_read(201).r, rig_hpte(&some[2]).r);
	cr_assert_eq(rig_read(rig_index(&some[3], ORDER)).v, 0);
	cr_assert_eq(rig_check(), 0);
	rig_close();
}

Test(stream, a_record_that_is_cut_off_is_left)
{
	start_writing();
	add_record(100, 1, 0);
	add_entry(valid_entry(&some[0]));
	const size_t first = writer.bytes;
	add_record(200, 2, 0);
	add_entry(valid_entry(&some[1]));
	add_entry(valid_entry(&some[2]));
	for (size_t bytes = 0; bytes < writer.bytes; bytes++)
		cr_assert_eq(write_all(bytes),
			     bytes < first ? 0 : (int64_t)first);
	cr_assert_eq(rig_read(200).v, 0);
	cr_assert_eq(write_all(writer.bytes), (int64_t)writer.bytes);
	rig_close();
}

Test(stream, what_is_no_entry_is_refused_before_anything_is_touched)
{
	struct gln_hpte bad[2] = {valid_entry(&some[0]), valid_entry(&some[2])};

	bad[0].v &= ~GLN_HPTE_V_VALID;
	bad[1].r |= GLN_HPTE_R_LP;
	for (size_t i = 0; i < 4; i++) {
		const uint32_t index =
			i < 2 ? (uint32_t)rig_index(&some[1], ORDER)
			      : NR_ENTRIES - 1 + (i == 3) * 0x1000U;
		size_t first;

		start_writing();
		add_record(100, 0, 1);
		first = writer.bytes;
		add_record(index, 2, 0);
		add_entry(valid_entry(&some[0]));
		add_entry(i < 2 ? bad[i] : valid_entry(&some[2]));
		cr_assert_eq(write_all(writer.bytes), (int64_t)first);
		memmove(buffer, buffer + first, writer.bytes - first);
		cr_assert_eq(write_all(writer.bytes - first), -EINVAL);
		cr_assert_eq(rig_read(rig_index(&some[1], ORDER)).r,
			     rig_hpte(&some[1]).r);
		rig_close();
	}
}

/* B of 1x has a size, but no guest may enter it. */
Test(stream, what_no_guest_may_enter_is_an_error)
{
	struct gln_hpte reserved = valid_entry(&some[0]);

	start_writing();
	reserved.v |= UINT64_C(1) << 63;
	add_record(100, 1, 0);
	add_entry(reserved);
	cr_assert_eq(write_all(writer.bytes), -EIO);
	cr_assert_eq(rig_check(), 0);
	rig_close();
}

Test(stream, a_real_mode_area_that_comes_by_stream_is_there)
{
	const struct gln_hpte vrma = {
		UINT64_C(0x4001ffffff000000) | GLN_HPTE_V_BOLTED |
			GLN_HPTE_V_VALID,
		RIG_R | 0x105000,
	};

	start_writing();
	rig.mmu->vrma_due = true;
	add_record(100, 1, 0);
	add_entry(valid_entry(&some[0]));
	{
		struct gln_hpt_stream *const stream = open_stream(
			GLN_HPT_STREAM_WRITE, GLN_HPT_ENDIAN_LITTLE, 0);

		gln_vcpu_leave(rig.vcpu);
		cr_assert_gt(gln_hpt_stream_write(stream, buffer, writer.bytes),
			     0);
		cr_assert(rig.mmu->vrma_due);
		add_record(7, 1, 0);
		add_entry(vrma);
		cr_assert_gt(gln_hpt_stream_write(stream, buffer, writer.bytes),
			     0);
		cr_assert_not(rig.mmu->vrma_due);
		gln_hpt_stream_close(stream);
		cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
	}
	rig_close();
}
