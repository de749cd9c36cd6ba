/* Threads that unpack clusters ahead are held at work: what a reader gets meanwhile, and that a chain can be closed. */
#include "compose.h"

#include "base/bytes.h"
#include "image/decode.h"
#include "image/decompress.h"

#include <pthread.h>
#include <unistd.h>

/* The linker leads four calls inside the library through here (--wrap), so that a thread is held at work and it is seen what is
 * freed meanwhile. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	bool hold;                  /* threads that unpack wait until they are waited for */
	unsigned working;           /* so many unpack */
	bool freed_under;           /* a layer was closed while one did */
} watched = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, false};
static _Thread_local bool reader;
static uint64_t bad_at = UINT64_MAX;  /* this byte of a file cannot be read */

int __real_decoder_run(struct decoder *d, const struct image_layer *l, uint64_t descriptor, uint8_t *to, struct err *e);
void __real_decompress_free(struct decompress *d);
void __real_image_layer_close(struct image_layer *l);
int __real_layer_pread(int fd, uint64_t off, void *to, size_t len, struct err *e);
int __wrap_decoder_run(struct decoder *d, const struct image_layer *l, uint64_t descriptor, uint8_t *to, struct err *e);
void __wrap_decompress_free(struct decompress *d);
void __wrap_image_layer_close(struct image_layer *l);
int __wrap_layer_pread(int fd, uint64_t off, void *to, size_t len, struct err *e);

static void change_working(int by)
{
	pthread_mutex_lock(&watched.lock);
	watched.working += (unsigned)by;
	pthread_cond_broadcast(&watched.change);
	while (by > 0 && watched.hold)
		pthread_cond_wait(&watched.change, &watched.lock);
	pthread_mutex_unlock(&watched.lock);
}

int __wrap_decoder_run(struct decoder *d, const struct image_layer *l, uint64_t descriptor, uint8_t *to, struct err *e)
{
	if (reader)
		return __real_decoder_run(d, l, descriptor, to, e);
	change_working(1);
	int r = __real_decoder_run(d, l, descriptor, to, e);
	change_working(-1);
	return r;
}

/* It waits for the threads, so nothing holds them any more. */
void __wrap_decompress_free(struct decompress *d)
{
	pthread_mutex_lock(&watched.lock);
	watched.hold = false;
	pthread_cond_broadcast(&watched.change);
	pthread_mutex_unlock(&watched.lock);
	__real_decompress_free(d);
}

void __wrap_image_layer_close(struct image_layer *l)
{
	pthread_mutex_lock(&watched.lock);
	bool under = watched.working > 0;
	watched.freed_under |= under;
	pthread_mutex_unlock(&watched.lock);
	/* The thread will look at it. */
	if (!under)
		__real_image_layer_close(l);
}

int __wrap_layer_pread(int fd, uint64_t off, void *to, size_t len, struct err *e)
{
	if (bad_at >= off && bad_at - off < len)
		return err_set(e, ERR_IO, "test", "a bad sector");
	return __real_layer_pread(fd, off, to, len, e);
}

/* Guest clusters 0 to 2 are one compressed cluster, a stored block of deflate (RFC 1951, 3.2.4), of which each counts a sector more
 * than the one before, so that they are not known to be the same. */
static void compose_compressed(uint8_t *p)
{
	enum { SECTORS = (5 + CLUSTER - 1) / 512 };
	compose(p);
	p[DATA_AT] = 1;
	put_le16(p + DATA_AT + 1, CLUSTER);
	put_le16(p + DATA_AT + 3, 0xffff ^ CLUSTER);
	memset(p + DATA_AT + 5, 'C', CLUSTER);
	for (int i = 0; i < 3; i++)
		put_be64(p + L2_AT + 8 * i, UINT64_C(1) << 62 | (uint64_t)(SECTORS + i) << 58 | DATA_AT);
}

