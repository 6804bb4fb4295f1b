/* Identities, seeds, data sets and metrics: from real files, with answers known from elsewhere. */
#include "tests/unit/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/identity.h"
#include "recorder/package.h"

static void write_text(const char *path, const char *text)
{
	assert_ok(hps_file_write(AT_FDCWD, path, 0644, text, strlen(text), err));
}

static void test_host(void **state)
{
	_cleanup_json_ json_t *rows = json_array();
	_cleanup_free_ char *kernel = shell("uname -r"), *host = shell("uname -n");

	(void)state;
	hps_identity_host(rows, "");
	hps_identity_cpu(rows, "");
	assert_string_equal(hps_json_text(row(rows, "kernel.release"), "value"), kernel);
	assert_string_equal(hps_json_text(row(rows, "host.name"), "value"), host);
	assert_string_equal(hps_json_text(row(rows, "cpu.model"), "source"), "/proc/cpuinfo");
	assert_non_null(strstr(hps_json_text(row(rows, "memory.total"), "value"), "kB"));
	assert_non_null(row(rows, "clock.synchronized"));
	assert_non_null(row(rows, "user.name"));
}

static void test_git(void **state)
{
	_cleanup_json_ json_t *none = json_array(), *clean = json_array(), *dirty = json_array();
	_cleanup_free_ char *commit = NULL;

	(void)state;
	hps_identity_git(none, "/");
	assert_true(json_is_true(json_object_get(row(none, "git.commit"), "missing")));
	free(shell("git init -q repo && cd repo && echo a > f && git add f && git -c user.name=x -c user.email=x@example.org commit -qm one && "
		   "git remote add origin https://user:hunter2secret@example.org/r.git"));
	commit = shell("git -C repo rev-parse HEAD");
	hps_identity_git(clean, "repo");
	assert_string_equal(hps_json_text(row(clean, "git.commit"), "value"), commit);
	assert_string_equal(hps_json_text(row(clean, "git.dirty"), "value"), "false");
	assert_null(strstr(hps_json_text(row(clean, "git.remote"), "value"), "hunter2"));
	write_text("repo/f", "b\n");
	hps_identity_git(dirty, "repo");
	assert_string_equal(hps_json_text(row(dirty, "git.dirty"), "value"), "true");
	assert_int_equal(strlen(hps_json_text(row(dirty, "git.diff"), "value")), 64);
}

static size_t count(const json_t *rows, const char *name)
{
	size_t n = 0, i;
	const json_t *r;

	json_array_foreach(rows, i, r)
		n += !strcmp(hps_json_text(r, "name"), name);
	return n;
}

static void test_git_in_full(void **state)
{
	_cleanup_json_ json_t *rows = json_array(), *linked = json_array(), *parsed = json_array();
	_cleanup_free_ char *inner = NULL, *top = NULL;

	(void)state;
	free(shell("git init -q inner && cd inner && echo i >i && git add i && git -c user.name=x -c user.email=x@example.org commit -qm i && cd .. && "
		   "git init -q -b main outer && cd outer && git -c protocol.file.allow=always submodule --quiet add ../inner sub 2>/dev/null && "
		   "printf '*.bin filter=lfs\\n' >.gitattributes && echo text >kept && "
		   "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:0\\nsize 1\\n' >big.bin && echo content >have.bin && "
		   "git -c filter.lfs.clean=cat add -A && git -c user.name=x -c user.email=x@example.org -c filter.lfs.clean=cat commit -qm o && "
		   "echo changed >>kept && echo n >'new file' && git worktree add -q ../linked HEAD -b side 2>/dev/null"));
	inner = shell("git -C inner rev-parse HEAD");
	top = shell("cd outer && pwd -P");
	hps_identity_git(rows, "outer/sub/..");
	assert_string_equal(hps_json_text(row(rows, "git.branch"), "value"), "main");
	assert_string_equal(hps_json_text(row(rows, "git.top"), "value"), top);
	assert_string_equal(hps_json_text(row(rows, "git.shallow"), "value"), "false");
	assert_string_equal(hps_json_text(row(rows, "git.changed"), "value"), "kept");
	assert_string_equal(hps_json_text(row(rows, "git.untracked"), "value"), "new file");
	assert_string_equal(hps_json_text(row(rows, "git.submodule.sub"), "value"), inner);
	assert_string_equal(hps_json_text(row(rows, "git.lfs"), "value"), "2 files, 1 of them pointers");
	assert_string_equal(hps_json_text(row(rows, "git.lfs.pointer"), "value"), "big.bin");
	assert_null(row(rows, "git.directory"));
	hps_identity_git(linked, "linked");
	assert_string_equal(hps_json_text(row(linked, "git.branch"), "value"), "side");
	assert_non_null(strstr(hps_json_text(row(linked, "git.directory"), "value"), "/worktrees/linked"));
	assert_true(json_is_true(json_object_get(row(linked, "git.submodule.sub"), "missing")));
	hps_git_status(parsed, "R  to\0from\0?? x\0 M y\0", 20);
	assert_int_equal(count(parsed, "git.changed"), 2);
	assert_int_equal(count(parsed, "git.untracked"), 1);
}

