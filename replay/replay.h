/* Private header of replay/: rebuild a recorded trial, rerun it, compare, give a signed verdict.
 * Grouped by the file that implements it. Read compare.c's part to add a format, plan.c's and view.c's to see what a rerun gets. */
#ifndef HPS_REPLAY_H
#define HPS_REPLAY_H

#include "core/core.h"
#include "hps/ledger.h"

/* ---- tree.c: what a file says, format aside ---------------------------------------------------------------------------- */

enum hps_text_type {
	HPS_TEXT_STRING,  /* equal when its bytes are */
	HPS_TEXT_LITERAL, /* true, false, null, and what an empty container is */
	HPS_TEXT_LINE,	  /* words and numbers: with a tolerance the numbers in it are compared as such */
	HPS_TEXT_BYTES,	  /* what no decoder reads: never shown, only compared */
};
enum hps_dtype { HPS_DTYPE_BOOL, HPS_DTYPE_INT, HPS_DTYPE_UINT, HPS_DTYPE_FLOAT, HPS_DTYPE_COMPLEX };
#define HPS_DIMENSIONS_MAX 32

/* n elements of itemsize bytes, at any alignment. strides are in bytes. */
struct hps_array {
	enum hps_dtype dtype;
	size_t itemsize; /* BOOL 1; INT, UINT 1 2 4 8; FLOAT 2 4 8; COMPLEX 8 16 */
	bool big_endian;
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
};
/* Places are unique. Texts, tokens and array data point into the file's bytes or into memory that the tree keeps. */
struct hps_tree {
	struct hps_node *nodes;
	size_t n, n_tokens;
	struct hps_map places;
	void **owned;
	size_t n_owned;
};
#define HPS_TREE_INIT { NULL, 0, 0, HPS_MAP_INIT, NULL, 0 }

void *hps_tree_keep(struct hps_tree *t, void *memory); /* freed with the tree; returns it */
int hps_tree_add_text(struct hps_tree *t, const char *place, enum hps_text_type type, const char *text, size_t len,
		      struct hps_error *err) HPS_MUST;
int hps_tree_add_numbers(struct hps_tree *t, const char *place, bool scalar, const struct hps_token *tokens, size_t n,
			 struct hps_error *err) HPS_MUST; /* copies the list of tokens */
int hps_tree_add_array(struct hps_tree *t, const char *place, const struct hps_array *array, struct hps_error *err) HPS_MUST;
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

size_t hps_array_offset(const struct hps_array *a, size_t index); /* byte offset of the index-th element in C order */
/* The same bits, byte order aside, or both NaN. dtype and itemsize are the same. */
bool hps_array_same(const struct hps_array *a, const struct hps_array *b, size_t index);
double hps_array_value(const struct hps_array *a, size_t index, int part); /* part 1: the imaginary one */
void hps_array_show(const struct hps_array *a, size_t index, struct hps_buf *out);
void hps_array_type(const struct hps_array *a, struct hps_buf *out); /* "float64[96,48]" */

/* ---- compare.c: one engine for all formats -------------------------------------------------------------------------------- */

enum hps_output_verdict {
	HPS_OUTPUT_IDENTICAL,	/* the same bytes */
	HPS_OUTPUT_SAME_VALUES, /* other bytes that say the same: order of keys, spelling of numbers, packing */
	HPS_OUTPUT_WITHIN,	/* numbers differ, within the declared tolerance */
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
};
struct hps_comparison {
	enum hps_output_verdict verdict;
	const char *format;		/* name of the decoder that read both, or NULL */
	char *place, *original, *rerun; /* the first differing place and what is there; NULL when nothing differs */
	char *note;			/* why a decoder gave up, or what else to know; NULL when nothing */
	uint64_t n_values, n_different;
	double relative_l2, scaled_max, max_difference; /* the largest of any tensor */
};
void hps_comparison_release(struct hps_comparison *c);
#define _cleanup_comparison_ _cleanup_(hps_comparison_release)

struct hps_format {
	const char *name;
	bool (*fits)(const char *path, const char *data, size_t len); /* by name or by its first bytes */
	int (*decode)(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err);
};
#define HPS_COMPARE_MAX ((size_t)512 << 20)

void hps_compare_trees(const struct hps_tree *a, const struct hps_tree *b, const struct hps_tolerance *tolerance, struct hps_comparison *ret);
/* Bytes first; only when they differ the decoders, each in turn that fits both. Untrusted bytes are parsed here. */
void hps_compare_data(const char *path, const struct hps_buf *a, const struct hps_buf *b, const struct hps_tolerance *tolerance,
		      struct hps_comparison *ret);

/* ---- compare_*.c: one decoder each ---------------------------------------------------------------------------------------- */

extern const struct hps_format hps_format_json, hps_format_csv, hps_format_npy, hps_format_zip, hps_format_text;
/* One array in .npy format (numpy.lib.format) at `place`; an array of objects or records stays bytes. */
int hps_npy_decode(const char *data, size_t len, const char *place, struct hps_tree *ret, struct hps_error *err) HPS_MUST;

#endif
