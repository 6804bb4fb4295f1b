/* The plan from hand-made manifests, and the view that is built from it, looked at from inside the namespaces. */
#include "tests/unit/unit.h"

#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct bench {
	char dir[64]; /* holds the "system's" files and the content store */
	struct hps_objects *objects;
	struct hps_sources sources;
	enum hps_view_kind kind;
	struct hps_original original;
	struct hps_plan plan;
};

static int set_up(void **state)
{
	struct bench *b = hps_alloc(sizeof *b);

	strcpy(b->dir, "/tmp/hps-unit.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	{
		_cleanup_free_ char *store = hps_format("%s/objects", b->dir), *view = hps_format("%s/view", b->dir);

		assert_ok(hps_objects_open(AT_FDCWD, store, true, &b->objects, err));
		assert_int_equal(mkdir(view, 0700), 0);
		hps_sources_open(&b->sources, (const char *const[]){ store }, 1);
	}
	b->original.materials = json_array();
	b->original.products = json_array();
	b->original.cwd = hps_strdup(b->dir);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	hps_plan_release(&b->plan);
	hps_original_release(&b->original);
	hps_sources_release(&b->sources);
	hps_objects_free(b->objects);
	assert_ok(hps_dir_remove(AT_FDCWD, b->dir, err));
	free(b);
	return 0;
}

static char *hex_of(const char *content)
{
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];

	hps_digest_of(content, strlen(content), &d);
	hps_digest_hex(&d, hex);
	return hps_strdup(hex);
}

/* Members as a JSON text; "%D" is the bench's directory, "#text#" the digest object of a text. */
static void item(struct bench *b, json_t *list, const char *text)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	json_t *j = NULL;

	for (const char *p = text; *p; p++) {
		if (p[0] == '%' && p[1] == 'D') {
			hps_buf_adds(&out, b->dir);
			p++;
		} else if (*p == '#') {
			const char *end = strchr(p + 1, '#');
			_cleanup_free_ char *content = hps_strndup(p + 1, (size_t)(end - p - 1)), *hex = hex_of(content);

			hps_buf_addf(&out, "{\"sha256\":\"%s\"}", hex);
			p = end;
		} else {
			hps_buf_addc(&out, *p);
		}
	}
	assert_ok(hps_json_parse(out.data, out.len, &j, err));
	hps_json_add(list, j);
}

static void material(struct bench *b, const char *text)
{
	item(b, b->original.materials, text);
}

static void product(struct bench *b, const char *text)
{
	item(b, b->original.products, text);
}

static void write_file(const struct bench *b, const char *name, const char *content)
{
	_cleanup_free_ char *path = hps_format("%s/%s", b->dir, name);

	assert_ok(hps_file_write(AT_FDCWD, path, 0644, content, strlen(content), err));
}

static void store(struct bench *b, const char *content)
{
	struct hps_digest d;

	assert_ok(hps_objects_put(b->objects, content, strlen(content), &d, err));
}

static const struct hps_plan_node *find(const struct bench *b, const char *name)
{
	_cleanup_free_ char *path = hps_format("%s/%s", b->dir, name);

	return hps_plan_find(&b->plan, path);
}

/* ---- plan ---- */

