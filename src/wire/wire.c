#include "wire/wire.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct wire_rule {
	const char *name;
	enum wire_direction direction;
	unsigned phases;
	size_t payload_max;
	unsigned fds_least, fds_most;
};

static const struct wire_rule rules[] = {
#define X(name, number, direction, phases, max, least, most) [number] = {#name, direction, phases, max, least, most},
	WIRE_MESSAGES(X)
#undef X
};

enum { RULES = sizeof(rules) / sizeof(rules[0]) };

static bool fds_fit(const struct wire_rule *rule, unsigned count)
{
	return count >= rule->fds_least && count <= rule->fds_most;
}

static const struct wire_rule *rule_of(unsigned type)
{
	return type < RULES && rules[type].name ? &rules[type] : NULL;
}

const char *wire_type_name(unsigned type)
{
	const struct wire_rule *rule = rule_of(type);
	return rule ? rule->name : "unknown";
}

void wire_frame_close_fds(struct wire_frame *f)
{
	for (unsigned i = 0; i < f->fd_count; i++)
		if (f->fds[i] >= 0)
			(void)close(f->fds[i]);
	f->fd_count = 0;
}

void wire_begin(struct buf *b, enum wire_type type, uint32_t request)
{
	buf_reset(b);
	wire_put_u16(b, (uint16_t)type);
	wire_put_u16(b, 0);
	wire_put_u32(b, request);
}

static int send_failed(int errnum, struct err *e)
{
	if (errnum == EPIPE || errnum == ECONNRESET)
		return err_set(e, ERR_WORKER_DIED, "wire", "the other end has gone away");
	if (errnum == EAGAIN || errnum == EWOULDBLOCK)
		return err_set(e, ERR_TIMEOUT, "wire", "the other end does not take its control frames");
	return err_set_errno(e, ERR_INTERNAL, errnum, "wire", "cannot send a control frame");
}

int wire_send(int sock, const struct buf *b, const int *fds, unsigned fd_count, struct err *e)
{
	int r = buf_ok(b, "wire", e);
	if (r < 0)
		return r;
	const struct wire_rule *rule = rule_of(get_le16(b->data));
	if (!rule || b->len - WIRE_HEADER > rule->payload_max || !fds_fit(rule, fd_count))
		return err_set(e, ERR_INTERNAL, "wire", "a frame of type %u with %zu bytes breaks the protocol",
		               get_le16(b->data), b->len);

	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} control = {0};
	struct iovec iov = {.iov_base = b->data, .iov_len = b->len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd_count > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
	}
	ssize_t n;
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? send_failed(errno, e) : 0;
}

static void take_fds(struct msghdr *msg, struct wire_frame *f)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (f->fd_count < WIRE_FDS_MAX)
				f->fds[f->fd_count++] = fd;
			else
				(void)close(fd);
		}
	}
}

static int check_frame(struct wire_frame *f, size_t len, int flags, enum wire_direction direction, unsigned phase,
                       struct err *e)
{
	if (len < WIRE_HEADER || (flags & (MSG_TRUNC | MSG_CTRUNC)))
		return err_set(e, ERR_WORKER_PROTOCOL, "wire", "a control frame of %zu bytes is too short or too long",
		               len);
	unsigned type = get_le16(f->payload.p);
	const struct wire_rule *rule = rule_of(type);
	if (!rule || rule->direction != direction || get_le16(f->payload.p + 2) != 0)
		return err_set(e, ERR_WORKER_PROTOCOL, "wire", "a control frame of unknown type %u", type);
	if (!(rule->phases & phase))
		return err_set(e, ERR_WORKER_PROTOCOL, "wire", "%s came at a time when it is not allowed", rule->name);
	if (len - WIRE_HEADER > rule->payload_max || !fds_fit(rule, f->fd_count))
		return err_set(e, ERR_WORKER_PROTOCOL, "wire", "%s came with %zu bytes and %u descriptors", rule->name,
		               len - WIRE_HEADER, f->fd_count);
	f->type = (enum wire_type)type;
	f->request = get_le32(f->payload.p + 4);
	f->payload = rdr_init(f->payload.p + WIRE_HEADER, len - WIRE_HEADER);
	return 0;
}