static void test_elf(void **state)
{
	_cleanup_free_ char *path = shell("ldconfig -p 2>/dev/null | sed -n 's,.*libcrypto.so.3.* => ,,p' | head -n1; true");
	_cleanup_free_ char *command = NULL, *want = NULL;
	_cleanup_fd_ int fd = -1, text = -1;
	struct hps_elf elf;

	(void)state;
	if (!*path) {
		free(path);
		path = shell("echo /usr/lib/x86_64-linux-gnu/libcrypto.so.3");
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(hps_elf_read(fd, &elf), 1);
	assert_string_equal(elf.soname, "libcrypto.so.3");
	command = hps_format("readelf -n %s 2>/dev/null | sed -n 's/.*Build ID: //p'", path);
	want = shell(command);
	assert_string_equal(elf.build_id, want);
	hps_elf_release(&elf);
	write_text("text", "\x7f" "ELF but no more");
	text = open("text", O_RDONLY | O_CLOEXEC);
	assert_int_equal(hps_elf_read(text, &elf), 0);
}

static struct hps_owner *got(struct hps_map *owners, const char *path, const char *content)
{
	struct hps_owner *o = hps_owner_slot(owners, path);

	o->hashed = true;
	hps_digest_of(content, strlen(content), &o->content);
	return o;
}

static const json_t *named(const json_t *items, const char *name)
{
	return row(items, name);
}

/* RECORD has the digest of "content". */
#define RECORD_OF_CONTENT "sha256=7XACtDnprIRfIjV9giusFERzD722AW0-yUMil7nsn3M,7"

static void test_python(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;
	_cleanup_json_ json_t *items = NULL;
	const json_t *alpha, *gamma;
	struct hps_owner *eps;

	(void)state;
	put("py/v/site-packages/Alpha_pkg-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: Alpha-pkg\nVersion: 1.2\n\nName: no\n");
	put("py/v/site-packages/Alpha_pkg-1.2.dist-info/RECORD",
	    "alpha/__init__.py," RECORD_OF_CONTENT "\nalpha/__pycache__/__init__.cpython-311.pyc,,\n\"alpha/a,b.so\"," RECORD_OF_CONTENT
	    "\nalpha/deep/patched.so," RECORD_OF_CONTENT "\n../../bin/alpha," RECORD_OF_CONTENT "\nAlpha_pkg-1.2.dist-info/METADATA,,\n");
	put("py/v/site-packages/Alpha_pkg-1.2.dist-info/INSTALLER", "pip\n");
	put("py/v/site-packages/alpha/__init__.py", "content");
	put("py/v/site-packages/beta-3.dist-info/METADATA", "Name: beta\nVersion: 3\n");
	put("py/v/site-packages/beta-3.dist-info/RECORD", "beta/__init__.py,,\nbeta-3.dist-info/METADATA,,\n");
	put("py/v/site-packages/gamma-1.dist-info/METADATA", "Name: gamma\nVersion: 1\n");
	put("py/v/site-packages/gamma-1.dist-info/RECORD", "gamma/__init__.py," RECORD_OF_CONTENT "\n");
	put("py/v/site-packages/gamma-1.dist-info/direct_url.json",
	    "{\"url\":\"https://u:secretsecret@example.org/g.git\",\"vcs_info\":{\"vcs\":\"git\",\"commit_id\":\"0123abcd\"}}");
	put("py/v/site-packages/gamma/__init__.py", "changed after it was installed");
	got(&owners, "/v/site-packages/alpha/__pycache__/__init__.cpython-311.pyc", "compiled");
	got(&owners, "/v/site-packages/alpha/a,b.so", "content");
	got(&owners, "/v/site-packages/alpha/deep/patched.so", "changed");
	got(&owners, "/bin/alpha", "content");
	/* Debian strips what RECORD has the digest of: dpkg's word counts. */
	put("py/v/site-packages/eps-1.dist-info/METADATA", "Name: eps\nVersion: 1\n");
	put("py/v/site-packages/eps-1.dist-info/RECORD", "eps.so," RECORD_OF_CONTENT "\n");
	eps = got(&owners, "/v/site-packages/eps.so", "stripped");
	eps->package = hps_strdup("python3-eps 1-1");
	eps->manager = hps_package_manager("dpkg");
	eps->pristine = HPS_PRISTINE_YES;
	got(&owners, "/v/site-packages/beta-3.dist-info/METADATA", "read by a search for plug-ins");
	got(&owners, "/v/site-packages/gamma/__pycache__/__init__.cpython-311.pyc", "compiled");
	items = hps_python_distributions("py", &owners, &(struct hps_python_options){ .cache_dir = -1 });
	assert_int_equal(json_array_size(items), 3);
	assert_true(json_is_true(json_object_get(named(items, "eps"), "pristine")));
	assert_string_equal(hps_json_text(named(items, "eps"), "package"), "python3-eps 1-1");
	alpha = named(items, "Alpha-pkg");
	assert_string_equal(hps_json_text(alpha, "version"), "1.2");
	assert_string_equal(hps_json_text(alpha, "installer"), "pip");
	assert_string_equal(hps_json_text(alpha, "path"), "/v/site-packages/Alpha_pkg-1.2.dist-info");
	assert_int_equal(hps_json_int(alpha, "filesEqual", -1), 2);
	assert_int_equal(hps_json_int(alpha, "bytecodeUnchecked", -1), 1); /* no interpreter was executed that could tell */
	assert_true(json_is_false(json_object_get(alpha, "pristine")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(alpha, "modified"), 0)), "/v/site-packages/alpha/deep/patched.so");
	gamma = named(items, "gamma");
	assert_string_equal(hps_json_text(gamma, "commit"), "0123abcd");
	assert_null(strstr(hps_json_text(gamma, "url"), "secretsecret"));
	assert_string_equal(json_string_value(json_array_get(json_object_get(gamma, "modified"), 0)), "/v/site-packages/gamma/__init__.py");
	assert_string_equal(((struct hps_owner *)hps_map_get(&owners, "/v/site-packages/alpha/a,b.so"))->package, "Alpha-pkg 1.2");
	assert_int_equal(((struct hps_owner *)hps_map_get(&owners, "/v/site-packages/alpha/a,b.so"))->pristine, HPS_PRISTINE_YES);
	hps_owners_release(&owners);
}

