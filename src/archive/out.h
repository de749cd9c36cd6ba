/* The last stage before the sink: gathers small writes, counts the bytes, stops at the first failure.
 *
 * Threads: used by the thread that drives the archive only.
 */
#ifndef ARCHIVE_OUT_H
#define ARCHIVE_OUT_H

#include "archive/archive.h"

enum { OUT_BUFFER = 64 << 10 };

struct out {
	struct archive_sink sink;
	uint64_t total;              /* bytes accepted so far: the offset of the next one */
	size_t len;
	uint8_t *data;               /* OUT_BUFFER */
};

int out_init(struct out *o, const struct archive_sink *sink, struct err *e);
void out_release(struct out *o);
int out_write(struct out *o, const void *p, size_t len, struct err *e);
int out_flush(struct out *o, struct err *e);

#endif
