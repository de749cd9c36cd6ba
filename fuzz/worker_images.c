#include "worker_fuzz.h"

#include "base/bytes.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int worker_images[WORKER_IMAGES];

int worker_file(const void *p, size_t len)
{
	int fd = memfd_create("worker-fuzz", MFD_CLOEXEC);
	must(fd >= 0 && pwrite(fd, p, len, 0) == (ssize_t)len);
	return fd;
}

static int disk_new(uint64_t *ret_size)
{
	static uint8_t bytes[64 << 10];
	int fd = open(WORKER_DISK, O_RDONLY | O_CLOEXEC), disk = worker_file("", 0);
	must(fd >= 0);
	ssize_t len = read(fd, bytes, sizeof(bytes));
	(void)close(fd);
	must(len > 16 && memcmp(bytes, "SEED", 4) == 0);
	uint32_t count = get_le32(bytes + 4);
	const uint8_t *p = bytes + 16 + 12 * (size_t)count;
	must(ftruncate(disk, (off_t)get_le64(bytes + 8)) == 0);
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *piece = bytes + 16 + 12 * (size_t)i;
		size_t n = get_le32(piece + 8);
		must(pwrite(disk, p, n, (off_t)get_le64(piece)) == (ssize_t)n);
		p += n;
	}
	*ret_size = get_le64(bytes + 8);
	return disk;
}

enum { CLUSTER = 64 << 10, QCOW2_DATA_FILE = 1 << 2, QCOW2_COPIED_SHIFT = 63 };

/* Header, L1 table, L2 table; then what is in it. */
static int qcow2_new(uint64_t size, uint32_t crypt, unsigned incompatible, const char *backing, int from)
{
	static uint8_t b[3 * CLUSTER];
	memset(b, 0, sizeof(b));
	put_be32(b, 0x514649fb);
	put_be32(b + 4, 3);
	if (backing) {
		put_be64(b + 8, 1024);
		put_be32(b + 16, (uint32_t)strlen(backing));
		memcpy(b + 1024, backing, strlen(backing));
	}
	put_be32(b + 20, 16);
	put_be64(b + 24, size);
	put_be32(b + 32, crypt);
	put_be32(b + 36, 1);
	put_be64(b + 40, CLUSTER);
	put_be64(b + 72, incompatible);
	put_be32(b + 96, 4);
	put_be32(b + 100, 104);
	if (crypt) {
		put_be32(b + 104, 0x0537be77);
		put_be32(b + 108, 16);
		put_be64(b + 112, 2 * CLUSTER);
		put_be64(b + 120, 512);
	}
	if (from >= 0) {
		put_be64(b + CLUSTER, UINT64_C(1) << QCOW2_COPIED_SHIFT | 2 * CLUSTER);
		for (uint64_t i = 0; i * CLUSTER < size; i++)
			put_be64(b + 2 * CLUSTER + 8 * i, UINT64_C(1) << QCOW2_COPIED_SHIFT | (3 + i) * CLUSTER);
	}
	int fd = worker_file(b, sizeof(b));
	for (uint64_t i = 0; from >= 0 && i * CLUSTER < size; i++) {
		ssize_t n = pread(from, b, CLUSTER, (off_t)(i * CLUSTER));
		must(n > 0 && pwrite(fd, b, CLUSTER, (off_t)((3 + i) * CLUSTER)) == CLUSTER);
	}
	return fd;
}

void worker_images_make(void)
{
	static const char vmdk[] = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n"
	                           "RW 2048 FLAT \"disk-f001.vmdk\" 0\nRW 2048 FLAT \"disk-f002.vmdk\" 0\n";
	uint64_t size;
	worker_images[WORKER_RAW] = disk_new(&size);
	worker_images[WORKER_QCOW2] = qcow2_new(size, 0, 0, NULL, worker_images[WORKER_RAW]);
	worker_images[WORKER_OVERLAY] = qcow2_new(size, 0, 0, "base.raw", -1);
	worker_images[WORKER_SEALED] = qcow2_new(size, 2, 0, NULL, -1);
	worker_images[WORKER_NO_DATA] = qcow2_new(size, 0, QCOW2_DATA_FILE, NULL, -1);
	worker_images[WORKER_VMDK] = worker_file(vmdk, sizeof(vmdk) - 1);
	worker_images[WORKER_EMPTY] = worker_file("", 0);
	worker_images[WORKER_NULL] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	must(worker_images[WORKER_NULL] >= 0);
}
