/* What the other end of a worker's socket may send, both ways. The first byte says what the rest is:
 *
 *	0xff   a script for the ring (ring_script)
 *	else   bit 0: direction, bits 1, 2: phase, bits 3 …: descriptors sent along; the rest is a packet
 *
 * A packet goes through wire_recv, and its payload through every decoder. What was taken is written again and must read the same. */
#include "base/cleanup.h"
#include "wire/entry.h"
#include "wire/ring.h"

#include "../tests/wire/raw.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RING_SCRIPT = 0xff };

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* --- decoders ------------------------------------------------------------------------------------- */

static void expect_text(const char *s, size_t size)
{
	must(strnlen(s, size) < size);
}

/* What was read, and written into `out`, is what was there. */
static void expect_same(const uint8_t *p, const struct rdr *r, size_t len, struct buf *out)
{
	struct err e = ERR_INIT;
	must(buf_ok(out, "fuzz", &e) == 0 && out->len == len - rdr_left(r) && memcmp(out->data, p, out->len) == 0);
	buf_reset(out);
}

static void decode_entry(const uint8_t *p, size_t len, struct buf *out)
{
	struct rdr r = rdr_init(p, len);
	struct wire_entry en;
	wire_entry_get(&r, &en);
	if (r.bad)
		return;
	must(en.kind < ENTRY_KINDS && en.mode <= 07777 && en.name_len > 0 && en.name_len <= ENTRY_NAME_MAX &&
	     en.target_len <= ENTRY_TARGET_MAX && strcmp(wire_entry_kind_name(en.kind), "") != 0);
	wire_entry_put(out, &en);
	expect_same(p, &r, len, out);
}

static void decode_head(const uint8_t *p, size_t len, struct buf *out)
{
	struct rdr r = rdr_init(p, len);
	struct wire_list_head head;
	wire_list_head_get(&r, &head);
	if (r.bad)
		return;
	wire_list_head_put(out, &head);
	if (head.why.code == 0) {
		expect_same(p, &r, len, out);
		return;
	}
	/* What may not be shown has become '?'. */
	struct wire_list_head same;
	r = rdr_init(out->data, out->len);
	wire_list_head_get(&r, &same);
	must(!r.bad && head.count == 0 && same.why.code == head.why.code && strcmp(same.why.msg, head.why.msg) == 0);
	buf_reset(out);
}

static void decode_extent(const uint8_t *p, size_t len, struct buf *out)
{
	struct rdr r = rdr_init(p, len);
	struct wire_extent x;
	wire_extent_get(&r, &x);
	expect_text(x.name, sizeof(x.name));
	if (r.bad)
		return;
	must(x.sectors > 0 && x.name[0] != '\0' && !strpbrk(x.name, "/\"\n"));
	wire_extent_put(out, &x);
	expect_same(p, &r, len, out);
}

/* Texts of volumes are made fit to be shown and unknown flags are dropped: only what was written once comes out as it is. */
static void decode_volume(const uint8_t *p, size_t len, struct buf *out, struct buf *again)
{
	struct rdr r = rdr_init(p, len);
	struct wire_volume v;
	wire_volume_get(&r, &v);
	expect_text(v.label, sizeof(v.label));
	if (r.bad)
		return;
	wire_volume_put(out, &v);
	r = rdr_init(out->data, out->len);
	wire_volume_get(&r, &v);
	must(!r.bad);
	wire_volume_put(again, &v);
	expect_same(out->data, &r, out->len, again);
	buf_reset(out);
}

static void decode_layer(const uint8_t *p, size_t len, struct buf *out, struct buf *again)
{
	struct rdr r = rdr_init(p, len);
	struct wire_layer l;
	wire_layer_get(&r, &l);
	expect_text(l.backing_name, sizeof(l.backing_name));
	if (r.bad)
		return;
	must(l.extent_count <= WIRE_EXTENTS_MAX);
	wire_layer_put(out, &l);
	r = rdr_init(out->data, out->len);
	wire_layer_get(&r, &l);
	must(!r.bad);
	wire_layer_put(again, &l);
	expect_same(out->data, &r, out->len, again);
	buf_reset(out);
}

static void decode_error(const uint8_t *p, size_t len, struct buf *out)
{
	struct rdr r = rdr_init(p, len);
	struct err e = ERR_INIT, same = ERR_INIT;
	must(wire_get_error(&r, &e) < 0 && e.code < 0 && wire_error_allowed(e.code));
	wire_put_error(out, &e);
	r = rdr_init(out->data, out->len);
	must(wire_get_error(&r, &same) == e.code && strcmp(e.msg, same.msg) == 0);
	buf_reset(out);
}

static void decode(const uint8_t *p, size_t len)
{
	CLEANUP(buf_free) struct buf out = WIRE_BUF_INIT;
	CLEANUP(buf_free) struct buf again = WIRE_BUF_INIT;
	decode_entry(p, len, &out);
	decode_head(p, len, &out);
	decode_extent(p, len, &out);
	decode_volume(p, len, &out, &again);
	decode_layer(p, len, &out, &again);
	decode_error(p, len, &out);
}

/* --- packets -------------------------------------------------------------------------------------- */

