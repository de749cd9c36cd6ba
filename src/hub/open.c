/* From a disk's row to an open worker: the chain comes from the catalog, each file is opened beneath its repository's
 * root, and what the headers say is compared with it. */
#include "hub/internal.h"

#include "repository/repository.h"

#include <stdio.h>
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

/* The repositories of one chain: nearly always one. */
struct repository_cache {
	char id[CATALOG_ID_MAX];
	struct repository *repository;
};

static int get_repository(struct hub *h, struct repository_cache *cache, const char *id, struct err *e)
{
	if (cache->repository && strcmp(cache->id, id) == 0)
		return 0;
	repository_close(cache->repository);
	cache->repository = NULL;
	(void)snprintf(cache->id, sizeof(cache->id), "%s", id);
	return hub_open_repository(h, id, &cache->repository, e);
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
	return has_suffix(path, ".qcow2") ? "qcow2" : "";
}

/* Does the header agree with the catalog on what the layer stands on? */
static int compare_backing(const struct repository *repo, const struct catalog_disk *layer,
                           const struct catalog_disk *below, const struct wire_layer *info, struct err *e)
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

static int add_data_file(struct session *s, const struct repository *repo, const struct catalog_disk *layer,
                         const struct wire_layer *info, struct err *e)
{
	char path[REPOSITORY_PATH_MAX];
	int r;
	if (info->data_file_name[0] == '\0')
		return err_set(e, ERR_IMAGE_LAYER_MISSING, "hub", "%s keeps its data in another file but does not name it",
		               layer->qcow2_path);
	r = repository_resolve(repo, layer->qcow2_path, info->data_file_name, path, e);
	CLEANUP(fd_close) int fd = -1;
	if (r == 0)
		r = repository_open_file(repo, path, &fd, e);
	return r < 0 ? r : session_data_file(s, 0, fd, e);
}

/* format: what the layer above says of this one, or "". */
static int add_layer(struct hub *h, struct session *s, struct repository_cache *cache, const struct catalog_disk *layer,
                     const struct catalog_disk *below, const char *format, struct wire_layer *ret, struct err *e)
{
	int r = get_repository(h, cache, layer->repository_id, e);
	if (r < 0)
		return r;
	CLEANUP(fd_close) int fd = -1;
	r = repository_open_file(cache->repository, layer->qcow2_path, &fd, e);
	if (r < 0)
		return r;
	if (format[0] == '\0')
		format = hub_format_by_name(layer->qcow2_path);
	r = session_layer(s, 0, fd, format, ret, e);
	if (r < 0)
		return err_prefix(e, "%s", layer->qcow2_path);
	r = compare_backing(cache->repository, layer, below, ret, e);
	if (r == 0 && ret->has_data_file)
		r = add_data_file(s, cache->repository, layer, ret, e);
	return r;
}

static int add_chain(struct hub *h, struct session *s, const struct catalog_disk_list *chain, struct err *e)
{
	struct repository_cache cache = {.repository = NULL};
	struct wire_layer info = {0};
	int r = 0;
	for (size_t i = 0; i < chain->count && r == 0; i++) {
		const struct catalog_disk *below = i + 1 < chain->count ? chain->items[i + 1] : NULL;
		char format[sizeof(info.backing_format)];
		(void)snprintf(format, sizeof(format), "%s", info.backing_format);
		r = add_layer(h, s, &cache, chain->items[i], below, format, &info, e);
	}
	repository_close(cache.repository);
	return r;
}

int hub_open_disk(struct hub *h, int64_t disk_id, struct session **ret, struct session_opened *ret_opened, struct err *e)
{
	struct catalog_disk_list chain = {0};
	int r = catalog_disk_ancestors(h->catalog, disk_id, &chain, e);
	if (r < 0)
		return r;
	CLEANUP(session_close_p) struct session *s = NULL;
	struct session_options opt;
	hub_session_options(h, &opt);
	r = session_start(&opt, &s, e);
	if (r == 0)
		r = add_chain(h, s, &chain, e);
	if (r == 0)
		r = session_open(s, ret_opened, e);
	catalog_disk_list_free(&chain);
	if (r == 0)
		*ret = STEAL(s);
	return r;
}
