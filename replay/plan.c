/* What must be in the view, from the manifests: each file as it was when the trial first opened it, each directory in the order
 * in which it was listed. Manifests are untrusted: a path that is not plain or a file with children is refused. */
#include "replay/replay.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct planner {
	struct hps_plan *plan;
	const struct hps_original *original;
	struct hps_map products; /* path → item */
	struct hps_map others;	 /* path → item of a directory or link that is a material: it was there when the trial started */
	struct hps_error *err;
};

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return !strncmp(path, top, n) && (!path[n] || path[n] == '/');
}

/* The kernel makes these; they are not rebuilt from files. */
static bool is_virtual(const char *path)
{
	return is_below(path, "/proc") || is_below(path, "/sys") || (is_below(path, "/dev") && !is_below(path, "/dev/shm"));
}

static bool is_plain(const char *path)
{
	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return false;
	for (const char *p = path; *p;) {
		size_t n = strcspn(p + 1, "/");

		if (path[1] && (n == 0 || n > NAME_MAX || (n == 1 && p[1] == '.') || (n == 2 && p[1] == '.' && p[2] == '.')))
			return false;
		p += 1 + n;
	}
	return true;
}

/* ---- items ---- */

static char *read_item_path(struct planner *p, const json_t *item, const char *name, int *ret_error)
{
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
	const char *text = hps_json_text(item, name);

	if (!text || hps_path_unescape(text, &path, p->err) || strlen(path.data ? path.data : "") != path.len || !is_plain(path.data ? path.data : "")) {
		*ret_error = hps_plan_damaged(p->err, text ? text : "", "is not a path");
		return NULL;
	}
	return hps_buf_take(&path);
}

static bool is_new(const struct planner *p, const char *path)
{
	const json_t *product = hps_map_get(&p->products, path);

	return product && !hps_json_at(product, "before", NULL) && !hps_json_at(product, "beforeTag", NULL) && !hps_map_get(&p->others, path) &&
	       !hps_item_deleted(product);
}

/* True when the trial itself made what is at path, or a directory above it, so that it must not be there when the trial starts. */
static bool is_made(const struct planner *p, const char *path)
{
	_cleanup_free_ char *above = hps_strdup(path);

	for (char *slash; *above; *slash = '\0') {
		if (is_new(p, above))
			return true;
		slash = strrchr(above, '/');
		if (!slash)
			break;
	}
	return false;
}

/* Nobody has what it held. It is no input, as far as is known, and the verdict is told. */
static int add_blank(struct planner *p, const char *path, const json_t *item)
{
	struct hps_plan_node *node;
	int r = hps_plan_add_node(p->plan, path, HPS_PLAN_FILE, &node, p->err);

	if (r)
		return r;
	p->plan->n_files++;
	hps_digest_of("", 0, &node->digest);
	node->size = 0;
	node->writable = node->unread = node->blank = true;
	node->mode = hps_item_mode(item);
	node->mtime_ns = hps_item_ns(item, "mtime");
	hps_hole_add(&p->plan->holes, path, HPS_BLANK);
	return 0;
}

static int add_file(struct planner *p, const char *path, const char *hex, const json_t *item, bool writable)
{
	bool unread = hps_item_unread(item, writable);
	struct hps_plan_node *node;
	struct hps_digest digest;
	int r;

	if (!hex && unread && hps_json_text(item, "withheld"))
		return add_blank(p, path, item);
	if (!hex) {
		hps_hole_add(&p->plan->problems, path, hps_json_text(item, "withheld") ? "missing: it holds secrets, and is not kept" : "missing: its content was not recorded");
		return 0;
	}
	if (hps_digest_parse(hex, &digest))
		return hps_plan_damaged(p->err, path, "has a digest that is none");
	r = hps_plan_add_node(p->plan, path, HPS_PLAN_FILE, &node, p->err);
	if (r)
		return r;
	p->plan->n_files++;
	node->digest = digest;
	node->writable = writable;
	node->stored = json_is_true(hps_json_at(item, "stored", NULL));
	node->secret = hps_json_text(item, "notStored") != NULL;
	node->mode = hps_item_mode(item);
	node->mtime_ns = hps_item_ns(item, "mtime");
	node->size = writable ? -1 : hps_json_int(item, "size", -1);
	node->beginning = writable ? hps_item_beginning(item, hex) : -1;
	node->unread = unread;
	if (json_is_true(hps_json_at(item, "changed", NULL)))
		hps_hole_add(&p->plan->holes, path, "somebody else changed it while the trial used it; the rerun has what was there first");
	return 0;
}

