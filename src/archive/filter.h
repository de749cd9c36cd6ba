/* What a tar stream passes through: nothing, gzip (one member, RFC 1952), or zstd (one frame with checksum, RFC 8878).
 *
 * zstd: level 1, window 512 KiB; with n > 1 threads n - 1 of libzstd's own workers, in jobs of 512 KiB.
 */
#ifndef ARCHIVE_FILTER_H
#define ARCHIVE_FILTER_H

#include "archive/out.h"

struct filter;

/* `o` stays the caller's. */
int filter_open(enum archive_format f, unsigned threads, struct out *o, struct filter **ret, struct err *e);
int filter_write(struct filter *f, const void *p, size_t len, struct err *e);
int filter_finish(struct filter *f, struct err *e);      /* end of stream; does not flush `o` */
void filter_close(struct filter *f);

#endif
