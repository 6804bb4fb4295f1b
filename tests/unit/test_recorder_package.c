/* Packages: made-up trees in the formats that the package managers document, a database that rpm itself made, and this machine's own. */
#include "tests/unit/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/identity.h"
#include "recorder/package.h"

/* The trial got `content` from path. */
static struct hps_owner *got(struct hps_map *owners, const char *path, const char *content)
{
	struct hps_owner *o = hps_owner_slot(owners, path);

	o->system = true;
	o->hashed = content != NULL;
	if (content)
		hps_digest_of(content, strlen(content), &o->content);
	return o;
}

static void assert_owner(const struct hps_map *owners, const char *path, const char *package, enum hps_pristine pristine)
{
	const struct hps_owner *o = hps_map_get(owners, path);

	assert_non_null(o);
	if (!package) {
		assert_null(o->package);
		return;
	}
	assert_non_null(o->package);
	assert_string_equal(o->package, package);
	assert_int_equal(o->pristine, pristine);
}

static void test_dpkg(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	put("d/var/lib/dpkg/status", "Package: libz\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 1:1.2-3\n\n"
				     "Package: tool\nArchitecture: all\nVersion: 4\nConffiles:\n /etc/tool.conf 9a0364b9e99bb480dd25e1f0284c8555\n"
				     " /etc/changed.conf 9a0364b9e99bb480dd25e1f0284c8555 obsolete\nDescription: x\n /etc/no 1\n\n"
				     "Package: diverter\nArchitecture: all\nVersion: 5\n");
	put("d/var/lib/dpkg/info/libz:amd64.list", "/.\n/lib\n/lib/libz.so.1\n/usr/lib/libplain.so\n");
	put("d/var/lib/dpkg/info/libz:amd64.md5sums", "9a0364b9e99bb480dd25e1f0284c8555  lib/libz.so.1\n9a0364b9e99bb480dd25e1f0284c8555  usr/lib/libplain.so\n");
	put("d/var/lib/dpkg/info/tool.list", "/etc/tool.conf\n/etc/changed.conf\n/usr/bin/tool\n/usr/bin/nosum\n");
	put("d/var/lib/dpkg/info/tool.md5sums", "9a0364b9e99bb480dd25e1f0284c8555  usr/bin/tool\n");
	put("d/var/lib/dpkg/info/diverter.list", "/usr/bin/tool\n");
	put("d/var/lib/dpkg/info/diverter.md5sums", "b10a8db164e0754105b7a99be72e3fe5  usr/bin/tool\n"); /* "Hello World" */
	put("d/var/lib/dpkg/diversions", "/usr/bin/tool\n/usr/bin/tool.real\ndiverter\n/usr/bin/cut off\n");
	put("d/usr/lib/libz.so.1", "content"); /* its MD5 is the one above */
	put("d/usr/lib/libplain.so", "patched");
	put("d/etc/tool.conf", "content");
	put("d/etc/changed.conf", "mine");
	put("d/usr/bin/tool", "Hello World");
	put("d/usr/bin/tool.real", "content");
	put("d/usr/bin/nosum", "x");
	put("d/usr/bin/other", "y");
	put("d/usr/bin/swapped", "z");
	got(&owners, "/usr/lib/libz.so.1", "content");
	got(&owners, "/usr/lib/libplain.so", "patched");
	got(&owners, "/etc/tool.conf", "content");
	got(&owners, "/etc/changed.conf", "mine");
	got(&owners, "/usr/bin/tool", "Hello World");
	got(&owners, "/usr/bin/tool.real", "content");
	got(&owners, "/usr/bin/nosum", "x");
	got(&owners, "/usr/bin/other", "y");
	assert_int_equal(hps_packages_find("d", &owners, rows), 0);
	hps_packages_check("d", &owners, 10000000000);
	assert_owner(&owners, "/usr/lib/libz.so.1", "libz 1:1.2-3", HPS_PRISTINE_YES); /* the list says /lib */
	assert_owner(&owners, "/usr/lib/libplain.so", "libz 1:1.2-3", HPS_PRISTINE_NO);
	assert_owner(&owners, "/etc/tool.conf", "tool 4", HPS_PRISTINE_YES);
	assert_owner(&owners, "/etc/changed.conf", "tool 4", HPS_PRISTINE_NO);
	assert_owner(&owners, "/usr/bin/tool", "diverter 5", HPS_PRISTINE_YES);
	assert_owner(&owners, "/usr/bin/tool.real", "tool 4", HPS_PRISTINE_YES);
	assert_owner(&owners, "/usr/bin/nosum", "tool 4", HPS_PRISTINE_UNKNOWN);
	assert_owner(&owners, "/usr/bin/other", NULL, 0);
	assert_int_equal(json_array_size(rows), 0);
	hps_owners_release(&owners);
}

