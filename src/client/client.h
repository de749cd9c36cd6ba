/* client: the command line's hub group, `sendense backup|mount|ls|get|…`: a hub's REST interface at a terminal.
 *
 *	args.c  which command, which options        locate.c  which hub, which token
 *	call.c  one HTTP request (libcurl)          doc.c     an answer's JSON (json-c)
 *	print.c tables and names for people         get.c fetch.c pack.c part.c  files out of a mount
 *
 * The token goes to the hub's URL alone: no redirect is followed, and plain http is for loopback addresses only.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

/* The fixed exit statuses; the same numbers as of `sendense image`. */
enum client_status {
	CLIENT_OK = 0,
	CLIENT_SOME_FAILED = 1,          /* some entries could not be read */
	CLIENT_USAGE = 2,
	CLIENT_NOT_FOUND = 3,            /* no such backup, mount, volume, path, … */
	CLIENT_FAILED = 4,               /* no hub, no permission, an unreadable image, a broken transfer, … */
};

/* The whole program. Gives the exit status. */
int client_main(int argc, char **argv);

#endif
