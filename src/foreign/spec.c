#include "foreign/foreign.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	CLUSTER_BITS = 16,
	CLUSTER = 1 << CLUSTER_BITS,
	L2_COVERS_BITS = CLUSTER_BITS + CLUSTER_BITS - 3,    /* guest bytes of an L1 entry: 512 MiB */
	L1_ENTRIES_MAX = 1 << 20,                            /* 512 TiB */
	HEADER_BYTES = 72,
};

#define FILE_NODE "{\"driver\":\"file\",\"filename\":\"/proc/self/fd/%d\",\"locking\":\"off\",\"aio\":\"threads\""

int foreign_spec(const char *format, int file_fd, int overlay_fd, char ret[FOREIGN_SPEC_MAX], struct err *e)
{
	/* "backing": null keeps QEMU from following what the image names. */
	static const struct {
		const char *format, *driver, *more;
	} plain[] = {
		{"vmdk", "vmdk", ",\"backing\":null"}, {"vhd", "vpc", ""},
		{"vdi", "vdi", ""},                    {"qed", "qed", ",\"backing\":null"},
		{"qcow", "qcow", ",\"backing\":null"},
	};
	for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(format, plain[i].format) != 0)
			continue;
		(void)snprintf(ret, FOREIGN_SPEC_MAX, "json:{\"driver\":\"%s\",\"read-only\":true%s,\"file\":" FILE_NODE "}}",
		               plain[i].driver, plain[i].more, file_fd);
		return 0;
	}
	if (strcmp(format, "vhdx") != 0)
		return err_set(e, ERR_INVALID, "foreign", "there is no image format \"%.20s\"", format);
	(void)snprintf(ret, FOREIGN_SPEC_MAX,
	               "json:{\"driver\":\"raw\",\"read-only\":true,\"file\":{\"driver\":\"vhdx\",\"read-only\":false,\"file\":"
	               "{\"driver\":\"qcow2\",\"read-only\":false,\"file\":" FILE_NODE ",\"read-only\":false},\"backing\":" FILE_NODE
	               ",\"read-only\":true}}}}",
	               overlay_fd, file_fd);
	return 0;
}

/* docs/interop/qcow2.txt, version 2: the header's cluster, a refcount table of one, a refcount block of one, and the L1 table. */
static void put_header(uint8_t *h, uint64_t size, uint64_t l1_entries)
{
	put_be32(h, 0x514649fb);
	put_be32(h + 4, 2);
	put_be32(h + 20, CLUSTER_BITS);
	put_be64(h + 24, size);
	put_be32(h + 36, (uint32_t)l1_entries);
	put_be64(h + 40, 3 * CLUSTER);
	put_be64(h + 48, CLUSTER);
	put_be32(h + 56, 1);
}

int foreign_overlay(uint64_t size, struct err *e)
{
	uint64_t l1_entries = (size >> L2_COVERS_BITS) + 1;
	if (l1_entries > L1_ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, "foreign", "the image file is too large");
	uint64_t clusters = 3 + (l1_entries * 8 + CLUSTER - 1) / CLUSTER;
	static uint8_t block[CLUSTER];
	uint8_t header[HEADER_BYTES] = {0}, entry[8];
	for (uint64_t i = 0; i < clusters; i++)
		block[2 * i + 1] = 1;
	put_header(header, (size + 511) & ~UINT64_C(511), l1_entries);
	put_be64(entry, 2 * CLUSTER);
	CLEANUP(fd_close) int fd = memfd_create("sendense-overlay", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)(clusters * CLUSTER)) < 0 || pwrite(fd, header, sizeof(header), 0) < 0 ||
	    pwrite(fd, entry, sizeof(entry), CLUSTER) < 0 || pwrite(fd, block, sizeof(block), (off_t)2 * CLUSTER) < 0)
		return err_set_errno(e, ERR_NO_MEMORY, errno, "foreign", "cannot make the memory that the log is replayed into");
	return fd_steal(&fd);
}
