#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int grow(void *array, unsigned count, size_t size, struct err *e)
{
	void **at = array;
	void *more = realloc(*at, size * (count + 1));
	if (!more)
		return err_no_memory(e, "worker");
	*at = more;
	return 0;
}

static int keep_fd(struct disk *d, int fd, struct err *e)
{
	int r = grow(&d->fds, d->fd_count, sizeof(*d->fds), e);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	d->fds[d->fd_count++] = fd;
	return 0;
}

static int parse_format(const char *format, enum image_format *ret, struct err *e)
{
	if (format[0] == '\0')
		*ret = IMAGE_AUTO;
	else if (!image_format_parse(format, ret))
		return err_set(e, ERR_IMAGE_UNSUPPORTED, "worker", "image format \"%.20s\" cannot be read", format);
	return 0;
}

int disks_add_layer(struct disks *d, unsigned disk, int fd, const char *format, const struct image_layer **ret,
                    struct err *e)
{
	enum image_format f = IMAGE_AUTO;
	if (disk >= VOLUME_DISKS_MAX || disk > d->count || d->disk[disk].missing[0] != '\0' ||
	    d->disk[disk].layer_count >= IMAGE_LAYERS_MAX) {
		(void)close(fd);
		return err_set(e, ERR_LIMIT, "worker", "a disk has at most %d layers, a mount at most %d disks",
		               IMAGE_LAYERS_MAX, VOLUME_DISKS_MAX);
	}
	struct disk *dk = &d->disk[disk];
	int r = keep_fd(dk, fd, e);
	/* What a guest wrote into a raw disk is never taken for an image of another format, whatever its file is called. */
	if (r == 0 && dk->layer_count > 0)
		f = image_layer_info(dk->layers[dk->layer_count - 1])->backing_format;
	if (r == 0 && f == IMAGE_AUTO)
		r = parse_format(format, &f, e);
	if (r == 0)
		r = grow(&dk->layers, dk->layer_count, sizeof(*dk->layers), e);
	struct image_layer *layer = NULL;
	if (r == 0)
		r = image_layer_open(fd, f, &layer, e);
	if (r == 0 && dk->layer_count > 0 && image_format_is_foreign(image_layer_info(layer)->format)) {
		image_layer_close(layer);
		r = err_set(e, ERR_IMAGE_UNSUPPORTED, "worker", "only QCOW2 and raw images can be layers of a chain");
	}
	if (r < 0)
		return r;
	dk->layers[dk->layer_count++] = layer;
	if (disk == d->count)
		d->count++;
	*ret = layer;
	return 0;
}

int disks_add_data_file(struct disks *d, unsigned disk, unsigned layer, int fd, struct err *e)
{
	if (disk >= d->count || layer >= d->disk[disk].layer_count) {
		(void)close(fd);
		return err_set(e, ERR_INVALID, "worker", "a data file needs a layer it belongs to");
	}
	struct disk *dk = &d->disk[disk];
	int r = keep_fd(dk, fd, e);
	return r < 0 ? r : image_layer_set_data_file(dk->layers[layer], fd, e);
}

static struct image_layer *last_layer(struct disks *d, unsigned disk, struct err *e)
{
	if (disk < d->count && d->disk[disk].layer_count > 0)
		return d->disk[disk].layers[d->disk[disk].layer_count - 1];
	(void)err_set(e, ERR_INVALID, "worker", "disk %u has no layer yet", disk);
	return NULL;
}

int disks_extent(struct disks *d, unsigned disk, uint32_t index, const struct image_extent **ret, struct err *e)
{
	struct image_layer *l = last_layer(d, disk, e);
	if (!l)
		return e->code;
	*ret = image_layer_extent(l, index);
	return *ret ? 0 : err_set(e, ERR_INVALID, "worker", "the image has no part %u", index);
}

int disks_set_source(struct disks *d, unsigned disk, struct blk *source, const struct image_layer **ret, struct err *e)
{
	struct image_layer *l = last_layer(d, disk, e);
	int r = l ? image_layer_set_source(l, source, e) : e->code;
	if (r == 0)
		*ret = l;
	return r;
}

/* The filesystem drivers are asked first; the rest is in the table of volume/ident.c. */
static int probe_content(void *arg, struct blk *b, struct volume_content *ret, struct err *e)
{
	(void)arg;
	const struct fs_driver *driver;
	struct fs_ident ident;
	int r = fs_probe(b, &driver, &ident, e);
	if (r < 0 || !driver)
		return r < 0 ? r : 0;
	*ret = (struct volume_content){.supported = true, .reader = driver};
	if (driver->open_with) {
		ret->devices = ident.devices;
		ret->seed = ident.seed;
	}
	(void)snprintf(ret->type, sizeof(ret->type), "%s", ident.type);
	(void)snprintf(ret->label, sizeof(ret->label), "%s", ident.label);
	(void)snprintf(ret->uuid, sizeof(ret->uuid), "%s", ident.uuid);
	return 1;
}

