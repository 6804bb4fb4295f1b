/* The manifests of a trial: what was read, changed, missed and run, from the tables that the supervisor filled. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/identity.h"
#include "recorder/package.h"

#define SUBJECTS_MAX 1000
#define QUESTION_MAX ((size_t)64 << 10) /* bytes at a time */

static void set_i64_text(json_t *object, const char *name, int64_t value)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", (long long)value);
	hps_json_set_text(object, name, text);
}

static const char *type_of(mode_t mode)
{
	return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "symlink" : "other";
}

/* What the helper says of the files: see hps_facts_files(). numbers: of each file, sorted, its owner's from 1 on; 0: nobody's. */
struct answer {
	json_t *json;
	uint32_t *numbers;
};

/* ---- materials ---- */

static bool is_library(const struct hps_file *file)
{
	return file->first && file->first->shared_object && file->uses & (HPS_USE_READ | HPS_USE_LOADER);
}

static json_t *uses_json(unsigned uses)
{
	static const char *const names[] = { "read", "exec", "interpreter", "library", "write" };
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (uses >> i & 1)
			hps_json_add(list, json_string(names[i]));
	return list;
}

static json_t *strings_json(const char *strings, size_t len)
{
	json_t *list = json_array();

	for (size_t at = 0; at < len; at += strlen(strings + at) + 1)
		hps_json_add(list, hps_path_json(strings + at));
	return list;
}

static json_t *descriptors_json(unsigned descriptors)
{
	json_t *list = json_array();

	for (int i = 0; i < 32; i++)
		if (descriptors >> i & 1)
			hps_json_add(list, json_integer(i));
	return list;
}

static bool has_digest(const struct hps_content *c)
{
	return c && (atomic_load(&c->state) == HPS_CONTENT_DONE || atomic_load(&c->state) == HPS_CONTENT_CHANGED);
}

/* What is known of a path: the package that brought it, and whether the file still is the package's. */
static void set_package(json_t *item, const json_t *owner)
{
	hps_json_set_text(item, "package", hps_json_text(owner, "package"));
	hps_json_set_text(item, "packageManager", hps_json_text(owner, "manager"));
	if (json_object_get(owner, "pristine"))
		hps_json_set(item, "pristine", json_incref(json_object_get(owner, "pristine")));
}

static void set_content(const struct hps_record *r, json_t *item, const struct hps_file *file, const json_t *owner)
{
	const struct hps_rare *rare = hps_file_rare(file);
	const struct hps_content *c = file->first;

	if (!hps_shape_withheld(file->path, c))
		hps_json_set_int(item, "size", c ? c->id.size : file->size);
	hps_json_set(item, "uses", uses_json(file->uses | (is_library(file) ? HPS_USE_LIBRARY : 0)));
	if (has_digest(c))
		hps_shape_content(r, item, "digest", file->path, c);
	if (c && c->stored)
		hps_json_set(item, "stored", json_true());
	if (c && c->secret && !hps_shape_withheld(file->path, c))
		hps_json_set_text(item, "notStored", "secret");
	if (hps_file_changed(file))
		hps_json_set(item, "changed", json_true());
	if (rare->descriptors)
		hps_json_set(item, "descriptors", descriptors_json(rare->descriptors));
	if (rare->link)
		hps_json_set(item, "link", hps_path_json(rare->link));
	set_package(item, owner);
}

static json_t *material_json(const struct hps_record *r, const struct hps_file *file, const json_t *owner)
{
	const struct hps_rare *rare = hps_file_rare(file);
	json_t *item = json_object();
	const char *type = file->special ? "other" : type_of(file->mode);

	hps_json_set(item, "path", hps_path_json(file->path));
	hps_json_set_text(item, "type", type);
	if (file->unverified)
		hps_json_set(item, "unverified", json_true());
	if (rare->target && S_ISLNK(file->mode)) {
		hps_json_set(item, "target", hps_path_json(rare->target));
		set_i64_text(item, "mtime", file->mtime_ns);
	}
	if (file->special || S_ISLNK(file->mode))
		return item;
	hps_shape_octal(item, "mode", file->mode);
	set_i64_text(item, "mtime", file->mtime_ns);
	if (S_ISREG(file->mode))
		set_content(r, item, file, owner);
	if (rare->listing)
		hps_json_set(item, "listing", strings_json(rare->listing, rare->listing_len));
	if (file->moved)
		hps_json_set(item, "moved", json_true());
	if (rare->attributes)
		hps_json_set(item, "attributes", strings_json(rare->attributes, rare->attributes_len));
	return item;
}

