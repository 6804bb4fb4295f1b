/* Private header of replay/compare/: what two files say, side by side. No ledger, no record, no rerun: bytes go in, a comparison comes out.
 * Grouped by the file that implements it. Read format.c's part to add a format. */
#ifndef HPS_COMPARE_H
#define HPS_COMPARE_H

#include "core/core.h"

/* ---- mask.c, mask_names.c: stamps ------------------------------------------------------------------------------------------------------ */

/* What may differ between two runs of one computation. A mask only ever steps over the same kind of stamp on both sides, is counted and
 * listed, and each kind can be switched off (bits of `unmasked`). */
enum hps_mask {
	HPS_MASK_NONE,
	HPS_MASK_TIME,	   /* dates, clocks; epochs between 2000 and 2100 where a name says so */
	HPS_MASK_DURATION, /* 1.5s, 120it/s; numbers named so */
	HPS_MASK_HOST,	   /* by name alone */
	HPS_MASK_PID,	   /* by name alone */
	HPS_MASK_PATH,	   /* absolute paths: both temporary, or with the same last step */
	HPS_MASK_ID,	   /* UUIDs; run ids by name */
	HPS_MASK_ADDRESS,
	HPS_MASK_TOOL, /* what wrote the file; marked by decoders alone */
	HPS_MASK_N,
};
#define HPS_MASK_BIT(m) (1u << (m))
const char *hps_mask_name(enum hps_mask m);
enum hps_mask hps_mask_named(const char *name);			       /* NONE: there is no such kind */
enum hps_mask hps_mask_of_name(const char *name, size_t len);	       /* what a member or column of this name holds */
enum hps_mask hps_mask_number(enum hps_mask named, double x);	       /* what x is where the name says `named` */
/* Length of the stamp at text[at], 0 when there is none. */
size_t hps_mask_at(const char *text, size_t len, size_t at, unsigned unmasked, enum hps_mask *ret);
bool hps_mask_alike(enum hps_mask m, const char *a, size_t a_len, const char *b, size_t b_len); /* two stamps may stand for each other */
char *hps_mask_path(const char *path); /* a file's path with the stamps in it replaced by "*": to pair files of two runs */
bool hps_mask_names(unsigned unmasked); /* files are paired so */
/* Enters path, which the map does not copy, under its name without stamps, with a number from the second of that name on. Called in the order of names. */
void hps_mask_pair(struct hps_map *files, const char *path, unsigned unmasked);

/* ---- form.c: what stamps look like -------------------------------------------------------------------------------------- */

struct hps_text {
	const char *at, *end;
};
/* Each takes one off the front; false: there is none, and `at` may be anywhere. */
bool hps_form_char(struct hps_text *t, const char *set);
bool hps_form_digits(struct hps_text *t, size_t n, unsigned least, unsigned most); /* exactly n, whose value lies between the two */
bool hps_form_word(struct hps_text *t, const char *const *words, size_t n);	    /* the first of them that fits */
bool hps_form_month(struct hps_text *t);
bool hps_form_date(struct hps_text *t); /* 2026-11-26, alone or with a clock */
bool hps_form_compact(struct hps_text *t); /* 20261126-064727 */
bool hps_form_time(struct hps_text *t); /* dates of all kinds, clocks with seconds */
bool hps_form_duration(struct hps_text *t);
bool hps_form_uuid(struct hps_text *t);
bool hps_form_address(struct hps_text *t, bool after_at); /* after_at: behind Python's "at " */
void hps_form_skip_digits(struct hps_text *t);
bool hps_form_epoch(double x); /* seconds, milli-, micro- or nanoseconds since 1970, between 2000 and 2100 */

/* ---- tree.c: what a file says, format aside ---------------------------------------------------------------------------- */

enum hps_text_type {
	HPS_TEXT_STRING,  /* equal when its bytes are */
	HPS_TEXT_LITERAL, /* true, false, null, and what an empty container is */
	HPS_TEXT_LINE,	  /* words and numbers: with a tolerance the numbers in it are compared as such */
	HPS_TEXT_BYTES,	  /* what no decoder reads: never shown, only compared */
};
enum hps_dtype { HPS_DTYPE_BOOL, HPS_DTYPE_INT, HPS_DTYPE_UINT, HPS_DTYPE_FLOAT, HPS_DTYPE_COMPLEX, HPS_DTYPE_BFLOAT };
#define HPS_DIMENSIONS_MAX 32