/* Two lists of configuration files in one paragraph were counted together and read beyond the text: found by the fuzzer. */
static void test_dpkg_conffiles_twice(void **state)
{
	static const char status[] = "Package: a\nVersion: 1\nConffiles:\n /x 1\n /y 2\nVersion: 1\nConffiles:\n /z 3";
	_cleanup_free_ char *exact = hps_strdup(status);
	struct hps_dpkg d = { HPS_MAP_INIT, HPS_MAP_INIT };
	struct hps_map owners = HPS_MAP_INIT, versions = HPS_MAP_INIT;

	(void)state;
	*hps_map_slot(&d.packages, "a") = &d;
	hps_dpkg_status(&d, &owners, &versions, exact);
	assert_string_equal(hps_map_get(&versions, "a"), "a 1");
	free(versions.items[0].value);
	hps_map_release(&versions);
	hps_dpkg_release(&d);
}

/* What the trial got is not what lies there now: then nothing is said. */
static void test_changed_since(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	put("c/var/lib/dpkg/status", "Package: a\nArchitecture: all\nVersion: 1\n");
	put("c/var/lib/dpkg/info/a.list", "/usr/bin/a\n");
	put("c/var/lib/dpkg/info/a.md5sums", "9a0364b9e99bb480dd25e1f0284c8555  usr/bin/a\n");
	put("c/usr/bin/a", "content");
	got(&owners, "/usr/bin/a", "what was there before");
	assert_int_equal(hps_packages_find("c", &owners, rows), 0);
	hps_packages_check("c", &owners, 10000000000);
	assert_owner(&owners, "/usr/bin/a", "a 1", HPS_PRISTINE_UNKNOWN);
	hps_owners_release(&owners);
}

static void test_distroless(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	put("s/var/lib/dpkg/status.d/libc6", "Package: libc6\nArchitecture: amd64\nVersion: 2.36-9");
	put("s/var/lib/dpkg/status.d/libc6.md5sums", "9a0364b9e99bb480dd25e1f0284c8555  lib/x86_64-linux-gnu/libc.so.6\n");
	put("s/lib/x86_64-linux-gnu/libc.so.6", "content");
	got(&owners, "/lib/x86_64-linux-gnu/libc.so.6", "content");
	assert_int_equal(hps_packages_find("s", &owners, rows), 0);
	hps_packages_check("s", &owners, 10000000000);
	assert_owner(&owners, "/lib/x86_64-linux-gnu/libc.so.6", "libc6 2.36-9", HPS_PRISTINE_YES);
	hps_owners_release(&owners);
}

/* rpm builds a package and puts it into a database of its own. */
static void test_rpm(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	put("r/p.spec", "Name: demo\nEpoch: 2\nVersion: 1.5\nRelease: 6\nSummary: s\nLicense: MIT\nBuildArch: noarch\n%description\nd\n"
			"%install\nmkdir -p %{buildroot}/usr/lib64 %{buildroot}/etc\nprintf content >%{buildroot}/usr/lib64/libdemo.so.1\nprintf a >%{buildroot}/etc/demo.conf\n"
			"%files\n/usr/lib64/libdemo.so.1\n%config /etc/demo.conf\n");
	free(shell("cd r && rpmbuild -bb --quiet --define \"_topdir $PWD/top\" --define '_binary_filedigest_algorithm 8' p.spec && mkdir -p var/lib/rpm && "
		   "rpm --dbpath \"$PWD/var/lib/rpm\" --justdb --nodeps --ignoreos --ignorearch -i top/RPMS/noarch/demo-1.5-6.noarch.rpm && test -s var/lib/rpm/rpmdb.sqlite"));
	got(&owners, "/usr/lib64/libdemo.so.1", "content");
	got(&owners, "/etc/demo.conf", "changed");
	got(&owners, "/usr/lib64/libother.so", "x");
	got(&owners, "/elsewhere/libdemo.so.1", "content"); /* the same base name */
	assert_int_equal(hps_packages_find("r", &owners, rows), 0);
	hps_packages_check("r", &owners, 10000000000);
	assert_owner(&owners, "/usr/lib64/libdemo.so.1", "demo 2:1.5-6", HPS_PRISTINE_YES);
	assert_owner(&owners, "/etc/demo.conf", "demo 2:1.5-6", HPS_PRISTINE_NO);
	assert_owner(&owners, "/usr/lib64/libother.so", NULL, 0);
	assert_owner(&owners, "/elsewhere/libdemo.so.1", NULL, 0);
	assert_int_equal(json_array_size(rows), 0);
	hps_owners_release(&owners);
}

