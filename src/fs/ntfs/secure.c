/* Extended attributes: the security descriptor ("system.ntfs_acl", self-relative, [MS-DTYP] 2.4.6), the object id
 * and the reparse data under the names ntfs-3g uses, and the file's own EAs as "user.NAME". */
#include "fs/ntfs/ntfs.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	SDS_HEADER = 20,                 /* hash, id, own offset, own length */
	SII_DATA = 20,                   /* the same fields */
	SDS_ENTRIES_MAX = 1 << 16,       /* looked at, where the index is damaged */
	SDS_BLOCK = 256 << 10,           /* descriptors lie in blocks of this size, each followed by its copy */
	EA_HEADER = 8,
};

/* --- EAs ------------------------------------------------------------------------------------------ */

int ntfs_ea_next(const uint8_t *p, size_t len, size_t *off, const char **ret_name, size_t *ret_name_len,
                 const uint8_t **ret_value, size_t *ret_value_len, struct err *e)
{
	if (*off == len)
		return 0;
	if (!range_inside(*off, EA_HEADER, len))
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "the file's extended attributes are malformed");
	const uint8_t *q = p + *off;
	size_t left = len - *off, next = get_le32(q), name = q[5], value = get_le16(q + 6);
	if (EA_HEADER + name + 1 + value > left || next > left || (next != 0 && next < EA_HEADER + name + 1 + value))
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "the file's extended attributes are malformed");
	*ret_name = (const char *)q + EA_HEADER;
	*ret_name_len = name;
	*ret_value = q + EA_HEADER + name + 1;
	*ret_value_len = value;
	*off = next ? *off + next : len;
	return 1;
}

/* Told by stat. */
static bool is_wsl(const char *name, size_t len)
{
	return len == 6 && memcmp(name, "$LX", 3) == 0;
}

static int give_eas(struct ntfs_inode *ino, fs_xattr_fn *fn, void *arg, struct err *e)
{
	CLEANUP(free_ptr) uint8_t *p = NULL;
	size_t len, off = 0;
	int r = ntfs_attr_load(ino, NTFS_AT_EA, "", NTFS_EA_MAX, &p, &len, e);
	if (r <= 0)
		return r;
	const char *name;
	const uint8_t *value;
	size_t name_len, value_len;
	while ((r = ntfs_ea_next(p, len, &off, &name, &name_len, &value, &value_len, e)) > 0) {
		if (name_len == 0 || memchr(name, '\0', name_len) || is_wsl(name, name_len))
			continue;
		char full[5 + UINT8_MAX + 1] = "user.";
		memcpy(full + 5, name, name_len);
		if ((r = fn(arg, full, value, value_len)) != 0)
			break;
	}
	return r;
}

/* --- security descriptors ------------------------------------------------------------------------- */

static int order_id(const struct ntfs *ntfs, const void *want, const struct ntfs_entry *entry)
{
	(void)ntfs;
	uint32_t id = *(const uint32_t *)want, have = entry->key_len >= 4 ? get_le32(entry->key) : 0;
	return id < have ? -1 : id > have;
}

/* Where in $SDS, by the index of ids: 1, or 0. */
static int place_by_index(struct ntfs_inode *secure, uint32_t id, uint64_t *ret_off, uint32_t *ret_len, struct err *e)
{
	struct ntfs_index ix;
	int r = ntfs_index_open(secure, "$SII", &ix, e);
	if (r < 0)
		return r;
	CLEANUP(free_ptr) uint8_t *block = malloc(ix.block_size);
	struct ntfs_entry en = {0};
	if (!block)
		r = err_no_memory(e, "ntfs");
	else
		r = ntfs_index_find(&ix, order_id, &id, block, &en, e);
	if (r > 0 && (!en.data || en.data_len < SII_DATA))
		r = err_set(e, ERR_FILE_CORRUPT, "ntfs", "the index of security descriptors is damaged");
	if (r > 0) {
		*ret_off = get_le64(en.data + 8);
		*ret_len = get_le32(en.data + 16);
	}
	ntfs_index_close(&ix);
	return r;
}

/* The same by going through $SDS. */
static int place_by_scan(const struct ntfs_stream *sds, uint32_t id, uint64_t *ret_off, uint32_t *ret_len,
                         struct err *e)
{
	uint64_t off = 0;
	for (unsigned i = 0; i < SDS_ENTRIES_MAX && range_inside(off, SDS_HEADER, sds->size); i++) {
		uint8_t p[SDS_HEADER];
		int r = ntfs_stream_read(sds, off, p, sizeof(p), e);
		if (r < 0)
			return r;
		uint32_t len = get_le32(p + 16);
		if (len < SDS_HEADER || get_le64(p + 8) != off) {
			/* The rest of this block is empty; the next one stands behind this one's copy. */
			off = (off / SDS_BLOCK + 2) * SDS_BLOCK;
			continue;
		}
		if (get_le32(p + 4) == id) {
			*ret_off = off;
			*ret_len = len;
			return 1;
		}
		off += (len + 15ull) / 16 * 16;
	}
	return 0;
}

