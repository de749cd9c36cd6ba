#include "http/internal.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- connections ---------------------------------------------------------------------------------- */

static void print_peer(const struct sockaddr *sa, char *to)
{
	(void)strcpy(to, "unknown");
	if (sa && sa->sa_family == AF_INET) {
		const struct in_addr *a = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
		(void)inet_ntop(AF_INET, a, to, INET6_ADDRSTRLEN);
	} else if (sa && sa->sa_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(a))
			(void)inet_ntop(AF_INET, a->s6_addr + 12, to, INET6_ADDRSTRLEN);
		else
			(void)inet_ntop(AF_INET6, a, to, INET6_ADDRSTRLEN);
	}
}

static void conn_started(struct http_server *s, struct MHD_Connection *mhd, void **context)
{
	struct http_conn *c = calloc(1, sizeof(*c));
	if (!c)
		return;            /* its first request is then refused */
	c->server = s;
	c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	c->since = clock_mono_ms();
	print_peer(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, c->peer);
	(void)pthread_mutex_lock(&s->lock);
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	s->conn_count++;
	(void)pthread_mutex_unlock(&s->lock);
	*context = c;
}

static void conn_closed(struct http_server *s, struct http_conn *c)
{
	if (!c)
		return;
	(void)pthread_mutex_lock(&s->lock);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->conn_count--;
	(void)pthread_mutex_unlock(&s->lock);
	free(c);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		conn_started(cls, mhd, context);
	else
		conn_closed(cls, *context);
}

/* --- one request ---------------------------------------------------------------------------------- */

/* The request line is in. What is returned becomes the request's pointer in all later callbacks. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct http_server *s = cls;
	struct http_conn *c = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	struct http_request *r = c ? request_new(s, target) : NULL;
	if (!r)
		return NULL;
	r->conn = c;
	r->mhd = mhd;
	(void)pthread_mutex_lock(&s->lock);
	c->req = r;
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

static void run_handler(struct http_request *r)
{
	const struct http_config *c = &r->server->config;
	if (!c->before || c->before(r, &r->resp, r->route->flags))
		r->route->handler(r, &r->resp);
}

static void finish_response(struct http_request *r)
{
	const struct http_config *c = &r->server->config;
	if (c->finish)
		c->finish(r, &r->resp);
	atomic_store(&r->stage, STAGE_READY);
}

static void run_job(struct job *job)
{
	struct http_request *r = (struct http_request *)job;     /* its first member */
	run_handler(r);
	finish_response(r);
	request_wake(r);
}

/* Answers from within the network thread. */
static enum MHD_Result answer_now(struct http_request *r)
{
	finish_response(r);
	return response_queue(r);
}

static enum MHD_Result answer_by_job(struct http_request *r)
{
	atomic_store(&r->stage, STAGE_JOB);
	MHD_suspend_connection(r->mhd);
	atomic_store(&r->suspended, true);
	r->job.run = run_job;
	if (!jobs_submit(r->server->jobs, &r->job)) {
		http_error(&r->resp, 503, "OVERLOADED", "the hub cannot take this request now");
		finish_response(r);
		request_wake(r);
	}
	return MHD_YES;
}

/* Counts the request in; false: the server stops. */
static bool count_in(struct http_request *r)
{
	struct http_server *s = r->server;
	(void)pthread_mutex_lock(&s->lock);
	bool stopping = s->stopping;
	s->active++;
	r->counted = true;
	(void)pthread_mutex_unlock(&s->lock);
	return !stopping;
}

/* The request is complete. */
static enum MHD_Result dispatch(struct http_request *r)
{
	const char *why;
	if (!count_in(r)) {
		http_error(&r->resp, 503, "STOPPING", "the hub is stopping");
		http_header(&r->resp, "Connection", "close");
		return answer_now(r);
	}
	if (r->too_large) {
		http_error(&r->resp, 413, "BODY_TOO_LARGE", "the body may have at most %zu bytes",
		           r->server->config.body_max);
		return answer_now(r);
	}
	unsigned status = request_parse(r, &why);
	if (status != 0) {
		http_error(&r->resp, status, status == 503 ? "NO_MEMORY" : "BAD_REQUEST", "%s", why);
		return answer_now(r);
	}
	if (!route_request(r))
		return answer_now(r);
	if (r->route->flags & HTTP_ROUTE_INLINE) {
		run_handler(r);
		return answer_now(r);
	}
	return answer_by_job(r);
}

struct framing {
	unsigned lengths, encodings;
	uint64_t length;
};

static enum MHD_Result look_at_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct framing *f = cls;
	(void)kind;
	if (strcasecmp(name, "Content-Length") == 0) {
		f->lengths++;
		f->length = value ? strtoull(value, NULL, 10) : 0;
	} else if (strcasecmp(name, "Transfer-Encoding") == 0) {
		f->encodings++;
	}
	return MHD_YES;
}

