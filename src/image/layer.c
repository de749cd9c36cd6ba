#include "layer.h"

#include "base/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char module[] = "image";

const char *image_format_name(enum image_format f)
{
	switch (f) {
	case IMAGE_AUTO:
		return "auto";
	case IMAGE_RAW:
		return "raw";
	case IMAGE_QCOW2:
		return "qcow2";
	}
	return "unknown";
}

int layer_pread(int fd, uint64_t off, void *to, size_t len, struct err *e)
{
	uint8_t *p = to;
	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(e, ERR_IO, errno, module,
			                     "cannot read %zu bytes at %" PRIu64 " of the image file", len, off);
		if (n == 0)
			return err_set(e, ERR_IO, module,
			               "the image file ends at %" PRIu64 ", it was longer when it was opened", off);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_stat(int fd, struct stat *ret, uint64_t *ret_size, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_set_errno(e, ERR_IO, errno, module, "cannot examine the image file");
	uint64_t size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode)) {
		off_t end = lseek(fd, 0, SEEK_END);
		if (end < 0)
			return err_set_errno(e, ERR_IO, errno, module, "cannot find the size of the image device");
		size = (uint64_t)end;
	} else if (!S_ISREG(st.st_mode)) {
		return err_set(e, ERR_IMAGE_UNREADABLE, module, "the image is not a regular file");
	}
	*ret = st;
	*ret_size = size;
	return 0;
}

int layer_file_size(int fd, uint64_t *ret, struct err *e)
{
	struct stat st;
	return file_stat(fd, &st, ret, e);
}

/* Formats this reader knows only by sight. Bytes at an offset from the start, or back from the end where
 * the offset is negative. */
static const struct foreign {
	const char *name;
	int off;
	const char *magic;
	unsigned len;
} foreign[] = {
	{"QCOW version 1", 0, "QFI\xfb\0\0\0\1", 8},
	{"VMDK", 0, "KDMV", 4},
	{"VMDK", 0, "COWD", 4},
	{"VMDK (descriptor)", 0, "# Disk DescriptorFile", 21},
	{"VHDX", 0, "vhdxfile", 8},
	{"VHD", 0, "conectix", 8},
	{"VHD", -512, "conectix", 8},
	{"VDI", 64, "\x7f\x10\xda\xbe", 4},
	{"QED", 0, "QED\0", 4},
	{"Parallels", 0, "WithoutFreeSpace", 16},
	{"Parallels", 0, "WithouFreSpacExt", 16},
};

/* IMAGE_AUTO becomes one of the two formats we read. */
static int detect(const struct image_layer *l, enum image_format *ret, struct err *e)
{
	uint8_t head[512] = {0}, tail[512] = {0};
	uint64_t size = l->info.file_size;
	int r = layer_pread(l->fd, 0, head, min_size(sizeof(head), size), e);
	if (r == 0 && size >= 2 * sizeof(tail))
		r = layer_pread(l->fd, size - sizeof(tail), tail, sizeof(tail), e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		const struct foreign *f = &foreign[i];
		const uint8_t *at = f->off < 0 ? tail + sizeof(tail) + f->off : head + f->off;
		if (memcmp(at, f->magic, f->len) == 0)
			return err_set(e, ERR_IMAGE_UNSUPPORTED, module,
			               "the file is a %s image; QCOW2 and raw images can be read", f->name);
	}
	*ret = memcmp(head, "QFI\xfb", 4) == 0 ? IMAGE_QCOW2 : IMAGE_RAW;
	return 0;
}

static int open_inner(struct image_layer *l, enum image_format format, struct err *e)
{
	struct stat st;
	int r = file_stat(l->fd, &st, &l->info.file_size, e);
	if (r < 0)
		return r;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->data_size = l->info.file_size;
	if (format == IMAGE_AUTO)
		r = detect(l, &format, e);
	if (r < 0)
		return r;
	l->info.format = format;
	if (format == IMAGE_QCOW2)
		return qcow2_header_read(l, e);
	if (l->info.file_size == 0)
		return err_set(e, ERR_IMAGE_UNREADABLE, module, "the image file is empty");
	l->info.virtual_size = l->info.file_size;
	return 0;
}

int image_layer_open(int fd, enum image_format format, struct image_layer **ret, struct err *e)
{
	struct image_layer *l = calloc(1, sizeof(*l));
	if (!l)
		return err_no_memory(e, module);
	l->fd = l->data_fd = fd;
	int r = open_inner(l, format, e);
	if (r < 0) {
		image_layer_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

const struct image_layer_info *image_layer_info(const struct image_layer *l)
{
	return &l->info;
}

int image_layer_set_data_file(struct image_layer *l, int fd, struct err *e)
{
	if (!l->info.has_data_file)
		return err_set(e, ERR_INVALID, module, "this layer has no external data file");
	struct stat st;
	uint64_t size;
	int r = file_stat(fd, &st, &size, e);
	if (r < 0)
		return r;
	if (st.st_dev == l->dev && st.st_ino == l->ino)
		return err_set(e, ERR_IMAGE_CORRUPT, module, "the layer is named as its own data file");
	l->data_fd = fd;
	l->data_size = size;
	return 0;
}

void image_layer_close(struct image_layer *l)
{
	if (!l)
		return;
	free(l->l1);
	free(l);
}
