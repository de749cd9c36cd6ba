/* Control frames: every rule of WIRE_MESSAGES, fields, errors. */
#include "test.h"

#include "base/cleanup.h"
#include "wire/wire.h"

#include "raw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct rule {
	const char *name;
	unsigned type;
	enum wire_direction direction;
	unsigned phases;
	size_t max;
	unsigned fds, fds_most;          /* at least, at most */
};

static const struct rule rules[] = {
#define X(name, number, direction, phases, max, least, most) {#name, number, direction, phases, max, least, most},
	WIRE_MESSAGES(X)
#undef X
};

enum { RULES = sizeof(rules) / sizeof(rules[0]) };

static int pair[2];
static uint8_t room[WIRE_FRAME_MAX];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
	(void)state;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

/* Sends raw bytes and descriptors, without wire_send's own checks. */
static void send_raw(const void *bytes, size_t len, unsigned fds)
{
	int zero = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(raw_send(pair[0], bytes, len, zero, fds));
	(void)close(zero);
}

static void send_frame(unsigned type, unsigned pad, size_t payload, unsigned fds)
{
	static uint8_t bytes[WIRE_FRAME_MAX + 64];
	put_le16(bytes, (uint16_t)type);
	put_le16(bytes + 2, (uint16_t)pad);
	put_le32(bytes + 4, 7);
	send_raw(bytes, WIRE_HEADER + payload, fds);
}

/* What wire_recv makes of the packet that was sent; a frame's descriptors are closed. */
static int receive(enum wire_direction direction, unsigned phase, struct wire_frame *ret)
{
	struct err e = ERR_INIT;
	unsigned before = open_fds();
	int r = wire_recv(pair[1], direction, phase, false, room, ret, &e);
	if (r == WIRE_FRAME) {
		assert_int_equal(open_fds(), before + ret->fd_count);
		wire_frame_close_fds(ret);
	}
	/* Whatever came, no descriptor stays behind. */
	assert_int_equal(open_fds(), before);
	if (r < 0) {
		assert_int_equal(r, ERR_WORKER_PROTOCOL);
		assert_int_equal(e.code, r);
		assert_true(strlen(e.msg) > 10);
	}
	return r;
}

static void test_rules(void **state)
{
	(void)state;
	struct wire_frame f;
	for (unsigned i = 0; i < RULES; i++) {
		const struct rule *r = &rules[i];
		enum wire_direction other = r->direction == WIRE_TO_CLIENT ? WIRE_TO_WORKER : WIRE_TO_CLIENT;
		assert_string_equal(wire_type_name(r->type), r->name);

		send_frame(r->type, 0, r->max, r->fds);
		assert_int_equal(receive(r->direction, r->phases, &f), WIRE_FRAME);
		assert_int_equal(f.type, r->type);
		assert_int_equal(f.request, 7);
		assert_int_equal(f.payload.len, r->max);

		send_frame(r->type, 0, r->max, r->fds);
		assert_true(receive(other, WIRE_PHASE_ANY, &f) < 0);
		if (r->max < WIRE_PAYLOAD_MAX) {
			send_frame(r->type, 0, r->max + 1, r->fds);
			assert_true(receive(r->direction, r->phases, &f) < 0);
		}
		send_frame(r->type, 1, 0, r->fds);
		assert_true(receive(r->direction, r->phases, &f) < 0);
		for (unsigned phase = 1; phase <= WIRE_PHASE_SERVING; phase <<= 1) {
			send_frame(r->type, 0, 0, r->fds);
			int got = receive(r->direction, phase, &f);
			assert_int_equal(got == WIRE_FRAME, (r->phases & phase) != 0);
		}
		for (unsigned fds = 0; fds <= WIRE_FDS_MAX + 4; fds++) {
			send_frame(r->type, 0, 0, fds);
			int got = receive(r->direction, r->phases, &f);
			assert_int_equal(got == WIRE_FRAME, fds >= r->fds && fds <= r->fds_most);
		}
	}
}

static void test_unknown_types(void **state)
{
	(void)state;
	struct wire_frame f;
	static const unsigned types[] = {0, 30, 31, 63, 255, 4096, 65535};
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		send_frame(types[i], 0, 0, 0);
		assert_true(receive(WIRE_TO_CLIENT, WIRE_PHASE_ANY, &f) < 0);
		send_frame(types[i], 0, 0, 0);
		assert_true(receive(WIRE_TO_WORKER, WIRE_PHASE_ANY, &f) < 0);
		assert_string_equal(wire_type_name(types[i]), "unknown");
	}
}

static void test_packet_sizes(void **state)
{
	(void)state;
	struct wire_frame f;
	for (size_t len = 1; len < WIRE_HEADER; len++) {
		send_raw("\x22\0\0\0\1\0\0", len, 2);
		assert_true(receive(WIRE_TO_CLIENT, WIRE_PHASE_ANY, &f) < 0);
	}
	send_frame(WIRE_VOLUME_LIST, 0, WIRE_PAYLOAD_MAX + 1, 0);
	assert_true(receive(WIRE_TO_CLIENT, WIRE_PHASE_ANY, &f) < 0);
	assert_int_equal(receive(WIRE_TO_CLIENT, WIRE_PHASE_ANY, &f), WIRE_NOTHING);
	/* An empty packet reads like the end; the descriptors with it must not stay. */
	send_raw("", 0, 4);
	assert_int_equal(receive(WIRE_TO_CLIENT, WIRE_PHASE_ANY, &f), WIRE_CLOSED);
	(void)close(pair[0]);
	pair[0] = -1;
	assert_int_equal(receive(WIRE_TO_CLIENT, WIRE_PHASE_ANY, &f), WIRE_CLOSED);
}

