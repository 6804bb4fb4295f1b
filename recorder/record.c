/* What is written down: the statements of a trial (docs/FORMATS.md) from the tables that the supervisor filled. */
#include "recorder/recorder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/identity.h"

#define SUBJECTS_MAX 1000
#define STORE_MAX (256ll << 20)

/* ---- small shapes ---- */

static json_t *digest_json(const struct hps_digest *d)
{
	json_t *set = json_object();
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(d, hex);
	hps_json_set_text(set, "sha256", hex);
	return set;
}

static void set_octal(json_t *object, const char *name, mode_t mode)
{
	char text[16];

	snprintf(text, sizeof text, "%04o", mode & 07777);
	hps_json_set_text(object, name, text);
}

static void set_i64_text(json_t *object, const char *name, int64_t value)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", (long long)value);
	hps_json_set_text(object, name, text);
}

static void set_seconds(json_t *object, const char *name, int64_t ns)
{
	char text[40];

	ns = ns < 0 ? 0 : ns;
	snprintf(text, sizeof text, "%lld.%06lld", (long long)(ns / 1000000000), (long long)(ns % 1000000000 / 1000));
	hps_json_set_text(object, name, text);
}

static json_t *exit_json(int status)
{
	json_t *e = json_object();

	if (WIFSIGNALED(status))
		hps_json_set_int(e, "signal", WTERMSIG(status));
	else
		hps_json_set_int(e, "code", WEXITSTATUS(status));
	return e;
}

static json_t *arguments_json(const struct hps_record *r, char *const *argv)
{
	json_t *list = json_array();
	const char *previous = NULL;

	for (; *argv; argv++) {
		_cleanup_free_ char *clean = hps_redact_argument(r->redactor, previous, *argv);

		hps_json_add(list, hps_path_json(clean));
		previous = *argv;
	}
	return list;
}

static json_t *text_json(const struct hps_record *r, const char *text)
{
	_cleanup_free_ char *clean = hps_redact_text(r->redactor, text);

	return hps_path_json(clean);
}

/* By the shape of the values alone: a parameter's name is what the search is about, and may well be "key" or "token". */
static json_t *params_json(const struct hps_record *r)
{
	json_t *clean = json_object(), *value;
	const char *name;

	json_object_foreach(r->params, name, value) {
		_cleanup_free_ char *text = hps_redact_text(r->redactor, json_string_value(value));

		hps_json_set_text(clean, name, text);
	}
	return clean;
}

static const char *type_of(mode_t mode)
{
	return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "symlink" : "other";
}

/* ---- begin ---- */

static json_t *recorder_json(void)
{
	json_t *recorder = json_object();
	_cleanup_free_ char *boot = hps_identity_read("/proc/sys/kernel/random/boot_id");
	_cleanup_fd_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const char *user = getenv("USER");
	struct hps_digest d;
	struct utsname u;
	char hex[HPS_DIGEST_HEX];

	hps_json_set_text(recorder, "version", HPS_VERSION);
	if (self >= 0 && hps_digest_fd(self, &d, NULL, NULL) == 0) {
		hps_digest_hex(&d, hex);
		hps_json_set_text(recorder, "digest", hex);
	}
	hps_json_set_int(recorder, "pid", getpid());
	if (uname(&u) == 0)
		hps_json_set(recorder, "host", hps_path_json(u.nodename));
	hps_json_set_text(recorder, "bootId", boot);
	hps_json_set_int(recorder, "uid", geteuid());
	if (user)
		hps_json_set(recorder, "user", hps_path_json(user));
	return recorder;
}

static void set_trial(const struct hps_record *r, json_t *predicate)
{
	if (r->o->study)
		hps_json_set(predicate, "study", hps_path_json(r->o->study));
	if (r->o->has_number)
		hps_json_set_int(predicate, "number", (int64_t)r->o->number);
	hps_json_set_text(predicate, "replayOf", r->o->replay_of);
}

json_t *hps_record_begin(const struct hps_record *r)
{
	json_t *statement = hps_statement_new(HPS_PREDICATE_BEGIN), *predicate = json_object_get(statement, "predicate");
	json_t *command = arguments_json(r, r->argv), *subject = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_digest d;

	if (hps_json_canonical(command, &text, NULL) == 0)
		hps_digest_of(text.data, text.len, &d);
	hps_json_set_text(subject, "name", "begin");
	hps_json_set(subject, "digest", digest_json(&d));
	hps_json_add(json_object_get(statement, "subject"), subject);
	hps_json_set(predicate, "command", command);
	hps_json_set(predicate, "cwd", text_json(r, r->cwd));
	hps_json_set(predicate, "params", params_json(r));
	hps_json_set(predicate, "recorder", recorder_json());
	set_trial(r, predicate);
	return statement;
}

