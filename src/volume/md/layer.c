/* From members to arrays: who belongs to which, who plays what role. */
#include "volume/md/md.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct array {
	struct volume_set *set;
	const struct md_super *best;                     /* with the most events */
	const struct md_super *cast[RAID_MEMBERS_MAX];   /* who plays a role */
	struct blk *blks[RAID_MEMBERS_MAX];              /* their data; owned */
	unsigned present;
};

static bool same_array(const struct md_super *a, const struct md_super *b)
{
	return strcmp(a->uuid, b->uuid) == 0 && a->version[0] == b->version[0];
}

static void array_free(struct array *a)
{
	for (unsigned i = 0; i < RAID_MEMBERS_MAX; i++)
		blk_unref(a->blks[i]);
}

__attribute__((format(printf, 3, 4)))
static void leave_out(struct array *a, const struct md_super *s, const char *fmt, ...)
{
	char why[160];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	volume_set_explain(a->set, s->member->number, "left out of array %.64s: %s", a->best->name, why);
	volume_set_warn(a->set, "array %.64s: volume %u is left out: %s", a->best->name, s->member->number, why);
}

static uint16_t role_of(const struct array *a, const struct md_super *s)
{
	uint16_t role = s->number < a->best->role_count ? a->best->roles[s->number] : MD_ROLE_SPARE;
	/* A multipath's members are all the same one. */
	return a->best->level == MD_MULTIPATH && role < MD_ROLE_JOURNAL && role >= a->best->raid_disks ? 0 : role;
}

static int slice_of(struct array *a, const struct md_super *s, struct blk **ret, struct err *e)
{
	struct blk *b = s->member->blk;
	uint64_t need = a->best->size ? a->best->size : s->data_size;
	if (need > s->data_size || !range_inside(s->data_offset, need, b->size)) {
		leave_out(a, s, "it ends before its data does");
		return 0;
	}
	return blk_slice_open(b, s->data_offset, need, ret, e);
}

static int cast_member(struct array *a, const struct md_super *s, struct err *e)
{
	const struct md_super *best = a->best;
	uint16_t role = role_of(a, s);
	volume_set_explain(a->set, s->member->number, "a member of array %.64s", best->name);
	if (role == MD_ROLE_JOURNAL) {
		volume_set_explain(a->set, s->member->number, "the write journal of array %.64s", best->name);
		return 0;
	}
	if (s->events < best->events && best->events - s->events > 1) {
		leave_out(a, s, "it missed writes (its event count is %" PRIu64 ", that of the array %" PRIu64 ")", s->events,
		          best->events);
		return 0;
	}
	if (role == MD_ROLE_FAULTY || s->recovering) {
		leave_out(a, s, role == MD_ROLE_FAULTY ? "the array calls it faulty" : "it was still being rebuilt");
		return 0;
	}
	if (role >= best->raid_disks) {
		volume_set_explain(a->set, s->member->number, "a spare of array %.64s", best->name);
		return 0;
	}
	const struct md_super *other = a->cast[role];
	if (other) {
		leave_out(a, s, "volume %u is the same member %u", other->member->number, role);
		return 0;
	}
	int r = slice_of(a, s, &a->blks[role], e);
	if (r < 0 || !a->blks[role])
		return r;
	a->cast[role] = s;
	a->present++;
	return 0;
}

static void warn_about(const struct array *a)
{
	const struct md_super *b = a->best;
	bool parity = b->level >= 4 && b->level <= 6;
	if (b->journal)
		volume_set_warn(a->set, "array %.64s: its write journal is not replayed: what was only there is missing", b->name);
	if (a->present < b->raid_disks && a->present > 0 && b->level > 0)
		volume_set_warn(a->set, "array %.64s is degraded: %u of %u members are there", b->name, a->present, b->raid_disks);
	if (a->present < b->raid_disks && parity && !b->clean)
		volume_set_warn(a->set, "array %.64s was not shut down cleanly: what is computed from its parity may be wrong%s",
		                b->name, b->partial_parity ? " (its partial parity log is not replayed)" : "");
	for (unsigned i = 0; i < b->raid_disks; i++) {
		if (a->cast[i] && a->cast[i]->bad_blocks)
			volume_set_warn(a->set, "array %.64s: volume %u has a list of bad blocks, which is not looked at", b->name,
			                a->cast[i]->member->number);
	}
}

static int open_array(struct array *a, struct blk **ret, struct err *e)
{
	if (a->best->reshaping)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "md",
		               "it is being reshaped, or uses a feature that is not known: no reader in this version");
	return md_array_open(a->best, a->blks, ret, e);
}

static int add_array(struct array *a, unsigned parent, struct err *e)
{
	struct volume_child child = {.kind = VOLUME_MD, .parent = parent, .size = a->best->size};
	CLEANUP(blk_unref_p) struct blk *b = NULL;
	(void)snprintf(child.identity, sizeof(child.identity), "%s", a->best->uuid[0] ? a->best->uuid : "no uuid");
	memcpy(child.name, a->best->name, sizeof(child.name));
	memcpy(child.uuid, a->best->uuid, sizeof(child.uuid));
	int r = open_array(a, &b, e);
	if (r < 0 && !raid_may_retry(e))
		return r;
	if (r < 0) {
		(void)snprintf(child.reason, sizeof(child.reason), "%.*s", VOLUME_REASON_MAX - 1, e->msg);
		child.incomplete = e->code == ERR_VOLUME_INCOMPLETE;
		err_clear(e);
	} else {
		warn_about(a);
	}
	child.blk = b;
	r = volume_set_add_child(a->set, &volume_md_layer, &child, e);
	return r < 0 ? r : 0;
}

/* The array of supers[first], which is its first member. */
static int assemble_array(struct volume_set *set, const struct md_super *supers, unsigned count, unsigned first, struct err *e)
{
	CLEANUP(array_free) struct array a = {.set = set, .best = &supers[first]};
	for (unsigned i = first + 1; i < count; i++) {
		if (same_array(&supers[i], &supers[first]) && supers[i].events > a.best->events)
			a.best = &supers[i];
	}
	/* Originals before replacements. */
	int r = 0;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = first; r == 0 && i < count; i++) {
			if (same_array(&supers[i], &supers[first]) && supers[i].replacement == (pass == 1))
				r = cast_member(&a, &supers[i], e);
		}
	}
	return r < 0 ? r : add_array(&a, supers[first].member->number, e);
}

static int assemble(struct volume_set *s, const struct volume_member *members, unsigned count, struct err *e)
{
	CLEANUP(free_ptr) struct md_super *supers = calloc(count, sizeof(*supers));
	if (!supers)
		return err_no_memory(e, "md");
	unsigned n = 0;
	for (unsigned i = 0; i < count; i++) {
		int r = md_super_read(&members[i], &supers[n], e);
		if (r < 0 && !raid_may_retry(e))
			return r;
		if (r < 0) {
			volume_set_explain(s, members[i].number, "%.*s", VOLUME_TEXT_MAX - 1, e->msg);
			err_clear(e);
			continue;
		}
		n++;
	}
	for (unsigned i = 0; i < n; i++) {
		bool done = false;
		for (unsigned k = 0; !done && k < i; k++)
			done = same_array(&supers[k], &supers[i]);
		int r = done ? 0 : assemble_array(s, supers, n, i, e);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct volume_layer volume_md_layer = {
	.name = "md",
	.types = {"linux_raid_member"},
	.assemble = assemble,
};
