/* Identities, seeds, data sets and metrics: from real files, with answers known from elsewhere. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/identity.h"

static int make_folder(void **state)
{
	char path[] = "/tmp/hps-unit.XXXXXX";

	*state = hps_strdup(mkdtemp(path));
	return chdir(*state);
}

static int remove_folder(void **state)
{
	int r = chdir("/");

	assert_ok(hps_dir_remove(AT_FDCWD, *state, err));
	free(*state);
	return r;
}

static const json_t *row(const json_t *rows, const char *name)
{
	size_t i;
	json_t *r;

	json_array_foreach(rows, i, r)
		if (!strcmp(hps_json_text(r, "name"), name))
			return r;
	return NULL;
}

static void write_text(const char *path, const char *text)
{
	assert_ok(hps_file_write(AT_FDCWD, path, 0644, text, strlen(text), err));
}

/* Prints what the shell command prints, without the last newline. */
static char *shell(const char *command)
{
	const char *const argv[] = { "sh", "-c", command, NULL };
	struct hps_run run = { .argv = argv, .max_output = 4096, .quiet = true };
	struct hps_buf out = HPS_BUF_INIT;
	int status;

	assert_ok(hps_run(&run, &out, &status, err));
	assert_int_equal(status, 0);
	while (out.len && out.data[out.len - 1] == '\n')
		out.data[--out.len] = '\0';
	return hps_buf_take(&out);
}

static void test_host(void **state)
{
	_cleanup_json_ json_t *rows = json_array();
	_cleanup_free_ char *kernel = shell("uname -r"), *host = shell("uname -n");

	(void)state;
	hps_identity_host(rows);
	assert_string_equal(hps_json_text(row(rows, "kernel.release"), "value"), kernel);
	assert_string_equal(hps_json_text(row(rows, "host.name"), "value"), host);
	assert_string_equal(hps_json_text(row(rows, "cpu.model"), "source"), "/proc/cpuinfo");
	assert_non_null(strstr(hps_json_text(row(rows, "memory.total"), "value"), "kB"));
	assert_non_null(row(rows, "clock.synchronized"));
	assert_non_null(row(rows, "user.name"));
}

