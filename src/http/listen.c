#include "http/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_MAX = 1 << 20 };

/* "1.2.3.4:80", "[::1]:80", "localhost:80" */
static int parse_address(const char *text, struct addrinfo **ret, struct err *e)
{
	char host[256];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	const char *from = text;
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		from++;
		len -= 2;
	} else if (colon && memchr(text, ':', len)) {
		colon = NULL;          /* an IPv6 address without brackets: where would the port begin? */
	}
	size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
	if (digits == 0 || digits > 5 || colon[1 + digits] || atoi(colon + 1) > 65535 || len == 0 ||
	    len >= sizeof(host))
		return err_set(e, ERR_CONFIG, "http",
		               "\"%s\" is no address to listen on: write ADDRESS:PORT, such as 127.0.0.1:8082", text);
	memcpy(host, from, len);
	host[len] = '\0';
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	int r = getaddrinfo(host, colon + 1, &hints, ret);
	if (r != 0)
		return err_set(e, ERR_CONFIG, "http", "cannot listen on \"%s\": %s", text, gai_strerror(r));
	return 0;
}

static bool is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
	}
	return false;
}

bool http_address_is_loopback(const char *listen)
{
	struct err e = ERR_INIT;
	struct addrinfo *list;
	if (parse_address(listen, &list, &e) < 0)
		return false;
	bool all = true;
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next)
		all &= is_loopback(ai->ai_addr);
	freeaddrinfo(list);
	return all;
}

static int bound_port(int fd, unsigned *ret, struct err *e)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage any;
	} a = {0};
	socklen_t len = sizeof(a);
	if (getsockname(fd, &a.sa, &len) < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "http", "the listening socket has no address");
	*ret = 0;
	if (a.sa.sa_family == AF_INET)
		*ret = ntohs(a.in.sin_port);
	else if (a.sa.sa_family == AF_INET6)
		*ret = ntohs(a.in6.sin6_port);
	return 0;
}

int http_socket_address(int fd, char ret[HTTP_ADDRESS_MAX], struct err *e)
{
	struct sockaddr_storage any = {0};
	socklen_t len = sizeof(any);
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 2], port[8];
	if (getsockname(fd, (struct sockaddr *)&any, &len) < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "http", "the socket handed over cannot be used");
	ret[0] = '\0';
	if (any.ss_family != AF_INET && any.ss_family != AF_INET6)
		return 0;
	int r = getnameinfo((struct sockaddr *)&any, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	if (r != 0)
		return err_set(e, ERR_CONFIG, "http", "the socket handed over cannot be used: %s", gai_strerror(r));
	(void)snprintf(ret, HTTP_ADDRESS_MAX, any.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

static int listen_on(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	int on = 1, off = 0;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* "[::]" takes IPv4 too, whatever the system's default. */
	if (ai->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
		int saved = errno;
		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int listen_open(const char *address, int *ret_fd, unsigned *ret_port, struct err *e)
{
	struct addrinfo *list;
	int r = parse_address(address, &list, e);
	if (r < 0)
		return r;
	int fd = -1, saved = 0;
	for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
		fd = listen_on(ai);
		saved = errno;
	}
	freeaddrinfo(list);
	if (fd < 0)
		return err_set_errno(e, ERR_CONFIG, saved, "http", "cannot listen on \"%s\"", address);
	r = bound_port(fd, ret_port, e);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int listen_adopt(int fd, unsigned *ret_port, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set_errno(e, ERR_CONFIG, errno, "http", "the socket handed over cannot be used");
	return bound_port(fd, ret_port, e);
}

char *read_pem(const char *path, const char *what, struct err *e)
{
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)err_set_errno(e, ERR_CONFIG, errno, "http", "cannot read the TLS %s", what);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX) {
		(void)err_set(e, ERR_CONFIG, "http", "the TLS %s is not a PEM file", what);
		return NULL;
	}
	CLEANUP(free_ptr) char *text = calloc(1, (size_t)st.st_size + 1);
	if (!text) {
		(void)err_no_memory(e, "http");
		return NULL;
	}
	size_t have = 0;
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, text + have, (size_t)st.st_size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)err_set_errno(e, ERR_CONFIG, errno, "http", "cannot read the TLS %s", what);
			return NULL;
		}
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return STEAL(text);
}
