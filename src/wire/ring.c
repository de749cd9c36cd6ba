#include "wire/ring.h"

#include "base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The control page. head and tail each have a cache line of their own. */
struct ring_control {
	_Alignas(64) _Atomic uint32_t head;
	_Alignas(64) _Atomic uint32_t tail;
	_Alignas(64) _Atomic uint32_t len[RING_SLOTS];
};

_Static_assert(sizeof(struct ring_control) <= RING_CONTROL_SIZE, "the control page is one page");

static struct ring_control *control(struct ring *r)
{
	return (struct ring_control *)(void *)r->map;
}

static uint8_t *slot(struct ring *r, uint32_t index)
{
	return r->map + RING_CONTROL_SIZE + (size_t)(index % RING_SLOTS) * RING_SLOT_SIZE;
}

static void wake(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));
	(void)n; /* full means the other side has 2^64 - 2 wakes waiting: it will wake */
}

static int map_memory(struct ring *r, struct err *e)
{
	void *map = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, r->memfd, 0);
	if (map == MAP_FAILED)
		return err_set_errno(e, ERR_NO_MEMORY, errno, "ring", "cannot map a stream's memory");
	r->map = map;
	return 0;
}

static int create(struct ring *r, struct err *e)
{
	r->memfd = memfd_create("sendense-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->memfd < 0 || ftruncate(r->memfd, RING_SIZE) < 0 ||
	    fcntl(r->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_set_errno(e, ERR_NO_MEMORY, errno, "ring", "cannot make a stream's memory");
	r->data_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->space_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->data_fd < 0 || r->space_fd < 0)
		return err_set_errno(e, ERR_NO_MEMORY, errno, "ring", "cannot make a stream's events");
	return map_memory(r, e);
}

int ring_create(struct ring *ret, struct err *e)
{
	struct ring r = RING_NONE;
	int res = create(&r, e);
	if (res < 0) {
		ring_release(&r);
		return res;
	}
	*ret = r;
	return 0;
}

int ring_attach(int memfd, int data_fd, int space_fd, struct ring *ret, struct err *e)
{
	struct ring r = {.memfd = memfd, .data_fd = data_fd, .space_fd = space_fd};
	struct stat st;
	/* What lies behind the end of a smaller file would end this process when it is written. */
	int res = fstat(memfd, &st) == 0 && st.st_size == RING_SIZE
	                  ? map_memory(&r, e)
	                  : err_set(e, ERR_WORKER_PROTOCOL, "ring", "a stream's memory is not of %d bytes", (int)RING_SIZE);
	if (res < 0) {
		ring_release(&r);
		return res;
	}
	*ret = r;
	return 0;
}

void ring_release(struct ring *r)
{
	if (r->map)
		(void)munmap(r->map, RING_SIZE);
	int fds[] = {r->memfd, r->data_fd, r->space_fd};
	for (unsigned i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	*r = RING_NONE;
}

static void wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	(void)poll(&p, 1, -1);
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));
	(void)n; /* nothing there (EAGAIN): the caller looks at the indices again anyway */
}

int ring_reserve(struct ring *r, const atomic_bool *cancelled, uint8_t **ret_p, size_t *ret_room, struct err *e)
{
	for (;;) {
		if (atomic_load(cancelled))
			return err_set(e, ERR_CANCELLED, "ring", "the reader went away");
		uint32_t tail = atomic_load_explicit(&control(r)->tail, memory_order_acquire);
		if (r->mine - tail < RING_SLOTS)
			break;
		wait_readable(r->space_fd);
	}
	*ret_p = slot(r, r->mine) + r->used;
	*ret_room = RING_SLOT_SIZE - r->used;
	return 0;
}

void ring_commit(struct ring *r, size_t n)
{
	r->used += n;
	assert(r->used <= RING_SLOT_SIZE);
	if (r->used == RING_SLOT_SIZE)
		ring_flush(r);
}

void ring_flush(struct ring *r)
{
	if (r->used == 0)
		return;
	struct ring_control *c = control(r);
	atomic_store_explicit(&c->len[r->mine % RING_SLOTS], (uint32_t)r->used, memory_order_relaxed);
	r->mine++;
	atomic_store_explicit(&c->head, r->mine, memory_order_release);
	r->used = 0;
	wake(r->data_fd);
}

int ring_peek(struct ring *r, const uint8_t **ret_p, size_t *ret_len, struct err *e)
{
	if (r->slot_len == 0) {
		struct ring_control *c = control(r);
		uint32_t head = atomic_load_explicit(&c->head, memory_order_acquire);
		if (head == r->mine) {
			*ret_p = NULL;
			*ret_len = 0;
			return 0;
		}
		uint32_t len = atomic_load_explicit(&c->len[r->mine % RING_SLOTS], memory_order_relaxed);
		if (head - r->mine > RING_SLOTS || len == 0 || len > RING_SLOT_SIZE)
			return err_set(e, ERR_WORKER_PROTOCOL, "ring", "the worker broke its stream's indices");
		r->slot_len = len;
		r->used = 0;
	}
	*ret_p = slot(r, r->mine) + r->used;
	*ret_len = r->slot_len - r->used;
	return 0;
}

void ring_consume(struct ring *r, size_t n)
{
	assert(n <= r->slot_len - r->used);
	r->used += n;
	if (r->used < r->slot_len || r->slot_len == 0)
		return;
	r->slot_len = 0;
	r->used = 0;
	r->mine++;
	atomic_store_explicit(&control(r)->tail, r->mine, memory_order_release);
	wake(r->space_fd);
}
