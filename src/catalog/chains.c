/* What the images of a VM stand on. The layers of one disk come of one recursive statement; the chains of a VM's disks are put together in C,
 * where a layer that is missing is known by name.
 *
 *	the disks of one VM and index, and what they stand on elsewhere
 *
 *	F1 ── I1 ── I2        F2 ── I3            each disk knows its parent (backup, index)
 *	 ╰─────── chain        ╰── chain          a chain: all disks with the same root
 */
#include "catalog/rows.h"

#include <string.h>

/* One disk of the set, beside its parent in it. */
struct link {
	struct catalog_disk *disk;      /* owned */
	size_t parent;                  /* index in the set, NO_PARENT */
	size_t root;
	unsigned depth;
};

enum { SET_MAX = 1 << 20 };
#define NO_PARENT SIZE_MAX

struct set {
	struct link *links;
	size_t count, room;
};

static void set_free(struct set *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->links[i].disk);
	free(s->links);
}

/* --- layers --------------------------------------------------------------------------------------- */

static const struct column layer_columns[] = {
	TEXT(catalog_layer, backup_id),
	TEXT(catalog_layer, qcow2_path),
	TEXT(catalog_layer, repository_id),
	OPTIONAL_TEXT(catalog_layer, parent_backup_id),
	INT(catalog_layer, parent_disk_index),
};
static const struct table layer_table = TABLE(layer_columns, 0, catalog_layer);

LIST_FREE_DEFINE(layer)

/* One statement: a hundred of them, a layer each, took twice as long. The depth ends a circle. */
static const char layers_select[] =
	"WITH RECURSIVE up (id, parent, parent_index, depth) AS ("
	"SELECT id, parent_backup_id, parent_disk_index, 0 FROM backup_disks WHERE id = ?1"
	" UNION ALL SELECT p.id, p.parent_backup_id, p.parent_disk_index, up.depth + 1 FROM up"
	" JOIN backup_disks p ON p.backup_job_id = up.parent AND p.disk_index = up.parent_index WHERE up.depth < ?2) "
	"SELECT d.backup_job_id, d.qcow2_path, j.repository_id, d.parent_backup_id, d.parent_disk_index"
	" FROM up CROSS JOIN backup_disks d ON d.id = up.id JOIN backup_jobs j ON j.id = d.backup_job_id ORDER BY up.depth";

static int check_layers(const struct catalog_layer_list *l, struct err *e)
{
	if (l->count == 0)
		return err_set(e, ERR_DISK_NOT_FOUND, "catalog", "there is no such disk in the catalog");
	if (l->count > CATALOG_CHAIN_MAX)
		return err_set(e, ERR_LIMIT, "catalog", "the chain of backup %s has more than %d layers, or runs in a circle",
		               l->items[0]->backup_id, CATALOG_CHAIN_MAX);
	const struct catalog_layer *last = l->items[l->count - 1];
	if (*last->parent_backup_id == '\0')
		return 0;
	return err_set(e, ERR_IMAGE_LAYER_MISSING, "catalog", "backup %s is based on disk %lld of backup %s, which is not in the catalog",
	               last->backup_id, (long long)last->parent_disk_index, last->parent_backup_id);
}

static int layers(struct catalog *c, int64_t disk_id, struct catalog_layer_list *l, struct err *e)
{
	sqlite3_stmt *st;
	void **items;
	int r = db_prepare(c, layers_select, &st, e);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, disk_id);
	(void)sqlite3_bind_int64(st, 2, CATALOG_CHAIN_MAX);
	r = row_list(c, st, &layer_table, &items, &l->count, e);
	if (r < 0)
		return r;
	l->items = (struct catalog_layer **)items;
	return check_layers(l, e);
}

int catalog_disk_layers(struct catalog *c, int64_t disk_id, struct catalog_layer_list *ret, struct err *e)
{
	struct catalog_layer_list l = {0};
	catalog_lock(c);
	int r = layers(c, disk_id, &l, e);
	catalog_unlock(c);
	if (r < 0)
		catalog_layer_list_free(&l);
	else
		*ret = l;
	return r;
}

/* --- all disks of a VM, grouped by their root ------------------------------------------------------ */

static bool has_parent(const struct catalog_disk *d)
{
	return *d->parent_backup_id != '\0';
}

