#include "repository/scan_state.h"

#include "base/utf8.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ID_STEM_MAX = 200 };

/* --- making points -------------------------------------------------------------------------------- */

/* Names come from folders and files, which are bytes; ids are text that clients send back. A new string, or NULL. */
static char *as_text(const char *name)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(NAME_ESCAPE_GROWTH * REPOSITORY_PATH_MAX + 1);
	name_escape(&b, name, strlen(name));
	return b.failed ? NULL : strdup(buf_str(&b));
}

/* The end of a text, cut where no character is: at most max bytes. */
static int text_cut(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);
	if (len <= max)
		return (int)len;
	for (len = max; len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80;)
		len--;
	return (int)len;
}

static int add_point(struct scan *s, const char *key, const char *vm_folder, const char *id, const char *vm_name,
                     struct err *e)
{
	if (s->point_count == s->point_room) {
		size_t room = s->point_room ? s->point_room * 2 : 64;
		struct point *more = reallocarray(s->points, room, sizeof(*more));
		if (!more)
			return err_no_memory(e, "scan");
		s->points = more;
		s->point_room = room;
	}
	struct point *p = &s->points[s->point_count++];
	*p = (struct point){.key = strdup(key), .vm_folder = strdup(vm_folder), .id = as_text(id), .vm_name = as_text(vm_name),
	                    .parent = NONE};
	if (!p->key || !p->vm_folder || !p->id || !p->vm_name)
		return err_no_memory(e, "scan");
	p->vm_name[text_cut(p->vm_name, SCAN_ID_MAX - 1)] = '\0';
	return 0;
}

static int attach(struct scan *s, size_t point, size_t image, int64_t disk_index, struct err *e)
{
	struct point *p = &s->points[point];
	size_t *more = reallocarray(p->images, p->image_count + 1, sizeof(*more));
	if (!more)
		return err_no_memory(e, "scan");
	p->images = more;
	size_t at = p->image_count++;
	for (; at > 0 && s->images[more[at - 1]].disk_index > disk_index; at--)
		more[at] = more[at - 1];
	more[at] = image;
	s->images[image].point = point;
	s->images[image].disk_index = disk_index;
	return 0;
}

/* --- by manifest ---------------------------------------------------------------------------------- */

