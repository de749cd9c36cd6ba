#include "hub_config.h"

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
	GRACE_MS = 5000,                 /* for requests that run when the hub is told to stop */
	EXIT_CONFIG = 2,
};

static void raise_file_limit(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int make_data_dir(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s", dir);
	for (char *p = path + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char was = *p;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return err_set_errno(e, ERR_CONFIG, errno, "hub", "cannot make the data directory %s", path);
		*p = was;
		if (was == '\0')
			break;
	}
	struct stat st;
	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, "hub", "the data directory %s is not a directory", dir);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(e, ERR_CONFIG, "hub", "the data directory %s must belong to this user and not be writable for others",
		               dir);
	return 0;
}

/* The command line on this machine finds the hub by this file: an address that means "all" is reached on loopback. */
static int write_url(const char *dir, const struct http_server *server, const char *listen, struct err *e)
{
	const char *colon = strrchr(listen, ':');
	char host[256];
	(void)snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - listen) : 9, colon ? listen : "127.0.0.1");
	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0 || host[0] == '\0')
		(void)snprintf(host, sizeof(host), "%s", host[0] == '[' ? "[::1]" : "127.0.0.1");

	char path[PATH_MAX + 16], text[512];
	(void)snprintf(path, sizeof(path), "%s/hub.url", dir);
	int len = snprintf(text, sizeof(text), "%s://%s:%u\n", http_server_tls(server) ? "https" : "http", host,
	                   http_server_port(server));
	CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text, (size_t)len) != len)
		return err_set_errno(e, errno == ENOSPC ? ERR_CATALOG_FULL : ERR_CONFIG, errno, "hub",
		                     "cannot write hub.url in the data directory");
	return 0;
}

static void log_request(const struct http_request *req, unsigned status, uint64_t bytes, bool complete)
{
	struct http_text path = http_path(req);
	log_info("request", log_str("method", http_method(req)), log_str("path", path.s ? path.s : ""),
	         log_uint("status", status), log_uint("bytes", bytes), log_bool("complete", complete),
	         log_str("peer", http_peer(req)));
}

/* Closed by default: beyond this machine only encrypted, and always with a token. */
static int check_exposure(const struct hub_options *o, const char *listen, struct err *e)
{
	if ((o->tls_cert[0] == '\0') != (o->tls_key[0] == '\0'))
		return err_set(e, ERR_CONFIG, "hub", "tls_cert and tls_key go together");
	if (http_address_is_loopback(listen) || o->tls_cert[0])
		return 0;
	return err_set(e, ERR_CONFIG, "hub",
	               "%s is not a loopback address: give a certificate (--tls-cert, --tls-key), or listen on 127.0.0.1 behind a "
	               "proxy that has one",
	               listen);
}

/* A socket handed over is where it is, whatever the settings say. */
static int find_address(const struct hub_options *o, int fd, char ret[HTTP_ADDRESS_MAX], const char **ret_listen, struct err *e)
{
	ret[0] = '\0';
	int r = fd > 0 ? http_socket_address(fd, ret, e) : 0;
	*ret_listen = ret[0] ? ret : o->listen;
	return r;
}

static void abort_work(void *api)
{
	hub_abort(((struct api *)api)->hub);
}

struct service {
	char address[HTTP_ADDRESS_MAX];
	const char *listen;              /* the address, or the setting */
	struct api api;
	struct http_server *server;
};

static void service_stop(struct service *s)
{
	http_server_stop(s->server, GRACE_MS);
	hub_close(s->api.hub);
	auth_close(s->api.auth);
	sessions_free(s->api.sessions);
	tracked_free(s->api.tracked);
	web_close(s->api.web);
}

/* Without a page the hub serves its API; a folder that was named must hold one. */
static int open_page(const char *named, struct web **ret, struct err *e)
{
	char found[PATH_MAX];
	const char *dir = named[0] ? named : web_find_dir(found, sizeof(found));
	return dir ? web_open(dir, ret, e) : 0;
}