static void test_plan(void **state)
{
	struct bench *b = *state;

	material(b, "{\"path\":\"%D/in\",\"type\":\"file\",\"digest\":#old#,\"size\":3,\"mode\":\"640\",\"mtime\":\"5000000007\",\"uses\":[\"read\"]}");
	material(b, "{\"path\":\"%D/log\",\"type\":\"file\",\"digest\":#line#,\"uses\":[\"write\"]}");
	material(b, "{\"path\":\"%D/out/made\",\"type\":\"file\",\"digest\":#x#,\"uses\":[\"read\"]}");
	material(b, "{\"path\":\"%D/l\",\"type\":\"symlink\",\"target\":\"in\"}");
	material(b, "{\"path\":\"%D/d\",\"type\":\"directory\",\"mode\":\"755\",\"mtime\":\"1\",\"listing\":[\"b\",\"a\",\".\",\"..\"]}");
	material(b, "{\"path\":\"%D/d/a\",\"type\":\"file\",\"digest\":#a#}");
	material(b, "{\"path\":\"/proc/self/maps\",\"type\":\"file\",\"digest\":#a#}");
	product(b, "{\"path\":\"%D/log\",\"type\":\"file\",\"state\":\"written\",\"digest\":#lines#,\"before\":#line#}");
	product(b, "{\"path\":\"%D/out\",\"type\":\"directory\",\"state\":\"written\"}");
	product(b, "{\"path\":\"%D/out/made\",\"type\":\"file\",\"state\":\"written\",\"digest\":#x#}");
	product(b, "{\"path\":\"%D/there/new\",\"type\":\"file\",\"state\":\"written\",\"digest\":#x#}");
	product(b, "{\"path\":\"%D/gone\",\"type\":\"file\",\"state\":\"deleted\",\"before\":#was#}");
	assert_ok(hps_plan_make(&b->original, &b->plan, err));
	assert_int_equal(b->plan.n_files, 4); /* in, log, d/a, gone */
	assert_int_equal(find(b, "in")->mode, 0640);
	assert_int_equal(find(b, "in")->mtime_ns, 5000000007);
	assert_false(find(b, "in")->writable);
	assert_true(find(b, "log")->writable);
	{
		_cleanup_free_ char *line = hex_of("line");
		char hex[HPS_DIGEST_HEX];

		hps_digest_hex(&find(b, "log")->digest, hex);
		assert_string_equal(hex, line);
	}
	assert_null(find(b, "out"));
	assert_null(find(b, "out/made"));
	assert_int_equal(find(b, "there")->kind, HPS_PLAN_DIRECTORY);
	assert_null(find(b, "there/new"));
	assert_int_equal(find(b, "gone")->kind, HPS_PLAN_FILE);
	assert_int_equal(find(b, "l")->kind, HPS_PLAN_SYMLINK);
	assert_int_equal(find(b, "d/b")->kind, HPS_PLAN_GHOST);
	assert_int_equal(find(b, "d/b")->rank, 0);
	assert_int_equal(find(b, "d/a")->rank, 1);
	assert_int_equal(find(b, "d/a")->kind, HPS_PLAN_FILE);
	assert_null(hps_plan_find(&b->plan, "/proc/self/maps"));
	assert_non_null(hps_plan_find(&b->plan, "/tmp"));
}

static void test_plan_python_sources(void **state)
{
	struct bench *b = *state;

	material(b, "{\"path\":\"%D/__pycache__/m.cpython-311.pyc\",\"type\":\"file\",\"digest\":#a#}");
	assert_ok(hps_plan_make(&b->original, &b->plan, err));
	assert_int_equal(find(b, "m.py")->kind, HPS_PLAN_GHOST);
}

/* torch asks for bin/torch_shm_manager beside what it opened; nobody asks for the documentation of all packages. */
static void test_plan_neighbours(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *run = hps_format("%s/run", b->dir), *beside = hps_format("%s/run/beside", b->dir);

	assert_int_equal(mkdir(run, 0755), 0);
	assert_int_equal(mkdir(beside, 0755), 0);
	write_file(b, "run/used", "used");
	write_file(b, "run/beside/seen", "seen");
	{
		_cleanup_free_ char *link = hps_format("%s/run/link", b->dir);

		assert_int_equal(symlink("beside/seen", link), 0);
	}
	material(b, "{\"path\":\"%D/run/used\",\"type\":\"file\",\"digest\":#used#}");
	material(b, "{\"path\":\"/usr/bin/env\",\"type\":\"file\",\"digest\":#env#}");
	assert_ok(hps_plan_make(&b->original, &b->plan, err));
	hps_plan_add_neighbours(&b->plan, INT64_MAX, false);
	assert_int_equal(find(b, "run/beside")->kind, HPS_PLAN_GHOST);
	assert_int_equal(find(b, "run/beside/seen")->kind, HPS_PLAN_GHOST);
	assert_string_equal(find(b, "run/link")->target, "beside/seen");
	assert_int_equal(hps_plan_find(&b->plan, "/usr/bin/true")->kind, HPS_PLAN_GHOST);
	assert_non_null(hps_plan_find(&b->plan, "/usr/share"));
	assert_null(hps_plan_find(&b->plan, "/usr/share/doc"));
}

