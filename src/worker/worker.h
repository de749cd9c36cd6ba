/* worker: one process per mount; reads the disks of one restore point for a client it does not know.
 *
 *	main thread     receives frames, starts jobs, cancels; never touches a byte of a guest
 *	job threads     one per running request (a handful at most), made on demand, ended when idle
 *	the gate        one at a time uses the filesystems; first come, first served, so that a long archive
 *	                and a listing share fairly. Compression and waiting for the reader happen outside it.
 *
 * The process ends when the client's end of the socket closes, on a frame that breaks the protocol, or when the
 * sandbox ends it.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "base/err.h"
#include "blk/blk.h"
#include "fs/fs.h"
#include "image/image.h"
#include "volume/volume.h"
#include "wire/ring.h"
#include "wire/wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
	WORKER_JOBS_MAX = 192,           /* requests at once; one more is refused with ERR_LIMIT */
	WORKER_STACK = 512 << 10,
	WORKER_THREAD_IDLE_MS = 2000,
};

/* --- gate.c --- */

/* One thread at a time in the images and filesystems. Who answers a question goes before those who copy and walk, which take
 * turns; of these one is let in at the latest after GATE_IN_A_ROW questions. */
enum { GATE_BULK = 64, GATE_IN_A_ROW = 32 };

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t asking;
	pthread_cond_t bulk[GATE_BULK];      /* by ticket: only the next one is woken */
	uint64_t next, serving;              /* tickets of the bulk ones */
	unsigned asking_count, in_a_row;
	bool busy;
};

void gate_init(struct gate *g);
void gate_enter(struct gate *g);
void gate_enter_bulk(struct gate *g);
void gate_leave(struct gate *g);

/* --- disks.c: the images, volumes and filesystems --- */

struct disk {
	struct image_layer **layers;     /* newest first, until opened */
	unsigned layer_count;
	int *fds;                        /* owned: layers and data files */
	unsigned fd_count;
	char name[WIRE_DISK_NAME_LEN];   /* what people call it; "": by its number */
	char missing[WIRE_MISSING_LEN];  /* why it is not there; "" where it is */
	bool sealed;                     /* its image is encrypted: the bytes come with UNLOCK_SOURCE */
};

struct volume_fs {                       /* one per volume, by number - 1 */
	struct fs *fs;
	struct err error;                /* why it cannot be opened, once tried */
	/* parts.c: of a filesystem that lies on several volumes */
	unsigned part_of;                /* the volume that stands for it; 0: this one does */
	unsigned others;                 /* it was opened with */
	bool is_head;
};

struct disks {
	struct disk disk[VOLUME_DISKS_MAX];
	unsigned count;
	struct blk *blks[VOLUME_DISKS_MAX];
	struct volume_set *set;
	struct volume_fs *fs;
	unsigned default_volume;
	struct fs **retired;             /* opened again since, with more parts */
	unsigned retired_count;
};

/* Takes fd over, also on failure. */
int disks_add_layer(struct disks *d, unsigned disk, int fd, const char *format, const struct image_layer **ret,
                    struct err *e);
int disks_add_data_file(struct disks *d, unsigned disk, unsigned layer, int fd, struct err *e);
/* What a disk is called, and where `missing` is not "", that it cannot be had and why: what came of it is dropped. It holds its
 * place, so that the numbers of the others stay. */
int disks_name(struct disks *d, unsigned disk, const char *name, const char *missing, struct err *e);
/* A file named by the layer added last. ERR_INVALID: there are not so many. */
int disks_extent(struct disks *d, unsigned disk, uint32_t index, const struct image_extent **ret, struct err *e);
/* The bytes of the foreign layer added last. *ret: it, now with its size. */
int disks_set_source(struct disks *d, unsigned disk, struct blk *source, const struct image_layer **ret, struct err *e);
/* A disk that does not open is missing from then on; an error where none does. */
int disks_open(struct disks *d, struct err *e);
/* Opens encrypted container `volume` with the raw key of its data; the numbers of what was known stay. */
int disks_unlock(struct disks *d, uint32_t volume, const uint8_t *key, size_t len, struct err *e);
/* The same for a disk whose image is encrypted: its decrypted bytes. */
int disks_unlock_source(struct disks *d, uint32_t volume, struct blk *source, struct err *e);
/* The filesystem of a volume, opened on first use. 0: the default volume. */
int disks_fs(struct disks *d, uint32_t volume, struct fs **ret, struct err *e);
void disks_close(struct disks *d);

/* --- parts.c: filesystems that lie on several volumes --- */

/* Finds what belongs together, at the beginning and whenever volumes were added. What was opened without a part that is there now
 * is opened again. */
int parts_join(struct disks *d, struct err *e);
/* Opens what is on volume i + 1, with all that belongs to it. */
int parts_open(struct disks *d, unsigned i, struct fs **ret, struct err *e);
void parts_close(struct disks *d);

/* --- bulk.c: a stream's producer --- */

struct bulk {
	struct ring ring;
	uint64_t bytes;
	uint32_t crc;                    /* CRC-32C */
	uint64_t errors;                 /* entries that could not be read */
	const atomic_bool *cancelled;
};

int bulk_write(struct bulk *o, const void *p, size_t len, struct err *e);
int bulk_reserve(struct bulk *o, uint8_t **ret_p, size_t *ret_room, struct err *e);
void bulk_commit(struct bulk *o, size_t n);