static int note(struct scan *s, const char *path, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int note(struct scan *s, const char *path, struct err *e, const char *fmt, ...)
{
	char reason[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	return notes_add(&s->skipped, path, reason, e);
}

static size_t claimed_image(const struct scan *s, const char *manifest_path, const char *file)
{
	char folder[REPOSITORY_PATH_MAX], path[REPOSITORY_PATH_MAX];
	path_folder(manifest_path, folder);
	return path_join(folder, file, path) ? scan_find(s, path) : NONE;
}

static int claim_disk(struct scan *s, size_t point, const char *path, const struct manifest_disk *d, struct err *e)
{
	char shown[PATH_SHOWN_MAX];
	size_t at = claimed_image(s, path, d->file);
	if (at == NONE)
		return note(s, path, e, "its disk %" PRId64 ", %s, is not there", d->disk_index, path_show(d->file, shown));
	const struct image *im = &s->images[at];
	if (im->point != NONE)
		return note(s, path, e, "its disk %" PRId64 " belongs to another manifest already", d->disk_index);
	if (im->is_data || im->why_not || !im->placed)
		return note(s, path, e, "its disk %" PRId64 " cannot be used: %s", d->disk_index,
		            im->why_not ? im->why_not : "it is the data file of another image");
	size_t named = *d->parent_file ? claimed_image(s, path, d->parent_file) : NONE;
	int r = 0;
	if (named != im->parent)
		r = note(s, path, e, "its disk %" PRId64 " has another backing file than the manifest says; the image's own word counts",
		         d->disk_index);
	return r < 0 ? r : attach(s, point, at, d->disk_index, e);
}

static int take_manifest(struct scan *s, const char *path, struct err *e)
{
	CLEANUP(manifest_free_p) struct manifest *m = NULL;
	int r = manifest_read(s->repo, path, &m, e);
	if (r == ERR_NO_MEMORY || r == ERR_REPOSITORY_UNREACHABLE)
		return r;
	if (r < 0) {
		struct err why = *e;
		err_clear(e);
		return note(s, path, e, "%s", why.msg);
	}
	if (s->ops->id_taken && s->ops->id_taken(s->ops->arg, m->backup_id))
		return note(s, path, e, "a backup of another repository has the same backup_id");
	char folder[REPOSITORY_PATH_MAX];
	path_folder(path, folder);
	size_t point = s->point_count;
	r = add_point(s, path, folder, m->backup_id, m->vm_name, e);
	for (size_t i = 0; i < m->disk_count && r >= 0; i++)
		r = claim_disk(s, point, path, &m->disks[i], e);
	if (r < 0)
		return r;
	s->points[point].manifest = STEAL(m);
	s->points[point].manifest_path = strdup(path);
	return s->points[point].manifest_path ? 0 : err_no_memory(e, "scan");
}

/* --- by layout, or made elsewhere ----------------------------------------------------------------- */

struct place {
	char vm_folder[REPOSITORY_PATH_MAX];
	char id[REPOSITORY_PATH_MAX];
	int64_t disk_index;
};

/* "disk-12" → 12 */
static bool disk_folder(const char *name, int64_t *ret)
{
	if (strncmp(name, "disk-", 5) != 0 || !isdigit((unsigned char)name[5]) || strlen(name + 5) > 3)
		return false;
	*ret = 0;
	for (const char *p = name + 5; *p; p++) {
		if (!isdigit((unsigned char)*p))
			return false;
		*ret = *ret * 10 + (*p - '0');
	}
	return *ret < SCAN_DISKS_MAX;
}

/* Whether the path is <vm_name>/disk-<index>/<backup_id>.<suffix>. */
static bool by_layout(const char *path, struct place *ret)
{
	char folder[REPOSITORY_PATH_MAX];
	const char *base = path_base(path);
	path_folder(path, folder);
	if (!disk_folder(path_base(folder), &ret->disk_index))
		return false;
	path_folder(folder, ret->vm_folder);
	(void)snprintf(ret->id, sizeof(ret->id), "%.*s", (int)path_stem(base), base);
	return *ret->vm_folder != '\0';
}

/* At the root there is no folder to name the VM: the oldest layer of the chain does. */
static void elsewhere(const struct scan *s, size_t image, struct place *ret, char *vm_name)
{
	const char *base = path_base(s->images[image].path);
	(void)snprintf(ret->id, sizeof(ret->id), "%.*s", (int)path_stem(base), base);
	path_folder(s->images[image].path, ret->vm_folder);
	ret->disk_index = 0;
	if (*ret->vm_folder) {
		(void)snprintf(vm_name, REPOSITORY_PATH_MAX, "%s", path_base(ret->vm_folder));
		return;
	}
	while (s->images[image].parent != NONE)
		image = s->images[image].parent;
	base = path_base(s->images[image].path);
	(void)snprintf(vm_name, REPOSITORY_PATH_MAX, "%.*s", (int)path_stem(base), base);
}

struct candidate {
	size_t image;
	int64_t disk_index;
	char *key;               /* vm folder "/" id: what is the same for all disks of a point */
};

static int by_key(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int r = strcmp(x->key, y->key);
	if (r == 0)
		r = (x->disk_index > y->disk_index) - (x->disk_index < y->disk_index);
	return r ? r : (x->image > y->image) - (x->image < y->image);
}

static int new_elsewhere(struct scan *s, size_t image, struct err *e)
{
	struct place at;
	char vm_name[REPOSITORY_PATH_MAX];
	elsewhere(s, image, &at, vm_name);
	int r = add_point(s, s->images[image].path, at.vm_folder, at.id, vm_name, e);
	return r < 0 ? r : attach(s, s->point_count - 1, image, 0, e);
}

static int take_candidates(struct scan *s, const struct candidate *list, size_t count, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < count && r >= 0; i++) {
		struct place at;
		if (!by_layout(s->images[list[i].image].path, &at))
			return err_set(e, ERR_INTERNAL, "scan", "an image changed its place");
		if (i > 0 && strcmp(list[i - 1].key, list[i].key) == 0) {
			/* The same index twice, as a.qcow2 beside a.raw: two backups, not one. */
			if (list[i - 1].disk_index == list[i].disk_index)
				r = new_elsewhere(s, list[i].image, e);
			else
				r = attach(s, s->images[list[i - 1].image].point, list[i].image, at.disk_index, e);
			continue;
		}
		r = add_point(s, list[i].key, at.vm_folder, at.id, path_base(at.vm_folder), e);
		if (r >= 0)
			r = attach(s, s->point_count - 1, list[i].image, at.disk_index, e);
	}
	return r;
}

static int take_unclaimed(struct scan *s, struct err *e)
{
	if (s->image_count == 0)
		return 0;
	struct candidate *list = calloc(s->image_count, sizeof(*list));
	if (!list)
		return err_no_memory(e, "scan");
	size_t count = 0;
	int r = 0;
	for (size_t i = 0; i < s->image_count && r >= 0; i++) {
		struct place at;
		const struct image *im = &s->images[i];
		if (!im->placed || im->is_data || im->why_not || im->point != NONE)
			continue;
		if (!by_layout(im->path, &at)) {
			r = new_elsewhere(s, i, e);
			continue;
		}
		list[count] = (struct candidate){.image = i, .disk_index = at.disk_index};
		if (asprintf(&list[count].key, "%s/%s", at.vm_folder, at.id) < 0)
			r = err_no_memory(e, "scan");
		else
			count++;
	}
	if (r >= 0) {
		qsort(list, count, sizeof(*list), by_key);
		r = take_candidates(s, list, count, e);
	}
	for (size_t i = 0; i < count; i++)
		free(list[i].key);
	free(list);
	return r;
}

/* --- unique names --------------------------------------------------------------------------------- */

static uint64_t fnv1a(const char *text)
{
	uint64_t h = 14695981039346656037u;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		h = (h ^ *p) * 1099511628211u;
	return h;
}

static int rename_to(char **name, const char *text, struct err *e)
{
	char *copy = strdup(text);
	if (!copy)
		return err_no_memory(e, "scan");
	free(*name);
	*name = copy;
	return 0;
}

/* The id with a suffix made from the point's key. */
static int add_suffix(struct point *p, struct err *e)
{
	char id[SCAN_ID_MAX];
	(void)snprintf(id, sizeof(id), "%.*s-%012" PRIx64, text_cut(p->id, ID_STEM_MAX), p->id, fnv1a(p->key) & 0xffffffffffff);
	return rename_to(&p->id, id, e);
}

struct ranked {
	const char *text;
	size_t point;
};

static int by_text(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int r = strcmp(x->text, y->text);
	return r ? r : (x->point > y->point) - (x->point < y->point);
}

static bool is_fixed(const struct scan *s, size_t point, const bool *known)
{
	return s->points[point].manifest || known[point];
}

/* All points of one id but a fixed one are given their suffix. */
static int separate(struct scan *s, const struct ranked *group, size_t count, const bool *known, struct err *e)
{
	bool taken = s->ops->id_taken && s->ops->id_taken(s->ops->arg, group[0].text);
	bool too_long = strlen(group[0].text) >= SCAN_ID_MAX - 16;
	if (count == 1 && !taken && !too_long)
		return 0;
	bool kept = false;
	int r = 0;
	for (size_t i = 0; i < count && r >= 0; i++) {
		struct point *p = &s->points[group[i].point];
		if (is_fixed(s, group[i].point, known) && !kept) {
			kept = true;
			continue;
		}
		if (p->manifest)
			r = note(s, p->manifest_path, e, "another backup has its backup_id already");
		if (r >= 0)
			r = add_suffix(p, e);
	}
	return r;
}

static int unique_ids(struct scan *s, bool *known, struct ranked *ranked, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < s->point_count && r >= 0; i++) {
		char id[SCAN_ID_MAX] = "";
		const struct point *p = &s->points[i];
		known[i] = !p->manifest && s->ops->known_id &&
		           s->ops->known_id(s->ops->arg, s->images[p->images[0]].path, id) && *id;
		if (known[i])
			r = rename_to(&s->points[i].id, id, e);
	}
	/* Twice: a name with its suffix may, by somebody's intent, be another's plain name. */
	for (unsigned round = 0; round < 2 && r >= 0; round++) {
		for (size_t i = 0; i < s->point_count; i++)
			ranked[i] = (struct ranked){s->points[i].id, i};
		qsort(ranked, s->point_count, sizeof(*ranked), by_text);
		for (size_t at = 0; at < s->point_count && r >= 0;) {
			size_t n = 1;
			while (at + n < s->point_count && strcmp(ranked[at].text, ranked[at + n].text) == 0)
				n++;
			r = separate(s, &ranked[at], n, known, e);
			at += n;
		}
	}
	return r;
}