static void test_plan_refuses_hostile_paths(void **state)
{
	static const char *const hostile[] = {
		"{\"path\":\"relative\",\"type\":\"file\",\"digest\":#a#}",
		"{\"path\":\"/a/../etc/shadow\",\"type\":\"file\",\"digest\":#a#}",
		"{\"path\":\"/a//b\",\"type\":\"file\",\"digest\":#a#}",
		"{\"path\":\"/a/.\",\"type\":\"file\",\"digest\":#a#}",
		"{\"path\":\"/a/\",\"type\":\"file\",\"digest\":#a#}",
		"{\"path\":\"/a\\\\x00b\",\"type\":\"file\",\"digest\":#a#}",
		"{\"path\":\"/a\\\\q\",\"type\":\"file\",\"digest\":#a#}",
		"{\"path\":\"/a\",\"type\":\"file\",\"digest\":{\"sha256\":\"0\"}}",
		"{\"type\":\"file\",\"digest\":#a#}",
		"{\"path\":\"/a\",\"type\":\"symlink\"}",
		"{\"path\":\"/a\",\"type\":\"directory\",\"listing\":[\"x/y\"]}",
		"{\"path\":\"/a\",\"type\":\"directory\",\"listing\":[7]}",
		"{\"path\":\"/a\",\"type\":\"directory\",\"listing\":[\"\"]}",
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		json_array_clear(b->original.materials);
		material(b, hostile[i]);
		assert_fails(HPS_E_FORMAT, hps_plan_make(&b->original, &b->plan, err));
		hps_plan_release(&b->plan);
	}
	json_array_clear(b->original.materials);
	material(b, "{\"path\":\"/a/l\",\"type\":\"symlink\",\"target\":\"/etc\"}"); /* and then through it */
	material(b, "{\"path\":\"/a/l/passwd\",\"type\":\"file\",\"digest\":#a#}");
	assert_fails(HPS_E_FORMAT, hps_plan_make(&b->original, &b->plan, err));
}

/* ---- source ---- */

static void expect_source(struct bench *b, const char *name, int code, const char *says)
{
	struct hps_source s = HPS_SOURCE_INIT;
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	int r = hps_source_open(&b->sources, find(b, name), true, &s, &e);

	assert_int_equal(r, code);
	if (says) {
		if (!strstr(e.message, says))
			print_error("'%s' does not say '%s'\n", e.message, says);
		assert_non_null(strstr(e.message, says));
	}
	hps_source_release(&s);
}

