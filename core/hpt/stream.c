/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - read the table as records, first all and then what changed.
 *
 * A read looks at one entry after the other, each for itself: what changes
 * behind it is marked, and comes in the next pass. Marks are the table's, so
 * one reader at a time hears of changes.
 */
#include "core/hpt/stream.h"

#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/hpt/real.h"
#include "core/hpt/record.h"

enum {
	/* Entries looked at in one read-side section: a millisecond. */
	SECTION_ENTRIES = 16384,
	MAX_RUN = 65535, /* a record's counts have 16 bits (H-82) */
};

#define RC (GLN_HPTE_R_R | GLN_HPTE_R_C)

/* Indices have 32 bits (H-84). */
#define MAX_ENTRIES (UINT64_C(1) << 32)

/* Open and close. */

/* From the beginning; the table is there. */
static void start_over(struct gln_hpt_stream *stream, const struct hpt *hpt,
		       uint64_t epoch)
{
	stream->epoch = epoch;
	stream->index = stream->start < hpt->nr_entries ? stream->start : 0;
	stream->nr_unseen = hpt->nr_entries;
}

static int params_error(const struct gln_hpt_stream_params *params)
{
	return (params->flags &
		~(GLN_HPT_STREAM_BOLTED | GLN_HPT_STREAM_WRITE)) ||
			       params->endian < GLN_HPT_ENDIAN_HOST ||
			       params->endian > GLN_HPT_ENDIAN_BIG
		       ? -EINVAL
		       : 0;
}

int glni_hpt_op_stream_open(struct gln_backend *be,
			    const struct gln_hpt_stream_params *params,
			    struct gln_hpt_stream **out)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	const struct hpt *const hpt = hpt_table(mmu);
	struct gln_hpt_stream *stream;
	int err = params_error(params);

	if (!err && !hpt)
		err = -ENOENT;
	if (!err && hpt->nr_entries > MAX_ENTRIES)
		err = -EFBIG;
	if (err)
		return err;

	gln_plat_mutex_lock(&mmu->lock);
	stream = gln_alloc(&mmu->allocator, sizeof(*stream));
	gln_plat_mutex_unlock(&mmu->lock);
	if (!stream)
		return -ENOMEM;
	stream->flags = params->flags;
	stream->endian = params->endian;
	stream->start = params->start;
	/* Relaxed: the VM's lock is held, and who counts has it too. */
	start_over(stream, hpt, gln_load_relaxed(&mmu->epoch));
	if (stream_reads(stream)) {
		/* Relaxed: the grace period makes it known. */
		gln_fetch_add_relaxed(&mmu->nr_streams, 1);
		glni_synchronize();
	}
	*out = stream;
	return 0;
}

void glni_hpt_op_stream_close(struct gln_backend *be,
			      struct gln_hpt_stream *stream)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);

	if (stream_reads(stream))
		/* Relaxed: what is marked once more does no harm. */
		gln_fetch_add_relaxed(&mmu->nr_streams, UINT64_MAX);
	gln_plat_mutex_lock(&mmu->lock);
	gln_free(&mmu->allocator, stream, sizeof(*stream));
	gln_plat_mutex_unlock(&mmu->lock);
}

/* Read. */

/**
 * struct reading - one call's state.
 *
 * @used:	bytes written to the buffer.
 * @left:	entries that may still be looked at in this section.
 * @is_lost:	the table was changed between two sections.
 */
struct reading {
	struct hpt_mmu *mmu;
	struct hpt *hpt;
	struct gln_hpt_stream *stream;
	uint8_t *buffer;
	size_t bytes;
	size_t used;
	uint64_t left;
	bool is_lost;
};

/** enum seen - what an entry is to a reader. */
enum seen {
	SEEN_NOTHING, /* no change since it was read */
	SEEN_VALID,
	SEEN_INVALID,
};

/* R and C that hardware noted and the guest was not told of: now it is. */
static bool tell_guest(struct hpt_hold *hold)
{
	const uint64_t r = hpte_r(hold->entry);
	const uint64_t guest_r = glni_hold_guest(hold).r;

	if (!hold_is_linked(hold) || !(r & ~guest_r & RC))
		return false;
	glni_rev_or_rc(hold->hpt, hold->index, true, r);
	return true;
}

/* The entry as streams have it. */
static struct gln_hpte shown(const struct hpt_hold *hold)
{
	struct gln_hpte entry = glni_hold_guest(hold);

	entry.v &= ~(GLN_HPTE_V_HVLOCK | GLN_HPTE_V_ABSENT);
	entry.v |= GLN_HPTE_V_VALID;
	entry.r &= ~HPTE_R_MODIFIED;
	return entry;
}

static bool is_shown(const struct gln_hpt_stream *stream,
		     const struct hpt_hold *hold)
{
	return hold_is_used(hold) &&
	       (!(stream->flags & GLN_HPT_STREAM_BOLTED) ||
		(hold->v & GLN_HPTE_V_BOLTED));
}

static enum seen look(const struct reading *reading, struct hpt_hold *hold,
		      bool *is_new)
{
	const struct gln_hpt_stream *const stream = reading->stream;
	const bool was_told = tell_guest(hold);

	*is_new = glni_rev_take_modified(hold->hpt, hold->index,
					 hold_is_linked(hold)) ||
		  was_told;
	if (!*is_new && !stream->nr_unseen)
		return SEEN_NOTHING;
	return is_shown(stream, hold) ? SEEN_VALID : SEEN_INVALID;
}

