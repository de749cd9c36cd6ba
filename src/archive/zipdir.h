/* The central directory of a zip while the entries go by: records gather in a buffer of ZIPDIR_RAW bytes and are packed
 * by deflate when it is full. Measured on /usr/include: 98 bytes an entry, 19 packed, so 20,000 files take about 400 KiB. ERR_LIMIT past ZIPDIR_PACKED_MAX bytes or ZIPDIR_ENTRIES_MAX entries.
 */
#ifndef ARCHIVE_ZIPDIR_H
#define ARCHIVE_ZIPDIR_H

#include "archive/deflate.h"
#include "archive/out.h"
#include "base/buf.h"

enum {
	ZIPDIR_RAW = 64 << 10,
	ZIPDIR_RECORD_MAX = 68 << 10,                    /* one record: names and extra fields are 16-bit */
	ZIPDIR_PACKED_MAX = 256 << 20,
	ZIPDIR_ENTRIES_MAX = 10 * 1000 * 1000,
};

struct zipdir_chunk;

struct zipdir {
	struct buf raw;
	struct zipdir_chunk *first, *last;
	struct deflate *deflate;
	uint64_t packed;                 /* bytes in chunks */
	uint64_t entries;
};

int zipdir_init(struct zipdir *d, struct err *e);
void zipdir_release(struct zipdir *d);
int zipdir_add(struct zipdir *d, const void *record, size_t len, struct err *e);
int zipdir_write(struct zipdir *d, struct out *o, struct err *e);

#endif
