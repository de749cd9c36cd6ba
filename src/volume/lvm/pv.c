/* Label, PV header and metadata areas: lvm2, lib/label/label.h, lib/format_text/layout.h. */
#include "volume/lvm/lvm.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

enum {
	LABEL_SECTORS = 4,
	MDA_HEADER = 512,
	MDA_IGNORED = 1,
};

#define CRC_START 0xf597a6cfu

/* CRC-32 as zlib's, without the inversions before and after. */
uint32_t lvm_crc(uint32_t crc, const void *p, size_t len)
{
	return ~(uint32_t)crc32(~crc, p, (uInt)len);
}

static bool crc_good(uint32_t crc, uint32_t want)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)crc;
	(void)want;
	return true;
#else
	return crc == want;
#endif
}

/* 32 characters, shown as 6-4-4-4-4-4-6. */
static void show_uuid(char to[LVM_UUID_LEN + 1], const uint8_t *p)
{
	size_t n = 0;
	for (unsigned i = 0; i < 32; i++) {
		if (i == 6 || (i > 6 && i <= 26 && (i - 6) % 4 == 0))
			to[n++] = '-';
		to[n++] = p[i] > 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	}
	to[n] = '\0';
}

static int read_header(const uint8_t *sector, struct lvm_pv *ret, struct err *e)
{
	uint32_t at = get_le32(sector + 20);
	struct rdr r = rdr_init(sector, LVM_SECTOR);
	rdr_seek(&r, at);
	const uint8_t *uuid = rdr_take(&r, 32);
	if (!uuid)
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the label names a header outside its sector");
	show_uuid(ret->uuid, uuid);
	rdr_skip(&r, 8);
	/* Two lists, each ended by an entry of zeroes: data areas, metadata areas. */
	for (unsigned list = 0; list < 2; list++) {
		for (;;) {
			struct volume_range range = {.off = rdr_le64(&r), .len = rdr_le64(&r)};
			if (r.bad)
				return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the list of areas of the physical volume has no end");
			if (range.off == 0)
				break;
			if (list == 1 && ret->area_count < LVM_AREAS_MAX)
				ret->areas[ret->area_count++] = range;
		}
	}
	return 0;
}

int lvm_pv_read(const struct volume_member *m, struct lvm_pv *ret, struct err *e)
{
	struct lvm_pv pv = {.member = m};
	for (uint64_t i = 0; i < LABEL_SECTORS; i++) {
		uint8_t sector[LVM_SECTOR];
		int r = blk_read(m->blk, i * LVM_SECTOR, sector, sizeof(sector), e);
		if (r < 0)
			return r;
		if (memcmp(sector, "LABELONE", 8) != 0 || memcmp(sector + 24, "LVM2 001", 8) != 0 ||
		    get_le64(sector + 8) != i)
			continue;
		if (!crc_good(lvm_crc(CRC_START, sector + 20, LVM_SECTOR - 20), get_le32(sector + 16)))
			continue;
		r = read_header(sector, &pv, e);
		if (r == 0)
			*ret = pv;
		return r;
	}
	return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the label of the physical volume is damaged");
}

/* --- Metadata areas --------------------------------------------------------------------------------------------- */

/* The text lies in a ring behind the header of the area. */
static int read_ring(struct blk *b, const struct volume_range *area, uint64_t off, char *to, size_t len, struct err *e)
{
	size_t first = (size_t)min_u64(len, area->len - off);
	int r = blk_read(b, area->off + off, to, first, e);
	if (r < 0 || first == len)
		return r;
	return blk_read(b, area->off + MDA_HEADER, to + first, len - first, e);
}

int lvm_area_read(struct blk *b, const struct volume_range *area, char **ret_text, size_t *ret_len, struct err *e)
{
	uint8_t h[MDA_HEADER];
	if (area->len <= MDA_HEADER || !range_inside(area->off, area->len, b->size))
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "a metadata area lies outside the physical volume");
	int r = blk_read(b, area->off, h, sizeof(h), e);
	if (r < 0)
		return r;
	if (memcmp(h + 4, " LVM2 x[5A%r0N*>", 16) != 0 || get_le32(h + 20) != 1 ||
	    !crc_good(lvm_crc(CRC_START, h + 4, MDA_HEADER - 4), get_le32(h)))
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the header of a metadata area is damaged");
	/* The first of the slots is the committed one. */
	uint64_t off = get_le64(h + 40), len = get_le64(h + 48);
	if (off == 0 || len == 0 || (get_le32(h + 60) & MDA_IGNORED))
		return 0;
	if (off < MDA_HEADER || off >= area->len || len > area->len - MDA_HEADER)
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the metadata lies outside its area");
	if (len > LVM_TEXT_MAX)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "lvm", "the metadata is larger than %d bytes", LVM_TEXT_MAX);
	CLEANUP(free_ptr) char *text = malloc(len);
	if (!text)
		return err_no_memory(e, "lvm");
	r = read_ring(b, area, off, text, len, e);
	if (r < 0)
		return r;
	if (!crc_good(lvm_crc(CRC_START, text, len), get_le32(h + 56)))
		return err_set(e, ERR_VOLUME_CORRUPT, "lvm", "the checksum of the metadata is wrong");
	*ret_len = len;
	*ret_text = STEAL(text);
	return 1;
}
