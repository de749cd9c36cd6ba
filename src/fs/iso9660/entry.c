/* ECMA 9.1: directory records. */
#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"
#include "fs/text.h"

#include <inttypes.h>

enum { DEFAULT_MODE = 0555 };        /* as Linux shows what has no mode */

struct record {
	uint8_t raw[ISO_RECORD_MAX];
	uint64_t off;
	size_t len;
	uint32_t extent, size;
	unsigned ear, flags, unit, gap, volume;
	const uint8_t *name;
	size_t name_len;
};

static uint64_t next_block(const struct iso_fs *x, uint64_t off)
{
	return off - off % x->vol.block_size + x->vol.block_size;
}

/* 1 and *ret; 0: padding. ERR_FILE_CORRUPT for what cannot be a record. */
static int record_read(struct iso_fs *x, uint64_t off, struct record *ret, struct err *e)
{
	uint8_t *p = ret->raw;
	int r = iso_read(x, off, p, 1, e);
	if (r < 0 || p[0] == 0)
		return r;
	size_t len = p[0];
	ret->off = off;
	ret->len = len;
	if (len <= ISO_RECORD_MIN)
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "a directory record of %zu bytes is too short", len);
	r = iso_read(x, off, p, len, e);
	if (r < 0)
		return r;
	ret->ear = p[1];
	ret->extent = get_le32(p + 2);
	ret->size = get_le32(p + 10);
	ret->flags = p[25];
	ret->unit = p[26];
	ret->gap = p[27];
	ret->volume = get_le16(p + 28);
	ret->name_len = p[32];
	ret->name = p + ISO_RECORD_MIN;
	if (ret->name_len > len - ISO_RECORD_MIN)
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "a directory record of %zu bytes has a name of %zu", len,
		               ret->name_len);
	return 1;
}

static bool is_named(const struct record *n, uint8_t byte)
{
	return n->name_len == 1 && n->name[0] == byte;
}

/* ECMA 9.1.13: an even place behind the name. */
static const uint8_t *system_use(const struct record *n, size_t *ret_len)
{
	size_t at = ISO_RECORD_MIN + n->name_len;
	at += at & 1;
	*ret_len = at < n->len ? n->len - at : 0;
	return n->raw + min_size(at, n->len);
}

int iso_system_use(struct iso_fs *x, uint64_t off, uint8_t *to, size_t *ret_len, struct err *e)
{
	struct record n;
	int r = record_read(x, off, &n, e);
	if (r < 0)
		return r;
	if (r == 0 || !is_named(&n, 0))
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "there is no directory at %" PRIu64, off);
	const uint8_t *p = system_use(&n, ret_len);
	memcpy(to, p, *ret_len);
	return 0;
}

/* --- names ---------------------------------------------------------------------------------------- */

/* Lower case; without version 1 and the dot that must precede it; other versions behind a dot. */
static void plain_name(const struct record *n, struct iso_entry *to)
{
	const uint8_t *p = n->name;
	size_t len = n->name_len;
	if (len >= 2 && p[len - 2] == ';' && p[len - 1] == '1') {
		len -= 2;
		if (len >= 1 && p[len - 1] == '.')
			len--;
	}
	size_t i = 0;
	for (; i < len && p[i] != '\0'; i++) {
		uint8_t c = p[i];
		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (c == ';' || c == '/')
			c = '.';
		to->name[i] = (char)c;
	}
	to->name_len = i;
}

static void joliet_name(const struct record *n, struct iso_entry *to)
{
	uint16_t units[ISO_JOLIET_UNITS_MAX] = {0};
	size_t count = 0;
	for (; count < n->name_len / 2; count++) {
		units[count] = get_be16(n->name + 2 * count);
		if (units[count] == 0)
			break;
	}
	if (count > 2 && units[count - 2] == ';' && units[count - 1] == '1')
		count -= 2;
	while (count >= 2 && units[count - 1] == '.')
		count--;
	to->name_len = text_from_utf16(units, count, to->name);
}

static void set_name(const struct iso_fs *x, const struct record *n, const struct iso_rock *k, struct iso_entry *to)
{
	if (k->name_len > 0) {
		memcpy(to->name, k->name, k->name_len);
		to->name_len = k->name_len;
	} else if (x->joliet) {
		joliet_name(n, to);
	} else {
		plain_name(n, to);
	}
}

/* --- sections ------------------------------------------------------------------------------------- */

static int add_section(struct iso_sections *s, const struct iso_section *n, struct err *e)
{
	if (s->count % 16 == 0) {
		struct iso_section *list = realloc(s->list, (s->count + 16) * sizeof(*list));
		if (!list)
			return err_no_memory(e, "iso9660");
		s->list = list;
	}
	s->list[s->count++] = *n;
	return 0;
}

