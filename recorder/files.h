/* Paths, the files that they named, which of them were one, and where names lead. */
#ifndef HPS_RECORDER_FILES_H
#define HPS_RECORDER_FILES_H

#include "recorder/content.h"

#define HPS_PATH_CAP 4160 /* PATH_MAX and " (deleted)" */

/* ---- inodes.c: files, whatever their names -------------------------------------------------------------------------------- */

/* One file of the file system. The trial changes it under one name and it is changed under all. */
struct hps_inode {
	ino_t ino;
	struct hps_content *first; /* before the trial changed it, as far as that was read */
	struct hps_file *names;	   /* inputs that were this file when first seen */
	struct hps_inode *next;	   /* of the chain */
	uint32_t dev;		   /* the kernel's numbers have no more bits */
	unsigned born : 29;	   /* of one that the trial changed, a number that stands for when it was made: numbers are given out again; 0: not known */
	bool made : 1, written : 1, gone : 1; /* by the trial: created; changed, content or mode; removed under its last name */
};
struct hps_inodes {
	struct hps_inode **chains;
	size_t n, n_chains;
	struct hps_arena arena;
};
struct hps_inode *hps_inode_find(const struct hps_inodes *t, dev_t dev, ino_t ino); /* NULL: never seen */
/* Made when it is new. fd is open on it; -1 when it is certain that the number was not given out again. */
struct hps_inode *hps_inode_get(struct hps_inodes *t, int fd, const struct stat *s);
void hps_inode_made(struct hps_inodes *t, int fd, const struct stat *s); /* just now, by the trial */
void hps_inode_written(struct hps_inode *inode, int fd);
void hps_inode_gone(struct hps_inodes *t, const struct stat *s);
void hps_inodes_release(struct hps_inodes *t);

/* ---- capture.c: which contents are stored ----------------------------------------------------------------------------------- */

/* --capture, of inputs: each has what the one before has. */
enum hps_capture {
	HPS_CAPTURE_NONE,
	HPS_CAPTURE_CODE,    /* programs, libraries, and what has the name of a source or of settings, that no package has */
	HPS_CAPTURE_CLOSURE, /* all that no package has */
	HPS_CAPTURE_ALL,
};
#define HPS_CAPTURE_WORDS "'closure', 'code', 'all' or 'none'"
int hps_capture_parse(const char *name, enum hps_capture *ret) HPS_MUST; /* NULL: the default */
const char *hps_capture_name(enum hps_capture c);
bool hps_path_code(const char *path); /* a source or settings, by its name */
bool hps_path_unpackaged(const char *path); /* where no Debian package puts files: store at once */
bool hps_path_system(const char *path); /* where packages of a system or its administrator put files */
struct hps_file;
enum hps_keep hps_file_keep(const struct hps_file *file, bool store); /* of what it holds; store: if it is no secret */

/* ---- every path the trial touched ------------------------------------------------------------------------------------------- */

enum hps_use {
	HPS_USE_READ = 1 << 0,
	HPS_USE_EXEC = 1 << 1,
	HPS_USE_INTERPRETER = 1 << 2,
	HPS_USE_LIBRARY = 1 << 3, /* set at the end, from the content */
	HPS_USE_WRITE = 1 << 4,
	HPS_USE_PARENT = 1 << 5, /* a directory on the way; not written down */
	HPS_USE_LOADER = 1 << 6, /* an ELF interpreter: mapped, too; written down as library */
};
/* What else than its content the trial set; written down as `set`. */
enum hps_attribute {
	HPS_SET_MODE = 1 << 0,
	HPS_SET_OWNER = 1 << 1,
	HPS_SET_TIMES = 1 << 2,
	HPS_SET_EXTENDED = 1 << 3,
};
/* What a product is when the trial has ended. */
struct hps_final {
	bool exists, unreadable; /* unreadable: a directory on the way forbids to look */
	mode_t mode;
	int64_t size, mtime_ns;
	dev_t dev;
	ino_t ino;
	nlink_t n_links;
	uid_t uid;
	gid_t gid;
	const char *link;	     /* another path that is this file; NULL: none is known, or this one stands for them */
	struct hps_content *content; /* of a regular file that could be read */
	char *target;		     /* of a symlink */
	json_t *extended;	     /* attributes that the trial may have set: digests by name; NULL: it set none */
};
/* What few files have. */
struct hps_rare {
	struct hps_content *again; /* at a later look, when its change time alone had moved */
	struct hps_file *next_name; /* of the same inode */
	const char *link;	   /* path of another input that was the same file; NULL: none */
	struct hps_inode *link_of; /* by_link: the file that was changed */
	struct hps_identity now;   /* what was last opened there: see hps_file_is_now() */
	bool now_known;
	char *target;		   /* of a symlink */
	char *listing;		   /* names, each with its NUL; NULL: not listed */
	size_t listing_len;
	char *attributes;	   /* what stat() says of a directory, and of each name that was listed, each with its NUL; NULL: of packages */
	size_t attributes_len;
	char *from;		   /* path it was renamed from */
	struct hps_final *final;   /* of a product, when it was looked at; NULL */
	unsigned set;		   /* enum hps_attribute */
	int held;		   /* kept open because the trial closed the way to it; -1 */
	unsigned descriptors;	   /* bit n: the command had it open as descriptor n when it started */
};
/* One real path. As material it has what was there before the trial touched it; as product what it left. There may be a million: what
 * is not of use for nearly all of them is in `rare`. */