static const json_t *owner_of(const struct answer *a, size_t i)
{
	return a->numbers[i] ? json_array_get(json_object_get(a->json, "owners"), a->numbers[i] - 1) : NULL;
}

/* Can a package of the system give this content again? Not when the file was changed after it was installed. */
static bool restorable(const json_t *owner)
{
	return owner && hps_package_restores(hps_json_text(owner, "manager")) && !json_is_false(json_object_get(owner, "pristine"));
}

/* What no package can restore is stored, if it still is what was hashed. Compiled Python below /usr can be made again. */
static void store_unowned(struct hps_record *r, struct hps_file *file)
{
	_cleanup_fd_ int root = -1, fd = -1;
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT };
	struct hps_content *c = file->first;
	size_t n = strlen(file->path);
	int error;

	if (!c || c->stored || c->secret || atomic_load(&c->state) != HPS_CONTENT_DONE || !r->objects ||
	    (r->files->capture < HPS_CAPTURE_ALL && !strncmp(file->path, "/usr/", 5) && n > 4 && !strcmp(file->path + n - 4, ".pyc")))
		return;
	if (c->id.size > HPS_STORE_MAX) {
		r->n_large++;
		r->large_bytes += (uint64_t)c->id.size;
		return;
	}
	root = open(r->o->root ? r->o->root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = (int)syscall(SYS_openat2, root, file->path, &how, sizeof how);
	if (fd >= 0 && hps_redact_content(r->redactor, fd)) {
		c->secret = true;
		return;
	}
	error = fd >= 0 ? hps_objects_put_fd(r->objects, fd, &c->digest, NULL, NULL, NULL) : -errno;
	c->stored = !error;
	if (error)
		hps_gap_note(r->gaps, error == HPS_E_DAMAGED || error == -ENOENT ? HPS_GAP_REPLACED : HPS_GAP_STORE);
}

static bool is_kept(const struct hps_record *r, const struct hps_file *file, const json_t *owner)
{
	enum hps_capture c = r->files->capture;

	if (r->files->rerun || c == HPS_CAPTURE_NONE || (c < HPS_CAPTURE_ALL && restorable(owner)))
		return false;
	return c > HPS_CAPTURE_CODE || file->uses & (HPS_USE_EXEC | HPS_USE_INTERPRETER) || is_library(file) || hps_path_code(file->path);
}

/* What a package brought to everybody is no secret, whatever it looks like: patterns of file(1), examples in settings. */
static void make_public(struct hps_file *file, const json_t *owner)
{
	if (owner && file->first && json_is_true(hps_json_at(owner, "pristine", NULL)))
		file->first->secret = file->first->guessable = false;
}

static int write_materials(struct hps_record *r, struct hps_file **list, size_t n, const struct answer *a, json_t **ret, struct hps_error *err)
{
	struct hps_manifest m;

	hps_manifest_begin(&m, r, "materials");
	for (size_t i = 0; i < n; i++) {
		struct hps_file *file = list[i];
		const json_t *owner = NULL;

		if (!file->uses)
			continue;
		if (S_ISREG(file->mode) && !file->special) {
			owner = owner_of(a, i);
			make_public(file, owner);
			if (is_kept(r, file, owner))
				store_unowned(r, file);
			if (hps_file_changed(file) && !(file->first && atomic_load(&file->first->state) == HPS_CONTENT_CHANGED))
				hps_gap_note(r->gaps, HPS_GAP_CHANGED);
			r->n_read++;
		}
		/* A name from a package's list is nobody's secret, and most names are. */
		if (S_ISREG(file->mode) && restorable(owner) && !hps_file_rare(file)->listing)
			hps_manifest_add_plain(&m, material_json(r, file, owner));
		else
			hps_manifest_add(&m, material_json(r, file, owner));
	}
	return hps_manifest_end(&m, r, ret, err);
}

/* Programs and libraries, once for each path. */
static void find_drawing(struct hps_record *r, struct hps_file **list, size_t n)
{
	r->drawing = json_array();
	for (size_t i = 0; i < n; i++)
		if (list[i]->first && list[i]->first->draws && (is_library(list[i]) || list[i]->uses & (HPS_USE_EXEC | HPS_USE_INTERPRETER)))
			hps_json_add(r->drawing, hps_path_json(list[i]->path));
}