/* ---- materials ---- */

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct hps_file *const *)a)->path, (*(struct hps_file *const *)b)->path);
}

/* The entries of the table in path order; heap. */
static struct hps_file **sorted(const struct hps_files *f, size_t *ret_n)
{
	struct hps_file **list = hps_realloc(NULL, f->by_path.n + 1, sizeof *list);

	for (size_t i = 0; i < f->by_path.n; i++)
		list[i] = f->by_path.items[i].value;
	*ret_n = f->by_path.n;
	qsort(list, *ret_n, sizeof *list, by_path);
	return list;
}

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

static json_t *listing_json(const struct hps_file *file)
{
	json_t *list = json_array();

	for (size_t at = 0; at < file->listing_len; at += strlen(file->listing + at) + 1)
		hps_json_add(list, hps_path_json(file->listing + at));
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

static void set_content(json_t *item, const struct hps_file *file, const char *package)
{
	const struct hps_content *c = file->first;

	hps_json_set_int(item, "size", c ? c->id.size : file->size);
	hps_json_set(item, "uses", uses_json(file->uses | (is_library(file) ? HPS_USE_LIBRARY : 0)));
	if (has_digest(c))
		hps_json_set(item, "digest", digest_json(&c->digest));
	if (c && c->stored)
		hps_json_set(item, "stored", json_true());
	if (file->changed || (c && atomic_load(&c->state) == HPS_CONTENT_CHANGED))
		hps_json_set(item, "changed", json_true());
	if (file->descriptors)
		hps_json_set(item, "descriptors", descriptors_json(file->descriptors));
	hps_json_set_text(item, "package", package);
}

static json_t *material_json(const struct hps_file *file, const char *package)
{
	json_t *item = json_object();
	const char *type = file->special ? "other" : type_of(file->mode);

	hps_json_set(item, "path", hps_path_json(file->path));
	hps_json_set_text(item, "type", type);
	if (file->unverified)
		hps_json_set(item, "unverified", json_true());
	if (file->target && S_ISLNK(file->mode))
		hps_json_set(item, "target", hps_path_json(file->target));
	if (file->special || S_ISLNK(file->mode))
		return item;
	set_octal(item, "mode", file->mode);
	set_i64_text(item, "mtime", file->mtime_ns);
	if (S_ISREG(file->mode))
		set_content(item, file, package);
	if (file->listing)
		hps_json_set(item, "listing", listing_json(file));
	return item;
}

static const char *at_path(const json_t *object, const char *path)
{
	_cleanup_json_ json_t *key = hps_path_json(path);

	return json_string_value(json_object_get(object, json_string_value(key)));
}

/* What no package can restore is stored, if it still is what was hashed. Compiled Python below /usr can be made again. */
static void store_unowned(struct hps_record *r, struct hps_file *file)
{
	_cleanup_fd_ int root = -1, fd = -1;
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT };
	struct hps_content *c = file->first;
	size_t n = strlen(file->path);

	if (!c || c->stored || c->secret || atomic_load(&c->state) != HPS_CONTENT_DONE || c->id.size > STORE_MAX || !r->objects ||
	    hps_redact_path_is_secret(file->path) || (!strncmp(file->path, "/usr/", 5) && n > 4 && !strcmp(file->path + n - 4, ".pyc")))
		return;
	root = open(r->o->root ? r->o->root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = (int)syscall(SYS_openat2, root, file->path, &how, sizeof how);
	if (fd >= 0 && hps_objects_put_fd(r->objects, fd, &c->digest, NULL, NULL, NULL) == 0)
		c->stored = true;
	else
		hps_gap_note(r->gaps, HPS_GAP_STORE);
}

static int write_materials(struct hps_record *r, struct hps_file **list, size_t n, const json_t *owners, json_t **ret, struct hps_error *err)
{
	struct hps_manifest m;

	hps_manifest_begin(&m, "materials");
	for (size_t i = 0; i < n; i++) {
		struct hps_file *file = list[i];
		const char *package = NULL;

		if (!file->uses)
			continue;
		if (S_ISREG(file->mode) && !file->special) {
			package = at_path(owners, file->path);
			if (!package && r->files->capture)
				store_unowned(r, file);
			if (file->changed)
				hps_gap_note(r->gaps, HPS_GAP_CHANGED);
			r->n_read++;
		}
		hps_manifest_add(&m, material_json(file, package));
	}
	return hps_manifest_end(&m, r, ret, err);
}

static int write_libraries(struct hps_record *r, struct hps_file **list, size_t n, const json_t *answer, json_t **ret, struct hps_error *err)
{
	const json_t *owners = json_object_get(answer, "packages"), *elf = json_object_get(answer, "elf");
	struct hps_manifest m;

	hps_manifest_begin(&m, "libraries");
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
			hps_json_set(item, "digest", digest_json(&list[i]->first->digest));
		hps_json_set_text(item, "soname", hps_json_text(facts, "soname"));
		hps_json_set_text(item, "buildId", hps_json_text(facts, "buildId"));
		hps_json_set_text(item, "package", at_path(owners, list[i]->path));
		hps_manifest_add(&m, item);
	}
	return hps_manifest_end(&m, r, ret, err);
}