/* Items come in path order: the name that the others refer to came first. */
static int add_link(struct planner *p, const char *path, const json_t *item)
{
	int r = 0;
	_cleanup_free_ char *first = hps_json_text(item, "link") ? read_item_path(p, item, "link", &r) : NULL;
	size_t a = first ? hps_plan_index(p->plan, first) : 0, b = hps_plan_index(p->plan, path);
	struct hps_plan_node *x = a ? &p->plan->nodes[a - 1] : NULL, *y = b ? &p->plan->nodes[b - 1] : NULL;

	if (r || !x || !y || a == b || x->kind != HPS_PLAN_FILE || y->kind != HPS_PLAN_FILE || !hps_digest_equal(&x->digest, &y->digest))
		return r;
	if (!x->group)
		x->group = ++p->plan->n_groups;
	y->group = x->group;
	p->plan->changes_links = p->plan->changes_links || x->writable || y->writable;
	return 0;
}

static void set_attributes(struct hps_plan_node *node, const json_t *item)
{
	_cleanup_free_ char *target = NULL;
	struct hps_attributes a;

	if (!hps_item_attributes(item, &a, &target))
		return;
	if (!node->attributes)
		node->attributes = hps_alloc(sizeof a);
	*node->attributes = a;
	if (node->kind != HPS_PLAN_GHOST)
		return;
	node->known = a.mode;
	node->size = a.size;
	node->mtime_ns = a.mtime_ns;
	if (S_ISLNK(a.mode) && !node->target)
		node->target = hps_take(target);
}

static int add_listing(struct planner *p, const char *path, const json_t *listing, const json_t *attributes)
{
	const json_t *name;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)listing, i, name) {
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
		_cleanup_free_ char *child = NULL;
		struct hps_plan_node *node;
		size_t found;
		int r = 0;

		if (!json_is_string(name) || hps_path_unescape(json_string_value(name), &text, p->err) || !text.len || memchr(text.data, '/', text.len))
			return hps_plan_damaged(p->err, path, "lists a name that is none");
		if (!strcmp(text.data, ".") || !strcmp(text.data, ".."))
			continue;
		child = hps_format("%s/%s", path[1] ? path : "", text.data);
		if (!is_plain(child))
			return hps_plan_damaged(p->err, path, "lists a name that is none");
		if (is_virtual(child) || is_made(p, child))
			continue;
		found = hps_plan_index(p->plan, child);
		if (!found)
			r = hps_plan_add_node(p->plan, child, HPS_PLAN_GHOST, &node, p->err);
		else
			node = &p->plan->nodes[found - 1];
		if (r)
			return r;
		node->rank = i;
		set_attributes(node, json_array_get(attributes, i + 1));
	}
	return 0;
}

static void add_descriptors(struct planner *p, const char *path, const json_t *descriptors)
{
	const json_t *number;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)descriptors, i, number) {
		json_int_t fd = json_integer_value(number);
		_cleanup_free_ char *what = hps_format("descriptor %lld", (long long)fd);

		if (fd < 0 || fd > 2) {
			hps_hole_add(&p->plan->holes, what, "the trial had inherited a file there; the rerun has /dev/null");
		} else if (!p->plan->standard[fd]) {
			p->plan->standard[fd] = hps_strdup(path);
		}
	}
}

