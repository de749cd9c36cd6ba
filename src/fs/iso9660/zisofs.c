/* zisofs: a header, a table of where each block of the file begins (one more than there are blocks: the last is where they end),
 * and the blocks, each a zlib stream of its own; one of no bytes is all zero. Version 1 after the files of zisofs-tools, version 2
 * after those of libisofs: 64-bit numbers, larger blocks. */
#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <libdeflate.h>

enum {
	MAGIC_LEN = 8,
	HEADER1 = 16,
	HEADER2 = 24,
	V2_ZLIB = 1,
	NO_BLOCK = -1,
};

static const uint8_t magic1[MAGIC_LEN] = {0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07};
static const uint8_t magic2[MAGIC_LEN] = {0xef, 0x22, 0x55, 0xa1, 0xbc, 0x1b, 0x95, 0xa0};

struct iso_zisofs {
	struct iso_zf zf;
	unsigned pointer;            /* bytes of a number of the table */
	size_t packed_max;           /* bytes a block can have at most; larger ones no zlib writes */
	int64_t block;               /* in `plain`, or NO_BLOCK */
	uint8_t *packed, *plain;     /* owned */
	struct libdeflate_decompressor *inflate;     /* owned */
};

void iso_zisofs_close(struct iso_zisofs *z)
{
	if (!z)
		return;
	libdeflate_free_decompressor(z->inflate);
	free(z->packed);
	free(z->plain);
	free(z);
}

/* The header says again what the directory said. */
static int check_header(struct iso_file *f, const struct iso_zf *zf, struct err *e)
{
	uint8_t h[HEADER2] = {0};
	size_t len = zf->version == 1 ? HEADER1 : HEADER2;
	int r = iso_stored_read(f, 0, h, len, e);
	if (r < 0)
		return r;
	bool fits = zf->version == 1 ? memcmp(h, magic1, MAGIC_LEN) == 0 && get_le32(h + 8) == zf->size &&
	                                       h[12] * 4u == zf->header_size && h[13] == zf->block_shift :
	                               memcmp(h, magic2, MAGIC_LEN) == 0 && h[8] == 0 && get_le64(h + 12) == zf->size &&
	                                       h[9] * 4u == zf->header_size && h[11] == zf->block_shift;
	if (!fits || zf->header_size < len)
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "the header of the compressed file is not as its directory entry says");
	if (zf->version == 2 && h[10] != V2_ZLIB)
		return err_set(e, ERR_FILE_UNSUPPORTED, "iso9660", "the file's compression kind %u is not known", h[10]);
	return 0;
}

static int check_table(const struct iso_file *f, const struct iso_zisofs *z, struct err *e)
{
	uint64_t block = UINT64_C(1) << z->zf.block_shift;
	uint64_t blocks = z->zf.size / block + (z->zf.size % block != 0), len;
	if (!u64_mul(blocks + 1, z->pointer, &len) || !range_inside(z->zf.header_size, len, f->stored))
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "the compressed file is too short for its %" PRIu64 " blocks", blocks);
	return 0;
}

int iso_zisofs_open(struct iso_file *f, const struct iso_zf *zf, struct iso_zisofs **ret, struct err *e)
{
	int r = check_header(f, zf, e);
	if (r < 0)
		return r;
	struct iso_zisofs *z = calloc(1, sizeof(*z));
	if (!z)
		return err_no_memory(e, "iso9660");
	size_t block = (size_t)1 << zf->block_shift;
	z->zf = *zf;
	z->pointer = zf->version == 1 ? 4 : 8;
	z->packed_max = 2 * block;
	z->block = NO_BLOCK;
	r = check_table(f, z, e);
	if (r < 0) {
		iso_zisofs_close(z);
		return r;
	}
	*ret = z;
	return 0;
}

/* The memory, when it is first needed. */
static int prepare(struct iso_zisofs *z, struct err *e)
{
	if (!z->inflate)
		z->inflate = libdeflate_alloc_decompressor();
	if (!z->plain)
		z->plain = malloc((size_t)1 << z->zf.block_shift);
	if (!z->packed)
		z->packed = malloc(z->packed_max);
	return z->inflate && z->plain && z->packed ? 0 : err_no_memory(e, "iso9660");
}

static int unpack(struct iso_file *f, int64_t block, struct err *e)
{
	struct iso_zisofs *z = f->z;
	uint64_t at = (uint64_t)block << z->zf.block_shift;
	size_t want = (size_t)min_u64(UINT64_C(1) << z->zf.block_shift, z->zf.size - at), got = 0;
	uint8_t raw[16];
	int r = iso_stored_read(f, z->zf.header_size + (uint64_t)block * z->pointer, raw, 2u * z->pointer, e);
	if (r < 0)
		return r;
	uint64_t start = z->pointer == 4 ? get_le32(raw) : get_le64(raw);
	uint64_t end = z->pointer == 4 ? get_le32(raw + 4) : get_le64(raw + 8);
	if (end < start || end - start > z->packed_max)
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "the compressed block at %" PRIu64 " lies nowhere it could", at);
	r = prepare(z, e);
	if (r < 0)
		return r;
	z->block = NO_BLOCK;
	size_t len = (size_t)(end - start);
	if (len == 0) {
		memset(z->plain, 0, want);
	} else {
		r = iso_stored_read(f, start, z->packed, len, e);
		if (r < 0)
			return r;
		if (libdeflate_zlib_decompress_ex(z->inflate, z->packed, len, z->plain, want, NULL, &got) != LIBDEFLATE_SUCCESS ||
		    got != want)
			return err_set(e, ERR_FILE_CORRUPT, "iso9660", "the compressed block at %" PRIu64 " is damaged", at);
	}
	z->block = block;
	return 0;
}

int iso_zisofs_read(struct iso_file *f, uint64_t off, uint8_t *to, size_t len, struct err *e)
{
	struct iso_zisofs *z = f->z;
	while (len > 0) {
		int64_t block = (int64_t)(off >> z->zf.block_shift);
		if (block != z->block) {
			int r = unpack(f, block, e);
			if (r < 0)
				return r;
		}
		size_t size = (size_t)1 << z->zf.block_shift, in = (size_t)(off & (size - 1)), n = min_size(len, size - in);
		memcpy(to, z->plain + in, n);
		to += n;
		off += n;
		len -= n;
	}
	return 0;
}