static int service_start(struct service *s, const struct hub_options *o, struct err *e)
{
	struct hub_config hc = {
		.data_dir = o->data_dir,
		.max_mounts = o->max_mounts,
		.idle_timeout_s = o->idle_timeout_s,
		.cleanup_interval_s = o->cleanup_interval_s,
		.worker_idle_s = o->worker_idle_s,
		.call_timeout_ms = o->worker_timeout_s * 1000,
		.no_sandbox = getenv("SENDENSE_NO_SANDBOX") != NULL, /* a worker of an ordinary build refuses this */
	};
	struct http_config config = {
		.listen = o->listen,
		.listen_fd = sd_listen_fds(1) == 1 ? SD_LISTEN_FDS_START : -1,
		.tls_cert_file = o->tls_cert[0] ? o->tls_cert : NULL,
		.tls_key_file = o->tls_key[0] ? o->tls_key : NULL,
		.routes = api_routes,
		.route_count = api_route_count,
		.arg = &s->api,
		.before = api_before,
		.finish = api_finish,
		.done = log_request,
		.abort = abort_work,
		.connections_max = o->connections_max,
	};
	s->api.started_at = clock_now_us();
	int r = find_address(o, config.listen_fd, s->address, &s->listen, e);
	if (r == 0)
		r = check_exposure(o, s->listen, e);
	if (r == 0)
		r = make_data_dir(o->data_dir, e);
	if (r == 0)
		r = hub_open(&hc, &s->api.hub, e);
	if (r == 0)
		r = auth_open(o->data_dir, &s->api.auth, e);
	if (r == 0)
		r = sessions_new(&s->api.sessions, e);
	if (r == 0)
		r = tracked_new(&s->api.tracked, e);
	if (r == 0)
		r = open_page(o->web_dir, &s->api.web, e);
	if (r == 0)
		r = http_server_start(&config, &s->server, e);
	if (r == 0)
		r = write_url(o->data_dir, s->server, s->listen, e);
	return r;
}

static int serve(const struct hub_options *o)
{
	/* All threads leave these two to the wait below. */
	sigset_t stop;
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTERM);
	(void)sigaddset(&stop, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
	(void)signal(SIGPIPE, SIG_IGN);

	struct err e = ERR_INIT;
	struct service s = {.server = NULL};
	int r = service_start(&s, o, &e);
	if (r < 0) {
		log_error("the hub cannot start", log_err(&e));
		service_stop(&s);
		return r == ERR_CONFIG ? EXIT_CONFIG : EXIT_FAILURE;
	}
	log_info("the hub is ready", log_str("listen", s.listen), log_uint("port", http_server_port(s.server)),
	         log_str("data_dir", o->data_dir), log_str("version", SENDENSE_VERSION));
	(void)sd_notify(0, "READY=1");

	int got = 0;
	(void)sigwait(&stop, &got);
	log_info("the hub stops", log_str("signal", got == SIGINT ? "SIGINT" : "SIGTERM"));
	(void)sd_notify(0, "STOPPING=1");
	service_stop(&s);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	standard_open();
	struct hub_options o;
	struct err e = ERR_INIT;
	if (hub_options_parse(argc, argv, &o, &e) < 0) {
		(void)fprintf(stderr, "sendense-hub: %s\n", e.msg);
		return EXIT_CONFIG;
	}
	if (o.help || o.version) {
		if (o.help)
			hub_options_usage();
		else
			(void)printf("sendense-hub %s\n", SENDENSE_VERSION);
		return EXIT_SUCCESS;
	}
	enum log_level level;
	if (!log_level_from_name(o.log_level, &level)) {
		(void)fprintf(stderr, "sendense-hub: log_level is debug, info, warn or error, not \"%s\"\n", o.log_level);
		return EXIT_CONFIG;
	}
	log_set_level(level);
	(void)umask(077);
	raise_file_limit();
	return serve(&o);
}
