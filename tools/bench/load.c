/* For measurements only: HTTP/1.1 clients in one process, so that the measuring costs little.
 *
 *	bench-load HOST PORT TOKEN list CONNECTIONS REQUESTS PATH…      keep-alive, REQUESTS in all, each timed
 *	bench-load HOST PORT TOKEN download CONNECTIONS SECONDS PATH…   each connection downloads again and again; the
 *	                                                                downloads under way at the end are let finish
 *
 * Connection i asks for PATH i mod n. Prints one JSON object: errors, requests, bytes, seconds, and for each request's
 * time the median, p99 and longest in milliseconds. An answer counts as good if its status is 200 and all its announced
 * bytes came, a chunked one if it ended with the last chunk. SIGTERM ends a download run as SECONDS does. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 20000, HEAD_MAX = 8192, BUFFER = 256 << 10, EVENTS = 256, PATIENCE_MS = 120000 };

struct connection {
	int fd;
	const char *path;
	double sent;                     /* when the request went out */
	char head[HEAD_MAX + 1];
	size_t head_len;
	bool in_body, chunked;
	uint64_t left;                   /* of the body */
	char tail[5];                    /* the last bytes of a chunked body */
};

static struct sockaddr_in server = {.sin_family = AF_INET};
static const char *token;
static volatile sig_atomic_t stopped;
static double *times;
static uint64_t started, finished, errors, total_bytes, times_max;
static char buffer[BUFFER];

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_term(int number)
{
	(void)number;
	stopped = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void hang_up(struct connection *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

static int dial(struct connection *c, int poll)
{
	int one = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&server, sizeof(server)) < 0) {
		hang_up(c);
		return -1;
	}
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		die("epoll_ctl");
	return 0;
}

static int ask(struct connection *c, int poll)
{
	char request[4096];
	if (c->fd < 0 && dial(c, poll) < 0)
		return -1;
	int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", c->path,
	                 token);
	c->head_len = 0;
	c->in_body = false;
	c->sent = now();
	started++;
	return n > 0 && (size_t)n < sizeof(request) && send(c->fd, request, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -1;
}

/* 1: the head is whole. */
static int take_head(struct connection *c)
{
	ssize_t n = recv(c->fd, c->head + c->head_len, HEAD_MAX - c->head_len, 0);
	if (n <= 0)
		return -1;
	c->head_len += (size_t)n;
	c->head[c->head_len] = '\0';
	const char *end = strstr(c->head, "\r\n\r\n");
	if (!end)
		return c->head_len < HEAD_MAX ? 0 : -1;
	size_t extra = c->head_len - (size_t)(end + 4 - c->head);
	const char *length = strcasestr(c->head, "\r\nContent-Length:");
	if (strncmp(c->head, "HTTP/1.1 200", 12) != 0)
		return -1;
	c->chunked = !length || length > end;
	c->left = c->chunked ? 0 : strtoull(length + strlen("\r\nContent-Length:"), NULL, 10);
	c->in_body = true;
	total_bytes += extra;
	if (!c->chunked) {
		c->left -= extra;
		return 1;
	}
	memset(c->tail, 0, sizeof(c->tail));
	size_t keep = extra < sizeof(c->tail) ? extra : sizeof(c->tail);
	memcpy(c->tail + sizeof(c->tail) - keep, c->head + c->head_len - keep, keep);
	return 1;
}

static bool is_complete(const struct connection *c)
{
	return c->chunked ? memcmp(c->tail, "0\r\n\r\n", sizeof(c->tail)) == 0 : c->left == 0;
}

static void remember_tail(struct connection *c, size_t n)
{
	size_t size = sizeof(c->tail);
	if (n < size)
		memmove(c->tail, c->tail + n, size - n);
	size_t keep = n < size ? n : size;
	memcpy(c->tail + size - keep, buffer + n - keep, keep);
}

/* 1: the answer is complete. */
static int take(struct connection *c)
{
	if (!c->in_body) {
		int r = take_head(c);
		if (r <= 0)
			return r;
	} else {
		ssize_t n = recv(c->fd, buffer, c->chunked || c->left > BUFFER ? BUFFER : (size_t)c->left, 0);
		if (n <= 0)
			return -1;
		total_bytes += (uint64_t)n;
		if (c->chunked)
			remember_tail(c, (size_t)n);
		else
			c->left -= (uint64_t)n;
	}
	return is_complete(c);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void report(double seconds)
{
	uint64_t n = finished < times_max ? finished : times_max;
	qsort(times, n, sizeof(*times), compare);
	printf("{\"errors\": %llu, \"requests\": %llu, \"bytes\": %llu, \"seconds\": %.3f", (unsigned long long)errors,
	       (unsigned long long)finished, (unsigned long long)total_bytes, seconds);
	if (n > 0)
		printf(", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f", 1e3 * times[n / 2], 1e3 * times[(n * 99) / 100],
		       1e3 * times[n - 1]);
	printf("}\n");
}

int main(int argc, char **argv)
{
	if (argc < 8)
		return 2;
	bool listing = strcmp(argv[4], "list") == 0;
	unsigned count = (unsigned)strtoul(argv[5], NULL, 10), paths = (unsigned)(argc - 7);
	uint64_t wanted = listing ? strtoull(argv[6], NULL, 10) : UINT64_MAX;
	token = argv[3];
	server.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	times_max = listing ? wanted : 1 << 20;
	times = calloc(times_max, sizeof(*times));
	struct connection *all = calloc(count, sizeof(*all));
	int poll = epoll_create1(EPOLL_CLOEXEC);
	if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1 || !all || !times || poll < 0 || count == 0 || count > CONNECTIONS_MAX)
		return 2;
	(void)signal(SIGTERM, on_term);
	double start = now(), stop = listing ? 1e18 : start + strtod(argv[6], NULL);
	unsigned busy = 0;
	for (unsigned i = 0; i < count && started < wanted; i++) {
		all[i].fd = -1;
		all[i].path = argv[7 + i % paths];
		if (ask(&all[i], poll) == 0)
			busy++;
		else
			errors++;
	}
	while (busy > 0) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(poll, events, EVENTS, PATIENCE_MS);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errors += busy;
			break;
		}
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			int r = take(c);
			if (r == 0)
				continue;
			double t = now();
			if (r > 0 && finished < times_max)
				times[finished] = t - c->sent;
			finished += r > 0;
			errors += r < 0;
			if (r < 0)
				hang_up(c);
			if (started >= wanted || stopped || t >= stop) {
				busy--;
				hang_up(c);
			} else if (ask(c, poll) < 0) {
				busy--;
				errors++;
			}
		}
	}
	report(now() - start);
	return 0;
}
