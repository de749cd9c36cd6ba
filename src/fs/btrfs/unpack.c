/* More may come out than the extent is long: who writes compressed bytes (BTRFS_IOC_ENCODED_WRITE) may have them cut
 * off. */
#include "fs/btrfs/btrfs.h"

#include <libdeflate.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

static const char *const module = "btrfs";

enum { ZSTD_WINDOW_LOG = 17 };

/* Made when first needed. */
struct btrfs_unpacker {
	struct libdeflate_decompressor *zlib;
	ZSTD_DCtx *zstd;
};

void btrfs_unpacker_close(struct btrfs_unpacker *u)
{
	if (!u)
		return;
	if (u->zlib)
		libdeflate_free_decompressor(u->zlib);
	ZSTD_freeDCtx(u->zstd);
	free(u);
}

static int damaged(const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, module, "compressed bytes (%s) are damaged", what);
}

/* The first bytes of a stream, for which libdeflate is none. */
static int unpack_front(const uint8_t *from, size_t len, uint8_t *to, size_t to_len, struct err *e)
{
	z_stream z = {.next_in = from, .avail_in = (uInt)len, .next_out = to, .avail_out = (uInt)to_len};
	if (inflateInit(&z) != Z_OK)
		return err_no_memory(e, module);
	int r = inflate(&z, Z_SYNC_FLUSH);
	(void)inflateEnd(&z);
	return r == Z_OK && z.avail_out == 0 ? 0 : damaged("zlib", e);
}

static int unpack_zlib(struct btrfs_unpacker *u, const uint8_t *from, size_t len, uint8_t *to, size_t to_len,
                       size_t *ret_len, struct err *e)
{
	size_t used;
	if (!u->zlib)
		u->zlib = libdeflate_alloc_decompressor();
	if (!u->zlib)
		return err_no_memory(e, module);
	/* Behind the stream lie the zeroes that fill its last sector. */
	switch (libdeflate_zlib_decompress_ex(u->zlib, from, len, to, to_len, &used, ret_len)) {
	case LIBDEFLATE_SUCCESS: return 0;
	case LIBDEFLATE_INSUFFICIENT_SPACE:
		*ret_len = to_len;
		return unpack_front(from, len, to, to_len, e);
	default: return damaged("zlib", e);
	}
}

static int unpack_zstd(struct btrfs_unpacker *u, const uint8_t *from, size_t len, uint8_t *to, size_t to_len,
                       size_t *ret_len, struct err *e)
{
	if (!u->zstd)
		u->zstd = ZSTD_createDCtx();
	if (!u->zstd)
		return err_no_memory(e, module);
	(void)ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
	(void)ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	ZSTD_inBuffer in = {.src = from, .size = len};
	ZSTD_outBuffer out = {.dst = to, .size = to_len};
	for (;;) {
		size_t before = in.pos + out.pos, r = ZSTD_decompressStream(u->zstd, &out, &in);
		if (ZSTD_isError(r))
			return ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation ? err_no_memory(e, module) :
			                                                              damaged("zstd", e);
		if (r == 0 || out.pos == out.size)
			break;
		if (in.pos + out.pos == before)
			return damaged("zstd", e);
	}
	*ret_len = out.pos;
	return 0;
}

/* A segment unpacks to a sector, of which an inline extent may want less. */
static int unpack_lzo(uint32_t sector, const uint8_t *from, size_t len, uint8_t *to, size_t to_len, size_t *ret_len,
                      struct err *e)
{
	size_t room = (to_len + sector - 1) / sector * sector;
	if (!btrfs_lzo_unpack(sector, from, len, to, room, ret_len))
		return damaged("lzo", e);
	*ret_len = min_size(*ret_len, to_len);
	return 0;
}

int btrfs_unpack(struct btrfs_fs *x, uint8_t packing, const uint8_t *from, size_t len, uint8_t *to, size_t to_len,
                 struct err *e)
{
	size_t got = 0;
	int r = 0;
	if (!x->unpacker)
		x->unpacker = calloc(1, sizeof(*x->unpacker));
	if (!x->unpacker)
		return err_no_memory(e, module);
	switch (packing) {
	case BTRFS_ZLIB: r = unpack_zlib(x->unpacker, from, len, to, to_len, &got, e); break;
	case BTRFS_ZSTD: r = unpack_zstd(x->unpacker, from, len, to, to_len, &got, e); break;
	case BTRFS_LZO: r = unpack_lzo(x->sb.sector, from, len, to, to_len, &got, e); break;
	default: r = err_set(e, ERR_FILE_UNSUPPORTED, module, "the compression kind %u is not known", packing); break;
	}
	if (r < 0)
		return r;
	/* At the end of a file only its bytes were compressed; what is left of the last sector is zero. */
	memset(to + got, 0, to_len - got);
	return 0;
}