struct hps_file {
	struct hps_content *first; /* what it held before the trial changed it */
	struct hps_inode *inode;   /* the file that it was when first seen; NULL: no regular file, or not known */
	struct hps_rare *rare;	   /* or NULL: ask hps_file_rare() */
	int64_t mtime_ns, size;	   /* when first seen */
	mode_t mode;		   /* when first seen; 0: never seen there */
	unsigned uses;		   /* enum hps_use, of what was there before; 0: no material */
	unsigned named;		   /* opened by its real path: the epoch of the names then; 0: not */
	bool existed : 1;	   /* before the trial's first change of it */
	bool product : 1, unverified : 1, changed : 1, special : 1;
	bool moved : 1;		   /* a directory that was there before: the trial gave it another name, be it for a while */
	bool gone : 1;		   /* the trial removed the name, or moved it away, and has not made it again */
	bool by_link : 1;	   /* a product only because it was changed under another name */
	bool now_is_first : 1;	   /* what was last opened is what `first` is of */
	char path[];		   /* absolute, no symlink in it but perhaps the last name */
};
/* A rename that was left to the program. */
struct hps_expected {
	struct hps_file *from, *to;
	dev_t dev;
	ino_t ino;
	bool directory;
};
struct hps_files {
	struct hps_inodes inodes;
	struct hps_expected *expected;
	size_t n_expected, n_held;
	struct hps_file **all;	/* n of them, in the order in which they came until they are sorted; paths.c finds them by their paths */
	uint32_t *slots;
	size_t n, cap, n_slots;
	struct hps_map by_name; /* struct hps_file *; absolute paths as the programs gave them, where they are not the real ones */
	unsigned names;		/* epoch: grows when names may lead elsewhere */
	struct hps_arena arena;	/* of struct hps_file */
	struct hps_map misses;	/* errno as a pointer; absolute paths */
	struct hps_map plain;	/* directories known to be no symlink; emptied when the trial makes or moves names */
	struct hps_strv moved;	/* pairs: directory renamed from, to */
	struct hps_map listings; /* struct hps_listing *: of directories in which the trial had made names (listing.c) */
	struct hps_hasher *hasher;
	struct hps_news *news; /* or NULL */
	struct hps_gaps *gaps;
	enum hps_capture capture; /* contents that are stored */
	bool rerun;   /* of a recorded trial: its inputs are stored already */
};

/* ---- paths.c: the table of them ---- */

struct hps_file *hps_files_get(struct hps_files *f, const char *path); /* made when it is new; lives as long as the table */
struct hps_file *hps_files_find(const struct hps_files *f, const char *path); /* NULL: never seen */
void hps_files_sort(struct hps_files *f); /* by their paths: when the tree has ended */
const struct hps_rare *hps_file_rare(const struct hps_file *file); /* never NULL: of most files it is an empty one */
struct hps_rare *hps_file_rare_make(struct hps_file *file);	   /* to write into */
struct hps_final *hps_file_final_make(struct hps_file *file);	   /* the same */
/* The file that was opened under this absolute name, since names have led elsewhere; NULL: none. */
struct hps_file *hps_files_named(const struct hps_files *f, const char *name);
void hps_files_name(struct hps_files *f, const char *name, struct hps_file *file);
/* Names that led through a moved directory or link may lead elsewhere now. */
void hps_files_forget_names(struct hps_files *f);
void hps_files_release(struct hps_files *f);

