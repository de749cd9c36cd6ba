#include "repository/scan_state.h"

#include <string.h>

/* --- the report ----------------------------------------------------------------------------------- */

static void free_disk(struct scan_disk *d)
{
	free(d->path);
	free(d->format);
	free(d->disk_change_id);
	free(d->parent_backup_id);
	free(d->data_path);
}

static void free_point(struct scan_point *p)
{
	for (size_t i = 0; i < p->disk_count; i++)
		free_disk(&p->disks[i]);
	free(p->disks);
	free(p->backup_id);
	free(p->vm_name);
	free(p->vm_context_id);
	free(p->manifest_path);
	free(p->parent_backup_id);
}

void scan_report_free(struct scan_report *report)
{
	for (size_t i = 0; i < report->point_count; i++)
		free_point(&report->points[i]);
	free(report->points);
	repository_notes_free(&report->orphans);
	repository_notes_free(&report->skipped);
	*report = (struct scan_report){0};
}

int scan_report_refuse(struct scan_report *report, size_t point, const char *why, struct err *e)
{
	struct scan_point *p = &report->points[point];
	int r = 0;
	for (size_t i = 0; i < p->disk_count && r == 0; i++)
		r = notes_add(&report->orphans, p->disks[i].path, why, e);
	if (r < 0)
		return r;
	free_point(p);
	report->point_count--;
	memmove(p, p + 1, (report->point_count - point) * sizeof(*p));
	return 0;
}

static const struct manifest_disk *manifest_disk(const struct manifest *m, int64_t index)
{
	for (size_t i = 0; m && i < m->disk_count; i++)
		if (m->disks[i].disk_index == index)
			return &m->disks[i];
	return NULL;
}

static bool make_disk(const struct scan *s, const struct point *p, const struct image *im, struct scan_disk *ret)
{
	const struct manifest_disk *d = manifest_disk(p->manifest, im->disk_index);
	const struct image *below = im->parent == NONE ? NULL : &s->images[im->parent];
	*ret = (struct scan_disk){
		.disk_index = im->disk_index,
		.vmware_disk_key = d ? d->vmware_disk_key : 0,
		.size_bytes = im->virtual_size,
		.stored_bytes = im->stored,
		.path = strdup(im->path),
		.format = strdup(im->format),
		.disk_change_id = strdup(d ? d->disk_change_id : ""),
		.parent_backup_id = strdup(below ? s->points[below->point].id : ""),
		.parent_disk_index = below ? below->disk_index : 0,
		.data_path = strdup(im->data_path ? im->data_path : ""),
	};
	return ret->path && ret->format && ret->disk_change_id && ret->parent_backup_id && ret->data_path;
}

static bool make_point(const struct scan *s, const struct point *p, struct scan_point *ret)
{
	const struct manifest *m = p->manifest;
	*ret = (struct scan_point){
		.backup_id = strdup(p->id),
		.vm_name = strdup(p->vm_name),
		.vm_context_id = strdup(m ? m->vm_context_id : ""),
		.manifest_path = strdup(m ? p->manifest_path : ""),
		.incremental = p->parent != NONE,
		.parent_backup_id = strdup(p->parent == NONE ? "" : s->points[p->parent].id),
		.created_at = p->created_at,
		.completed_at = m && m->completed_at ? m->completed_at : p->created_at,
		.disks = calloc(p->image_count, sizeof(struct scan_disk)),
	};
	if (!ret->backup_id || !ret->vm_name || !ret->vm_context_id || !ret->manifest_path || !ret->parent_backup_id ||
	    !ret->disks)
		return false;
	bool ok = true;
	for (size_t i = 0; i < p->image_count && ok; i++)
		ok = make_disk(s, p, &s->images[p->images[i]], &ret->disks[ret->disk_count++]);
	return ok;
}

struct position {
	const struct point *point;
	size_t at;
};

static int by_order(const void *a, const void *b)
{
	const struct point *x = ((const struct position *)a)->point, *y = ((const struct position *)b)->point;
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	int r = strcmp(x->vm_name, y->vm_name);
	return r ? r : strcmp(x->id, y->id);
}

static int report_points(struct scan *s, struct scan_report *ret, struct err *e)
{
	if (s->point_count == 0)
		return 0;
	CLEANUP(free_ptr) struct position *order = calloc(s->point_count, sizeof(*order));
	ret->points = calloc(s->point_count, sizeof(*ret->points));
	if (!order || !ret->points)
		return err_no_memory(e, "scan");
	for (size_t i = 0; i < s->point_count; i++)
		order[i] = (struct position){&s->points[i], i};
	qsort(order, s->point_count, sizeof(*order), by_order);
	for (size_t i = 0; i < s->point_count; i++) {
		struct point *p = &s->points[order[i].at];
		/* Copying a repository loses the times of its files; what stands on another is yet the later one. */
		if (!p->manifest && p->parent != NONE && p->created_at <= s->points[p->parent].created_at)
			p->created_at = s->points[p->parent].created_at + 1;
		if (!make_point(s, p, &ret->points[ret->point_count++]))
			return err_no_memory(e, "scan");
	}
	return 0;
}

static int report_orphans(struct scan *s, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < s->image_count && r >= 0; i++)
		if (s->images[i].why_not && !s->images[i].is_data)
			r = notes_add(&s->orphans, s->images[i].path, s->images[i].why_not, e);
	return r;
}

static int report(struct scan *s, struct scan_report *ret, struct err *e)
{
	int r = report_points(s, ret, e);
	if (r >= 0)
		r = report_orphans(s, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->image_count; i++)
		ret->image_count += !s->images[i].is_data;
	ret->manifest_count = s->manifest_count;
	ret->orphans = s->orphans;
	ret->skipped = s->skipped;
	s->orphans = s->skipped = (struct repository_notes){0};
	return 0;
}

/* --- the scan ------------------------------------------------------------------------------------- */

static void scan_free(struct scan *s)
{
	for (size_t i = 0; i < s->image_count; i++) {
		free(s->images[i].path);
		free(s->images[i].backing_name);
		free(s->images[i].data_path);
		free(s->images[i].why_not);
		for (size_t k = 0; k < s->images[i].extent_count; k++)
			free(s->images[i].extents[k]);
		free(s->images[i].extents);
	}
	free(s->images);
	for (size_t i = 0; i < s->manifest_count; i++)
		free(s->manifests[i]);
	free(s->manifests);
	for (size_t i = 0; i < s->point_count; i++) {
		struct point *p = &s->points[i];
		free(p->key);
		free(p->vm_folder);
		free(p->id);
		free(p->vm_name);
		manifest_free(p->manifest);
		free(p->manifest_path);
		free(p->images);
	}
	free(s->points);
	repository_notes_free(&s->skipped);
	repository_notes_free(&s->orphans);
}

int repository_scan(const struct repository *r, const struct scan_ops *ops, struct scan_report *ret, struct err *e)
{
	struct scan s = {.repo = r, .ops = ops};
	struct scan_report made = {0};
	int result = scan_images(&s, e);
	if (result >= 0)
		result = scan_points(&s, e);
	if (result >= 0)
		result = report(&s, &made, e);
	scan_free(&s);
	if (result < 0)
		scan_report_free(&made);
	else
		*ret = made;
	return result;
}
