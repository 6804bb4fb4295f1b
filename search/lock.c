/* The locks of a study. flock() belongs to the open description, so it lives exactly as long as some process holds the descriptor:
 * a runner killed at any instant leaves the trials' lock with the recorders that it started, and with nobody else. */
#include "search/search.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PID_TEXT_MAX 32

/* A study's name may be any text when it comes from a ledger: the file is named by its hash. */
static int open_lock(const char *ledger, const char *study, const char *suffix, int *ret_fd, struct hps_error *err)
{
	_cleanup_free_ char *folder = hps_format("%s/studies", ledger), *path = NULL;
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;
	int r = hps_dir_make(AT_FDCWD, folder, 0700, err);

	if (r)
		return r;
	hps_digest_of(study, strlen(study), &d);
	hps_digest_hex(&d, hex);
	path = hps_format("%s/%.16s.%s", folder, hex, suffix);
	*ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *ret_fd < 0 ? hps_error_errno(err, "opening the lock '%s'", path) : 0;
}

/* 0, 1 when another holds it, or a negative code. */
static int try_lock(int fd, struct hps_error *err)
{
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return 1;
		if (errno != EINTR)
			return hps_error_errno(err, "locking the study");
	}
	return 0;
}

/* So that whoever is refused can be told by whom; for people only, never believed. */
static void sign(int fd)
{
	_cleanup_free_ char *text = hps_format("%ld\n", (long)getpid());

	if (ftruncate(fd, 0) || pwrite(fd, text, strlen(text), 0) < 0)
		return;
}

static int busy(int fd, const char *study, struct hps_error *err)
{
	char text[PID_TEXT_MAX] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	uint64_t pid;

	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	if (n <= 0 || hps_parse_u64(text, INT32_MAX, &pid))
		return hps_error_set(err, HPS_E_UNDECIDED, "study '%s' is being run already: 'hps-search status %s' shows it", study, study);
	return hps_error_set(err, HPS_E_UNDECIDED, "study '%s' is being run already, by process %s: 'hps-search status %s' shows it", study, text,
			     study);
}

int hps_study_lock_take(const char *ledger, const char *study, struct hps_study_lock *ret, struct hps_error *err)
{
	struct hps_study_lock lock = HPS_STUDY_LOCK_INIT;
	int r = open_lock(ledger, study, "runner", &lock.runner_fd, err);

	if (!r)
		r = try_lock(lock.runner_fd, err);
	if (r == 1)
		r = busy(lock.runner_fd, study, err);
	if (!r) {
		sign(lock.runner_fd);
		r = open_lock(ledger, study, "lock", &lock.trials_fd, err);
	}
	if (r)
		hps_study_lock_release(&lock);
	*ret = lock;
	return r;
}

int hps_study_lock_trials(struct hps_study_lock *lock, struct hps_error *err)
{
	return try_lock(lock->trials_fd, err);
}

void hps_study_lock_release(struct hps_study_lock *lock)
{
	hps_cleanup_fd(&lock->runner_fd);
	hps_cleanup_fd(&lock->trials_fd);
	*lock = (struct hps_study_lock)HPS_STUDY_LOCK_INIT;
}