static int write_libraries(struct hps_record *r, struct hps_file **list, size_t n, const struct answer *a, json_t **ret, struct hps_error *err)
{
	const json_t *elf = json_object_get(a->json, "elf");
	struct hps_manifest m;

	hps_manifest_begin(&m, r, "libraries");
	for (size_t i = 0; i < n; i++) {
		_cleanup_json_ json_t *path = NULL;
		const json_t *facts;
		json_t *item;

		if (!list[i]->uses || !is_library(list[i]))
			continue;
		path = hps_path_json(list[i]->path);
		facts = json_object_get(elf, json_string_value(path));
		item = json_object();
		hps_json_set(item, "path", json_incref(path));
		if (has_digest(list[i]->first))
			hps_shape_content(r, item, "digest", list[i]->path, list[i]->first);
		json_object_update(item, (json_t *)(uintptr_t)facts); /* soname, buildId, version, packageNote */
		set_package(item, owner_of(a, i));
		hps_manifest_add(&m, item);
	}
	return hps_manifest_end(&m, r, ret, err);
}

/* ---- products ---- */

/* Opened for writing and left as it was: neither its bytes nor its times have changed. What is no file, and was only perhaps
 * changed by a call that was left to the program, is looked at from outside. */
static bool untouched(const struct hps_file *file)
{
	const struct hps_final *final = file->rare->final;
	const struct hps_content *a = file->first, *b = final->content;

	if (!file->existed || file->rare->from || !final->exists)
		return false;
	if (file->unverified && !S_ISREG(file->mode))
		return final->mode == file->mode && final->mtime_ns == file->mtime_ns && final->size == file->size;
	return has_digest(a) && has_digest(b) && hps_identity_equal(&a->id, &b->id) && hps_digest_equal(&a->digest, &b->digest);
}

/* A temporary file that came and went, or a name that never came to be, is none. */
static bool is_product(const struct hps_file *file)
{
	const struct hps_final *final = hps_file_rare(file)->final;

	return file->product && final && !file->special && (final->exists || final->unreadable || file->existed) && !untouched(file);
}

static void set_attributes(json_t *item, const struct hps_file *file)
{
	static const char *const names[] = { "mode", "owner", "times", "extended" };
	const struct hps_final *final = file->rare->final;
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (file->rare->set >> i & 1)
			hps_json_add(list, json_string(names[i]));
	hps_json_set(item, "set", list);
	if (final->extended)
		hps_json_set(item, "extended", json_incref(final->extended));
	if (file->rare->set & HPS_SET_TIMES)
		set_i64_text(item, "mtime", final->mtime_ns);
	if (!(file->rare->set & HPS_SET_OWNER))
		return;
	hps_json_set_int(item, "uid", final->uid);
	hps_json_set_int(item, "gid", final->gid);
}

static json_t *product_json(const struct hps_record *r, const struct hps_file *file)
{
	json_t *item = json_object();
	const struct hps_final *final = file->rare->final;
	const char *from = file->rare->from;
	mode_t mode = (final->exists || final->unreadable) && final->mode ? final->mode : file->mode;
	const char *state = final->unreadable ? "unreadable" : !final->exists ? "deleted" : from ? "renamed" : "written";

	hps_json_set(item, "path", hps_path_json(file->path));
	hps_json_set_text(item, "type", type_of(mode));
	hps_json_set_text(item, "state", state);
	if (file->existed && has_digest(file->first))
		hps_shape_content(r, item, "before", file->path, file->first);
	if (file->unverified)
		hps_json_set(item, "unverified", json_true());
	if (!final->exists)
		return item;
	if (from)
		hps_json_set(item, "from", hps_path_json(from));
	if (final->target)
		hps_json_set(item, "target", hps_path_json(final->target));
	if (final->link)
		hps_json_set(item, "link", hps_path_json(final->link));
	if (file->rare->set)
		set_attributes(item, file);
	if (S_ISLNK(mode))
		return item;
	hps_shape_octal(item, "mode", mode);
	if (S_ISREG(mode) && !hps_shape_withheld(file->path, final->content))
		hps_json_set_int(item, "size", final->content ? final->content->id.size : final->size);
	if (has_digest(final->content))
		hps_shape_content(r, item, "digest", file->path, final->content);
	if (final->content && final->content->stored)
		hps_json_set(item, "stored", json_true());
	return item;
}