static int take_section(const struct iso_fs *x, const struct record *n, const struct iso_details *more, struct iso_entry *ret,
                        struct err *e)
{
	uint64_t block = x->vol.block_size;
	struct iso_section s = {
		.at = ret->stored,
		.off = ((uint64_t)n->extent + n->ear) * block,
		.len = n->size,
		.unit = n->gap ? n->unit * block : 0,
		.gap = n->gap * block,
	};
	ret->stored += n->size;
	if (n->gap && (n->unit == 0 || n->ear))
		ret->refused = "it is interleaved in a way that is not known";
	if (x->vol.set_size > 1 && n->volume != x->vol.sequence)
		ret->refused = "its bytes are on another volume of the set";
	return more && more->sections ? add_section(more->sections, &s, e) : 0;
}

/* The record following n, past padding: within the next sector, or there is none. */
static int following(struct iso_fs *x, uint64_t off, struct record *ret, struct err *e)
{
	uint64_t end = off + ISO_SECTOR;
	int r = 0;
	while (off <= end && (r = record_read(x, off, ret, e)) == 0)
		off = next_block(x, off);
	if (r == 0)
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "the file's last section is missing");
	return r;
}

/* All sections of the file that begins with *first. */
static int take_sections(struct iso_fs *x, const struct record *first, const struct iso_details *more, struct iso_entry *ret,
                         struct err *e)
{
	struct record n;
	bool goes_on = first->flags & ISO_MULTI_EXTENT;
	int r = take_section(x, first, more, ret, e);
	for (unsigned count = 1; r == 0 && goes_on; count++) {
		r = following(x, ret->next, &n, e);
		if (r < 0)
			return r;
		/* Then it is another file, which is not lost with this one. */
		if (n.name_len != first->name_len || memcmp(n.name, first->name, n.name_len) != 0)
			return err_set(e, ERR_FILE_CORRUPT, "iso9660", "the file's next section is missing");
		ret->next = n.off + n.len;
		goes_on = n.flags & ISO_MULTI_EXTENT;
		if (count == ISO_SECTIONS_MAX)
			return err_set(e, ERR_FILE_CORRUPT, "iso9660", "the file has more than %d sections", ISO_SECTIONS_MAX);
		r = take_section(x, &n, more, ret, e);
	}
	return r < 0 ? r : 0;
}

/* --- stat ----------------------------------------------------------------------------------------- */

static void fill_times(const struct record *n, const struct iso_rock *k, struct fs_stat *st)
{
	struct fs_time recorded;
	if (iso_time_short(n->raw + 18, &recorded)) {
		st->mtime = st->atime = st->ctime = recorded;
		st->valid |= FS_HAS_MTIME | FS_HAS_ATIME | FS_HAS_CTIME;
	}
	if (k->times & FS_HAS_MTIME)
		st->mtime = k->mtime;
	if (k->times & FS_HAS_ATIME)
		st->atime = k->atime;
	if (k->times & FS_HAS_CTIME)
		st->ctime = k->ctime;
	if (k->times & FS_HAS_BTIME)
		st->btime = k->btime;
	st->valid |= k->times;
}

static void fill_owner(const struct iso_rock *k, struct fs_stat *st)
{
	st->mode = DEFAULT_MODE;
	st->nlink = 1;
	if (!k->has_px)
		return;
	st->valid |= FS_HAS_MODE;
	st->mode = k->mode & 07777;
	st->uid = k->uid;
	st->gid = k->gid;
	st->nlink = k->nlink ? k->nlink : 1;
}

static void fill_file(const struct iso_rock *k, struct iso_entry *ret)
{
	struct fs_stat *st = &ret->st;
	enum fs_type type = k->has_px ? fs_type_from_mode(k->mode) : FS_FILE;
	st->type = type == FS_UNKNOWN ? FS_FILE : type;
	st->size = ret->stored;
	st->allocated = (ret->stored + 511) / 512 * 512;
	if (st->type == FS_SYMLINK)
		st->size = k->link_len;
	else if (st->type != FS_FILE)
		st->size = 0;
	if (k->has_pn && (st->type == FS_BLOCK || st->type == FS_CHAR)) {
		st->rdev_major = k->rdev_major;
		st->rdev_minor = k->rdev_minor;
	}
	if (st->type == FS_FILE && k->zf.version) {
		st->size = k->zf.size;
		st->compressed = true;
		ret->zf = k->zf;
	}
	if (k->refused)
		ret->refused = k->refused;
	if (st->type == FS_DIRECTORY && !ret->broken.code)
		err_set(&ret->broken, ERR_FILE_CORRUPT, "iso9660", "it is a directory to Rock Ridge, but not to ISO 9660");
}

