/* imagehelper: how a client (session) starts sendense-imagehelper, which keeps qemu-nbd at work on one image.
 *
 *	sendense-imagehelper FORMAT FILES [LAYERS]
 *
 * FORMAT: "vmdk", "vhd", "vhdx", "vdi", "qed", "qcow"; FILES: how many descriptors from IMAGEHELPER_FILE_FD on hold the image, the
 * first of them its head. A VMDK of several files has a descriptor written by the client in front, which names the others
 * /proc/self/fd/N.
 *
 * FORMAT "qcow2" is a chain with LUKS-encrypted layers: LAYERS has a letter for each layer, newest first (enum
 * imagehelper_layer); behind the layers' descriptors stands one more, the end of a pipe to read the passphrase from.
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
	IMAGEHELPER_LAYERS_MAX = 256,        /* = IMAGE_SEALED_LAYERS_MAX */

	/* Its exit status. */
	IMAGEHELPER_ENDED = 0,               /* the client is gone, or qemu-nbd had nobody left to serve */
	IMAGEHELPER_FAILED = 1,              /* qemu-nbd says why */
	IMAGEHELPER_NO_QEMU = 3,
	IMAGEHELPER_NO_SANDBOX = 4,
	IMAGEHELPER_SIGNAL = 128,            /* and above: the signal of this number less 128 ended qemu-nbd */
};

enum imagehelper_layer {
	IMAGEHELPER_LUKS = 'e',              /* QCOW2, encrypted */
	IMAGEHELPER_PLAIN = 'q',             /* QCOW2, not encrypted */
	IMAGEHELPER_RAW = 'r',               /* the last one only */
};

#endif