static int write_products(struct hps_record *r, struct hps_file **list, size_t n, json_t *subject, struct hps_error *err)
{
	_cleanup_json_ json_t *items = json_array();
	struct hps_manifest m;
	json_t *descriptor;
	int error;

	hps_manifest_begin(&m, r, "products");
	for (size_t i = 0; i < n; i++) {
		const struct hps_file *file = list[i];
		const struct hps_final *final = hps_file_rare(file)->final;
		json_t *named;

		if (!is_product(file))
			continue;
		hps_manifest_add(&m, product_json(r, file));
		if (!S_ISREG(final->mode) || !has_digest(final->content))
			continue;
		r->n_written++;
		if (json_array_size(items) >= SUBJECTS_MAX || hps_shape_withheld(file->path, final->content))
			continue;
		named = json_object();
		hps_json_set(named, "name", hps_path_json(file->path));
		hps_json_set(named, "digest", hps_shape_digest(&final->content->digest));
		hps_json_add(items, named);
	}
	error = hps_manifest_end(&m, r, &descriptor, err);
	if (error)
		return error;
	json_object_del(descriptor, "mediaType");
	hps_json_add(subject, descriptor);
	json_array_extend(subject, items);
	return 0;
}

/* ---- misses, processes, distributions ---- */

static int write_misses(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	const struct hps_map *misses = &r->files->misses;
	_cleanup_free_ const struct hps_map_item **list = hps_map_sorted(misses);
	struct hps_manifest m;

	hps_manifest_begin(&m, r, "misses");
	for (size_t i = 0; i < misses->n; i++) {
		json_t *item = json_object();

		hps_json_set(item, "path", hps_path_json(list[i]->key));
		hps_json_set_text(item, "error", strerrorname_np((int)(intptr_t)list[i]->value));
		hps_manifest_add(&m, item);
	}
	return hps_manifest_end(&m, r, ret, err);
}

static json_t *packed_arguments(const struct hps_record *r, const struct hps_execution *e)
{
	_cleanup_free_ char **argv = hps_shape_words(e);

	return hps_shape_arguments(r, argv);
}

static json_t *process_json(const struct hps_record *r, size_t i, const struct hps_exit *end)
{
	const struct hps_execution *e = &r->supervisor->executions[i];
	int64_t end_ns = e->replaced ? e->end_ns : end && end->end_ns ? end->end_ns : 0;
	json_t *item = json_object();

	hps_json_set_int(item, "n", (int64_t)i);
	hps_json_set_int(item, "parent", e->parent);
	hps_json_set(item, "program", hps_path_json(e->program));
	hps_json_set(item, "argv", packed_arguments(r, e));
	hps_json_set(item, "cwd", hps_shape_text(r, e->cwd));
	hps_json_set_int(item, "pid", e->pid);
	if (!e->replaced && e->pid == r->supervisor->root_pid)
		hps_json_set(item, "exit", hps_shape_exit(r->status));
	else if (!e->replaced && end && end->status >= 0)
		hps_json_set(item, "exit", hps_shape_exit(end->status));
	hps_shape_seconds(item, "start", e->start_ns - r->started_boot_ns);
	if (end_ns)
		hps_shape_seconds(item, "end", end_ns - r->started_boot_ns);
	if (e->script)
		hps_json_set(item, "interpreter", hps_path_json(e->script));
	hps_environ_json(r, e, item);
	if (e->cpu_ns > 0)
		hps_shape_seconds(item, "cpuSeconds", e->cpu_ns);
	if (e->peak_kib)
		hps_json_set_int(item, "maxRssBytes", e->peak_kib * 1024);
	if (e->n_threads)
		hps_json_set_int(item, "threads", (int64_t)e->n_threads);
	if (e->n_forks) {
		hps_json_set_int(item, "forks", (int64_t)e->n_forks);
		hps_shape_seconds(item, "forksCpuSeconds", e->forks_cpu_ns);
	}
	if (e->n_random)
		hps_json_set_int(item, "getrandom", (int64_t)e->n_random);
	if (e->n_random_opened)
		hps_json_set_int(item, "randomDevices", (int64_t)e->n_random_opened);
	return item;
}

static int write_processes(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	const struct hps_supervisor *s = r->supervisor;
	_cleanup_free_ const struct hps_exit **ends = hps_alloc((s->tracees.n + 1) * sizeof *ends);
	struct hps_manifest m;

	for (size_t i = 0; i < r->reaper->n; i++)
		ends[r->reaper->exits[i].index] = &r->reaper->exits[i];
	hps_manifest_begin(&m, r, "processes");
	for (size_t i = 0; i < s->n_executions; i++)
		hps_manifest_add(&m, process_json(r, i, ends[s->executions[i].tracee]));
	return hps_manifest_end(&m, r, ret, err);
}

