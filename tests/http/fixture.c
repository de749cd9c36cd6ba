#include "fixture.h"

#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_server *server;
atomic_int done_count, done_incomplete, streams_open, closed_incomplete;
atomic_bool hold_slow;

/* --- a stream of a known pattern, which waits in chosen ways ----------------------------------------- */

enum wait_mode { WAIT_NEVER, WAIT_INSIDE, WAIT_THREAD, WAIT_FOR_EVER };

struct pattern {
	uint64_t at, size, fail_at;
	size_t piece;
	enum wait_mode mode;
	bool ready;                 /* the next read gives something */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool ending;
	void (*wake)(void *);
	void *wake_arg;
};

static void *waker(void *arg)
{
	struct pattern *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->ending) {
		if (!p->wake) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		void (*wake)(void *) = p->wake;
		p->wake = NULL;
		p->ready = true;
		/* Under the lock, so that none runs when close returns; every other time after a surplus one. */
		if (p->at & 1)
			wake(p->wake_arg);
		wake(p->wake_arg);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static ssize_t pattern_read(void *arg, void *to, size_t max)
{
	struct pattern *p = arg;
	pthread_mutex_lock(&p->lock);
	ssize_t n = HTTP_BODY_WAIT;
	if (p->mode == WAIT_NEVER || p->ready) {
		p->ready = false;
		size_t piece = p->piece < max ? p->piece : max;
		if (p->at >= p->fail_at)
			n = HTTP_BODY_FAILED;
		else if (p->size - p->at < piece)
			n = (ssize_t)(p->size - p->at);
		else
			n = (ssize_t)piece;
		for (ssize_t i = 0; i < n; i++)
			((uint8_t *)to)[i] = (uint8_t)('a' + (p->at + (uint64_t)i) % 26);
		if (n > 0)
			p->at += (uint64_t)n;
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}

static void pattern_wait(void *arg, void (*wake)(void *), void *wake_arg)
{
	struct pattern *p = arg;
	pthread_mutex_lock(&p->lock);
	if (p->mode == WAIT_INSIDE)
		p->ready = true;
	p->wake = wake;
	p->wake_arg = wake_arg;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	if (p->mode == WAIT_INSIDE)
		wake(wake_arg);
}

/* Never says when it goes on: has a byte whenever it is asked the second time. */
static ssize_t tick_read(void *arg, void *to, size_t max)
{
	(void)max;
	struct pattern *p = arg;
	p->ready = !p->ready;
	if (p->ready)
		return HTTP_BODY_WAIT;
	if (p->at == p->size)
		return 0;
	memcpy(to, "x", 1);
	p->at++;
	return 1;
}

static void pattern_close(void *arg, bool completed)
{
	struct pattern *p = arg;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	if (p->mode == WAIT_THREAD)
		pthread_join(p->thread, NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p);
	if (!completed)
		closed_incomplete++;
	streams_open--;
}

static const struct http_body_ops pattern_ops = {.read = pattern_read, .wait = pattern_wait, .close = pattern_close};
static const struct http_body_ops tick_ops = {
	.read = tick_read, .wait = pattern_wait, .close = pattern_close, .tick_ms = 500};

static uint64_t number(struct http_request *req, const char *name, uint64_t fallback)
{
	struct err e = ERR_INIT;
	uint64_t v = fallback;
	(void)http_query_u64(req, name, fallback, UINT64_MAX, &v, &e);
	return v;
}

/* size, length (known, if given), piece, mode, fail_at */
static void get_stream(struct http_request *req, struct http_response *resp)
{
	struct pattern *p = calloc(1, sizeof(*p));
	p->size = number(req, "size", 1000);
	p->piece = number(req, "piece", 65536);
	p->fail_at = number(req, "fail_at", UINT64_MAX);
	p->mode = (enum wait_mode)number(req, "mode", 0);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	if (p->mode == WAIT_THREAD)
		pthread_create(&p->thread, NULL, waker, p);
	streams_open++;
	bool tick = number(req, "tick", 0) > 0;
	http_body_stream(resp, 200, "application/octet-stream", tick ? &tick_ops : &pattern_ops, p,
	                 number(req, "length", HTTP_LENGTH_UNKNOWN));
	if (http_query(req, "replaced").s)
		http_error(resp, 422, "REPLACED", "another body took its place");
}

/* --- the other routes ------------------------------------------------------------------------------- */

static void get_hello(struct http_request *req, struct http_response *resp)
{
	(void)req;
	http_body_static(resp, 200, "text/plain; charset=utf-8", "hello\n", 6);
}

static void write_text(struct json *j, const char *key, struct http_text t)
{
	json_key(j, key);
	if (t.s)
		json_name(j, t.s, t.len);
	else
		json_null(j);
}

static void show_request(struct http_request *req, struct http_response *resp)
{
	struct err e = ERR_INIT;
	struct json *j = http_json(resp, 200);
	json_object(j);
	json_key_string(j, "method", http_method(req));
	json_key_bool(j, "head", http_is_head(req));
	json_key_string(j, "route", http_request_route(req)->pattern);
	write_text(j, "path", http_path(req));
	write_text(j, "id", http_param(req, "id"));
	write_text(j, "rest", http_param(req, "rest"));
	write_text(j, "q", http_query(req, "q"));
	const char *text;
	json_key_string(j, "string", http_query_string(req, "q", "none", &text, &e) < 0 ? e.msg : text);
	err_clear(&e);
	uint64_t n;
	if (http_query_u64(req, "n", 5, 100, &n, &e) < 0)
		json_key_string(j, "n", e.msg);
	else
		json_key_u64(j, "n", n);
	err_clear(&e);
	bool b;
	if (http_query_bool(req, "b", true, &b, &e) < 0)
		json_key_string(j, "b", e.msg);
	else
		json_key_bool(j, "b", b);
	json_key_string(j, "peer", http_peer(req));
	json_key_string(j, "header", http_header_in(req, "x-test"));
	json_key_string(j, "user", http_request_user(req));
	write_text(j, "body", http_body_in(req));
	json_object_end(j);
}

static void get_slow(struct http_request *req, struct http_response *resp)
{
	(void)req;
	while (hold_slow)
		usleep(1000);
	buf_adds(http_body(resp, 200, "text/plain"), "slept");
}

static void get_nothing(struct http_request *req, struct http_response *resp)
{
	(void)req;
	(void)resp;
}

static void get_overflow(struct http_request *req, struct http_response *resp)
{
	(void)req;
	struct buf *b = http_body(resp, 200, "text/plain");
	b->max = 100;
	for (int i = 0; i < 1000; i++)
		buf_addc(b, 'x');
}

static void get_entity(struct http_request *req, struct http_response *resp)
{
	static const char text[] = "abcdefghijklmnopqrstuvwxyz";
	const struct http_entity entity = {.size = 26, .etag = "tag-1", .modified = 784111777};
	struct http_range range;
	http_disposition(resp, "attachment", "alphabet.txt", 12);
	if (http_conditional(req, resp, &entity, &range))
		http_body_static(resp, http_status_get(resp), "text/plain", text + range.off, range.len);
}

static const struct http_route routes[] = {
	{"GET", "/hello", get_hello, HTTP_ROUTE_INLINE},
	{"GET", "/show", show_request, 0},
	{"POST", "/show", show_request, 0},
	{"GET", "/items/{id}", show_request, 0},
	{"DELETE", "/items/{id}", show_request, 0},
	{"GET", "/items/special", show_request, HTTP_ROUTE_INLINE},
	{"GET", "/items/{id}/files", show_request, 0},
	{"GET", "/files/{rest*}", show_request, 0},
	{"GET", "/files/index", show_request, 0},
	{"GET", "/stream", get_stream, 0},
	{"GET", "/slow", get_slow, 0},
	{"GET", "/nothing", get_nothing, 0},
	{"GET", "/overflow", get_overflow, 0},
	{"GET", "/entity", get_entity, 0},
	{"GET", "/private", get_hello, 1 << 8},
};

static bool before(struct http_request *req, struct http_response *resp, unsigned flags)
{
	if (flags & 1 << 8) {
		http_error(resp, 401, "UNAUTHORIZED", "say who you are");
		http_header(resp, "WWW-Authenticate", "Bearer");
		return false;
	}
	http_request_set_user(req, strdup("somebody"), free);
	return true;
}

static void finish(const struct http_request *req, struct http_response *resp)
{
	(void)req;
	http_header(resp, "X-Content-Type-Options", "nosniff");
}

static void done(const struct http_request *req, unsigned status, uint64_t bytes, bool complete)
{
	(void)req;
	(void)status;
	(void)bytes;
	done_count++;
	if (!complete)
		done_incomplete++;
}

void fixture_start(struct http_config config)
{
	struct err e = ERR_INIT;
	if (!config.listen)
		config.listen = "127.0.0.1:0";
	config.routes = routes;
	config.route_count = sizeof(routes) / sizeof(routes[0]);
	config.before = before;
	config.finish = finish;
	config.done = done;
	done_count = done_incomplete = closed_incomplete = 0;
	assert_ok(http_server_start(&config, &server, &e), &e);
	assert_int_not_equal(http_server_port(server), 0);
}

void fixture_stop(void)
{
	http_server_stop(server, 10000);
	server = NULL;
	assert_int_equal(streams_open, 0);
}

/* --- the client ------------------------------------------------------------------------------------- */

int client_connect_to(const char *host, unsigned port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	inet_pton(AF_INET, host, &in.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	/* A test that fails shall end. */
	struct timeval limit = {.tv_sec = 60};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int client_connect(void)
{
	int fd = client_connect_to("127.0.0.1", http_server_port(server));
	assert_true(fd >= 0);
	return fd;
}

void client_send(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;          /* the server may have answered and closed before all was sent */
		p += n;
		len -= (size_t)n;
	}
}

void client_sends(int fd, const char *text)
{
	client_send(fd, text, strlen(text));
}

char *client_read_all(int fd, size_t *ret_len, bool *ret_reset)
{
	struct buf b = BUF_INIT(1 << 30);
	ssize_t n;
	for (;;) {
		char *to = buf_reserve(&b, 1 << 16);
		assert_non_null(to);
		n = recv(fd, to, 1 << 16, 0);
		if (n <= 0)
			break;
		b.len += (size_t)n;
	}
	if (n < 0 && errno != ECONNRESET)
		fail_msg("no end of the answer: %s", strerror(errno));
	if (ret_len)
		*ret_len = b.len;
	if (ret_reset)
		*ret_reset = n < 0;
	return buf_detach(&b);
}

char *client_ask(const char *text, size_t *ret_len)
{
	int fd = client_connect();
	client_sends(fd, text);
	char *response = client_read_all(fd, ret_len, NULL);
	close(fd);
	return response;
}

unsigned status_of(const char *response)
{
	unsigned status = 0;
	return sscanf(response, "HTTP/1.%*d %u", &status) == 1 ? status : 0;
}

const char *body_of(const char *response)
{
	const char *end = strstr(response, "\r\n\r\n");
	assert_non_null(end);
	return end + 4;
}

char *header_of(const char *response, const char *name)
{
	const char *end = strstr(response, "\r\n\r\n");
	size_t len = strlen(name);
	for (const char *p = strstr(response, "\r\n"); p && p < end; p = strstr(p + 2, "\r\n"))
		if (strncasecmp(p + 2, name, len) == 0 && p[2 + len] == ':') {
			const char *value = p + 3 + len + strspn(p + 3 + len, " ");
			return strndup(value, strcspn(value, "\r"));
		}
	return NULL;
}
