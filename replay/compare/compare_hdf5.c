/* HDF5, by libhdf5, from memory: groups, datasets and attributes by name; compression, chunks, free space and times do not matter. */
#include "replay/compare/compare.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64
#define VALUES_BYTES_MAX ((hsize_t)2 << 30)

struct reader {
	struct hps_tree *tree;
	struct hps_error *err;
	struct hps_map seen; /* address of an object → its first place */
	unsigned depth;
	int result;
};
struct place {
	struct reader *r;
	const char *text;
};

static int bad(struct reader *r, const char *place, const char *what)
{
	return hps_error_set(r->err, HPS_E_FORMAT, "at '%.200s': %s", place, what);
}

static int add_literal(struct reader *r, const char *place, const char *text)
{
	const char *kept = hps_tree_keep(r->tree, hps_strdup(text));

	return hps_tree_add_text(r->tree, place, HPS_TEXT_LITERAL, kept, strlen(kept), r->err);
}

/* ---- values of a dataset or an attribute ---- */

struct values {
	hid_t object, type, space;
	bool attribute;
};

static herr_t read_values(const struct values *v, hid_t as, void *out)
{
	return v->attribute ? H5Aread(v->object, as, out) : H5Dread(v->object, as, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
}

static int set_shape(const struct values *v, struct hps_array *a)
{
	hsize_t dimensions[H5S_MAX_RANK];
	int n = H5Sget_simple_extent_ndims(v->space);

	if (n < 0 || n > HPS_DIMENSIONS_MAX || H5Sget_simple_extent_dims(v->space, dimensions, NULL) < 0)
		return -1;
	a->n_dimensions = (size_t)n;
	for (int i = 0; i < n; i++)
		a->shape[i] = dimensions[i];
	if (H5Sget_simple_extent_type(v->space) == H5S_NULL) {
		a->n_dimensions = 1;
		a->shape[0] = 0;
	}
	return hps_array_lay_out(a, false) || a->n * a->itemsize > VALUES_BYTES_MAX ? -1 : 0;
}

static int add_numbers(struct reader *r, const char *place, const struct values *v, H5T_class_t class)
{
	_cleanup_free_ void *memory = NULL;
	hid_t native = H5Tget_native_type(v->type, H5T_DIR_ASCEND);
	struct hps_array a = { .itemsize = H5Tget_size(v->type) };
	int s = 0;

	if (class == H5T_FLOAT)
		a.dtype = HPS_DTYPE_FLOAT;
	else
		a.dtype = H5Tget_sign(native) == H5T_SGN_NONE ? HPS_DTYPE_UINT : HPS_DTYPE_INT;
	if (class == H5T_FLOAT && a.itemsize == 2) { /* no native one: the bytes as they are */
		H5Tclose(native);
		native = H5Tcopy(v->type);
		a.big_endian = H5Tget_order(v->type) == H5T_ORDER_BE;
	}
	if ((a.itemsize != 1 && a.itemsize != 2 && a.itemsize != 4 && a.itemsize != 8) || H5Tget_size(native) != a.itemsize || set_shape(v, &a)) {
		s = bad(r, place, "numbers of an unknown kind");
	} else {
		memory = hps_alloc(a.n * a.itemsize + 1);
		if (a.n && read_values(v, native, memory) < 0)
			s = bad(r, place, "it cannot be read");
	}
	H5Tclose(native);
	if (s)
		return s;
	a.data = hps_tree_keep(r->tree, hps_take(memory));
	return hps_tree_add_array(r->tree, place, &a, r->err);
}

/* Strings of any length: one place each. */
static int add_strings(struct reader *r, const char *place, const struct values *v)
{
	_cleanup_free_ char **memory = NULL;
	struct hps_array a = { .itemsize = sizeof(char *) };
	hid_t type;
	int s = 0;

	if (set_shape(v, &a))
		return bad(r, place, "too many texts");
	memory = hps_alloc((a.n + 1) * sizeof *memory);
	type = H5Tcopy(v->type); /* keeps the character set */
	if (a.n && read_values(v, type, memory) < 0)
		s = bad(r, place, "it cannot be read");
	for (size_t i = 0; !s && i < a.n; i++) {
		_cleanup_free_ char *one = a.n_dimensions ? hps_format("%s[%zu]", place, i) : hps_strdup(place);
		const char *text = hps_tree_keep(r->tree, hps_strdup(memory[i] ? memory[i] : ""));

		s = hps_tree_add_text(r->tree, one, HPS_TEXT_STRING, text, strlen(text), r->err);
	}
	if (a.n && !s)
		H5Dvlen_reclaim(type, v->space, H5P_DEFAULT, memory);
	H5Tclose(type);
	return s;
}

/* Compounds, fixed strings, arrays in elements: the bytes, with their type in the place's name. */
static int add_bytes(struct reader *r, const char *place, const struct values *v)
{
	_cleanup_free_ void *memory = NULL;
	_cleanup_free_ char *described = NULL;
	hid_t type = H5Tget_native_type(v->type, H5T_DIR_ASCEND);
	struct hps_array a = { .itemsize = type < 0 ? 0 : H5Tget_size(type) };
	int s = 0;

	if (!a.itemsize || H5Tdetect_class(v->type, H5T_VLEN) > 0 || H5Tdetect_class(v->type, H5T_REFERENCE) > 0 || H5Tis_variable_str(v->type) > 0 || set_shape(v, &a)) {
		s = bad(r, place, "values of an unknown kind");
	} else {
		memory = hps_alloc(a.n * a.itemsize + 1);
		if (a.n && read_values(v, type, memory) < 0)
			s = bad(r, place, "it cannot be read");
	}
	if (type >= 0)
		H5Tclose(type);
	if (s)
		return s;
	described = hps_format("%s (%zu values of %zu bytes)", place, a.n, a.itemsize);
	return hps_tree_add_text(r->tree, described, HPS_TEXT_BYTES, hps_tree_keep(r->tree, hps_take(memory)), a.n * a.itemsize, r->err);
}

static int add_values(struct reader *r, const char *place, const struct values *v)
{
	H5T_class_t class = H5Tget_class(v->type);

	if (class == H5T_INTEGER || class == H5T_FLOAT)
		return add_numbers(r, place, v, class);
	if (class == H5T_STRING && H5Tis_variable_str(v->type) > 0)
		return add_strings(r, place, v);
	return add_bytes(r, place, v);
}

static void close_values(struct values *v)
{
	if (v->type >= 0)
		H5Tclose(v->type);
	if (v->space >= 0)
		H5Sclose(v->space);
}

/* ---- objects ---- */

static herr_t visit_attribute(hid_t object, const char *name, const H5A_info_t *info, void *arg)
{
	struct place *p = arg;
	_cleanup_free_ char *place = hps_format("%s@%s", p->text, name);
	struct values v = { .attribute = true, .object = H5Aopen(object, name, H5P_DEFAULT), .type = -1, .space = -1 };

	(void)info;
	if (v.object < 0) {
		p->r->result = bad(p->r, place, "it cannot be opened");
		return -1;
	}
	v.type = H5Aget_type(v.object);
	v.space = H5Aget_space(v.object);
	p->r->result = add_values(p->r, place, &v);
	close_values(&v);
	H5Aclose(v.object);
	return p->r->result ? -1 : 0;
}

static int add_group(struct reader *r, hid_t group, const char *place);

static int add_dataset(struct reader *r, hid_t dataset, const char *place)
{
	struct values v = { .object = dataset, .type = H5Dget_type(dataset), .space = H5Dget_space(dataset) };
	int s = add_values(r, place, &v);

	close_values(&v);
	return s;
}

static int add_object(struct reader *r, hid_t object, const char *place)
{
	struct place p = { r, place };
	_cleanup_free_ char *key = NULL, *same = NULL;
	H5I_type_t type = H5Iget_type(object);
	H5O_info_t info;
	void **slot;
	int s;

	if (H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0)
		return bad(r, place, "it cannot be opened");
	key = hps_format("%llu", (unsigned long long)info.addr);
	slot = hps_map_slot(&r->seen, key);
	if (*slot) {
		same = hps_format("the same as '%s'", (const char *)*slot);
		return add_literal(r, place, same);
	}
	*slot = hps_strdup(place);
	if (type == H5I_GROUP)
		s = add_group(r, object, place);
	else if (type == H5I_DATASET)
		s = add_dataset(r, object, place);
	else
		s = add_literal(r, place, "a named type");
	if (!s && H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_attribute, &p) < 0)
		s = r->result ? r->result : bad(r, place, "its attributes cannot be read");
	return s;
}

