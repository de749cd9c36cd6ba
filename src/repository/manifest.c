#include "repository/manifest.h"

#include "repository/path.h"

#include <json-c/json.h>
#include <string.h>

#define FORMAT_NAME "sendense-backup"

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->disk_count; i++) {
		free(m->disks[i].file);
		free(m->disks[i].format);
		free(m->disks[i].disk_change_id);
		free(m->disks[i].parent_file);
	}
	free(m->disks);
	free(m->backup_id);
	free(m->vm_name);
	free(m->vm_context_id);
	free(m->backup_type);
	free(m->parent_backup_id);
	free(m);
}

/* --- members -------------------------------------------------------------------------------------- */

static int wrong(const char *name, const char *what, struct err *e)
{
	return err_set(e, ERR_INVALID, "manifest", "\"%s\" in the manifest %s", name, what);
}

/* NULL for a member that is absent or null. */
static struct json_object *member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, name, &v) ? v : NULL;
}

static int get_text(struct json_object *o, const char *name, bool required, size_t max, char **ret, struct err *e)
{
	struct json_object *v = member(o, name);
	if (v && !json_object_is_type(v, json_type_string))
		return wrong(name, "is not a string", e);
	const char *text = v ? json_object_get_string(v) : "";
	size_t len = v ? (size_t)json_object_get_string_len(v) : 0;
	if (required && len == 0)
		return wrong(name, "is missing", e);
	if (len >= max || strlen(text) != len)
		return wrong(name, "is too long or holds a NUL", e);
	*ret = strdup(text);
	return *ret ? 0 : err_no_memory(e, "manifest");
}

static int get_int(struct json_object *o, const char *name, bool required, int64_t max, int64_t *ret, struct err *e)
{
	struct json_object *v = member(o, name);
	if (!v && !required) {
		*ret = 0;
		return 0;
	}
	if (!v || !json_object_is_type(v, json_type_int))
		return wrong(name, v ? "is not a whole number" : "is missing", e);
	int64_t n = json_object_get_int64(v);
	if (n < 0 || n > max)
		return wrong(name, "is out of range", e);
	*ret = n;
	return 0;
}

static int get_time(struct json_object *o, const char *name, bool required, int64_t *ret, struct err *e)
{
	CLEANUP(free_ptr) char *text = NULL;
	int r = get_text(o, name, required, 64, &text, e);
	if (r < 0)
		return r;
	*ret = 0;
	if (*text && !time_parse(text, ret))
		return wrong(name, "is not a time such as 2025-10-08T18:24:31Z", e);
	return 0;
}

/* A relative path that stays beneath the manifest's folder. */
static int get_file(struct json_object *o, const char *name, bool required, char **ret, struct err *e)
{
	int r = get_text(o, name, required, MANIFEST_TEXT_MAX, ret, e);
	if (r < 0 || !**ret)
		return r;
	char tidy[REPOSITORY_PATH_MAX];
	if ((*ret)[0] == '/' || !path_join("", *ret, tidy))
		return wrong(name, "leads out of the manifest's folder", e);
	return 0;
}

static int parse_disk(struct json_object *o, struct manifest_disk *d, struct err *e)
{
	if (!json_object_is_type(o, json_type_object))
		return wrong("disks", "holds something that is no disk", e);
	int r = get_int(o, "disk_index", true, MANIFEST_DISKS_MAX - 1, &d->disk_index, e);
	if (r >= 0)
		r = get_int(o, "vmware_disk_key", false, INT64_MAX, &d->vmware_disk_key, e);
	if (r >= 0)
		r = get_int(o, "size_bytes", true, INT64_MAX, &d->size_bytes, e);
	if (r >= 0)
		r = get_file(o, "file", true, &d->file, e);
	if (r >= 0)
		r = get_text(o, "format", true, 16, &d->format, e);
	if (r >= 0)
		r = get_text(o, "disk_change_id", false, MANIFEST_TEXT_MAX, &d->disk_change_id, e);
	if (r >= 0)
		r = get_file(o, "parent_file", false, &d->parent_file, e);
	return r;
}

static int by_index(const void *a, const void *b)
{
	const struct manifest_disk *x = a, *y = b;
	return (x->disk_index > y->disk_index) - (x->disk_index < y->disk_index);
}

