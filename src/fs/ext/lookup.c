/* Listing a directory for the front, and finding one name in it. */
#include "fs/ext/ext.h"
#include "fs/ext/fc.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const module = "ext";

static bool is_encrypted(const struct ext_fs *x, const struct ext_inode *dir)
{
	return dir->flags & EXT_FL_ENCRYPT && x->sb.incompat & EXT_ENCRYPT;
}

static int get_dir(struct ext_fs *x, struct fs_id id, struct ext_inode *ret, struct err *e)
{
	int r = ext_inode_get(x, id.ino, ret, e);
	if (r < 0)
		return r;
	if (fs_type_from_mode(ret->mode) != FS_DIRECTORY)
		return err_set(e, ERR_NOT_DIRECTORY, module, "inode %" PRIu32 " is not a directory", ret->ino);
	return 0;
}

static bool is_dot(const struct ext_dent *d)
{
	return (d->len == 1 && d->name[0] == '.') || (d->len == 2 && d->name[0] == '.' && d->name[1] == '.');
}

/* The hash version to make names of an encrypted directory with; a damaged tree has none, names then carry 0. */
static int nokey_version(struct ext_fs *x, const struct ext_inode *dir, unsigned *ret, struct err *e)
{
	enum { NONE = 255 };
	struct err no = ERR_INIT;
	int r = ext_htree_version(x, dir, ret, &no);
	if (r < 0 && r != ERR_FILE_CORRUPT) {
		*e = no;
		return r;
	}
	if (r < 0)
		*ret = NONE;
	return 0;
}

/* Neither the root nor the directory itself is an entry of a directory: a walk would not end. */
static int check_child(const struct ext_fs *x, const struct ext_inode *dir, uint32_t ino, struct err *e)
{
	if (ext_ino_nameable(x, ino) && ino != EXT_ROOT_INO && ino != dir->ino)
		return 0;
	return err_set(e, ERR_FILE_CORRUPT, module, "the name leads to inode %" PRIu32 ", which it cannot", ino);
}

/* --- readdir -------------------------------------------------------------------------------------- */

struct lister {
	struct ext_fs *x;
	const struct ext_inode *dir;
	unsigned version;
	bool changed;                /* these are the names fast commits gave, not those of the blocks */
	fs_dirent_fn *fn;
	void *arg;
};

static int list_damage(const struct lister *l, const struct ext_dent *d)
{
	char name[64];
	int len = snprintf(name, sizeof(name), "(damaged directory block before %" PRIu64 ")", d->next);
	struct fs_dirent de = {.name = name, .name_len = (size_t)len, .next = d->next, .broken = d->damage};
	return l->fn(l->arg, &de);
}

static int list_entry(void *arg, const struct ext_dent *d)
{
	const struct lister *l = arg;
	char name[EXT_NOKEY_MAX];
	if (!d->name)
		return list_damage(l, d);
	if (is_dot(d) || (!l->changed && ext_fc_name(l->x, l->dir->ino, d->name, d->len)))
		return 0;
	struct err why = ERR_INIT;
	struct fs_dirent de = {
		.name = (const char *)d->name,
		.name_len = d->len,
		.id = {.ino = d->ino},
		.type = fs_type_from_ftype(d->ftype),
		.next = d->next,
		.broken = d->damage,
	};
	if (is_encrypted(l->x, l->dir)) {
		de.name = name;
		de.name_len = ext_nokey_name(l->x, l->dir, d, l->version, name);
	}
	if (!de.broken && check_child(l->x, l->dir, d->ino, &why) < 0)
		de.broken = &why;
	return l->fn(l->arg, &de);
}

/* Cookies of the names that fast commits gave lie behind those of all blocks. */
static const uint64_t changed_cookie = (uint64_t)1 << 62;