/* n elements of itemsize bytes, at any alignment. strides are in bytes. */
struct hps_array {
	enum hps_dtype dtype;
	size_t itemsize; /* BOOL 1; INT, UINT 1 2 4 8; FLOAT 2 4 8; COMPLEX 8 16; BFLOAT 2 */
	bool big_endian;
	bool measured; /* whole numbers that measure something (pixels): they may be near */
	size_t n_dimensions;
	size_t shape[HPS_DIMENSIONS_MAX], strides[HPS_DIMENSIONS_MAX];
	size_t n; /* product of shape */
	const uint8_t *data;
};
struct hps_token { /* a number as it is written; not NUL-terminated */
	const char *text;
	size_t len;
};
enum hps_node_kind { HPS_NODE_TEXT, HPS_NODE_NUMBERS, HPS_NODE_ARRAY };
struct hps_node {
	enum hps_node_kind kind;
	enum hps_text_type type; /* TEXT */
	bool scalar;		 /* NUMBERS: one number that stands alone, not a list of one */
	const char *text;	 /* TEXT */
	size_t len;
	struct hps_token *tokens; /* NUMBERS: n of them */
	size_t n;		  /* NUMBERS, ARRAY */
	struct hps_array array;
	enum hps_mask stamp; /* the decoder knows it to be one */
};
struct hps_item { /* of a sequence */
	size_t node;   /* its first */
	size_t prefix; /* as many bytes of its places say which item it is */
};
struct hps_mapping { /* of a file; start is NULL when the bytes lie elsewhere */
	const uint8_t *start;
	size_t len;
};
/* Places are unique. Texts, tokens and array data point into the file's bytes or into memory that the tree keeps. */
struct hps_tree {
	struct hps_node *nodes;
	size_t n, n_tokens;
	struct hps_item *items; /* when it is a sequence: lines, rows, values; each node belongs to one */
	size_t n_items;
	struct hps_map places;
	void **owned;
	size_t n_owned;
	struct hps_mapping mapping;
};
#define HPS_TREE_INIT { NULL, 0, 0, NULL, 0, HPS_MAP_INIT, NULL, 0, { NULL, 0 } }

void *hps_tree_keep(struct hps_tree *t, void *memory); /* freed with the tree; returns it */
int hps_tree_add_text(struct hps_tree *t, const char *place, enum hps_text_type type, const char *text, size_t len,
		      struct hps_error *err) HPS_MUST;
int hps_tree_add_numbers(struct hps_tree *t, const char *place, bool scalar, const struct hps_token *tokens, size_t n,
			 struct hps_error *err) HPS_MUST; /* copies the list of tokens */
int hps_tree_add_array(struct hps_tree *t, const char *place, const struct hps_array *array, struct hps_error *err) HPS_MUST;
void hps_tree_mark(struct hps_tree *t, enum hps_mask stamp); /* the node that was added last */
void hps_tree_item(struct hps_tree *t, size_t prefix);	       /* what is added from here on is the next item, and has at least one node */
size_t hps_tree_item_end(const struct hps_tree *t, size_t item); /* the first node that is no longer in it */
const struct hps_node *hps_tree_find(const struct hps_tree *t, const char *place);
const char *hps_tree_place(const struct hps_tree *t, size_t i); /* of nodes[i] */
void hps_tree_release(struct hps_tree *t);
#define _cleanup_tree_ _cleanup_(hps_tree_release)

/* ---- number.c: numbers written as text --------------------------------------------------------------------------------- */

/* JSON's grammar (RFC 8259 section 6) and, as Python writes them, NaN, Infinity and -Infinity. 0 when text does not start
 * with one, else its length. */
size_t hps_number_length(const char *text, size_t len);
bool hps_number_integer(const struct hps_token *t); /* written without point and exponent */
/* The same decimal number, whatever its spelling: 1.50, 15e-1. Exact at any length; 0 and -0 are two numbers, NaN is NaN. */
bool hps_number_same(const struct hps_token *a, const struct hps_token *b);
double hps_number_value(const struct hps_token *t); /* the nearest double; huge ones are infinite */