static void test_sources(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *hex = hex_of("damaged"), *object = hps_format("%s/objects/%.2s/%s", b->dir, hex, hex + 2);

	write_file(b, "same", "same");
	write_file(b, "changed", "CHANGED");
	write_file(b, "longer", "longer now");
	write_file(b, "othermode", "OTHERMODE");
	write_file(b, "target", "link");
	write_file(b, "stored", "something else");
	write_file(b, "damaged", "damaged");
	store(b, "stored");
	store(b, "damaged");
	assert_int_equal(chmod(object, 0600), 0);
	{
		_cleanup_fd_ int fd = open(object, O_WRONLY | O_CLOEXEC);

		assert_int_equal(pwrite(fd, "D", 1, 0), 1);
	}
	{
		_cleanup_free_ char *link = hps_format("%s/link", b->dir);

		assert_int_equal(symlink("target", link), 0);
	}
	material(b, "{\"path\":\"%D/same\",\"type\":\"file\",\"digest\":#same#}");
	material(b, "{\"path\":\"%D/changed\",\"type\":\"file\",\"digest\":#changed#}");
	material(b, "{\"path\":\"%D/longer\",\"type\":\"file\",\"digest\":#longer#,\"size\":6}");
	material(b, "{\"path\":\"%D/missing\",\"type\":\"file\",\"digest\":#missing#}");
	material(b, "{\"path\":\"%D/collected\",\"type\":\"file\",\"digest\":#collected#,\"stored\":true}");
	material(b, "{\"path\":\"%D/othermode\",\"type\":\"file\",\"digest\":#othermode#,\"size\":9,\"mode\":\"600\"}"); /* would be copied */
	material(b, "{\"path\":\"%D/link\",\"type\":\"file\",\"digest\":#link#}");
	material(b, "{\"path\":\"%D/stored\",\"type\":\"file\",\"digest\":#stored#}");
	material(b, "{\"path\":\"%D/damaged\",\"type\":\"file\",\"digest\":#damaged#}");
	assert_ok(hps_plan_make(&b->original, &b->plan, err));
	expect_source(b, "same", 0, NULL);
	expect_source(b, "stored", 0, NULL);
	expect_source(b, "damaged", 0, NULL); /* the store's copy is refused, the system's is whole */
	expect_source(b, "changed", HPS_E_NOTFOUND, "changed: it was not stored, and the system's file has other content");
	expect_source(b, "longer", HPS_E_NOTFOUND, "changed: it was not stored, and the system's file has another size");
	expect_source(b, "missing", HPS_E_NOTFOUND, "missing: it was not stored, and the system's file is gone");
	expect_source(b, "collected", HPS_E_NOTFOUND, "missing: the stored copy is gone, and the system's file is gone");
	expect_source(b, "othermode", HPS_E_NOTFOUND, "changed: it was not stored, and the system's file has other content");
	write_file(b, "othermode", "othermode");
	expect_source(b, "othermode", 0, NULL);
	expect_source(b, "link", HPS_E_NOTFOUND, "changed: it was not stored, and the system's path now leads through a symbolic link");
	write_file(b, "damaged", "DAMAGED");
	expect_source(b, "damaged", HPS_E_NOTFOUND, "changed: the stored copy is damaged, and the system's file has other content");
}

/* ---- view ---- */