/* A frame that was taken can be sent, and arrives as it was. */
static void send_again(int from, int to, enum wire_direction direction, unsigned phase, const struct wire_frame *f)
{
	static uint8_t room[WIRE_FRAME_MAX];
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	struct wire_frame g;
	struct err e = ERR_INIT;
	size_t len = rdr_left(&f->payload);
	wire_begin(&b, f->type, f->request);
	buf_add(&b, f->payload.p, len);
	must(wire_send(from, &b, f->fds, f->fd_count, &e) == 0);
	must(wire_recv(to, direction, phase, false, room, &g, &e) == WIRE_FRAME);
	must(g.type == f->type && g.request == f->request && g.fd_count == f->fd_count && rdr_left(&g.payload) == len &&
	     memcmp(g.payload.p, f->payload.p, len) == 0);
	wire_frame_close_fds(&g);
	must(strcmp(wire_type_name(f->type), "unknown") != 0);
}

/* What nobody checked: wire_send refuses it, or it is a frame in some phase. */
static void send_unchecked(int from, int to, enum wire_direction direction, const uint8_t *p, size_t len, unsigned fds)
{
	static uint8_t room[WIRE_FRAME_MAX];
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	int all[WIRE_FDS_MAX];
	struct wire_frame f;
	struct err e = ERR_INIT;
	if (len < WIRE_HEADER || fds > WIRE_FDS_MAX)
		return;
	for (unsigned i = 0; i < fds; i++)
		all[i] = from;
	buf_add(&b, p, len);
	if (wire_send(from, &b, all, fds, &e) < 0)
		return;
	int r = wire_recv(to, direction, WIRE_PHASE_ANY, false, room, &f, &e);
	must(r == WIRE_FRAME || e.code == ERR_WORKER_PROTOCOL);
	if (r == WIRE_FRAME)
		wire_frame_close_fds(&f);
}

static void packet(unsigned how, const uint8_t *p, size_t len)
{
	static uint8_t room[WIRE_FRAME_MAX];
	int pair[2];
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	CLEANUP(fd_close) int from = pair[0];
	CLEANUP(fd_close) int to = pair[1];
	enum wire_direction direction = how & 1 ? WIRE_TO_CLIENT : WIRE_TO_WORKER;
	unsigned phase = 1U << (how >> 1 & 3) % 3, fds = how >> 3;
	struct wire_frame f;
	struct err e = ERR_INIT;
	must(wire_recv(to, direction, phase, false, room, &f, &e) == WIRE_NOTHING);
	if (!raw_send(from, p, len, from, fds))
		return;
	int r = wire_recv(to, direction, phase, false, room, &f, &e);
	must(r < 0 ? e.code == r : e.code == 0);
	if (r == WIRE_FRAME) {
		decode(f.payload.p, rdr_left(&f.payload));
		send_again(from, to, direction, phase, &f);
		wire_frame_close_fds(&f);
	}
	send_unchecked(from, to, direction, p, len, fds);
}

/* --- the ring ------------------------------------------------------------------------------------- */

/* Where ring.c has its indices: a hostile end writes what it likes there. */
enum { HEAD = 0, TAIL = 64, LEN = 128 };

static void poke(struct ring *r, size_t at, uint32_t v)
{
	atomic_store((_Atomic uint32_t *)(void *)(r->map + at), v);
}

/* As much as fits is written, and read back from the shared memory. */
static void produce(struct ring *producer, size_t n)
{
	uint32_t tail = atomic_load((_Atomic uint32_t *)(void *)(producer->map + TAIL));
	/* It would wait for ever where there is no room. */
	atomic_bool stop = producer->mine - tail >= RING_SLOTS;
	uint8_t *p;
	size_t room;
	struct err e = ERR_INIT;
	if (ring_reserve(producer, &stop, &p, &room, &e) < 0) {
		must(stop && e.code == ERR_CANCELLED);
		return;
	}
	must(room > 0 && p >= producer->map + RING_CONTROL_SIZE && p + room <= producer->map + RING_SIZE);
	n = min_size(n, room);
	memset(p, 'x', n);
	ring_commit(producer, n);
}

/* False: the worker was caught. */
static bool consume(struct ring *consumer, size_t n)
{
	const uint8_t *p;
	size_t len;
	struct err e = ERR_INIT;
	if (ring_peek(consumer, &p, &len, &e) < 0) {
		must(e.code == ERR_WORKER_PROTOCOL);
		return false;
	}
	if (len == 0)
		return true;
	must(len <= RING_SLOT_SIZE && p >= consumer->map + RING_CONTROL_SIZE && p + len <= consumer->map + RING_SIZE);
	volatile uint8_t last = p[len - 1];
	(void)last;
	ring_consume(consumer, min_size(n, len));
	return true;
}

/* Steps of five bytes: what to do, and a number. */
static void ring_script(const uint8_t *p, size_t len)
{
	struct ring consumer, producer;
	struct err e = ERR_INIT;
	if (ring_create(&consumer, &e) < 0)
		return;
	must(ring_attach(dup(consumer.memfd), dup(consumer.data_fd), dup(consumer.space_fd), &producer, &e) == 0);
	struct rdr r = rdr_init(p, len);
	for (bool trusted = true; trusted && rdr_left(&r) >= 5;) {
		uint8_t step = rdr_u8(&r);
		uint32_t n = rdr_le32(&r);
		switch (step % 6) {
		case 0: poke(&producer, HEAD, n); break;
		case 1: poke(&producer, LEN + step / 6 % RING_SLOTS * 4, n); break;
		case 2: poke(&consumer, TAIL, n); break;
		case 3: produce(&producer, n); break;
		case 4: ring_flush(&producer); break;
		default: trusted = consume(&consumer, n);
		}
	}
	ring_release(&producer);
	ring_release(&consumer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > WIRE_FRAME_MAX)
		return 0;
	if (data[0] == RING_SCRIPT) {
		ring_script(data + 1, size - 1);
		return 0;
	}
	decode(data + 1, size - 1);
	packet(data[0], data + 1, size - 1);
	return 0;
}