static bool has_path(struct fs *fs, const char *path)
{
	struct err e = ERR_INIT;
	struct fs_id id;
	return fs_resolve(fs, path, strlen(path), FS_FOLLOW, &id, &e) == 0;
}

static bool holds_system(struct fs *fs)
{
	return has_path(fs, "/Windows/System32") || (has_path(fs, "/etc") && has_path(fs, "/usr"));
}

/* An EFI partition precedes nearly every system; to open it first would be in vain. */
static bool is_fat(const struct volume *v)
{
	return strcmp(v->content.type, "vfat") == 0;
}

/* Goes on from *best, the largest that opens so far; true when it is one with an operating system. */
static bool look_for_system(struct disks *d, bool fat, const struct volume **best)
{
	for (unsigned i = 0; i < d->set->count; i++) {
		const struct volume *v = &d->set->volumes[i];
		struct fs *fs;
		struct err e = ERR_INIT;
		if (is_fat(v) != fat || !v->content.supported || d->fs[i].part_of > 0 || disks_fs(d, v->number, &fs, &e) < 0)
			continue;
		bool found = holds_system(fs);
		if (found || !*best || v->size > (*best)->size)
			*best = v;
		if (found)
			return true;
	}
	return false;
}

/* The volume a person means who names none: the one with an operating system, else the largest that opens. */
static void choose_default(struct disks *d)
{
	const struct volume *best = NULL;
	if (!look_for_system(d, false, &best))
		(void)look_for_system(d, true, &best);
	d->default_volume = best ? best->number : 0;
}

/* Whatever came of it: its first layer may have failed, and then the disk does not count yet. */
static void disk_clear(struct disk *dk)
{
	for (unsigned k = 0; k < dk->layer_count; k++)
		image_layer_close(dk->layers[k]);
	free(dk->layers);
	for (unsigned k = 0; k < dk->fd_count; k++)
		(void)close(dk->fds[k]);
	free(dk->fds);
	*dk = (struct disk){0};
}

int disks_name(struct disks *d, unsigned disk, const char *name, const char *missing, struct err *e)
{
	if (disk >= VOLUME_DISKS_MAX || disk > d->count || (disk == d->count && missing[0] == '\0'))
		return err_set(e, ERR_INVALID, "worker", "there is no disk %u to name", disk);
	struct disk *dk = &d->disk[disk];
	if (missing[0] != '\0')
		disk_clear(dk);
	(void)snprintf(dk->name, sizeof(dk->name), "%s", name);
	(void)snprintf(dk->missing, sizeof(dk->missing), "%s", missing);
	if (disk == d->count)
		d->count++;
	return 0;
}

static int open_chain(struct disk *dk, struct blk **ret, struct err *e)
{
	unsigned count = dk->layer_count;
	dk->sealed = image_chain_sealed(dk->layers, count);
	dk->layer_count = 0; /* image_chain_open takes them over, whatever happens */
	int r = image_chain_open(dk->layers, count, ret, e);
	free(dk->layers);
	dk->layers = NULL;
	return r;
}

/* Every chain that opens; those that do not are missing. */
static int open_chains(struct disks *d, struct err *e)
{
	unsigned opened = 0;
	struct err first = ERR_INIT;
	for (unsigned i = 0; i < d->count; i++) {
		struct disk *dk = &d->disk[i];
		struct err why = ERR_INIT;
		if (dk->missing[0] != '\0')
			continue;
		if (open_chain(dk, &d->blks[i], &why) == 0) {
			opened++;
			continue;
		}
		if (first.code == 0)
			first = why;
		if (why.code == ERR_NO_MEMORY) {
			*e = why;
			return e->code;
		}
		(void)snprintf(dk->missing, sizeof(dk->missing), "%.*s", WIRE_MISSING_LEN - 1, why.msg);
	}
	if (opened == 0 && first.code != 0) {
		*e = first;
		return e->code;
	}
	return opened > 0 ? 0 : err_set(e, ERR_INVALID, "worker", "no disk of this machine is there");
}

static int discover(struct disks *d, struct err *e)
{
	struct volume_disk disks[VOLUME_DISKS_MAX];
	for (unsigned i = 0; i < d->count; i++) {
		struct disk *dk = &d->disk[i];
		if (dk->name[0] == '\0')
			(void)snprintf(dk->name, sizeof(dk->name), "disk %u", i);
		disks[i] = (struct volume_disk){.blk = d->blks[i], .name = dk->name, .missing = dk->missing,
		                                 .sealed = dk->sealed};
	}
	int r = volume_discover_machine(disks, d->count, probe_content, NULL, &d->set, e);
	for (unsigned i = 0; r == 0 && i < d->count; i++)
		if (disks[i].blk && !d->set->disks[i])
			(void)snprintf(d->disk[i].missing, sizeof(d->disk[i].missing), "its first sectors cannot be read");
	return r;
}