/* ---- products ---- */

/* Opened for writing and left as it was: neither its bytes nor its times have changed. */
static bool untouched(const struct hps_file *file)
{
	const struct hps_content *a = file->first, *b = file->final.content;

	return file->existed && !file->from && has_digest(a) && has_digest(b) && hps_identity_equal(&a->id, &b->id) && hps_digest_equal(&a->digest, &b->digest);
}

/* A temporary file that came and went, or a name that never came to be, is none. */
static bool is_product(const struct hps_file *file)
{
	return file->product && !file->special && (file->final.exists || file->existed) && !untouched(file);
}

static json_t *product_json(const struct hps_file *file)
{
	json_t *item = json_object();
	const struct hps_final *final = &file->final;
	mode_t mode = final->exists ? final->mode : file->mode;

	hps_json_set(item, "path", hps_path_json(file->path));
	hps_json_set_text(item, "type", type_of(mode));
	hps_json_set_text(item, "state", !final->exists ? "deleted" : file->from ? "renamed" : "written");
	if (file->existed && has_digest(file->first))
		hps_json_set(item, "before", digest_json(&file->first->digest));
	if (file->unverified)
		hps_json_set(item, "unverified", json_true());
	if (!final->exists)
		return item;
	if (file->from)
		hps_json_set(item, "from", hps_path_json(file->from));
	if (final->target)
		hps_json_set(item, "target", hps_path_json(final->target));
	if (S_ISLNK(mode))
		return item;
	set_octal(item, "mode", mode);
	if (S_ISREG(mode))
		hps_json_set_int(item, "size", final->content ? final->content->id.size : final->size);
	if (has_digest(final->content))
		hps_json_set(item, "digest", digest_json(&final->content->digest));
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

	hps_manifest_begin(&m, "products");
	for (size_t i = 0; i < n; i++) {
		const struct hps_file *file = list[i];
		json_t *named;

		if (!is_product(file))
			continue;
		hps_manifest_add(&m, product_json(file));
		if (!S_ISREG(file->final.mode) || !has_digest(file->final.content))
			continue;
		r->n_written++;
		if (json_array_size(items) >= SUBJECTS_MAX)
			continue;
		named = json_object();
		hps_json_set(named, "name", hps_path_json(file->path));
		hps_json_set(named, "digest", digest_json(&file->final.content->digest));
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

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct hps_map_item *const *)a)->key, (*(const struct hps_map_item *const *)b)->key);
}

static int write_misses(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	const struct hps_map *misses = &r->files->misses;
	_cleanup_free_ const struct hps_map_item **list = hps_realloc(NULL, misses->n + 1, sizeof *list);
	struct hps_manifest m;

	for (size_t i = 0; i < misses->n; i++)
		list[i] = &misses->items[i];
	qsort(list, misses->n, sizeof *list, by_key);
	hps_manifest_begin(&m, "misses");
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
	_cleanup_free_ char **argv = NULL;
	size_t n = 0;

	argv = hps_realloc(NULL, e->argv_len + 1, sizeof *argv);
	for (size_t at = 0; at < e->argv_len; at += strlen(e->argv + at) + 1)
		argv[n++] = e->argv + at;
	argv[n] = NULL;
	return arguments_json(r, argv);
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
	hps_json_set(item, "cwd", text_json(r, e->cwd));
	if (!e->replaced && e->pid == r->supervisor->root_pid)
		hps_json_set(item, "exit", exit_json(r->status));
	else if (!e->replaced && end && end->status >= 0)
		hps_json_set(item, "exit", exit_json(end->status));
	set_seconds(item, "start", e->start_ns - r->started_boot_ns);
	if (end_ns)
		set_seconds(item, "end", end_ns - r->started_boot_ns);
	return item;
}

