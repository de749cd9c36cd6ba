#include "session/view.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void key_name(struct json *j, const char *key, const char *name, size_t len)
{
	json_key(j, key);
	json_name(j, name, len);
}

static void key_time(struct json *j, const char *key, const struct wire_time *t, bool known)
{
	char text[CLOCK_RFC3339_MAX];
	json_key(j, key);
	if (known && clock_rfc3339(text, t->sec, t->nsec) > 0)
		json_string(j, text);
	else
		json_null(j);
}

static void key_path(struct json *j, const char *dir, size_t dir_len, const struct wire_entry *en)
{
	char path[ENTRY_NAME_MAX + WIRE_PATH_MAX + 2];
	size_t n = 0;
	if (dir) {
		while (dir_len > 0 && dir[dir_len - 1] == '/')
			dir_len--;
		if (dir_len > WIRE_PATH_MAX)
			dir_len = WIRE_PATH_MAX;
		memcpy(path, dir, dir_len);
		n = dir_len;
		path[n++] = '/';
	}
	memcpy(path + n, en->name, en->name_len);
	key_name(j, "path", path, n + en->name_len);
}

/* The fields every listing has; the object stays open. */
static void basic_fields(struct json *j, const struct wire_entry *en)
{
	json_key_string(j, "type", wire_entry_kind_name(en->kind));
	if (en->flags & ENTRY_BROKEN) {
		json_key_null(j, "size");
		json_key_null(j, "mode");
		json_key_null(j, "modified_time");
		json_key_bool(j, "is_symlink", en->kind == ENTRY_SYMLINK);
		json_key(j, "error");
		json_object(j);
		json_key_string(j, "code", err_code_name(en->error_code));
		json_key(j, "message");
		json_string_n(j, en->error_msg, en->error_len);
		json_object_end(j);
		return;
	}
	json_key_u64(j, "size", en->size);
	json_key(j, "mode");
	json_stringf(j, "%04o", en->mode);
	key_time(j, "modified_time", &en->mtime, en->flags & ENTRY_HAS_MTIME);
	json_key_bool(j, "is_symlink", en->kind == ENTRY_SYMLINK);
	if (en->kind == ENTRY_SYMLINK)
		key_name(j, "link_target", en->target, en->target_len);
	json_key_u64(j, "uid", en->uid);
	json_key_u64(j, "gid", en->gid);
	if (en->flags & ENTRY_COMPRESSED)
		json_key_bool(j, "compressed", true);
	if (en->flags & ENTRY_ENCRYPTED)
		json_key_bool(j, "encrypted", true);
}

void view_entry(struct json *j, const char *dir, size_t dir_len, const struct wire_entry *en)
{
	const char *name = en->name;
	size_t len = en->name_len;
	if (!dir) {
		const char *slash = memrchr(name, '/', len);
		if (slash && len > 1) {
			len -= (size_t)(slash + 1 - name);
			name = slash + 1;
		}
	}
	json_object(j);
	key_name(j, "name", name, len);
	key_path(j, dir, dir_len, en);
	basic_fields(j, en);
	json_object_end(j);
}

static void view_xattrs(struct json *j, const struct session_stat *st)
{
	json_key(j, "xattrs");
	json_array(j);
	for (unsigned i = 0; i < st->xattr_count; i++) {
		const struct session_xattr *x = &st->xattrs[i];
		json_object(j);
		key_name(j, "name", x->name, strlen(x->name));
		json_key_u64(j, "size", x->full_len);
		/* As text where it is text, and as bytes always. */
		size_t text = x->len > 0 && x->value[x->len - 1] == 0 ? x->len - 1 : x->len;
		if (utf8_valid(x->value, text) && !memchr(x->value, 0, text)) {
			json_key(j, "text");
			json_string_n(j, x->value, text);
		}
		json_key(j, "hex");
		char hex[2 * 4096 + 1];
		size_t shown = min_size(x->len, 4096);
		for (size_t k = 0; k < shown; k++)
			(void)snprintf(hex + 2 * k, 3, "%02x", x->value[k]);
		json_string_n(j, hex, 2 * shown);
		json_object_end(j);
	}
	json_array_end(j);
}

