/* Contents and paths: digests of what a file held, real paths with the links that led there, files under several names, the digest cache, the call table. */
#include "tests/unit/unit.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/package.h"
#include "recorder/recorder.h"

struct fixture {
	char dir[PATH_MAX];
	int proc_fd;
	struct hps_gaps gaps;
	struct hps_objects *objects;
	struct hps_hasher *hasher;
	struct hps_files files;
};

static int setup(void **state)
{
	struct fixture *f = hps_alloc(sizeof *f);
	char made[] = "/tmp/hps-unit-XXXXXX";

	if (!mkdtemp(made) || !realpath(made, f->dir) || chdir(f->dir))
		return -1;
	f->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_ok(hps_objects_open(AT_FDCWD, "objects", true, &f->objects, err));
	f->hasher = hps_hasher_new(f->proc_fd, f->objects, NULL, &f->gaps);
	f->files = (struct hps_files){ .hasher = f->hasher, .gaps = &f->gaps, .capture = true };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	hps_hasher_free(f->hasher);
	hps_files_release(&f->files);
	hps_objects_free(f->objects);
	close(f->proc_fd);
	if (chdir("/"))
		return -1;
	assert_ok(hps_dir_remove(AT_FDCWD, f->dir, err));
	free(f);
	return 0;
}

static void put(const char *path, const char *text)
{
	assert_ok(hps_file_write(AT_FDCWD, path, 0644, text, strlen(text), err));
}

/* The content of path now, through a descriptor as the supervisor has it. */
static struct hps_content *add(struct fixture *f, const char *path, bool store, bool again)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct hps_content *c;
	struct stat s;

	assert_int_equal(fstat(fd, &s), 0);
	c = hps_hasher_add(f->hasher, fd, &s, store, again, NULL);
	close(fd);
	return c;
}

static void assert_digest(const struct hps_content *c, const char *text)
{
	struct hps_digest d;

	hps_digest_of(text, strlen(text), &d);
	assert_int_equal(atomic_load(&c->state), HPS_CONTENT_DONE);
	assert_true(hps_digest_equal(&d, &c->digest));
}

static void test_contents(void **state)
{
	struct fixture *f = *state;
	struct hps_content *a, *b;

	put("a", "first");
	a = add(f, "a", true, false);
	assert_ptr_equal(add(f, "a", true, false), a);
	assert_ptr_not_equal(add(f, "a", true, true), a);
	hps_hasher_wait(f->hasher, a);
	assert_digest(a, "first");
	assert_true(a->stored && hps_objects_has(f->objects, &a->digest));
	put("a", "second");
	b = add(f, "a", false, false);
	assert_ptr_not_equal(b, a);
	hps_hasher_finish(f->hasher, NULL);
	assert_digest(b, "second");
	assert_false(b->stored);
	assert_true(hps_gaps_none(&f->gaps));
}

/* The barrier lets a writer through only when what was there is hashed. */
static void test_barrier(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *big = hps_alloc((8 << 20) + 1);
	struct hps_content *c;
	struct stat s;
	int fd;

	memset(big, 'x', 8 << 20);
	put("big", big);
	c = add(f, "big", false, false);
	assert_int_equal(stat("big", &s), 0);
	hps_hasher_barrier(f->hasher, s.st_dev, s.st_ino);
	fd = open("big", O_WRONLY | O_TRUNC | O_CLOEXEC);
	close(fd);
	assert_digest(c, big);
}

/* Appended to before it was hashed: said. A name or mode changed before: the content is what it was. */
static void test_changes(void **state)
{
	struct fixture *f = *state;
	struct hps_content *grown, *moved;
	_cleanup_fd_ int fd = -1;
	struct stat s;

	hps_hasher_finish(f->hasher, NULL); /* from here on add() hashes at once: pretend an older look */
	put("grown", "short");
	assert_int_equal(stat("grown", &s), 0);
	fd = open("grown", O_RDWR | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "er", 2), 2);
	grown = hps_hasher_add(f->hasher, fd, &s, true, false, NULL);
	assert_int_equal(atomic_load(&grown->state), HPS_CONTENT_CHANGED);
	assert_false(grown->stored);
	assert_false(hps_gaps_none(&f->gaps));
	put("moved", "content");
	assert_int_equal(stat("moved", &s), 0);
	assert_int_equal(rename("moved", "elsewhere"), 0);
	assert_int_equal(chmod("elsewhere", 0600), 0);
	close(fd);
	fd = open("elsewhere", O_RDONLY | O_CLOEXEC);
	moved = hps_hasher_add(f->hasher, fd, &s, true, false, NULL);
	assert_digest(moved, "content");
}

