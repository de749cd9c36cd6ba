/* What a client asks of a running worker: its configuration, and every question that one frame answers. */
#include "session/internal.h"

#include "wire/imagehelper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATHS_MAX = 16 << 20 };   /* bytes of all paths of one archive */

/* --- configuration -------------------------------------------------------------------------------- */

static int check_read_only(int fd, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY)
		return 0;
	return err_set(e, ERR_INVALID, "session", "a worker gets only files opened for reading");
}

struct layers_call {
	struct pending pending;
	unsigned count;
	struct layer_file *files[WIRE_LAYERS_MAX];       /* NULL: it is not kept */
};

static int keep_files(struct session *s, unsigned disk, const int *fds, struct layers_call *c, struct err *e)
{
	int r = 0;
	for (unsigned i = 0; i < c->count && r == 0; i++) {
		r = check_read_only(fds[i], e);
		if (r == 0)
			r = session_keep_file(s, disk, fds[i], &c->files[i], e);
	}
	return r;
}

int session_layers_begin(struct session *s, unsigned disk, const int *fds, const char *const *formats, unsigned count,
                         struct layers_call **ret, struct err *e)
{
	CLEANUP(free_ptr) struct layers_call *c = malloc(sizeof(*c));
	if (!c)
		return err_no_memory(e, "session");
	*c = (struct layers_call){.pending = {.answer = BUF_INIT(WIRE_FRAME_MAX)}, .count = count};
	int r = keep_files(s, disk, fds, c, e);
	if (r < 0)
		return r;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_LAYERS, 0);
	wire_put_u16(&b, (uint16_t)disk);
	for (unsigned i = 0; i < count; i++)
		wire_put_cstr(&b, formats[i]);
	r = session_submit(s, &c->pending, &b, fds, count, e);
	if (r == 0)
		*ret = STEAL(c);
	return r;
}

int session_take_layer(struct session *s, struct pending *p, struct wire_layer *ret, struct err *e)
{
	struct rdr rd = rdr_init(p->answer.data, p->answer.len);
	struct wire_layer layer;
	wire_layer_get(&rd, &layer);
	buf_free(&p->answer);
	if (rd.bad)
		return session_broken(s, e, "its description of a layer");
	*ret = layer;
	return 0;
}

static int take_layers(struct session *s, const struct layers_call *c, struct wire_layer *ret, unsigned *ret_taken, struct err *e)
{
	struct rdr rd = rdr_init(c->pending.answer.data, c->pending.answer.len);
	unsigned n = rdr_le16(&rd);
	for (unsigned i = 0; i < n && i < c->count && !rd.bad; i++)
		wire_layer_get(&rd, &ret[i]);
	if (rd.bad || n > c->count)
		return session_broken(s, e, "its description of layers");
	for (unsigned i = 0; i < n; i++)
		if (c->files[i])
			c->files[i]->kind = strcmp(ret[i].format, "raw") == 0 ? IMAGEHELPER_RAW
			                    : ret[i].encrypted                ? IMAGEHELPER_LUKS
			                                                      : IMAGEHELPER_PLAIN;
	*ret_taken = n;
	return n < c->count ? wire_get_error(&rd, e) : 0;
}

int session_layers_end(struct session *s, struct layers_call *call, struct wire_layer *ret, unsigned *ret_taken, struct err *e)
{
	CLEANUP(free_ptr) struct layers_call *c = call;
	*ret_taken = 0;
	int r = session_end_call(s, &c->pending, WIRE_LAYERS_INFO, s->call_timeout_ms, e);
	if (r < 0)
		return r;
	r = take_layers(s, c, ret, ret_taken, e);
	buf_free(&c->pending.answer);
	return r;
}

int session_layer(struct session *s, unsigned disk, int fd, const char *format, struct wire_layer *ret,
                  struct err *e)
{
	struct layers_call *c;
	int r = session_layers_begin(s, disk, &fd, &format, 1, &c, e);
	if (r < 0)
		return r;
	unsigned taken;
	struct err ignored = ERR_INIT;
	r = session_ready(s, e);
	int r_end = session_layers_end(s, c, ret, &taken, r < 0 ? &ignored : e);
	return r < 0 ? r : r_end;
}

int session_data_file(struct session *s, unsigned disk, unsigned layer, int fd, struct err *e)
{
	int r = check_read_only(fd, e);
	if (r < 0)
		return r;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_DATA_FILE, 0);
	wire_put_u16(&b, (uint16_t)disk);
	wire_put_u16(&b, (uint16_t)layer);
	struct pending p;
	r = session_call(s, &b, &fd, 1, WIRE_OK, s->call_timeout_ms, &p, e);
	if (r == 0)
		buf_free(&p.answer);
	return r;
}

