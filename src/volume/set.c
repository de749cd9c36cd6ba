/* The list itself: making, freeing, warnings, and what layers add to it. */
#include "volume/discover.h"

#include "base/bytes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const char *volume_kind_name(enum volume_kind k)
{
	static const char *const names[] = {
		[VOLUME_DISK] = "disk", [VOLUME_PARTITION] = "partition", [VOLUME_LV] = "lv",
		[VOLUME_MD] = "md",     [VOLUME_CRYPT] = "crypt",         [VOLUME_LDM] = "ldm",
	};
	return (size_t)k < sizeof(names) / sizeof(*names) ? names[k] : "";
}

bool volume_fatal(const struct err *e)
{
	return e->code == ERR_NO_MEMORY || e->code == ERR_CANCELLED || e->code == ERR_TIMEOUT;
}

void volume_set_free(struct volume_set *s)
{
	if (!s)
		return;
	/* A child may map its parents; children come later in the list. */
	for (unsigned i = s->count; i > 0; i--)
		blk_unref(s->volumes[i - 1].blk);
	for (unsigned i = 0; i < s->disk_count; i++)
		blk_unref(s->disks[i]);
	for (unsigned i = 0; i < s->warning_count; i++)
		free(s->warnings[i]);
	free(s->engine);
	free(s->disks);
	free(s->volumes);
	free(s);
}

struct volume *volume_set_new(struct volume_set *s, struct err *e)
{
	if (s->count == VOLUME_MAX) {
		(void)err_set(e, ERR_LIMIT, "volume", "there are more than %d volumes", VOLUME_MAX);
		return NULL;
	}
	struct volume *v = &s->volumes[s->count++];
	v->number = s->count;
	return v;
}

void volume_set_warn(struct volume_set *s, const char *fmt, ...)
{
	char *text = NULL, *named = NULL;
	const char *about = s->engine ? s->engine->about : NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0 && about) {
		n = asprintf(&named, "%s: %s", about, text);
		free(text);
		text = named;
	}
	/* A warning lost for lack of memory is followed by an error that is not. */
	if (n < 0)
		return;
	bool known = s->warning_count == sizeof(s->warnings) / sizeof(*s->warnings);
	for (unsigned i = 0; !known && i < s->warning_count; i++)
		known = strcmp(s->warnings[i], text) == 0;
	if (known)
		free(text);
	else
		s->warnings[s->warning_count++] = text;
}

void volume_set_explain(struct volume_set *s, unsigned number, const char *fmt, ...)
{
	assert(number >= 1 && number <= s->count);
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(s->volumes[number - 1].reason, VOLUME_REASON_MAX, fmt, ap);
	va_end(ap);
}

/* The child that is there already. */
static struct volume *find_child(struct volume_set *s, const struct volume_layer *layer, const char *identity)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->engine->states[i].made_by == layer && strcmp(s->engine->states[i].identity, identity) == 0)
			return &s->volumes[i];
	}
	return NULL;
}

static void give_bytes(struct volume *v, struct blk *blk)
{
	v->blk = blk_ref(blk);
	v->size = blk->size;
	v->reason[0] = '\0';
}

/* A member that is not there may lie on a disk that is not there; which one nobody can tell. */
static void name_missing_disks(const struct volume_set *s, struct volume *v)
{
	const struct volume_engine *g = s->engine;
	size_t len = strlen(v->reason), room = sizeof(v->reason) - len;
	if (g->missing_count == 1)
		(void)snprintf(v->reason + len, room, "; %s is missing: %s", g->missing, g->missing_why);
	else if (g->missing_count > 1)
		(void)snprintf(v->reason + len, room, "; missing are %s", g->missing);
}

int volume_set_add_child(struct volume_set *s, const struct volume_layer *layer, const struct volume_child *child,
                         struct err *e)
{
	assert(child->parent >= 1 && child->parent <= s->count && child->identity[0] != '\0');
	assert(child->blk || child->reason[0] != '\0');
	struct volume *v = find_child(s, layer, child->identity);
	if (v) {
		if (!v->blk && child->blk)
			give_bytes(v, child->blk);
		return (int)v->number;
	}
	unsigned depth = s->engine->states[child->parent - 1].depth + 1;
	if (depth > VOLUME_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "volume", "volumes lie more than %d deep in each other", VOLUME_DEPTH_MAX);
	v = volume_set_new(s, e);
	if (!v)
		return e->code;
	struct volume_state *state = &s->engine->states[v->number - 1];
	*state = (struct volume_state){.depth = depth, .made_by = layer};
	memcpy(state->identity, child->identity, sizeof(state->identity));
	v->disk = s->volumes[child->parent - 1].disk;
	v->parent = child->parent;
	v->kind = child->kind;
	v->size = child->size;
	memcpy(v->name, child->name, sizeof(v->name));
	memcpy(v->part_uuid, child->uuid, sizeof(v->part_uuid));
	memcpy(v->reason, child->reason, sizeof(v->reason));
	if (child->blk)
		give_bytes(v, child->blk);
	else if (child->incomplete)
		name_missing_disks(s, v);
	return (int)v->number;
}