static int name_by_folder(struct point *p, struct err *e)
{
	char name[SCAN_ID_MAX];
	CLEANUP(free_ptr) char *text = as_text(p->vm_folder);
	if (!text)
		return err_no_memory(e, "scan");
	(void)snprintf(name, sizeof(name), "%.*s", text_cut(text, SCAN_ID_MAX - 1), text);
	return rename_to(&p->vm_name, name, e);
}

/* Two folders of one name at different places are two VMs: they are called by their whole path. */
static int unique_vms(struct scan *s, struct ranked *ranked, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < s->point_count; i++)
		ranked[i] = (struct ranked){s->points[i].vm_name, i};
	qsort(ranked, s->point_count, sizeof(*ranked), by_text);
	for (size_t at = 0; at < s->point_count && r >= 0;) {
		size_t n = 1;
		bool differ = false;
		const struct point *first = &s->points[ranked[at].point];
		for (; at + n < s->point_count && strcmp(ranked[at].text, ranked[at + n].text) == 0; n++)
			differ = differ || strcmp(s->points[ranked[at + n].point].vm_folder, first->vm_folder) != 0;
		for (size_t i = at; differ && i < at + n && r >= 0; i++) {
			struct point *p = &s->points[ranked[i].point];
			if (!p->manifest && *p->vm_folder)
				r = name_by_folder(p, e);
		}
		at += n;
	}
	return r;
}

