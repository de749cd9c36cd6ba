/* The ring: wrap, partly filled slots, impossible indices, cancel; and records through it. */
#include "test.h"

#include "base/bytes.h"
#include "wire/entry.h"
#include "wire/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static struct ring consumer, producer;
static atomic_bool cancelled;

static int setup(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	atomic_store(&cancelled, false);
	if (ring_create(&consumer, &e) < 0)
		return -1;
	return ring_attach(dup(consumer.memfd), dup(consumer.data_fd), dup(consumer.space_fd), &producer, &e);
}

static int teardown(void **state)
{
	(void)state;
	ring_release(&consumer);
	ring_release(&producer);
	return 0;
}

static _Atomic uint32_t *word(struct ring *r, size_t off)
{
	return (_Atomic uint32_t *)(void *)(r->map + off);
}

enum { HEAD = 0, TAIL = 64, LEN = 128 };

struct stream_of {
	size_t total, piece;
};

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 13));
}

static void *produce(void *arg)
{
	const struct stream_of *s = arg;
	struct err e = ERR_INIT;
	for (size_t done = 0; done < s->total;) {
		uint8_t *p;
		size_t room;
		if (ring_reserve(&producer, &cancelled, &p, &room, &e) < 0)
			break;
		size_t n = min_size(min_size(room, s->piece), s->total - done);
		for (size_t i = 0; i < n; i++)
			p[i] = byte_at(done + i);
		ring_commit(&producer, n);
		if (done % 7 == 0)
			ring_flush(&producer); /* partly filled slots */
		done += n;
	}
	ring_flush(&producer);
	return NULL;
}

static void pass_through(size_t total, size_t piece, size_t take)
{
	struct stream_of s = {total, piece};
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, produce, &s), 0);
	size_t done = 0;
	while (done < total) {
		struct err e = ERR_INIT;
		const uint8_t *p;
		size_t len;
		assert_ok(ring_peek(&consumer, &p, &len, &e), &e);
		if (len == 0) {
			(void)usleep(50);
			continue;
		}
		size_t n = min_size(len, take);
		for (size_t i = 0; i < n; i++)
			if (p[i] != byte_at(done + i))
				fail_msg("byte %zu differs", done + i);
		ring_consume(&consumer, n);
		done += n;
	}
	(void)pthread_join(t, NULL);
	const uint8_t *p;
	size_t len;
	struct err e = ERR_INIT;
	assert_ok(ring_peek(&consumer, &p, &len, &e), &e);
	assert_int_equal(len, 0);
}

static void test_whole_slots_wrap(void **state)
{
	(void)state;
	pass_through((size_t)RING_SLOTS * RING_SLOT_SIZE * 3 + 17, RING_SLOT_SIZE, RING_SLOT_SIZE);
}

static void test_odd_pieces(void **state)
{
	(void)state;
	pass_through(3 << 20, 4999, 777777);
}

static void test_small_takes(void **state)
{
	(void)state;
	pass_through(300000, 100000, 333);
}

/* The indices are 32 bits wide and run on through their end. */
static void test_index_overflow(void **state)
{
	(void)state;
	consumer.mine = producer.mine = UINT32_MAX - 5;
	atomic_store(word(&consumer, HEAD), UINT32_MAX - 5);
	atomic_store(word(&consumer, TAIL), UINT32_MAX - 5);
	pass_through((size_t)RING_SLOT_SIZE * 20, RING_SLOT_SIZE, RING_SLOT_SIZE);
}

static void test_impossible_indices(void **state)
{
	(void)state;
	static const struct {
		uint32_t head, len;
	} bad[] = {
		{RING_SLOTS + 1, 1}, {UINT32_MAX, 1}, {0x80000000U, 1}, {1, 0}, {1, RING_SLOT_SIZE + 1}, {1, UINT32_MAX}, {8, 0},
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;
		const uint8_t *p;
		size_t len;
		atomic_store(word(&producer, HEAD), bad[i].head);
		atomic_store(word(&producer, LEN), bad[i].len);
		assert_int_equal(ring_peek(&consumer, &p, &len, &e), ERR_WORKER_PROTOCOL);
	}
}

/* A length is copied out once: what the producer writes there later has no effect. */
static void test_length_is_read_once(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	const uint8_t *p;
	size_t len;
	atomic_store(word(&producer, LEN), 10);
	atomic_store(word(&producer, HEAD), 1);
	assert_ok(ring_peek(&consumer, &p, &len, &e), &e);
	assert_int_equal(len, 10);
	ring_consume(&consumer, 4);
	atomic_store(word(&producer, LEN), UINT32_MAX);
	atomic_store(word(&producer, HEAD), 77);
	assert_ok(ring_peek(&consumer, &p, &len, &e), &e);
	assert_int_equal(len, 6);
}

static void test_size_is_sealed(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(producer.memfd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(producer.memfd, RING_SIZE * 2), -1);
	assert_int_equal(fcntl(producer.memfd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

static void *reserve_until_cancelled(void *arg)
{
	struct err *e = arg;
	uint8_t *p;
	size_t room;
	while (ring_reserve(&producer, &cancelled, &p, &room, e) == 0)
		ring_commit(&producer, room);
	return NULL;
}

static void test_cancel_wakes(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, reserve_until_cancelled, &e), 0);
	while (atomic_load(word(&consumer, HEAD)) != RING_SLOTS)
		(void)usleep(1000);
	atomic_store(&cancelled, true);
	uint64_t one = 1;
	assert_int_equal(write(consumer.space_fd, &one, sizeof(one)), sizeof(one));
	(void)pthread_join(t, NULL);
	assert_int_equal(e.code, ERR_CANCELLED);
}

static void test_attach_refuses(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct ring r;
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	assert_true(ring_attach(pipes[0], pipes[1], dup(consumer.space_fd), &r, &e) < 0);
	/* … and closed all three. */
	assert_int_equal(fcntl(pipes[0], F_GETFD), -1);
	assert_int_equal(fcntl(pipes[1], F_GETFD), -1);
	err_clear(&e);
	int small = memfd_create("small", MFD_CLOEXEC);
	assert_int_equal(ftruncate(small, RING_SIZE - 1), 0);
	assert_int_equal(ring_attach(small, dup(consumer.data_fd), dup(consumer.space_fd), &r, &e), ERR_WORKER_PROTOCOL);
	assert_int_equal(fcntl(small, F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole_slots_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_takes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_index_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_impossible_indices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_length_is_read_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_is_sealed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_wakes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach_refuses, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