/* A directory's own record tells of it; in its parent only its place and name are taken. */
static void fill_directory(struct iso_fs *x, const struct record *n, const struct iso_rock *k, struct iso_entry *ret)
{
	uint64_t block = k->has_cl ? k->child : (uint64_t)n->extent + n->ear;
	ret->st.type = FS_DIRECTORY;
	ret->id = (struct fs_id){.ino = ret->itself ? n->off : block * x->vol.block_size, .tree = ISO_TREE_DIR};
	ret->st.size = n->size;
	ret->st.allocated = ((uint64_t)n->size + 511) / 512 * 512;
}

/* --- entries -------------------------------------------------------------------------------------- */

static int rock_read(struct iso_fs *x, const struct record *n, const struct iso_details *more, struct iso_rock *ret,
                     struct err *e)
{
	size_t len = 0;
	const uint8_t *p = system_use(n, &len);
	unsigned skip = n->off == x->root ? x->root_skip : x->skip;
	*ret = (struct iso_rock){.link = more ? more->link : NULL};
	if (!x->rock || skip >= len)
		return 0;
	return iso_susp_walk(x, p + skip, len - skip, iso_rock_entry, ret, e);
}

/* Damage becomes the entry's; anything else is the caller's. */
static int absorb(int r, struct iso_entry *ret, struct err *e)
{
	if (r != ERR_FILE_CORRUPT)
		return r;
	if (!ret->broken.code)
		ret->broken = *e;
	err_clear(e);
	return 0;
}

static int describe(struct iso_fs *x, const struct record *n, const struct iso_details *more, struct iso_entry *ret, struct err *e)
{
	struct iso_rock k;
	int r = absorb(rock_read(x, n, more, &k, e), ret, e);
	if (r < 0)
		return r;
	if (k.damage && !ret->broken.code)
		err_set(&ret->broken, ERR_FILE_CORRUPT, "iso9660", "%s", k.damage);
	ret->id = (struct fs_id){.ino = n->off};
	fill_owner(&k, &ret->st);
	fill_times(n, &k, &ret->st);
	set_name(x, n, &k, ret);
	if ((n->flags & ISO_DIRECTORY) || k.has_cl) {
		fill_directory(x, n, &k, ret);
	} else {
		r = absorb(take_sections(x, n, more, ret, e), ret, e);
		fill_file(&k, ret);
	}
	ret->st.id = ret->id;
	if (r < 0)
		return r;
	/* Without its attributes the root still is the root; there is a warning. */
	if (ret->itself && n->off == x->root)
		err_clear(&ret->broken);
	return k.relocated && !ret->itself ? ISO_NOT_SHOWN : ISO_ENTRY;
}

int iso_entry_read(struct iso_fs *x, uint64_t off, const struct iso_details *more, struct iso_entry *ret, struct err *e)
{
	struct record n;
	memset(ret, 0, offsetof(struct iso_entry, name));
	ret->name_len = 0;
	ret->broken = ERR_INIT;
	ret->next = next_block(x, off);
	int r = record_read(x, off, &n, e);
	if (r == 0)
		return ISO_PADDING;
	if (r == ERR_FILE_CORRUPT) {
		ret->id = (struct fs_id){.ino = off};
		r = absorb(r, ret, e);
		return r < 0 ? r : ISO_ENTRY;
	}
	if (r < 0)
		return r;
	ret->next = off + n.len;
	ret->itself = is_named(&n, 0);
	if (is_named(&n, 1))
		return ISO_NOT_SHOWN;
	r = describe(x, &n, more, ret, e);
	return r == ISO_ENTRY && (n.flags & ISO_ASSOCIATED) ? ISO_NOT_SHOWN : r;
}

int iso_entry_get(struct iso_fs *x, struct fs_id id, const struct iso_details *more, struct iso_entry *ret, struct err *e)
{
	bool dir = id.tree == ISO_TREE_DIR;
	int r = range_inside(id.ino, 1, x->fs.blk->size) ? iso_entry_read(x, id.ino, more, ret, e) : ISO_PADDING;
	if (r < 0)
		return r;
	if (r == ISO_ENTRY && ret->broken.code) {
		*e = ret->broken;
		return e->code;
	}
	if (r != ISO_ENTRY || dir != (ret->st.type == FS_DIRECTORY) || dir != ret->itself)
		return err_set(e, ERR_FILE_CORRUPT, "iso9660", "there is no %s at %" PRIu64, dir ? "directory" : "file", id.ino);
	return 0;
}
