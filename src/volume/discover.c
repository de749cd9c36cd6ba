/* The engine: rounds of examining and assembling. layer.h has the picture. */
#include "volume/discover.h"

#include "base/bytes.h"
#include "volume/ident.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char nothing_known[] = "no filesystem recognised";
static const char nothing_assembled[] = "nothing could be assembled from it";

int volume_look(struct volume_set *s, struct blk *b, struct volume_content *ret, struct err *e)
{
	if (b->size == 0)
		return 0;
	int r = ident_probe_array(b, ret, e);
	if (r != 0)
		return r;
	if (s->engine->probe) {
		r = s->engine->probe(s->engine->arg, b, ret, e);
		if (r != 0)
			return r;
	}
	return ident_probe(b, ret, e);
}

static const struct volume_layer *layer_of(const struct volume_engine *g, const char *type)
{
	for (unsigned i = 0; g->layers[i]; i++) {
		for (unsigned k = 0; g->layers[i]->types[k]; k++) {
			if (strcmp(g->layers[i]->types[k], type) == 0)
				return g->layers[i];
		}
	}
	return NULL;
}

static void explain(struct volume *v)
{
	const char *type = v->content.type;
	const char *purpose = part_type_no_files(v->part_type);
	if (strcmp(type, "swap") == 0)
		(void)snprintf(v->reason, sizeof(v->reason), "swap space holds no files");
	else if (type[0] != '\0')
		(void)snprintf(v->reason, sizeof(v->reason), "%s: no reader for it in this version", ident_human_name(type));
	else if (purpose)
		(void)snprintf(v->reason, sizeof(v->reason), "%s; %s", nothing_known, purpose);
	else
		(void)snprintf(v->reason, sizeof(v->reason), "%s", nothing_known);
}

static void set_content(struct volume_set *s, struct volume *v, const struct volume_content *content)
{
	struct volume_state *state = &s->engine->states[v->number - 1];
	v->content = *content;
	if (v->content.supported)
		return;
	state->member_of = layer_of(s->engine, v->content.type);
	if (!state->member_of) {
		explain(v);
		return;
	}
	v->container = true;
	v->locked = state->member_of->unlock != NULL;
	(void)snprintf(v->reason, sizeof(v->reason), "%s", v->locked ? "it is encrypted: a key is needed" :
	                                                   nothing_assembled);
}

static int add_partition(struct volume_set *s, struct blk *b, unsigned disk, unsigned parent, const struct table *t,
                         const struct table_entry *n, struct err *e)
{
	struct volume *v = volume_set_new(s, e);
	if (!v)
		return e->code;
	s->engine->states[v->number - 1] =
		(struct volume_state){.depth = parent ? s->engine->states[parent - 1].depth + 1 : 0};
	v->disk = disk;
	v->parent = parent;
	v->kind = VOLUME_PARTITION;
	v->partition = n->number;
	v->offset = n->off;
	v->size = n->len;
	(void)snprintf(v->table, sizeof(v->table), "%s", t->kind);
	memcpy(v->part_type, n->type, sizeof(v->part_type));
	memcpy(v->part_uuid, n->uuid, sizeof(v->part_uuid));
	memcpy(v->name, n->name, sizeof(v->name));
	(void)snprintf(v->part_type_name, sizeof(v->part_type_name), "%s", part_type_name(n->type));
	if (n->bad) {
		(void)snprintf(v->reason, sizeof(v->reason), "%s", n->bad);
		return 0;
	}
	if (n->off >= b->size) {
		(void)snprintf(v->reason, sizeof(v->reason), "it lies beyond the end of the disk, at byte %" PRIu64 " of %" PRIu64,
		               n->off, b->size);
		return 0;
	}
	uint64_t len = min_u64(n->len, b->size - n->off);
	if (len < n->len)
		volume_set_warn(s, "partition %u ends %" PRIu64 " bytes behind the end of the disk: it is read as far as it goes",
		                n->number, n->len - len);
	int r = blk_slice_open(b, n->off, len, &v->blk, e);
	if (r == 0)
		v->blk->sector_size = t->sector_size;
	return r;
}