/* ---- array.c: elements of arrays --------------------------------------------------------------------------------------- */

/* From itemsize and shape: n and strides without gaps. Not 0: more elements than memory can hold. */
int hps_array_lay_out(struct hps_array *a, bool fortran) HPS_MUST;
size_t hps_array_offset(const struct hps_array *a, size_t index); /* byte offset of the index-th element in C order */
/* The same bits, byte order aside, or both NaN. dtype and itemsize are the same. */
bool hps_array_same(const struct hps_array *a, const struct hps_array *b, size_t index);
double hps_array_value(const struct hps_array *a, size_t index, int part); /* part 1: the imaginary one */
void hps_array_show(const struct hps_array *a, size_t index, struct hps_buf *out);
void hps_array_type(const struct hps_array *a, struct hps_buf *out); /* "float64[96,48]" */

/* ---- distance.c: how far two tensors are apart ------------------------------------------------------------------------------------ */

struct hps_distance { /* sums over all elements */
	double difference2, norm2, max_difference, max;
	uint64_t n_different;
	size_t first; /* index of the first differing element */
	bool apart;   /* something that no tolerance covers: NaN against a number, unequal infinities, whole numbers */
};
void hps_distance_note(struct hps_distance *d, size_t index);
void hps_distance_measure(struct hps_distance *d, double a, double b);
/* Pages of the mappings are given back behind the reader. */
bool hps_bytes_same(const void *a, const void *b, size_t len, const struct hps_mapping *of_a, const struct hps_mapping *of_b);
/* Of one type and shape. */
void hps_array_distance(const struct hps_array *a, const struct hps_array *b, const struct hps_mapping *of_a, const struct hps_mapping *of_b, struct hps_distance *d);

/* ---- compare.c: one engine for all formats -------------------------------------------------------------------------------- */

enum hps_output_verdict {
	HPS_OUTPUT_IDENTICAL,	/* the same bytes */
	HPS_OUTPUT_SAME_VALUES, /* other bytes that say the same: order of keys, spelling of numbers, packing */
	HPS_OUTPUT_WITHIN,	/* numbers differ, within the declared tolerance */
	HPS_OUTPUT_REORDERED,	/* the same lines, rows or values, in another order: not reproduced, but named */
	HPS_OUTPUT_DIVERGED,	/* a value differs */
	HPS_OUTPUT_STRUCTURE,	/* a value is missing or of another type or shape */
	HPS_OUTPUT_OPAQUE,	/* the bytes differ, and no decoder reads both */
	HPS_OUTPUT_MISSING,	/* the rerun did not write it */
	HPS_OUTPUT_EXTRA,	/* only the rerun wrote it */
};
const char *hps_output_verdict_name(enum hps_output_verdict v);

/* A tensor is within when its relative L2 distance and its scaled maximum (max|a-b| / max|a|) are at most rtol, or
 * max|a-b| at most atol. Values whose type is an integer are never merely near. */
struct hps_tolerance {
	double rtol, atol;
	bool declared; /* false: the bits decide */
	const struct hps_map *by_place; /* name of a metric → struct hps_tolerance *: goes before the rest; may be NULL */
	const struct hps_map *values;	/* names that somebody declared to be values: no mask takes them for stamps; may be NULL */
	unsigned unmasked;		/* HPS_MASK_BITs of the kinds of stamps that count as values */
};
struct hps_comparison {
	enum hps_output_verdict verdict;
	const char *format;		/* name of the decoder that read both, or NULL */
	char *place, *original, *rerun; /* the first differing place and what is there; NULL when nothing differs */
	char *note;			/* why a decoder gave up, or what else to know; NULL when nothing */
	uint64_t n_values, n_different;
	double relative_l2, scaled_max, max_difference; /* the largest of any tensor */
	uint64_t masked[HPS_MASK_N]; /* differing stamps that were stepped over, by kind */
	char *masked_first[HPS_MASK_N];
};
void hps_comparison_release(struct hps_comparison *c);
json_t *hps_masked_json(const struct hps_comparison *c); /* mask.c: [{kind, count, first}] */
void hps_mask_name_noted(struct hps_comparison *c, const char *path); /* mask.c: the second's name has other stamps; never IDENTICAL then */
#define _cleanup_comparison_ _cleanup_(hps_comparison_release)

