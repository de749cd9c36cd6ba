#include "compose.h"

#include "base/bytes.h"

#include <sys/mman.h>
#include <unistd.h>

void compose(uint8_t *p)
{
	memset(p, 0, FILE_BYTES);
	put_be32(p, 0x514649fb);
	put_be32(p + 4, 3);
	put_be32(p + 20, 12);
	put_be64(p + 24, SIZE);
	put_be32(p + 36, 1);
	put_be64(p + 40, L1_AT);
	put_be32(p + 96, 4);
	put_be32(p + 100, 104);
	put_be64(p + L1_AT, L2_AT);
	put_be64(p + L2_AT, DATA_AT);
	put_be64(p + L2_AT + 8, DATA_AT + CLUSTER);
	put_be64(p + L2_AT + 16, 1);
	memset(p + DATA_AT, 'A', CLUSTER);
	memset(p + DATA_AT + CLUSTER, 'B', CLUSTER);
}

int file_of(const void *p, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), (ssize_t)len);
	return fd;
}

struct blk *open_one(int fd)
{
	struct err e = ERR_INIT;
	struct image_layer *l = NULL;
	struct blk *b = NULL;
	assert_ok(image_layer_open(fd, IMAGE_AUTO, &l, &e), &e);
	assert_ok(image_chain_open(&l, 1, &b, &e), &e);
	return b;
}