static int add_partitions(struct volume_set *s, struct blk *b, unsigned disk, unsigned parent, const struct table *t,
                          struct err *e)
{
	if (t->count == 0)
		volume_set_warn(s, "the partition table is empty");
	b->sector_size = t->sector_size;
	for (unsigned i = 0; i < t->count; i++) {
		int r = add_partition(s, b, disk, parent, t, &t->entries[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Turns an error that concerns one volume into its reason. */
static int absorb(struct volume *v, int r, struct err *e)
{
	if (r >= 0 || volume_fatal(e) || e->code == ERR_LIMIT)
		return r < 0 ? r : 0;
	(void)snprintf(v->reason, sizeof(v->reason), "%.*s", VOLUME_REASON_MAX - 1, e->msg);
	err_clear(e);
	return 0;
}

/* Past a ceiling the list ends, with a warning; what is there stays good. */
static int end_list(struct volume_set *s, int r, struct err *e)
{
	if (r >= 0 || e->code != ERR_LIMIT)
		return r < 0 ? r : 0;
	volume_set_warn(s, "%s: the others are left out", e->msg);
	err_clear(e);
	return 0;
}

/* --- Examine -------------------------------------------------------------------------------------------- */

/* An LV, an array or an opened container may be partitioned like a disk. */
static int examine_whole(struct volume_set *s, struct volume *v, struct err *e)
{
	enum whole_kind kind;
	struct volume_content content = {0};
	struct table t = {0};
	const char *why = nothing_known;
	int r = absorb(v, whole_examine(s, v->blk, &kind, &content, &t, &why, e), e);
	if (r < 0 || v->reason[0] != '\0')
		return r;
	if (kind == WHOLE_CONTENT) {
		set_content(s, v, &content);
	} else if (kind == WHOLE_UNKNOWN) {
		(void)snprintf(v->reason, sizeof(v->reason), "%s", why);
	} else {
		v->container = true;
		(void)snprintf(v->reason, sizeof(v->reason), "it is partitioned: its partitions are listed");
		if (s->engine->states[v->number - 1].depth >= VOLUME_DEPTH_MAX)
			r = err_set(e, ERR_LIMIT, "volume", "volumes lie more than %d deep in each other", VOLUME_DEPTH_MAX);
		else
			r = add_partitions(s, v->blk, v->disk, v->number, &t, e);
	}
	table_free(&t);
	return r;
}

static int examine_partition(struct volume_set *s, struct volume *v, struct err *e)
{
	struct volume_content content = {0};
	bool ldm = part_type_is_ldm(v->part_type);
	/* The volumes of a dynamic disk need not begin where its partitions do: only where nobody reads dynamic disks is a
	 * filesystem that is there by chance better than nothing. */
	if (ldm && layer_of(s->engine, "LDM")) {
		(void)snprintf(content.type, sizeof(content.type), "LDM");
		set_content(s, v, &content);
		return 0;
	}
	int known = volume_look(s, v->blk, &content, e);
	if (known < 0)
		return absorb(v, known, e);
	if (known == 0)
		content = (struct volume_content){0};
	if (known == 0 && ldm)
		(void)snprintf(content.type, sizeof(content.type), "LDM");
	if (strcmp(content.type, "") == 0)
		explain(v);
	else
		set_content(s, v, &content);
	return 0;
}

static int examine(struct volume_set *s, struct volume *v, struct err *e)
{
	s->engine->states[v->number - 1].examined = true;
	switch (v->kind) {
	case VOLUME_DISK:
		return 0;        /* its content is known since it is listed */
	case VOLUME_PARTITION:
	case VOLUME_LDM:
		return examine_partition(s, v, e);
	case VOLUME_LV:
	case VOLUME_MD:
	case VOLUME_CRYPT:
		return examine_whole(s, v, e);
	}
	return 0;
}

static int add_missing_disk(struct volume_set *s, unsigned disk, const char *name, const char *why, struct err *e)
{
	struct volume_engine *g = s->engine;
	size_t len = strlen(g->missing);
	(void)snprintf(g->missing + len, sizeof(g->missing) - len, len ? ", %s" : "%s", name);
	if (g->missing_count++ == 0)
		(void)snprintf(g->missing_why, sizeof(g->missing_why), "%.*s", VOLUME_TEXT_MAX - 1, why);
	volume_set_warn(s, "%s is missing: %s", name, why);
	struct volume *v = volume_set_new(s, e);
	if (!v)
		return e->code;
	v->disk = disk;
	v->kind = VOLUME_DISK;
	(void)snprintf(v->reason, sizeof(v->reason), "%s is missing: %s", name, why);
	return 0;
}

static int add_disk(struct volume_set *s, unsigned disk, struct err *e)
{
	struct blk *b = s->disks[disk];
	enum whole_kind kind;
	struct volume_content content = {0};
	struct table t = {0};
	const char *why = "no partition table and no filesystem recognised";
	int r = whole_examine(s, b, &kind, &content, &t, &why, e);
	if (r < 0)
		return r;
	if (kind == WHOLE_TABLE) {
		r = add_partitions(s, b, disk, 0, &t, e);
		table_free(&t);
		return r;
	}
	struct volume *v = volume_set_new(s, e);
	if (!v)
		return e->code;
	v->disk = disk;
	v->kind = VOLUME_DISK;
	v->size = b->size;
	v->blk = blk_ref(b);
	if (kind == WHOLE_CONTENT)
		set_content(s, v, &content);
	else
		(void)snprintf(v->reason, sizeof(v->reason), "%s", why);
	return 0;
}

/* --- Assemble --------------------------------------------------------------------------------------------- */

static bool layer_made_any(const struct volume_set *s, const struct volume_layer *layer)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->engine->states[i].made_by == layer)
			return true;
	}
	return false;
}

/* What the layer itself did not explain: a volume may take part in children whose parent is another member. */
static void explain_members(struct volume_set *s, const struct volume_layer *layer, const struct volume_member *members,
                            unsigned count, const char *failure)
{
	bool any = layer_made_any(s, layer);
	for (unsigned i = 0; i < count; i++) {
		struct volume *v = &s->volumes[members[i].number - 1];
		if (strcmp(v->reason, nothing_assembled) != 0)
			continue;
		if (failure)
			volume_set_explain(s, v->number, "%s", failure);
		else if (any)
			volume_set_explain(s, v->number, "%s: its volumes are listed", ident_human_name(v->content.type));
	}
}

/* What v is a partition of; v's disk for all that is none. */
static struct blk *whole_of(const struct volume_set *s, const struct volume *v)
{
	return v->kind == VOLUME_PARTITION && v->parent > 0 ? s->volumes[v->parent - 1].blk : s->disks[v->disk];
}

static int assemble(struct volume_set *s, unsigned index, struct volume_member *members, struct err *e)
{
	const struct volume_layer *layer = s->engine->layers[index];
	unsigned count = 0;
	for (unsigned i = 0; i < s->count; i++) {
		struct volume *v = &s->volumes[i];
		if (s->engine->states[i].member_of == layer && v->blk)
			members[count++] = (struct volume_member){
				.number = v->number, .volume = v, .blk = v->blk, .disk = whole_of(s, v)};
	}
	if (count == s->engine->assembled[index])
		return 0;
	s->engine->assembled[index] = count;
	if (!layer->assemble)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		if (!members[i].volume->locked)
			volume_set_explain(s, members[i].number, "%s", nothing_assembled);
	}
	int r = layer->assemble(s, members, count, e);
	if (r < 0 && (volume_fatal(e) || e->code == ERR_LIMIT))
		return r;
	explain_members(s, layer, members, count, r < 0 ? e->msg : NULL);
	if (r < 0)
		err_clear(e);
	return 0;
}