static int list_changed(struct lister *l, uint64_t from)
{
	const struct fc_name *n;
	l->changed = true;
	for (size_t i = (size_t)from; (n = ext_fc_dir_name(l->x, l->dir->ino, i)); i++) {
		struct ext_dent d = {.ino = n->ino, .name = n->name, .len = n->len, .next = changed_cookie + i + 1};
		int r = n->ino ? list_entry(l, &d) : 0;
		if (r)
			return r;
	}
	return 0;
}

int ext_readdir(struct fs *fs, struct fs_id id, uint64_t cookie, fs_dirent_fn *fn, void *arg, struct err *e)
{
	struct ext_fs *x = ext_of(fs);
	struct ext_inode dir;
	int r = get_dir(x, id, &dir, e);
	if (r < 0)
		return r;
	struct lister l = {.x = x, .dir = &dir, .fn = fn, .arg = arg};
	if (is_encrypted(x, &dir))
		r = nokey_version(x, &dir, &l.version, e);
	if (r == 0 && cookie < changed_cookie)
		r = ext_dir_scan(x, &dir, cookie, list_entry, &l, e);
	return r ? r : list_changed(&l, cookie < changed_cookie ? 0 : cookie - changed_cookie);
}

/* --- lookup --------------------------------------------------------------------------------------- */

struct finder {
	struct ext_fs *x;
	const struct ext_inode *dir;
	const char *name;
	size_t len;
	unsigned version;
	bool fold;                   /* compare without case */
	bool raw;                    /* compare with what the blocks hold, also where that is not what is shown */
	bool changed;                /* these are the names fast commits gave */
	uint32_t ino;
	struct err damage;           /* of the entry, or of a block that may have held it */
};

enum { FOUND = 1 };

static uint32_t next_char(const uint8_t **p, const uint8_t *end)
{
	const uint8_t *s = *p;
	unsigned more = s[0] >= 0xF0 ? 3 : s[0] >= 0xE0 ? 2 : s[0] >= 0xC0 ? 1 : 0;
	if (more == 0 || (size_t)(end - s) <= more) {
		*p = s + 1;
		return s[0];
	}
	uint32_t c = s[0] & (0x3Fu >> more);
	for (unsigned i = 1; i <= more; i++)
		c = c << 6 | (s[i] & 0x3F);
	*p = s + 1 + more;
	return c;
}

/* Latin, Greek and Cyrillic; the rest of Unicode's folding is not worth a table: an exact name always works. */
static uint32_t fold_char(uint32_t c)
{
	if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) ||
	    (c >= 0x410 && c <= 0x42F))
		return c + 32;
	if (c >= 0x400 && c <= 0x40F)
		return c + 80;
	if ((c >= 0x100 && c <= 0x137) || (c >= 0x14A && c <= 0x177))
		return c | 1;
	return c;
}

static bool equal_folded(const char *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	const uint8_t *p = (const uint8_t *)a, *p_end = p + a_len, *q = b, *q_end = b + b_len;
	while (p < p_end && q < q_end)
		if (fold_char(next_char(&p, p_end)) != fold_char(next_char(&q, q_end)))
			return false;
	return p == p_end && q == q_end;
}

static int match(void *arg, const struct ext_dent *d)
{
	struct finder *f = arg;
	if (!d->name) {
		f->damage = *d->damage;
		return 0;
	}
	bool same;
	if (!f->raw && !f->changed && ext_fc_name(f->x, f->dir->ino, d->name, d->len))
		return 0;
	if (!f->raw && is_encrypted(f->x, f->dir)) {
		char name[EXT_NOKEY_MAX];
		size_t len = ext_nokey_name(f->x, f->dir, d, f->version, name);
		same = len == f->len && memcmp(name, f->name, len) == 0;
	} else if (f->fold) {
		same = equal_folded(f->name, f->len, d->name, d->len);
	} else {
		same = d->len == f->len && memcmp(d->name, f->name, f->len) == 0;
	}
	if (!same || is_dot(d))
		return 0;
	f->ino = d->ino;
	f->damage = d->damage ? *d->damage : ERR_INIT;
	return FOUND;
}

