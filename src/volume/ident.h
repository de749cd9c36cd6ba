/* ident: names what a block source holds by its magic numbers, for everything known to the table,
 * readable or not. The names are libblkid's. */
#ifndef VOLUME_IDENT_H
#define VOLUME_IDENT_H

#include "volume/volume.h"

/* > 0: known, *ret filled (type, label and uuid where cheap; supported = false). 0: not known.
 * < 0: the source failed. */
int ident_probe(struct blk *b, struct volume_content *ret, struct err *e);

/* The same for members of Linux arrays only: they are asked before filesystems, since what begins at the start of a
 * member is the array's, of which the member may hold one stripe in three. */
int ident_probe_array(struct blk *b, struct volume_content *ret, struct err *e);

/* "BitLocker", "LVM physical volume", …: a sentence part for people; the type itself where there is none. */
const char *ident_human_name(const char *type);

#endif
