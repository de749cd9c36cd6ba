/* From disks' rows to an open worker: the chains come from the catalog, each file is opened beneath its repository's
 * root, and what the headers say is compared with it. */
#include "hub/internal.h"

#include "repository/repository.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

int hub_open_repository(struct hub *h, const char *repository_id, struct repository **ret, struct err *e)
{
	CLEANUP(free_ptr) struct catalog_repository *row = NULL;
	int r = catalog_repository_get(h->catalog, repository_id, &row, e);
	if (r < 0)
		return r;
	r = repository_open(catalog_repository_type_name(row->type), row->location, ret, e);
	return r < 0 ? err_prefix(e, "repository \"%s\"", row->name) : r;
}

/* On their way to a worker at a time: calls, of SESSION_LAYERS_MAX layers each. */
enum { CALLS_AHEAD = 8, LAYERS_AHEAD = CALLS_AHEAD * SESSION_LAYERS_MAX };

/* A worker being set up. */
struct opening {
	struct hub *hub;
	struct session *session;
	unsigned disk;                   /* whose layers are being added */
	bool wants_foreign;              /* this worker is not one for foreign images, and one is needed */
	char id[CATALOG_ID_MAX];         /* the repository used last: nearly always the only one */
	struct repository *repository;
};

static int get_repository(struct opening *o, const char *id, struct err *e)
{
	if (o->repository && strcmp(o->id, id) == 0)
		return 0;
	repository_close(o->repository);
	o->repository = NULL;
	(void)snprintf(o->id, sizeof(o->id), "%s", id);
	return hub_open_repository(o->hub, id, &o->repository, e);
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && strcasecmp(s + n - m, suffix) == 0;
}

const char *hub_format_by_name(const char *path)
{
	if (has_suffix(path, ".raw"))
		return "raw";
	return has_suffix(path, ".qcow2") ? "qcow2" : session_foreign_format(path);
}