/* Cut to `size` bytes with the NUL. */
static void put_cut(struct buf *b, const char *s, size_t size)
{
	wire_put_str(b, s, strnlen(s, size - 1));
}

int session_disk(struct session *s, unsigned disk, const char *name, const char *missing, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_DISK, 0);
	wire_put_u16(&b, (uint16_t)disk);
	put_cut(&b, name, WIRE_DISK_NAME_LEN);
	put_cut(&b, missing ? missing : "", WIRE_MISSING_LEN);
	struct pending p;
	int r = session_call(s, &b, NULL, 0, WIRE_OK, s->call_timeout_ms, &p, e);
	if (r == 0)
		buf_free(&p.answer);
	if (r == 0 && missing)
		session_drop_files(s, disk);
	return r;
}

void session_get_opened(struct rdr *r, struct session_opened *ret)
{
	*ret = (struct session_opened){
		.volume_count = rdr_le32(r),
		.default_volume = rdr_le32(r),
		.warning_count = rdr_le32(r),
	};
	if (ret->warning_count > SESSION_WARNINGS_MAX || ret->default_volume > ret->volume_count)
		r->bad = true;
	for (uint32_t i = 0; i < ret->warning_count && !r->bad; i++) {
		wire_get_cstr(r, ret->warnings[i], SESSION_WARNING_LEN);
		wire_make_text(ret->warnings[i]);
	}
}

static int get_missing(struct session *s, struct rdr *r, struct err *e)
{
	uint32_t count = rdr_le32(r);
	if (count > WIRE_DISKS_MAX)
		r->bad = true;
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		char why[WIRE_MISSING_LEN] = "";
		wire_get_cstr(r, why, sizeof(why));
		wire_make_text(why);
		if (why[0] == '\0' || s->missing[i])
			continue;
		s->missing[i] = strdup(why);
		if (!s->missing[i])
			return err_no_memory(e, "session");
	}
	return 0;
}

int session_open(struct session *s, struct session_opened *ret, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_OPEN, 0);
	struct pending p;
	int r = session_call(s, &b, NULL, 0, WIRE_OPENED, s->open_timeout_ms, &p, e);
	if (r < 0)
		return r;
	struct rdr rd = rdr_init(p.answer.data, p.answer.len);
	struct session_opened opened;
	session_get_opened(&rd, &opened);
	r = get_missing(s, &rd, e);
	buf_free(&p.answer);
	if (r == 0 && rd.bad)
		r = session_broken(s, e, "its description of the disk");
	if (r < 0)
		return r;
	session_drop_files(s, SESSION_DISKS_MAX);
	*ret = opened;
	return 0;
}

const char *session_missing(const struct session *s, unsigned disk)
{
	return disk < WIRE_DISKS_MAX ? s->missing[disk] : NULL;
}

/* --- questions ------------------------------------------------------------------------------------ */

enum { VOLUMES_LIMIT = 4096 };

/* Appends one VOLUME_LIST answer to the array; *total is what the worker says there are, and may not change from one
 * answer to the next. */
static int take_volumes(struct session *s, struct rdr *rd, struct wire_volume **list, unsigned *count,
                        uint32_t *total, struct err *e)
{
	uint32_t all = rdr_le32(rd);
	uint32_t n = rdr_le32(rd);
	if (rd->bad || all > VOLUMES_LIMIT || (*count > 0 && all != *total) || n > all - *count || (n == 0 && *count < all))
		return session_broken(s, e, "its list of volumes");
	*total = all;
	if (n == 0)
		return 0;
	struct wire_volume *more = realloc(*list, sizeof(**list) * (*count + n));
	if (!more)
		return err_no_memory(e, "session");
	*list = more;
	for (uint32_t i = 0; i < n; i++)
		wire_volume_get(rd, &more[*count + i]);
	if (rd->bad)
		return session_broken(s, e, "its list of volumes");
	*count += n;
	return 0;
}

int session_volumes(struct session *s, struct wire_volume **ret, unsigned *ret_count, struct err *e)
{
	CLEANUP(free_ptr) struct wire_volume *list = NULL;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	unsigned count = 0;
	uint32_t total = 0;
	do {
		wire_begin(&b, WIRE_VOLUMES, 0);
		wire_put_u32(&b, count);
		struct pending p;
		int r = session_call(s, &b, NULL, 0, WIRE_VOLUME_LIST, s->call_timeout_ms, &p, e);
		if (r < 0)
			return r;
		struct rdr rd = rdr_init(p.answer.data, p.answer.len);
		r = take_volumes(s, &rd, &list, &count, &total, e);
		buf_free(&p.answer);
		if (r < 0)
			return r;
	} while (count < total);
	*ret = STEAL(list);
	*ret_count = count;
	return 0;
}