static void test_received_fds_are_cloexec(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct wire_frame f;
	send_frame(WIRE_ARCHIVE, 0, 0, 4);
	assert_int_equal(wire_recv(pair[1], WIRE_TO_WORKER, WIRE_PHASE_SERVING, true, room, &f, &e), WIRE_FRAME);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(fcntl(f.fds[i], F_GETFD), FD_CLOEXEC);
	wire_frame_close_fds(&f);
}

static void test_send_refuses(void **state)
{
	(void)state;
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	struct err e = ERR_INIT;
	wire_begin(&b, WIRE_OK, 1);
	wire_put_u8(&b, 1);
	assert_int_equal(wire_send(pair[0], &b, NULL, 0, &e), ERR_INTERNAL);
	e = ERR_INIT;
	wire_begin(&b, WIRE_LAYERS, 1);
	assert_int_equal(wire_send(pair[0], &b, NULL, 0, &e), ERR_INTERNAL);
	e = ERR_INIT;
	static char big[WIRE_FRAME_MAX];
	wire_put_str(&b, big, sizeof(big));
	assert_true(wire_send(pair[0], &b, (int[]){0}, 1, &e) < 0);
	e = ERR_INIT;
	(void)close(pair[1]);
	b.failed = false;
	wire_begin(&b, WIRE_OK, 1);
	assert_int_equal(wire_send(pair[0], &b, NULL, 0, &e), ERR_WORKER_DIED);
}

static void test_send_has_patience(void **state)
{
	(void)state;
	struct timeval patience = {.tv_usec = 20000};
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	struct err e = ERR_INIT;
	int r = 0;
	for (unsigned i = 0; i < 100000 && r == 0; i++) {
		wire_begin(&b, WIRE_CANCEL, 1);
		r = wire_send(pair[0], &b, NULL, 0, &e);
	}
	assert_int_equal(r, ERR_TIMEOUT);
}

static void test_strings(void **state)
{
	(void)state;
	CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
	wire_put_str(&b, "a\0b", 3);
	wire_put_cstr(&b, "hello");
	wire_put_cstr(&b, "hello");
	wire_put_cstr(&b, "");
	struct rdr r = rdr_init(b.data, b.len);
	size_t len;
	const char *s = wire_get_str(&r, 3, &len);
	assert_memory_equal(s, "a\0b", 3);
	char five[6], four[5], one[1];
	wire_get_cstr(&r, five, sizeof(five));
	assert_string_equal(five, "hello");
	assert_false(r.bad);
	struct rdr copy = r;
	wire_get_cstr(&copy, four, sizeof(four));
	assert_true(copy.bad);
	assert_string_equal(four, "");
	wire_get_cstr(&r, five, sizeof(five));
	wire_get_cstr(&r, one, sizeof(one));
	assert_false(r.bad);
	assert_int_equal(rdr_left(&r), 0);

	r = rdr_init(b.data, b.len);
	assert_null(wire_get_str(&r, 2, &len)); /* longer than allowed */
	assert_true(r.bad);
	r = rdr_init(b.data, b.len);
	wire_get_cstr(&r, five, sizeof(five)); /* holds a NUL */
	assert_true(r.bad);
	uint8_t lie[] = {0xff, 0xff, 0xff, 0xff, 'x'};
	r = rdr_init(lie, sizeof(lie));
	assert_null(wire_get_str(&r, SIZE_MAX, &len)); /* leaves the frame */
	assert_true(r.bad);
	assert_int_equal(len, 0);
	for (size_t cut = 0; cut < 4; cut++) {
		r = rdr_init(lie, cut);
		(void)wire_get_str(&r, 16, &len);
		assert_true(r.bad);
	}
}

static int pass_error(int code, const char *msg, struct err *got)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
	wire_put_u32(&b, (uint32_t)code);
	wire_put_cstr(&b, msg);
	struct rdr r = rdr_init(b.data, b.len);
	*got = ERR_INIT;
	return wire_get_error(&r, got);
}

static void test_errors(void **state)
{
	(void)state;
	struct err got;
	assert_int_equal(pass_error(ERR_NOT_FOUND, "no such file", &got), ERR_NOT_FOUND);
	assert_string_equal(got.msg, "no such file");
	assert_int_equal(pass_error(ERR_WORKER_DIED, "what reads the image is gone", &got), ERR_WORKER_DIED);
	/* Numbers that are no code, and codes that are not for a worker to give. */
	static const int refused[] = {0, 1, 2147483647, -2147483647 - 1, -1000, ERR_WORKER_START, ERR_TIMEOUT, ERR_ALREADY_MOUNTED,
	                              ERR_UNAUTHORIZED, ERR_MOUNT_NOT_FOUND, ERR_NO_SLOT, ERR_CATALOG};
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(pass_error(refused[i], "text", &got), ERR_WORKER_PROTOCOL);
	/* Text is made fit for a terminal and for JSON. */
	assert_int_equal(pass_error(ERR_IO, "a\033[31mb\xff" "c\xc2\x85" "d\n\x7fGr\xc3\xbc\xc3\x9f" "e", &got), ERR_IO);
	assert_string_equal(got.msg, "a?[31mb?c??d??Gr\xc3\xbc\xc3\x9f" "e");
	static char big[ERR_MSG_MAX + 8];
	memset(big, 'x', ERR_MSG_MAX);
	assert_int_equal(pass_error(ERR_IO, big, &got), ERR_WORKER_PROTOCOL);
	got = ERR_INIT;
	struct rdr none = rdr_init("", 0);
	assert_int_equal(wire_get_error(&none, &got), ERR_WORKER_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_packet_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_received_fds_are_cloexec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_has_patience, setup, teardown),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