static bool all_examined(const struct volume_set *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->volumes[i].blk && !s->engine->states[i].examined)
			return false;
	}
	return true;
}

int volume_set_run(struct volume_set *s, struct err *e)
{
	CLEANUP(free_ptr) struct volume_member *members = calloc(VOLUME_MAX, sizeof(*members));
	if (!members)
		return err_no_memory(e, "volume");
	int r = 0;
	for (unsigned round = 0; r == 0 && !all_examined(s); round++) {
		if (round == VOLUME_ROUNDS_MAX) {
			volume_set_warn(s, "volumes keep turning up in each other: the search ends here");
			return 0;
		}
		for (unsigned i = 0; r == 0 && i < s->count; i++) {
			if (s->volumes[i].blk && !s->engine->states[i].examined)
				r = end_list(s, examine(s, &s->volumes[i], e), e);
		}
		for (unsigned i = 0; r == 0 && s->engine->layers[i]; i++)
			r = end_list(s, assemble(s, i, members, e), e);
	}
	return r;
}

/* --- Begin ------------------------------------------------------------------------------------------------- */

static struct volume_set *set_make(const struct volume_disk *disks, unsigned disk_count, struct err *e)
{
	struct volume_set *s = calloc(1, sizeof(*s));
	if (s) {
		/* All at once, so that pointers to volumes stay good, and in one piece with their states: a block of that size comes from the
		 * system as zeroes, and what is not used of it is never touched. */
		s->volumes = calloc(VOLUME_MAX, sizeof(*s->volumes) + sizeof(struct volume_state));
		s->disks = calloc(disk_count + 1, sizeof(struct blk *));
		s->engine = calloc(1, sizeof(*s->engine));
	}
	if (!s || !s->volumes || !s->disks || !s->engine) {
		volume_set_free(s);
		(void)err_no_memory(e, "volume");
		return NULL;
	}
	s->engine->states = (struct volume_state *)(s->volumes + VOLUME_MAX);
	for (unsigned i = 0; i < disk_count; i++)
		s->disks[s->disk_count++] = disks[i].blk ? blk_ref(disks[i].blk) : NULL;
	return s;
}

static int sealed_key_areas(struct blk *container, struct volume_range ret[VOLUME_KEY_AREAS_MAX], struct err *e)
{
	(void)container;
	(void)ret;
	return err_set(e, ERR_INVALID, "volume", "this disk is encrypted as an image: it is opened by who opens the image");
}

