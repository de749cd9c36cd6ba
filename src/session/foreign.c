/* Images in a format of somebody else: qemu-nbd reads them, the worker talks to it. */
#include "session/internal.h"

#include "wire/imagehelper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIPTOR_MAX = 64 << 10 };

const char *session_foreign_format(const char *path)
{
	static const char *const formats[][2] = {
		{".vmdk", "vmdk"}, {".vhd", "vhd"}, {".vpc", "vhd"}, {".vhdx", "vhdx"}, {".vdi", "vdi"}, {".qed", "qed"},
	};
	size_t n = strlen(path);
	for (unsigned i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		size_t m = strlen(formats[i][0]);
		if (n > m && strcasecmp(path + n - m, formats[i][0]) == 0)
			return formats[i][1];
	}
	return "";
}

bool session_takes_foreign(const struct session *s)
{
	return s->foreign;
}

int session_extent(struct session *s, unsigned disk, uint32_t index, struct wire_extent *ret, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_EXTENT, 0);
	wire_put_u16(&b, (uint16_t)disk);
	wire_put_u32(&b, index);
	struct pending p;
	int r = session_call(s, &b, NULL, 0, WIRE_EXTENT_INFO, s->call_timeout_ms, &p, e);
	if (r < 0)
		return r;
	struct rdr rd = rdr_init(p.answer.data, p.answer.len);
	struct wire_extent x;
	wire_extent_get(&rd, &x);
	buf_free(&p.answer);
	if (rd.bad)
		return session_broken(s, e, "its description of a part of the disk");
	*ret = x;
	return 0;
}

/* A descriptor of our own: what the image's said, checked, with the descriptors' numbers for names. */
static int write_descriptor(const struct session_extent_file *files, unsigned count, struct err *e)
{
	static const char *const kinds[] = {
		[WIRE_EXTENT_FLAT] = "FLAT", [WIRE_EXTENT_SPARSE] = "SPARSE", [WIRE_EXTENT_VMFSSPARSE] = "VMFSSPARSE",
		[WIRE_EXTENT_SESPARSE] = "SESPARSE",
	};
	CLEANUP(buf_free) struct buf b = BUF_INIT(DESCRIPTOR_MAX);
	/* No empty line: QEMU takes one for the line behind it, and that part of the disk twice. */
	buf_addf(&b, "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
	             "createType=\"twoGbMaxExtentSparse\"\n");
	for (unsigned i = 0; i < count; i++) {
		const struct wire_extent *x = &files[i].extent;
		buf_addf(&b, "RW %" PRIu64 " %s \"/proc/self/fd/%u\"", x->sectors, kinds[x->kind], IMAGEHELPER_FILE_FD + 1 + i);
		if (x->kind == WIRE_EXTENT_FLAT)
			buf_addf(&b, " %" PRIu64, x->first);
		buf_addf(&b, "\n");
	}
	int r = buf_ok(&b, "session", e);
	if (r < 0)
		return r;
	CLEANUP(fd_close) int fd = memfd_create("sendense-descriptor", MFD_CLOEXEC);
	if (fd < 0 || pwrite(fd, b.data, b.len, 0) != (ssize_t)b.len)
		return err_set_errno(e, ERR_NO_MEMORY, errno, "session", "cannot write the descriptor of the disk");
	return fd_steal(&fd);
}

/* Behind the end of a file QEMU reads zeroes and says nothing. */
static int check_length(const struct session_extent_file *f, struct err *e)
{
	enum { SECTOR = 512 };
	const struct wire_extent *x = &f->extent;
	off_t end = x->kind == WIRE_EXTENT_FLAT ? lseek(f->fd, 0, SEEK_END) : 0;
	if (end < 0)
		return err_set_errno(e, ERR_IO, errno, "session", "cannot find the size of \"%s\"", x->name);
	uint64_t have = (uint64_t)end / SECTOR;
	if (x->kind == WIRE_EXTENT_FLAT && (x->first > have || x->sectors > have - x->first))
		return err_set(e, ERR_IMAGE_UNREADABLE, "session", "the image is truncated: \"%s\" has %" PRIu64 " sectors, fewer than the disk's "
		               "descriptor says", x->name, have);
	return 0;
}