/* --- order ---------------------------------------------------------------------------------------- */

static size_t parent_point(const struct scan *s, size_t image)
{
	size_t parent = s->images[image].parent;
	return parent == NONE ? NONE : s->images[parent].point;
}

/* The point below: that of the first disk that stands on another point. */
static void find_parent(struct scan *s, size_t point)
{
	struct point *p = &s->points[point];
	for (size_t i = 0; i < p->image_count && p->parent == NONE; i++) {
		size_t below = parent_point(s, p->images[i]);
		if (below != point)
			p->parent = below;
	}
}

/* Raises each point above those its disks stand on, until nothing moves. Disks of two points that stand on each other never come
 * to rest; the bound ends that, and registering them fails for want of a parent. */
static void find_depths(struct scan *s)
{
	bool moved = true;
	for (unsigned round = 0; moved && round <= SCAN_LAYERS_MAX; round++) {
		moved = false;
		for (size_t i = 0; i < s->point_count; i++) {
			struct point *p = &s->points[i];
			for (size_t k = 0; k < p->image_count; k++) {
				size_t below = parent_point(s, p->images[k]);
				if (below == NONE || below == i || s->points[below].depth < p->depth)
					continue;
				p->depth = s->points[below].depth + 1;
				moved = true;
			}
		}
	}
}

static void find_time(struct scan *s, struct point *p)
{
	for (size_t i = 0; i < p->image_count; i++)
		if (s->images[p->images[i]].mtime > p->created_at)
			p->created_at = s->images[p->images[i]].mtime;
	if (p->manifest)
		p->created_at = p->manifest->created_at;
}

/* A manifest none of whose disks is left makes no point. */
static void drop_empty(struct scan *s)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->point_count; i++) {
		struct point p = s->points[i];
		s->points[i] = s->points[kept];
		s->points[kept] = p;
		if (p.image_count == 0)
			continue;
		for (size_t k = 0; k < p.image_count; k++)
			s->images[p.images[k]].point = kept;
		kept++;
	}
	for (size_t i = kept; i < s->point_count; i++) {
		manifest_free(STEAL(s->points[i].manifest));
		free(s->points[i].manifest_path);
		free(s->points[i].key);
		free(s->points[i].vm_folder);
		free(s->points[i].id);
		free(s->points[i].vm_name);
	}
	s->point_count = kept;
}

int scan_points(struct scan *s, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < s->manifest_count && r >= 0; i++)
		r = take_manifest(s, s->manifests[i], e);
	if (r >= 0)
		r = take_unclaimed(s, e);
	if (r < 0)
		return r;
	drop_empty(s);
	if (s->point_count == 0)
		return 0;
	CLEANUP(free_ptr) bool *known = calloc(s->point_count, sizeof(*known));
	CLEANUP(free_ptr) struct ranked *ranked = calloc(s->point_count, sizeof(*ranked));
	r = known && ranked ? unique_ids(s, known, ranked, e) : err_no_memory(e, "scan");
	if (r >= 0)
		r = unique_vms(s, ranked, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->point_count; i++) {
		find_parent(s, i);
		find_time(s, &s->points[i]);
	}
	find_depths(s);
	return 0;
}