static int write_processes(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	const struct hps_supervisor *s = r->supervisor;
	_cleanup_free_ const struct hps_exit **ends = hps_alloc((s->tracees.n + 1) * sizeof *ends);
	struct hps_manifest m;

	for (size_t i = 0; i < r->reaper->n; i++)
		ends[r->reaper->exits[i].index] = &r->reaper->exits[i];
	hps_manifest_begin(&m, "processes");
	for (size_t i = 0; i < s->n_executions; i++)
		hps_manifest_add(&m, process_json(r, i, ends[s->executions[i].tracee]));
	return hps_manifest_end(&m, r, ret, err);
}

static int write_python(struct hps_record *r, const json_t *answer, json_t **ret, struct hps_error *err)
{
	const json_t *items = json_object_get(answer, "python");
	struct hps_manifest m;

	hps_manifest_begin(&m, "python");
	for (size_t i = 0; i < json_array_size(items); i++)
		hps_manifest_add(&m, json_deep_copy(json_array_get(items, i)));
	return hps_manifest_end(&m, r, ret, err);
}

/* ---- facts ---- */

static void add_question(struct hps_buf *question, char kind, const char *path)
{
	hps_buf_addc(question, kind);
	hps_buf_add(question, path, strlen(path) + 1);
}

static json_t *ask_about_files(struct hps_record *r, struct hps_file **list, size_t n)
{
	_cleanup_buf_ struct hps_buf question = HPS_BUF_INIT;
	json_t *answer = NULL;

	for (size_t i = 0; i < n; i++) {
		const char *path = list[i]->path;

		if (!list[i]->uses || list[i]->special || !S_ISREG(list[i]->mode))
			continue;
		if (!hps_path_unpackaged(path) || !strncmp(path, "/etc/", 5) || !strncmp(path, "/opt/", 5) || !strncmp(path, "/var/", 5))
			add_question(&question, 'P', path);
		if (is_library(list[i]))
			add_question(&question, 'E', path);
		if (strstr(path, "/site-packages/") || strstr(path, "/dist-packages/"))
			add_question(&question, 'Y', path);
	}
	if (!r->facts || hps_facts_files(r->facts, &question, &answer)) {
		hps_gap_note(r->gaps, HPS_GAP_FACTS);
		return json_object();
	}
	return answer;
}

/* A known answer, before a digest is signed that was made by this build on this machine. */
static void add_selftest(json_t *rows)
{
	static const char expected[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; /* FIPS 180-4: "abc" */
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];

	hps_digest_of("abc", 3, &d);
	hps_digest_hex(&d, hex);
	if (!strcmp(hex, expected))
		hps_identity_add(rows, "recorder.selftest", "passed", "SHA-256 known answer (FIPS 180-4)", HPS_OBSERVED);
	else
		hps_identity_missing(rows, "recorder.selftest", "SHA-256 gave a wrong answer: digests of this record cannot be believed");
}

static json_t *resources_json(const struct hps_record *r)
{
	json_t *resources = json_object();
	struct rusage own;

	set_seconds(resources, "wallSeconds", r->finished_boot_ns - r->started_boot_ns);
	set_seconds(resources, "userSeconds", r->usage.ru_utime.tv_sec * 1000000000ll + r->usage.ru_utime.tv_usec * 1000);
	set_seconds(resources, "systemSeconds", r->usage.ru_stime.tv_sec * 1000000000ll + r->usage.ru_stime.tv_usec * 1000);
	hps_json_set_int(resources, "maxRssBytes", r->usage.ru_maxrss * 1024);
	getrusage(RUSAGE_SELF, &own);
	hps_json_set_int(resources, "recorderMaxRssBytes", own.ru_maxrss * 1024);
	return resources;
}

/* ---- the statement ---- */

static json_t *external_json(const struct hps_record *r)
{
	json_t *external = json_object(), *clear = json_object(), *tags = json_object();

	hps_json_set(external, "command", arguments_json(r, r->argv));
	hps_json_set(external, "cwd", text_json(r, r->cwd));
	hps_json_set(external, "params", params_json(r));
	hps_redact_environment(r->redactor, r->envp, clear, tags);
	hps_json_set(external, "environment", clear);
	hps_json_set(external, "environmentDigests", tags);
	set_octal(external, "umask", r->umask);
	return external;
}

