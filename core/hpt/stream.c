/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - read the table as records, first all and then what changed; and
 * write records into it.
 *
 *	record	index, number of entries that follow, number of empty ones
 *	entries V and R, big-endian, the old format whatever the table's
 *
 * A read looks at one entry after the other, each for itself: what changes
 * behind it is marked, and comes in the next pass. Marks are the table's, so
 * one reader at a time hears of changes.
 */
#include "core/hpt/stream.h"

#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/hpt/real.h"

enum {
	/* Entries looked at in one read-side section: a millisecond. */
	SECTION_ENTRIES = 16384,
	HEADER_BYTES = 8,
	ENTRY_BYTES = 16,
	MAX_RUN = 65535, /* a record's counts have 16 bits (H-82) */
};

#define RC (GLN_HPTE_R_R | GLN_HPTE_R_C)

/* Indices have 32 bits (H-84). */
#define MAX_ENTRIES (UINT64_C(1) << 32)

/* The real-mode area's segment (PAPR): 1 TiB, and this VSID. */
#define VRMA_VSID UINT64_C(0x1ffffff)
#define V_VSID_1T 24U

/**
 * struct gln_hpt_stream - an open stream.
 *
 * @epoch:	of the table that the rest is about.
 * @index:	the next entry to look at.
 * @nr_unseen:	entries that were never looked at: the first pass goes on.
 */
struct gln_hpt_stream {
	uint32_t flags;
	enum gln_hpt_endian endian;
	uint64_t start;
	uint64_t epoch;
	uint64_t index;
	uint64_t nr_unseen;
};

/* Bytes of records. */

static uint64_t get_bytes(const uint8_t *from, unsigned int nr, bool is_big)
{
	uint64_t x = 0;

	for (unsigned int i = 0; i < nr; i++)
		x = x << 8 | from[is_big ? i : nr - 1 - i];
	return x;
}

static void put_bytes(uint8_t *to, unsigned int nr, bool is_big, uint64_t x)
{
	for (unsigned int i = 0; i < nr; i++)
		to[is_big ? nr - 1 - i : i] = (uint8_t)(x >> 8 * i);
}

static bool header_is_big(const struct gln_hpt_stream *stream)
{
	if (stream->endian == GLN_HPT_ENDIAN_HOST)
		return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	return stream->endian == GLN_HPT_ENDIAN_BIG;
}

static struct gln_hpt_record get_header(const struct gln_hpt_stream *stream,
					const uint8_t *from)
{
	const bool is_big = header_is_big(stream);

	return (struct gln_hpt_record){
		.index = (uint32_t)get_bytes(from, 4, is_big),
		.nr_valid = (uint16_t)get_bytes(from + 4, 2, is_big),
		.nr_invalid = (uint16_t)get_bytes(from + 6, 2, is_big),
	};
}

static void put_header(const struct gln_hpt_stream *stream, uint8_t *to,
		       struct gln_hpt_record record)
{
	const bool is_big = header_is_big(stream);

	put_bytes(to, 4, is_big, record.index);
	put_bytes(to + 4, 2, is_big, record.nr_valid);
	put_bytes(to + 6, 2, is_big, record.nr_invalid);
}

static struct gln_hpte get_entry(const uint8_t *from)
{
	return (struct gln_hpte){get_bytes(from, 8, true),
				 get_bytes(from + 8, 8, true)};
}

static void put_entry(uint8_t *to, struct gln_hpte entry)
{
	put_bytes(to, 8, true, entry.v);
	put_bytes(to + 8, 8, true, entry.r);
}

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

