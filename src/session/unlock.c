/* Opening an encrypted volume: the worker gives its header, the key helper finds the key, the worker gets the key. */
#include "session/internal.h"

#include "session/keyhelper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* One search for a key at a time: each may take a gigabyte. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

struct area {
	uint64_t off, len;
};

struct areas {
	uint64_t size;               /* of the container */
	uint32_t count;
	struct area area[WIRE_KEY_AREAS_MAX];
};

static int read_exactly(struct session *s, struct stream *st, void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	while (len > 0) {
		ssize_t n = stream_read_wait(st, p, len, e);
		if (n < 0)
			return e->code;
		if (n == 0)
			return session_broken(s, e, "its encryption header");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_areas(struct session *s, struct stream *st, struct areas *ret, struct err *e)
{
	uint8_t raw[16];
	struct areas a = {0};
	int r = read_exactly(s, st, raw, 12, e);
	if (r < 0)
		return r;
	a.size = get_le64(raw);
	a.count = get_le32(raw + 8);
	if (a.count > WIRE_KEY_AREAS_MAX || a.size > INT64_MAX)
		return session_broken(s, e, "its encryption header");
	uint64_t sum = 0;
	for (uint32_t i = 0; i < a.count; i++) {
		r = read_exactly(s, st, raw, 16, e);
		if (r < 0)
			return r;
		a.area[i] = (struct area){.off = get_le64(raw), .len = get_le64(raw + 8)};
		if (a.area[i].off > a.size || a.area[i].len > a.size - a.area[i].off ||
		    a.area[i].len > WIRE_KEY_AREA_BYTES_MAX - sum)
			return session_broken(s, e, "its encryption header");
		sum += a.area[i].len;
	}
	*ret = a;
	return 0;
}

static int copy_area(struct session *s, struct stream *st, struct area a, int fd, struct err *e)
{
	uint8_t buf[32 << 10];
	while (a.len > 0) {
		size_t n = a.len < sizeof(buf) ? (size_t)a.len : sizeof(buf);
		int r = read_exactly(s, st, buf, n, e);
		if (r < 0)
			return r;
		if (pwrite(fd, buf, n, (off_t)a.off) != (ssize_t)n)
			return err_set_errno(e, ERR_NO_MEMORY, errno, "session", "cannot keep the encryption header");
		a.off += n;
		a.len -= n;
	}
	return 0;
}

/* The stream's end, which says that all of it came and came right. */
static int expect_end(struct session *s, struct stream *st, struct err *e)
{
	uint8_t more;
	ssize_t n = stream_read_wait(st, &more, 1, e);
	if (n > 0)
		return session_broken(s, e, "its encryption header");
	return n < 0 ? e->code : 0;
}

/* The header in a memfd as large as the container. Its size is sealed, its bytes are not: libcryptsetup repairs a damaged copy
 * of a LUKS2 header from the other one before it uses it. */
static int fetch_header(struct session *s, uint32_t volume, int *ret_fd, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_KEY_AREAS, 0);
	wire_put_u32(&b, volume);
	CLEANUP(stream_close_p) struct stream *st = NULL;
	int r = stream_begin(s, &b, -1, &st, e);
	struct areas a = {0};
	if (r == 0)
		r = read_areas(s, st, &a, e);
	if (r < 0)
		return r;
	CLEANUP(fd_close) int fd = memfd_create("sendense-header", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)a.size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return err_set_errno(e, ERR_NO_MEMORY, errno, "session", "cannot keep the encryption header");
	for (uint32_t i = 0; i < a.count && r == 0; i++)
		r = copy_area(s, st, a.area[i], fd, e);
	if (r == 0)
		r = expect_end(s, st, e);
	if (r == 0)
		*ret_fd = fd_steal(&fd);
	return r;
}

static int give_key(struct session *s, uint32_t volume, const uint8_t *key, size_t len, struct session_opened *ret,
                    struct err *e)
{
	struct buf b = WIRE_BUF_INIT;
	/* At once as large as it gets: growing would leave copies of the key behind. */
	if (!buf_reserve(&b, 2 * WIRE_KEY_MAX))
		return err_no_memory(e, "session");
	wire_begin(&b, WIRE_UNLOCK, 0);
	wire_put_u32(&b, volume);
	wire_put_str(&b, key, len);
	struct pending p;
	int r = session_call(s, &b, NULL, 0, WIRE_UNLOCKED, s->open_timeout_ms, &p, e);
	explicit_bzero(b.data, b.cap);
	buf_free(&b);
	if (r < 0)
		return r;
	struct rdr rd = rdr_init(p.answer.data, p.answer.len);
	struct session_opened opened;
	session_get_opened(&rd, &opened);
	buf_free(&p.answer);
	if (rd.bad)
		return session_broken(s, e, "its description of the disk");
	*ret = opened;
	return 0;
}

int session_unlock(struct session *s, uint32_t volume, const struct session_key *secret, struct session_opened *ret,
                   struct err *e)
{
	unsigned disk;
	bool locked;
	int r = session_find_sealed(s, volume, &disk, &locked, e);
	if (r > 0)
		return session_unlock_sealed(s, volume, secret, ret, e);
	CLEANUP(fd_close) int fd = -1;
	if (r == 0)
		r = fetch_header(s, volume, &fd, e);
	if (r < 0)
		return r;
	uint8_t key[WIRE_KEY_MAX];
	size_t key_len = 0;
	pthread_mutex_lock(&one_at_a_time);
	r = keyhelper_ask(s->keyhelper, s->key_timeout_ms, fd, secret, key, &key_len, e);
	pthread_mutex_unlock(&one_at_a_time);
	if (r == 0)
		r = give_key(s, volume, key, key_len, ret, e);
	explicit_bzero(key, sizeof(key));
	return r;
}
