/* Extended header records of a tar entry (POSIX.1-2017 pax), and the one octal-field check. */
#ifndef ARCHIVE_PAX_H
#define ARCHIVE_PAX_H

#include "archive/archive.h"
#include "base/buf.h"

enum {
	PAX_MAX = 1 << 20,                       /* all records of one entry */
	TAR_OCTAL7 = 07777777,                   /* largest number in a field of 8 bytes */
};
#define TAR_OCTAL11 UINT64_C(077777777777)       /* … of 12 bytes */

/* "LEN KEY=VALUE\n" */
void pax_record(struct buf *b, const char *key, const void *value, size_t len);
void pax_number(struct buf *b, const char *key, uint64_t v);
/* Seconds with as many decimals as needed; times before 1970 are negative. */
void pax_time(struct buf *b, const char *key, int64_t sec, uint32_t nsec);
/* SCHILY.xattr.* of every attribute; of POSIX ACLs SCHILY.acl.* text as well, which GNU tar wants. */
void pax_xattrs(struct buf *b, const struct archive_xattr *x, size_t count);

#endif