void hps_compare_trees(const struct hps_tree *a, const struct hps_tree *b, const struct hps_tolerance *tolerance, struct hps_comparison *ret);

/* ---- format.c: the choice of the decoder ------------------------------------------------------------------------------------- */

struct hps_format {
	const char *name;
	bool (*fits)(const char *path, const char *data, size_t len); /* by name or by its first bytes */
	int (*decode)(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err);
};
const struct hps_format *hps_format_at(size_t i);	     /* in the order in which they are tried; NULL at the end */
const struct hps_format *hps_format_named(const char *name); /* NULL: none */
/* Bytes first; only when they differ the decoders, each in turn that fits both. Untrusted bytes are parsed here. */
void hps_compare_data(const char *path, const struct hps_buf *a, const struct hps_buf *b, const struct hps_tolerance *tolerance,
		      struct hps_comparison *ret);

/* The same for files that are mapped: their pages are given back behind the reader. */
void hps_compare_mapped(const char *path, const struct hps_buf *a, const struct hps_buf *b, const struct hps_mapping *of_a,
			const struct hps_mapping *of_b, const struct hps_tolerance *tolerance, struct hps_comparison *ret);

/* ---- compare.c, for sequence.c ------------------------------------------------------------------------------------------------ */

struct hps_pair { /* two trees at one place */
	const struct hps_tree *a, *b;
	const char *place;
	unsigned unmasked;
};
enum hps_mask hps_pair_mask(const struct hps_pair *p);			    /* what the name that the place ends in says */
size_t hps_line_number(const char *text, size_t len, size_t at);	    /* length of the number at text[at], 0: none; none inside a word or a version */
char *hps_node_show(const struct hps_node *n);
/* One of a, b may be NULL: there is nothing. */
void hps_compare_place(const struct hps_pair *p, const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *tolerance,
		       struct hps_comparison *c);

/* ---- sequence.c, align.c: what was put in or left out ------------------------------------------------------------------------- */

void hps_compare_sequences(const struct hps_tree *a, const struct hps_tree *b, const struct hps_tolerance *tolerance, struct hps_comparison *ret);
/* Pairs equal keys in rising order: match[i] becomes the index in b. It holds SIZE_MAX where nothing is paired yet; what is paired stays. */
void hps_align(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, size_t *match);

/* ---- confine.c ---------------------------------------------------------------------------------------------------------------- */

/* From here on this process can only compute, read and write what it has open; memory (beside `mapped` bytes) and time are bounded. */
int hps_confine_self(size_t mapped) HPS_MUST;
/* Two plain files of any size, in a process that can do nothing but compute; when that dies the output is opaque. */
void hps_compare_confined_fds(const char *path, int a, int b, const struct hps_tolerance *tolerance, struct hps_comparison *ret);

/* ---- bytes.c: untrusted bytes ------------------------------------------------------------------------------------------------ */

struct hps_bytes { /* what is left of them */
	const uint8_t *at, *end;
};
const uint8_t *hps_bytes_take(struct hps_bytes *b, size_t n); /* the next n; NULL when there are fewer */
uint64_t hps_bytes_le(const uint8_t *p, size_t n);	      /* n at most 8 */
uint64_t hps_bytes_be(const uint8_t *p, size_t n);
bool hps_bytes_varint(struct hps_bytes *b, uint64_t *ret); /* LEB128, at most 64 bits; false: there is none */

void hps_utf8_add(struct hps_buf *out, uint32_t c); /* c below 0x110000; a surrogate keeps its three bytes */

/* One field of a protobuf message (protobuf.dev, "Encoding"): wire 0 value; 1, 5 value and data; 2 data. */
struct hps_field {
	uint32_t number;
	unsigned wire;
	uint64_t value;
	const uint8_t *data;
	size_t len;
};
bool hps_protobuf_next(struct hps_bytes *b, struct hps_field *ret, bool *ret_bad); /* false: the end, or (*ret_bad) no message */