static void test_sniffing(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *key = hps_format("x\n-----BEGIN EC %s KEY-----\nabc\n-----END EC %s KEY-----\n", "PRIVATE", "PRIVATE");
	struct hps_content *secret, *library, *text;

	put("key", key);
	put("text", "-----BEGIN CERTIFICATE-----");
	secret = add(f, "key", true, false);
	library = add(f, "/lib/x86_64-linux-gnu/libc.so.6", false, false);
	text = add(f, "text", true, false);
	hps_hasher_finish(f->hasher, NULL);
	assert_true(secret->secret && !secret->stored);
	assert_true(library->shared_object && !library->secret);
	assert_true(text->stored && !text->secret && !text->shared_object);
}

static void assert_walk(struct fixture *f, const char *base, const char *name, bool follow, const char *expected)
{
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
	_cleanup_free_ char *full = hps_format("%s%s", f->dir, expected);

	hps_walk(&f->files, base, name, follow, &path);
	assert_string_equal(path.data, *expected == '/' ? full : expected + 1);
}

static void test_walk(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *link = hps_format("%s/dir", f->dir), *file = hps_format("%s/last", f->dir);

	assert_int_equal(mkdir("real", 0755), 0);
	assert_int_equal(mkdir("real/sub", 0755), 0);
	assert_int_equal(symlink("real", "dir"), 0);
	assert_int_equal(symlink("dir/../real/sub/../f", "last"), 0);
	assert_int_equal(symlink("loop", "loop"), 0);
	put("real/f", "f");
	assert_walk(f, f->dir, "dir/f", true, "/real/f");
	assert_walk(f, f->dir, "./dir//sub/../f", true, "/real/f");
	assert_walk(f, f->dir, "last", true, "/real/f");
	assert_walk(f, f->dir, "last", false, "/last");
	assert_walk(f, f->dir, "dir/nothing/here", true, "/real/nothing/here");
	assert_walk(f, "", "../../etc", true, "!/etc");
	assert_walk(f, "", "/", true, "!/");
	assert_walk(f, f->dir, "loop", true, "/loop");
	assert_string_equal(hps_file_rare(hps_files_get(&f->files, link))->target, "real");
	assert_string_equal(hps_file_rare(hps_files_get(&f->files, file))->target, "dir/../real/sub/../f");
}

/* An input below a directory that was moved is an input under its old name. */
static void test_moved_input(void **state)
{
	struct fixture *f = *state;
	struct hps_file *from = hps_files_get(&f->files, "/x/old"), *to = hps_files_get(&f->files, "/x/new"), *made;
	struct stat s;
	int fd;

	put("in", "input");
	fd = open("in", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &s), 0);
	made = hps_files_get(&f->files, "/x/old/made");
	hps_file_change(&f->files, made, -1, NULL);
	hps_file_renamed(&f->files, from, to, true);
	hps_file_use(&f->files, hps_files_get(&f->files, "/x/new/in"), fd, &s, HPS_USE_READ);
	hps_file_use(&f->files, hps_files_get(&f->files, "/x/new/made"), fd, &s, HPS_USE_READ);
	close(fd);
	assert_non_null(hps_files_get(&f->files, "/x/old/in")->first);
	assert_null(hps_files_get(&f->files, "/x/new/in")->first);
	assert_null(hps_files_get(&f->files, "/x/new/made")->first);
	assert_true(hps_files_get(&f->files, "/x/new/made")->product);
	assert_string_equal(hps_file_rare(hps_files_get(&f->files, "/x/new/made"))->from, "/x/old/made");
}

