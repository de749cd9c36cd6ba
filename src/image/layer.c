#include "layer.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char module[] = "image";

static const char *const format_names[] = {
	[IMAGE_AUTO] = "auto", [IMAGE_RAW] = "raw", [IMAGE_QCOW2] = "qcow2", [IMAGE_VMDK] = "vmdk", [IMAGE_VHD] = "vhd",
	[IMAGE_VHDX] = "vhdx", [IMAGE_VDI] = "vdi", [IMAGE_QED] = "qed",     [IMAGE_QCOW1] = "qcow",
};

enum { FORMATS = sizeof(format_names) / sizeof(format_names[0]) };

const char *image_format_name(enum image_format f)
{
	return (unsigned)f < FORMATS ? format_names[f] : "unknown";
}

bool image_format_parse(const char *name, enum image_format *ret)
{
	for (unsigned i = IMAGE_RAW; i < FORMATS; i++) {
		if (strcmp(name, format_names[i]) != 0)
			continue;
		*ret = (enum image_format)i;
		return true;
	}
	return false;
}

bool image_format_is_foreign(enum image_format f)
{
	return f >= IMAGE_VMDK;
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

bool image_file_cached(int fd, uint64_t off, void *to, size_t len)
{
	const struct iovec whole = {.iov_base = to, .iov_len = len};
	return preadv2(fd, &whole, 1, (off_t)off, RWF_NOWAIT) == (ssize_t)len;
}

void image_file_announce(int fd, uint64_t off, uint64_t len)
{
	for (uint64_t done = 0; done < len; done += ANNOUNCED_MAX)
		(void)posix_fadvise(fd, (off_t)(off + done), (off_t)min_u64(len - done, ANNOUNCED_MAX), POSIX_FADV_WILLNEED);
}

void image_announce(const int *fds, unsigned count)
{
	uint8_t byte;
	if (count < 2 || image_file_cached(fds[0], 0, &byte, 1))
		return;
	for (unsigned i = 0; i < count; i++)
		image_file_announce(fds[i], 0, HEADER_FIRST_READ);
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
		r = foreign_detect(l, &format, e);
	if (r < 0)
		return r;
	l->info.format = format;
	if (format == IMAGE_QCOW2)
		return qcow2_header_read(l, e);
	if (image_format_is_foreign(format))
		return foreign_header_read(l, e);
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
	l->info.backing_name = l->info.data_file_name = "";
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

const struct image_extent *image_layer_extent(const struct image_layer *l, unsigned index)
{
	return index < l->info.extent_count ? &l->extents[index] : NULL;
}

int image_layer_set_source(struct image_layer *l, struct blk *source, struct err *e)
{
	if (!image_format_is_foreign(l->info.format) || l->source)
		return err_set(e, ERR_INVALID, module, "this layer needs no source");
	if (source->size == 0)
		return err_set(e, ERR_IMAGE_UNREADABLE, module, "the disk in the image is empty");
	l->source = blk_ref(source);
	l->info.virtual_size = source->size;
	return 0;
}

void image_name_drop(const char **name)
{
	if (**name)
		free((char *)(uintptr_t)*name);
	*name = "";
}

void image_layer_close(struct image_layer *l)
{
	if (!l)
		return;
	blk_unref(l->source);
	image_name_drop(&l->info.backing_name);
	image_name_drop(&l->info.data_file_name);
	free(l->extents);
	free(l->l1);
	free(l);
}