enum hps_packing { HPS_PACKING_NONE, HPS_PACKING_DEFLATE, HPS_PACKING_GZIP, HPS_PACKING_SNAPPY, HPS_PACKING_ZSTD };
/* Into exactly `size` bytes, from exactly `len`. GZIP reads zlib streams, too. */
int hps_unpack(enum hps_packing packing, const void *data, size_t len, void *out, size_t size, struct hps_error *err) HPS_MUST;
int hps_unpack_stream(const void *data, size_t len, struct hps_buf *out, struct hps_error *err) HPS_MUST; /* gzip or zlib of unknown size */

/* ---- protobuf.c: messages by schema ---------------------------------------------------------------------------------------------- */

enum hps_proto_kind { HPS_PROTO_VALUE, HPS_PROTO_TEXT, HPS_PROTO_FLOATS, HPS_PROTO_DOUBLES, HPS_PROTO_MESSAGE };
struct hps_proto_message;
struct hps_proto_field {
	uint32_t number;
	const char *name;
	enum hps_proto_kind kind; /* VALUE: a number, or bytes; FLOATS, DOUBLES: packed */
	const struct hps_proto_message *message;
	enum hps_mask stamp;
};
struct hps_proto_type {
	uint32_t number;
	enum hps_dtype dtype;
	size_t itemsize;
};
struct hps_proto_tensor { /* numbers of the fields that make one */
	uint32_t type, dimensions, raw;
	bool nested; /* dimensions are messages */
	const struct hps_proto_type *types;
	size_t n_types;
};
struct hps_proto_message {
	const struct hps_proto_field *fields; /* at most 64 */
	size_t n;
	uint32_t key; /* number of the field that names it among others; 0: by order */
	const struct hps_proto_tensor *tensor;
};
struct hps_proto {
	struct hps_tree *tree;
	struct hps_error *err;
	unsigned depth;
};
int hps_proto_lay(struct hps_proto *p, const struct hps_proto_message *m, const char *place, const void *data, size_t len) HPS_MUST;

/* ---- zip.c: archives ----------------------------------------------------------------------------------------------------------- */

struct hps_zip_member {
	char *name;
	const char *packed;
	uint64_t packed_len, unpacked_len;
	size_t start, end; /* of the whole member in the file */
	unsigned method;   /* 0 stored, 8 deflated */
	uint32_t crc;
};
struct hps_zip { /* members in the order of their bytes */
	const unsigned char *data;
	size_t len, directory, n; /* offset of the central directory, number of members */
	struct hps_zip_member *members;
	struct hps_error *err;
};
/* Refuses what is read in two ways: members that overlap, bear two names or two sizes. On an error nothing is to release. */
int hps_zip_read(const char *data, size_t len, struct hps_zip *ret, struct hps_error *err) HPS_MUST;
int hps_zip_content(const struct hps_zip *z, const struct hps_zip_member *m, struct hps_tree *tree, const char **ret) HPS_MUST; /* the tree keeps it */
void hps_zip_release(struct hps_zip *z);

/* ---- pickle.c: Python pickles, walked and never executed --------------------------------------------------------------------------- */