static int check_files(int fd, const struct session_extent_file *files, unsigned count, struct err *e)
{
	bool ok = count > 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
	for (unsigned i = 0; i < count; i++)
		ok = ok && files[i].fd >= 0 && (fcntl(files[i].fd, F_GETFL) & O_ACCMODE) == O_RDONLY &&
		     (unsigned)files[i].extent.kind < WIRE_EXTENT_KINDS;
	int r = ok ? 0 : err_set(e, ERR_INVALID, "session", "only files opened for reading are read");
	for (unsigned i = 0; i < count && r == 0; i++)
		r = check_length(&files[i], e);
	return r;
}

static int start(struct session *s, const char *format, int fd, const struct session_extent_file *files, unsigned count,
                 struct image_helper **ret, int *ret_sock, struct err *e)
{
	int fds[IMAGEHELPER_FILES_MAX] = {fd};
	if (count == 0)
		return image_helper_start(s, format, NULL, fds, 1, ret, ret_sock, e);
	if (count > WIRE_EXTENTS_MAX)
		return err_set(e, ERR_LIMIT, "session", "a disk consists of at most %d files", WIRE_EXTENTS_MAX);
	CLEANUP(fd_close) int descriptor = write_descriptor(files, count, e);
	if (descriptor < 0)
		return e->code;
	fds[0] = descriptor;
	for (unsigned i = 0; i < count; i++)
		fds[i + 1] = files[i].fd;
	return image_helper_start(s, format, NULL, fds, count + 1, ret, ret_sock, e);
}

static int give_source(struct session *s, unsigned disk, int sock, struct wire_layer *ret, struct err *e)
{
	CLEANUP(buf_free) struct buf b = WIRE_BUF_INIT;
	wire_begin(&b, WIRE_SOURCE, 0);
	wire_put_u16(&b, (uint16_t)disk);
	struct pending p;
	int r = session_call(s, &b, &sock, 1, WIRE_LAYER_INFO, s->open_timeout_ms, &p, e);
	return r < 0 ? r : session_take_layer(s, &p, ret, e);
}

int session_adopt_helper(struct session *s, struct image_helper *h, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	h->next = s->helpers;
	s->helpers = h;
	if (s->dead)
		session_kill_helpers_locked(s);
	pthread_mutex_unlock(&s->lock);
	uint64_t watch = pump_watch(WATCH_HELPER, h->pidfd, s, NULL, e);
	return watch ? 0 : e->code;
}

int session_attach(struct session *s, unsigned disk, const char *format, int fd, const struct session_extent_file *files,
                   unsigned file_count, struct wire_layer *ret, struct err *e)
{
	if (!s->foreign)
		return err_set(e, ERR_INVALID, "session", "this session was not started for foreign images");
	int r = check_files(fd, files, file_count, e);
	if (r < 0)
		return r;
	struct image_helper *h = NULL;
	CLEANUP(fd_close) int sock = -1;
	r = start(s, format, fd, files, file_count, &h, &sock, e);
	if (r < 0)
		return r;
	r = give_source(s, disk, sock, ret, e);
	if (r < 0) {
		image_helper_explain(h, e);
		image_helper_free(h);
		return e->code;
	}
	return session_adopt_helper(s, h, e);
}

void session_helper_ended(struct session *s, int pidfd)
{
	pthread_mutex_lock(&s->lock);
	struct image_helper *h = s->helpers;
	while (h && h->pidfd != pidfd)
		h = h->next;
	if (h && !h->reaped) {
		(void)waitpid(h->pid, NULL, 0);
		h->reaped = true;
	}
	pthread_mutex_unlock(&s->lock);
	if (h)
		session_fail(s, ERR_WORKER_DIED, "qemu-nbd, which read this %s image, ended; try again", h->format);
}

void session_kill_helpers_locked(struct session *s)
{
	for (struct image_helper *h = s->helpers; h; h = h->next)
		(void)shutdown(h->control, SHUT_RDWR);
}
