#include "worker/worker.h"

#include "base/path.h"
#include "wire/entry.h"

#include <stdio.h>
#include <string.h>

_Static_assert((int)ENTRY_HAS_ATTRS == (int)FS_HAS_ATTRS && (int)ENTRY_HAS_MODE == (int)FS_HAS_MODE &&
                       (int)ENTRY_HAS_BTIME == (int)FS_HAS_BTIME,
               "the wire says what is known with the bits of fs.h");

enum {
	XATTR_ROOM = 24 << 10,           /* bytes of all values and names in one STAT_INFO */
	XATTR_VALUE_SHOWN = 4 << 10,     /* of one value; the whole goes into a tar */
	XATTRS_SHOWN = 128,
	STREAM_ROOM = 16 << 10,
	STREAMS_SHOWN = 128,
};

void entry_from_stat(struct wire_entry *en, const struct fs_stat *st)
{
	static const enum wire_entry_kind kinds[] = {
		[FS_UNKNOWN] = ENTRY_UNKNOWN, [FS_FILE] = ENTRY_FILE,   [FS_DIRECTORY] = ENTRY_DIRECTORY,
		[FS_SYMLINK] = ENTRY_SYMLINK, [FS_BLOCK] = ENTRY_BLOCK, [FS_CHAR] = ENTRY_CHAR,
		[FS_FIFO] = ENTRY_FIFO,       [FS_SOCKET] = ENTRY_SOCKET,
	};
	en->kind = kinds[st->type];
	en->flags = st->valid | (st->compressed ? ENTRY_COMPRESSED : 0) | (st->encrypted ? ENTRY_ENCRYPTED : 0);
	en->mode = st->mode & 07777;
	en->uid = st->uid;
	en->gid = st->gid;
	en->nlink = st->nlink;
	en->size = st->size;
	en->allocated = st->allocated;
	en->ino = st->id.ino;
	en->tree = st->id.tree;
	en->mtime = (struct wire_time){st->mtime.sec, st->mtime.nsec};
	en->atime = (struct wire_time){st->atime.sec, st->atime.nsec};
	en->ctime = (struct wire_time){st->ctime.sec, st->ctime.nsec};
	en->btime = (struct wire_time){st->btime.sec, st->btime.nsec};
	en->rdev_major = st->rdev_major;
	en->rdev_minor = st->rdev_minor;
	en->dos_attrs = st->dos_attrs;
}

int job_resolve(struct job *j, uint32_t volume, const char *path, size_t len, unsigned flags, struct fs **ret_fs,
                struct fs_id *ret_id, struct err *e)
{
	struct fs *fs;
	int r = disks_fs(&j->worker->disks, volume, &fs, e);
	if (r == 0)
		r = fs_resolve(fs, path, len, flags, ret_id, e);
	if (r == 0)
		*ret_fs = fs;
	return r;
}

/* The last component, or "/" for the root. */
static void last_component(const char *path, size_t len, struct wire_entry *en)
{
	en->name_len = len;
	en->name = path_last(path, &en->name_len);
	if (en->name_len == 0) {
		en->name = "/";
		en->name_len = 1;
	}
	if (en->name_len > ENTRY_NAME_MAX)
		en->name_len = ENTRY_NAME_MAX;
}

struct collect {
	struct buf *to;
	unsigned count, max;
	size_t room;
	bool cut;
};

static int collect_xattr(void *arg, const char *name, const void *value, size_t len)
{
	struct collect *c = arg;
	size_t shown = min_size(len, XATTR_VALUE_SHOWN);
	size_t name_len = strlen(name) + 1;
	if (c->count >= c->max || name_len + shown + 12 > c->room) {
		c->cut = true;
		return 0;
	}
	c->room -= name_len + shown + 12;
	c->count++;
	wire_put_str(c->to, name, name_len);
	wire_put_u32(c->to, (uint32_t)len);
	wire_put_str(c->to, value, shown);
	return 0;
}

static int collect_stream(void *arg, const char *name, size_t name_len, uint64_t size)
{
	struct collect *c = arg;
	if (c->count >= c->max || name_len + 12 > c->room) {
		c->cut = true;
		return 0;
	}
	c->room -= name_len + 12;
	c->count++;
	wire_put_str(c->to, name, name_len);
	wire_put_u64(c->to, size);
	return 0;
}