static int add_link(struct reader *r, hid_t group, const char *name, const H5L_info_t *info, const char *place)
{
	_cleanup_free_ char *value = NULL;
	hid_t object;
	int s;

	if (info->type == H5L_TYPE_HARD) {
		object = H5Oopen(group, name, H5P_DEFAULT);
		s = object < 0 ? bad(r, place, "it cannot be opened") : add_object(r, object, place);
		if (object >= 0)
			H5Oclose(object);
		return s;
	}
	value = hps_alloc(info->u.val_size + 1); /* soft and external links are what they point to: nothing is followed */
	if (info->u.val_size > 65536 || H5Lget_val(group, name, value, info->u.val_size, H5P_DEFAULT) < 0)
		return bad(r, place, "a link that cannot be read");
	return hps_tree_add_text(r->tree, place, HPS_TEXT_BYTES, hps_tree_keep(r->tree, hps_take(value)), info->u.val_size, r->err);
}

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
	struct place *p = arg;
	_cleanup_free_ char *place = hps_format("%s/%s", p->text, name);

	p->r->result = add_link(p->r, group, name, info, place);
	return p->r->result ? -1 : 0;
}

static int add_group(struct reader *r, hid_t group, const char *place)
{
	struct place p = { r, place };
	int s = add_literal(r, *place ? place : "/", "a group");

	if (++r->depth > DEPTH_MAX)
		return bad(r, place, "nested too deeply");
	if (!s && H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, &p) < 0)
		s = r->result ? r->result : bad(r, place, "its members cannot be read");
	r->depth--;
	return s;
}

