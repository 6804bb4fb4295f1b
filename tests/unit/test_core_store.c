/* Hashes, keys, files and the content store, on a real file system. */
#include "tests/unit/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the library asked the kernel for: f: fsync of a file, d: of a directory, r: rename. */
static char asked[16];

static void ask(char what)
{
	size_t n = strlen(asked);

	if (n + 1 < sizeof asked)
		asked[n] = what;
}

int fsync(int fd)
{
	struct stat s;

	ask(fstat(fd, &s) == 0 && S_ISDIR(s.st_mode) ? 'd' : 'f');
	return (int)syscall(SYS_fsync, fd);
}

int renameat(int old_dir, const char *old, int new_dir, const char *new)
{
	ask('r');
	return (int)syscall(SYS_renameat2, old_dir, old, new_dir, new, 0);
}

static void hex_of(const struct hps_digest *d, const char *want)
{
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(d, hex);
	assert_string_equal(hex, want);
}

/* FIPS 180-2, appendix B; RFC 4231, test case 2. */
static void test_hashes(void **state)
{
	struct hps_digest d;

	(void)state;
	hps_digest_of("abc", 3, &d);
	hex_of(&d, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hps_hmac("Jefe", 4, "what do ya want for nothing?", 28, &d);
	hex_of(&d, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_int_equal(hps_digest_parse("BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", &d), -EINVAL);
	assert_int_equal(hps_digest_parse("ba78", &d), -EINVAL);
}

static void round_trip(enum hps_key_type type, const char *passphrase)
{
	_cleanup_key_ struct hps_key *key = NULL, *back = NULL, *public_key = NULL;
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT, sig = HPS_BUF_INIT;
	struct stat s;

	assert_ok(hps_key_generate(type, &key, err));
	assert_ok(hps_key_save(key, AT_FDCWD, "key.pem", passphrase, err));
	assert_int_equal(stat("key.pem", &s), 0);
	assert_int_equal(s.st_mode & 07777, 0600);
	assert_ok(hps_key_load(AT_FDCWD, "key.pem", passphrase, &back, err));
	hps_key_spki(back, &spki);
	assert_ok(hps_key_from_spki(spki.data, spki.len, &public_key, err));
	assert_ok(hps_key_sign(back, "text", 4, &sig, err));
	assert_ok(hps_key_verify(public_key, "text", 4, sig.data, sig.len, err));
	assert_fails(HPS_E_SIGNATURE, hps_key_verify(public_key, "texT", 4, sig.data, sig.len, err));
	sig.data[sig.len / 2] ^= 1;
	assert_fails(HPS_E_SIGNATURE, hps_key_verify(public_key, "text", 4, sig.data, sig.len, err));
	assert_fails(HPS_E_SIGNATURE, hps_key_verify(public_key, "text", 4, "", 0, err));
}

/* RFC 8439, appendix A.1, vectors 1 and 2: the key stream of an all-zero key, blocks 0 and 1. */
static void test_stream(void **state)
{
	static const char expected[] = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
				       "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
				       "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
				       "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f";
	const uint8_t key[32] = { 0 };
	uint8_t stream[128];
	char hex[2 * sizeof stream + 1];

	(void)state;
	hps_stream(key, 0, stream, sizeof stream);
	hps_hex(hex, stream, sizeof stream);
	assert_string_equal(hex, expected);
	hps_stream(key, 60, stream, 9);
	hps_hex(hex, stream, 9);
	assert_memory_equal(hex, expected + 120, 18);
}

static void test_keys(void **state)
{
	struct hps_key *key = NULL;

	(void)state;
	round_trip(HPS_KEY_ED25519, NULL);
	round_trip(HPS_KEY_P256, NULL);
	round_trip(HPS_KEY_P256, "correct horse");
	assert_fails(HPS_E_DENIED, hps_key_load(AT_FDCWD, "key.pem", NULL, &key, err));
	assert_fails(HPS_E_DENIED, hps_key_load(AT_FDCWD, "key.pem", "wrong", &key, err));
	assert_int_equal(chmod("key.pem", 0640), 0);
	assert_fails(HPS_E_DENIED, hps_key_load(AT_FDCWD, "key.pem", "correct horse", &key, err));
	assert_ok(hps_file_write(AT_FDCWD, "not.pem", 0600, "hello", 5, err));
	assert_fails(HPS_E_FORMAT, hps_key_load(AT_FDCWD, "not.pem", NULL, &key, err));
	assert_null(key);
}

/* A key that openssl made, of a kind that is not ours. */
static void test_other_keys_are_refused(void **state)
{
	const char *const argv[] = { "openssl", "genpkey", "-algorithm", "RSA", "-out", "rsa.pem", NULL };
	struct hps_run run = { .argv = argv, .quiet = true };
	struct hps_key *key = NULL;
	int status;

	(void)state;
	assert_ok(hps_run(&run, NULL, &status, err));
	assert_int_equal(status, 0);
	{
		_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

		assert_ok(hps_file_write(AT_FDCWD, "cut.pem", 0600, "-----BEGIN PRIVATE KEY-----\nMC4C", 32, err));
		assert_int_equal(hps_key_load(AT_FDCWD, "cut.pem", NULL, &key, &e), HPS_E_FORMAT);
		assert_string_equal(e.message, "opening the key 'cut.pem': there is no whole private key in it (PEM, PKCS#8); put back a copy, nothing else makes it again");
	}
	assert_int_equal(chmod("rsa.pem", 0600), 0);
	assert_fails(HPS_E_FORMAT, hps_key_load(AT_FDCWD, "rsa.pem", NULL, &key, err));
}

static void test_files(void **state)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	struct stat s;

	(void)state;
	assert_ok(hps_dir_make(AT_FDCWD, "a/b/c", 0700, err));
	assert_ok(hps_dir_make(AT_FDCWD, "a/b/c", 0700, err));
	memset(asked, 0, sizeof asked);
	assert_ok(hps_file_write(AT_FDCWD, "a/b/c/f", 0640, "one", 3, err));
	assert_string_equal(asked, "frd"); /* its bytes, then its name, then that name's directory */
	assert_ok(hps_file_write(AT_FDCWD, "a/b/c/f", 0640, "three", 5, err));
	assert_ok(hps_file_read(AT_FDCWD, "a/b/c/f", 5, &b, err));
	assert_string_equal(b.data, "three");
	assert_int_equal(stat("a/b/c/f", &s), 0);
	assert_int_equal(s.st_mode & 07777, 0640);
	hps_buf_reset(&b);
	assert_fails(HPS_E_LIMIT, hps_file_read(AT_FDCWD, "a/b/c/f", 4, &b, err));
	assert_fails(-ENOENT, hps_file_write(AT_FDCWD, "a/x/f", 0600, "", 0, err));
	assert_int_equal(symlink("f", "a/b/c/l"), 0);
	assert_ok(hps_file_output("a/b/c/l", 0640, "four", 4, err));
	hps_buf_reset(&b);
	assert_ok(hps_file_read(AT_FDCWD, "a/b/c/f", 5, &b, err));
	assert_string_equal(b.data, "four");
	assert_int_equal(lstat("a/b/c/l", &s), 0);
	assert_true(S_ISLNK(s.st_mode));
	assert_fails(-ENOSPC, hps_file_output("/dev/full", 0640, "four", 4, err));
	assert_fails(-EISDIR, hps_file_output("a/b", 0640, "four", 4, err));
	assert_fails(-ENOTDIR, hps_dir_make(AT_FDCWD, "a/b/c/f", 0700, err));
	assert_int_equal(symlink("/etc", "a/link"), 0);
	assert_ok(hps_dir_remove(AT_FDCWD, "a", err));
	assert_int_equal(access("a", F_OK), -1);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void test_objects(void **state)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	_cleanup_fd_ int fd = -1;
	struct hps_digest d, other;
	struct hps_objects *o = NULL;
	char hex[HPS_DIGEST_HEX];
	_cleanup_free_ char *path = NULL;
	uint64_t bytes = 0;

	(void)state;
	assert_fails(HPS_E_NOTFOUND, hps_objects_open(AT_FDCWD, "store", false, &o, err));
	assert_ok(hps_objects_open(AT_FDCWD, "store", true, &o, err));
	assert_ok(hps_objects_put(o, "hello", 5, &d, err));
	assert_ok(hps_objects_put(o, "hello", 5, &d, err));
	assert_true(hps_objects_has(o, &d));
	assert_ok(hps_objects_get(o, &d, 100, &b, err));
	assert_string_equal(b.data, "hello");

	assert_ok(hps_file_write(AT_FDCWD, "f", 0600, "world", 5, err));
	fd = open("f", O_RDONLY | O_CLOEXEC);
	assert_fails(HPS_E_DAMAGED, hps_objects_put_fd(o, fd, (hps_digest_of("x", 1, &other), &other), NULL, NULL, err));
	assert_false(hps_objects_has(o, &other));
	assert_ok(hps_objects_put_fd(o, fd, NULL, &other, &bytes, err));
	assert_int_equal(bytes, 5);
	assert_ok(hps_objects_sync(o, err));

	/* One flipped bit in a stored object is noticed by every way of reading it. */
	hps_digest_hex(&d, hex);
	path = hps_format("store/%.2s/%s", hex, hex + 2);
	assert_int_equal(chmod(path, 0600), 0);
	assert_ok(hps_file_write(AT_FDCWD, path, 0444, "hellp", 5, err));
	hps_buf_reset(&b);
	assert_fails(HPS_E_DAMAGED, hps_objects_get(o, &d, 100, &b, err));
	close(hps_take_fd(&fd));
	assert_fails(HPS_E_DAMAGED, hps_objects_open_fd(o, &d, &fd, NULL, err));
	assert_fails(HPS_E_NOTFOUND, hps_objects_get(o, (hps_digest_of("y", 1, &other), &other), 100, &b, err));
	hps_objects_free(o);
}

static void test_run(void **state)
{
	const char *const echo[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL }, *const sleeper[] = { "sleep", "10", NULL }, *const none[] = { "hps-no-such-program", NULL };
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	struct hps_run run = { .argv = echo, .max_output = 100, .quiet = true };
	const char *const said[] = { "sh", "-c", "exec sleep 10", NULL };
	int64_t started;
	int status = -1, stop[2];

	(void)state;
	assert_ok(hps_run(&run, &out, &status, err));
	assert_string_equal(out.data, "out\n");
	assert_int_equal(WEXITSTATUS(status), 3);
	run = (struct hps_run){ .argv = sleeper, .timeout_ns = 100000000 };
	started = hps_time_monotonic_ns();
	assert_fails(-ETIMEDOUT, hps_run(&run, NULL, &status, err));
	assert_true(hps_time_monotonic_ns() - started < 5000000000);
	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	assert_int_equal(write(stop[1], "!", 1), 1);
	run = (struct hps_run){ .argv = said, .max_output = 100, .stop_fd = stop[0] };
	hps_buf_reset(&out);
	started = hps_time_monotonic_ns();
	assert_fails(-ETIMEDOUT, hps_run(&run, &out, &status, err)); /* somebody says that time is up */
	assert_true(hps_time_monotonic_ns() - started < 5000000000);
	close(stop[0]);
	close(stop[1]);
	run = (struct hps_run){ .argv = none };
	assert_fails(-ENOENT, hps_run(&run, NULL, &status, err));
}

/* Its number is another file's soon; a second clean-up closed that: a server lost its connections by it. */
static void test_a_closed_descriptor_is_forgotten(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), other;

	(void)state;
	hps_cleanup_fd(&fd);
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	hps_cleanup_fd(&fd);
	assert_int_equal(fcntl(other, F_GETFD), FD_CLOEXEC);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashes), cmocka_unit_test(test_stream), cmocka_unit_test(test_keys),    cmocka_unit_test(test_other_keys_are_refused),
		cmocka_unit_test(test_files),  cmocka_unit_test(test_objects), cmocka_unit_test(test_run),
		cmocka_unit_test(test_a_closed_descriptor_is_forgotten),
	};

	return cmocka_run_group_tests_name("core_store", tests, make_folder, remove_folder);
}