static int write_python(struct hps_record *r, const json_t *answer, json_t **ret, struct hps_error *err)
{
	const json_t *items = json_object_get(answer, "python");
	struct hps_manifest m;

	hps_manifest_begin(&m, r, "python");
	for (size_t i = 0; i < json_array_size(items); i++)
		hps_manifest_add(&m, json_deep_copy(json_array_get(items, i)));
	return hps_manifest_end(&m, r, ret, err);
}

/* ---- all of them ---- */

static void add_question(struct hps_buf *question, char kind, const char *path)
{
	hps_buf_addc(question, kind);
	hps_buf_add(question, path, strlen(path) + 1);
}

static void add_file_question(struct hps_buf *question, const struct hps_file *file)
{
	char hex[HPS_DIGEST_HEX];

	memset(hex, '-', sizeof hex - 1);
	hex[sizeof hex - 1] = '\0';
	if (has_digest(file->first))
		hps_digest_hex(&file->first->digest, hex);
	hps_buf_addc(question, hps_path_system(file->path) ? 'P' : 'F');
	hps_buf_adds(question, hex);
	hps_buf_add(question, file->path, strlen(file->path) + 1);
}

static bool is_asked(const struct hps_file *file)
{
	return file->uses && !file->special && S_ISREG(file->mode);
}

static int ask_about_files(struct hps_record *r, struct hps_file **list, size_t n)
{
	_cleanup_buf_ struct hps_buf question = HPS_BUF_INIT;
	int error = r->facts ? 0 : -ENOENT;

	for (size_t i = 0; !error && i < n; i++) {
		const char *path = list[i]->path;

		if (list[i]->special && list[i]->uses)
			add_question(&question, 'D', path);
		if (!is_asked(list[i]))
			continue;
		add_file_question(&question, list[i]);
		if (is_library(list[i]))
			add_question(&question, 'E', path);
		if (list[i]->uses & (HPS_USE_EXEC | HPS_USE_INTERPRETER))
			add_question(&question, 'X', path);
		if (question.len >= QUESTION_MAX)
			error = hps_facts_ask(r->facts, &question);
	}
	error = error ? error : hps_facts_ask(r->facts, &question);
	return error ? error : hps_facts_end_question(r->facts);
}

/* An answer that does not come is an empty one, and a gap. */
static void receive_answer(struct hps_record *r, int error, struct hps_file **list, size_t n, struct answer *ret)
{
	const json_t *runs;
	size_t at = 0;

	ret->numbers = hps_alloc((n + 1) * sizeof *ret->numbers);
	if (error || hps_facts_files(r->facts, &ret->json)) {
		hps_gap_note(r->gaps, HPS_GAP_FACTS);
		ret->json = json_object();
	}
	runs = json_object_get(ret->json, "files");
	for (size_t run = 0; run + 1 < json_array_size(runs); run += 2) {
		uint32_t number = (uint32_t)json_integer_value(json_array_get(runs, run + 1)) + 1; /* nobody's is -1 */

		for (json_int_t left = json_integer_value(json_array_get(runs, run)); left > 0 && at < n; at++) {
			if (!is_asked(list[at]))
				continue;
			ret->numbers[at] = number;
			left--;
		}
	}
}

/* What needs no answer is written while the helper looks for it. */
int hps_lists_write(struct hps_record *r, json_t *subject, json_t *dependencies, json_t *rows, struct hps_error *err)
{
	struct hps_file **list = r->files->all;
	size_t n = r->files->n;
	struct answer answer = { NULL };
	json_t *d[8] = { NULL };
	int asked, error;

	hps_files_sort(r->files);
	asked = ask_about_files(r, list, n);
	error = write_products(r, list, n, subject, err);
	find_drawing(r, list, n);
	if (!error)
		error = write_misses(r, &d[1], err);
	if (!error)
		error = write_processes(r, &d[2], err);
	if (!error)
		error = hps_network_write(r, &d[5], err);
	if (!error)
		error = hps_clocks_write(r, &d[6], err);
	if (!error)
		error = hps_listings_write(r, &d[7], err);
	receive_answer(r, asked, list, n, &answer);
	if (!error)
		error = write_materials(r, list, n, &answer, &d[0], err);
	if (!error)
		error = write_libraries(r, list, n, &answer, &d[3], err);
	if (!error)
		error = write_python(r, answer.json, &d[4], err);
	hps_datasets_found(list, n, answer.numbers, dependencies);
	json_array_extend(rows, json_object_get(answer.json, "identities"));
	for (size_t i = 0; i < ARRAY_SIZE(d); i++)
		if (d[i])
			hps_json_add(dependencies, d[i]);
	json_decref(answer.json);
	free(answer.numbers);
	return error;
}
