#include "fs/btrfs/btrfs.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const module = "btrfs";

enum {
	DEV_ITEM_SIZE = 98,
	NAMED_MAX = 6,               /* missing devices in a warning */
};

/* --- the devices at hand -------------------------------------------------------------------------- */

static struct btrfs_device *find(const struct btrfs_fs *x, uint64_t devid, const uint8_t *uuid)
{
	for (unsigned i = 0; i < x->device_count; i++)
		if (x->devices[i].devid == devid && memcmp(x->devices[i].uuid, uuid, 16) == 0)
			return &x->devices[i];
	return NULL;
}

static struct btrfs_device *append(struct btrfs_fs *x, uint64_t devid, const uint8_t *uuid, struct err *e)
{
	if (x->device_count == BTRFS_DEVICES_MAX) {
		(void)err_set(e, ERR_LIMIT, module, "the filesystem lies on more than %d devices", BTRFS_DEVICES_MAX);
		return NULL;
	}
	struct btrfs_device *p = realloc(x->devices, (x->device_count + 1) * sizeof(*p));
	if (!p) {
		(void)err_no_memory(e, module);
		return NULL;
	}
	x->devices = p;
	p += x->device_count++;
	*p = (struct btrfs_device){.devid = devid, .age = BTRFS_MISSING};
	memcpy(p->uuid, uuid, 16);
	return p;
}

static void fill(struct btrfs_device *d, struct blk *b, const struct btrfs_super *s, bool seed)
{
	blk_unref(d->blk);
	d->blk = blk_ref(b);
	d->generation = s->generation;
	d->root = s->root;
	memcpy(d->meta_fsid, s->meta_fsid, 16);
	d->age = BTRFS_CURRENT;
	d->seed = seed;
}

/* Two states of one device: the newer one counts. */
static bool replaces(struct btrfs_fs *x, const struct btrfs_device *d, const struct btrfs_super *s)
{
	bool newer = s->generation > d->generation;
	fs_warn(&x->fs, "device %" PRIu64 " of this btrfs is there twice, in generations %" PRIu64 " and %" PRIu64 ": %s counts",
	        d->devid, d->generation, s->generation, s->generation == d->generation ? "the first one" : "the newer one");
	return newer;
}

static int take(struct btrfs_fs *x, struct blk *b, const struct btrfs_super *s, const struct err *why, struct err *e)
{
	bool first = x->device_count == 0, same = first || memcmp(s->fsid, x->sb.fsid, 16) == 0;
	if (!same && !(s->flags & BTRFS_SEEDING))
		return 0;
	struct btrfs_device *d = find(x, s->devid, s->dev_uuid);
	if (d && !replaces(x, d, s))
		return 0;
	if (!d)
		d = append(x, s->devid, s->dev_uuid, e);
	if (!d)
		return e->code;
	fill(d, b, s, !same);
	if (same && why->code)
		fs_warn(&x->fs, "%s; a copy of it was used", why->msg);
	if (same && b->size < s->dev_bytes)
		fs_warn(&x->fs, "the filesystem is longer than its device %" PRIu64
		        ": what lies behind the end cannot be read", s->devid);
	if (first || (same && s->generation > x->sb.generation))
		x->sb = *s;
	return 0;
}

static int take_first(struct btrfs_fs *x, struct err *e)
{
	struct btrfs_super s;
	struct err why = ERR_INIT;
	int r = btrfs_super_find(x->fs.blk, &s, &why, e);
	if (r == 1)
		return take(x, x->fs.blk, &s, &why, e);
	if (r < 0)
		return r;
	*e = why;
	return why.code ? why.code : err_set(e, ERR_FS_CORRUPT, module, "there is no superblock");
}

/* One more that cannot be read is one that is missing. */
static int take_other(struct btrfs_fs *x, struct blk *b, struct err *e)
{
	struct btrfs_super s;
	struct err why = ERR_INIT, failure = ERR_INIT;
	int r = btrfs_super_find(b, &s, &why, &failure);
	if (r == 1)
		return take(x, b, &s, &why, e);
	if (r == ERR_NO_MEMORY || r == ERR_CANCELLED) {
		*e = failure;
		return r;
	}
	if (r < 0)
		fs_warn(&x->fs, "a device that may belong to this btrfs cannot be read: %s", failure.msg);
	return 0;
}

/* Which of them wrote the newest superblock, and how far the others are behind it. */
static void judge(struct btrfs_fs *x)
{
	for (unsigned i = 0; i < x->device_count; i++) {
		struct btrfs_device *d = &x->devices[i];
		uint64_t behind = d->seed ? 0 : x->sb.generation - d->generation;
		if (behind > 0) {
			d->age = behind == 1 ? BTRFS_BEHIND : BTRFS_STALE;
			fs_warn(&x->fs, "device %" PRIu64 " of this btrfs is older than the others (generation %" PRIu64
			        ", not %" PRIu64 "): %s", d->devid, d->generation, x->sb.generation,
			        behind == 1 ? "it is read after them" : "it is read only where a checksum proves its bytes");
		} else if (!d->seed && d->root != x->sb.root) {
			d->age = BTRFS_STALE;
			fs_warn(&x->fs, "device %" PRIu64 " of this btrfs was changed apart from the others: it is read "
			        "only where a checksum proves its bytes", d->devid);
		}
	}
}

