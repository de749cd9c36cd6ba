#include "repository/manifest.h"

#include "repository/path.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* --- text ----------------------------------------------------------------------------------------- */

/* Takes `value` over, NULL included (a failed allocation, or null on purpose when `optional`). */
static bool put(struct json_object *o, const char *name, struct json_object *value, bool optional)
{
	if ((!value && !optional) || json_object_object_add(o, name, value) != 0) {
		json_object_put(value);
		return false;
	}
	return true;
}

static bool put_text(struct json_object *o, const char *name, const char *text)
{
	bool none = !text || !*text;
	return put(o, name, none ? NULL : json_object_new_string(text), none);
}

static bool put_int(struct json_object *o, const char *name, int64_t n)
{
	return put(o, name, json_object_new_int64(n), false);
}

static bool put_time(struct json_object *o, const char *name, int64_t t)
{
	char text[32] = "";
	if (t)
		time_format(t, text);
	return put_text(o, name, text);
}

static bool put_disk(struct json_object *list, const struct manifest_disk *d)
{
	struct json_object *o = json_object_new_object();
	bool ok = o && put_int(o, "disk_index", d->disk_index) && put_int(o, "vmware_disk_key", d->vmware_disk_key) &&
	          put_int(o, "size_bytes", d->size_bytes) && put_text(o, "file", d->file) &&
	          put_text(o, "format", d->format) && put_text(o, "disk_change_id", d->disk_change_id) &&
	          put_text(o, "parent_file", d->parent_file) && json_object_array_add(list, o) == 0;
	if (!ok)
		json_object_put(o);
	return ok;
}

static bool build(struct json_object *o, const struct manifest *m)
{
	bool ok = put_text(o, "format", "sendense-backup") && put_int(o, "version", MANIFEST_VERSION) &&
	          put_text(o, "backup_id", m->backup_id) && put_text(o, "vm_name", m->vm_name) &&
	          put_text(o, "vm_context_id", m->vm_context_id) && put_text(o, "backup_type", m->backup_type) &&
	          put_text(o, "parent_backup_id", m->parent_backup_id) && put_time(o, "created_at", m->created_at) &&
	          put_time(o, "completed_at", m->completed_at);
	struct json_object *list = ok ? json_object_new_array() : NULL;
	for (size_t i = 0; list && ok && i < m->disk_count; i++)
		ok = put_disk(list, &m->disks[i]);
	if (!ok) {
		json_object_put(list);
		return false;
	}
	return put(o, "disks", list, false);
}

int manifest_format(const struct manifest *m, struct buf *to, struct err *e)
{
	struct json_object *o = json_object_new_object();
	const char *text = o && build(o, m)
	                       ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)
	                       : NULL;
	int r = text ? 0 : err_no_memory(e, "manifest");
	/* What could not be read back must not be written. */
	struct manifest *again = NULL;
	if (r >= 0)
		r = manifest_parse(text, strlen(text), &again, e);
	manifest_free(again);
	if (r >= 0) {
		buf_adds(to, text);
		buf_addc(to, '\n');
		r = buf_ok(to, "manifest", e);
	}
	json_object_put(o);
	return r;
}

/* --- file ----------------------------------------------------------------------------------------- */

int manifest_read(const struct repository *r, const char *path, struct manifest **ret, struct err *e)
{
	CLEANUP(fd_close) int fd = -1;
	int result = repository_open_file(r, path, &fd, e);
	if (result < 0)
		return result;
	CLEANUP(buf_free) struct buf b = BUF_INIT(MANIFEST_SIZE_MAX + 1);
	for (;;) {
		char *to = buf_reserve(&b, 4096 < b.max - b.len ? 4096 : b.max - b.len);
		if (!to)
			return buf_ok(&b, "manifest", e);
		size_t room = 4096 < b.max - b.len ? 4096 : b.max - b.len;
		ssize_t n = room ? read(fd, to, room) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(e, ERR_IO, errno, "manifest", "the manifest cannot be read");
		if (n == 0)
			break;
		buf_filled(&b, (size_t)n);
	}
	return manifest_parse(buf_str(&b), b.len, ret, e);
}

static bool file_name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;
	return len > 0 && len <= 240 && !strchr(name, '/') && name[0] != '.';
}

static int write_all(int fd, const struct buf *b, struct err *e)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = write(fd, b->data + at, b->len - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(e, ERR_IO, errno, "manifest", "the manifest cannot be written");
		at += (size_t)n;
	}
	return fsync(fd) == 0 ? 0 : err_set_errno(e, ERR_IO, errno, "manifest", "the manifest cannot be written");
}

static int replace(int dir, const char *name, const struct buf *b, struct err *e)
{
	char temporary[300];
	(void)snprintf(temporary, sizeof(temporary), ".%s.%ld.new", name, (long)getpid());
	CLEANUP(fd_close) int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_set_errno(e, ERR_IO, errno, "manifest", "the manifest cannot be made");
	int r = write_all(fd, b, e);
	if (r >= 0 && (renameat(dir, temporary, dir, name) < 0 || fsync(dir) < 0))
		r = err_set_errno(e, ERR_IO, errno, "manifest", "the manifest cannot be put in its place");
	if (r < 0)
		(void)unlinkat(dir, temporary, 0);
	return r;
}

int manifest_write(const struct repository *r, const struct manifest *m, struct err *e)
{
	if (!file_name_ok(m->vm_name) || !file_name_ok(m->backup_id))
		return err_set(e, ERR_INVALID, "manifest", "the VM's name or the backup's id cannot be the name of a file");
	CLEANUP(buf_free) struct buf b = BUF_INIT(MANIFEST_SIZE_MAX);
	int result = manifest_format(m, &b, e);
	if (result < 0)
		return result;
	CLEANUP(fd_close) int dir = open_beneath(r, m->vm_name, O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		return err_set_errno(e, errno == ESTALE ? ERR_REPOSITORY_UNREACHABLE : ERR_IO, errno, "manifest",
		                     "the VM's folder cannot be opened");
	char name[256];
	(void)snprintf(name, sizeof(name), "%s.json", m->backup_id);
	return replace(dir, name, &b, e);
}
