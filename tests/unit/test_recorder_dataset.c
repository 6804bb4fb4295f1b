/* Data sets: the definitions against coreutils, the walk on all cores, and what is remembered between runs. */
#include "tests/unit/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "recorder/dataset.h"

#define XFS_MAGIC 0x58465342

static const struct hps_dataset_options plain = { 0 }, remembered = { .cache_dir = "cache" };

/* Only some file systems are remembered: where the tests run may be another. */
static bool remembers(void)
{
	struct statfs f;

	return statfs(".", &f) == 0 && (f.f_type == EXT4_SUPER_MAGIC || f.f_type == XFS_MAGIC || f.f_type == BTRFS_SUPER_MAGIC);
}

static void assert_dir_hash(const struct hps_dataset *d, const char *directory)
{
	_cleanup_free_ char *command = hps_format("cd %s && find . -type f | sed 's,^\\./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1", directory);
	_cleanup_free_ char *want = shell(command);
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(&d->dir_hash, hex);
	assert_string_equal(hex, want);
}

static void test_definitions(void **state)
{
	struct hps_dataset one, two;

	(void)state;
	free(shell("mkdir -p data/sub data/empty; printf two >data/b; printf one >data/sub/a; : >data/a.txt; ln -s nowhere data/l; cp -a data copy"));
	assert_ok(hps_dataset_digest("data", &plain, &one, err));
	assert_int_equal(one.n_files, 3);
	assert_int_equal(one.n_bytes, 6);
	assert_dir_hash(&one, "data");
	/* The native digests also see a mode, a link and a renamed file; an equal tree elsewhere is equal. */
	assert_ok(hps_dataset_digest("copy", &plain, &two, err));
	assert_true(hps_digest_equal(&one.tree, &two.tree));
	assert_true(hps_digest_equal(&one.merkle, &two.merkle));
	free(shell("chmod +x copy/b"));
	assert_ok(hps_dataset_digest("copy", &plain, &two, err));
	assert_false(hps_digest_equal(&one.tree, &two.tree));
	assert_false(hps_digest_equal(&one.merkle, &two.merkle));
	assert_true(hps_digest_equal(&one.dir_hash, &two.dir_hash));
	free(shell("chmod -x copy/b; ln -sf elsewhere copy/l"));
	assert_ok(hps_dataset_digest("copy", &plain, &two, err));
	assert_false(hps_digest_equal(&one.tree, &two.tree));
	assert_fails(-ENOENT, hps_dataset_digest("absent", &plain, &two, err));
}

/* The Merkle root proves one file without the others: the ledger's own proofs, over the records of FORMATS.md. */
static void test_merkle(void **state)
{
	struct hps_dataset d;
	struct hps_digest leaves[2], root;

	(void)state;
	free(shell("mkdir m; printf x >m/1; printf y >m/2; chmod +x m/2"));
	assert_ok(hps_dataset_digest("m", &plain, &d, err));
	hps_merkle_leaf("f- 1:1 1 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n", 74, &leaves[0]);
	hps_merkle_leaf("fx 1:2 1 a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa\n", 74, &leaves[1]);
	hps_merkle_node(&leaves[0], &leaves[1], &root);
	assert_true(hps_digest_equal(&root, &d.merkle));
	assert_ok(hps_merkle_check_inclusion(1, 2, &leaves[1], &leaves[0], 1, &d.merkle, err));
}

static void test_many(void **state)
{
	struct hps_dataset first, again;

	(void)state;
	free(shell("mkdir many; for i in $(seq 30); do mkdir -p many/$i/deep; for j in $(seq 40); do echo $i.$j >many/$i/deep/$j; done; done; "
		   "for i in 1 2 3; do head -c 3000000 /dev/zero | tr '\\0' $i >many/$i/large; done; for j in $(seq 700); do echo $j >many/file$j; done"));
	assert_ok(hps_dataset_digest("many", &plain, &first, err));
	assert_int_equal(first.n_files, 30 * 40 + 3 + 700);
	assert_dir_hash(&first, "many");
	for (int i = 0; i < 20; i++) {
		assert_ok(hps_dataset_digest("many", &plain, &again, err));
		assert_memory_equal(&first, &again, sizeof first);
	}
}