static void test_rpm_that_cannot_be_read(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	put("b/var/lib/rpm/Packages", "berkeley");
	put("e/usr/lib/sysimage/rpm/rpmdb.sqlite", "no database");
	got(&owners, "/usr/bin/x", "x");
	assert_int_equal(hps_packages_find("b", &owners, rows), 0);
	assert_int_equal(hps_packages_find("e", &owners, rows), 0);
	assert_int_equal(json_array_size(rows), 2);
	assert_non_null(strstr(hps_json_text(json_array_get(rows, 0), "why"), "Berkeley"));
	assert_string_equal(hps_json_text(json_array_get(rows, 1), "name"), "packages.rpm");
	assert_owner(&owners, "/usr/bin/x", NULL, 0);
	assert_int_equal(hps_packages_find("nowhere", &owners, rows), -ENOENT);
	hps_owners_release(&owners);
}

static void test_apk(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	/* printf content | openssl sha1 -binary | base64 */
	put("a/lib/apk/db/installed", "C:Q1xx\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1BA8G/XdAkkeNRQd09bowxdp4rMg=\n\n"
				      "P:base\nV:3\nF:\nF:etc\nR:motd\nZ:Q1BA8G/XdAkkeNRQd09bowxdp4rMg=\nR:nosum\n\n");
	put("a/lib/ld-musl-x86_64.so.1", "content");
	put("a/etc/motd", "changed");
	got(&owners, "/lib/ld-musl-x86_64.so.1", "content");
	got(&owners, "/etc/motd", "changed");
	got(&owners, "/etc/nosum", "n");
	assert_int_equal(hps_packages_find("a", &owners, rows), 0);
	hps_packages_check("a", &owners, 10000000000);
	assert_owner(&owners, "/lib/ld-musl-x86_64.so.1", "musl 1.2.4-r2", HPS_PRISTINE_YES);
	assert_owner(&owners, "/etc/motd", "base 3", HPS_PRISTINE_NO);
	assert_owner(&owners, "/etc/nosum", "base 3", HPS_PRISTINE_UNKNOWN);
	hps_owners_release(&owners);
}

static void test_conda(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;

	(void)state;
	put("n/home/u/env/conda-meta/history", "");
	put("n/home/u/env/conda-meta/numpy-1.26.4-py311_0.json",
	    "{\"name\":\"numpy\",\"version\":\"1.26.4\",\"build\":\"py311_0\",\"files\":[\"lib/x.so\"],\"paths_data\":{\"paths_version\":1,\"paths\":["
	    "{\"_path\":\"lib/x.so\",\"path_type\":\"hardlink\",\"sha256\":\"00\",\"sha256_in_prefix\":\"ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73\"},"
	    "{\"_path\":\"lib/y.so\",\"path_type\":\"hardlink\",\"sha256\":\"ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73\"}]}}");
	put("n/home/u/env/conda-meta/broken.json", "{\"name\":");
	got(&owners, "/home/u/env/lib/x.so", "content");
	got(&owners, "/home/u/env/lib/y.so", "changed");
	got(&owners, "/home/u/env/lib/z.so", "content");
	got(&owners, "/home/u/other", "content");
	hps_conda_find("n", &owners);
	hps_packages_check("n", &owners, 0);
	assert_owner(&owners, "/home/u/env/lib/x.so", "numpy 1.26.4=py311_0", HPS_PRISTINE_YES);
	assert_owner(&owners, "/home/u/env/lib/y.so", "numpy 1.26.4=py311_0", HPS_PRISTINE_NO);
	assert_owner(&owners, "/home/u/env/lib/z.so", NULL, 0);
	assert_owner(&owners, "/home/u/other", NULL, 0);
	hps_owners_release(&owners);
}

/* The cache gives the answers again, void when the database or the content is another. */
static void test_cache(void **state)
{
	int dir;

	(void)state;
	put("k/var/lib/dpkg/status", "Package: a\nArchitecture: all\nVersion: 1\n");
	put("k/var/lib/dpkg/info/a.list", "/usr/bin/a\n");
	put("k/var/lib/dpkg/info/a.md5sums", "9a0364b9e99bb480dd25e1f0284c8555  usr/bin/a\n");
	put("k/usr/bin/a", "content");
	put("cache/x", "");
	assert_ok(hps_dir_open(AT_FDCWD, "cache", &dir, err));
	for (int round = 0; round < 4; round++) {
		struct hps_map owners = HPS_MAP_INIT;
		_cleanup_json_ json_t *rows = json_array();

		got(&owners, "/usr/bin/a", round == 2 ? "patched" : "content");
		got(&owners, "/usr/bin/b", "b");
		got(&owners, "/home/u/c", "c")->system = false;
		if (round == 2)
			put("k/usr/bin/a", "patched");
		if (round == 3) {
			put("k/usr/bin/a", "content");
			put("k/var/lib/dpkg/status", "Package: a\nArchitecture: all\nVersion: 2\n");
		}
		if (round == 1) /* only the cache can know */
			free(shell("mv k/var/lib/dpkg/info/a.list k/away; touch -r k/var/lib/dpkg k/none; mv k/away k/var/lib/dpkg/info/a.list"));
		assert_int_equal(hps_owners_find(dir, "k", &owners, rows), 0);
		assert_owner(&owners, "/usr/bin/a", round == 3 ? "a 2" : "a 1", round == 2 ? HPS_PRISTINE_NO : HPS_PRISTINE_YES);
		assert_owner(&owners, "/usr/bin/b", NULL, 0);
		hps_owners_release(&owners);
	}
	close(dir);
}