/* A number is a file until the trial removes its last name, or the file system gives it to another one. */
static void test_inodes(void **state)
{
	struct hps_inodes t = { 0 };
	struct hps_inode *first, *made;
	_cleanup_fd_ int fd = -1;
	struct stat s;

	(void)state;
	put("f", "text");
	fd = open("f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &s), 0);
	assert_null(hps_inode_find(&t, s.st_dev, s.st_ino));
	first = hps_inode_get(&t, fd, &s);
	for (ino_t i = 1; i <= 5000; i++) { /* the table grows, and its entries stay where they are */
		struct stat other = s;

		other.st_ino += i;
		assert_int_equal(hps_inode_get(&t, -1, &other)->ino, other.st_ino);
	}
	assert_ptr_equal(hps_inode_get(&t, fd, &s), first);
	hps_inode_written(first, fd);
	assert_ptr_equal(hps_inode_get(&t, fd, &s), first);
	if (first->born) {
		first->born ^= 2; /* as if another file had had the number */
		assert_ptr_not_equal(hps_inode_get(&t, fd, &s), first);
	}
	hps_inode_made(&t, fd, &s);
	made = hps_inode_find(&t, s.st_dev, s.st_ino);
	assert_true(made->made && !made->written);
	hps_inode_gone(&t, &s);
	assert_ptr_not_equal(hps_inode_get(&t, fd, &s), made);
	hps_inodes_release(&t);
}

/* Written under one name and read under another: the input is what it was before, and both are products. */
static void test_links(void **state)
{
	struct fixture *f = *state;
	struct hps_file *a = hps_files_get(&f->files, "/x/a"), *b = hps_files_get(&f->files, "/x/b");
	_cleanup_fd_ int fd = -1;
	struct stat s;

	put("a", "before");
	assert_int_equal(link("a", "b"), 0);
	fd = open("b", O_RDWR | O_CLOEXEC);
	assert_int_equal(fstat(fd, &s), 0);
	hps_file_secure(&f->files, b, fd, &s);
	hps_file_modify(&f->files, b, fd, &s);
	assert_int_equal(write(fd, "after it", 8), 8);
	assert_int_equal(fstat(fd, &s), 0);
	hps_file_use(&f->files, a, fd, &s, HPS_USE_READ);
	hps_hasher_finish(f->hasher, NULL);
	assert_digest(a->first, "before");
	assert_digest(b->first, "before");
	assert_true(a->product && a->existed && b->product && b->existed);
	assert_int_equal(a->uses, HPS_USE_READ);
	assert_int_equal(a->size, 6);
	hps_links_find(&f->files);
	assert_string_equal(hps_file_rare(b)->link, "/x/a");
	assert_null(hps_file_rare(a)->link);
}

/* A file with one executable segment, and the instruction at each place around the ends of blocks and segment. */
static void test_opcodes(void **state)
{
	enum { SIZE = 300, START = 200, END = 280 };
	Elf64_Ehdr e = { .e_ident = ELFMAG, .e_machine = EM_X86_64, .e_phoff = sizeof e, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1 };
	Elf64_Phdr p = { .p_type = PT_LOAD, .p_flags = PF_X, .p_offset = START, .p_filesz = END - START };

	(void)state;
	e.e_ident[EI_CLASS] = ELFCLASS64;
	for (size_t at = START - 4; at < END + 2; at++)
		for (size_t step = 1; step <= SIZE - 64; step = step * 2 + 1) {
			_cleanup_fd_ int fd = memfd_create("elf", MFD_CLOEXEC);
			struct hps_opcodes *o;
			char text[SIZE] = { 0 };

			memcpy(text, &e, sizeof e);
			memcpy(text + sizeof e, &p, sizeof p);
			memcpy(text + at, "\x0f\xc7\xf1", 3);
			assert_int_equal(write(fd, text, SIZE), SIZE);
			o = hps_opcodes_new(fd, text, 64);
			assert_non_null(o);
			for (size_t done = 0, n; done < SIZE; done += n) {
				n = SIZE - done < step ? SIZE - done : step;
				hps_opcodes_block(o, text + done, n, done);
			}
			assert_int_equal(hps_opcodes_end(o), at >= START && at + 3 <= END);
		}
	assert_null(hps_opcodes_new(-1, "text", 4));
}

static void test_cache(void **state)
{
	struct fixture *f = *state;
	struct hps_cache *cache;
	struct hps_cached c = { 0 }, found = { 0 };
	struct hps_identity id;
	struct stat s;
	int fd;
	bool hit = false;

	assert_int_equal(setenv("XDG_CACHE_HOME", f->dir, 1), 0);
	put("young", "text");
	fd = open("young", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &s), 0);
	hps_identity_of(&s, &id);
	hps_digest_of("text", 4, &c.digest);
	cache = hps_cache_open();
	hps_cache_put(cache, fd, &id, &c); /* too young: not taken */
	hps_cache_save(cache);
	hps_cache_free(cache);
	assert_int_equal(access("hps/digests", F_OK), -1);
	close(fd);

	fd = open("/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &s), 0);
	hps_identity_of(&s, &id);
	cache = hps_cache_open();
	hps_cache_put(cache, fd, &id, &c);
	hps_cache_save(cache);
	hps_cache_free(cache);
	if (access("hps/digests", F_OK) == 0) { /* a file system that is trusted */
		assert_int_equal(rename("hps/digests", "hps/kept"), 0);
		assert_int_equal(link("hps/kept", "hps/digests"), 0);
		cache = hps_cache_open();
		hps_cache_put(cache, fd, &id, &c); /* of the sample, and as it was */
		hps_cache_save(cache);
		hps_cache_free(cache);
		assert_true(stat("hps/digests", &s) == 0 && s.st_nlink == 2); /* not written anew */
		cache = hps_cache_open();
		c.draws = true;
		hps_cache_put(cache, fd, &id, &c);
		hps_cache_save(cache);
		hps_cache_free(cache);
		assert_true(stat("hps/digests", &s) == 0 && s.st_nlink == 1);
		cache = hps_cache_open();
		for (int i = 0; i < 20 && !hit; i++) /* some hits are hashed again on purpose */
			hit = hps_cache_get(cache, fd, &id, &found);
		assert_true(hit && hps_digest_equal(&found.digest, &c.digest));
		id.ctime_ns++;
		assert_false(hps_cache_get(cache, fd, &id, &found));
		hps_cache_free(cache);
		assert_int_equal(chmod("hps/digests", 0666), 0);
		id.ctime_ns--;
		cache = hps_cache_open(); /* others could have written it */
		for (int i = 0; i < 20; i++)
			assert_false(hps_cache_get(cache, fd, &id, &found));
		hps_cache_free(cache);
	}
	close(fd);
	assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
}

/* 20 times: some hits are hashed again on purpose. */
static bool is_known(const char *list, size_t len, struct hps_cache *cache, const struct stat *shown)
{
	struct hps_layers *l = NULL;
	struct hps_cached found;
	bool known = false;

	assert_ok(hps_file_write(AT_FDCWD, "list", 0600, list, len, err));
	assert_ok(hps_layers_load("list", &l, err));
	for (int i = 0; i < 20 && !known; i++)
		known = hps_layers_known(l, cache, "/usr/lib/x86_64-linux-gnu/libc.so.6", shown, &found);
	hps_layers_free(l);
	return known;
}

/* A rerun's view shows the system's files on a file system that the cache does not believe: the digests of those that hps-replay names come
 * from the files themselves, and only when all that it says is still so. */
static void test_layers(void **state)
{
	struct fixture *f = *state;
	struct hps_cache *cache;
	struct hps_cached c = { 0 };
	struct hps_layers *l = NULL;
	struct hps_identity id;
	struct stat shown, other;
	char hex[HPS_DIGEST_HEX], list[256];
	int fd = open("/usr/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY | O_CLOEXEC), n;

	assert_int_equal(setenv("XDG_CACHE_HOME", f->dir, 1), 0);
	assert_int_equal(fstat(fd, &shown), 0);
	hps_identity_of(&shown, &id);
	hps_digest_of("text", 4, &c.digest);
	hps_digest_hex(&c.digest, hex);
	cache = hps_cache_open();
	hps_cache_put(cache, fd, &id, &c);
	hps_cache_save(cache);
	hps_cache_free(cache);
	close(fd);
	cache = hps_cache_open();
	if (access("hps/digests", F_OK) == 0) { /* a file system that is trusted */
		n = snprintf(list, sizeof list, "%lld%c%s /usr/lib/x86_64-linux-gnu/libc.so.6", (long long)id.ctime_ns, 0, hex) + 1;
		assert_true(is_known(list, (size_t)n, cache, &shown));
		other = shown;
		other.st_ctim.tv_sec++; /* the trial has changed it since */
		assert_false(is_known(list, (size_t)n, cache, &other));
		other = shown;
		other.st_size++;
		assert_false(is_known(list, (size_t)n, cache, &other));
		list[n - 2] = '5'; /* another name */
		assert_false(is_known(list, (size_t)n, cache, &shown));
		hex[0] = hex[0] == '0' ? '1' : '0';
		n = snprintf(list, sizeof list, "%lld%c%s /usr/lib/x86_64-linux-gnu/libc.so.6", (long long)id.ctime_ns, 0, hex) + 1;
		assert_false(is_known(list, (size_t)n, cache, &shown)); /* the view shows another content */
	}
	put("list", "1");
	assert_fails(HPS_E_FORMAT, hps_layers_load("list", &l, err)); /* no NUL */
	n = snprintf(list, sizeof list, "1%c%s /etc/passwd", 0, hex) + 1;
	assert_ok(hps_file_write(AT_FDCWD, "list", 0600, list, (size_t)n, err));
	assert_fails(HPS_E_FORMAT, hps_layers_load("list", &l, err));
	n = snprintf(list, sizeof list, "1%c%.20s", 0, hex) + 1;
	assert_ok(hps_file_write(AT_FDCWD, "list", 0600, list, (size_t)n, err));
	assert_fails(HPS_E_FORMAT, hps_layers_load("list", &l, err));
	hps_cache_free(cache);
	assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
}

static bool conditional(const struct hps_syscall *row)
{
	return row->mask || row->differs;
}

static void assert_told(const struct hps_touched *t, const char *path, const char *text, const char *md5)
{
	const struct hps_owner *o = hps_map_get(&t->owners, path);
	struct hps_digest d;
	char hex[33];

	assert_non_null(o);
	hps_digest_of(text, strlen(text), &d);
	assert_true(o->hashed && hps_digest_equal(&o->content, &d));
	assert_int_equal(o->summed, md5 != NULL);
	hps_hex(hex, o->md5, sizeof o->md5);
	assert_string_equal(hex, md5 ? md5 : "00000000000000000000000000000000");
}

/* What is hashed is told with its MD5 where packages put files; what is known already, or a look again, is no news. */
static void test_news(void **state)
{
	struct fixture *f = *state;
	const struct hps_told system = { HPS_NEWS_SYSTEM, "/usr/lib/a" }, other = { HPS_NEWS_OTHER, "/home/b" };
	_cleanup_buf_ struct hps_buf rest = HPS_BUF_INIT;
	struct hps_touched t = { 0 };
	struct hps_news news;
	int ends[2], a, b;
	struct stat s;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	hps_news_init(&news, ends[0]);
	hps_hasher_tell(f->hasher, &news);
	put("a", "content");
	put("b", "Hello World");
	a = open("a", O_RDONLY | O_CLOEXEC);
	b = open("b", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(a, &s), 0);
	(void)hps_hasher_add(f->hasher, a, &s, HPS_KEEP_DIGEST, false, &system);
	(void)hps_hasher_add(f->hasher, a, &s, HPS_KEEP_DIGEST, true, NULL);
	assert_int_equal(fstat(b, &s), 0);
	(void)hps_hasher_add(f->hasher, b, &s, HPS_KEEP_DIGEST, false, &other);
	hps_news_program(&news, "/usr/bin/python3");
	hps_hasher_finish(f->hasher, NULL);
	hps_hasher_tell(f->hasher, NULL);
	assert_true(hps_news_receive(ends[1], &rest, &t));
	assert_int_equal(t.owners.n, 2);
	assert_told(&t, "/usr/lib/a", "content", "9a0364b9e99bb480dd25e1f0284c8555");
	assert_told(&t, "/home/b", "Hello World", NULL);
	assert_int_equal(t.programs.n, 1);
	close(a);
	close(b);
	close(ends[0]);
	assert_false(hps_news_receive(ends[1], &rest, &t)); /* no more will come */
	close(ends[1]);
	hps_news_release(&news);
	hps_touched_release(&t);
}

/* Nobody takes it: telling returns all the same, what is kept has an end, and what arrives are whole records. */
static void test_news_that_nobody_takes(void **state)
{
	_cleanup_buf_ struct hps_buf rest = HPS_BUF_INIT;
	struct hps_touched t = { 0 };
	struct hps_digest d;
	struct hps_news news;
	int ends[2];

	(void)state;
	hps_digest_of("content", 7, &d);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	hps_news_init(&news, ends[0]);
	for (int i = 0; i < 60000; i++) {
		char path[64];

		snprintf(path, sizeof path, "/usr/lib/file%d", i);
		hps_news_file(&news, HPS_NEWS_SYSTEM, path, &d, (const uint8_t *)"0123456789abcdef");
	}
	assert_true(news.text.len <= HPS_NEWS_MAX && news.text.full);
	hps_news_send(&news, 0);
	while (news.text.len || news.sending.len) {
		hps_news_send(&news, 0);
		assert_true(hps_news_receive(ends[1], &rest, &t));
	}
	assert_int_equal(rest.len, 0);
	assert_in_range(t.owners.n, 30000, 59999);
	assert_told(&t, "/usr/lib/file7", "content", "30313233343536373839616263646566");
	close(ends[0]);
	close(ends[1]);
	hps_news_release(&news);
	hps_touched_release(&t);
}

static void *send_news(void *arg)
{
	hps_news_send(arg, 20000);
	return NULL;
}

/* Whoever tells must not wait for whoever sends, who may wait or be starved. (It held the lock meanwhile.) */
static void test_news_while_somebody_sends(void **state)
{
	char path[3000] = "/usr/lib/";
	struct hps_news news;
	int64_t begin_ns;
	pthread_t sender;
	int ends[2];

	(void)state;
	memset(path + strlen(path), 'x', sizeof path - strlen(path) - 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	hps_news_init(&news, ends[0]);
	for (int i = 0; i < 1000; i++)
		hps_news_program(&news, path);
	assert_int_equal(pthread_create(&sender, NULL, send_news, &news), 0);
	usleep(200000);
	begin_ns = hps_time_monotonic_ns();
	hps_news_program(&news, path);
	assert_true(hps_time_monotonic_ns() - begin_ns < 10000000000ll);
	close(ends[1]);
	pthread_join(sender, NULL);
	close(ends[0]);
	hps_news_release(&news);
}

/* Each row names its call, and rows of one call share their function. */
static void test_calls(void **state)
{
	(void)state;
	for (size_t i = 0; i < hps_n_syscalls; i++) {
		const struct hps_syscall *row = &hps_syscalls[i];

		int known = seccomp_syscall_resolve_name(row->name);

		assert_true(known == row->nr || (known == __NR_SCMP_ERROR && row->nr > 448)); /* younger than the library */
		assert_true((row->act != NULL) != (row->error != 0));
		for (size_t j = 0; j < i; j++)
			assert_true(hps_syscalls[j].nr != row->nr || (hps_syscalls[j].act == row->act && conditional(row) && conditional(&hps_syscalls[j])));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_contents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_barrier, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sniffing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_walk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inodes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test(test_opcodes),
		cmocka_unit_test_setup_teardown(test_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_news, setup, teardown),
		cmocka_unit_test(test_news_that_nobody_takes), cmocka_unit_test(test_news_while_somebody_sends),
		cmocka_unit_test(test_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
