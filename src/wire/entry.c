#include "wire/entry.h"

static const char *const kind_names[ENTRY_KINDS] = {
	[ENTRY_UNKNOWN] = "unknown", [ENTRY_FILE] = "file", [ENTRY_DIRECTORY] = "directory",
	[ENTRY_SYMLINK] = "symlink", [ENTRY_BLOCK] = "block", [ENTRY_CHAR] = "char",
	[ENTRY_FIFO] = "fifo", [ENTRY_SOCKET] = "socket",
};

const char *wire_entry_kind_name(enum wire_entry_kind k)
{
	return k < ENTRY_KINDS ? kind_names[k] : kind_names[ENTRY_UNKNOWN];
}

static void put_time(struct buf *b, const struct wire_time *t)
{
	wire_put_u64(b, (uint64_t)t->sec);
	wire_put_u32(b, t->nsec);
}

static void get_time(struct rdr *r, struct wire_time *ret)
{
	ret->sec = (int64_t)rdr_le64(r);
	ret->nsec = rdr_le32(r);
	if (ret->nsec >= 1000000000)
		r->bad = true;
}

void wire_entry_put(struct buf *b, const struct wire_entry *en)
{
	wire_put_str(b, en->name, en->name_len);
	wire_put_u8(b, (uint8_t)en->kind);
	wire_put_u32(b, en->flags);
	wire_put_u64(b, en->ino);
	wire_put_u64(b, en->tree);
	if (en->flags & ENTRY_BROKEN) {
		wire_put_u32(b, (uint32_t)en->error_code);
		wire_put_str(b, en->error_msg, en->error_len);
		return;
	}
	wire_put_u32(b, en->mode);
	wire_put_u32(b, en->uid);
	wire_put_u32(b, en->gid);
	wire_put_u64(b, en->nlink);
	wire_put_u64(b, en->size);
	wire_put_u64(b, en->allocated);
	put_time(b, &en->mtime);
	put_time(b, &en->atime);
	put_time(b, &en->ctime);
	put_time(b, &en->btime);
	wire_put_u32(b, en->rdev_major);
	wire_put_u32(b, en->rdev_minor);
	wire_put_u32(b, en->dos_attrs);
	wire_put_str(b, en->target, en->target_len);
}

/* A name has no NUL and, unless it is a whole path, no slash. */
static bool good_name(const char *name, size_t len)
{
	return name && len > 0 && !memchr(name, '\0', len) && (name[0] == '/' || !memchr(name, '/', len));
}

void wire_entry_get(struct rdr *r, struct wire_entry *ret)
{
	struct wire_entry en = {0};
	en.name = wire_get_str(r, ENTRY_NAME_MAX, &en.name_len);
	en.kind = (enum wire_entry_kind)rdr_u8(r);
	en.flags = rdr_le32(r);
	en.ino = rdr_le64(r);
	en.tree = rdr_le64(r);
	if (en.kind >= ENTRY_KINDS || !good_name(en.name, en.name_len))
		r->bad = true;
	if (en.flags & ENTRY_BROKEN) {
		en.error_code = (int)rdr_le32(r);
		en.error_msg = wire_get_str(r, ERR_MSG_MAX, &en.error_len);
		if (!wire_error_allowed(en.error_code))
			r->bad = true;
		*ret = en;
		return;
	}
	en.mode = rdr_le32(r);
	en.uid = rdr_le32(r);
	en.gid = rdr_le32(r);
	en.nlink = rdr_le64(r);
	en.size = rdr_le64(r);
	en.allocated = rdr_le64(r);
	get_time(r, &en.mtime);
	get_time(r, &en.atime);
	get_time(r, &en.ctime);
	get_time(r, &en.btime);
	en.rdev_major = rdr_le32(r);
	en.rdev_minor = rdr_le32(r);
	en.dos_attrs = rdr_le32(r);
	en.target = wire_get_str(r, ENTRY_TARGET_MAX, &en.target_len);
	if (en.mode > 07777)
		r->bad = true;
	*ret = en;
}

void wire_list_head_put(struct buf *b, const struct wire_list_head *h)
{
	wire_put_u64(b, h->total);
	wire_put_u64(b, h->first);
	wire_put_u64(b, h->count);
	if (h->why.code < 0)
		wire_put_error(b, &h->why);
}

void wire_list_head_get(struct rdr *r, struct wire_list_head *ret)
{
	ret->why = ERR_INIT;
	ret->total = rdr_le64(r);
	ret->first = rdr_le64(r);
	ret->count = rdr_le64(r);
	if (rdr_left(r) > 0 && (wire_get_error(r, &ret->why) == ERR_WORKER_PROTOCOL || ret->count > 0))
		r->bad = true;
}

enum { VOLUME_SUPPORTED = 1, VOLUME_LOCKED = 2, VOLUME_CONTAINER = 4, VOLUME_DEFAULT = 8 };

void wire_volume_put(struct buf *b, const struct wire_volume *v)
{
	wire_put_u32(b, v->number);
	wire_put_u32(b, v->disk);
	wire_put_u32(b, v->parent);
	wire_put_u32(b, v->partition);
	const char *const texts[] = {v->kind,      v->table,          v->name,      v->label, v->uuid,
	                             v->type,      v->part_type,      v->part_type_name, v->part_uuid, v->reason};
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		wire_put_cstr(b, texts[i]);
	wire_put_u64(b, v->offset);
	wire_put_u64(b, v->size);
	wire_put_u8(b, (uint8_t)((v->supported ? VOLUME_SUPPORTED : 0) | (v->locked ? VOLUME_LOCKED : 0) |
	                         (v->container ? VOLUME_CONTAINER : 0) | (v->is_default ? VOLUME_DEFAULT : 0)));
}