int volume_set_add_opened(struct volume_set *s, const struct volume_layer *layer, unsigned container,
                          struct blk *decrypted, struct err *e)
{
	struct volume_child child = {.kind = VOLUME_CRYPT, .parent = container, .size = decrypted->size, .blk = decrypted};
	(void)snprintf(child.identity, sizeof(child.identity), "opened %u", container);
	int r = volume_set_add_child(s, layer, &child, e);
	if (r > 0) {
		s->volumes[container - 1].locked = false;
		volume_set_explain(s, container, "it is unlocked: what is inside is volume %d", r);
	}
	return r;
}

/* --- Unlocking ---------------------------------------------------------------------------------------- */

/* The encrypted container of that number; NULL and an error where it is none. */
static const struct volume_layer *find_container(struct volume_set *s, unsigned number, struct err *e)
{
	if (number < 1 || number > s->count) {
		(void)err_set(e, ERR_VOLUME_NOT_FOUND, "volume", "there is no volume %u", number);
		return NULL;
	}
	const struct volume_layer *layer = s->engine->states[number - 1].member_of;
	if (!layer || !layer->unlock) {
		(void)err_set(e, ERR_INVALID, "volume", "volume %u is not an encrypted container", number);
		return NULL;
	}
	return layer;
}

static int opened_number(const struct volume_set *s, unsigned container)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->volumes[i].parent == container && s->volumes[i].kind == VOLUME_CRYPT)
			return (int)s->volumes[i].number;
	}
	return 0;
}

static int check_areas(const struct blk *b, const struct volume_range *areas, int count, struct err *e)
{
	uint64_t sum = 0;
	for (int i = 0; i < count; i++) {
		if (!range_inside(areas[i].off, areas[i].len, b->size))
			return err_set(e, ERR_VOLUME_CORRUPT, "volume",
			               "the encryption header names a place for keys that is not in the volume");
		if (!u64_add(sum, areas[i].len, &sum))
			sum = UINT64_MAX;
	}
	if (sum > VOLUME_KEY_AREA_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "volume", "the encryption header takes more than %d bytes",
		               VOLUME_KEY_AREA_BYTES_MAX);
	return 0;
}

int volume_set_key_areas(struct volume_set *s, unsigned number, struct volume_range ret[VOLUME_KEY_AREAS_MAX],
                         struct err *e)
{
	const struct volume_layer *layer = find_container(s, number, e);
	if (!layer)
		return e->code;
	struct blk *b = s->volumes[number - 1].blk;
	struct volume_range areas[VOLUME_KEY_AREAS_MAX] = {0};
	int n = layer->key_areas(b, areas, e);
	if (n < 0)
		return n;
	assert(n <= VOLUME_KEY_AREAS_MAX);
	int r = check_areas(b, areas, n, e);
	if (r < 0)
		return r;
	memcpy(ret, areas, (size_t)n * sizeof(*ret));
	return n;
}

int volume_set_add_crypt(struct volume_set *s, unsigned number, struct blk *decrypted, struct err *e)
{
	const struct volume_layer *layer = find_container(s, number, e);
	if (!layer)
		return e->code;
	int child = opened_number(s, number);
	if (child > 0)
		return child;
	child = volume_set_add_opened(s, layer, number, decrypted, e);
	if (child < 0)
		return child;
	int r = volume_set_run(s, e);
	return r < 0 ? r : child;
}

int volume_set_unlock(struct volume_set *s, unsigned number, const uint8_t *master_key, size_t len, struct err *e)
{
	const struct volume_layer *layer = find_container(s, number, e);
	if (!layer)
		return e->code;
	int child = opened_number(s, number);
	if (child > 0)
		return child;
	if (len == 0 || len > VOLUME_MASTER_KEY_MAX)
		return err_set(e, ERR_INVALID, "volume", "a key of %zu bytes is not possible", len);
	CLEANUP(blk_unref_p) struct blk *decrypted = NULL;
	int r = layer->unlock(s->volumes[number - 1].blk, master_key, len, &decrypted, e);
	if (r < 0)
		return r;
	return volume_set_add_crypt(s, number, decrypted, e);
}