/* Its threads still read out of the layers when a chain is closed: they end first. */
static void layers_outlive_the_threads(void **state)
{
	(void)state;
	static uint8_t img[FILE_BYTES];
	compose_compressed(img);
	int fd = file_of(img, sizeof(img));
	struct blk *b = open_one(fd);
	struct err e = ERR_INIT;
	uint8_t to[CLUSTER];
	struct decompress *d;
	assert_ok(decompress_new(CLUSTER, &d, &e), &e);
	bool threads = decompress_ahead_max(d) > 0;
	decompress_free(d);
	reader = watched.hold = true;
	/* The second one in order has the third unpacked by a thread. */
	for (unsigned i = 0; i < 2; i++) {
		assert_ok(blk_read(b, i * CLUSTER, to, CLUSTER, &e), &e);
		assert_true(to[0] == 'C' && to[CLUSTER - 1] == 'C');
	}
	pthread_mutex_lock(&watched.lock);
	while (threads && watched.working == 0)
		pthread_cond_wait(&watched.change, &watched.lock);
	pthread_mutex_unlock(&watched.lock);
	blk_unref(b);
	assert_false(watched.freed_under);
	assert_int_equal(watched.working, 0);
	close(fd);
	if (!threads)
		skip();
}

/* However many readers in order have clusters of a MiB asked ahead, of which the cache holds four, and however slow the threads are: what
 * is read has a place. */
static void what_is_asked_ahead_leaves_room(void **state)
{
	(void)state;
	static uint8_t img[FILE_BYTES];
	compose_compressed(img);
	int fd = file_of(img, sizeof(img));
	struct err e = ERR_INIT;
	struct image_layer *l;
	struct decompress *d;
	uint8_t to[16];
	assert_ok(image_layer_open(fd, IMAGE_AUTO, &l, &e), &e);
	assert_ok(decompress_new(1 << 20, &d, &e), &e);
	uint64_t cluster = get_be64(img + L2_AT) & ((UINT64_C(1) << 62) - 1);
	bool threads = decompress_ahead_max(d) > 0;
	reader = watched.hold = true;
	for (unsigned i = 0; i < 4; i++)
		decompress_ahead(d, l, i + 1, cluster);
	assert_ok(decompress_read(d, l, 0, cluster, 1, to, sizeof(to), &e), &e);
	assert_true(to[0] == 'C' && to[15] == 'C');
	decompress_free(d);
	image_layer_close(l);
	close(fd);
	if (!threads)
		skip();
}

/* More than was asked for is fetched where clusters are read in order. What is beyond need not be readable. */
static void a_bad_sector_is_of_its_cluster_alone(void **state)
{
	(void)state;
	static uint8_t img[FILE_BYTES], to[CLUSTER];
	compose_compressed(img);
	int fd = file_of(img, sizeof(img));
	struct err e = ERR_INIT;
	struct image_layer *l;
	struct decoder d;
	uint64_t mask = (UINT64_C(1) << 62) - 1;
	assert_ok(image_layer_open(fd, IMAGE_AUTO, &l, &e), &e);
	decoder_init(&d, CLUSTER);
	bad_at = FILE_BYTES - 512;
	for (unsigned i = 0; i < 2; i++) {
		memset(to, 0, sizeof(to));
		assert_ok(__real_decoder_run(&d, l, get_be64(img + L2_AT + 8 * i) & mask, to, &e), &e);
		assert_true(to[0] == 'C' && to[CLUSTER - 1] == 'C');
	}
	bad_at = DATA_AT + 512;
	assert_int_equal(__real_decoder_run(&d, l, get_be64(img + L2_AT + 16) & mask, to, &e), ERR_IO);
	bad_at = UINT64_MAX;
	decoder_fini(&d);
	image_layer_close(l);
	close(fd);
}

/* Neither a QCOW2 image nor a raw one needs its last sector to be opened. */
static void a_bad_last_sector_is_no_reason_not_to_open(void **state)
{
	(void)state;
	static uint8_t img[FILE_BYTES], to[CLUSTER];
	struct err e = ERR_INIT;
	bad_at = FILE_BYTES - 1;
	for (unsigned i = 0; i < 2; i++) {
		compose(img);
		if (i > 0)
			memset(img, 'A', CLUSTER);
		int fd = file_of(img, sizeof(img));
		struct blk *b = open_one(fd);
		assert_ok(blk_read(b, 0, to, sizeof(to), &e), &e);
		assert_int_equal(to[0], 'A');
		blk_unref(b);
		struct image_layer *l;
		assert_int_equal(image_layer_open(fd, IMAGE_VHD, &l, &e), ERR_IO);
		err_clear(&e);
		close(fd);
	}
	bad_at = UINT64_MAX;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_outlive_the_threads),
		cmocka_unit_test(what_is_asked_ahead_leaves_room),
		cmocka_unit_test(a_bad_sector_is_of_its_cluster_alone),
		cmocka_unit_test(a_bad_last_sector_is_no_reason_not_to_open),
	};
	return cmocka_run_group_tests_name("image-close", tests, NULL, NULL);
}
