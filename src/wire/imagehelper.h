/* imagehelper: how a client (session) starts sendense-imagehelper, which keeps qemu-nbd at work on one image.
 *
 *	sendense-imagehelper FORMAT FILES
 *
 * FORMAT: "vmdk", "vhd", "vhdx", "vdi", "qed", "qcow"; FILES: how many descriptors from IMAGEHELPER_FILE_FD on hold the image, the
 * first of them its head. A VMDK of several files has a descriptor written by the client in front, which names the others
 * /proc/self/fd/N.
 *
 * It lives as long as the other end of IMAGEHELPER_CONTROL_FD, on which nothing is said, and no longer than qemu-nbd. What goes
 * wrong it writes to standard error, one sentence a line. */
#ifndef WIRE_IMAGEHELPER_H
#define WIRE_IMAGEHELPER_H

enum {
	IMAGEHELPER_LISTEN_FD = 3,           /* a listening socket with one connection waiting: the number is systemd's convention */
	IMAGEHELPER_CONTROL_FD = 4,
	IMAGEHELPER_FILE_FD = 5,
	IMAGEHELPER_FILES_MAX = 513,

	/* Its exit status. */
	IMAGEHELPER_ENDED = 0,               /* the client is gone, or qemu-nbd had nobody left to serve */
	IMAGEHELPER_FAILED = 1,              /* qemu-nbd says why */
	IMAGEHELPER_NO_QEMU = 3,
	IMAGEHELPER_NO_SANDBOX = 4,
	IMAGEHELPER_KILLED = 5,              /* qemu-nbd was ended by a signal */
};

#endif