static void test_single_files(void **state)
{
	struct hps_dataset d, link;
	struct hps_dataset_leaf leaf = { .path = "", .type = 'f', .bytes = 3 };
	struct hps_dataset want;

	(void)state;
	free(shell("printf abc >single; ln -s single to-single; mkdir dir; printf q >dir/q; ln -s dir to-dir"));
	hps_digest_of("abc", 3, &leaf.digest);
	hps_dataset_of(&leaf, 1, &want);
	assert_ok(hps_dataset_digest("single", &plain, &d, err));
	assert_ok(hps_dataset_digest("to-single", &plain, &link, err));
	assert_memory_equal(&d, &want, sizeof d);
	assert_memory_equal(&link, &want, sizeof d);
	assert_ok(hps_dataset_digest("to-dir", &plain, &d, err));
	assert_int_equal(d.n_files, 1);
}

static void test_refusals(void **state)
{
	struct hps_dataset d;

	(void)state;
	free(shell("mkdir -p odd/deep; for i in $(seq 200); do echo $i >odd/$i; done; mkfifo odd/deep/pipe"));
	assert_fails(HPS_E_FORMAT, hps_dataset_digest("odd", &plain, &d, err));
	if (geteuid() == 0)
		return; /* root may read everything */
	free(shell("mkdir shut; echo 1 >shut/x; chmod 0 shut/x"));
	assert_fails(-EACCES, hps_dataset_digest("shut", &plain, &d, err));
}