static int sealed_unlock(struct blk *container, const uint8_t *master_key, size_t len, struct blk **ret, struct err *e)
{
	(void)container;
	(void)master_key;
	(void)len;
	(void)ret;
	return err_set(e, ERR_INVALID, "volume", "this disk is encrypted as an image: it is opened by who opens the image");
}

static const struct volume_layer sealed_layer = {.name = "sealed", .key_areas = sealed_key_areas, .unlock = sealed_unlock};

/* Encrypted below the disk: not a byte of it can be looked at. */
static int add_sealed_disk(struct volume_set *s, unsigned disk, struct err *e)
{
	struct volume *v = volume_set_new(s, e);
	if (!v)
		return e->code;
	v->disk = disk;
	v->kind = VOLUME_DISK;
	v->size = s->disks[disk]->size;
	v->blk = blk_ref(s->disks[disk]);
	(void)snprintf(v->content.type, sizeof(v->content.type), "crypto_LUKS");
	v->container = v->locked = true;
	(void)snprintf(v->reason, sizeof(v->reason), "the disk's image is encrypted (LUKS inside QCOW2): its passphrase opens it");
	s->engine->states[v->number - 1].member_of = &sealed_layer;
	return 0;
}

/* A disk that is there, or a word on why it is not. One that cannot be read is an error only where it is all there is. */
static int take_disk(struct volume_set *s, unsigned i, const struct volume_disk *disk, struct err *e)
{
	if (!disk->blk)
		return add_missing_disk(s, i, disk->name, disk->missing, e);
	unsigned before = s->count;
	s->engine->about = s->disk_count > 1 ? disk->name : NULL;
	int r = disk->sealed ? add_sealed_disk(s, i, e) : add_disk(s, i, e);
	s->engine->about = NULL;
	if (r >= 0 || s->disk_count == 1 || s->count != before || volume_fatal(e) || e->code == ERR_LIMIT)
		return r < 0 ? err_prefix(e, "%s", disk->name) : 0;
	struct err why = *e;
	err_clear(e);
	blk_unref(s->disks[i]);
	s->disks[i] = NULL;
	return add_missing_disk(s, i, disk->name, why.msg, e);
}

static bool none_left(const struct volume_set *s)
{
	for (unsigned i = 0; i < s->disk_count; i++) {
		if (s->disks[i])
			return false;
	}
	return s->disk_count > 0;
}

static int discover(const struct volume_disk *disks, unsigned disk_count, const struct volume_layer *const *layers,
                    volume_probe_fn *probe, void *arg, struct volume_set **ret, struct err *e)
{
	if (disk_count > VOLUME_DISKS_MAX)
		return err_set(e, ERR_LIMIT, "volume", "%u disks are more than %d", disk_count, VOLUME_DISKS_MAX);
	CLEANUP(volume_set_free_p) struct volume_set *s = set_make(disks, disk_count, e);
	if (!s)
		return e->code;
	s->engine->layers = layers;
	s->engine->probe = probe;
	s->engine->arg = arg;
	unsigned count = 0;
	while (layers[count])
		count++;
	assert(count <= VOLUME_LAYERS_MAX);
	int r = 0;
	for (unsigned i = 0; r == 0 && i < disk_count; i++)
		r = end_list(s, take_disk(s, i, &disks[i], e), e);
	if (r == 0 && none_left(s))
		return err_set(e, ERR_IMAGE_UNREADABLE, "volume", "no disk can be read: %s", s->volumes[0].reason);
	if (r == 0)
		r = volume_set_run(s, e);
	if (r < 0)
		return r;
	*ret = STEAL(s);
	return 0;
}

int volume_discover_layers(struct blk *const *disks, unsigned disk_count, const struct volume_layer *const *layers,
                           volume_probe_fn *probe, void *arg, struct volume_set **ret, struct err *e)
{
	if (disk_count > VOLUME_DISKS_MAX)
		return err_set(e, ERR_LIMIT, "volume", "%u disks are more than %d", disk_count, VOLUME_DISKS_MAX);
	struct volume_disk named[VOLUME_DISKS_MAX];
	char names[VOLUME_DISKS_MAX][16];
	for (unsigned i = 0; i < disk_count; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "disk %u", i);
		named[i] = (struct volume_disk){.blk = disks[i], .name = names[i]};
	}
	return discover(named, disk_count, layers, probe, arg, ret, e);
}

int volume_discover(struct blk *const *disks, unsigned disk_count, volume_probe_fn *probe, void *arg,
                    struct volume_set **ret, struct err *e)
{
	return volume_discover_layers(disks, disk_count, volume_layers, probe, arg, ret, e);
}

int volume_discover_machine(const struct volume_disk *disks, unsigned disk_count, volume_probe_fn *probe, void *arg,
                            struct volume_set **ret, struct err *e)
{
	return discover(disks, disk_count, volume_layers, probe, arg, ret, e);
}