/* The head is in; a body may follow. An answer given here closes the connection after it. */
static enum MHD_Result begin(struct http_request *r, const char *method, const char *version)
{
	r->begun = true;
	r->http10 = strcmp(version, "HTTP/1.0") == 0;
	r->head = strcmp(method, "HEAD") == 0;
	if (strlen(method) < METHOD_MAX)
		(void)strcpy(r->method, method);
	struct framing f = {0};
	(void)MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, look_at_header, &f);
	if (f.lengths + f.encodings > 1) {
		/* RFC 9112, 6.3: what a proxy before us took for the end may not be what we take for it. */
		(void)count_in(r);
		http_error(&r->resp, 400, "BAD_REQUEST", "the request tells the length of its body twice");
		return answer_now(r);
	}
	if (f.length > r->server->config.body_max) {
		r->too_large = true;
		return dispatch(r);
	}
	return MHD_YES;
}

/* A body that is too large is read on, so that the client reads the answer, but not for ever. */
static enum MHD_Result take_body(struct http_request *r, const char *data, size_t *len)
{
	if (!r->too_large && *len > r->body.max - r->body.len)
		r->too_large = true;
	if (r->too_large) {
		r->discarded += *len;
		if (r->discarded / DISCARD_MAX > r->server->config.body_max)
			return MHD_NO;
	} else {
		buf_add(&r->body, data, *len);
		if (r->body.failed)
			return MHD_NO;
	}
	*len = 0;
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *len, void **context)
{
	(void)cls;
	(void)mhd;
	(void)url;
	struct http_request *r = *context;
	if (!r)
		return MHD_NO;
	if (!r->begun)
		return begin(r, method, version);
	if (*len > 0)
		return take_body(r, data, len);
	switch (atomic_load(&r->stage)) {
	case STAGE_RECEIVING:
		return dispatch(r);
	case STAGE_READY:
		return response_queue(r);
	default:
		return MHD_YES;
	}
}

/* The last byte was sent, or the connection is lost. */
static void on_completed(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
	struct http_server *s = cls;
	struct http_request *r = *context;
	(void)mhd;
	if (!r)
		return;
	*context = NULL;
	struct http_response *resp = &r->resp;
	bool sending = atomic_load(&r->stage) == STAGE_SENDING;
	bool whole = resp->kind != BODY_STREAM || r->head || resp->ended || resp->length == 0;
	bool complete = sending && whole && code == MHD_REQUEST_TERMINATED_COMPLETED_OK;

	(void)pthread_mutex_lock(&s->lock);
	r->conn->req = NULL;
	r->conn->since = clock_mono_ms();
	(void)pthread_mutex_unlock(&s->lock);
	if (r->streams)
		atomic_fetch_sub_explicit(&s->streams, 1, memory_order_relaxed);
	bool counted = r->counted;
	if (counted && s->config.done)
		s->config.done(r, resp->status, r->head ? 0 : resp->sent, complete);
	response_release(resp, complete);
	request_free(r);
	if (!counted)
		return;
	(void)pthread_mutex_lock(&s->lock);
	if (--s->active == 0)
		(void)pthread_cond_broadcast(&s->drained);
	(void)pthread_mutex_unlock(&s->lock);
}

/* Everything is decoded here: request.c. */
static size_t no_unescape(void *cls, struct MHD_Connection *mhd, char *s)
{
	(void)cls;
	(void)mhd;
	return strlen(s);
}

/* --- start and stop ------------------------------------------------------------------------------- */

static void set_defaults(struct http_config *c)
{
	if (c->threads == 0) {
		long cpus = sysconf(_SC_NPROCESSORS_ONLN);
		c->threads = cpus > 8 ? 8 : (unsigned)cpus;
	}
	if (c->threads < 2)
		c->threads = 2;        /* libmicrohttpd knows no pool of one */
	if (c->jobs_max == 0)
		c->jobs_max = HTTP_JOBS_MAX;
	if (c->connections_max == 0)
		c->connections_max = 10000;
	if (c->connections_max < c->threads)
		c->connections_max = c->threads;
	if (c->connection_memory == 0)
		c->connection_memory = 64 << 10;
	if (c->body_max == 0)
		c->body_max = 1 << 20;
	if (c->idle_seconds == 0)
		c->idle_seconds = 60;
	if (c->request_seconds == 0)
		c->request_seconds = 30;
}

static int load_tls(struct http_server *s, struct err *e)
{
	const struct http_config *c = &s->config;
	if (!c->tls_cert_file && !c->tls_key_file)
		return 0;
	if (!c->tls_cert_file || !c->tls_key_file)
		return err_set(e, ERR_CONFIG, "http", "TLS needs both a certificate and a key");
	s->cert = read_pem(c->tls_cert_file, "certificate", e);
	if (s->cert)
		s->key = read_pem(c->tls_key_file, "key", e);
	s->tls = s->key;
	return s->tls ? 0 : e->code;
}

