/* Requests in, answers out: decoding, routing, methods, errors, conditions. */
#include "fixture.h"

#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

static int setup(void **state)
{
	(void)state;
	/* libmicrohttpd may overlook a FIN that came together with a part of a request, and then waits until it is idle. */
	fixture_start((struct http_config){.idle_seconds = 2});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_stop();
	return 0;
}

/* The answer to METHOD TARGET with these header lines. */
static char *ask(const char *method, const char *target, const char *headers)
{
	char *text = NULL;
	assert_true(asprintf(&text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, target, headers) > 0);
	char *response = client_ask(text, NULL);
	free(text);
	return response;
}

static void expect(const char *method, const char *target, const char *headers, unsigned status, const char *in_body)
{
	char *response = ask(method, target, headers);
	if (status_of(response) != status || !strstr(body_of(response), in_body))
		fail_msg("%s %s: wanted %u with %s, got:\n%s", method, target, status, in_body, response);
	char *nosniff = header_of(response, "X-Content-Type-Options");
	assert_string_equal(nosniff, "nosniff");
	free(nosniff);
	free(response);
}

static void expect_header(const char *method, const char *target, const char *headers, unsigned status, const char *name,
                          const char *want)
{
	char *response = ask(method, target, headers);
	char *value = header_of(response, name);
	if (status_of(response) != status || (want ? !value || strcmp(value, want) != 0 : value != NULL))
		fail_msg("%s %s: wanted %u with %s: %s, got:\n%s", method, target, status, name, want ? want : "(none)", response);
	free(value);
	free(response);
}

static void routes_prefer_literals(void **state)
{
	(void)state;
	expect("GET", "/hello", "", 200, "hello\n");
	expect("GET", "/items/42", "", 200, "\"route\":\"/items/{id}\",\"path\":\"/items/42\",\"id\":\"42\"");
	expect("GET", "/items/special", "", 200, "\"route\":\"/items/special\"");
	expect("GET", "/items/%73pecial", "", 200, "\"route\":\"/items/special\"");
	expect("GET", "/items/special/files", "", 200, "\"route\":\"/items/{id}/files\"");
	expect("GET", "/files/index", "", 200, "\"route\":\"/files/index\"");
	expect("GET", "/files/a/b%2Fc/", "", 200, "\"rest\":\"a/b/c/\"");
	expect("GET", "/files/", "", 200, "\"rest\":\"\"");
	expect("GET", "/files", "", 200, "\"rest\":\"\"");
	static const char *const missing[] = {"/", "/hello/", "//hello", "/items", "/items/", "/items//files", "/HELLO", "/hello%2F",
	                                      "/items/42/files/x", "/hell", "/hello%00"};
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		expect("GET", missing[i], "", 404, "{\"error\":\"there is nothing at this address\",\"code\":\"ROUTE_NOT_FOUND\",\"details\":{}}");
	char deep[200] = "";
	for (int i = 0; i < 80; i++)
		strcat(deep, "/a");
	expect("GET", deep, "", 404, "ROUTE_NOT_FOUND");
	char below[220] = "/files";
	strcat(below, deep);
	expect("GET", below, "", 200, "a/a/a/a/a/a\"");
	expect("GET", "http://elsewhere:80/hello?x", "", 200, "hello\n");
	expect("GET", "http://elsewhere", "", 404, "ROUTE_NOT_FOUND");
}

static void methods_and_their_refusal(void **state)
{
	(void)state;
	expect("POST", "/hello", "Content-Length: 0\r\n", 405, "METHOD_NOT_ALLOWED");
	expect_header("POST", "/hello", "Content-Length: 0\r\n", 405, "Allow", "OPTIONS, GET, HEAD");
	expect_header("PATCH", "/items/4", "Content-Length: 0\r\n", 405, "Allow", "OPTIONS, GET, HEAD, DELETE");
	/* Of the literal path only its own methods: {id} means something else. */
	expect_header("DELETE", "/items/special", "", 405, "Allow", "OPTIONS, GET, HEAD");
	expect_header("OPTIONS", "/show", "", 204, "Allow", "OPTIONS, GET, HEAD, POST");
	expect("BREW", "/hello", "", 405, "METHOD_NOT_ALLOWED");
	expect("AVERYLONGMETHODNAME", "/hello", "", 405, "METHOD_NOT_ALLOWED");
}