int disks_open(struct disks *d, struct err *e)
{
	if (d->count == 0)
		return err_set(e, ERR_INVALID, "worker", "there is no disk to open");
	if (d->set)
		return err_set(e, ERR_INVALID, "worker", "the disks are open already");
	int r = open_chains(d, e);
	if (r == 0)
		r = discover(d, e);
	if (r < 0)
		return r;
	/* For all there can be: unlocking finds more. */
	d->fs = calloc(VOLUME_MAX, sizeof(*d->fs));
	if (!d->fs)
		return err_no_memory(e, "worker");
	r = parts_join(d, e);
	if (r == 0)
		choose_default(d);
	return r;
}

int disks_unlock(struct disks *d, uint32_t volume, const uint8_t *key, size_t len, struct err *e)
{
	int r = volume_set_unlock(d->set, volume, key, len, e);
	if (r >= 0)
		r = parts_join(d, e);
	if (r == 0 && d->default_volume == 0)
		choose_default(d);
	return r;
}

int disks_unlock_source(struct disks *d, uint32_t volume, struct blk *source, struct err *e)
{
	const struct volume *v = volume >= 1 && volume <= d->set->count ? &d->set->volumes[volume - 1] : NULL;
	if (!v || v->kind != VOLUME_DISK || !d->disk[v->disk].sealed)
		return err_set(e, ERR_INVALID, "worker", "volume %u is no disk of an encrypted image", volume);
	CLEANUP(blk_unref_p) struct blk *unsealed = NULL;
	int r = image_chain_unseal(d->blks[v->disk], source, &unsealed, e);
	if (r == 0)
		r = volume_set_add_crypt(d->set, volume, unsealed, e);
	if (r >= 0)
		r = parts_join(d, e);
	if (r == 0 && d->default_volume == 0)
		choose_default(d);
	return r;
}

static int check_volume(const struct disks *d, const struct volume *v, struct err *e)
{
	unsigned whole = d->fs[v->number - 1].part_of;
	if (v->locked)
		return err_set(e, ERR_VOLUME_LOCKED, "worker", "volume %u is encrypted (%s); unlock it first", v->number,
		               v->content.type);
	if (whole > 0)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "worker", "volume %u is a part of the %s filesystem of volume %u: its files are there",
		               v->number, v->content.type, whole);
	if (v->content.supported && v->blk)
		return 0;
	return err_set(e, ERR_VOLUME_UNSUPPORTED, "worker", "volume %u (%s) has no files to show: %s", v->number,
	               v->content.type[0] ? v->content.type : "unknown content",
	               v->reason[0] ? v->reason : "no reader for it in this version");
}

/* The first container that waits for its key; 0: none does. */
static unsigned first_locked(const struct disks *d)
{
	for (unsigned i = 0; i < d->set->count; i++)
		if (d->set->volumes[i].locked)
			return i + 1;
	return 0;
}

int disks_fs(struct disks *d, uint32_t volume, struct fs **ret, struct err *e)
{
	if (volume == 0)
		volume = d->default_volume;
	if (volume == 0)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "worker",
		               "no volume of this disk has a filesystem that can be read; the list of volumes says what is there");
	if (volume > d->set->count && first_locked(d) > 0)
		return err_set(e, ERR_VOLUME_LOCKED, "worker",
		               "there is no volume %u yet: volume %u is encrypted; unlock it, again if it was unlocked before",
		               volume, first_locked(d));
	if (volume > d->set->count)
		return err_set(e, ERR_VOLUME_NOT_FOUND, "worker", "there is no volume %u; the disk has %u", volume,
		               d->set->count);
	const struct volume *v = &d->set->volumes[volume - 1];
	int r = check_volume(d, v, e);
	if (r < 0)
		return r;
	struct volume_fs *vf = &d->fs[volume - 1];
	if (!vf->fs && vf->error.code == 0)
		(void)parts_open(d, volume - 1, &vf->fs, &vf->error);
	if (!vf->fs) {
		*e = vf->error;
		/* No memory is a matter of the moment, all else of the image. */
		if (vf->error.code == ERR_NO_MEMORY)
			err_clear(&vf->error);
		return e->code;
	}
	*ret = vf->fs;
	return 0;
}

void disks_close(struct disks *d)
{
	for (unsigned i = 0; d->fs && i < d->set->count; i++)
		fs_close(d->fs[i].fs);
	parts_close(d);
	free(d->fs);
	volume_set_free(d->set);
	for (unsigned i = 0; i < VOLUME_DISKS_MAX; i++) {
		blk_unref(d->blks[i]);
		disk_clear(&d->disk[i]);
	}
	*d = (struct disks){0};
}