/* An ordinary user's tree of a system: what may not be read is left out and said; it is never taken for the whole. */
static void test_unreadable(void **state)
{
	struct hps_unread unread = { 0 }, again = { 0 };
	const struct hps_dataset_options partial = { .unread = &unread }, remembered_partial = { .cache_dir = "cache", .unread = &again };
	struct hps_dataset rest, d;
	uid_t before = geteuid();

	(void)state;
	free(shell("mkdir -p etc/private etc/open rest/open cache; echo 1 | tee etc/open/x >rest/open/x; echo 2 >etc/shadow; echo 3 >etc/private/key; chmod 0 etc/shadow etc/private; chmod 755 .; chmod 777 cache"));
	assert_ok(hps_dataset_digest("rest", &plain, &rest, err));
	if (before == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_fails(-EACCES, hps_dataset_digest("etc", &plain, &d, err));
	assert_ok(hps_dataset_digest("etc", &partial, &d, err));
	assert_memory_equal(&d, &rest, sizeof d);
	for (int i = 0; i < 2; i++) { /* the second time by the cache */
		hps_strv_release(&again.paths);
		again.n = 0;
		assert_ok(hps_dataset_digest("etc", &remembered_partial, &d, err));
		assert_memory_equal(&d, &rest, sizeof d);
		assert_int_equal(again.n, 2);
	}
	if (before == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(unread.n, 2);
	assert_int_equal(unread.paths.n, 2);
	assert_string_equal(unread.paths.v[0], "private/");
	assert_string_equal(unread.paths.v[1], "shadow");
	free(shell("chmod 700 etc/private; chmod 600 etc/shadow"));
	assert_ok(hps_dataset_digest("etc", &remembered, &d, err));
	assert_int_equal(d.n_files, 3);
	free(shell("rm -rf cache"));
	hps_strv_release(&unread.paths);
	hps_strv_release(&again.paths);
}

static void flip(const char *path, off_t at)
{
	_cleanup_fd_ int fd = open(path, O_RDWR | O_CLOEXEC);
	char byte;

	assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* What changed is seen, whatever was done to hide it; what did not is not read again. */
static void test_cache(void **state)
{
	static const char *const changes[] = {
		"cp -p k/d/1 keep; printf X >k/d/1; touch -r keep k/d/1", /* same size, same time of change */
		"printf n >k/d/new", "rm k/d/new", "mv k/2 k/3", "chmod +x k/3", "ln -sf other k/l", "mkdir k/e; printf e >k/e/e", "touch k/d/1",
	};
	struct hps_dataset before, now, fresh;
	_cleanup_free_ char *file = NULL;

	(void)state;
	free(shell("mkdir -p k/d cache; for i in 1 2 3 4; do echo $i >k/d/$i; done; echo t >k/2; ln -s x k/l"));
	usleep(2100000); /* a young change time is not believed */
	assert_ok(hps_dataset_digest("k", &remembered, &before, err));
	file = shell("ls cache/datasets/*");
	assert_ok(hps_dataset_digest("k", &remembered, &now, err));
	assert_memory_equal(&before, &now, sizeof now);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		free(shell(changes[i]));
		assert_ok(hps_dataset_digest("k", &remembered, &now, err));
		assert_ok(hps_dataset_digest("k", &plain, &fresh, err));
		assert_memory_equal(&now, &fresh, sizeof now);
	}
	if (!remembers())
		return;
	/* Control: the answer does come from the file. */
	usleep(2100000);
	assert_ok(hps_dataset_digest("k", &remembered, &now, err));
	flip(file, 8 + 4 * 8); /* the first byte of the tree's digest */
	assert_ok(hps_dataset_digest("k", &remembered, &fresh, err));
	assert_false(hps_digest_equal(&now.tree, &fresh.tree));
	/* A damaged file, or one that others could have written, is none. */
	flip(file, 8);
	assert_ok(hps_dataset_digest("k", &remembered, &fresh, err));
	assert_memory_equal(&now, &fresh, sizeof now);
	flip(file, 8 + 4 * 8);
	assert_int_equal(chmod(file, 0666), 0);
	assert_ok(hps_dataset_digest("k", &remembered, &fresh, err));
	assert_memory_equal(&now, &fresh, sizeof now);
}

/* A writer who has the file open could change it through a mapping, which moves no clock. */
static void test_cache_of_an_open_file(void **state)
{
	struct hps_dataset d;
	_cleanup_fd_ int fd = -1;
	_cleanup_free_ char *file = NULL;
	struct hps_dataset_cache *c;
	struct hps_seen seen;
	struct stat s;

	(void)state;
	if (!remembers())
		return;
	free(shell("rm -rf cache; mkdir -p o cache; echo 1 >o/1; echo 2 >o/2"));
	usleep(2100000);
	fd = open("o/1", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(hps_dataset_digest("o", &remembered, &d, err));
	file = shell("readlink -f o");
	c = hps_dataset_cache_load("cache", file);
	assert_non_null(c);
	assert_false(hps_dataset_cache_whole(c, "o", &d, (bool[1]){ false }));
	for (int i = 0; i < 2; i++) {
		uint64_t fsid = 0;
		struct hps_tree t;

		assert_ok(hps_tree_walk("o", NULL, NULL, NULL, &t, err));
		for (size_t k = 0; k < t.n_leaves; k++)
			fsid = t.leaves[k].seen.fsid ? t.leaves[k].seen.fsid : fsid;
		hps_tree_release(&t);
		assert_int_equal(stat(i ? "o/2" : "o/1", &s), 0);
		hps_seen_of(&s, fsid, &seen);
		assert_int_equal(hps_dataset_cache_get(c, &seen) != NULL, i);
	}
	hps_dataset_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_definitions), cmocka_unit_test(test_merkle), cmocka_unit_test(test_many),
		cmocka_unit_test(test_single_files), cmocka_unit_test(test_refusals), cmocka_unit_test(test_unreadable), cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_of_an_open_file),
	};

	return cmocka_run_group_tests_name("recorder_dataset", tests, make_folder, remove_folder);
}