static void test_python_editable(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;
	_cleanup_json_ json_t *items = NULL;
	_cleanup_free_ char *commit = NULL, *here = hps_path_absolute("ed");
	const json_t *delta;

	(void)state;
	put("ed/s/site-packages/delta-1.dist-info/METADATA", "Name: delta\nVersion: 1\n");
	put("ed/s/site-packages/delta-1.dist-info/RECORD", "__editable__.delta-1.pth,,\n");
	put("ed/s/site-packages/delta-1.dist-info/direct_url.json", "{\"url\":\"file:///src/de%20lta\",\"dir_info\":{\"editable\":true}}");
	put("ed/s/site-packages/unused-1.dist-info/METADATA", "Name: unused\nVersion: 1\n");
	put("ed/s/site-packages/unused-1.dist-info/direct_url.json", "{\"url\":\"file:///src/unused\",\"dir_info\":{\"editable\":true}}");
	put("ed/s/site-packages/old.egg-link", "/src/old\n.\n");
	put("ed/src/old/old.egg-info/PKG-INFO", "Name: old\nVersion: 7\n");
	put("ed/src/de lta/delta.py", "x = 1\n");
	free(shell("cd 'ed/src/de lta' && git init -q && git add . && git -c user.name=x -c user.email=x@example.org commit -qm one && echo 'x = 2' >delta.py"));
	commit = shell("git -C 'ed/src/de lta' rev-parse HEAD");
	got(&owners, "/s/site-packages/__editable__.delta-1.pth", "/src/de lta");
	got(&owners, "/src/de lta/delta.py", "x = 2\n");
	got(&owners, "/src/old/old.py", "y");
	items = hps_python_distributions("ed", &owners, &(struct hps_python_options){ .cache_dir = -1 });
	assert_int_equal(json_array_size(items), 2);
	delta = named(items, "delta");
	assert_true(json_is_true(json_object_get(delta, "editable")));
	assert_string_equal(hps_json_text(delta, "source"), "/src/de lta");
	assert_string_equal(hps_json_text(hps_json_at(delta, "git", NULL), "commit"), commit);
	assert_true(json_is_true((json_t *)(uintptr_t)hps_json_at(delta, "git", "dirty", NULL)));
	assert_true(json_is_true((json_t *)(uintptr_t)hps_json_at(named(items, "old"), "git", "missing", NULL)));
	hps_owners_release(&owners);
}