static int parse_disks(struct json_object *o, struct manifest *m, struct err *e)
{
	struct json_object *list = member(o, "disks");
	if (!list || !json_object_is_type(list, json_type_array))
		return wrong("disks", "is missing or not a list", e);
	size_t count = json_object_array_length(list);
	if (count == 0 || count > MANIFEST_DISKS_MAX)
		return wrong("disks", "holds no disk, or too many", e);
	m->disks = calloc(count, sizeof(*m->disks));
	if (!m->disks)
		return err_no_memory(e, "manifest");
	m->disk_count = count;
	for (size_t i = 0; i < count; i++) {
		int r = parse_disk(json_object_array_get_idx(list, i), &m->disks[i], e);
		if (r < 0)
			return r;
	}
	qsort(m->disks, count, sizeof(*m->disks), by_index);
	for (size_t i = 1; i < count; i++)
		if (m->disks[i].disk_index == m->disks[i - 1].disk_index)
			return wrong("disks", "holds one disk_index twice", e);
	return 0;
}

static int check_format(struct json_object *o, struct err *e)
{
	CLEANUP(free_ptr) char *format = NULL;
	int64_t version;
	int r = get_text(o, "format", true, 64, &format, e);
	if (r < 0)
		return r;
	if (strcmp(format, FORMAT_NAME) != 0)
		return wrong("format", "is not " FORMAT_NAME, e);
	r = get_int(o, "version", true, INT64_MAX, &version, e);
	if (r < 0)
		return r;
	if (version < 1 || version > MANIFEST_VERSION)
		return err_set(e, ERR_INVALID, "manifest", "the manifest has version %lld; this Sendense reads up to %d",
		               (long long)version, MANIFEST_VERSION);
	return 0;
}

static int fill(struct json_object *o, struct manifest *m, struct err *e)
{
	if (!json_object_is_type(o, json_type_object))
		return err_set(e, ERR_INVALID, "manifest", "the manifest is not a JSON object");
	int r = check_format(o, e);
	if (r >= 0)
		r = get_text(o, "backup_id", true, 256, &m->backup_id, e);
	if (r >= 0)
		r = get_text(o, "vm_name", true, 256, &m->vm_name, e);
	if (r >= 0)
		r = get_text(o, "vm_context_id", false, 256, &m->vm_context_id, e);
	if (r >= 0)
		r = get_text(o, "backup_type", true, 16, &m->backup_type, e);
	if (r >= 0)
		r = get_text(o, "parent_backup_id", false, 256, &m->parent_backup_id, e);
	if (r >= 0)
		r = get_time(o, "created_at", true, &m->created_at, e);
	if (r >= 0)
		r = get_time(o, "completed_at", false, &m->completed_at, e);
	if (r < 0)
		return r;
	bool full = strcmp(m->backup_type, "full") == 0;
	if (!full && strcmp(m->backup_type, "incremental") != 0)
		return wrong("backup_type", "is neither full nor incremental", e);
	if (full != (*m->parent_backup_id == '\0'))
		return wrong("parent_backup_id", "contradicts the backup_type", e);
	return parse_disks(o, m, e);
}

int manifest_parse(const char *text, size_t len, struct manifest **ret, struct err *e)
{
	if (len > MANIFEST_SIZE_MAX)
		return err_set(e, ERR_INVALID, "manifest", "the manifest is larger than %d bytes", MANIFEST_SIZE_MAX);
	struct json_tokener *tok = json_tokener_new_ex(MANIFEST_DEPTH_MAX);
	if (!tok)
		return err_no_memory(e, "manifest");
	/* STRICT refuses anything behind the value but lets the text end early, hence the check of where it stopped. */
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *o = json_tokener_parse_ex(tok, text, (int)len);
	enum json_tokener_error error = json_tokener_get_error(tok);
	size_t at = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	if (!o || error != json_tokener_success) {
		json_object_put(o);
		return err_set(e, ERR_INVALID, "manifest", "the manifest is not JSON: %s at byte %zu",
		               error == json_tokener_success ? "null" : json_tokener_error_desc(error), at);
	}
	CLEANUP(manifest_free_p) struct manifest *m = calloc(1, sizeof(*m));
	int r = m ? fill(o, m, e) : err_no_memory(e, "manifest");
	json_object_put(o);
	if (r >= 0)
		*ret = STEAL(m);
	return r;
}
