/* The blk over NBD against servers that misbehave: a thread at the other end of a socket pair that knows just enough of the
 * protocol (doc/proto.md: fixed newstyle, NBD_OPT_GO, simple replies). What works is tested with qemu-nbd, in tests/e2e. */
#include "test.h"

#include "base/bytes.h"
#include "nbd/nbd.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 3 << 20 };

enum behaviour { SILENT, CLOSES, NO_READS, WELL, FAILS_READ, HANGS_AFTER_ONE, CLOSES_IN_READ, GARBAGE };

/* Where the time has to run out it is short, but shaking hands before that has to fit in on a busy machine. */
static unsigned patience_ms(enum behaviour how)
{
	return how == SILENT ? 300 : how == NO_READS || how == HANGS_AFTER_ONE ? 3000 : 120000;
}

struct server {
	int sock;
	enum behaviour how;
	pthread_t thread;
};

static bool get(int fd, void *to, size_t len)
{
	uint8_t *p = to;
	while (len > 0) {
		ssize_t n = read(fd, p, len);
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool put(int fd, const void *from, size_t len)
{
	return send(fd, from, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool option_reply(int fd, uint32_t option, uint32_t type, const void *data, uint32_t len)
{
	uint8_t head[20];
	put_be64(head, UINT64_C(0x3e889045565a9));
	put_be32(head + 8, option);
	put_be32(head + 12, type);
	put_be32(head + 16, len);
	return put(fd, head, sizeof(head)) && (len == 0 || put(fd, data, len));
}

/* Until the client goes on to the transmission; false where it left. */
static bool handshake(int fd)
{
	uint8_t hello[18] = "NBDMAGICIHAVEOPT", head[16], data[4096], info[12] = {0};
	hello[17] = 3;
	if (!put(fd, hello, sizeof(hello)) || !get(fd, data, 4))
		return false;
	for (;;) {
		if (!get(fd, head, sizeof(head)))
			return false;
		uint32_t option = get_be32(head + 8), len = get_be32(head + 12);
		if (len > sizeof(data) || !get(fd, data, len))
			return false;
		if (option != 7) {
			if (!option_reply(fd, option, 0x80000001, NULL, 0))
				return false;
			continue;
		}
		put_be64(info + 2, SIZE);
		info[11] = 3;
		return option_reply(fd, 7, 3, info, sizeof(info)) && option_reply(fd, 7, 1, NULL, 0);
	}
}

static bool answer(int fd, uint32_t error, uint64_t cookie, uint32_t len)
{
	static const uint8_t zeroes[1 << 20];
	uint8_t head[16];
	put_be32(head, 0x67446698);
	put_be32(head + 4, error);
	put_be64(head + 8, cookie);
	return put(fd, head, sizeof(head)) && (error != 0 || put(fd, zeroes, len));
}

static void *serve(void *arg)
{
	struct server *s = arg;
	uint8_t req[28], byte;
	unsigned done = 0;
	if (s->how == GARBAGE)
		(void)put(s->sock, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", 32);
	if (s->how == SILENT || s->how == GARBAGE)
		(void)get(s->sock, &byte, 1);
	if (s->how < NO_READS || s->how == GARBAGE || !handshake(s->sock)) {
		(void)close(s->sock);
		return NULL;
	}
	while (get(s->sock, req, sizeof(req)) && req[7] == 0) {
		if (s->how == CLOSES_IN_READ)
			break;
		if (s->how == NO_READS || (s->how == HANGS_AFTER_ONE && done > 0))
			continue;
		bool bad = s->how == FAILS_READ && get_be64(req + 16) == 1 << 20;
		if (!answer(s->sock, bad ? 5 : 0, get_be64(req + 8), get_be32(req + 24)))
			break;
		done++;
	}
	(void)close(s->sock);
	return NULL;
}

static int begin(struct server *s, enum behaviour how, struct blk **ret, struct err *e)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*s = (struct server){.sock = pair[1], .how = how};
	if (how == CLOSES) {
		(void)close(pair[1]);
		return nbd_blk_open(pair[0], patience_ms(how), ret, e);
	}
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	return nbd_blk_open(pair[0], patience_ms(how), ret, e);
}

static void end(struct server *s, struct blk *b)
{
	blk_unref(b);
	if (s->how != CLOSES)
		(void)pthread_join(s->thread, NULL);
}

static uint8_t data[SIZE];

static void reads(void **state)
{
	(void)state;
	struct server s;
	struct blk *b = NULL;
	struct err e = ERR_INIT;
	assert_ok(begin(&s, WELL, &b, &e), &e);
	assert_int_equal(b->size, SIZE);
	memset(data, 1, sizeof(data));
	assert_ok(blk_read(b, 0, data, SIZE, &e), &e);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(data[i], 0);
	assert_ok(blk_read(b, 12345, data, 1, &e), &e);
	/* A server that cannot tell of holes. */
	struct blk_extent x;
	assert_ok(blk_extent(b, 5, 100, &x, &e), &e);
	assert_int_equal(x.kind, BLK_DATA);
	assert_int_equal(x.len, 100);
	end(&s, b);
}

static void never_opens(void **state)
{
	(void)state;
	static const enum behaviour ways[] = {SILENT, CLOSES, GARBAGE};
	for (unsigned i = 0; i < 3; i++) {
		struct server s;
		struct blk *b = NULL;
		struct err e = ERR_INIT;
		assert_int_equal(begin(&s, ways[i], &b, &e), ERR_IO);
		assert_null(b);
		end(&s, NULL);
	}
}

/* One bad place costs the reads that touch it, and nothing else. */
static void one_bad_place(void **state)
{
	(void)state;
	struct server s;
	struct blk *b = NULL;
	struct err e = ERR_INIT;
	assert_ok(begin(&s, FAILS_READ, &b, &e), &e);
	assert_int_equal(blk_read(b, 0, data, SIZE, &e), ERR_IO);
	assert_non_null(strstr(e.msg, "1048576"));
	err_clear(&e);
	assert_ok(blk_read(b, 2 << 20, data, 1 << 20, &e), &e);
	assert_false(nbd_lost());
	end(&s, b);
}

static void ends_in_between(void **state)
{
	(void)state;
	static const struct {
		enum behaviour how;
		const char *words;
	} ways[] = {{NO_READS, "no answer"}, {HANGS_AFTER_ONE, "no answer"}, {CLOSES_IN_READ, "ended the connection"}};
	for (unsigned i = 0; i < 3; i++) {
		struct server s;
		struct blk *b = NULL;
		struct err e = ERR_INIT;
		assert_ok(begin(&s, ways[i].how, &b, &e), &e);
		assert_int_equal(blk_read(b, 0, data, SIZE, &e), ERR_IO);
		assert_non_null(strstr(e.msg, ways[i].words));
		/* From now on at once. */
		struct err again = ERR_INIT;
		assert_int_equal(blk_read(b, 0, data, 1, &again), ERR_IO);
		assert_string_equal(again.msg, e.msg);
		assert_true(nbd_lost());
		end(&s, b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads), cmocka_unit_test(never_opens), cmocka_unit_test(one_bad_place), cmocka_unit_test(ends_in_between),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