/* Builds the plan in namespaces of its own and calls look() with the root in the child; its status is the child's. */
static int in_view(struct bench *b, int (*look)(struct bench *b, int root, const struct hps_view *v))
{
	struct hps_sandbox sandbox = { .uid = geteuid(), .host = "replica" };
	int ends[2], status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pid = fork();
	if (pid == 0) {
		_cleanup_free_ char *path = hps_format("%s/view", b->dir);
		struct hps_error err = HPS_ERROR_INIT;
		struct hps_view v = { 0 };
		int root = -1, r = hps_sandbox_enter(&sandbox, ends[1], &err);

		r = r ? r : hps_view_build(&b->plan, &b->sources, b->kind, path, NULL, &v, &root, &err);
		r = r || v.problems.n ? r : hps_mount_devices(root, &err);
		if (r)
			print_error("%s\n", err.message);
		_exit(r ? 99 : look(b, root, &v));
	}
	assert_ok(hps_sandbox_map(pid, &sandbox, ends[0], err));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ends[0]);
	close(ends[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#define CHECK(n, what)                                              \
	do {                                                        \
		if (!(what)) {                                      \
			print_error("not so: %s (%s)\n", #what, strerror(errno)); \
			return n;                                   \
		}                                                   \
	} while (0)

static bool holds(int root, const char *dir, const char *name, const char *content)
{
	_cleanup_free_ char *path = hps_format("%s/%s", dir + 1, name);
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

	return !hps_file_read(root, path, 1 << 20, &b, NULL) && b.len == strlen(content) && !memcmp(b.data ? b.data : "", content, b.len);
}

static bool listed_as(int root, const char *dir, const char *name, const char *want)
{
	_cleanup_free_ char *path = hps_format("%s/%s", dir + 1, name);
	_cleanup_buf_ struct hps_buf got = HPS_BUF_INIT;
	DIR *d = fdopendir(openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			hps_buf_adds(&got, e->d_name);
	if (d)
		closedir(d);
	if (!got.data || strcmp(got.data, want) != 0)
		print_error("listed as '%s'\n", got.data ? got.data : "");
	return got.data && !strcmp(got.data, want);
}

static int look_whole(struct bench *b, int root, const struct hps_view *v)
{
	_cleanup_free_ char *in = hps_format("%s/in", b->dir + 1), *link = hps_format("%s/l", b->dir + 1), *log = hps_format("%s/log", b->dir + 1),
			    *d = hps_format("%s/d", b->dir + 1), *system = hps_format("%s/sys", b->dir + 1);
	char target[64] = "", host[64];
	struct stat s;
	int fd;

	CHECK(1, v->problems.n == 0 && v->n_files == 6 && v->n_store == 2 && v->n_system == 4);
	CHECK(2, holds(root, b->dir, "in", "stored") && holds(root, b->dir, "log", "line") && holds(root, b->dir, "sys", "system"));
	CHECK(3, fstatat(root, in, &s, 0) == 0 && (s.st_mode & 07777) == 0640 && s.st_mtim.tv_sec == 5 && s.st_mtim.tv_nsec == 7);
	CHECK(4, readlinkat(root, link, target, sizeof target) == 2 && !strcmp(target, "in"));
	CHECK(5, listed_as(root, b->dir, "d", "cabd"));
	CHECK(6, fstatat(root, d, &s, 0) == 0 && s.st_mtim.tv_sec == 9 && (s.st_mode & 07777) == 0711);
	CHECK(7, fstatat(root, "tmp", &s, 0) == 0 && (s.st_mode & 07777) == 01777);
	CHECK(8, v->kind == b->kind);
	if (b->kind == HPS_VIEW_MOUNTS)
		CHECK(9, openat(root, system, O_WRONLY) < 0 && errno == EROFS); /* the system's own file cannot be written to */
	fd = openat(root, log, O_WRONLY | O_APPEND);
	CHECK(13, fd >= 0 && write(fd, "more", 4) == 4);
	fd = openat(root, "dev/null", O_WRONLY);
	CHECK(10, fd >= 0 && write(fd, "x", 1) == 1 && fstat(fd, &s) == 0 && S_ISCHR(s.st_mode));
	CHECK(11, gethostname(host, sizeof host) == 0 && !strcmp(host, "replica"));
	CHECK(12, faccessat(root, "etc/passwd", F_OK, 0) < 0);
	return 0;
}

static void test_view(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *d = hps_format("%s/d", b->dir), *log = hps_format("%s/log", b->dir);
	_cleanup_buf_ struct hps_buf after = HPS_BUF_INIT;

	assert_int_equal(mkdir(d, 0755), 0);
	write_file(b, "d/a", "a");
	write_file(b, "d/b", "b");
	write_file(b, "sys", "system");
	write_file(b, "log", "line");
	write_file(b, "in", "edited since");
	store(b, "stored");
	store(b, "c");
	material(b, "{\"path\":\"%D/in\",\"type\":\"file\",\"digest\":#stored#,\"size\":6,\"mode\":\"640\",\"mtime\":\"5000000007\"}");
	material(b, "{\"path\":\"%D/sys\",\"type\":\"file\",\"digest\":#system#,\"mode\":\"644\"}");
	material(b, "{\"path\":\"%D/log\",\"type\":\"file\",\"digest\":#line#}");
	material(b, "{\"path\":\"%D/l\",\"type\":\"symlink\",\"target\":\"in\"}");
	material(b, "{\"path\":\"%D/d\",\"type\":\"directory\",\"mode\":\"711\",\"mtime\":\"9000000000\",\"listing\":[\"c\",\"a\",\"b\",\"d\"]}");
	material(b, "{\"path\":\"%D/d/a\",\"type\":\"file\",\"digest\":#a#}");
	material(b, "{\"path\":\"%D/d/b\",\"type\":\"file\",\"digest\":#b#}");
	material(b, "{\"path\":\"%D/d/c\",\"type\":\"file\",\"digest\":#c#}");
	product(b, "{\"path\":\"%D/log\",\"type\":\"file\",\"state\":\"written\",\"digest\":#x#,\"before\":#line#}");
	assert_ok(hps_plan_make(&b->original, &b->plan, err));
	for (b->kind = HPS_VIEW_OVERLAY; b->kind <= HPS_VIEW_COPY; b->kind++)
		assert_int_equal(in_view(b, look_whole), 0);
	assert_ok(hps_file_read(AT_FDCWD, log, 100, &after, err)); /* the rerun wrote to its own copy */
	assert_string_equal(after.data, "line");
}

/* What is small is copied, what is not lies in a layer: neither can be told from the other. */
static int look_at_stored(struct bench *b, int root, const struct hps_view *v)
{
	_cleanup_free_ char *dir = hps_format("%s/s", b->dir), *small = hps_format("%s/small", dir + 1), *large = hps_format("%s/large", dir + 1);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct stat s;

	CHECK(1, v->problems.n == 0 && v->n_store == 3 && v->kind == b->kind);
	CHECK(2, b->kind != HPS_VIEW_OVERLAY || v->bytes == 5 + 9);
	CHECK(3, holds(root, dir, "small", "small") && holds(root, dir, "misstated", "misstated"));
	CHECK(4, fstatat(root, small, &s, 0) == 0 && (s.st_mode & 07777) == 01444 && s.st_mtim.tv_sec == 5 && s.st_mtim.tv_nsec == 7 && s.st_size == 5);
	CHECK(5, !hps_file_read(root, large, 1 << 20, &text, NULL) && text.len == 5000);
	CHECK(6, fstatat(root, large, &s, 0) == 0 && (s.st_mode & 07777) == 0600 && s.st_size == 5000);
	return 0;
}

static void test_view_of_stored_files(void **state)
{
	struct bench *b = *state;
	_cleanup_buf_ struct hps_buf large = HPS_BUF_INIT;
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < 500; i++)
		hps_buf_adds(&large, "0123456789");
	store(b, "small");
	store(b, "misstated");
	store(b, large.data);
	material(b, "{\"path\":\"%D/s/small\",\"type\":\"file\",\"digest\":#small#,\"size\":5,\"stored\":true,\"mode\":\"1444\",\"mtime\":\"5000000007\"}");
	material(b, "{\"path\":\"%D/s/misstated\",\"type\":\"file\",\"digest\":#misstated#,\"size\":3,\"stored\":true}");
	text = hps_format("{\"path\":\"%%D/s/large\",\"type\":\"file\",\"digest\":#%s#,\"size\":5000,\"stored\":true,\"mode\":\"600\"}", large.data);
	material(b, text);
	assert_ok(hps_plan_make(&b->original, &b->plan, err));
	for (b->kind = HPS_VIEW_OVERLAY; b->kind <= HPS_VIEW_COPY; b->kind++)
		assert_int_equal(in_view(b, look_at_stored), 0);
}

static bool is_directory_of(int root, const char *dir, const char *name, mode_t mode, int64_t seconds)
{
	_cleanup_free_ char *path = hps_format("%s/%s", dir + 1, name);
	struct stat s;

	return fstatat(root, path, &s, 0) == 0 && s.st_mode == (S_IFDIR | mode) && s.st_mtim.tv_sec == seconds;
}

/* A directory gets its time when all in it has been made, and its setgid bit when nothing can inherit it any more. */
static int look_at_directories(struct bench *b, int root, const struct hps_view *v)
{
	(void)v;
	CHECK(1, is_directory_of(root, b->dir, "d", 0755, 3));
	CHECK(2, is_directory_of(root, b->dir, "d/empty", 0700, 4));
	CHECK(3, is_directory_of(root, b->dir, "d/group", 02775, 5) && is_directory_of(root, b->dir, "d/group/in", 0755, 6));
	CHECK(4, is_directory_of(root, b->dir, "d/alone", 02775, 7));
	return 0;
}

static void test_view_directories(void **state)
{
	struct bench *b = *state;

	store(b, "a");
	material(b, "{\"path\":\"%D/d\",\"type\":\"directory\",\"mode\":\"755\",\"mtime\":\"3000000000\"}");
	material(b, "{\"path\":\"%D/d/empty\",\"type\":\"directory\",\"mode\":\"700\",\"mtime\":\"4000000000\"}");
	material(b, "{\"path\":\"%D/d/group\",\"type\":\"directory\",\"mode\":\"2775\",\"mtime\":\"5000000000\"}");
	material(b, "{\"path\":\"%D/d/group/in\",\"type\":\"directory\",\"mode\":\"755\",\"mtime\":\"6000000000\"}");
	material(b, "{\"path\":\"%D/d/group/in/a\",\"type\":\"file\",\"digest\":#a#}");
	material(b, "{\"path\":\"%D/d/alone\",\"type\":\"directory\",\"mode\":\"2775\",\"mtime\":\"7000000000\"}");
	assert_ok(hps_plan_make(&b->original, &b->plan, err));
	for (b->kind = HPS_VIEW_OVERLAY; b->kind <= HPS_VIEW_COPY; b->kind++)
		assert_int_equal(in_view(b, look_at_directories), 0);
}

static int look_at_problems(struct bench *b, int root, const struct hps_view *v)
{
	(void)b;
	(void)root;
	CHECK(1, v->problems.n == 2 && v->n_files == 1);
	CHECK(2, !strncmp(v->problems.v[0].why, "missing: ", 9) || !strncmp(v->problems.v[1].why, "missing: ", 9));
	CHECK(3, !strncmp(v->problems.v[0].why, "changed: ", 9) || !strncmp(v->problems.v[1].why, "changed: ", 9));
	return 0;
}

static void test_view_names_all_problems(void **state)
{
	struct bench *b = *state;

	write_file(b, "ok", "ok");
	write_file(b, "changed", "other");
	material(b, "{\"path\":\"%D/missing\",\"type\":\"file\",\"digest\":#m#}");
	material(b, "{\"path\":\"%D/changed\",\"type\":\"file\",\"digest\":#c#}");
	material(b, "{\"path\":\"%D/ok\",\"type\":\"file\",\"digest\":#ok#}");
	assert_ok(hps_plan_make(&b->original, &b->plan, err));
	assert_int_equal(in_view(b, look_at_problems), 0);
}

/* A source that was only listed looks as its .pyc wants it, and holds nothing. */
static int look_at_source(struct bench *b, int root, const struct hps_view *v)
{
	_cleanup_free_ char *m = hps_format("%s/m.py", b->dir + 1);
	struct stat s;

	(void)v;
	CHECK(1, fstatat(root, m, &s, 0) == 0 && s.st_mtim.tv_sec == 0x64636261 && s.st_size == 0x41);
	CHECK(2, !holds(root, b->dir, "m.py", "secret"));
	return 0;
}

static void test_view_python_sources(void **state)
{
	static const char compiled[16] = "PYC!\0\0\0\0abcdA\0\0"; /* PEP 552: magic, flags, time, size */
	struct bench *b = *state;
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];
	_cleanup_free_ char *text = NULL;

	write_file(b, "m.py", "secret");
	assert_ok(hps_objects_put(b->objects, compiled, sizeof compiled, &d, err));
	hps_digest_hex(&d, hex);
	text = hps_format("{\"path\":\"%%D/__pycache__/m.cpython-311.pyc\",\"type\":\"file\",\"digest\":{\"sha256\":\"%s\"}}", hex);
	material(b, text);
	assert_ok(hps_plan_make(&b->original, &b->plan, err));
	for (b->kind = HPS_VIEW_OVERLAY; b->kind <= HPS_VIEW_COPY; b->kind++)
		assert_int_equal(in_view(b, look_at_source), 0);
}

#define view_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		view_test(test_plan),	 view_test(test_plan_python_sources),	   view_test(test_plan_refuses_hostile_paths),
		view_test(test_sources), view_test(test_view),			   view_test(test_view_names_all_problems),
		view_test(test_view_python_sources), view_test(test_plan_neighbours),   view_test(test_view_of_stored_files),
		view_test(test_view_directories),
	};

	return cmocka_run_group_tests_name("replay_view", tests, NULL, NULL);
}
