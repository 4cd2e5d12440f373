/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream_write.c - write records into the table, as its guest's hypercalls
 * would: a record is looked at whole, and then entered entry by entry.
 *
 * Who wrote the records is not trusted more than the guest (G11).
 */
#include "core/hpt/stream.h"

#include "core/base/errno.h"
#include "core/hpt/ops.h"
#include "core/hpt/record.h"

/* The real-mode area's segment (PAPR): 1 TiB, and this VSID. */
#define VRMA_VSID UINT64_C(0x1ffffff)
#define V_VSID_1T 24U

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
		if (!entry_is_valid(
			    record_get_entry(entries + RECORD_ENTRY_BYTES * i)))
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
			record_get_entry(entries + RECORD_ENTRY_BYTES * i);

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
	size_t wanted = RECORD_HEADER_BYTES;

	if (bytes < RECORD_HEADER_BYTES)
		return 0;
	wanted += (size_t)record_get_header(stream->endian, from).nr_valid *
		  RECORD_ENTRY_BYTES;
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

	if (stream_reads(stream) || !hpt)
		return -EINVAL;
	bytes = gln_min(bytes, INT64_MAX);
	while (!err && (size = record_bytes(stream, from + used,
					    bytes - (size_t)used))) {
		const uint8_t *const record = from + used;
		const struct gln_hpt_record header =
			record_get_header(stream->endian, record);

		if (!record_is_valid(hpt, header,
				     record + RECORD_HEADER_BYTES)) {
			err = -EINVAL;
			break;
		}
		glni_read_lock();
		if (!write_record(mmu, hpt, header,
				  record + RECORD_HEADER_BYTES))
			err = -EIO;
		glni_read_unlock();
		if (!err)
			used += (int64_t)size;
	}
	return used ? used : err;
}