static struct MHD_Daemon *start_daemon(struct http_server *s)
{
	const struct http_config *c = &s->config;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, s->cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, s->key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
		{MHD_OPTION_END, 0, NULL},
	};
	if (!s->tls)
		tls[0].option = MHD_OPTION_END;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | (s->tls ? MHD_USE_TLS : 0u);
	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, s,
	                        MHD_OPTION_LISTEN_SOCKET, s->listen_fd,
	                        MHD_OPTION_THREAD_POOL_SIZE, c->threads,
	                        MHD_OPTION_CONNECTION_LIMIT, c->connections_max,
	                        MHD_OPTION_PER_IP_CONNECTION_LIMIT, c->connections_per_ip_max,
	                        MHD_OPTION_CONNECTION_TIMEOUT, c->idle_seconds,
	                        MHD_OPTION_CONNECTION_MEMORY_LIMIT, c->connection_memory,
	                        MHD_OPTION_STRICT_FOR_CLIENT, 1,
	                        MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL,
	                        MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
	                        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
	                        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
	                        MHD_OPTION_ARRAY, tls,
	                        MHD_OPTION_END);
}

/* Listening, keys, threads. What it made, server_free undoes. */
static int start(struct http_server *s, struct err *e)
{
	const struct http_config *c = &s->config;
	int r = load_tls(s, e);
	if (r == 0 && s->own_listen)
		r = listen_open(c->listen, &s->listen_fd, &s->port, e);
	else if (r == 0)
		r = listen_adopt(s->listen_fd, &s->port, e);
	if (r < 0)
		return r;
	s->jobs = jobs_new(c->jobs_max);
	if (!s->jobs)
		return err_no_memory(e, "http");

	/* Signals are for the program's own threads. */
	sigset_t all, old;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	int failed = pthread_create(&s->watcher, NULL, watch_main, s);
	if (failed == 0)
		s->daemon = start_daemon(s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (failed != 0)
		return err_set_errno(e, ERR_INTERNAL, failed, "http", "cannot start a thread");
	if (s->daemon)
		return 0;
	(void)pthread_mutex_lock(&s->lock);
	s->quit = true;
	(void)pthread_cond_signal(&s->tick);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->watcher, NULL);
	if (s->tls)
		return err_set(e, ERR_CONFIG, "http",
		               "the server did not start: certificate and key do not fit, or are not PEM");
	return err_set(e, ERR_CONFIG, "http", "the server did not start");
}

static void server_free(struct http_server *s)
{
	jobs_free(s->jobs);
	if (s->listen_fd >= 0)
		(void)close(s->listen_fd);
	free(s->cert);
	if (s->key)
		explicit_bzero(s->key, strlen(s->key));
	free(s->key);
	(void)pthread_cond_destroy(&s->drained);
	(void)pthread_cond_destroy(&s->tick);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

int http_server_start(const struct http_config *config, struct http_server **ret, struct err *e)
{
	struct http_server *s = calloc(1, sizeof(*s));
	if (!s)
		return err_no_memory(e, "http");
	s->config = *config;
	set_defaults(&s->config);
	s->own_listen = config->listen_fd <= 0;
	s->listen_fd = s->own_listen ? -1 : config->listen_fd;
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->drained, &attr);
	(void)pthread_cond_init(&s->tick, &attr);
	(void)pthread_condattr_destroy(&attr);
	int r = start(s, e);
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* Waits until no request runs, at most so long. Under the lock. */
static void wait_drained(struct http_server *s, unsigned ms)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (s->active > 0 && pthread_cond_timedwait(&s->drained, &s->lock, &until) != ETIMEDOUT)
		;
}

void http_server_stop(struct http_server *s, unsigned grace_ms)
{
	if (!s)
		return;
	(void)MHD_quiesce_daemon(s->daemon);
	if (s->own_listen)
		(void)shutdown(s->listen_fd, SHUT_RDWR);       /* refused at once, not left in the backlog */
	(void)pthread_mutex_lock(&s->lock);
	s->stopping = true;
	wait_drained(s, grace_ms);

	/* From here no body suspends its connection: wait_for_body looks at `aborting` after it has suspended. */
	atomic_store(&s->aborting, true);
	s->quit = true;
	(void)pthread_cond_signal(&s->tick);
	for (struct http_conn *c = s->conns; c; c = c->next)
		if (c->req && atomic_load(&c->req->stage) == STAGE_SENDING)
			request_wake(c->req);
	(void)pthread_mutex_unlock(&s->lock);
	if (s->config.abort)
		s->config.abort(s->config.arg);
	(void)pthread_join(s->watcher, NULL);
	/* Each job resumes the connection it worked for, so that libmicrohttpd finds none suspended. */
	jobs_stop(s->jobs);
	MHD_stop_daemon(s->daemon);
	server_free(s);
}

unsigned http_server_port(const struct http_server *s)
{
	return s->port;
}

bool http_server_tls(const struct http_server *s)
{
	return s->tls;
}

struct http_stats http_server_stats(struct http_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	struct http_stats st = {.connections = s->conn_count, .requests = s->active};
	(void)pthread_mutex_unlock(&s->lock);
	st.jobs = jobs_threads(s->jobs);
	return st;
}