static int add_material(struct planner *p, const json_t *item)
{
	const char *type = hps_json_text(item, "type");
	struct hps_plan_node *node;
	int r = 0;
	_cleanup_free_ char *path = read_item_path(p, item, "path", &r);
	const json_t *product;

	if (r)
		return r;
	p->plan->uses_sys = p->plan->uses_sys || is_below(path, "/sys");
	if (is_virtual(path) || is_made(p, path) || !type)
		return 0;
	product = hps_map_get(&p->products, path);
	add_descriptors(p, path, hps_json_at(item, "descriptors", NULL));
	if (!strcmp(type, "file")) {
		const char *hex = product ? hps_item_before(product) : hps_json_text(hps_json_at(item, "digest", NULL), "sha256");

		r = add_file(p, path, hex, item, product != NULL);
		return r ? r : add_link(p, path, item);
	}
	if (!strcmp(type, "symlink")) {
		const char *target = hps_json_text(item, "target");
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		if (!target || hps_path_unescape(target, &text, p->err) || !text.len)
			return hps_plan_damaged(p->err, path, "is a symbolic link to nothing");
		r = hps_plan_add_node(p->plan, path, HPS_PLAN_SYMLINK, &node, p->err);
		if (r)
			return r;
		free(node->target);
		node->target = hps_buf_take(&text);
		node->mtime_ns = hps_item_ns(item, "mtime");
		return 0;
	}
	if (strcmp(type, "directory") != 0) {
		if (product)
			hps_hole_add(&p->plan->holes, path, "neither file, directory nor link: it was there and is not rebuilt");
		return 0;
	}
	r = hps_plan_add_node(p->plan, path, HPS_PLAN_DIRECTORY, &node, p->err);
	if (r)
		return r;
	node->mode = hps_item_mode(item);
	node->mtime_ns = hps_item_ns(item, "mtime");
	node->listed = hps_json_at(item, "listing", NULL) != NULL;
	p->plan->moves_directories = p->plan->moves_directories || json_is_true(hps_json_at(item, "moved", NULL));
	set_attributes(node, json_array_get(hps_json_at(item, "attributes", NULL), 0));
	return add_listing(p, path, hps_json_at(item, "listing", NULL), hps_json_at(item, "attributes", NULL));
}

/* Under its old name it was there, whatever is there by now. */
static bool is_moved_directory(const struct planner *p, const json_t *product)
{
	const char *type = hps_json_text(product, "type");
	int r = 0;
	_cleanup_free_ char *from = hps_json_text(product, "from") ? read_item_path((struct planner *)(uintptr_t)p, product, "from", &r) : NULL;

	return from && type && !strcmp(type, "directory") && hps_map_get(&p->others, from);
}

/* What the trial changed and what was there before; and the directory that held it, unless the trial made that too. */
static int add_product(struct planner *p, const json_t *item)
{
	const char *type = hps_json_text(item, "type");
	size_t parent;
	int r = 0;
	_cleanup_free_ char *path = read_item_path(p, item, "path", &r), *above = NULL;

	if (r)
		return r;
	if (is_virtual(path) || !path[1])
		return 0;
	if (is_made(p, path))
		*hps_map_slot(&p->plan->made, path) = p->plan;
	p->plan->moves_directories = p->plan->moves_directories || is_moved_directory(p, item);
	above = hps_strndup(path, (size_t)(strrchr(path, '/') - path));
	while (*above && is_made(p, above))
		*strrchr(above, '/') = '\0';
	r = *above ? hps_plan_add_directory(p->plan, above, &parent, p->err) : 0;
	if (r || is_made(p, path) || hps_plan_find(p->plan, path))
		return r;
	if (type && !strcmp(type, "directory"))
		return hps_plan_add_directory(p->plan, path, &parent, p->err);
	if (type && strcmp(type, "file") != 0)
		return 0; /* its material says why */
	return add_file(p, path, hps_item_before(item), item, true);
}

/* mkdir() that found something: most often the directory that it was to make. */
static int add_miss(struct planner *p, const json_t *item)
{
	const char *error = hps_json_text(item, "error");
	size_t found;
	int r = 0;
	_cleanup_free_ char *path = NULL;

	if (!error || strcmp(error, "EEXIST") != 0)
		return 0;
	path = read_item_path(p, item, "path", &r);
	if (r || is_virtual(path) || is_made(p, path) || hps_plan_find(p->plan, path))
		return r;
	return hps_plan_add_directory(p->plan, path, &found, p->err);
}

static int index_items(struct planner *p, const json_t *items, bool files, struct hps_map *ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)items, i, item) {
		int r = 0;
		_cleanup_free_ char *path = read_item_path(p, item, "path", &r);
		const char *type = hps_json_text(item, "type");

		if (r)
			return r;
		if (files || (type && (!strcmp(type, "directory") || !strcmp(type, "symlink"))))
			*hps_map_slot(ret, path) = (void *)(uintptr_t)item;
	}
	return 0;
}