enum hps_pickle_kind {
	HPS_PICKLE_LITERAL, /* None, True, False: text */
	HPS_PICKLE_INT,	    /* text: decimal, or 0x… when it is longer than 64 bits */
	HPS_PICKLE_FLOAT,   /* text: eight bytes, big-endian */
	HPS_PICKLE_STRING,
	HPS_PICKLE_BYTES,
	HPS_PICKLE_TUPLE,
	HPS_PICKLE_LIST,
	HPS_PICKLE_DICT,
	HPS_PICKLE_SET,
	HPS_PICKLE_GLOBAL,     /* text: "module:name"; nothing is looked up */
	HPS_PICKLE_OBJECT,     /* what calling `callable` with `args` would make, had we done it */
	HPS_PICKLE_PERSISTENT, /* args: its id */
};
struct hps_pickle {
	enum hps_pickle_kind kind;
	const char *text;
	size_t len;
	int64_t value;	 /* INT that fits */
	struct hps_pickle **items; /* of TUPLE, LIST, SET; appended to OBJECT */
	size_t n;
	struct hps_pickle **pairs; /* of DICT; set in OBJECT: name, value, name, value */
	size_t n_pairs;		   /* counts both */
	struct hps_pickle *callable, *args, *more, *state;
	const uint8_t *raw; /* OBJECT: bytes that followed it in the stream (joblib) */
	size_t raw_len;
	char *place; /* where it was laid down first */
};
struct hps_pickles { /* all values of one pickle; texts belong to the file or to the tree */
	struct hps_pickle **v;
	size_t n;
	struct hps_pickle *root;
	struct hps_tree *tree;
	/* After BUILD of an object: how many raw bytes follow it, itself included in *rest; may be NULL. */
	int (*trailing)(struct hps_pickle *object, struct hps_bytes *rest, struct hps_error *err);
};
int hps_pickle_read(struct hps_bytes *b, struct hps_pickles *p, struct hps_error *err) HPS_MUST; /* up to STOP */
void hps_pickles_release(struct hps_pickles *p);
bool hps_pickle_is(const struct hps_pickle *v, const char *global);
/* compare_pickle.c: lays the value down in the tree. `special` may take an object over: 1 when it did, 0 when not. */
struct hps_pickle_layout {
	struct hps_tree *tree;
	int (*special)(void *arg, const char *place, const struct hps_pickle *v, struct hps_error *err);
	void *arg;
	unsigned depth;
	struct hps_error *err;
};
int hps_pickle_lay(struct hps_pickle_layout *l, const char *place, struct hps_pickle *v) HPS_MUST;

/* ---- compare_*.c: one decoder each ---------------------------------------------------------------------------------------- */

extern const struct hps_format hps_format_json, hps_format_csv, hps_format_npy, hps_format_zip, hps_format_text, hps_format_pickle, hps_format_torch, hps_format_safetensors,
	hps_format_ubj, hps_format_lightgbm, hps_format_sqlite, hps_format_hdf5, hps_format_events, hps_format_png, hps_format_onnx, hps_format_parquet,
	hps_format_rds, hps_format_pyc, hps_format_gzip;
/* One array in .npy format (numpy.lib.format) at `place`; an array of objects or records stays bytes. */
bool hps_npy_type(const char *descr, struct hps_array *a); /* "'<f8'" and kin: dtype, itemsize, order; false for any other */
int hps_npy_decode(const char *data, size_t len, const char *place, struct hps_tree *ret, struct hps_error *err) HPS_MUST;

/* ---- tolerance.c ------------------------------------------------------------------------------------------------------------- */

/* Options: "X" for all, "NAME=X" for one metric, column or tensor, into by_place. */
int hps_tolerance_read(const struct hps_strv *rtol, const struct hps_strv *atol, struct hps_tolerance *ret, struct hps_map *by_place,
		       struct hps_error *err) HPS_MUST;
int hps_unmasked_read(const struct hps_strv *kinds, unsigned *ret, struct hps_error *err) HPS_MUST; /* --no-mask */
json_t *hps_tolerance_json(const struct hps_tolerance *t); /* {rtol, atol} */
/* Maps: name → struct hps_tolerance *. */
json_t *hps_tolerances_json(const struct hps_map *by_place); /* of those that are declared */
void hps_tolerances_release(struct hps_map *by_place);

/* ---- results.c: of several outputs ------------------------------------------------------------------------------------------------ */

struct hps_output {
	char *path; /* escaped; "metrics" for the reported metrics */
	struct hps_comparison comparison;
	char *original, *rerun; /* digests in hex, or NULL */
	bool undecided;		/* OPAQUE for want of a digest: nothing says that they differ */
};
struct hps_outputs {
	struct hps_output *v;
	size_t n;
};
void hps_outputs_release(struct hps_outputs *o);
json_t *hps_outputs_json(const struct hps_outputs *o); /* docs/FORMATS.md, "Outputs" */
void hps_report_outputs(const struct hps_outputs *o, const char *second, FILE *out); /* for people; second: what the other side is called */

/* ---- pairs.c, compare_command.c: hps-replay compare --------------------------------------------------------------------------------- */

/* Two files or two directories; what cannot be read is opaque. */
int hps_pairs_compare(const char *a, const char *b, const struct hps_tolerance *tolerance, struct hps_outputs *ret, struct hps_error *err) HPS_MUST;
extern const struct hps_command hps_command_compare;

#endif
