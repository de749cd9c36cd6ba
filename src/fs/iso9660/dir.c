#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"

#include <inttypes.h>

int iso_dir_open(struct iso_fs *x, struct fs_id id, uint64_t at, struct iso_dir *ret, struct err *e)
{
	struct iso_entry n;
	if (id.tree != ISO_TREE_DIR)
		return err_set(e, ERR_NOT_DIRECTORY, "iso9660", "this is not a directory");
	int r = iso_entry_get(x, id, NULL, &n, e);
	if (r < 0)
		return r;
	uint64_t room = min_u64(x->fs.blk->size - id.ino, ISO_DIR_SIZE_MAX);
	*ret = (struct iso_dir){.id = id, .at = at, .size = min_u64(n.st.size, room), .cut = n.st.size > room};
	return 0;
}

/* A directory that cannot be entered is broken, too. */
static void judge_directory(const struct iso_fs *x, const struct iso_dir *d, struct iso_entry *n)
{
	if (n->broken.code || n->st.type != FS_DIRECTORY)
		return;
	if (!range_inside(n->id.ino, ISO_RECORD_MIN, x->fs.blk->size))
		err_set(&n->broken, ERR_FILE_CORRUPT, "iso9660", "the directory would lie at %" PRIu64 ", beyond the volume's end",
		        n->id.ino);
	else if (n->id.ino == d->id.ino || n->id.ino == x->root)
		err_set(&n->broken, ERR_FILE_CORRUPT, "iso9660", "the directory holds itself");
}

int iso_dir_next(struct iso_fs *x, struct iso_dir *d, struct iso_entry *ret, struct err *e)
{
	while (d->at < d->size) {
		int r = iso_entry_read(x, d->id.ino + d->at, NULL, ret, e);
		if (r < 0)
			return r;
		d->at = ret->next - d->id.ino;
		if (r != ISO_ENTRY || ret->itself)
			continue;
		judge_directory(x, d, ret);
		return 1;
	}
	if (d->cut)
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "the directory goes on where it cannot be read, behind %" PRIu64 " bytes",
		               d->size);
	return 0;
}