/* ---- the file ---- */

static hid_t open_image(const char *data, size_t len)
{
	hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;

	/* The image is copied by the library, which never writes into ours. */
	if (access >= 0 && H5Pset_fapl_core(access, 65536, 0) >= 0 && H5Pset_file_image(access, (void *)(uintptr_t)data, len) >= 0)
		file = H5Fopen("memory", H5F_ACC_RDONLY, access);
	if (access >= 0)
		H5Pclose(access);
	return file;
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct reader r = { .tree = ret, .err = err };
	hid_t file, root = -1;
	int s;

	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	H5PLset_loading_state(0); /* no filter is loaded from anywhere */
	file = open_image(data, len);
	if (file >= 0)
		root = H5Oopen(file, "/", H5P_DEFAULT);
	s = root < 0 ? hps_error_set(err, HPS_E_FORMAT, "libhdf5 does not open it") : add_object(&r, root, "");
	if (root >= 0)
		H5Oclose(root);
	if (file >= 0)
		H5Fclose(file);
	for (size_t i = 0; i < r.seen.n; i++)
		free(r.seen.items[i].value);
	hps_map_release(&r.seen);
	return s;
}

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	return len > 8 && !memcmp(data, "\x89HDF\r\n\x1a\n", 8);
}

const struct hps_format hps_format_hdf5 = { "hdf5", fits, decode };