/* Attributes and streams are extras: where they are damaged the file is still shown, and `cut` says some are missing. */
static void put_details(struct buf *b, struct fs *fs, struct fs_id id, bool wanted)
{
	CLEANUP(buf_free) struct buf list = BUF_INIT(WIRE_FRAME_MAX);
	struct collect x = {.to = &list, .max = XATTRS_SHOWN, .room = XATTR_ROOM};
	struct err e = ERR_INIT;
	if (wanted && fs_xattrs(fs, id, collect_xattr, &x, &e) < 0)
		x.cut = true;
	wire_put_u32(b, x.count);
	buf_add(b, list.data, list.len);

	buf_reset(&list);
	struct collect s = {.to = &list, .max = STREAMS_SHOWN, .room = STREAM_ROOM};
	err_clear(&e);
	if (wanted && fs_streams(fs, id, collect_stream, &s, &e) < 0)
		s.cut = true;
	wire_put_u32(b, s.count);
	buf_add(b, list.data, list.len);
	wire_put_u8(b, x.cut || s.cut);
}

int job_stat(struct job *j, struct err *e)
{
	uint32_t volume = rdr_le32(&j->rd);
	bool follow = rdr_u8(&j->rd), details = rdr_u8(&j->rd);
	size_t len;
	const char *path = wire_get_str(&j->rd, WIRE_PATH_MAX, &len);
	if (j->rd.bad)
		return err_set(e, ERR_INVALID, "worker", "a STAT request that cannot be read");

	struct fs *fs;
	struct fs_id id;
	int r = job_resolve(j, volume, path, len, follow ? FS_FOLLOW : 0, &fs, &id, e);
	struct fs_stat st;
	if (r == 0)
		r = fs_stat(fs, id, &st, e);
	CLEANUP(buf_free) struct buf target = BUF_INIT(FS_LINK_MAX);
	if (r == 0 && st.type == FS_SYMLINK)
		r = fs_readlink(fs, id, &target, e);
	if (r < 0)
		return r;

	struct wire_entry en = {0};
	entry_from_stat(&en, &st);
	last_component(path, len, &en);
	en.target = buf_str(&target);
	en.target_len = min_size(target.len, ENTRY_TARGET_MAX);
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_STAT_INFO, j->request);
	wire_put_u32(&b, volume ? volume : j->worker->disks.default_volume);
	wire_entry_put(&b, &en);
	put_details(&b, fs, id, details);
	return job_answer(j, &b, e);
}

/* --- volumes -------------------------------------------------------------------------------------- */

#define COPY_TEXT(to, from) (void)snprintf(to, sizeof(to), "%s", from)

static void volume_to_wire(const struct disks *d, const struct volume *v, struct wire_volume *w)
{
	*w = (struct wire_volume){
		.number = v->number,
		.disk = v->disk,
		.parent = v->parent,
		.partition = v->partition,
		.offset = v->offset,
		.size = v->size,
		.supported = v->content.supported && v->blk && !v->locked,
		.locked = v->locked,
		.container = v->container,
		.is_default = v->number == d->default_volume,
	};
	COPY_TEXT(w->kind, volume_kind_name(v->kind));
	COPY_TEXT(w->table, v->table);
	COPY_TEXT(w->name, v->name);
	COPY_TEXT(w->label, v->content.label);
	COPY_TEXT(w->uuid, v->content.uuid);
	COPY_TEXT(w->type, v->content.type);
	COPY_TEXT(w->part_type, v->part_type);
	COPY_TEXT(w->part_type_name, v->part_type_name);
	COPY_TEXT(w->part_uuid, v->part_uuid);
	COPY_TEXT(w->reason, v->reason);
	unsigned whole = d->fs[v->number - 1].part_of;
	if (whole > 0) {
		w->supported = false;
		w->container = true;
		(void)snprintf(w->reason, sizeof(w->reason), "it is a part of the %s filesystem of volume %u", v->content.type, whole);
	}
	/* A filesystem that was recognised but did not open says why. */
	const struct err *why = &d->fs[v->number - 1].error;
	if (w->supported && why->code < 0) {
		w->supported = false;
		(void)snprintf(w->reason, sizeof(w->reason), "%.*s", (int)sizeof(w->reason) - 1, why->msg);
	}
}

int job_volumes(struct job *j, struct err *e)
{
	const struct disks *d = &j->worker->disks;
	uint32_t from = rdr_le32(&j->rd);
	if (j->rd.bad || from > d->set->count)
		return err_set(e, ERR_INVALID, "worker", "a VOLUMES request that cannot be read");
	CLEANUP(buf_free) struct buf list = BUF_INIT(WIRE_PAYLOAD_MAX - 64);
	uint32_t n = 0;
	for (unsigned i = from; i < d->set->count; i++) {
		struct wire_volume w;
		volume_to_wire(d, &d->set->volumes[i], &w);
		size_t before = list.len;
		wire_volume_put(&list, &w);
		if (list.failed) {
			/* The rest goes into the next answer. */
			list.len = before;
			break;
		}
		n++;
	}
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_VOLUME_LIST, j->request);
	wire_put_u32(&b, d->set->count);
	wire_put_u32(&b, n);
	buf_add(&b, list.data, list.len);
	return job_answer(j, &b, e);
}
