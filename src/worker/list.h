/* list: what LIST and SEARCH share. */
#ifndef WORKER_LIST_H
#define WORKER_LIST_H

#include "fs/fs.h"

/* Appends one record of a listing; why: set for an entry that cannot be used (then st is not looked at). */
void list_put_entry(struct buf *b, struct fs *fs, const char *name, size_t name_len, enum fs_type type,
                    struct fs_id id, const struct fs_stat *st, const struct err *why);

#endif