static void get_xattrs(struct rdr *rd, struct session_stat *st)
{
	uint32_t n = rdr_le32(rd);
	if (n > SESSION_XATTRS_MAX)
		rd->bad = true;
	for (uint32_t i = 0; i < n && !rd->bad; i++) {
		struct session_xattr *x = &st->xattrs[i];
		size_t len;
		x->name = wire_get_str(rd, 1024, &len);
		/* The worker sends the NUL along. */
		if (!x->name || len == 0 || memchr(x->name, '\0', len) != x->name + len - 1)
			rd->bad = true;
		x->full_len = rdr_le32(rd);
		x->value = (const uint8_t *)wire_get_str(rd, WIRE_FRAME_MAX, &x->len);
		if (x->len > x->full_len)
			rd->bad = true;
	}
	st->xattr_count = n;
}

static void get_streams(struct rdr *rd, struct session_stat *st)
{
	uint32_t n = rdr_le32(rd);
	if (n > SESSION_STREAMS_MAX)
		rd->bad = true;
	for (uint32_t i = 0; i < n && !rd->bad; i++) {
		st->streams[i].name = wire_get_str(rd, 1024, &st->streams[i].name_len);
		st->streams[i].size = rdr_le64(rd);
	}
	st->stream_count = n;
}

int session_stat(struct session *s, struct session_path at, bool follow, bool details, struct session_stat *ret,
                 struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_STAT, 0);
	wire_put_u32(&b, at.volume);
	wire_put_u8(&b, follow);
	wire_put_u8(&b, details);
	wire_put_str(&b, at.path, at.len);
	struct pending p;
	int r = session_call(s, &b, NULL, 0, WIRE_STAT_INFO, s->call_timeout_ms, &p, e);
	if (r < 0)
		return r;
	struct session_stat st = {0};
	struct rdr rd = rdr_init(p.answer.data, p.answer.len);
	st.volume = rdr_le32(&rd);
	wire_entry_get(&rd, &st.entry);
	get_xattrs(&rd, &st);
	get_streams(&rd, &st);
	st.cut = rdr_u8(&rd);
	if (rd.bad || st.volume == 0) {
		buf_free(&p.answer);
		return session_broken(s, e, "its description of a file");
	}
	st.memory = p.answer.data;       /* what the strings point into */
	*ret = st;
	return 0;
}

void session_stat_free(struct session_stat *st)
{
	free(st->memory);
	st->memory = NULL;
}

int session_paths_fd(const struct session_path *paths, size_t count, struct err *e)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(PATHS_MAX);
	wire_put_u32(&b, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		wire_put_str(&b, paths[i].path, paths[i].len);
	int r = buf_ok(&b, "session", e);
	if (r < 0)
		return r;
	CLEANUP(fd_close) int fd = memfd_create("sendense-paths", MFD_CLOEXEC);
	if (fd < 0 || pwrite(fd, b.data, b.len, 0) != (ssize_t)b.len)
		return err_set_errno(e, ERR_NO_MEMORY, errno, "session", "cannot pass the list of paths");
	return fd_steal(&fd);
}

int session_measure(struct session *s, uint32_t volume, const struct session_path *paths, size_t path_count,
                    unsigned timeout_ms, struct session_measure *ret, struct err *e)
{
	CLEANUP(fd_close) int fd = session_paths_fd(paths, path_count, e);
	if (fd < 0)
		return fd;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_MEASURE, 0);
	wire_put_u32(&b, volume);
	struct pending p = {.answer = BUF_INIT(WIRE_FRAME_MAX)};
	int r = session_submit(s, &p, &b, &fd, 1, e);
	if (r < 0)
		return r;
	bool done = session_wait_answer(s, &p, timeout_ms ? timeout_ms : s->call_timeout_ms);
	session_cancel(s, &p);
	if (!done) {
		buf_free(&p.answer);     /* it may have come meanwhile */
		return err_set(e, ERR_TIMEOUT, "session", "counting the files takes too long");
	}
	r = session_judge_answer(s, &p, WIRE_MEASURED, e);
	if (r == 0) {
		struct rdr rd = rdr_init(p.answer.data, p.answer.len);
		struct session_measure m = {
			.files = rdr_le64(&rd),
			.directories = rdr_le64(&rd),
			.others = rdr_le64(&rd),
			.bytes = rdr_le64(&rd),
			.errors = rdr_le64(&rd),
		};
		if (rd.bad)
			r = session_broken(s, e, "its count");
		else
			*ret = m;
	}
	buf_free(&p.answer);
	return r;
}