/* A machine that is not there: /proc/driver/nvidia and /sys/class/drm as the drivers document them. */
static void test_gpu_from_a_fake_tree(void **state)
{
	_cleanup_json_ json_t *none = json_array(), *nvidia = json_array(), *drm = json_array();

	(void)state;
	setenv("HPS_TEST_ROOT", "fake", 1);
	hps_identity_gpu(none);
	assert_non_null(strstr(hps_json_text(row(none, "gpu"), "why"), "none found"));
	assert_ok(hps_dir_make(AT_FDCWD, "fake/sys/class/drm/card0/device", 0755, err));
	write_text("fake/sys/class/drm/card0/device/vendor", "0x1002\n");
	write_text("fake/sys/class/drm/card0/device/unique_id", "abc\n");
	hps_identity_gpu(drm);
	assert_string_equal(hps_json_text(row(drm, "gpu.0.uuid"), "value"), "abc");
	assert_ok(hps_dir_make(AT_FDCWD, "fake/proc/driver/nvidia/gpus/0000:01:00.0", 0755, err));
	write_text("fake/proc/driver/nvidia/gpus/0000:01:00.0/information",
		   "Model: \t\t NVIDIA Test\nIRQ: 1\nGPU UUID: \t GPU-????????\nVideo BIOS: \t 1.2.3\n");
	hps_identity_gpu(nvidia);
	assert_string_equal(hps_json_text(row(nvidia, "gpu.0.name"), "value"), "NVIDIA Test");
	assert_string_equal(hps_json_text(row(nvidia, "gpu.0.vbios"), "value"), "1.2.3");
	assert_true(json_is_true(json_object_get(row(nvidia, "gpu.0.uuid"), "missing")));
	unsetenv("HPS_TEST_ROOT");
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

static void test_packages(void **state)
{
	struct hps_map paths = HPS_MAP_INIT;
	_cleanup_free_ char *want = shell("dpkg-query -W -f '${Package}' coreutils; echo; dpkg-query -W -f '${Version}' coreutils");
	char *newline = strchr(want, '\n');

	(void)state;
	*newline = ' ';
	(void)hps_map_slot(&paths, "/usr/bin/sha256sum");
	(void)hps_map_slot(&paths, "/usr/bin/cat"); /* dpkg's list says /bin/cat */
	(void)hps_map_slot(&paths, "/no/such/file");
	assert_int_equal(hps_packages_find(&paths), 0);
	assert_string_equal(hps_map_get(&paths, "/usr/bin/sha256sum"), want);
	assert_string_equal(hps_map_get(&paths, "/usr/bin/cat"), want);
	assert_null(hps_map_get(&paths, "/no/such/file"));
	for (size_t i = 0; i < paths.n; i++)
		free(paths.items[i].value);
	hps_map_release(&paths);
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

static void test_python(void **state)
{
	struct hps_strv paths = HPS_STRV_INIT;
	_cleanup_json_ json_t *items = NULL;

	(void)state;
	assert_ok(hps_dir_make(AT_FDCWD, "site-packages/alpha", 0755, err));
	assert_ok(hps_dir_make(AT_FDCWD, "site-packages/Alpha_pkg-1.2.dist-info", 0755, err));
	assert_ok(hps_dir_make(AT_FDCWD, "site-packages/beta-3.dist-info", 0755, err));
	write_text("site-packages/Alpha_pkg-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: Alpha-pkg\nVersion: 1.2\n\nName: no\n");
	write_text("site-packages/Alpha_pkg-1.2.dist-info/RECORD", "alpha/__init__.py,sha256=x,1\n");
	write_text("site-packages/Alpha_pkg-1.2.dist-info/INSTALLER", "pip\n");
	write_text("site-packages/beta-3.dist-info/METADATA", "Name: beta\nVersion: 3\n");
	hps_strv_add_take(&paths, hps_path_absolute("site-packages/alpha/__init__.py"));
	items = hps_python_distributions(&paths);
	assert_int_equal(json_array_size(items), 1);
	assert_string_equal(hps_json_text(json_array_get(items, 0), "name"), "Alpha-pkg");
	assert_string_equal(hps_json_text(json_array_get(items, 0), "version"), "1.2");
	assert_string_equal(hps_json_text(json_array_get(items, 0), "installer"), "pip");
	hps_strv_release(&paths);
}

/* dirHash by coreutils, as docs/FORMATS.md says. */
static void test_dataset(void **state)
{
	struct hps_dataset one, two;
	_cleanup_free_ char *want = NULL;
	char hex[HPS_DIGEST_HEX];

	(void)state;
	assert_ok(hps_dir_make(AT_FDCWD, "data/sub", 0755, err));
	write_text("data/b", "two");
	write_text("data/sub/a", "one");
	write_text("data/a.txt", "");
	assert_ok(hps_dataset_digest("data", &one, err));
	assert_int_equal(one.n_files, 3);
	assert_int_equal(one.n_bytes, 6);
	hps_digest_hex(&one.dir_hash, hex);
	want = shell("cd data && find . -type f | sed 's,^\\./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1");
	assert_string_equal(hex, want);
	/* The native digest also sees a mode and a renamed file; an equal tree elsewhere is equal. */
	free(shell("cp -r data copy"));
	assert_ok(hps_dataset_digest("copy", &two, err));
	assert_true(hps_digest_equal(&one.tree, &two.tree));
	free(shell("chmod +x copy/b"));
	assert_ok(hps_dataset_digest("copy", &two, err));
	assert_false(hps_digest_equal(&one.tree, &two.tree));
	assert_true(hps_digest_equal(&one.dir_hash, &two.dir_hash));
	assert_fails(-ENOENT, hps_dataset_digest("absent", &two, err));
}

static void test_seeds(void **state)
{
	_cleanup_strv_ struct hps_strv argv = LIST_OF("train.py", "--seed", "7", "trainer.Random-State=8", "--lr=0.1", "--seed=x", "seedling=3");
	_cleanup_strv_ struct hps_strv envp = LIST_OF("PYTHONHASHSEED=0", "HOME=/");
	_cleanup_json_ json_t *seeds = hps_seeds(argv.v, envp.v, "42");
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
	assert_ok(hps_metrics_read("metrics", metrics, err));
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
	assert_ok(hps_metrics_read("absent", metrics, err));
	write_text("metrics", "{\"a\":1}\nnot json\n{\"a\":2}\n");
	assert_fails(HPS_E_FORMAT, hps_metrics_read("metrics", metrics, err));
	write_text("metrics", "[1]");
	assert_fails(HPS_E_FORMAT, hps_metrics_read("metrics", metrics, err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),	cmocka_unit_test(test_gpu_from_a_fake_tree),
		cmocka_unit_test(test_git),	cmocka_unit_test(test_packages),
		cmocka_unit_test(test_elf),	cmocka_unit_test(test_python),
		cmocka_unit_test(test_dataset), cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_metrics),
	};

	return cmocka_run_group_tests_name("recorder_identity", tests, make_folder, remove_folder);
}
