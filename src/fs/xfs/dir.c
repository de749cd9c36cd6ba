#include "fs/xfs/xfs.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const module = "xfs";

static bool is_dot(const struct xfs_dent *d)
{
	return (d->len == 1 && d->name[0] == '.') || (d->len == 2 && d->name[0] == '.' && d->name[1] == '.');
}

int xfs_check_child(const struct xfs_dir *d, uint64_t ino, struct err *e)
{
	const struct xfs_super *sb = &d->x->sb;
	if (xfs_ino_nameable(sb, ino) && ino != sb->rootino && ino != d->ino)
		return 0;
	return err_set(e, ERR_FILE_CORRUPT, module, "the name leads to inode %" PRIu64 ", which it cannot", ino);
}

struct lister {
	struct xfs_dir dir;
	fs_dirent_fn *fn;
	void *arg;
};

static int list_damage(const struct lister *l, const struct xfs_dent *d)
{
	char name[64];
	int len = snprintf(name, sizeof(name), "(damaged directory block before %" PRIu64 ")", d->next);
	struct fs_dirent de = {.name = name, .name_len = (size_t)len, .next = d->next, .broken = d->damage};
	return l->fn(l->arg, &de);
}

static int list_entry(void *arg, const struct xfs_dent *d)
{
	const struct lister *l = arg;
	if (!d->name)
		return list_damage(l, d);
	if (is_dot(d))
		return 0;
	struct err why = ERR_INIT;
	struct fs_dirent de = {
		.name = (const char *)d->name,
		.name_len = d->len,
		.id = {.ino = d->ino},
		.type = fs_type_from_ftype(d->ftype),
		.next = d->next,
	};
	if (xfs_check_child(&l->dir, d->ino, &why) < 0)
		de.broken = &why;
	return l->fn(l->arg, &de);
}

int xfs_readdir(struct fs *fs, struct fs_id id, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e)
{
	struct lister l = {.fn = fn, .arg = arg};
	int r = xfs_dir_open(&l.dir, xfs_of(fs), id, e);
	if (r < 0)
		return r;
	r = xfs_dir_scan(&l.dir, cookie, list_entry, &l, e);
	xfs_dir_close(&l.dir);
	return r;
}