/* A cached answer is used: the negative control takes the cache away. */
static void test_cache_is_used(void **state)
{
	int dir;

	(void)state;
	put("u/var/lib/dpkg/status", "Package: a\nArchitecture: all\nVersion: 1\n");
	put("u/var/lib/dpkg/info/a.list", "/usr/bin/a\n");
	put("cache2/x", "");
	assert_ok(hps_dir_open(AT_FDCWD, "cache2", &dir, err));
	for (int round = 0; round < 3; round++) {
		struct hps_map owners = HPS_MAP_INIT;
		_cleanup_json_ json_t *rows = json_array();
		int fd;

		got(&owners, "/usr/bin/a", "content");
		if (round == 1) { /* emptied in place: no stamped time moves but the list's own, which is not looked at */
			fd = open("u/var/lib/dpkg/info/a.list", O_WRONLY | O_TRUNC | O_CLOEXEC);
			assert_true(fd >= 0);
			close(fd);
		}
		assert_int_equal(hps_owners_find(round == 2 ? -1 : dir, "u", &owners, rows), 0);
		assert_owner(&owners, "/usr/bin/a", round == 2 ? NULL : "a 1", HPS_PRISTINE_UNKNOWN);
		hps_owners_release(&owners);
	}
	close(dir);
}

/* What the hasher has told decides without a look at the file: none is there. */
static void test_told_sum(void **state)
{
	static const struct {
		const char *md5;
		enum hps_pristine pristine;
	} cases[] = { { "9a0364b9e99bb480dd25e1f0284c8555", HPS_PRISTINE_YES }, { "b10a8db164e0754105b7a99be72e3fe5", HPS_PRISTINE_NO }, { NULL, HPS_PRISTINE_UNKNOWN } };

	(void)state;
	put("t/var/lib/dpkg/status", "Package: a\nArchitecture: all\nVersion: 1\n");
	put("t/var/lib/dpkg/info/a.list", "/usr/bin/a\n");
	put("t/var/lib/dpkg/info/a.md5sums", "9a0364b9e99bb480dd25e1f0284c8555  usr/bin/a\n");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hps_map owners = HPS_MAP_INIT;
		_cleanup_json_ json_t *rows = json_array();
		struct hps_owner *o = got(&owners, "/usr/bin/a", "content");

		o->summed = cases[i].md5 && hps_unhex(o->md5, sizeof o->md5, cases[i].md5) == 0;
		assert_int_equal(hps_packages_find("t", &owners, rows), 0);
		hps_packages_check("t", &owners, 10000000000);
		assert_owner(&owners, "/usr/bin/a", "a 1", cases[i].pristine);
		hps_owners_release(&owners);
	}
}

/* This machine: what dpkg itself says. */
static void test_this_machine(void **state)
{
	struct hps_map owners = HPS_MAP_INIT;
	_cleanup_json_ json_t *rows = json_array();
	_cleanup_free_ char *want = shell("dpkg-query -W -f '${Package} ${Version}' coreutils");
	static const char *const paths[] = { "/usr/bin/sha256sum", "/usr/bin/cat" }; /* dpkg's list says /bin/cat */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct hps_owner *o = got(&owners, paths[i], "");
		_cleanup_fd_ int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		assert_ok(hps_digest_fd(fd, &o->content, NULL, err));
	}
	got(&owners, "/no/such/file", "x");
	assert_int_equal(hps_packages_find("", &owners, rows), 0);
	hps_packages_check("", &owners, 10000000000);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_owner(&owners, paths[i], want, HPS_PRISTINE_YES);
	assert_owner(&owners, "/no/such/file", NULL, 0);
	hps_owners_release(&owners);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dpkg), cmocka_unit_test(test_dpkg_conffiles_twice),  cmocka_unit_test(test_changed_since),
		cmocka_unit_test(test_distroless), cmocka_unit_test(test_rpm),
		cmocka_unit_test(test_rpm_that_cannot_be_read), cmocka_unit_test(test_apk),
		cmocka_unit_test(test_conda), cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_is_used), cmocka_unit_test(test_told_sum), cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests_name("recorder_package", tests, make_folder, remove_folder);
}
