/* What files held: digests, and what else is learnt from the bytes as they pass. */
#ifndef HPS_RECORDER_CONTENT_H
#define HPS_RECORDER_CONTENT_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "hps/ledger.h"
#include "recorder/gap.h"

/* ---- opcodes.c: instructions that give random numbers without a system call ---- */
struct hps_opcodes;
/* head: the n first bytes of what fd is open on. NULL: no x86-64 ELF file. */
struct hps_opcodes *hps_opcodes_new(int fd, const char *head, size_t n);
void hps_opcodes_block(struct hps_opcodes *o, const void *block, size_t n, uint64_t offset); /* in order, from 0 on, without a hole */
bool hps_opcodes_end(struct hps_opcodes *o); /* were there any? NULL: no */

/* ---- hasher.c: the digest of what a file held at one moment --------------------------------------------------------- */

enum hps_content_state {
	HPS_CONTENT_QUEUED, /* waits for the hasher, or is paused between two chunks */
	HPS_CONTENT_BUSY,
	HPS_CONTENT_DONE,
	HPS_CONTENT_CHANGED, /* did not keep its identity while it was hashed: the digest is of what was read */
	HPS_CONTENT_FAILED,  /* could not be read: no digest */
};
struct hps_content {
	struct hps_identity id;
	union {
		struct hps_digest digest; /* when it is DONE or CHANGED */
		struct hps_hashing *job;  /* before */
	};
	struct hps_content *next; /* of its chain */
	_Atomic int state; /* enum hps_content_state */
	_Atomic bool wanted; /* somebody waits: the hasher hands the job over after its chunk */
	/* From here on whose turn it is alone changes them: who makes it, who hashes it, and then the main thread. */
	bool store : 1;	     /* its bytes belong into the content store */
	bool stored : 1, shared_object : 1; /* results, valid when DONE */
	bool draws : 1;	     /* so is this: has the bytes of RDRAND or RDSEED */
	bool secret : 1;     /* credentials, or holds some: never stored */
	bool guessable : 1;  /* a secret whose digest is not written down either */
	bool cached : 1;     /* the digest came from the cache */
};
/* The same bytes, as far as their own times tell: a new name, link or mode moves the change time alone. */
bool hps_content_is(const struct hps_content *c, const struct stat *s);

#define HPS_STORE_MAX (256ll << 20) /* of an input; larger ones are not stored */
struct hps_hasher;
struct hps_redactor;
/* objects may be NULL (nothing is stored). The thread starts at once, at idle priority. */
struct hps_hasher *hps_hasher_new(int proc_fd, struct hps_objects *objects, struct hps_cache *cache, struct hps_gaps *gaps);
void hps_hasher_redact(struct hps_hasher *h, const struct hps_redactor *redactor); /* looks for its secrets in what is stored; before the first add */
enum hps_keep { HPS_KEEP_DIGEST, HPS_KEEP_CONTENT, HPS_KEEP_SECRET }; /* the last: credentials; copies of them are not stored either */
struct hps_news;
void hps_hasher_tell(struct hps_hasher *h, struct hps_news *news); /* tells it what it has hashed; before the first add */
struct hps_layers;
void hps_hasher_layers(struct hps_hasher *h, const struct hps_layers *layers); /* of a rerun's view; before the first add */
struct hps_told {
	char kind; /* of news: 'P' or 'F' */
	const char *path;
};
/* The content that fd holds now; queued for hashing when it is new, or `again` (stores through a mapping move no clock). fd is
 * not kept: it is opened again, for a duplicate would share the offset and the locks with the program. told: when it had to be hashed it
 * is told as this file's; NULL: as nobody's. Call from one thread at a time. */
struct hps_content *hps_hasher_add(struct hps_hasher *h, int fd, const struct stat *s, enum hps_keep keep, bool again, const struct hps_told *told);
/* Returns when no content of this inode waits to be hashed: a writer may pass. */
void hps_hasher_barrier(struct hps_hasher *h, dev_t dev, ino_t ino);
void hps_hasher_wait(struct hps_hasher *h, struct hps_content *c); /* until it is hashed; does it here if it is not begun */
uint64_t hps_hasher_progress(struct hps_hasher *h); /* grows while something is hashed or stored */
pid_t hps_hasher_tid(const struct hps_hasher *h);   /* of its thread; 0 until it runs */
struct hps_progress;
/* Hashes all that is queued, ends the thread; add() then hashes at once. progress: in MiB, or NULL. */
void hps_hasher_finish(struct hps_hasher *h, struct hps_progress *progress);
void hps_hasher_free(struct hps_hasher *h);   /* and all contents */

/* ---- layers.c: the system's files in a rerun's view (for hps-replay) ---- */

int hps_layers_load(const char *file, struct hps_layers **ret, struct hps_error *err) HPS_MUST;
/* The system's file at `path` is what the view shows there, nobody has changed the view's since it was made, and the cache knows its
 * digest, which is the one that hps-replay found. False: it must be hashed, perhaps as one of the cache's sample. */
bool hps_layers_known(const struct hps_layers *l, struct hps_cache *cache, const char *path, const struct stat *shown, struct hps_cached *ret);
void hps_layers_free(struct hps_layers *l);

#endif
