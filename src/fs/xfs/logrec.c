#include "fs/xfs/log.h"

int log_read(struct xfs_log *l, uint32_t blk, uint32_t count, uint8_t *to, struct err *e)
{
	blk %= l->blocks;
	while (count > 0) {
		uint32_t n = count < l->blocks - blk ? count : l->blocks - blk;
		int r = blk_read(l->dev, l->off + (uint64_t)blk * XFS_BB, to, (size_t)n * XFS_BB, e);
		if (r < 0)
			return r;
		to += (size_t)n * XFS_BB;
		count -= n;
		blk = 0;
	}
	return 0;
}

uint32_t log_cycle(const uint8_t *block)
{
	uint32_t v = get_be32(block);
	return v == LOG_MAGIC ? get_be32(block + 4) : v;
}

const char *log_header(const struct xfs_log *l, const uint8_t *p, uint32_t blk, struct log_record *ret)
{
	enum { FMT_LE = 1, VERSION_1 = 1, VERSION_2 = 2 };
	uint32_t version = get_be32(p + 8), size = get_be32(p + 320);
	struct log_record rec = {
		.blk = blk,
		.cycle = get_be32(p + 4),
		.headers = 1,
		.len = get_be32(p + 12),
		.lsn = get_be64(p + 16),
		.tail_lsn = get_be64(p + 24),
		.ops = get_be32(p + 40),
	};
	if (get_be32(p) != LOG_MAGIC || rec.lsn != ((uint64_t)rec.cycle << 32 | blk))
		return "there is no record where one should be";
	if (version == 0 || version > (VERSION_1 | VERSION_2))
		return "a record has an unknown version";
	if (memcmp(p + 304, l->x->sb.uuid, sizeof(l->x->sb.uuid)) != 0)
		return "a record belongs to another filesystem";
	if (get_be32(p + 300) != FMT_LE)
		return "it was written by a big-endian machine";
	if (rec.len > LOG_RECORD_MAX || size > LOG_RECORD_MAX)
		return "a record is too long";
	/* mkfs writes a single long record though it says its buffers are short. */
	size = rec.len > size && rec.ops == 1 ? rec.len : size;
	if (version & VERSION_2 && size > LOG_HEADER_DATA)
		rec.headers = (size + LOG_HEADER_DATA - 1) / LOG_HEADER_DATA;
	if (rec.len > rec.headers * LOG_HEADER_DATA)
		return "a record is longer than its header allows";
	rec.blocks = rec.headers + (rec.len + XFS_BB - 1) / XFS_BB;
	if (rec.blocks > l->blocks)
		return "a record is longer than the log";
	*ret = rec;
	return NULL;
}

/* Over the headers as they are in memory (328 bytes; 324 of a 32-bit kernel), of the further ones those the payload needs, and
 * the payload with its cycle stamps. */
static bool csum_fits(const uint8_t *raw, const struct log_record *rec, size_t header)
{
	enum { CRC_OFF = 32, EXT_HEADER = 260 };
	static const uint8_t zero[4];
	uint32_t crc = crc32c(UINT32_MAX, raw, CRC_OFF);
	crc = crc32c(crc, zero, sizeof(zero));
	crc = crc32c(crc, raw + CRC_OFF + 4, header - CRC_OFF - 4);
	for (uint32_t i = 1; i * LOG_HEADER_DATA < rec->len; i++)
		crc = crc32c(crc, raw + (size_t)i * XFS_BB, EXT_HEADER);
	crc = crc32c(crc, raw + (size_t)rec->headers * XFS_BB, rec->len);
	return xfs_crc_equal(~crc, get_le32(raw + CRC_OFF));
}

static const char *check(const struct xfs_log *l, const uint8_t *raw, const struct log_record *rec)
{
	/* What goes on at the start of the ring belongs to the next round. */
	for (uint32_t i = 1; i < rec->blocks; i++)
		if (log_cycle(raw + (size_t)i * XFS_BB) != rec->cycle + (rec->blk + i >= l->blocks ? 1 : 0))
			return "a record is not complete";
	if (get_le32(raw + 32) && !csum_fits(raw, rec, 328) && !csum_fits(raw, rec, 324))
		return "the checksum of a record is wrong";
	return NULL;
}

/* Puts the words back that the cycle stamps took the place of. */
static void unpack(uint8_t *raw, const struct log_record *rec)
{
	enum { PER_HEADER = LOG_HEADER_DATA / XFS_BB };
	for (uint32_t i = 0; i < rec->blocks - rec->headers; i++) {
		const uint8_t *words = i < PER_HEADER ? raw + 44 : raw + (size_t)(i / PER_HEADER) * XFS_BB + 4;
		memcpy(raw + (size_t)(rec->headers + i) * XFS_BB, words + (size_t)(i % PER_HEADER) * 4, 4);
	}
}

int log_record(struct xfs_log *l, uint32_t blk, struct log_record *ret, const char **ret_bad, struct err *e)
{
	struct log_record rec;
	int r = log_read(l, blk, 1, l->raw, e);
	if (r < 0)
		return r;
	*ret_bad = log_header(l, l->raw, blk, &rec);
	if (*ret_bad)
		return 0;
	r = log_read(l, blk, rec.blocks, l->raw, e);
	if (r < 0)
		return r;
	*ret_bad = check(l, l->raw, &rec);
	if (*ret_bad)
		return 0;
	unpack(l->raw, &rec);
	rec.data = l->raw + (size_t)rec.headers * XFS_BB;
	*ret = rec;
	return 0;
}
