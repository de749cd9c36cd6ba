#include "nbd/nbd.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <libnbd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char module[] = "nbd";

enum { STATUS_ASK_MAX = 1 << 30, STATUS_ALIGN = 512 };

struct nbd_blk {
	struct blk blk;
	struct nbd_handle *h;
	unsigned patience_ms;
	bool open;
	bool has_status;         /* the server tells of holes */
	uint32_t read_flags;
	struct err dead;         /* set: why nothing can be read any more */

	/* What the last answer about holes said: of [extents_off, …), one behind the other. */
	uint64_t extents_off;
	struct blk_extent extents[NBD_EXTENTS_MAX];
	unsigned extent_count;
};

static uint64_t now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Of any of this process's images. */
static atomic_bool lost;

bool nbd_lost(void)
{
	return atomic_load(&lost);
}

static int broken(struct nbd_blk *n, struct err *e)
{
	const char *why = nbd_get_error();
	(void)err_set(&n->dead, ERR_IO, module, "the program that reads the image ended the connection (%.200s)",
	              why ? why : "no reason");
	if (n->open)
		atomic_store(&lost, true);
	*e = n->dead;
	return e->code;
}

static int late(struct nbd_blk *n, struct err *e)
{
	(void)err_set(&n->dead, ERR_IO, module, "the program that reads the image gave no answer within %u seconds",
	              n->patience_ms / 1000);
	if (n->open)
		atomic_store(&lost, true);
	*e = n->dead;
	return e->code;
}

/* Lets libnbd work until something happens or the time is over. 0, or the connection is done with. */
static int turn(struct nbd_blk *n, uint64_t until, struct err *e)
{
	uint64_t now = now_ms();
	int r = now < until ? nbd_poll(n->h, (int)(until - now)) : 0;
	if (r < 0 || nbd_aio_is_dead(n->h) > 0 || nbd_aio_is_closed(n->h) > 0)
		return broken(n, e);
	return r == 0 && now_ms() >= until ? late(n, e) : 0;
}

/* --- reading -------------------------------------------------------------------------------------- */

/* Requests under way, oldest first: a ring. They point into the caller's buffer, so none outlives the call: on any failure the
 * connection is not used again. */
struct flight {
	int64_t cookies[NBD_IN_FLIGHT];
	uint64_t offs[NBD_IN_FLIGHT];
	unsigned first, count;
};

static int wait_oldest(struct nbd_blk *n, struct flight *f, struct err *e)
{
	uint64_t until = now_ms() + n->patience_ms;
	for (;;) {
		int done = nbd_aio_command_completed(n->h, (uint64_t)f->cookies[f->first]);
		if (done > 0)
			break;
		if (done < 0 && (nbd_aio_is_dead(n->h) > 0 || nbd_aio_is_closed(n->h) > 0))
			return broken(n, e);
		if (done < 0) {
			const char *why = nbd_get_error();
			return err_set(e, ERR_IO, module, "the image cannot be read at %" PRIu64 " (%.200s)", f->offs[f->first],
			               why ? why : "no reason");
		}
		int r = turn(n, until, e);
		if (r < 0)
			return r;
	}
	f->first = (f->first + 1) % NBD_IN_FLIGHT;
	f->count--;
	return 0;
}

/* What came is in the buffer; what could not be read is told at the end. */
static int take_chunk(void *user, const void *part, size_t len, uint64_t off, unsigned status, int *error)
{
	(void)user;
	(void)part;
	(void)len;
	(void)off;
	(void)status;
	(void)error;
	return 0;
}

static int begin(struct nbd_blk *n, struct flight *f, uint64_t off, void *to, size_t len, struct err *e)
{
	int64_t cookie = nbd_aio_pread_structured(n->h, to, len, off, (nbd_chunk_callback){.callback = take_chunk}, NBD_NULL_COMPLETION,
	                                          n->read_flags);
	if (cookie < 0)
		return broken(n, e);
	unsigned at = (f->first + f->count++) % NBD_IN_FLIGHT;
	f->cookies[at] = cookie;
	f->offs[at] = off;
	return 0;
}

/* After a failed piece the others are waited for: their buffer is the caller's. */
static void land(struct nbd_blk *n, struct flight *f)
{
	f->first = (f->first + 1) % NBD_IN_FLIGHT;
	f->count--;
	while (f->count > 0 && n->dead.code == 0) {
		struct err ignored = ERR_INIT;
		if (wait_oldest(n, f, &ignored) < 0 && n->dead.code == 0) {
			f->first = (f->first + 1) % NBD_IN_FLIGHT;
			f->count--;
		}
	}
}

static int nbd_blk_read(struct blk *b, uint64_t off, void *to, size_t len, struct err *e)
{
	struct nbd_blk *n = (struct nbd_blk *)b;
	if (n->dead.code != 0) {
		*e = n->dead;
		return e->code;
	}
	struct flight f = {.count = 0};
	uint8_t *p = to;
	int r = 0;
	while (r == 0 && (len > 0 || f.count > 0)) {
		if (len == 0 || f.count == NBD_IN_FLIGHT) {
			r = wait_oldest(n, &f, e);
			continue;
		}
		size_t piece = min_size(len, NBD_PIECE);
		r = begin(n, &f, off, p, piece, e);
		p += piece;
		off += piece;
		len -= piece;
	}
	if (r < 0 && n->dead.code == 0)
		land(n, &f);
	return r;
}

