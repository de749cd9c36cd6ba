/* QCOW2 images composed byte by byte, for what is tested about them. */
#ifndef TESTS_IMAGE_COMPOSE_H
#define TESTS_IMAGE_COMPOSE_H

#include "test.h"

#include "image/image.h"

enum {
	CLUSTER = 4096,
	SIZE = 8 * CLUSTER,
	L1_AT = CLUSTER,
	L2_AT = 2 * CLUSTER,
	DATA_AT = 3 * CLUSTER,
	FILE_BYTES = 5 * CLUSTER,
};

/* A version 3 image of FILE_BYTES: guest cluster 0 is at DATA_AT ('A'), cluster 1 behind it ('B'), cluster 2 zero. */
void compose(uint8_t *p);

/* A file of these bytes; the chain of it alone. */
int file_of(const void *p, size_t len);
struct blk *open_one(int fd);

#endif