static void test_python_interpreter(void **state)
{
	static const char constants[] = "x\0003.11\0003.11.20 no\0003.11.2\0003.11.9";
	_cleanup_free_ char *version = hps_python_version(constants, sizeof constants, "3.11"), *want = shell("/usr/bin/python3 -c 'import platform; print(platform.python_version())'");
	_cleanup_free_ char *real = shell("readlink -f /usr/bin/python3");
	_cleanup_strv_ struct hps_strv programs = LIST_OF("/bin/sh", real), others = LIST_OF("/bin/sh", "/usr/bin/python-config");
	_cleanup_json_ json_t *rows = json_array(), *none = json_array();
	struct hps_map owners = HPS_MAP_INIT;

	(void)state;
	assert_string_equal(version, "3.11.2");
	hps_identity_python(rows, "", &programs, &owners);
	assert_string_equal(hps_json_text(row(rows, "python.interpreter"), "value"), real);
	assert_string_equal(hps_json_text(row(rows, "python.version"), "value"), want);
	hps_identity_python(none, "", &others, &owners);
	assert_true(json_is_true(json_object_get(row(none, "python.interpreter"), "missing")));
}

static void test_seeds(void **state)
{
	_cleanup_strv_ struct hps_strv argv = LIST_OF("train.py", "--seed", "7", "trainer.Random-State=8", "--lr=0.1", "--seed=x", "seedling=3");
	_cleanup_strv_ struct hps_strv envp = LIST_OF("PYTHONHASHSEED=0", "HOME=/");
	_cleanup_json_ json_t *seeds = hps_seeds(argv.v, envp.v, "42", NULL);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	(void)state;
	assert_ok(hps_json_canonical(seeds, &text, err));
	assert_string_equal(text.data, "[{\"name\":\"--seed\",\"origin\":\"option\",\"value\":\"42\"},{\"name\":\"--seed\",\"origin\":\"argv\",\"value\":\"7\"},"
				       "{\"name\":\"trainer.Random-State\",\"origin\":\"argv\",\"value\":\"8\"},"
				       "{\"name\":\"PYTHONHASHSEED\",\"origin\":\"environment\",\"value\":\"0\"}]");
}

static void check_metrics(const char *text, const char *want)
{
	_cleanup_json_ json_t *metrics = json_object();
	_cleanup_buf_ struct hps_buf got = HPS_BUF_INIT;

	write_text("metrics", text);
	assert_ok(hps_metrics_read("metrics", NULL, metrics, err));
	assert_ok(hps_json_canonical(metrics, &got, err));
	assert_string_equal(got.data, want);
}

static void test_metrics(void **state)
{
	_cleanup_json_ json_t *metrics = json_object();

	(void)state;
	check_metrics("{\"acc\": 0.5, \"n\": 3, \"name\": \"x\", \"val\": {\"loss\": 1e-7, \"deep\": {\"f1\": 1}}}",
		      "{\"acc\":\"0.5\",\"n\":\"3\",\"val.deep.f1\":\"1\",\"val.loss\":\"1e-7\"}");
	check_metrics("{\"acc\":0.1}\n{\"acc\":0.2,\"loss\":3}\n", "{\"acc\":\"0.2\",\"loss\":\"3\"}");
	check_metrics("{\"acc\":0.1}\n{\"acc\":0.", "{\"acc\":\"0.1\"}"); /* killed while writing */
	check_metrics("", "{}");
	assert_ok(hps_metrics_read("absent", NULL, metrics, err));
	write_text("metrics", "{\"a\":1}\nnot json\n{\"a\":2}\n");
	assert_fails(HPS_E_FORMAT, hps_metrics_read("metrics", NULL, metrics, err));
	/* A file without numbers was taken for one without metrics, in silence. */
	for (size_t i = 0; i < 3; i++) {
		write_text("metrics", (const char *const[]){ "{\"loss\": \"0.5\"}", "{}", "{\"loss\": [0.5, 0.4], \"ok\": true}\n{\"a\": null}\n" }[i]);
		assert_fails(HPS_E_FORMAT, hps_metrics_read("metrics", NULL, metrics, err));
	}
	check_metrics(" \n", "{}");
	write_text("metrics", "[1]");
	assert_fails(HPS_E_FORMAT, hps_metrics_read("metrics", NULL, metrics, err));
	for (size_t nested = 0; nested < 2; nested++) { /* a few long names would make a statement of gigabytes */
		_cleanup_free_ char *name = hps_alloc(301), *text = NULL;

		memset(name, 'm', 300);
		text = nested ? hps_format("{\"%.150s\": {\"%.150s\": 1}}", name, name) : hps_format("{\"%s\": 1}", name);
		write_text("metrics", text);
		assert_fails(HPS_E_LIMIT, hps_metrics_read("metrics", NULL, metrics, err));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_git), cmocka_unit_test(test_git_in_full),
		cmocka_unit_test(test_elf),	cmocka_unit_test(test_python),
		cmocka_unit_test(test_python_editable), cmocka_unit_test(test_python_interpreter),
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_metrics),
	};

	return cmocka_run_group_tests_name("recorder_identity", tests, make_folder, remove_folder);
}
