/* Which of the trees is shown, as Linux decides: the plain one with Rock Ridge where its root says that it has it; else
 * Joliet's; else the plain one, with such Rock Ridge entries as there are. */
#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"

#include <inttypes.h>

enum { XA_LEN = 14, ROOT_RECORDS = 3 };      /* CD-ROM XA's attributes precede the entries */

struct survey {
	bool sp, er;
	unsigned skip;
};

static void survey_entry(void *arg, const uint8_t *p, size_t len)
{
	struct survey *s = arg;
	if (memcmp(p, "SP", 2) == 0 && len >= 7 && p[4] == 0xbe && p[5] == 0xef) {
		s->sp = true;
		s->skip = p[6];
	} else if (memcmp(p, "ER", 2) == 0) {
		s->er = true;
	}
}

/* Damage to the root's entries: there are none, then. */
static int survey_at(struct iso_fs *x, const uint8_t *area, size_t len, unsigned skip, struct survey *ret, struct err *e)
{
	*ret = (struct survey){0};
	if (skip >= len)
		return 0;
	int r = iso_susp_walk(x, area + skip, len - skip, survey_entry, ret, e);
	if (r != ERR_FILE_CORRUPT)
		return r;
	fs_warn(&x->fs, "the Rock Ridge entries of the root directory are damaged: %s", e->msg);
	err_clear(e);
	return 0;
}

static int survey_root(struct iso_fs *x, struct survey *ret, struct err *e)
{
	uint8_t area[ISO_RECORD_MAX];
	size_t len = 0;
	int r = iso_system_use(x, x->vol.root, area, &len, e);
	if (r == 0)
		r = survey_at(x, area, len, 0, ret, e);
	if (r < 0 || ret->sp || ret->er)
		return r;
	r = survey_at(x, area, len, XA_LEN, ret, e);
	if (r == 0 && ret->sp)
		x->root_skip = XA_LEN;
	return r;
}

/* Discs are known whose plain root is empty while Joliet's is not: fewer than three records, of which two are the directory itself
 * and its parent. */
static int root_is_empty(struct iso_fs *x, struct err *e)
{
	uint64_t off = x->vol.root;
	for (unsigned i = 0; i < ROOT_RECORDS; i++) {
		uint8_t len = 0;
		int r = iso_read(x, off, &len, 1, e);
		if (r < 0)
			return r;
		if (len == 0)
			return 1;
		off += len;
	}
	return 0;
}

int iso_choose_tree(struct iso_fs *x, struct err *e)
{
	struct survey s = {0};
	int r = survey_root(x, &s, e);
	int empty = r == 0 && s.er && x->vol.joliet_root ? root_is_empty(x, e) : 0;
	if (r == 0)
		r = empty;
	/* A plain root that is not there is no loss where Joliet's is. */
	if (r == ERR_FILE_CORRUPT && x->vol.joliet_root) {
		fs_warn(&x->fs, "the plain root directory is damaged, Joliet's is shown: %s", e->msg);
		err_clear(e);
		s.er = false;
		r = 0;
	}
	if (r < 0)
		return r;
	x->joliet = x->vol.joliet_root && (!s.er || empty);
	x->rock = !x->joliet;
	x->root = x->joliet ? x->vol.joliet_root : x->vol.root;
	x->skip = s.skip;
	return 0;
}