static json_t *options_json(const struct hps_record *r)
{
	json_t *internal = json_object(), *options = json_object();

	hps_json_set_text(options, "capture", r->files->capture ? "closure" : "none");
	hps_json_set(options, "wait", json_boolean(r->o->wait));
	hps_json_set(options, "root", json_boolean(r->o->root != NULL));
	hps_json_set(internal, "options", options);
	return internal;
}

static json_t *run_json(const struct hps_record *r)
{
	json_t *run = json_object(), *builder = json_object(), *version = json_object(), *metadata = json_object();
	char time[HPS_TIME_LEN];

	hps_json_set_text(version, "hps", HPS_VERSION);
	hps_json_set_text(builder, "id", "urn:hps:recorder:v1");
	hps_json_set(builder, "version", version);
	hps_json_set(run, "builder", builder);
	hps_json_set_text(metadata, "invocationId", r->begin_id);
	hps_time_format(r->started_ns, time);
	hps_json_set_text(metadata, "startedOn", time);
	hps_time_format(r->finished_ns, time);
	hps_json_set_text(metadata, "finishedOn", time);
	hps_json_set(run, "metadata", metadata);
	hps_json_set(run, "byproducts", json_array());
	return run;
}

static int write_manifests(struct hps_record *r, json_t *subject, json_t *dependencies, struct hps_error *err)
{
	size_t n;
	_cleanup_free_ struct hps_file **list = sorted(r->files, &n);
	_cleanup_json_ json_t *answer = ask_about_files(r, list, n);
	json_t *d[5] = { NULL };
	int error = write_products(r, list, n, subject, err);

	if (!error)
		error = write_materials(r, list, n, json_object_get(answer, "packages"), &d[0], err);
	if (!error)
		error = write_misses(r, &d[1], err);
	if (!error)
		error = write_processes(r, &d[2], err);
	if (!error)
		error = write_libraries(r, list, n, answer, &d[3], err);
	if (!error)
		error = write_python(r, answer, &d[4], err);
	for (size_t i = 0; i < ARRAY_SIZE(d); i++)
		if (d[i])
			hps_json_add(dependencies, d[i]);
	return error;
}

static void add_datasets(const struct hps_record *r, json_t *datasets, json_t *dependencies)
{
	json_t *item;
	size_t i;

	json_array_foreach(datasets, i, item) {
		if (json_object_get(item, "missing"))
			hps_gap_note(r->gaps, HPS_GAP_FACTS);
		json_array_append(dependencies, item);
	}
}

int hps_record_trial(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = hps_statement_new(HPS_PREDICATE_TRIAL), *facts = NULL;
	json_t *predicate = json_object_get(statement, "predicate"), *definition = json_object(), *dependencies = json_array(), *rows;
	int error;

	if (!r->facts || hps_facts_machine(r->facts, &facts))
		hps_gap_note(r->gaps, HPS_GAP_FACTS);
	error = write_manifests(r, json_object_get(statement, "subject"), dependencies, err);
	if (error) {
		json_decref(definition);
		json_decref(dependencies);
		return error;
	}
	add_datasets(r, json_object_get(facts, "datasets"), dependencies);
	hps_json_set_text(definition, "buildType", "urn:hps:command:v1");
	hps_json_set(definition, "externalParameters", external_json(r));
	hps_json_set(definition, "internalParameters", options_json(r));
	hps_json_set(definition, "resolvedDependencies", dependencies);
	rows = json_object_get(facts, "identities") ? json_incref(json_object_get(facts, "identities")) : json_array();
	add_selftest(rows);

	hps_json_set_text(predicate, "begin", r->begin_id);
	set_trial(r, predicate);
	hps_json_set_text(predicate, "state", WIFSIGNALED(r->status) ? "killed" : WEXITSTATUS(r->status) ? "failed" : "complete");
	hps_json_set(predicate, "exit", exit_json(r->status));
	hps_json_set(predicate, "metrics", json_deep_copy(r->metrics));
	hps_json_set(predicate, "metricsPath", hps_path_json(r->metrics_path));
	hps_json_set(predicate, "buildDefinition", definition);
	hps_json_set(predicate, "runDetails", run_json(r));
	hps_json_set(predicate, "seeds", hps_seeds(r->argv, r->envp, r->o->seed));
	hps_json_set(predicate, "identities", rows);
	hps_json_set(predicate, "coverage", hps_gaps_json(r->gaps));
	hps_json_set(predicate, "resources", resources_json(r));
	*ret = hps_take(statement);
	return 0;
}