static int set_add(struct set *s, struct catalog_disk *disk, struct err *e)
{
	if (s->count == SET_MAX) {
		free(disk);
		return err_set(e, ERR_LIMIT, "catalog", "a disk has more than %d backups", SET_MAX);
	}
	if (s->count == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct link *more = reallocarray(s->links, room, sizeof(*more));
		if (!more) {
			free(disk);
			return err_no_memory(e, "catalog");
		}
		s->links = more;
		s->room = room;
	}
	s->links[s->count++] = (struct link){.disk = disk, .parent = NO_PARENT, .root = NO_PARENT};
	return 0;
}

static int compare(const struct catalog_disk *d, const char *backup_id, int64_t index)
{
	int r = strcmp(d->backup_id, backup_id);
	return r ? r : (d->disk_index > index) - (d->disk_index < index);
}

static int by_backup(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	return compare(x->disk, y->disk->backup_id, y->disk->disk_index);
}

/* In the first `sorted` links, ordered by backup. */
static size_t set_find(const struct set *s, size_t sorted, const struct catalog_disk *child)
{
	size_t lo = 0, hi = sorted;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int r = compare(s->links[mid].disk, child->parent_backup_id, child->parent_disk_index);
		if (r == 0)
			return mid;
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NO_PARENT;
}

static int load(struct catalog *c, const char *context_id, int64_t index, struct set *s, struct err *e)
{
	sqlite3_stmt *st;
	int r = db_prepare(c, DISK_SELECT "WHERE j.vm_backup_context_id = ?1 AND d.disk_index = ?2 AND j.status = 'completed' "
	                                  "AND d.status = 'completed' ORDER BY j.created_at, j.id", &st, e);
	if (r < 0)
		return r;
	db_bind_text(st, 1, context_id);
	(void)sqlite3_bind_int64(st, 2, index);
	while ((r = db_step(c, st, e)) == 1) {
		void *row;
		r = row_read(st, &disk_table, &row, e);
		if (r >= 0)
			r = set_add(s, row, e);
		if (r < 0)
			break;
	}
	(void)sqlite3_reset(st);
	return r;
}

/* Adds the parents that are not in the set: images of another VM or index, as linked clones share. Each round goes one layer
 * further out; a parent that is not in the catalog leaves its child the root of what is known. */
static int complete(struct catalog *c, struct set *s, struct err *e)
{
	for (unsigned round = 0; round < CATALOG_CHAIN_MAX; round++) {
		size_t known = s->count;
		if (known)
			qsort(s->links, known, sizeof(*s->links), by_backup);
		for (size_t i = 0; i < known; i++) {
			const struct catalog_disk *child = s->links[i].disk;
			if (!has_parent(child) || set_find(s, known, child) != NO_PARENT)
				continue;
			struct catalog_disk *parent;
			int r = disk_read_by_index(c, child->parent_backup_id, child->parent_disk_index, &parent, e);
			if (r == ERR_DISK_NOT_FOUND) {
				err_clear(e);
				continue;
			}
			if (r >= 0)
				r = set_add(s, parent, e);
			if (r < 0)
				return r;
		}
		/* Two children may have brought the same parent. */
		size_t kept = known;
		for (size_t i = known; i < s->count; i++) {
			bool twice = false;
			for (size_t k = known; k < kept && !twice; k++)
				twice = by_backup(&s->links[k], &s->links[i]) == 0;
			if (twice)
				free(s->links[i].disk);
			else
				s->links[kept++] = s->links[i];
		}
		s->count = kept;
		if (kept == known)
			return 0;
	}
	return err_set(e, ERR_LIMIT, "catalog", "a chain has more than %d layers", CATALOG_CHAIN_MAX);
}

/* Walks up from each link; what lies in a circle is its own root, so that it is shown at all. */
static void find_roots(struct set *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (has_parent(s->links[i].disk))
			s->links[i].parent = set_find(s, s->count, s->links[i].disk);
	for (size_t i = 0; i < s->count; i++) {
		size_t at = i;
		unsigned depth = 0;
		while (s->links[at].parent != NO_PARENT && depth <= CATALOG_CHAIN_MAX) {
			at = s->links[at].parent;
			depth++;
		}
		s->links[i].root = depth > CATALOG_CHAIN_MAX ? i : at;
		s->links[i].depth = depth > CATALOG_CHAIN_MAX ? 0 : depth;
	}
}

/* Newest root first; in a chain parents before children, then by age. */
static int by_chain(const void *a, const void *b, void *arg)
{
	const struct set *s = arg;
	const struct link *x = &s->links[*(const size_t *)a], *y = &s->links[*(const size_t *)b];
	const struct catalog_disk *p = s->links[x->root].disk, *q = s->links[y->root].disk;
	if (x->root != y->root) {
		if (p->created_at != q->created_at)
			return p->created_at < q->created_at ? 1 : -1;
		return x->root < y->root ? 1 : -1;
	}
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	if (x->disk->created_at != y->disk->created_at)
		return x->disk->created_at < y->disk->created_at ? -1 : 1;
	return strcmp(x->disk->backup_id, y->disk->backup_id);
}

