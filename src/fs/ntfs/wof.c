/* Files compressed by the Windows Overlay Filter: the unnamed stream is a hole of the file's size, the reparse
 * point says how, and the stream WofCompressedData holds a table of chunk ends (of all chunks but the last,
 * counted from behind the table; 4 bytes each, 8 for files beyond 4 GiB) and the chunks. A chunk as long as what
 * it stands for is stored plainly. */
#include "fs/ntfs/ntfs.h"

#include "fs/ntfs/decompress.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	WOF_VERSION = 1,
	WOF_PROVIDER_WIM = 1,
	WOF_PROVIDER_FILE = 2,
	FILE_PROVIDER_VERSION = 1,
	TABLE_PIECE = 512,               /* entries of the table read at once */
};

struct algorithm {
	const char *name;
	uint32_t chunk_size;
	bool (*decompress)(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len);
};

/* FILE_PROVIDER_COMPRESSION_*, wofapi.h */
static const struct algorithm algorithms[] = {
	{"XPRESS4K", 4096, xpress_decompress},
	{"LZX", 32768, lzx_decompress},
	{"XPRESS8K", 8192, xpress_decompress},
	{"XPRESS16K", 16384, xpress_decompress},
};

enum { ALGORITHMS = sizeof(algorithms) / sizeof(*algorithms) };

struct ntfs_wof {
	struct ntfs_stream s;
	const struct algorithm *how;
	uint64_t size;               /* of the file */
	uint64_t chunks;
	unsigned entry;              /* bytes of a table entry */
	uint64_t table_size;
	uint64_t piece;              /* which piece of the table is held; UINT64_MAX: none */
	uint8_t table[TABLE_PIECE * 8];
	uint64_t at;                 /* which chunk `out` holds; UINT64_MAX: none */
	uint8_t *out, *packed;       /* owned, chunk_size bytes each */
};

static int check_reparse(const struct ntfs_reparse *rp, const struct algorithm **ret, struct err *e)
{
	struct rdr r = rdr_init(rp->data, rp->len);
	uint32_t version = rdr_le32(&r), provider = rdr_le32(&r);
	uint32_t provider_version = rdr_le32(&r), method = rdr_le32(&r);
	if (version == WOF_VERSION && provider == WOF_PROVIDER_WIM)
		return err_set(e, ERR_FILE_UNSUPPORTED, "ntfs", "the file's bytes are in a WIM archive (WIMBoot)");
	if (r.bad || version != WOF_VERSION || provider != WOF_PROVIDER_FILE ||
	    provider_version != FILE_PROVIDER_VERSION)
		return err_set(e, ERR_FILE_UNSUPPORTED, "ntfs",
		               "the file is kept by an overlay provider of unknown kind %" PRIu32,
		               provider);
	if (method >= ALGORITHMS)
		return err_set(e, ERR_FILE_UNSUPPORTED, "ntfs",
		               "the file is compressed by unknown overlay method %" PRIu32, method);
	*ret = &algorithms[method];
	return 0;
}

static int prepare(struct ntfs_wof *w, struct err *e)
{
	if (w->s.flags & NTFS_ATTR_ENCRYPTED)
		return err_set(e, ERR_FILE_ENCRYPTED, "ntfs", "the file is encrypted (EFS)");
	if (w->s.flags & NTFS_ATTR_COMPRESSED)
		return err_set(e, ERR_FILE_UNSUPPORTED, "ntfs", "the file is compressed twice");
	w->entry = w->size > UINT32_MAX ? 8 : 4;
	w->chunks = w->size / w->how->chunk_size + (w->size % w->how->chunk_size != 0);
	w->table_size = w->chunks > 0 ? (w->chunks - 1) * w->entry : 0;
	if (w->table_size > w->s.size)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "the file's table of %s chunks is cut off", w->how->name);
	w->out = malloc(w->how->chunk_size);
	w->packed = malloc(w->how->chunk_size);
	return w->out && w->packed ? 0 : err_no_memory(e, "ntfs");
}

int ntfs_wof_open(struct ntfs_inode *ino, const struct ntfs_reparse *rp, uint64_t size, struct ntfs_wof **ret,
                  struct err *e)
{
	const struct algorithm *how = NULL;
	int r = check_reparse(rp, &how, e);
	if (r < 0)
		return r;
	struct ntfs_wof *w = calloc(1, sizeof(*w));
	if (!w)
		return err_no_memory(e, "ntfs");
	w->how = how;
	w->size = size;
	w->at = w->piece = UINT64_MAX;
	r = ntfs_stream_open_ascii(ino, NTFS_AT_DATA, "WofCompressedData", &w->s, e);
	if (r == 0)
		r = err_set(e, ERR_FILE_CORRUPT, "ntfs",
		            "the file is %s-compressed, but its compressed stream is missing", how->name);
	if (r > 0)
		r = prepare(w, e);
	if (r < 0) {
		ntfs_wof_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

void ntfs_wof_close(struct ntfs_wof *w)
{
	if (!w)
		return;
	ntfs_stream_close(&w->s);
	free(w->out);
	free(w->packed);
	free(w);
}

/* Entry i of the table: where chunk i ends and i + 1 starts. */
static int table_entry(struct ntfs_wof *w, uint64_t i, uint64_t *ret, struct err *e)
{
	uint64_t piece = i / TABLE_PIECE, off = piece * TABLE_PIECE * w->entry;
	if (w->piece != piece) {
		w->piece = UINT64_MAX;
		size_t len = (size_t)min_u64((uint64_t)TABLE_PIECE * w->entry, w->table_size - off);
		int r = ntfs_stream_read(&w->s, off, w->table, len, e);
		if (r < 0)
			return r;
		w->piece = piece;
	}
	const uint8_t *p = w->table + i % TABLE_PIECE * w->entry;
	*ret = w->entry == 8 ? get_le64(p) : get_le32(p);
	return 0;
}

static int read_chunk(struct ntfs_wof *w, uint64_t i, uint8_t *to, size_t len, struct err *e)
{
	uint64_t start = 0, end = w->s.size - w->table_size;
	int r = i > 0 ? table_entry(w, i - 1, &start, e) : 0;
	if (r == 0 && i + 1 < w->chunks)
		r = table_entry(w, i, &end, e);
	if (r < 0)
		return r;
	if (start > end || end > w->s.size - w->table_size || end - start > len)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs",
		               "the file's table of %s chunks is damaged at chunk %" PRIu64,
		               w->how->name, i);
	size_t packed = (size_t)(end - start);
	bool plain = packed == len;
	r = ntfs_stream_read(&w->s, w->table_size + start, plain ? to : w->packed, packed, e);
	if (r < 0 || plain)
		return r;
	if (!w->how->decompress(w->packed, packed, to, len))
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "the file's %s chunk %" PRIu64 " is damaged", w->how->name,
		               i);
	return 0;
}

int ntfs_wof_read(struct ntfs_wof *w, uint64_t off, void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	while (len > 0) {
		uint64_t i = off / w->how->chunk_size;
		size_t inside = (size_t)(off % w->how->chunk_size);
		size_t whole = (size_t)min_u64(w->how->chunk_size, w->size - i * w->how->chunk_size);
		size_t n = min_size(len, whole - inside);
		if (n == whole) {
			int r = read_chunk(w, i, p, whole, e);
			if (r < 0)
				return r;
		} else {
			if (w->at != i) {
				w->at = UINT64_MAX;
				int r = read_chunk(w, i, w->out, whole, e);
				if (r < 0)
					return r;
				w->at = i;
			}
			memcpy(p, w->out + inside, n);
		}
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}