static bool is_reader(const struct gln_hpt_stream *stream)
{
	return !(stream->flags & GLN_HPT_STREAM_WRITE);
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
	if (is_reader(stream)) {
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

	if (is_reader(stream))
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
	reading->used += HEADER_BYTES;
	while (record.nr_valid < MAX_RUN && has_room(reading, ENTRY_BYTES) &&
	       take(reading, SEEN_VALID, &entry)) {
		put_entry(reading->buffer + reading->used, entry);
		reading->used += ENTRY_BYTES;
		record.nr_valid++;
	}
	while (record.nr_invalid < MAX_RUN && take(reading, SEEN_INVALID, NULL))
		record.nr_invalid++;

	if (record.nr_valid || record.nr_invalid)
		put_header(stream, header, record);
	else
		reading->used -= HEADER_BYTES;
}

/* Records as far as the table's end, the buffer's, or the table's change. */
static void read_records(struct reading *reading)
{
	struct gln_hpt_stream *const stream = reading->stream;

	while (!is_changing(reading) &&
	       stream->index < reading->hpt->nr_entries &&
	       has_room(reading, HEADER_BYTES + ENTRY_BYTES))
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

	if (!is_reader(stream) || bytes < HEADER_BYTES + ENTRY_BYTES)
		return -EINVAL;
	glni_read_lock();
	result = read_table(&reading);
	glni_read_unlock();
	return result;
}

/* Write. */

/* Is it an entry at all? What the guest may not enter is seen later. */
static bool entry_is_valid(struct gln_hpte entry)
{
	struct gln_hpte_size size;

	return (entry.v & GLN_HPTE_V_VALID) &&
	       gln_hpte_decode(entry.v, entry.r, &size);
}

static bool is_vrma(uint64_t v)
{
	return (v & GLN_HPTE_V_B) == GLN_HPTE_V_1TB &&
	       (v & GLN_HPTE_V_AVPN) >> V_VSID_1T == VRMA_VSID;
}

static bool record_is_valid(const struct hpt *hpt, struct gln_hpt_record record,
			    const uint8_t *entries)
{
	const uint64_t end =
		(uint64_t)record.index + record.nr_valid + record.nr_invalid;

	if (end > hpt->nr_entries)
		return false;
	for (size_t i = 0; i < record.nr_valid; i++)
		if (!entry_is_valid(get_entry(entries + ENTRY_BYTES * i)))
			return false;
	return true;
}

static void empty(struct hpt_mmu *mmu, struct hpt *hpt, uint64_t index)
{
	struct hpt_hold hold = glni_hpt_hold(hpt, index);

	if (hold_is_used(&hold))
		glni_hpt_clear(mmu, &hold);
	else
		hold_release(&hold);
}

/* In a section. False if an entry cannot be entered. */
static bool write_record(struct hpt_mmu *mmu, struct hpt *hpt,
			 struct gln_hpt_record record, const uint8_t *entries)
{
	uint64_t index = record.index;
	uint64_t found;

	for (size_t i = 0; i < record.nr_valid; i++, index++) {
		const struct gln_hpte entry =
			get_entry(entries + ENTRY_BYTES * i);

		empty(mmu, hpt, index);
		if (glni_hpt_enter(mmu, NULL, GLN_H_EXACT, index, entry,
				   &found) != GLN_H_SUCCESS)
			return false;
		if (is_vrma(entry.v))
			mmu->vrma_due = false;
	}
	for (unsigned int i = 0; i < record.nr_invalid; i++, index++)
		empty(mmu, hpt, index);
	return true;
}

/* How many bytes the first record has; 0 if it is cut off. */
static size_t record_bytes(const struct gln_hpt_stream *stream,
			   const uint8_t *from, size_t bytes)
{
	size_t wanted = HEADER_BYTES;

	if (bytes < HEADER_BYTES)
		return 0;
	wanted += (size_t)get_header(stream, from).nr_valid * ENTRY_BYTES;
	return wanted <= bytes ? wanted : 0;
}

int64_t glni_hpt_op_stream_write(struct gln_backend *be,
				 struct gln_hpt_stream *stream,
				 const void *buffer, size_t bytes)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct hpt *const hpt = hpt_table(mmu);
	const uint8_t *const from = buffer;
	int64_t used = 0;
	size_t size;
	int err = 0;

	if (is_reader(stream) || !hpt)
		return -EINVAL;
	bytes = gln_min(bytes, INT64_MAX);
	while (!err && (size = record_bytes(stream, from + used,
					    bytes - (size_t)used))) {
		const uint8_t *const record = from + used;
		const struct gln_hpt_record header = get_header(stream, record);

		if (!record_is_valid(hpt, header, record + HEADER_BYTES)) {
			err = -EINVAL;
			break;
		}
		glni_read_lock();
		if (!write_record(mmu, hpt, header, record + HEADER_BYTES))
			err = -EIO;
		glni_read_unlock();
		if (!err)
			used += (int64_t)size;
	}
	return used ? used : err;
}