/* --- jobs --- */

struct worker;

struct job {
	struct worker *worker;
	struct job *next;
	uint32_t request;
	enum wire_type type;
	uint8_t *payload;                /* owned copy; wiped where it holds a key */
	size_t payload_len;
	struct rdr rd;                   /* over payload */
	int extra_fd;                    /* ARCHIVE, MEASURE: the paths; DATA_FILE: the image; owned; -1 */
	int layer_fds[WIRE_LAYERS_MAX];  /* LAYERS: the images; owned */
	unsigned layer_count;
	struct bulk out;                  /* streams */
	bool has_out;
	bool held;                       /* its answer waits for jobs_flush() */
	atomic_bool cancelled;
	uint64_t progress_at_ms;
};

struct listing;

enum { WORKER_HELD_MAX = 64 };

struct worker {
	int sock;
	struct buf held[WORKER_HELD_MAX];    /* answers not sent yet; main thread only */
	unsigned held_count;
	bool no_sandbox, one_thread;
	unsigned phase;                  /* main thread only */
	_Atomic unsigned next_phase;     /* set by the OPEN job, taken over by the main thread */
	struct gate gate;
	struct disks disks;              /* under the gate */
	const struct worker_source *source;
	struct listing *cached;          /* under the gate: the directory listed last */
	pthread_mutex_t lock;            /* the rest */
	pthread_cond_t work;
	struct job *queue, *running;
	unsigned job_count, threads, idle;
};

/* What only the worker for foreign images links: it reads them over a socket that the client sends. */
struct worker_source {
	void (*warm_up)(void);
	/* Takes fd over, also on failure. */
	int (*open)(int fd, struct blk **ret, struct err *e);
	/* Whether one of those has gone away since. */
	bool (*lost)(void);
};

/* Runs until the client goes away; the process's exit status. source NULL: foreign images are recognised, not read. */
int worker_main(const struct worker_source *source);
/* What it does but for what concerns the process as a whole. w: zeroes, but for sock and source. Greets the client and serves it; 0 when it
 * went away. */
int worker_run(struct worker *w, struct err *e);
/* Lets all that w holds go (sock is the caller's). False: a job still runs, nothing may be taken down under it. */
bool worker_end(struct worker *w);

/* Jobs answer with these; errors of sending mean the client is gone and are of no interest. */
void job_send(struct job *j, struct buf *b);
void job_error(struct job *j, const struct err *why);
/* The good answer, which must be the last thing a job does: fails instead where the source was lost meanwhile. */
int job_answer(struct job *j, struct buf *b, struct err *e);
/* 0, or ERR_WORKER_DIED where the source was lost. */
int job_check_source(const struct job *j, struct err *e);
void job_progress(struct job *j, uint64_t files, uint64_t bytes, uint64_t errors);
/* An entry that an archive does not hold, and why. */
void job_lost(struct job *j, const char *path, const char *code, const char *msg);
uint64_t worker_now_ms(void);
/* The warnings of the disks and of the filesystems opened so far, as OPENED and UNLOCKED carry them. */
void job_put_warnings(struct buf *b, const struct disks *d);

/* Reads the paths of an ARCHIVE or MEASURE: buf owns the bytes. */
struct path_list {
	struct buf bytes;
	struct { const char *path; size_t len; } *paths;
	size_t count;
};
int job_read_paths(struct job *j, struct path_list *ret, struct err *e);
void path_list_free(struct path_list *l);

/* The parts that do the work. 0, or negative with *e filled: the caller answers. */
int job_stat(struct job *j, struct err *e);              /* stat.c */
int job_list(struct job *j, struct err *e);              /* list.c */
int job_read(struct job *j, struct err *e);              /* read.c */
int job_archive(struct job *j, struct err *e);           /* pack.c */
int job_dump(struct job *j, struct err *e);              /* dump.c */
/* Bytes straight into the stream's slots. The gate is held while they are read, not while the client is slow. (bulk.c) */
typedef int job_read_fn(void *from, uint64_t off, void *to, size_t len, struct err *e);
int job_copy_out(struct job *j, job_read_fn *read, void *from, uint64_t off, uint64_t len, struct err *e);
int job_copy_blk(struct job *j, struct blk *b, uint64_t off, uint64_t len, struct err *e);    /* dump.c */
int job_manifest(struct job *j, struct err *e);          /* manifest.c */
int job_search(struct job *j, struct err *e);            /* search.c */
int job_measure(struct job *j, struct err *e);           /* search.c */
int job_volumes(struct job *j, struct err *e);           /* stat.c */
int job_key_areas(struct job *j, struct err *e);         /* unlock.c */
int job_unlock(struct job *j, struct err *e);            /* unlock.c */
int job_unlock_source(struct job *j, struct err *e);     /* unlock.c */
void listing_free(struct listing *l);

/* Volume, filesystem and object a request's path means, under the gate. */
int job_resolve(struct job *j, uint32_t volume, const char *path, size_t len, unsigned flags, struct fs **ret_fs,
                struct fs_id *ret_id, struct err *e);

/* What is under way of a file, in wire form; name and target are borrowed. */
struct wire_entry;
void entry_from_stat(struct wire_entry *en, const struct fs_stat *st);

#endif
