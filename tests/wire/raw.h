/* raw: packets as a hostile side sends them, for tests and fuzz targets. */
#ifndef TESTS_WIRE_RAW_H
#define TESTS_WIRE_RAW_H

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { RAW_FDS_MAX = 64 };

/* These bytes without any of wire_send()'s checks, and `count` (<= RAW_FDS_MAX) times the descriptor fd. False: not sent whole. */
static inline bool raw_send(int sock, const void *bytes, size_t len, int fd, unsigned count)
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
		for (unsigned i = 0; i < count; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)len;
}

#endif
