/* .pt, .pth: what torch.save() writes since 1.6, a zip with NAME/data.pkl and one member a storage. The pickle is walked, never
 * executed; a tensor is a view of its storage, by offset, shape and strides. NAME, the file's own, does not matter. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

typedef struct hps_pickle value;

struct file {
	struct hps_zip zip;
	struct hps_tree *tree;
	struct hps_map members; /* by name without NAME/ → struct hps_zip_member * */
	struct hps_map used;	/* storages that a tensor shows: key → content */
};

static const struct {
	const char *storage;
	enum hps_dtype dtype;
	size_t itemsize;
} types[] = {
	{ "torch:FloatStorage", HPS_DTYPE_FLOAT, 4 },	  { "torch:DoubleStorage", HPS_DTYPE_FLOAT, 8 },	 { "torch:HalfStorage", HPS_DTYPE_FLOAT, 2 },
	{ "torch:BFloat16Storage", HPS_DTYPE_BFLOAT, 2 }, { "torch:LongStorage", HPS_DTYPE_INT, 8 },		 { "torch:IntStorage", HPS_DTYPE_INT, 4 },
	{ "torch:ShortStorage", HPS_DTYPE_INT, 2 },	  { "torch:CharStorage", HPS_DTYPE_INT, 1 },		 { "torch:ByteStorage", HPS_DTYPE_UINT, 1 },
	{ "torch:BoolStorage", HPS_DTYPE_BOOL, 1 },	  { "torch:ComplexFloatStorage", HPS_DTYPE_COMPLEX, 8 }, { "torch:ComplexDoubleStorage", HPS_DTYPE_COMPLEX, 16 },
};

static int bad(struct hps_error *err, const char *place, const char *what)
{
	return hps_error_set(err, HPS_E_FORMAT, "its tensor '%.200s': %s", place, what);
}

/* The persistent id ('storage', torch.FloatStorage, '0', 'cpu', number of elements). */
static int storage(struct file *f, const char *place, const value *v, struct hps_array *a, struct hps_error *err)
{
	const value *id = v->kind == HPS_PICKLE_PERSISTENT ? v->args : NULL;
	const struct hps_zip_member *m;
	_cleanup_free_ char *name = NULL, *key = NULL;
	const char *content;
	bool known = false;
	void **slot;

	if (!id || id->kind != HPS_PICKLE_TUPLE || id->n != 5 || id->items[2]->kind != HPS_PICKLE_STRING || id->items[4]->kind != HPS_PICKLE_INT)
		return bad(err, place, "no storage");
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (hps_pickle_is(id->items[1], types[i].storage)) {
			a->dtype = types[i].dtype;
			a->itemsize = types[i].itemsize;
			known = true;
		}
	if (!known)
		return bad(err, place, "a storage of an unknown type");
	key = hps_strndup(id->items[2]->text, id->items[2]->len);
	name = hps_format("data/%s", key);
	m = hps_map_get(&f->members, name);
	if (!m || m->unpacked_len / a->itemsize < (size_t)id->items[4]->value || id->items[4]->value < 0)
		return bad(err, place, "its storage is missing or too short");
	slot = hps_map_slot(&f->used, name);
	if (!*slot) {
		int r = hps_zip_content(&f->zip, m, f->tree, &content);

		if (r)
			return r;
		*slot = (void *)(uintptr_t)content;
	}
	a->data = *slot;
	a->n = (size_t)id->items[4]->value;
	return 0;
}

static bool sizes(const value *v, size_t n, size_t ret[HPS_DIMENSIONS_MAX])
{
	if (v->kind != HPS_PICKLE_TUPLE || v->n > HPS_DIMENSIONS_MAX || (n != SIZE_MAX && v->n != n))
		return false;
	for (size_t i = 0; i < v->n; i++) {
		if (v->items[i]->kind != HPS_PICKLE_INT || v->items[i]->value < 0)
			return false;
		ret[i] = (size_t)v->items[i]->value;
	}
	return true;
}

/* torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …): the last element must lie in the storage. */
static int view(const char *place, const value *args, struct hps_array *a, struct hps_error *err)
{
	size_t last = 0, held = a->n, step, n = 1;

	if (args->items[1]->kind != HPS_PICKLE_INT || args->items[1]->value < 0 || !sizes(args->items[2], SIZE_MAX, a->shape) ||
	    !sizes(args->items[3], args->items[2]->n, a->strides))
		return bad(err, place, "its shape is none");
	a->n_dimensions = args->items[2]->n;
	for (size_t i = 0; i < a->n_dimensions; i++) {
		if (__builtin_mul_overflow(n, a->shape[i], &n))
			return bad(err, place, "it has too many elements");
		if (a->shape[i] && (__builtin_mul_overflow(a->shape[i] - 1, a->strides[i], &step) || __builtin_add_overflow(last, step, &last)))
			return bad(err, place, "it is larger than its storage");
	}
	if (n && (__builtin_add_overflow(last, (size_t)args->items[1]->value, &last) || last >= held))
		return bad(err, place, "it is larger than its storage");
	a->n = n;
	a->data += n ? (size_t)args->items[1]->value * a->itemsize : 0;
	for (size_t i = 0; i < a->n_dimensions; i++)
		if (a->n && __builtin_mul_overflow(a->strides[i], a->itemsize, &a->strides[i]))
			return bad(err, place, "its strides are none");
	return 0;
}

