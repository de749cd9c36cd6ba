/* Bodies that are read as the client takes them: waits, failures, clients that vanish, the server's stop. */
#include "fixture.h"

#include "test.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int setup(void **state)
{
	(void)state;
	fixture_start((struct http_config){.listen = NULL});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_stop();
	return 0;
}

static void expect_pattern(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != (char)('a' + i % 26))
			fail_msg("byte %zu is %c", i, p[i]);
}

/* Runs curl; the exit status and the bytes it got. */
static int curl(const char *target, struct buf *ret)
{
	char *command = NULL;
	assert_true(asprintf(&command, "curl -s --max-time 60 'http://127.0.0.1:%u%s'", http_server_port(server), target) > 0);
	FILE *f = popen(command, "r");
	free(command);
	assert_non_null(f);
	char block[65536];
	size_t n;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(ret, block, n);
	int status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void curl_gets(const char *target, int exit_status, size_t len)
{
	struct buf b = BUF_INIT(1 << 30);
	assert_int_equal(curl(target, &b), exit_status);
	if (exit_status == 0)
		assert_int_equal(b.len, len);
	expect_pattern(buf_str(&b), b.len);
	buf_free(&b);
}

static void whole_bodies_in_every_mode(void **state)
{
	(void)state;
	for (int mode = 0; mode <= 2; mode++)
		for (int known = 0; known <= 1; known++) {
			static const size_t sizes[] = {1, 2, 25, 131071, 131072, 131073, 1000000};
			for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
				char target[200];
				int n = snprintf(target, sizeof(target), "/stream?size=%zu&mode=%d&piece=70001", sizes[i], mode);
				if (known)
					snprintf(target + n, sizeof(target) - n, "&length=%zu", sizes[i]);
				curl_gets(target, 0, sizes[i]);
			}
		}
	curl_gets("/stream?size=0", 0, 0);
	curl_gets("/stream?size=0&length=0", 0, 0);
	wait_until(streams_open == 0);
	assert_int_equal(closed_incomplete, 0);
}

static void a_failed_body_never_looks_complete(void **state)
{
	(void)state;
	/* 18: CURLE_PARTIAL_FILE */
	curl_gets("/stream?size=100000&fail_at=50000&piece=10000", 18, 0);
	curl_gets("/stream?size=100000&fail_at=50000&piece=10000&mode=2", 18, 0);
	curl_gets("/stream?size=100000&length=100000&fail_at=50000&piece=10000&mode=1", 18, 0);
	/* The failure that comes with the end, when every byte has been read. */
	curl_gets("/stream?size=100000&length=100000&fail_at=100000&piece=10000", 18, 0);
	curl_gets("/stream?size=100000&length=100000&fail_at=100000&piece=10000&mode=2", 18, 0);
	curl_gets("/stream?size=100000&fail_at=100000&piece=10000", 18, 0);
	curl_gets("/stream?size=1&length=1&fail_at=1", 18, 0);
	/* Shorter and longer than promised. */
	curl_gets("/stream?size=99999&length=100000", 18, 0);
	curl_gets("/stream?size=100001&length=100000", 18, 0);
	wait_until(streams_open == 0);
	assert_int_equal(closed_incomplete, 9);
	assert_int_equal(done_incomplete, 9);
}

