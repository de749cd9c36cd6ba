/* The worker's system call filter, compiled by make_filter.c when the program is built: with libseccomp at run time it would take
 * as long as everything else of the sandbox together.
 *
 * Classic BPF as of seccomp(2), for the architecture of the build. FILTER_OWN_PID stands once in each program, where the number
 * of the process belongs; who loads it puts that in.
 */
#ifndef WORKER_FILTER_H
#define WORKER_FILTER_H

#include <linux/filter.h>

enum {
	/* The self-test's questions: an argument no honest call has. The filter answers them with EPERM, a kernel without the
	 * filter with another error. */
	FILTER_PROBE_DIRFD = -4242,
	FILTER_PROBE_DOMAIN = 4242,
	FILTER_OWN_PID = 0x3fedc0de,     /* no process has it: pid_max is at most 2^22 */
};

extern struct sock_filter filter_plain[], filter_with_sockets[];
extern const unsigned short filter_plain_count, filter_with_sockets_count;

#endif