static void percent_encoding_edge_cases(void **state)
{
	(void)state;
	expect("GET", "/show?q=a%20b+c%2b%26%3D&n=7", "", 200, "\"q\":\"a b c+&=\",\"string\":\"a b c+&=\",\"n\":7");
	expect("GET", "/items/a%2fb", "", 200, "\"id\":\"a/b\"");
	expect("GET", "/items/a+b", "", 200, "\"id\":\"a+b\"");
	expect("GET", "/items/%2e%2e", "", 200, "\"id\":\"..\"");
	expect("GET", "/show?q=x%00y", "", 200, "\"q\":\"x\\u0000y\",\"string\":\"the parameter \\\"q\\\" has a NUL byte inside\"");
	expect("GET", "/show?q=%ff%fe", "", 200, "\"q\":\"\xee\xbf\xbf\xee\xbf\xbe\"");
	expect("GET", "/show?q=%252e", "", 200, "\"q\":\"%2e\"");
	expect("GET", "/show?q", "", 200, "\"q\":\"\"");
	expect("GET", "/show?=x&&q==y&", "", 200, "\"q\":\"=y\"");
	expect("GET", "/show?%71=y", "", 200, "\"q\":\"y\"");
	expect("GET", "/show?q=1&q=2", "", 200, "\"q\":\"1\",\"string\":\"the parameter \\\"q\\\" is given twice\"");
	expect("GET", "/show", "", 200, "\"q\":null,\"string\":\"none\",\"n\":5,\"b\":true");
	expect("GET", "/show?n=101&b=no", "", 200, "\"n\":\"the parameter \\\"n\\\" must be a whole number from 0 to 100\",\"b\":\"the parameter \\\"b\\\" must be true or false\"");
	expect("GET", "/show?n=-1&b=0", "", 200, "must be a whole number from 0 to 100\",\"b\":false");
	expect("GET", "/show?n=18446744073709551617", "", 200, "must be a whole number");
	expect("GET", "/show?n=", "", 200, "must be a whole number");
	static const char *const bad[] = {"/show?q=%", "/show?q=%4", "/show?q=%zz", "/%", "/items/%4", "/show?%zz=1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect("GET", bad[i], "", 400, "\"code\":\"BAD_REQUEST\"");
	char many[2000] = "/show?";
	for (int i = 0; i <= HTTP_QUERY_MAX; i++)
		strcat(many, "a=b&");
	expect("GET", many, "", 400, "too many parameters");
}

static void bodies_and_headers_arrive(void **state)
{
	(void)state;
	expect("POST", "/show", "X-Test: yes\r\nContent-Length: 5\r\n\r\nhe\xffgo", 200,
	       "\"peer\":\"127.0.0.1\",\"header\":\"yes\",\"user\":\"somebody\",\"body\":\"he\xee\xbf\xbfgo\"");
	char *response = client_ask("POST /show HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
	                            "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n", NULL);
	assert_non_null(strstr(response, "\"body\":\"abcde\""));
	free(response);
	expect("GET", "/private", "", 401, "UNAUTHORIZED");
	expect_header("GET", "/private", "", 401, "WWW-Authenticate", "Bearer");
	expect("GET", "/nothing", "", 500, "\"code\":\"INTERNAL\"");
	expect("GET", "/overflow", "", 500, "\"code\":\"LIMIT_EXCEEDED\"");
}

static void two_lengths_are_refused(void **state)
{
	(void)state;
	expect("POST", "/show", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "BAD_REQUEST");
	expect("POST", "/show", "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400, "BAD_REQUEST");
}

static void head_is_get_without_its_body(void **state)
{
	(void)state;
	char *get = ask("GET", "/entity", ""), *head = ask("HEAD", "/entity", "");
	assert_int_equal(status_of(head), 200);
	assert_string_equal(body_of(head), "");
	static const char *const same[] = {"Content-Length", "ETag", "Last-Modified", "Content-Type", "Accept-Ranges",
	                                   "Content-Disposition"};
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		char *a = header_of(get, same[i]), *b = header_of(head, same[i]);
		assert_non_null(a);
		assert_string_equal(a, b);
		free(a);
		free(b);
	}
	free(get);
	free(head);
	expect_header("HEAD", "/stream?size=70000&length=70000", "", 200, "Content-Length", "70000");
	expect_header("HEAD", "/stream?size=70000", "", 200, "Content-Length", NULL);
	head = ask("HEAD", "/show", "");
	assert_string_equal(body_of(head), "");
	free(head);
	wait_until(streams_open == 0);
	assert_int_equal(closed_incomplete, 0);
}