/* The files a VMDK descriptor at `path` names, in their order: beside it, in the repository. */
static int open_extents(struct session *s, unsigned disk, const struct repository *repo, const char *path, unsigned count,
                        struct session_extent_file *files, struct err *e)
{
	for (unsigned i = 0; i < count; i++) {
		char found[REPOSITORY_PATH_MAX];
		int r = session_extent(s, disk, i, &files[i].extent, e);
		if (r == 0)
			r = repository_resolve(repo, path, files[i].extent.name, found, e);
		if (r == 0)
			r = repository_open_file(repo, found, &files[i].fd, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int hub_attach(struct session *s, unsigned disk, const struct repository *repo, const char *path, int fd,
               struct wire_layer *layer, struct err *e)
{
	struct session_extent_file files[WIRE_EXTENTS_MAX];
	unsigned count = layer->extent_count;
	for (unsigned i = 0; i < count; i++)
		files[i].fd = -1;
	int r = open_extents(s, disk, repo, path, count, files, e);
	if (r == 0)
		r = session_attach(s, disk, layer->format, fd, files, count, layer, e);
	for (unsigned i = 0; i < count; i++)
		if (files[i].fd >= 0)
			(void)close(files[i].fd);
	return r;
}

/* Does the header agree with the catalog on what the layer stands on? */
static int compare_backing(const struct repository *repo, const struct catalog_layer *layer,
                           const struct catalog_layer *below, const struct wire_layer *info, struct err *e)
{
	if (!below && info->backing_name[0] == '\0')
		return 0;
	if (!below)
		return err_set(e, ERR_IMAGE_LAYER_MISSING, "hub",
		               "%s is based on \"%s\", which the catalog does not know; scan the repository again",
		               layer->qcow2_path, info->backing_name);
	if (info->backing_name[0] == '\0')
		return err_set(e, ERR_IMAGE_CORRUPT, "hub",
		               "%s should be based on %s but its header names no backing file; scan the repository again",
		               layer->qcow2_path, below->qcow2_path);
	char named[REPOSITORY_PATH_MAX];
	int r = repository_resolve(repo, layer->qcow2_path, info->backing_name, named, e);
	if (r < 0)
		return err_prefix(e, "%s", layer->qcow2_path);
	if (strcmp(named, below->qcow2_path) != 0)
		return err_set(e, ERR_IMAGE_CORRUPT, "hub",
		               "%s is based on \"%s\" but the catalog says %s; scan the repository again", layer->qcow2_path,
		               named, below->qcow2_path);
	return 0;
}

static int add_data_file(const struct opening *o, const struct catalog_layer *layer, unsigned number,
                         const struct wire_layer *info, struct err *e)
{
	char path[REPOSITORY_PATH_MAX];
	int r;
	if (info->data_file_name[0] == '\0')
		return err_set(e, ERR_IMAGE_LAYER_MISSING, "hub", "%s keeps its data in another file but does not name it",
		               layer->qcow2_path);
	r = repository_resolve(o->repository, layer->qcow2_path, info->data_file_name, path, e);
	CLEANUP(fd_close) int fd = -1;
	if (r == 0)
		r = repository_open_file(o->repository, path, &fd, e);
	return r < 0 ? r : session_data_file(o->session, o->disk, number, fd, e);
}

static int open_layer(struct opening *o, const struct catalog_layer *layer, int *ret, struct err *e)
{
	int r = get_repository(o, layer->repository_id, e);
	return r < 0 ? r : repository_open_file(o->repository, layer->qcow2_path, ret, e);
}

/* An image in a foreign format gets its bytes, or the opening ends for want of a worker that takes them; so does an encrypted one. */
static int attach(struct opening *o, const struct catalog_layer *layer, struct wire_layer *info, struct err *e)
{
	o->wants_foreign = !session_takes_foreign(o->session);
	if (o->wants_foreign)
		return err_set(e, ERR_IMAGE_UNSUPPORTED, "hub", "%s is a %s image", layer->qcow2_path, info->format);
	if (info->encrypted)
		return 0;        /* its bytes come with its passphrase */
	CLEANUP(fd_close) int fd = -1;
	int r = repository_open_file(o->repository, layer->qcow2_path, &fd, e);
	if (r == 0)
		r = hub_attach(o->session, o->disk, o->repository, layer->qcow2_path, fd, info, e);
	return r < 0 ? err_prefix(e, "%s", layer->qcow2_path) : r;
}

/* Layer i is what the catalog says, and gets what it needs besides. */
static int check_layer(struct opening *o, const struct catalog_layer_list *chain, size_t i, struct wire_layer *info, struct err *e)
{
	const struct catalog_layer *layer = chain->items[i];
	const struct catalog_layer *below = i + 1 < chain->count ? chain->items[i + 1] : NULL;
	int r = get_repository(o, layer->repository_id, e);
	if (r == 0)
		r = compare_backing(o->repository, layer, below, info, e);
	if (r == 0 && (info->foreign || info->encrypted))
		r = attach(o, layer, info, e);
	if (r == 0 && info->has_data_file)
		r = add_data_file(o, layer, (unsigned)i, info, e);
	return r;
}

static unsigned call_size(const struct catalog_layer_list *chain, size_t first)
{
	return chain->count - first < SESSION_LAYERS_MAX ? (unsigned)(chain->count - first) : SESSION_LAYERS_MAX;
}

static int begin_call(struct opening *o, const struct catalog_layer_list *chain, size_t first, struct layers_call **ret, struct err *e)
{
	int fds[SESSION_LAYERS_MAX], r = 0;
	const char *formats[SESSION_LAYERS_MAX];
	unsigned count = call_size(chain, first), opened = 0;
	for (; r == 0 && opened < count; opened += r == 0) {
		formats[opened] = hub_format_by_name(chain->items[first + opened]->qcow2_path);
		r = open_layer(o, chain->items[first + opened], &fds[opened], e);
	}
	if (r == 0)
		r = session_layers_begin(o->session, o->disk, fds, formats, count, ret, e);
	for (unsigned i = 0; i < opened; i++)
		(void)close(fds[i]);
	return r;
}

/* What is wrong with a layer is said before what is wrong with those below it. infos: room for a call's. */
static int end_call(struct opening *o, const struct catalog_layer_list *chain, size_t first, struct layers_call *call,
                    struct wire_layer *infos, struct err *e)
{
	unsigned taken;
	struct err why = ERR_INIT;
	int r_end = session_layers_end(o->session, call, infos, &taken, &why), r = 0;
	for (unsigned i = 0; i < taken && r == 0; i++)
		r = check_layer(o, chain, first + i, &infos[i], e);
	if (r < 0 || r_end == 0)
		return r;
	*e = why;
	return taken < call_size(chain, first) ? err_prefix(e, "%s", chain->items[first + taken]->qcow2_path) : r_end;
}

/* The layers from `first` on, at most LAYERS_AHEAD. */
static int add_layers(struct opening *o, const struct catalog_layer_list *chain, size_t first, struct err *e)
{
	struct layers_call *calls[CALLS_AHEAD];
	CLEANUP(free_ptr) struct wire_layer *infos = calloc(SESSION_LAYERS_MAX, sizeof(*infos));
	size_t begun = 0, ended = 0;
	int r = infos ? 0 : err_no_memory(e, "hub");
	for (; r == 0 && begun < CALLS_AHEAD && first + begun * SESSION_LAYERS_MAX < chain->count; begun += r == 0)
		r = begin_call(o, chain, first + begun * SESSION_LAYERS_MAX, &calls[begun], e);
	if (r == 0)
		r = session_ready(o->session, e);
	while (r == 0 && ended < begun) {
		r = end_call(o, chain, first + ended * SESSION_LAYERS_MAX, calls[ended], infos, e);
		ended++;
	}
	for (; ended < begun; ended++) {
		unsigned taken;
		struct err ignored = ERR_INIT;
		(void)session_layers_end(o->session, calls[ended], infos, &taken, &ignored);
	}
	return r;
}

/* The catalog knows the whole chain, so its files are handed over without waiting for each other's answers: a chain of
 * a hundred layers opens nearly as fast as a single image. */
static int add_chain(struct opening *o, int64_t disk_id, struct err *e)
{
	struct catalog_layer_list chain = {0};
	int r = catalog_disk_layers(o->hub->catalog, disk_id, &chain, e);
	for (size_t done = 0; r == 0 && done < chain.count; done += LAYERS_AHEAD)
		r = add_layers(o, &chain, done, e);
	catalog_layer_list_free(&chain);
	return r;
}

/* Is it the disk that is the trouble, so that the others may open without it? */
static bool is_of_the_disk(const struct err *why, struct session *s)
{
	switch (why->code) {
	case ERR_NO_MEMORY:
	case ERR_INTERNAL:
	case ERR_CATALOG:
	case ERR_CATALOG_FULL:
		return false;
	default:
		return session_alive(s);
	}
}

static int mark_missing(struct mount_disk *d, const char *why, struct err *e)
{
	d->missing = strdup(why);
	return d->missing ? 0 : err_no_memory(e, "hub");
}

/* One of several: in its place, or missing. */
static int add_disk(struct opening *o, struct mount_disk *d, bool settled, struct err *first, struct err *e)
{
	char name[32];
	struct err why = ERR_INIT;
	(void)snprintf(name, sizeof(name), "disk %" PRId64, d->disk_index);
	if (!d->missing && add_chain(o, d->id, &why) < 0) {
		if (settled || o->wants_foreign || !is_of_the_disk(&why, o->session)) {
			*e = why;
			return err_prefix(e, "%s", name);
		}
		if (first->code == 0)
			*first = why;
		int r = mark_missing(d, why.msg, e);
		if (r < 0)
			return r;
	}
	return session_disk(o->session, o->disk, name, d->missing, e);
}

/* What the worker could not open after all. */
static int take_missing(struct opening *o, struct mount_disk *disks, unsigned count, bool settled, struct err *e)
{
	int r = 0;
	for (unsigned i = 0; i < count && r == 0; i++) {
		const char *why = session_missing(o->session, i);
		if (!why || disks[i].missing)
			continue;
		if (settled)
			r = err_set(e, ERR_IMAGE_UNREADABLE, "hub", "disk %" PRId64 ": %s", disks[i].disk_index, why);
		else
			r = mark_missing(&disks[i], why, e);
	}
	return r;
}

static int add_disks(struct opening *o, struct mount_disk *disks, unsigned count, bool settled, struct err *e)
{
	if (count == 1)
		return add_chain(o, disks[0].id, e);
	int r = session_ready(o->session, e);
	unsigned missing = 0;
	struct err first = ERR_INIT;
	for (o->disk = 0; o->disk < count && r == 0; o->disk++) {
		r = add_disk(o, &disks[o->disk], settled, &first, e);
		missing += disks[o->disk].missing != NULL;
	}
	if (r == 0 && missing == count && first.code != 0) {
		*e = first;
		r = first.code;
	}
	return r;
}

/* foreign: with a worker that takes foreign images. *ret_foreign: that is what it failed for. */
static int open_disks(struct hub *h, struct mount_disk *disks, unsigned count, bool settled, bool foreign,
                      struct session **ret, struct session_opened *ret_opened, bool *ret_foreign, struct err *e)
{
	CLEANUP(session_close_p) struct session *s = NULL;
	struct session_options opt;
	hub_session_options(h, &opt);
	opt.foreign = foreign;
	*ret_foreign = false;
	int r = session_begin(&opt, &s, e);
	if (r < 0)
		return r;
	struct opening o = {.hub = h, .session = s};
	r = add_disks(&o, disks, count, settled, e);
	repository_close(o.repository);
	*ret_foreign = o.wants_foreign;
	if (r == 0)
		r = session_open(s, ret_opened, e);
	if (r == 0 && count > 1)
		r = take_missing(&o, disks, count, settled, e);
	if (r == 0)
		*ret = STEAL(s);
	return r;
}

int hub_open_disks(struct hub *h, struct mount_disk *disks, unsigned count, bool settled, struct session **ret,
                   struct session_opened *ret_opened, struct err *e)
{
	bool foreign;
	int r = open_disks(h, disks, count, settled, false, ret, ret_opened, &foreign, e);
	if (r == 0 || !foreign)
		return r;
	err_clear(e);
	return open_disks(h, disks, count, settled, true, ret, ret_opened, &foreign, e);
}