/* --- holes ---------------------------------------------------------------------------------------- */

/* A server's answer: pairs of length and flags. */
static int take_status(void *user, const char *context, uint64_t off, uint32_t *entries, size_t count, int *error)
{
	(void)error;
	struct nbd_blk *n = user;
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
		return 0;
	n->extents_off = off;
	n->extent_count = 0;
	for (size_t i = 0; i + 1 < count && n->extent_count < NBD_EXTENTS_MAX; i += 2) {
		enum blk_extent_kind kind = BLK_DATA;
		if (entries[i + 1] & LIBNBD_STATE_ZERO)
			kind = entries[i + 1] & LIBNBD_STATE_HOLE ? BLK_HOLE : BLK_ZERO;
		if (entries[i] > 0)
			n->extents[n->extent_count++] = (struct blk_extent){.kind = kind, .len = entries[i], .fd = -1};
	}
	return 0;
}

/* The extent at off among those known; false: none is. */
static bool find_known(const struct nbd_blk *n, uint64_t off, uint64_t len, struct blk_extent *ret)
{
	uint64_t at = n->extents_off;
	for (unsigned i = 0; i < n->extent_count && at <= off; i++) {
		const struct blk_extent *x = &n->extents[i];
		if (off - at < x->len) {
			*ret = *x;
			ret->len = min_u64(len, x->len - (off - at));
			return true;
		}
		at += x->len;
	}
	return false;
}

static int ask_status(struct nbd_blk *n, uint64_t off, struct err *e)
{
	uint64_t start = off - off % STATUS_ALIGN;
	uint64_t len = min_u64(n->blk.size - start, STATUS_ASK_MAX);
	n->extent_count = 0;
	int64_t cookie = nbd_aio_block_status(n->h, len, start,
	                                      (nbd_extent_callback){.callback = take_status, .user_data = n},
	                                      NBD_NULL_COMPLETION, 0);
	if (cookie < 0)
		return broken(n, e);
	struct flight f = {.cookies = {cookie}, .offs = {off}, .count = 1};
	return wait_oldest(n, &f, e);
}

static int nbd_blk_extent(struct blk *b, uint64_t off, uint64_t len, struct blk_extent *ret, struct err *e)
{
	struct nbd_blk *n = (struct nbd_blk *)b;
	if (!n->has_status || find_known(n, off, len, ret))
		return 0;
	if (n->dead.code != 0) {
		*e = n->dead;
		return e->code;
	}
	struct err why = ERR_INIT;
	if (ask_status(n, off, &why) < 0 && n->dead.code != 0) {
		*e = why;
		return e->code;
	}
	/* A server that cannot say: then it has to be read. */
	(void)find_known(n, off, len, ret);
	return 0;
}

/* --- life ----------------------------------------------------------------------------------------- */

static void nbd_blk_close(struct blk *b)
{
	struct nbd_blk *n = (struct nbd_blk *)b;
	nbd_close(n->h);
	free(n);
}

static const struct blk_ops ops = {
	.name = "nbd",
	.read = nbd_blk_read,
	.extent = nbd_blk_extent,
	.close = nbd_blk_close,
};

static int shake_hands(struct nbd_blk *n, struct err *e)
{
	uint64_t until = now_ms() + n->patience_ms;
	while (nbd_aio_is_connecting(n->h) > 0) {
		int r = turn(n, until, e);
		if (r < 0)
			return r;
	}
	return nbd_aio_is_ready(n->h) > 0 ? 0 : broken(n, e);
}

static struct nbd_handle *make_handle(void)
{
	struct nbd_handle *h = nbd_create();
	/* Without block sizes a server has to take what it is asked for. */
	if (h && nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0 && nbd_set_request_block_size(h, false) == 0 &&
	    nbd_set_export_name(h, "") == 0)
		return h;
	nbd_close(h);
	return NULL;
}

int nbd_blk_open(int fd, unsigned patience_ms, struct blk **ret, struct err *e)
{
	struct nbd_blk *n = calloc(1, sizeof(*n));
	struct nbd_handle *h = n ? make_handle() : NULL;
	if (!h) {
		(void)close(fd);
		free(n);
		return err_no_memory(e, module);
	}
	blk_init(&n->blk, &ops, 0);
	n->patience_ms = patience_ms;
	n->h = h;
	int r = nbd_aio_connect_socket(h, fd) < 0 ? broken(n, e) : shake_hands(n, e);
	int64_t size = r == 0 ? nbd_get_size(n->h) : 0;
	if (size < 0)
		r = broken(n, e);
	if (r < 0) {
		nbd_blk_close(&n->blk);
		return r;
	}
	n->blk.size = (uint64_t)size;
	/* An answer in pieces cannot take back what it has begun with: QEMU breaks the connection where one of them cannot be read. */
	n->read_flags = nbd_can_df(n->h) > 0 ? LIBNBD_CMD_FLAG_DF : 0;
	n->has_status = nbd_can_meta_context(n->h, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
	n->open = true;
	*ret = &n->blk;
	return 0;
}

void nbd_warm_up(void)
{
	nbd_close(make_handle());
}
