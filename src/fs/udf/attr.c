/* What an entry says of its file: times, permissions, and of the extended attributes (ECMA 4/14.10) those that have a
 * meaning here: a device's numbers, and the time of creation of an entry that has no field for it. */
#include "fs/udf/udf.h"

#include "base/clock.h"

enum {
	TIME_SIZE = 12,
	TIME_LOCAL = 1,
	ZONE_UNKNOWN = -2047,        /* minutes from UTC */
	ZONE_MAX = 1440,
	ID_NONE = -1,                /* an owner the medium does not tell, */
	ID_NOBODY = 65534,           /* which Linux shows so */
	FLAG_SETUID = 1 << 6,
	FLAG_SETGID = 1 << 7,
	FLAG_STICKY = 1 << 8,
	ATTRS_HEADER = 24,
	ATTR_HEADER = 12,
	ATTR_TIMES = 5,
	ATTR_DEVICE = 12,
	TIMES_CREATION = 1 << 0,
};

bool udf_time(const uint8_t p[TIME_SIZE], struct fs_time *ret)
{
	unsigned stamp = get_le16(p), kind = stamp >> 12;
	int zone = (int)(stamp & 0xfff);
	zone = zone >= 2048 ? zone - 4096 : zone;
	if (kind != TIME_LOCAL || zone == ZONE_UNKNOWN || zone < -ZONE_MAX || zone > ZONE_MAX)
		zone = 0;
	if (p[4] < 1 || p[4] > 12 || p[5] < 1 || p[5] > 31 || p[6] > 23 || p[7] > 59 || p[8] > 60)
		return false;
	struct clock_civil c = {(int16_t)get_le16(p + 2), p[4], p[5], p[6], p[7], p[8]};
	ret->sec = clock_from_civil(&c) - 60 * (int64_t)zone;
	ret->nsec = 0;
	/* Hundredths, hundreds of microseconds, microseconds: where one cannot be, none is meant. */
	if (p[9] < 100 && p[10] < 100 && p[11] < 100)
		ret->nsec = 1000 * (10000u * p[9] + 100u * p[10] + p[11]);
	return true;
}

/* The next extended attribute: its kind, or 0 at the end. */
static uint32_t next_attr(struct rdr *r, struct rdr *ret)
{
	uint32_t type = rdr_le32(r);
	rdr_skip(r, 4);
	uint32_t len = rdr_le32(r);
	if (r->bad || len < ATTR_HEADER)
		return 0;
	const uint8_t *p = rdr_take(r, len - ATTR_HEADER);
	if (!p)
		return 0;
	*ret = rdr_init(p, len - ATTR_HEADER);
	return type;
}

static void take_attr(uint32_t type, struct rdr *a, struct fs_stat *st)
{
	uint32_t len = rdr_le32(a), first = rdr_le32(a);
	(void)len;
	if (type == ATTR_DEVICE) {
		uint32_t minor = rdr_le32(a);
		if (!a->bad) {
			st->rdev_major = first;
			st->rdev_minor = minor;
		}
	} else if (type == ATTR_TIMES && (first & TIMES_CREATION) && !(st->valid & FS_HAS_BTIME)) {
		const uint8_t *p = rdr_take(a, TIME_SIZE);
		if (p && udf_time(p, &st->btime))
			st->valid |= FS_HAS_BTIME;
	}
}

static void take_attrs(const struct udf_inode *n, struct fs_stat *st)
{
	const uint8_t *p = n->block + n->attrs_off;
	if (n->attrs_len <= ATTRS_HEADER || udf_tag_id(p, n->attrs_len) != UDF_TAG_ATTRS)
		return;
	struct rdr r = rdr_init(p + ATTRS_HEADER, n->attrs_len - ATTRS_HEADER);
	struct rdr a;
	for (uint32_t type; rdr_left(&r) > 0 && (type = next_attr(&r, &a)) != 0;)
		take_attr(type, &a, st);
}

static uint32_t mode_of(const struct udf_inode *n)
{
	/* Five bits each for others, group and owner; the lower three as Unix has them. */
	uint32_t p = n->permissions, mode = (p & 7) | (p >> 2 & 070) | (p >> 4 & 0700);
	if (n->flags & FLAG_SETUID)
		mode |= 04000;
	if (n->flags & FLAG_SETGID)
		mode |= 02000;
	if (n->flags & FLAG_STICKY)
		mode |= 01000;
	return mode;
}

static void take_time(const uint8_t *p, uint32_t bit, struct fs_time *to, uint32_t *valid)
{
	if (p && udf_time(p, to))
		*valid |= bit;
}

int udf_inode_stat(struct udf *u, const struct udf_inode *n, struct fs_stat *ret, struct err *e)
{
	struct fs_stat st = {
		.id = {.ino = n->at.block, .tree = n->at.part},
		.type = udf_inode_type(n),
		.valid = FS_HAS_MODE,
		.mode = mode_of(n),
		.uid = n->uid == (uint32_t)ID_NONE ? ID_NOBODY : n->uid,
		.gid = n->gid == (uint32_t)ID_NONE ? ID_NOBODY : n->gid,
		/* A directory's own "." is no link of UDF, but Linux counts it. */
		.nlink = n->links + (uint64_t)(n->type == UDF_TYPE_DIRECTORY),
		.size = n->size,
	};
	if (st.type == FS_UNKNOWN)
		return err_set(e, ERR_FILE_CORRUPT, "udf", "the file's kind %u is none that a directory may hold", n->type);
	if (!u64_mul(n->blocks, u->vol.block, &st.allocated))
		st.allocated = 0;
	take_time(n->mtime, FS_HAS_MTIME, &st.mtime, &st.valid);
	take_time(n->atime, FS_HAS_ATIME, &st.atime, &st.valid);
	take_time(n->ctime, FS_HAS_CTIME, &st.ctime, &st.valid);
	take_time(n->btime, FS_HAS_BTIME, &st.btime, &st.valid);
	take_attrs(n, &st);
	if (st.type == FS_SYMLINK) {
		CLEANUP(buf_free) struct buf target = BUF_INIT(FS_LINK_MAX);
		int r = udf_readlink_inode(u, n, &target, e);
		if (r < 0)
			return r;
		st.size = target.len;
	}
	*ret = st;
	return 0;
}