int wire_recv(int sock, enum wire_direction direction, unsigned phase, bool wait, void *buf, struct wire_frame *ret,
              struct err *e)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} control;
	struct iovec iov = {.iov_base = buf, .iov_len = WIRE_FRAME_MAX};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
	                     .msg_controllen = sizeof(control.bytes)};
	ssize_t n;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return WIRE_NOTHING;
	if (n < 0 && errno == ECONNRESET)
		return WIRE_CLOSED;
	if (n < 0)
		return err_set_errno(e, ERR_WORKER_PROTOCOL, errno, "wire", "cannot receive a control frame");

	struct wire_frame f = {.payload = rdr_init(buf, (size_t)n)};
	take_fds(&msg, &f);
	if (n == 0) {
		/* The end, or an empty packet, which may carry descriptors all the same. */
		wire_frame_close_fds(&f);
		return WIRE_CLOSED;
	}
	int r = check_frame(&f, (size_t)n, msg.msg_flags, direction, phase, e);
	if (r < 0) {
		wire_frame_close_fds(&f);
		return r;
	}
	*ret = f;
	return WIRE_FRAME;
}

void wire_put_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

void wire_put_u16(struct buf *b, uint16_t v)
{
	uint8_t raw[2];
	put_le16(raw, v);
	buf_add(b, raw, sizeof(raw));
}

void wire_put_u32(struct buf *b, uint32_t v)
{
	uint8_t raw[4];
	put_le32(raw, v);
	buf_add(b, raw, sizeof(raw));
}

void wire_put_u64(struct buf *b, uint64_t v)
{
	uint8_t raw[8];
	put_le64(raw, v);
	buf_add(b, raw, sizeof(raw));
}

void wire_put_str(struct buf *b, const void *s, size_t len)
{
	wire_put_u32(b, (uint32_t)len);
	buf_add(b, s, len);
}

void wire_put_cstr(struct buf *b, const char *s)
{
	wire_put_str(b, s, strlen(s));
}

const char *wire_get_str(struct rdr *r, size_t max, size_t *ret_len)
{
	size_t len = rdr_le32(r);
	if (len > max)
		r->bad = true;
	const uint8_t *p = rdr_take(r, len);
	*ret_len = p ? len : 0;
	return (const char *)p;
}

void wire_get_cstr(struct rdr *r, char *to, size_t size)
{
	size_t len;
	const char *s = wire_get_str(r, size - 1, &len);
	if (s && memchr(s, '\0', len)) {
		r->bad = true;
		s = NULL;
	}
	if (s)
		memcpy(to, s, len);
	to[s ? len : 0] = '\0';
}

void wire_put_error(struct buf *b, const struct err *from)
{
	wire_put_u32(b, (uint32_t)from->code);
	wire_put_cstr(b, from->msg);
}

bool wire_error_allowed(int code)
{
	switch (code) {
#define X(code) case code:
	WIRE_ERRORS(X)
#undef X
		return true;
	default:
		return false;
	}
}

void wire_make_text(char *s)
{
	size_t len = strlen(s);
	for (size_t i = 0; i < len;) {
		unsigned n = utf8_sequence((const uint8_t *)s + i, len - i);
		bool control = (n == 1 && ((unsigned char)s[i] < ' ' || s[i] == 0x7f)) ||
		               (n == 2 && (unsigned char)s[i] == 0xc2 && (unsigned char)s[i + 1] < 0xa0);
		size_t step = n > 0 ? n : 1;
		if (n == 0 || control)
			memset(s + i, '?', step);
		i += step;
	}
}

int wire_get_error(struct rdr *r, struct err *e)
{
	int code = (int)rdr_le32(r);
	char msg[ERR_MSG_MAX];
	wire_get_cstr(r, msg, sizeof(msg));
	wire_make_text(msg);
	if (r->bad || !wire_error_allowed(code))
		return err_set(e, ERR_WORKER_PROTOCOL, "wire", "the worker sent an error that cannot be read");
	return err_set(e, code, "worker", "%s", msg);
}
