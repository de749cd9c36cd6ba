/* Ceilings: bodies, heads, connections, jobs, slow senders; TLS and addresses. */
#include "fixture.h"

#include "test.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void start(struct http_config config)
{
	fixture_start(config);
}

static void huge_bodies_are_refused(void **state)
{
	(void)state;
	start((struct http_config){.body_max = 10000});
	char *response = client_ask("POST /show HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10001\r\n\r\n", NULL);
	assert_int_equal(status_of(response), 413);
	assert_non_null(strstr(response, "{\"error\":\"the body may have at most 10000 bytes\",\"code\":\"BODY_TOO_LARGE\",\"details\":{}}"));
	free(response);
	response = client_ask("POST /show HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9223372036854775807\r\n\r\n", NULL);
	assert_int_equal(status_of(response), 413);
	free(response);

	/* Chunked: exactly the ceiling passes, one more does not. */
	for (int more = 0; more <= 1; more++) {
		struct buf b = BUF_INIT(1 << 20);
		buf_adds(&b, "POST /show HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
		for (int i = 0; i < 10; i++)
			buf_addf(&b, "3e8\r\n%01000d\r\n", 0);
		if (more)
			buf_adds(&b, "1\r\n0\r\n");
		buf_adds(&b, "0\r\n\r\n");
		response = client_ask(buf_str(&b), NULL);
		assert_int_equal(status_of(response), more ? 413 : 200);
		free(response);
		buf_free(&b);
	}

	/* One that never ends is cut. */
	int fd = client_connect();
	client_sends(fd, "POST /show HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	char chunk[1100];
	int n = snprintf(chunk, sizeof(chunk), "3e8\r\n%01000d\r\n", 0);
	int sent = 0;
	while (sent < 100000 && send(fd, chunk, (size_t)n, MSG_NOSIGNAL) == n)
		sent++;
	assert_true(sent < 100000);
	close(fd);
	fixture_stop();
}

static void a_client_may_ask_before_it_sends(void **state)
{
	(void)state;
	start((struct http_config){.body_max = 10});
	int fd = client_connect();
	client_sends(fd, "POST /show HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	char text[100] = "";
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_int_equal(status_of(text), 100);
	client_sends(fd, "ab");
	char *response = client_read_all(fd, NULL, NULL);
	assert_int_equal(status_of(response), 200);
	free(response);
	close(fd);
	response = client_ask("POST /show HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n", NULL);
	assert_int_equal(status_of(response), 413);
	free(response);
	fixture_stop();
}

static void header_floods_are_bounded(void **state)
{
	(void)state;
	start((struct http_config){.connection_memory = 32 << 10});
	/* many headers, one endless header, one endless target */
	for (int kind = 0; kind < 3; kind++) {
		int fd = client_connect();
		client_sends(fd, kind == 2 ? "GET /" : "GET /hello HTTP/1.1\r\nHost: x\r\n");
		if (kind == 1)
			client_sends(fd, "X-Long: ");
		char piece[1000];
		memset(piece, 'a', sizeof(piece));
		if (kind == 0) {
			memcpy(piece, "X-Many: ", 8);
			memcpy(piece + sizeof(piece) - 2, "\r\n", 2);
		}
		int sent = 0;
		while (sent < 100000 && send(fd, piece, sizeof(piece), MSG_NOSIGNAL) == (ssize_t)sizeof(piece))
			sent++;
		assert_true(sent < 100000);
		close(fd);
	}
	/* A long target that fits the memory is refused by its own limit. */
	fixture_stop();
	start((struct http_config){.connection_memory = 128 << 10});
	struct buf b = BUF_INIT(1 << 20);
	buf_adds(&b, "GET /hello?");
	for (int i = 0; i < 17000; i++)
		buf_addc(&b, 'a');
	buf_adds(&b, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	char *response = client_ask(buf_str(&b), NULL);
	assert_int_equal(status_of(response), 414);
	free(response);
	buf_free(&b);
	fixture_stop();
}

static void senders_that_are_too_slow_are_cut(void **state)
{
	(void)state;
	start((struct http_config){.idle_seconds = 1, .request_seconds = 1});
	/* A byte now and then keeps it from being idle; the whole request takes too long all the same. */
	int fd = client_connect();
	client_sends(fd, "GET /hello HTTP/1.1\r\n");
	int sent = 0;
	while (sent < 1000 && send(fd, "X", 1, MSG_NOSIGNAL) == 1) {
		usleep(100000);
		sent++;
	}
	assert_true(sent < 1000);
	close(fd);
	/* Idle ones are cut too, before and after a request. */
	fd = client_connect();
	char *response = client_read_all(fd, NULL, NULL);
	assert_string_equal(response, "");
	free(response);
	close(fd);
	fd = client_connect();
	client_sends(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	response = client_read_all(fd, NULL, NULL);
	assert_int_equal(status_of(response), 200);
	free(response);
	close(fd);
	/* So is one that ends in the middle of its body. */
	fd = client_connect();
	client_sends(fd, "POST /show HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
	shutdown(fd, SHUT_WR);
	response = client_read_all(fd, NULL, NULL);
	assert_string_equal(response, "");
	free(response);
	close(fd);
	/* A handler that takes longer than any of that is not. */
	hold_slow = true;
	fd = client_connect();
	client_sends(fd, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	usleep(3000000);
	hold_slow = false;
	response = client_read_all(fd, NULL, NULL);
	assert_int_equal(status_of(response), 200);
	free(response);
	close(fd);
	fixture_stop();
}

static void connections_have_a_limit(void **state)
{
	(void)state;
	start((struct http_config){.connections_per_ip_max = 5, .threads = 2});
	int fds[5];
	for (int i = 0; i < 5; i++) {
		char text[200];
		fds[i] = client_connect();
		client_sends(fds[i], "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
		assert_true(recv(fds[i], text, sizeof(text), 0) > 0);
	}
	int fd = client_connect();
	client_sends(fd, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	char byte;
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	fixture_stop();
}

static void ten_thousand_idle_connections(void **state)
{
	(void)state;
	enum { COUNT = 9900 };
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < 2 * COUNT + 100) {
		print_message("# SKIP: the limit of open files is %llu\n", (unsigned long long)limit.rlim_max);
		skip();
	}
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	start((struct http_config){.listen = NULL});
	int *fds = calloc(COUNT, sizeof(*fds));
	for (int i = 0; i < COUNT; i++)
		fds[i] = client_connect();
	wait_until(http_server_stats(server).connections == COUNT);
	/* The server answers new ones, and the first and last of the crowd. */
	char *response = client_ask("GET /show HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	assert_int_equal(status_of(response), 200);
	free(response);
	for (int i = 0; i < COUNT; i += COUNT - 1) {
		client_sends(fds[i], "GET /show HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		response = client_read_all(fds[i], NULL, NULL);
		assert_int_equal(status_of(response), 200);
		free(response);
	}
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
	/* Within less than the idle time-out, which would hide one that nobody noticed. */
	for (int waits = 0; waits < 4500 && http_server_stats(server).connections > 0; waits++)
		usleep(10000);
	assert_int_equal(http_server_stats(server).connections, 0);
	free(fds);
	fixture_stop();
}

static void more_requests_than_job_threads_queue(void **state)
{
	(void)state;
	start((struct http_config){.jobs_max = 3});
	hold_slow = true;
	int fds[20];
	for (int i = 0; i < 20; i++) {
		fds[i] = client_connect();
		client_sends(fds[i], "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	}
	wait_until(http_server_stats(server).requests == 20);
	assert_int_equal(http_server_stats(server).jobs, 3);
	/* What runs inline is not held up. */
	char *response = client_ask("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	assert_int_equal(status_of(response), 200);
	free(response);
	hold_slow = false;
	for (int i = 0; i < 20; i++) {
		response = client_read_all(fds[i], NULL, NULL);
		assert_int_equal(status_of(response), 200);
		free(response);
		close(fds[i]);
	}
	fixture_stop();
}

static void start_fails_with_a_reason(const struct http_config *config, const char *reason)
{
	struct err e = ERR_INIT;
	struct http_server *s = NULL;
	assert_int_equal(http_server_start(config, &s, &e), ERR_CONFIG);
	assert_null(s);
	if (!strstr(e.msg, reason))
		fail_msg("%s", e.msg);
}

static void addresses_and_keys_that_do_not_work(void **state)
{
	(void)state;
	start((struct http_config){.listen = NULL});
	char taken[50];
	snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_server_port(server));
	start_fails_with_a_reason(&(struct http_config){.listen = taken}, "Address already in use");
	start_fails_with_a_reason(&(struct http_config){.listen = "nonsense"}, "ADDRESS:PORT");
	start_fails_with_a_reason(&(struct http_config){.listen = "192.0.2.77:1"}, "Cannot assign requested address");
	start_fails_with_a_reason(&(struct http_config){.listen = "127.0.0.1:0", .tls_cert_file = "/x"}, "both");
	start_fails_with_a_reason(&(struct http_config){.listen = "127.0.0.1:0", .tls_cert_file = "/x", .tls_key_file = "/x"},
	                          "No such file");
	start_fails_with_a_reason(
		&(struct http_config){.listen = "127.0.0.1:0", .tls_cert_file = "/etc/passwd", .tls_key_file = "/etc/passwd"}, "PEM");
	fixture_stop();
}

static int run(const char *fmt, ...)
{
	char command[2000];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	int status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void tls_and_ipv6(void **state)
{
	(void)state;
	char dir[] = "/tmp/http-test-XXXXXX", cert[100], key[100];
	assert_non_null(mkdtemp(dir));
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	assert_int_equal(run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
	                     "-addext subjectAltName=IP:::1,DNS:localhost -keyout %s -out %s 2>/dev/null", key, cert), 0);
	start((struct http_config){.listen = "[::1]:0", .tls_cert_file = cert, .tls_key_file = key});
	unsigned port = http_server_port(server);
	assert_true(http_server_tls(server));
	assert_int_equal(run("test \"$(curl -s --cacert %s 'https://[::1]:%u/show' | grep -o '\"peer\":\"::1\"')\" = '\"peer\":\"::1\"'",
	                     cert, port), 0);
	assert_int_equal(run("test \"$(curl -s --cacert %s 'https://[::1]:%u/stream?size=3000000&mode=2' | wc -c)\" = 3000000",
	                     cert, port), 0);
	/* A failed body: no clean end inside TLS either. */
	assert_int_equal(run("curl -s --cacert %s 'https://[::1]:%u/stream?size=300000&fail_at=200000&mode=2' >/dev/null", cert,
	                     port), 18);
	assert_int_equal(run("curl -s --tls-max 1.1 --cacert %s 'https://[::1]:%u/hello' >/dev/null", cert, port), 35);
	fixture_stop();
	run("rm -r %s", dir);
}

static void descriptors_are_not_inherited(void **state)
{
	(void)state;
	int before = run("exit $(ls /proc/self/fd | wc -l)");
	start((struct http_config){.listen = NULL});
	int fd = client_connect();
	client_sends(fd, "GET /stream?mode=3 HTTP/1.1\r\nHost: x\r\n\r\n");
	char byte;
	assert_true(recv(fd, &byte, 1, 0) == 1);
	assert_int_equal(run("exit $(ls /proc/self/fd | wc -l)"), before);
	close(fd);
	wait_until(streams_open == 0);
	fixture_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(huge_bodies_are_refused),
		cmocka_unit_test(a_client_may_ask_before_it_sends),
		cmocka_unit_test(header_floods_are_bounded),
		cmocka_unit_test(senders_that_are_too_slow_are_cut),
		cmocka_unit_test(connections_have_a_limit),
		cmocka_unit_test(more_requests_than_job_threads_queue),
		cmocka_unit_test(addresses_and_keys_that_do_not_work),
		cmocka_unit_test(tls_and_ipv6),
		cmocka_unit_test(descriptors_are_not_inherited),
		cmocka_unit_test(ten_thousand_idle_connections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