/* ---- files.c: what is done to them ---- */

bool hps_files_made(const struct hps_files *f, const char *path); /* the trial brought this name into being */
bool hps_file_is_now(const struct hps_file *file, const struct hps_identity *id); /* is this what was last opened there? */
void hps_file_forget_now(struct hps_file *file);				  /* the next reader looks again */
/* fd is open on path's content: notes the use, the first state, and queues what must be hashed. */
void hps_file_use(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s, unsigned uses);
/* Hashes what fd is open on, unless that is known, before a change of the name moves its change time or a writer its content. */
void hps_file_secure(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s);
/* The name changes, or is new: what was there is a material (fd may be -1 when it could not be opened); afterwards it is a product. */
void hps_file_change(struct hps_files *f, struct hps_file *file, int fd, const struct stat *before);
/* The content or mode changes, and with it that of every other name of the file. */
void hps_file_modify(struct hps_files *f, struct hps_file *file, int fd, const struct stat *before);
void hps_file_made(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s); /* by the trial: no input under any name */
void hps_files_miss(struct hps_files *f, const char *path, int error);
void hps_file_symlink(struct hps_file *file, const struct stat *s, const char *target); /* crossed on the way to something */
bool hps_file_changed(const struct hps_file *file); /* did not keep its content while it was an input? */

/* ---- renames.c: names that the trial moves or removes ------------------------------------------------------------------------ */

/* What lies below a directory that the trial moved is an input under the path it had before. */
char *hps_files_origin(const struct hps_files *f, const char *now);
void hps_file_renamed(struct hps_files *f, struct hps_file *from, struct hps_file *to, bool directory);
void hps_file_exchanged(struct hps_files *f, struct hps_file *a, struct hps_file *b, bool a_directory, bool b_directory);
/* `was` may come to be called `to`, by a call that somebody else makes: seen at the end. */
void hps_files_expect_rename(struct hps_files *f, struct hps_file *from, struct hps_file *to, const struct stat *was);
void hps_file_removed(struct hps_files *f, struct hps_file *file, const struct stat *s); /* after hps_file_change */

/* ---- listing.c: in which order directories gave their names ---------------------------------------------------------------- */

#define HPS_LISTING_NAMES_MAX 65536 /* of one directory; what has more is not noted */
struct hps_listing {
	struct hps_strv names;
	struct hps_map places; /* name → its number in names + 1 */
	int64_t mtime_ns;      /* when it was last read */
	unsigned n_read;
	bool full; /* not noted */
};
void hps_listing_number(struct hps_listing *l); /* `places`, when the names are others */
struct hps_listed {
	uint64_t ino;
	unsigned char type;
	char *name;
	size_t place; /* in a rerun */
};
struct hps_listed_names {
	struct hps_listed *v;
	size_t n;
};
/* The names that a directory has now, from a description of our own: the program's is where it was. 0 or -errno. */
int hps_listed_read(int fd, struct hps_listed_names *ret);
void hps_listed_release(struct hps_listed_names *e);
void hps_listing_expect(struct hps_files *f, const char *made); /* a name that the trial makes or moves: its directory may be listed */
/* fd is open on a directory that the trial opens to read: noted when it made names in it. */
void hps_listing_note(struct hps_files *f, const struct hps_file *file, int fd, const struct stat *s);
void hps_listings_release(struct hps_map *listings);

/* ---- settle.c: what the trial left ----------------------------------------------------------------------------------------- */

/* The trial is about to close the way to it: it is kept open, if it is a product or becomes one. */
void hps_file_hold(struct hps_files *f, struct hps_file *file);
void hps_files_hold_below(struct hps_files *f, const char *directory);
/* Looks at every product as it is now and queues its content. Before hps_hasher_finish(), in the trial's root. */
void hps_files_settle(struct hps_files *f);

/* ---- links.c: which names are one file ------------------------------------------------------------------------------------- */

/* Fills `link` of inputs and of final states, and notes files that the trial changed and of which not every name was seen. */
void hps_links_find(struct hps_files *f);

/* ---- walk.c: names to real paths ------------------------------------------------------------------------------------------- */

/* The path of dirfd's directory (AT_FDCWD: the root) joined with name, made absolute, "." and ".." and symlinks resolved by reading
 * them; each symlink crossed is noted as a material. Parts that do not exist are kept as they are. follow: the last name, too. */
void hps_walk(struct hps_files *f, const char *base, const char *name, bool follow, struct hps_buf *ret);

#endif