static void conditions_and_ranges(void **state)
{
	(void)state;
	const char *date = "If-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\nRange: bytes=1-2\r\n";
	expect("GET", "/entity", "", 200, "abcdefghijklmnopqrstuvwxyz");
	expect_header("GET", "/entity", "", 200, "ETag", "\"tag-1\"");
	expect_header("GET", "/entity", "", 200, "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
	expect_header("GET", "/entity", "", 200, "Content-Disposition", 
	              "attachment; filename=\"alphabet.txt\"; filename*=UTF-8''alphabet.txt");
	expect("GET", "/entity", "Range: bytes=2-4\r\n", 206, "cde");
	expect_header("GET", "/entity", "Range: bytes=2-4\r\n", 206, "Content-Range", "bytes 2-4/26");
	expect_header("GET", "/entity", "Range: bytes=-3\r\n", 206, "Content-Length", "3");
	expect("GET", "/entity", "Range: bytes=26-\r\n", 416, "RANGE_NOT_SATISFIABLE");
	expect_header("GET", "/entity", "Range: bytes=26-\r\n", 416, "Content-Range", "bytes */26");
	expect("GET", "/entity", "Range: bytes=0-1,3-4\r\n", 200, "abcdefghijklmnopqrstuvwxyz");
	expect("GET", "/entity", "Range: bytes=1-2\r\nIf-Range: \"tag-1\"\r\n", 206, "bc");
	expect("GET", "/entity", "Range: bytes=1-2\r\nIf-Range: W/\"tag-1\"\r\n", 200, "abcdef");
	expect("GET", "/entity", "Range: bytes=1-2\r\nIf-Range: \"tag-0\"\r\n", 200, "abcdef");
	expect("GET", "/entity", "Range: bytes=50-\r\nIf-Range: \"tag-0\"\r\n", 200, "abcdef");
	expect("GET", "/entity", date, 206, "bc");
	expect("GET", "/entity", "If-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\nRange: bytes=1-2\r\n", 200, "abcdef");
	expect_header("HEAD", "/entity", "Range: bytes=2-4\r\n", 200, "Content-Length", "26");
	expect_header("GET", "/entity", "If-None-Match: W/\"tag-1\"\r\n", 304, "ETag", "\"tag-1\"");
	/* Not 0: a cache would take that for the length of what it holds. */
	expect_header("GET", "/entity", "If-None-Match: *\r\n", 304, "Content-Length", "26");
	expect("GET", "/entity", "If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200, "abc");
	expect_header("GET", "/entity", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304, "ETag", "\"tag-1\"");
	expect("GET", "/entity", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200, "abc");
	expect("GET", "/entity", "If-Modified-Since: yesterday\r\n", 200, "abc");
	expect("GET", "/entity", "If-Match: \"x\"\r\n", 412, "PRECONDITION_FAILED");
	expect("GET", "/entity", "If-Match: \"x\", \"tag-1\"\r\n", 200, "abc");
	expect("GET", "/entity", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412, "PRECONDITION_FAILED");
	char *response = ask("GET", "/entity", "If-None-Match: *\r\n");
	assert_int_equal(status_of(response), 304);
	assert_string_equal(body_of(response), "");
	free(response);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	char *response = client_ask("GET /show?q=first HTTP/1.1\r\nHost: x\r\n\r\n"
	                            "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
	                            "POST /show HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nthird"
	                            "GET /stream?size=30&mode=2 HTTP/1.1\r\nHost: x\r\n\r\n"
	                            "GET /show?q=last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	const char *p = response;
	static const char *const order[] = {"\"q\":\"first\"", "hello\n", "\"body\":\"third\"", "abcdefghijklmnopqrstuvwxyzabcd",
	                                    "\"q\":\"last\""};
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		p = strstr(p, order[i]);
		assert_non_null(p);
	}
	free(response);
}

static void a_half_closed_client_gets_its_answer(void **state)
{
	(void)state;
	static const char *const targets[] = {"/show", "/hello", "/stream?size=200000&piece=1000&mode=2"};
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		int fd = client_connect();
		char text[200];
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
		client_sends(fd, text);
		shutdown(fd, SHUT_WR);
		size_t len;
		bool reset;
		char *response = client_read_all(fd, &len, &reset);
		assert_int_equal(status_of(response), 200);
		assert_false(reset);
		if (i == 2) {
			assert_true(len > 200000);
			assert_string_equal(response + len - 5, "0\r\n\r\n");
		}
		free(response);
		close(fd);
	}
}

static void an_http10_client_is_not_sent_an_endless_body(void **state)
{
	(void)state;
	char *response = client_ask("GET /stream HTTP/1.0\r\n\r\n", NULL);
	assert_int_equal(status_of(response), 505);
	free(response);
	response = client_ask("GET /stream?length=1000 HTTP/1.0\r\n\r\n", NULL);
	assert_int_equal(status_of(response), 200);
	assert_int_equal(strlen(body_of(response)), 1000);
	free(response);
	wait_until(streams_open == 0);
}

static void malformed_requests_do_no_harm(void **state)
{
	(void)state;
	static const char *const bad[] = {"\r\n\r\n\r\n", "GET\r\n\r\n", "GET /hello\r\n\r\n", "GET /hello HTTP/9.9\r\nHost: x\r\n\r\n",
	                                  "GET /hello HTTP/1.1\r\nno colon\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	                                  "GET /hello HTTP/1.1\r\n\r\n", "POST /show HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
	                                  "POST /show HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
	                                  "POST /show HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = client_connect();
		client_sends(fd, bad[i]);
		shutdown(fd, SHUT_WR);
		char *response = client_read_all(fd, NULL, NULL);
		if (strncmp(response, "HTTP/1.1 2", 10) == 0)
			fail_msg("request %zu: %s", i, response);
		free(response);
		close(fd);
	}
	expect("GET", "/hello", "", 200, "hello\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_prefer_literals),
		cmocka_unit_test(methods_and_their_refusal),
		cmocka_unit_test(percent_encoding_edge_cases),
		cmocka_unit_test(bodies_and_headers_arrive),
		cmocka_unit_test(two_lengths_are_refused),
		cmocka_unit_test(head_is_get_without_its_body),
		cmocka_unit_test(conditions_and_ranges),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(a_half_closed_client_gets_its_answer),
		cmocka_unit_test(an_http10_client_is_not_sent_an_endless_body),
		cmocka_unit_test(malformed_requests_do_no_harm),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
