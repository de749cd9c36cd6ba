/* Inside the scan: its working state. Images refer to each other, and to points, by index. */
#ifndef REPOSITORY_SCAN_STATE_H
#define REPOSITORY_SCAN_STATE_H

#include "repository/manifest.h"
#include "repository/path.h"
#include "repository/scan.h"

#define NONE SIZE_MAX

/* Backing files whose names are not those of images: these are searched one by one. */
enum { SCAN_UNLISTED_MAX = 4096 };

struct image {
	char *path;
	int64_t mtime;
	uint64_t dev, ino;
	int64_t stored;           /* bytes allocated */
	char format[16];
	int64_t virtual_size;
	char *backing_name;       /* as in the header, "" for none; NULL until inspected */
	char *data_path;          /* of its external data file, or NULL */
	bool is_data;             /* is itself another image's data file, or a part of it */
	char **extents;           /* names of the files a VMDK descriptor lists; owned */
	size_t extent_count;
	char *why_not;            /* set: an orphan, with the reason */
	size_t parent;            /* image, NONE */
	unsigned depth;           /* layers below it; once placed */
	bool placed;
	size_t point;             /* NONE */
	int64_t disk_index;
};

struct point {
	char *key;                /* what it is made from: stable text the id's suffix is derived from */
	char *vm_folder;          /* relative; "" at the root or by manifest */
	char *id;
	char *vm_name;
	struct manifest *manifest;/* NULL */
	char *manifest_path;
	size_t *images;           /* by disk index */
	size_t image_count;
	size_t parent;            /* point, NONE */
	unsigned depth;           /* points below it */
	int64_t created_at;
};

struct scan {
	const struct repository *repo;
	const struct scan_ops *ops;
	struct image *images;     /* [0, sorted) by path; then those found only through a header */
	size_t image_count, image_room, sorted;
	char **manifests;
	size_t manifest_count, manifest_room;
	struct point *points;
	size_t point_count, point_room;
	struct repository_notes skipped, orphans;
};

/* scan_images.c: finds, inspects and links the images. */
int scan_images(struct scan *s, struct err *e);
/* The image of that path; NONE. */
size_t scan_find(const struct scan *s, const char *path);
int scan_reject(struct image *im, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* scan_points.c: groups them into restore points with names and order. */
int scan_points(struct scan *s, struct err *e);

#endif