static int lay_flag(struct file *f, const char *place, const char *what, const value *v, struct hps_error *err)
{
	_cleanup_free_ char *below = hps_format("%s(%s)", place, what);

	return hps_tree_add_text(f->tree, below, HPS_TEXT_STRING, v->text, v->len, err);
}

/* Takes over tensors and lone storages. */
static int special(void *arg, const char *place, const value *v, struct hps_error *err)
{
	struct file *f = arg;
	struct hps_array a = { 0 };
	const value *args = v->args;
	int r;

	if (v->kind == HPS_PICKLE_PERSISTENT) {
		r = storage(f, place, v, &a, err);
		a.n_dimensions = 1;
		a.shape[0] = a.n;
		a.strides[0] = a.itemsize;
	} else if (v->kind == HPS_PICKLE_OBJECT && hps_pickle_is(v->callable, "torch._utils:_rebuild_tensor_v2") && args->kind == HPS_PICKLE_TUPLE && args->n >= 6) {
		r = storage(f, place, args->items[0], &a, err);
		r = r ? r : view(place, args, &a, err);
		if (!r && args->items[4]->kind == HPS_PICKLE_LITERAL)
			r = lay_flag(f, place, "requires_grad", args->items[4], err);
	} else {
		return 0;
	}
	r = r ? r : hps_tree_add_array(f->tree, place, &a, err);
	return r ? r : 1;
}

/* What no tensor shows stays bytes: version, byte order, code. The name of the run that wrote it is masked. */
static int lay_rest(struct file *f, struct hps_error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < f->members.n; i++) {
		const char *name = f->members.items[i].key, *content;
		_cleanup_free_ char *place = hps_format("member %s", name);

		if (!strcmp(name, "data.pkl") || hps_map_get(&f->used, name))
			continue;
		r = hps_zip_content(&f->zip, f->members.items[i].value, f->tree, &content);
		r = r ? r : hps_tree_add_text(f->tree, place, HPS_TEXT_BYTES, content, ((struct hps_zip_member *)f->members.items[i].value)->unpacked_len, err);
		if (!r && !strcmp(name, ".data/serialization_id"))
			hps_tree_mark(f->tree, HPS_MASK_ID);
	}
	return r;
}

static int read_members(struct file *f, struct hps_error *err)
{
	for (size_t i = 0; i < f->zip.n; i++) {
		const char *slash = strchr(f->zip.members[i].name, '/');
		void **slot;

		if (!slash)
			return hps_error_set(err, HPS_E_FORMAT, "its member '%s' is in no folder", f->zip.members[i].name);
		slot = hps_map_slot(&f->members, slash + 1);
		if (*slot)
			return hps_error_set(err, HPS_E_FORMAT, "its member '%s' is there twice", slash + 1);
		*slot = &f->zip.members[i];
	}
	return 0;
}

static int read_file(struct file *f, struct hps_error *err)
{
	struct hps_pickles p = { .tree = f->tree };
	struct hps_pickle_layout l = { .tree = f->tree, .special = special, .arg = f, .err = err };
	const struct hps_zip_member *m;
	const char *content;
	struct hps_bytes b;
	int r = read_members(f, err);

	m = r ? NULL : hps_map_get(&f->members, "data.pkl");
	if (!m)
		return r ? r : hps_error_set(err, HPS_E_FORMAT, "it has no data.pkl");
	r = hps_zip_content(&f->zip, m, f->tree, &content);
	if (r)
		return r;
	b = (struct hps_bytes){ (const uint8_t *)content, (const uint8_t *)content + m->unpacked_len };
	r = hps_pickle_read(&b, &p, err);
	if (!r && b.at != b.end)
		r = hps_error_set(err, HPS_E_FORMAT, "its pickle: more bytes after it");
	r = r ? r : hps_pickle_lay(&l, "", p.root);
	hps_pickles_release(&p);
	return r ? r : lay_rest(f, err);
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct file f = { .tree = ret };
	int r = hps_zip_read(data, len, &f.zip, err);

	r = r ? r : read_file(&f, err);
	hps_map_release(&f.members);
	hps_map_release(&f.used);
	hps_zip_release(&f.zip);
	return r;
}

static bool fits(const char *path, const char *data, size_t len)
{
	static const char mark[] = "/data.pkl";
	size_t n;

	(void)path;
	if (len < 64 || memcmp(data, "PK\3\4", 4) != 0)
		return false;
	n = (size_t)(unsigned char)data[26] | (size_t)(unsigned char)data[27] << 8; /* torch writes it first */
	return n >= sizeof mark && n < 256 && 30 + n <= len && !memcmp(data + 30 + n - (sizeof mark - 1), mark, sizeof mark - 1);
}

const struct hps_format hps_format_torch = { "torch", fits, decode };