static void view_streams(struct json *j, const struct session_stat *st)
{
	json_key(j, "streams");
	json_array(j);
	for (unsigned i = 0; i < st->stream_count; i++) {
		json_object(j);
		key_name(j, "name", st->streams[i].name, st->streams[i].name_len);
		json_key_u64(j, "size", st->streams[i].size);
		json_object_end(j);
	}
	json_array_end(j);
}

void view_stat(struct json *j, const char *path, size_t path_len, const struct session_stat *st)
{
	const struct wire_entry *en = &st->entry;
	json_object(j);
	key_name(j, "name", en->name, en->name_len);
	key_name(j, "path", path, path_len);
	basic_fields(j, en);
	json_key_u64(j, "volume", st->volume);
	json_key_u64(j, "inode", en->ino);
	if (en->tree)
		json_key_u64(j, "tree", en->tree);
	json_key_u64(j, "links", en->nlink);
	json_key_u64(j, "allocated_size", en->allocated);
	key_time(j, "accessed_time", &en->atime, en->flags & ENTRY_HAS_ATIME);
	key_time(j, "changed_time", &en->ctime, en->flags & ENTRY_HAS_CTIME);
	key_time(j, "created_time", &en->btime, en->flags & ENTRY_HAS_BTIME);
	if (en->kind == ENTRY_BLOCK || en->kind == ENTRY_CHAR) {
		json_key_u64(j, "device_major", en->rdev_major);
		json_key_u64(j, "device_minor", en->rdev_minor);
	}
	if (en->flags & ENTRY_HAS_ATTRS) {
		json_key(j, "dos_attributes");
		json_stringf(j, "0x%08" PRIx32, en->dos_attrs);
	}
	view_xattrs(j, st);
	view_streams(j, st);
	if (st->cut)
		json_key_bool(j, "details_incomplete", true);
	json_object_end(j);
}

static void key_text_or_null(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	if (s[0])
		json_string(j, s);
	else
		json_null(j);
}

void view_volume(struct json *j, const struct wire_volume *v, int64_t disk_index, int64_t disk_id)
{
	json_object(j);
	json_key_u64(j, "volume", v->number);
	json_key_string(j, "kind", v->kind);
	json_key_string(j, "label", v->label);
	key_text_or_null(j, "filesystem_type", v->type);
	key_text_or_null(j, "uuid", v->uuid);
	json_key_u64(j, "size", v->size);
	json_key_bool(j, "supported", v->supported);
	json_key_bool(j, "default", v->is_default);
	json_key_bool(j, "locked", v->locked);
	json_key_bool(j, "container", v->container);
	json_key_i64(j, "disk_index", disk_index);
	if (disk_id > 0)
		json_key_i64(j, "disk_id", disk_id);
	json_key_u64(j, "parent", v->parent);
	json_key_u64(j, "partition", v->partition);
	json_key_u64(j, "offset", v->offset);
	key_text_or_null(j, "name", v->name);
	key_text_or_null(j, "partition_table", v->table);
	key_text_or_null(j, "partition_type", v->part_type);
	key_text_or_null(j, "partition_type_name", v->part_type_name);
	key_text_or_null(j, "partition_uuid", v->part_uuid);
	key_text_or_null(j, "reason", v->reason);
	json_object_end(j);
}

void view_mode(char to[11], const struct wire_entry *en)
{
	static const char kinds[] = "?-dlbcps";
	static const char bits[] = "rwxrwxrwx";
	to[0] = kinds[en->kind < ENTRY_KINDS ? en->kind : 0];
	for (int i = 0; i < 9; i++)
		to[1 + i] = en->mode & (0400U >> i) ? bits[i] : '-';
	if (en->mode & 04000)
		to[3] = en->mode & 0100 ? 's' : 'S';
	if (en->mode & 02000)
		to[6] = en->mode & 0010 ? 's' : 'S';
	if (en->mode & 01000)
		to[9] = en->mode & 0001 ? 't' : 'T';
	to[10] = '\0';
}