static void a_body_that_was_replaced_is_closed(void **state)
{
	(void)state;
	char *response = client_ask("GET /stream?replaced HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	assert_int_equal(status_of(response), 422);
	free(response);
	assert_int_equal(streams_open, 0);
	assert_int_equal(closed_incomplete, 1);
}

static int ask_and_read_some(const char *target)
{
	int fd = client_connect();
	char text[300];
	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
	client_sends(fd, text);
	assert_true(recv(fd, text, sizeof(text), 0) > 0);
	return fd;
}

static void clients_that_vanish_are_noticed(void **state)
{
	(void)state;
	/* In the middle of data, while the socket is full. */
	int fd = ask_and_read_some("/stream?size=10000000000");
	close(fd);
	wait_until(streams_open == 0);
	fd = ask_and_read_some("/stream?size=10000000000&mode=2");
	close(fd);
	wait_until(streams_open == 0);
	/* While the body waits for ever: FIN, then reset. */
	fd = ask_and_read_some("/stream?mode=3");
	assert_int_equal(streams_open, 1);
	close(fd);
	wait_until(streams_open == 0);
	fd = ask_and_read_some("/stream?mode=3");
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	wait_until(streams_open == 0);
	assert_int_equal(closed_incomplete, 4);
	/* One that stays is left alone meanwhile. */
	fd = ask_and_read_some("/stream?mode=3");
	usleep(1500000);
	assert_int_equal(streams_open, 1);
	close(fd);
	wait_until(streams_open == 0);
}

static void a_slow_reader_gets_everything(void **state)
{
	(void)state;
	int fd = client_connect();
	int small = 32 << 10;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client_sends(fd, "GET /stream?size=3000000&length=3000000&mode=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	usleep(300000);
	/* Meanwhile others are served. */
	curl_gets("/stream?size=500000&mode=2", 0, 500000);
	size_t len;
	char *response = client_read_all(fd, &len, NULL);
	const char *body = body_of(response);
	assert_int_equal(len - (size_t)(body - response), 3000000);
	expect_pattern(body, 3000000);
	free(response);
	close(fd);
}

static void a_tick_wakes_a_waiting_body(void **state)
{
	(void)state;
	char *response = client_ask("GET /stream?mode=3&tick=1&size=2&length=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	assert_string_equal(body_of(response), "xx");
	free(response);
}

static void *many_streams(void *arg)
{
	(void)arg;
	for (int i = 0; i < 40; i++) {
		int fd = client_connect();
		char text[200];
		snprintf(text, sizeof(text), "GET /stream?size=60000&piece=%d&mode=%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		         97 + i, 1 + i % 2);
		client_sends(fd, text);
		if (i % 5 == 4) {
			/* gone in the middle */
			(void)recv(fd, text, sizeof(text), 0);
		} else {
			size_t len;
			char *response = client_read_all(fd, &len, NULL);
			if (len < 60000 || strcmp(response + len - 5, "0\r\n\r\n") != 0)
				abort();
			free(response);
		}
		close(fd);
	}
	return NULL;
}

static void wakes_race_with_suspends(void **state)
{
	(void)state;
	pthread_t threads[6];
	for (size_t i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, many_streams, NULL);
	for (size_t i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	wait_until(streams_open == 0);
}

static void *ask_slow(void *arg)
{
	*(char **)arg = client_ask("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	return NULL;
}

static void stopping_lets_requests_end(void **state)
{
	(void)state;
	struct http_server *common = server;
	fixture_start((struct http_config){.listen = NULL});
	hold_slow = true;
	pthread_t thread;
	char *response = NULL;
	pthread_create(&thread, NULL, ask_slow, &response);
	wait_until(http_server_stats(server).requests == 1);
	int idle = client_connect();
	int fd = ask_and_read_some("/stream?size=50000000&length=50000000");
	hold_slow = false;
	/* The stream is read to its end meanwhile. */
	struct http_server *stopped = server;
	pthread_t reader;
	unsigned port = http_server_port(stopped);
	size_t len = 0;
	void *args[2] = {&fd, &len};
	void *read_rest(void *a);
	pthread_create(&reader, NULL, read_rest, args);
	http_server_stop(stopped, 20000);
	pthread_join(thread, NULL);
	pthread_join(reader, NULL);
	assert_int_equal(status_of(response), 200);
	assert_string_equal(body_of(response), "slept");
	free(response);
	assert_true(len > 49990000);
	assert_int_equal(streams_open, 0);
	assert_int_equal(client_connect_to("127.0.0.1", port), -1);
	char byte;
	assert_true(recv(idle, &byte, 1, 0) <= 0);
	close(idle);
	close(fd);
	server = common;
}

void *read_rest(void *a);
void *read_rest(void *a)
{
	void **args = a;
	char *rest = client_read_all(*(int *)args[0], args[1], NULL);
	free(rest);
	return NULL;
}

static void stopping_aborts_what_does_not_end(void **state)
{
	(void)state;
	struct http_server *common = server;
	fixture_start((struct http_config){.listen = NULL});
	int waiting = ask_and_read_some("/stream?mode=3");
	int unread = ask_and_read_some("/stream?size=10000000000");
	int racing = ask_and_read_some("/stream?size=10000000000&mode=2&piece=100");
	assert_int_equal(streams_open, 3);
	http_server_stop(server, 50);
	assert_int_equal(streams_open, 0);
	assert_int_equal(closed_incomplete, 3);
	size_t len;
	char *rest = client_read_all(waiting, &len, NULL);
	assert_null(strstr(rest, "0\r\n\r\n"));
	free(rest);
	close(waiting);
	close(unread);
	close(racing);
	server = common;
}

static void let_slow_end(void *arg)
{
	(void)arg;
	hold_slow = false;
}

/* A handler that would go on and on is told when the grace time is over, and ends. */
static void stopping_tells_handlers(void **state)
{
	(void)state;
	struct http_server *common = server;
	fixture_start((struct http_config){.abort = let_slow_end});
	hold_slow = true;
	pthread_t thread;
	char *response = NULL;
	pthread_create(&thread, NULL, ask_slow, &response);
	wait_until(http_server_stats(server).jobs == 1);
	http_server_stop(server, 50);
	pthread_join(thread, NULL);
	free(response);
	server = common;
}

static int reset_counts(void **state)
{
	(void)state;
	closed_incomplete = done_incomplete = 0;
	return 0;
}

#define test(f) cmocka_unit_test_setup(f, reset_counts)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(whole_bodies_in_every_mode),
		test(a_failed_body_never_looks_complete),
		test(a_body_that_was_replaced_is_closed),
		test(clients_that_vanish_are_noticed),
		test(a_slow_reader_gets_everything),
		test(a_tick_wakes_a_waiting_body),
		test(wakes_race_with_suspends),
		test(stopping_lets_requests_end),
		test(stopping_aborts_what_does_not_end),
		test(stopping_tells_handlers),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
