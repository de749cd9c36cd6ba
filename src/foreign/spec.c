#include "foreign/foreign.h"

#include "base/bytes.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "wire/imagehelper.h"

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
	L2_CACHE_MAX = 16 << 20,                             /* of a layer */
	L2_CACHES_MAX = 128 << 20,                           /* of a chain */
};

#define FILE_NODE "{\"driver\":\"file\",\"filename\":\"/proc/self/fd/%d\",\"locking\":\"off\""

int foreign_spec(const char *format, int file_fd, int overlay_fd, char ret[FOREIGN_SPEC_MAX], struct err *e)
{
	/* "backing": null keeps QEMU from following what the image names. Of a VHD whose maker it does not know it would show as much as the
	 * disk geometry counts, which is less than the disk: VirtualBox's would lose their end. */
	static const struct {
		const char *format, *driver, *more;
	} plain[] = {
		{"vmdk", "vmdk", ",\"backing\":null"}, {"vhd", "vpc", ",\"force_size_calc\":\"current_size\""},
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

static bool known_layer(char c, bool last)
{
	return c == IMAGEHELPER_LUKS || c == IMAGEHELPER_PLAIN || (c == IMAGEHELPER_RAW && last);
}

/* Opens the objects: each layer but the last holds the next one. */
static void add_layer(struct buf *b, char kind, int fd, size_t cache)
{
	buf_addf(b, "{\"driver\":\"%s\",", kind == IMAGEHELPER_RAW ? "raw" : "qcow2");
	if (kind == IMAGEHELPER_LUKS)
		buf_addf(b, "\"encrypt\":{\"format\":\"luks\",\"key-secret\":\"" FOREIGN_SECRET "\"},");
	if (kind != IMAGEHELPER_RAW)
		buf_addf(b, "\"l2-cache-size\":%zu,", cache);
	buf_addf(b, "\"file\":" FILE_NODE "}", fd);
}

int foreign_chain_spec(const char *layers, int first_fd, char ret[FOREIGN_SPEC_MAX], struct err *e)
{
	size_t n = strlen(layers);
	if (n == 0 || n > IMAGEHELPER_LAYERS_MAX)
		return err_set(e, ERR_LIMIT, "foreign", "a chain has 1 to %d layers", IMAGEHELPER_LAYERS_MAX);
	size_t cache = min_size(L2_CACHE_MAX, L2_CACHES_MAX / n);
	CLEANUP(buf_free) struct buf b = BUF_INIT(FOREIGN_SPEC_MAX - 1);
	buf_adds(&b, "json:");
	for (size_t i = 0; i < n; i++) {
		bool last = i + 1 == n;
		if (!known_layer(layers[i], last))
			return err_set(e, ERR_INVALID, "foreign", "there is no layer of that kind");
		add_layer(&b, layers[i], first_fd + (int)i, cache);
		/* "backing": null keeps QEMU from following what the image names. */
		buf_adds(&b, !last ? ",\"backing\":" : layers[i] == IMAGEHELPER_RAW ? "}" : ",\"backing\":null}");
	}
	for (size_t i = 1; i < n; i++)
		buf_addc(&b, '}');
	int r = buf_ok(&b, "foreign", e);
	if (r == 0)
		memcpy(ret, buf_str(&b), b.len + 1);
	return r;
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