static int add_all(struct planner *p, const json_t *items, int (*add)(struct planner *p, const json_t *item))
{
	const json_t *item;
	size_t i;
	int r;

	json_array_foreach((json_t *)(uintptr_t)items, i, item) {
		r = add(p, item);
		if (r)
			return r;
	}
	return 0;
}

/* What the recorder wrote in place of a secret cannot be run. */
static bool is_withheld(const char *word)
{
	const char *tag = strstr(word, "hmac:");

	return strstr(word, "[redacted]") || (tag && strspn(tag + 5, "0123456789abcdef") >= 32);
}

static void check_command(struct planner *p)
{
	for (size_t i = 0; i < p->original->argv.n; i++) {
		_cleanup_free_ char *what = hps_format("word %zu of the command", i);

		if (is_withheld(p->original->argv.v[i]))
			hps_hole_add(&p->plan->problems, what, "missing: the record withholds it as a secret");
	}
}

/* Directories that every program may expect, and the one that the trial starts in. */
static int add_frame(struct planner *p)
{
	static const char *const frame[] = { "/tmp", "/proc", "/dev", "/dev/shm" };
	struct hps_plan_node *node;
	size_t found;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(frame) && !r; i++)
		r = hps_plan_add_directory(p->plan, frame[i], &found, p->err);
	r = r || !p->plan->uses_sys ? r : hps_plan_add_directory(p->plan, "/sys", &found, p->err);
	r = r ? r : hps_plan_add_node(p->plan, "/tmp", HPS_PLAN_DIRECTORY, &node, p->err);
	if (r)
		return r;
	node->mode = 01777;
	r = hps_plan_add_node(p->plan, "/dev/shm", HPS_PLAN_DIRECTORY, &node, p->err);
	if (r)
		return r;
	node->mode = 01777;
	if (!is_plain(p->original->cwd))
		return hps_plan_damaged(p->err, p->original->cwd, "is not a path");
	return hps_plan_add_directory(p->plan, p->original->cwd, &found, p->err);
}

/* Python uses a .pyc of __pycache__ only while its source is there, which it looks at but does not open: nothing recorded it. */
static int add_sources(struct planner *p)
{
	int r = 0;

	for (size_t i = 0, n = p->plan->n; i < n && !r; i++) {
		_cleanup_free_ char *source = p->plan->nodes[i].kind == HPS_PLAN_FILE ? hps_plan_python_source(p->plan->nodes[i].path) : NULL;
		struct hps_plan_node *node;

		if (source && !is_made(p, source) && !hps_plan_index(p->plan, source))
			r = hps_plan_add_node(p->plan, source, HPS_PLAN_GHOST, &node, p->err);
	}
	return r;
}

/* Programs that show what looking at names says. Any other may; but answering costs each look a few microseconds, and a Python
 * program looks thousands of times. */
static bool shows_looks(const char *program)
{
	static const char *const names[] = { "ls", "dir", "vdir", "du", "find", "stat", "tree", "busybox" };
	const char *slash = strrchr(program, '/');

	for (size_t i = 0; slash && i < ARRAY_SIZE(names); i++)
		if (!strcmp(slash + 1, names[i]))
			return true;
	return false;
}

static bool looks(const struct hps_original *o)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)o->processes, i, item) {
		const char *program = hps_json_text(item, "program");

		if (program && shows_looks(program))
			return true;
	}
	return false;
}

int hps_plan_make(const struct hps_original *o, struct hps_plan *ret, struct hps_error *err)
{
	struct planner p = { .plan = ret, .original = o, .err = err };
	int r;

	hps_plan_append(ret, "/", 0, HPS_PLAN_DIRECTORY);
	check_command(&p);
	r = index_items(&p, o->products, true, &p.products);
	r = r ? r : index_items(&p, o->materials, false, &p.others);
	r = r ? r : add_all(&p, o->materials, add_material);
	r = r ? r : add_all(&p, o->products, add_product);
	r = r ? r : add_all(&p, o->misses, add_miss);
	r = r ? r : add_sources(&p);
	r = r ? r : add_frame(&p);
	ret->looks = looks(o);
	hps_map_release(&p.products);
	hps_map_release(&p.others);
	return r;
}
