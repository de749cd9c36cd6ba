/* raw: packets as a hostile side sends them, for tests and fuzz targets. */
#ifndef TESTS_WIRE_RAW_H
#define TESTS_WIRE_RAW_H

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { RAW_FDS_MAX = 64 };

/* These bytes without any of wire_send()'s checks, and `count` (<= RAW_FDS_MAX) descriptors. flags: sendmsg()'s. False: not sent whole. */
static inline bool raw_send_fds(int sock, const void *bytes, size_t len, const int *fds, unsigned count, int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * RAW_FDS_MAX)];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	if (count > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | flags) == (ssize_t)len;
}

/* The same with `count` times one descriptor. */
static inline bool raw_send(int sock, const void *bytes, size_t len, int fd, unsigned count)
{
	int fds[RAW_FDS_MAX];
	for (unsigned i = 0; i < count; i++)
		fds[i] = fd;
	return raw_send_fds(sock, bytes, len, fds, count, 0);
}

#endif