/*
 * Sections are short, so that whoever waits for one does not wait long: between
 * two of them the table may be changed.
 */
static bool has_section(struct reading *reading)
{
	struct hpt_mmu *const mmu = reading->mmu;

	if (reading->is_lost)
		return false;
	if (!reading->left) {
		glni_read_unlock();
		glni_read_lock();
		/* Relaxed: counted before the table was published. */
		reading->is_lost =
			hpt_table(mmu) != reading->hpt ||
			gln_load_relaxed(&mmu->epoch) != reading->stream->epoch;
		reading->left = SECTION_ENTRIES;
	}
	return !reading->is_lost;
}

/*
 * Take the next entry if that is what it is. If it is not, it is as new to the
 * next who looks as it was to us.
 */
static bool take(struct reading *reading, enum seen wanted,
		 struct gln_hpte *entry)
{
	struct gln_hpt_stream *const stream = reading->stream;
	struct hpt_hold hold;
	bool is_new, is_it;

	if (!has_section(reading) || stream->index == reading->hpt->nr_entries)
		return false;
	reading->left--;
	hold = glni_hpt_hold(reading->hpt, stream->index);
	is_it = look(reading, &hold, &is_new) == wanted;
	if (is_it && entry)
		*entry = shown(&hold);
	if (!is_it && is_new)
		glni_rev_set_modified(hold.hpt, hold.index,
				      hold_is_linked(&hold));
	hold_release(&hold);
	if (!is_it)
		return false;
	stream->index++;
	if (stream->nr_unseen)
		stream->nr_unseen--;
	return true;
}

static bool has_room(const struct reading *reading, size_t bytes)
{
	return reading->bytes - reading->used >= bytes;
}

/* Who changes the table waits for us. */
static bool is_changing(const struct reading *reading)
{
	/* Relaxed: the sooner the better, no more. */
	return reading->is_lost ||
	       gln_load_relaxed(&reading->mmu->table) != reading->hpt;
}

/* What did not change since it was read. */
static void skip(struct reading *reading)
{
	while (!is_changing(reading) && take(reading, SEEN_NOTHING, NULL))
		;
}

/* One record, with what there is of it; none at the table's end. */
static void read_record(struct reading *reading)
{
	struct gln_hpt_stream *const stream = reading->stream;
	uint8_t *const header = reading->buffer + reading->used;
	struct gln_hpt_record record = {.nr_valid = 0};
	struct gln_hpte entry;

	skip(reading);
	record.index = (uint32_t)stream->index;
	reading->used += RECORD_HEADER_BYTES;
	while (record.nr_valid < MAX_RUN &&
	       has_room(reading, RECORD_ENTRY_BYTES) &&
	       take(reading, SEEN_VALID, &entry)) {
		record_put_entry(reading->buffer + reading->used, entry);
		reading->used += RECORD_ENTRY_BYTES;
		record.nr_valid++;
	}
	while (record.nr_invalid < MAX_RUN && take(reading, SEEN_INVALID, NULL))
		record.nr_invalid++;

	if (record.nr_valid || record.nr_invalid)
		record_put_header(stream->endian, header, record);
	else
		reading->used -= RECORD_HEADER_BYTES;
}

/* Records as far as the table's end, the buffer's, or the table's change. */
static void read_records(struct reading *reading)
{
	struct gln_hpt_stream *const stream = reading->stream;

	while (!is_changing(reading) &&
	       stream->index < reading->hpt->nr_entries &&
	       has_room(reading, RECORD_HEADER_BYTES + RECORD_ENTRY_BYTES))
		read_record(reading);
}

/* In a section, which may be another in the end. */
static int64_t read_table(struct reading *reading)
{
	struct gln_hpt_stream *const stream = reading->stream;
	struct hpt_mmu *const mmu = reading->mmu;
	uint64_t epoch, began_at;

	reading->hpt = hpt_table(mmu);
	if (!reading->hpt)
		return -EAGAIN;
	if (reading->hpt->nr_entries > MAX_ENTRIES)
		return -EFBIG;
	/* Relaxed: counted before the table was published. */
	epoch = gln_load_relaxed(&mmu->epoch);
	if (stream->epoch != epoch)
		start_over(stream, reading->hpt, epoch);

	do {
		began_at = stream->index;
		read_records(reading);
		if (!reading->is_lost &&
		    stream->index == reading->hpt->nr_entries)
			stream->index = 0;
		else if (!reading->used)
			return -EAGAIN;
		/* 0 would say that a pass had nothing, and this was no pass. */
	} while (!reading->used && began_at);
	return (int64_t)reading->used;
}

int64_t glni_hpt_op_stream_read(struct gln_backend *be,
				struct gln_hpt_stream *stream, void *buffer,
				size_t bytes)
{
	struct reading reading = {
		.mmu = hpt_mmu_of(be),
		.stream = stream,
		.buffer = buffer,
		.bytes = gln_min(bytes, INT64_MAX),
		.left = SECTION_ENTRIES,
	};
	int64_t result;

	if (!stream_reads(stream) ||
	    bytes < RECORD_HEADER_BYTES + RECORD_ENTRY_BYTES)
		return -EINVAL;
	glni_read_lock();
	result = read_table(&reading);
	glni_read_unlock();
	return result;
}