int btrfs_devices_open(struct btrfs_fs *x, struct blk *const *others, unsigned count, struct err *e)
{
	int r = take_first(x, e);
	for (unsigned i = 0; i < count && r == 0; i++)
		r = take_other(x, others[i], e);
	if (r == 0)
		judge(x);
	return r;
}

void btrfs_devices_close(struct btrfs_fs *x)
{
	for (unsigned i = 0; i < x->device_count; i++)
		blk_unref(x->devices[i].blk);
	free(x->devices);
	x->devices = NULL;
	x->device_count = 0;
}

int btrfs_device_find(struct btrfs_fs *x, uint64_t devid, const uint8_t uuid[16], uint32_t *ret, struct err *e)
{
	struct btrfs_device *d = find(x, devid, uuid);
	if (!d)
		d = append(x, devid, uuid, e);
	if (!d)
		return e->code;
	*ret = (uint32_t)(d - x->devices);
	return 0;
}

/* --- what the filesystem says of them ------------------------------------------------------------- */

static void warn_unlisted(struct btrfs_fs *x)
{
	for (unsigned i = 0; i < x->device_count; i++) {
		const struct btrfs_device *d = &x->devices[i];
		/* Number 0 is what a replacement writes to. */
		if (d->blk && !d->listed && !d->seed)
			fs_warn(&x->fs, "device %" PRIu64 " %s: it is not read", d->devid,
			        d->devid ? "is no longer a part of this btrfs" :
			                   "is the unfinished replacement of another one of this btrfs");
	}
}

int btrfs_devices_check(struct btrfs_fs *x, const struct btrfs_tree *chunk_tree, struct err *e)
{
	CLEANUP(buf_free) struct buf names = BUF_INIT(ERR_MSG_MAX);
	struct btrfs_cursor c = {0};
	unsigned all = 0, missing = 0;
	int r = btrfs_seek(&c, x, chunk_tree, (struct btrfs_key){BTRFS_DEV_ITEMS, BTRFS_DEV_ITEM, 0}, e);
	while (r == 1 && c.key.objectid == BTRFS_DEV_ITEMS && c.key.type == BTRFS_DEV_ITEM) {
		struct btrfs_device *d = c.len < DEV_ITEM_SIZE ? NULL : find(x, get_le64(c.data), c.data + 66);
		char uuid[BTRFS_UUID_TEXT] = "";
		all++;
		if (d)
			d->listed = true;
		if (c.len >= DEV_ITEM_SIZE && (!d || !d->blk) && missing++ < NAMED_MAX) {
			btrfs_uuid_text(c.data + 66, uuid);
			buf_addf(&names, "%sdevice %" PRIu64 ", UUID %s", missing > 1 ? "; " : "", get_le64(c.data), uuid);
		}
		r = btrfs_next(&c, e);
	}
	btrfs_cursor_done(&c);
	if (r < 0)
		return r;
	if (missing > 0)
		fs_warn(&x->fs, "%u of the %u devices of this btrfs %s missing (%s%s): what lies there alone cannot be read",
		        missing, all, missing == 1 ? "is" : "are", buf_str(&names), missing > NAMED_MAX ? "; …" : "");
	warn_unlisted(x);
	return 0;
}

/* --- reading -------------------------------------------------------------------------------------- */

int btrfs_device_usable(const struct btrfs_device *d, enum btrfs_use use, struct err *e)
{
	char uuid[BTRFS_UUID_TEXT];
	if (d->blk && (use != BTRFS_FOR_BYTES || d->age != BTRFS_STALE))
		return 0;
	btrfs_uuid_text(d->uuid, uuid);
	return err_set(e, ERR_VOLUME_INCOMPLETE, module, "the bytes lie on device %" PRIu64 " (UUID %s) of this btrfs, which %s",
	               d->devid, uuid, d->blk ? "is older than the others, and nothing tells whether they are good" :
	                                        "is missing");
}

int btrfs_device_read(const struct btrfs_device *d, uint64_t phys, enum btrfs_use use, void *to, size_t len, struct err *e)
{
	if (!range_inside(phys, len, d->blk->size))
		return err_set(e, ERR_FILE_CORRUPT, module, "the bytes lie behind the end of device %" PRIu64, d->devid);
	return use == BTRFS_FOR_NODE ? blk_read_once(d->blk, phys, to, len, e) : blk_read(d->blk, phys, to, len, e);
}

bool btrfs_fsid_known(const struct btrfs_fs *x, const uint8_t fsid[16])
{
	if (memcmp(fsid, x->sb.meta_fsid, 16) == 0)
		return true;
	for (unsigned i = 0; i < x->device_count; i++)
		if (x->devices[i].seed && memcmp(fsid, x->devices[i].meta_fsid, 16) == 0)
			return true;
	return false;
}
