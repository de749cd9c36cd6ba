/* Crowds that mean harm: none of them may grow the server beyond a bound, and somebody else is always served meanwhile. */
#include "fixture.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { KIB_PER_READER = 512, KIB_PER_CONNECTION = 256, KIB_SLACK = 32 << 10, PATIENCE_MS = 200 };

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long total = 0, resident = 0;
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static unsigned descriptors(void)
{
	unsigned n = 0;
	for (int fd = 0; fd < 20000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The process holds the clients too; a sanitizer's memory says nothing. */
static void grew_less_than(long before, long kib)
{
	long now = resident_kib();
	if (!SANITIZED && now - before > kib)
		fail_msg("%ld KiB more than before; %ld are allowed", now - before, kib);
}

static void somebody_else_is_served(void)
{
	char *response = client_ask("GET /show?q=else HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	assert_int_equal(status_of(response), 200);
	assert_non_null(strstr(response, "\"q\":\"else\""));
	free(response);
	response = client_ask("GET /stream?size=300000&length=300000&mode=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	assert_int_equal(strlen(body_of(response)), 300000);
	free(response);
}

static void all_are_gone(void)
{
	wait_until(http_server_stats(server).connections == 0);
	wait_until(streams_open == 0);
}

static void allow_files(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Sends as long as it is taken, at most len bytes; how much that was. */
static size_t push(int fd, const char *data, size_t len)
{
	size_t sent = 0;
	while (sent < len) {
		ssize_t n = send(fd, data + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			sent += (size_t)n;
			continue;
		}
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		if (n < 0 && errno == EAGAIN && poll(&p, 1, PATIENCE_MS) > 0 && !(p.revents & (POLLERR | POLLHUP)))
			continue;
		break;
	}
	return sent;
}

/* A client that has said all closes its half, as `nc` does: it is answered all the same. */
static void half_closed_clients_are_answered(void **state)
{
	(void)state;
	static const char *const targets[] = {"/hello", "/show", "/stream?size=3000000&length=3000000",
		"/stream?size=300000&length=300000&mode=2"};
	for (size_t i = 0; i < 4; i++) {
		char text[200];
		int fd = client_connect();
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
		client_sends(fd, text);
		shutdown(fd, SHUT_WR);
		size_t len;
		char *response = client_read_all(fd, &len, NULL);
		assert_int_equal(status_of(response), 200);
		char *length = header_of(response, "Content-Length");
		assert_int_equal(len - (size_t)(body_of(response) - response), strtoul(length, NULL, 10));
		free(length);
		free(response);
		close(fd);
	}
	/* Half a request is none. */
	int fd = client_connect();
	client_sends(fd, "GET /hello HTTP/1.1\r\nHos");
	shutdown(fd, SHUT_WR);
	char *response = client_read_all(fd, NULL, NULL);
	assert_int_not_equal(status_of(response), 200);
	free(response);
	close(fd);
	all_are_gone();
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	enum { COUNT = 500 };
	struct buf b = BUF_INIT(1 << 20);
	for (int i = 0; i < COUNT; i++)
		buf_addf(&b, "GET /%s?q=number-%d HTTP/1.1\r\nHost: x\r\n%s\r\n", "show", i, i == COUNT - 1 ? "Connection: close\r\n" : "");
	char *response = client_ask(buf_str(&b), NULL);
	const char *p = response;
	for (int i = 0; i < COUNT; i++) {
		char want[50];
		snprintf(want, sizeof(want), "\"q\":\"number-%d\"", i);
		p = strstr(p, "\"q\":");
		if (!p || strncmp(p, want, strlen(want)) != 0)
			fail_msg("answer %d is another one", i);
		p++;
	}
	assert_null(strstr(p, "\"q\":"));
	free(response);
	buf_free(&b);
	/* A bad one among them ends the connection: nothing behind it is taken for a request. */
	response = client_ask("GET /show?q=first HTTP/1.1\r\nHost: x\r\n\r\nBAD\x01 nonsense\r\n\r\nGET /show?q=third HTTP/1.1\r\nHost: x\r\n\r\n", NULL);
	assert_non_null(strstr(response, "\"q\":\"first\""));
	assert_null(strstr(response, "\"q\":\"third\""));
	free(response);
	/* Nor is what stands in a body. */
	response = client_ask("POST /show?q=outer HTTP/1.1\r\nHost: x\r\nContent-Length: 46\r\n\r\nGET /show?q=inner HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n\r\n"
	                      "GET /show?q=next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	assert_non_null(strstr(response, "\"q\":\"outer\""));
	assert_null(strstr(response, "\"q\":\"inner\""));
	assert_non_null(strstr(response, "\"q\":\"next\""));
	free(response);
	all_are_gone();
}

/* Clients that only send: the server stops reading where its answers are not taken. */
static void pipeliners_that_never_read_are_held(void **state)
{
	(void)state;
	enum { COUNT = 20, MOST = 64 << 20 };
	int fds[COUNT];
	char *flood = malloc(MOST);
	const char one[] = "GET /stream?size=100000&length=100000 HTTP/1.1\r\nHost: x\r\n\r\n";
	size_t piece = sizeof(one) - 1;
	for (size_t at = 0; at + piece <= MOST; at += piece)
		memcpy(flood + at, one, piece);
	long before = resident_kib();
	for (int i = 0; i < COUNT; i++) {
		fds[i] = client_connect();
		int small = 32 << 10;
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		assert_true(push(fds[i], flood, MOST / piece * piece) < MOST / 2);
	}
	somebody_else_is_served();
	grew_less_than(before, COUNT * KIB_PER_READER + KIB_SLACK);
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
	free(flood);
	all_are_gone();
}

static void readers_that_never_read_cost_little(void **state)
{
	(void)state;
	enum { COUNT = 300 };
	int fds[COUNT];
	long before = resident_kib();
	for (int i = 0; i < COUNT; i++) {
		char text[200];
		fds[i] = client_connect();
		snprintf(text, sizeof(text), "GET /stream?size=100000000000&mode=%d HTTP/1.1\r\nHost: x\r\n\r\n", i % 2);
		client_sends(fds[i], text);
	}
	wait_until(streams_open == COUNT);
	somebody_else_is_served();
	grew_less_than(before, (long)COUNT * KIB_PER_READER + KIB_SLACK);
	for (int i = 0; i < COUNT; i++) {
		struct linger reset = {.l_onoff = 1, .l_linger = 0};
		if (i % 3 == 0)
			setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fds[i]);
	}
	all_are_gone();
}

static void writers_that_never_finish_cost_little(void **state)
{
	(void)state;
	enum { COUNT = 1000, ROUNDS = 20 };
	static int fds[COUNT];
	long before = resident_kib();
	for (int i = 0; i < COUNT; i++)
		fds[i] = client_connect();
	for (int n = 0; n < ROUNDS; n++)
		for (int i = 0; i < COUNT; i++) {
			static const char *const starts[] = {"GET /show HTTP/1.1\r\nHost: x\r\n", "POST /show HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n",
				"POST /show HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"};
			client_sends(fds[i], n == 0 ? starts[i % 3] : i % 3 == 0 ? "X-More: yes\r\n" : "a few bytes of a body");
		}
	somebody_else_is_served();
	grew_less_than(before, (long)COUNT * KIB_PER_CONNECTION + KIB_SLACK);
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
	all_are_gone();
}

/* Many at once with bodies and heads without an end: each is cut. */
static void floods_side_by_side_are_cut(void **state)
{
	(void)state;
	/* More than the kernel takes on its own for both sides: up to 32 and 4 MiB (tcp_rmem, tcp_wmem). */
	enum { COUNT = 48, MOST = 48 << 20 };
	char *flood = malloc(MOST);
	int fds[COUNT];
	long before = resident_kib();
	for (int kind = 0; kind < 4; kind++) {
		memset(flood, kind == 3 ? 0xf5 : 'a', MOST);
		for (size_t at = 0; at + 1006 <= MOST && kind != 3; at += 1006)
			memcpy(flood + at, kind == 0 ? "\r\nX: " : "\r\n3e8\r\n", kind == 0 ? 5 : 7);
		for (int i = 0; i < COUNT; i++) {
			static const char *const heads[] = {"GET /show HTTP/1.1\r\nHost: x", "POST /show HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n",
				"POST /show HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", ""};
			fds[i] = client_connect();
			client_sends(fds[i], heads[kind]);
		}
		for (int i = 0; i < COUNT; i++)
			assert_true(push(fds[i], flood, MOST) < MOST);
		somebody_else_is_served();
		grew_less_than(before, (long)COUNT * 1024 + MOST / 1024 + KIB_SLACK);
		for (int i = 0; i < COUNT; i++)
			close(fds[i]);
		all_are_gone();
	}
	free(flood);
}

static void thousands_come_and_go(void **state)
{
	(void)state;
	enum { COUNT = 6000 };
	somebody_else_is_served();
	all_are_gone();
	unsigned fds = descriptors();
	long before = resident_kib();
	for (int i = 0; i < COUNT; i++) {
		int fd = client_connect();
		struct linger reset = {.l_onoff = 1, .l_linger = 0};
		static const char *const words[] = {"", "G", "GET /show HTTP/1.1\r\nHost: x\r\n\r\n", "GET /stream?size=100000000 HTTP/1.1\r\nHost: x\r\n\r\n"};
		client_sends(fd, words[i % 4]);
		/* With a FIN they would use up the ports of this machine. */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		if (i % 2000 == 0)
			somebody_else_is_served();
	}
	somebody_else_is_served();
	all_are_gone();
	assert_int_equal(descriptors(), fds);
	grew_less_than(before, KIB_SLACK);
}

static int setup(void **state)
{
	(void)state;
	allow_files();
	fixture_start((struct http_config){.listen = NULL});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_closed_clients_are_answered),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(pipeliners_that_never_read_are_held),
		cmocka_unit_test(readers_that_never_read_cost_little),
		cmocka_unit_test(writers_that_never_finish_cost_little),
		cmocka_unit_test(floods_side_by_side_are_cut),
		cmocka_unit_test(thousands_come_and_go),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