static void get_text(struct rdr *r, char *to, size_t size)
{
	wire_get_cstr(r, to, size);
	wire_make_text(to);
}

void wire_volume_get(struct rdr *r, struct wire_volume *ret)
{
	struct wire_volume v = {.number = rdr_le32(r), .disk = rdr_le32(r), .parent = rdr_le32(r),
	                        .partition = rdr_le32(r)};
	get_text(r, v.kind, sizeof(v.kind));
	get_text(r, v.table, sizeof(v.table));
	get_text(r, v.name, sizeof(v.name));
	get_text(r, v.label, sizeof(v.label));
	get_text(r, v.uuid, sizeof(v.uuid));
	get_text(r, v.type, sizeof(v.type));
	get_text(r, v.part_type, sizeof(v.part_type));
	get_text(r, v.part_type_name, sizeof(v.part_type_name));
	get_text(r, v.part_uuid, sizeof(v.part_uuid));
	get_text(r, v.reason, sizeof(v.reason));
	v.offset = rdr_le64(r);
	v.size = rdr_le64(r);
	uint8_t flags = rdr_u8(r);
	v.supported = flags & VOLUME_SUPPORTED;
	v.locked = flags & VOLUME_LOCKED;
	v.container = flags & VOLUME_CONTAINER;
	v.is_default = flags & VOLUME_DEFAULT;
	*ret = v;
}

enum { LAYER_DATA_FILE = 1, LAYER_DIRTY = 2, LAYER_EXTENDED = 4, LAYER_ZSTD = 8, LAYER_FOREIGN = 16, LAYER_ENCRYPTED = 32 };

_Static_assert(WIRE_LAYERS_MAX * (sizeof(struct wire_layer) + 64) + ERR_MSG_MAX + 64 <= WIRE_PAYLOAD_MAX, "LAYERS_INFO holds what is said of all");

void wire_layer_put(struct buf *b, const struct wire_layer *l)
{
	wire_put_cstr(b, l->format);
	wire_put_u32(b, l->version);
	wire_put_u32(b, l->cluster_size);
	wire_put_u64(b, l->virtual_size);
	wire_put_u64(b, l->file_size);
	wire_put_cstr(b, l->backing_name);
	wire_put_cstr(b, l->backing_format);
	wire_put_cstr(b, l->data_file_name);
	wire_put_u8(b, (uint8_t)((l->has_data_file ? LAYER_DATA_FILE : 0) | (l->dirty ? LAYER_DIRTY : 0) |
	                         (l->extended_l2 ? LAYER_EXTENDED : 0) | (l->compression_zstd ? LAYER_ZSTD : 0) |
	                         (l->foreign ? LAYER_FOREIGN : 0) | (l->encrypted ? LAYER_ENCRYPTED : 0)));
	wire_put_u32(b, l->extent_count);
}

void wire_layer_get(struct rdr *r, struct wire_layer *ret)
{
	struct wire_layer l = {0};
	wire_get_cstr(r, l.format, sizeof(l.format));
	l.version = rdr_le32(r);
	l.cluster_size = rdr_le32(r);
	l.virtual_size = rdr_le64(r);
	l.file_size = rdr_le64(r);
	wire_get_cstr(r, l.backing_name, sizeof(l.backing_name));
	wire_get_cstr(r, l.backing_format, sizeof(l.backing_format));
	wire_get_cstr(r, l.data_file_name, sizeof(l.data_file_name));
	uint8_t flags = rdr_u8(r);
	l.has_data_file = flags & LAYER_DATA_FILE;
	l.dirty = flags & LAYER_DIRTY;
	l.extended_l2 = flags & LAYER_EXTENDED;
	l.compression_zstd = flags & LAYER_ZSTD;
	l.foreign = flags & LAYER_FOREIGN;
	l.encrypted = flags & LAYER_ENCRYPTED;
	l.extent_count = rdr_le32(r);
	if (l.extent_count > WIRE_EXTENTS_MAX || (l.extent_count > 0 && !l.foreign))
		r->bad = true;
	*ret = l;
}

void wire_extent_put(struct buf *b, const struct wire_extent *x)
{
	wire_put_u32(b, x->kind);
	wire_put_u64(b, x->sectors);
	wire_put_u64(b, x->first);
	wire_put_cstr(b, x->name);
}

/* What goes into a descriptor of ours, and is opened as a file: a worker taken over by an image may say anything. */
void wire_extent_get(struct rdr *r, struct wire_extent *ret)
{
	uint32_t kind = rdr_le32(r);
	struct wire_extent x = {.kind = (enum wire_extent_kind)kind, .sectors = rdr_le64(r), .first = rdr_le64(r)};
	wire_get_cstr(r, x.name, sizeof(x.name));
	bool bad = kind >= WIRE_EXTENT_KINDS || x.sectors == 0 || x.sectors > INT64_MAX >> 9 || x.first > INT64_MAX >> 9;
	bad = bad || x.name[0] == '\0' || strcmp(x.name, ".") == 0 || strcmp(x.name, "..") == 0;
	for (const char *p = x.name; *p; p++)
		bad = bad || (unsigned char)*p < ' ' || *p == 0x7f || *p == '/' || *p == '"';
	if (bad)
		r->bad = true;
	*ret = x;
}