static int load_descriptor(const struct ntfs_stream *sds, uint64_t off, uint32_t len, uint32_t id, uint8_t **ret,
                           struct err *e)
{
	if (len < SDS_HEADER || len > FS_XATTR_VALUE_MAX || !range_inside(off, len, sds->size))
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "security descriptor %" PRIu32 " lies outside $Secure", id);
	CLEANUP(free_ptr) uint8_t *p = malloc(len);
	if (!p)
		return err_no_memory(e, "ntfs");
	int r = ntfs_stream_read(sds, off, p, len, e);
	if (r < 0)
		return r;
	if (get_le32(p + 4) != id || get_le64(p + 8) != off)
		return err_set(e, ERR_FILE_CORRUPT, "ntfs", "security descriptor %" PRIu32 " is damaged", id);
	*ret = STEAL(p);
	return 0;
}

static int find_descriptor(struct ntfs_inode *secure, uint32_t id, uint8_t **ret, uint32_t *ret_len, struct err *e)
{
	struct ntfs_stream sds;
	int r = ntfs_stream_open_ascii(secure, NTFS_AT_DATA, "$SDS", &sds, e);
	if (r <= 0)
		return r;
	uint64_t off = 0;
	r = place_by_index(secure, id, &off, ret_len, e);
	if (r == ERR_FILE_CORRUPT || r == ERR_IO) {
		err_clear(e);
		r = place_by_scan(&sds, id, &off, ret_len, e);
	}
	if (r > 0) {
		r = load_descriptor(&sds, off, *ret_len, id, ret, e);
		r = r < 0 ? r : 1;
	}
	ntfs_stream_close(&sds);
	return r;
}

static int give_descriptor(struct ntfs_inode *ino, fs_xattr_fn *fn, void *arg, struct err *e)
{
	/* NTFS 1.2, and metafiles: in the file itself. */
	CLEANUP(free_ptr) uint8_t *own = NULL;
	size_t own_len;
	int r = ntfs_attr_load(ino, NTFS_AT_SECURITY_DESCRIPTOR, "", FS_XATTR_VALUE_MAX, &own, &own_len, e);
	if (r != 0)
		return r < 0 ? r : fn(arg, "system.ntfs_acl", own, own_len);
	struct ntfs_std std;
	r = ntfs_std_get(ino, &std, e);
	if (r < 0 || std.security_id == 0)
		return r;
	struct ntfs_inode secure;
	r = ntfs_inode_get(ino->ntfs, NTFS_SECURE_NO, 0, &secure, e);
	if (r < 0)
		return r;
	CLEANUP(free_ptr) uint8_t *p = NULL;
	uint32_t len = 0;
	r = find_descriptor(&secure, std.security_id, &p, &len, e);
	ntfs_inode_put(&secure);
	return r <= 0 ? r : fn(arg, "system.ntfs_acl", p + SDS_HEADER, len - SDS_HEADER);
}

static int give_plain(struct ntfs_inode *ino, uint32_t type, size_t max, const char *name, fs_xattr_fn *fn, void *arg,
                      struct err *e)
{
	CLEANUP(free_ptr) uint8_t *p = NULL;
	size_t len;
	int r = ntfs_attr_load(ino, type, "", max, &p, &len, e);
	return r <= 0 ? r : fn(arg, name, p, len);
}

int ntfs_xattrs(struct fs *fs, struct fs_id id, fs_xattr_fn *fn, void *arg, struct err *e)
{
	enum { OBJECT_ID_MAX = 256 };
	struct ntfs_inode ino;
	int r = ntfs_inode_get_id((struct ntfs *)fs, id, &ino, e);
	if (r < 0)
		return r;
	r = give_descriptor(&ino, fn, arg, e);
	if (r == 0)
		r = give_plain(&ino, NTFS_AT_OBJECT_ID, OBJECT_ID_MAX, "system.ntfs_object_id", fn, arg, e);
	if (r == 0)
		r = give_plain(&ino, NTFS_AT_REPARSE_POINT, NTFS_REPARSE_MAX + 8, "system.ntfs_reparse_data", fn, arg,
		               e);
	if (r == 0)
		r = give_eas(&ino, fn, arg, e);
	ntfs_inode_put(&ino);
	return r;
}