/* --- as lists of backups -------------------------------------------------------------------------- */

void catalog_chain_free(struct catalog_chain *chain)
{
	catalog_backup_list_free(&chain->backups);
	catalog_disk_list_free(&chain->disks);
	chain->stored_bytes = 0;
}

void catalog_chain_list_free(struct catalog_chain_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		catalog_chain_free(&l->items[i]);
	free(l->items);
	*l = (struct catalog_chain_list){0};
}

/* The links order[0 … count) share a root. */
static int fill(struct catalog *c, struct set *s, const size_t *order, size_t count, struct catalog_chain *ret,
                struct err *e)
{
	ret->backups.items = calloc(count, sizeof(struct catalog_backup *));
	ret->disks.items = calloc(count, sizeof(struct catalog_disk *));
	if (!ret->backups.items || !ret->disks.items)
		return err_no_memory(e, "catalog");
	for (size_t i = 0; i < count; i++) {
		struct link *l = &s->links[order[i]];
		int r = backup_read(c, l->disk->backup_id, &ret->backups.items[i], e);
		if (r < 0)
			return r;
		ret->backups.count++;
		ret->stored_bytes += l->disk->stored_bytes;
		ret->disks.items[ret->disks.count++] = STEAL(l->disk);
	}
	return 0;
}

static int group(struct catalog *c, struct set *s, size_t max, struct catalog_chain_list *ret, struct err *e)
{
	CLEANUP(free_ptr) size_t *order = reallocarray(NULL, s->count, sizeof(*order));
	if (!order)
		return err_no_memory(e, "catalog");
	for (size_t i = 0; i < s->count; i++)
		order[i] = i;
	qsort_r(order, s->count, sizeof(*order), by_chain, s);
	for (size_t at = 0; at < s->count && ret->count < max;) {
		size_t n = 1;
		while (at + n < s->count && s->links[order[at + n]].root == s->links[order[at]].root)
			n++;
		struct catalog_chain *more = reallocarray(ret->items, ret->count + 1, sizeof(*more));
		if (!more)
			return err_no_memory(e, "catalog");
		ret->items = more;
		ret->items[ret->count] = (struct catalog_chain){0};
		int r = fill(c, s, order + at, n, &ret->items[ret->count++], e);
		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

static int chains(struct catalog *c, const char *context_id, int64_t index, size_t max, struct set *s,
                  struct catalog_chain_list *ret, struct err *e)
{
	bool found;
	int r = db_exists(c, "SELECT 1 FROM vm_backup_contexts WHERE context_id = ?1", context_id, &found, e);
	if (r < 0)
		return r;
	if (!found)
		return err_set(e, ERR_VM_NOT_FOUND, "catalog", "there is no such VM context");
	r = load(c, context_id, index, s, e);
	if (r >= 0 && s->count == 0)
		r = err_set(e, ERR_DISK_NOT_FOUND, "catalog", "no completed backup of that VM has a disk %lld", (long long)index);
	if (r >= 0)
		r = complete(c, s, e);
	if (r < 0)
		return r;
	find_roots(s);
	return group(c, s, max, ret, e);
}

static int get_chains(struct catalog *c, const char *context_id, int64_t index, size_t max,
                      struct catalog_chain_list *ret, struct err *e)
{
	struct set s = {0};
	struct catalog_chain_list l = {0};
	catalog_lock(c);
	int r = chains(c, context_id, index, max, &s, &l, e);
	catalog_unlock(c);
	set_free(&s);
	if (r < 0)
		catalog_chain_list_free(&l);
	else
		*ret = l;
	return r;
}

int catalog_chain_get(struct catalog *c, const char *vm_context_id, int64_t disk_index, struct catalog_chain *ret,
                      struct err *e)
{
	struct catalog_chain_list l;
	int r = get_chains(c, vm_context_id, disk_index, 1, &l, e);
	if (r < 0)
		return r;
	*ret = l.items[0];
	free(l.items);
	return 0;
}

int catalog_chain_get_all(struct catalog *c, const char *vm_context_id, int64_t disk_index,
                          struct catalog_chain_list *ret, struct err *e)
{
	return get_chains(c, vm_context_id, disk_index, SIZE_MAX, ret, e);
}