static bool has_tree(const struct ext_fs *x, const struct ext_inode *dir)
{
	return dir->flags & EXT_FL_INDEX && x->sb.compat & EXT_DIR_INDEX && !(dir->flags & EXT_FL_INLINE_DATA) &&
	       !is_encrypted(x, dir);
}

/* By the tree. Its hashes are those of folded names where the directory ignores case; those of plain ASCII are known. */
static int find_by_hash(struct finder *f, struct err *e)
{
	char folded[256];
	const char *key = f->name;
	if (f->dir->flags & EXT_FL_CASEFOLD) {
		for (size_t i = 0; i < f->len; i++) {
			if ((uint8_t)f->name[i] >= 0x80)
				return 0;
			folded[i] = (char)fold_char((uint8_t)f->name[i]);
		}
		key = folded;
	}
	struct err no = ERR_INIT;
	int found = 0;
	int r = ext_htree_find(f->x, f->dir, key, f->len, match, f, &found, &no);
	if (r == ERR_FILE_CORRUPT)
		return 0;
	if (r < 0)
		*e = no;
	return r < 0 ? r : found;
}

/* Among the names that fast commits gave. */
static int find_changed(struct finder *f)
{
	const struct fc_name *n;
	f->changed = true;
	int r = 0;
	for (size_t i = 0; r == 0 && (n = ext_fc_dir_name(f->x, f->dir->ino, i)); i++) {
		struct ext_dent d = {.ino = n->ino, .name = n->name, .len = n->len};
		r = n->ino ? match(f, &d) : 0;
	}
	f->changed = false;
	return r;
}

/* The tree first. What it does not know is searched for in all blocks: the tree may be damaged, and what a listing
 * shows must be found. */
static int find(struct finder *f, struct err *e)
{
	int r = find_changed(f);
	if (r == 0 && has_tree(f->x, f->dir))
		r = find_by_hash(f, e);
	if (r == 0)
		r = ext_dir_scan(f->x, f->dir, 0, match, f, e);
	if (r == 0 && f->dir->flags & EXT_FL_CASEFOLD && !is_encrypted(f->x, f->dir)) {
		f->fold = true;
		r = has_tree(f->x, f->dir) ? find_by_hash(f, e) : 0;
		if (r == 0)
			r = ext_dir_scan(f->x, f->dir, 0, match, f, e);
	}
	return r;
}

int ext_lookup(struct fs *fs, struct fs_id id, const char *name, size_t len, struct fs_id *ret, struct err *e)
{
	enum { NAME_MAX_EXT = 255 };
	struct ext_fs *x = ext_of(fs);
	struct ext_inode dir;
	int r = get_dir(x, id, &dir, e);
	if (r < 0)
		return r;
	if (len == 0 || len > NAME_MAX_EXT)
		return err_set(e, ERR_NOT_FOUND, module, "there is no such name");
	struct finder f = {.x = x, .dir = &dir, .name = name, .len = len};
	if (is_encrypted(x, &dir))
		r = nokey_version(x, &dir, &f.version, e);
	if (r == 0)
		r = find(&f, e);
	if (r < 0)
		return r;
	if (f.damage.code) {
		*e = f.damage;
		return f.damage.code;
	}
	if (r != FOUND)
		return err_set(e, ERR_NOT_FOUND, module, "there is no such name");
	r = check_child(x, &dir, f.ino, e);
	if (r == 0)
		*ret = (struct fs_id){.ino = f.ino};
	return r;
}

int ext_dir_find_raw(struct ext_fs *x, const struct ext_inode *dir, const char *name, size_t len, uint32_t *ret,
                     struct err *e)
{
	struct finder f = {.x = x, .dir = dir, .name = name, .len = len, .raw = true};
	int r = has_tree(x, dir) ? find_by_hash(&f, e) : 0;
	if (r == 0)
		r = ext_dir_scan(x, dir, 0, match, &f, e);
	if (r >= 0)
		*ret = r == FOUND ? f.ino : 0;
	return r < 0 ? r : 0;
}
