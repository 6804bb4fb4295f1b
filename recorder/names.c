/* Calls that change names are made by us, relative to the program's own directories, and answered with their result: what is
 * recorded is what was done. Under another root or other rights the program makes them itself (foreign.c). */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A name, and what is there now. */
struct place {
	struct hps_target target;
	struct hps_buf path; /* real path of the directory, and the last name */
	struct stat st;
	bool exists;
	int fd;	      /* O_PATH on a file that exists, or -1: it keeps the content for hashing whatever happens to the name */
	char *link;   /* target of a symlink */
};

/* One call, and the one or two names that it changes. */
struct change {
	struct hps_supervisor *s;
	struct hps_call *c;
	struct place at[2];
	size_t n;
};

static char *read_link(int base, const char *path)
{
	char target[HPS_PATH_CAP];
	ssize_t n = readlinkat(base, path, target, sizeof target - 1);

	return n > 0 ? hps_strndup(target, (size_t)n) : NULL;
}

/* 0, or the error that answers the call. */
static int place_get(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, struct place *ret)
{
	int r = hps_target_get(s, c, dirfd, at, &ret->target);

	ret->fd = -1;
	ret->link = NULL;
	ret->exists = false;
	hps_buf_init(&ret->path, 2 * HPS_PATH_CAP);
	if (r)
		return r;
	hps_target_walk(s, &ret->target, false, &ret->path);
	ret->exists = !fstatat(ret->target.base, ret->target.path, &ret->st, AT_SYMLINK_NOFOLLOW);
	if (ret->exists && S_ISREG(ret->st.st_mode)) {
		ret->fd = openat(ret->target.base, ret->target.path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (ret->fd < 0)
			hps_gap_note(s->gaps, HPS_GAP_UNREADABLE);
		hps_file_secure(s->files, hps_files_get(s->files, ret->path.data), ret->fd, &ret->st);
	} else if (ret->exists && S_ISLNK(ret->st.st_mode)) {
		ret->link = read_link(ret->target.base, ret->target.path);
	}
	return 0;
}

static void place_release(struct place *p)
{
	hps_target_release(&p->target);
	hps_buf_release(&p->path);
	if (p->fd >= 0)
		close(p->fd);
	free(p->link);
}

static void answer(struct hps_supervisor *s, struct hps_call *c, int result, int error)
{
	if (result && c->t->opaque && error == EPERM)
		hps_answer_continue(s, c);
	else if (result && hps_answer_exhausted(s, c, error))
		return;
	else if (result)
		hps_answer_error(s, c, error);
	else
		hps_answer_value(s, c, 0);
}

/* Answers with the result of the call that was made. */
static void end(struct change *ch, int result)
{
	int error = errno;

	for (size_t i = 0; i < ch->n; i++)
		place_release(&ch->at[i]);
	answer(ch->s, ch->c, result, error);
}

/* Adds one more name; false: the call is answered. */
static bool add_place(struct change *ch, int dirfd, uint64_t at)
{
	int r = place_get(ch->s, ch->c, dirfd, at, &ch->at[ch->n++]);

	if (!r)
		return true;
	errno = -r;
	end(ch, -1);
	return false;
}

/* Looks at the name; false: the program makes the call itself, or it is answered. */
static bool begin(struct change *ch, struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at)
{
	ch->s = s;
	ch->c = c;
	ch->n = 0;
	if (c->t->foreign) {
		hps_foreign_change(s, c, dirfd, at);
		return false;
	}
	hps_tracees_settle(s, c->t);
	return add_place(ch, dirfd, at);
}

static bool begin_two(struct change *ch, struct hps_supervisor *s, struct hps_call *c, int from_fd, uint64_t from, int to_fd, uint64_t to)
{
	return begin(ch, s, c, from_fd, from) && add_place(ch, to_fd, to);
}

/* Notes that what was there is gone or replaced. */
static struct hps_file *note_change(struct hps_supervisor *s, struct place *p)
{
	struct hps_file *file = hps_files_get(s->files, p->path.data);

	if (p->link && !hps_file_rare(file)->target && !file->product)
		hps_file_rare_make(file)->target = hps_strdup(p->link);
	hps_file_change(s->files, file, p->fd, p->exists ? &p->st : NULL);
	if (p->link)
		hps_files_forget_names(s->files);
	return file;
}

/* ---- rename ---- */

static bool is_directory(const struct place *p)
{
	return p->exists && S_ISDIR(p->st.st_mode);
}

static void note_rename(struct hps_supervisor *s, struct place *from, struct place *to, bool exchange)
{
	struct hps_file *a = note_change(s, from), *b = note_change(s, to);

	if (exchange) {
		hps_file_exchanged(s->files, a, b, is_directory(from), is_directory(to));
	} else {
		if (to->exists)
			hps_file_removed(s->files, b, &to->st);
		hps_file_renamed(s->files, a, b, is_directory(from));
	}
	if (is_directory(from) || (exchange && is_directory(to))) /* directories of processes may be below it */
		for (size_t i = 0; i < s->tracees.n; i++)
			if (s->tracees.items[i])
				hps_tracee_forget_cwd(s->tracees.items[i]);
	hps_file_forget_now(a);
	hps_file_forget_now(b);
	if (from->link)
		hps_files_forget_names(s->files);
}

static void rename_any(struct hps_supervisor *s, struct hps_call *c, int from_fd, uint64_t from_at, int to_fd, uint64_t to_at, unsigned flags)
{
	struct change ch;
	struct place *from = &ch.at[0], *to = &ch.at[1];
	int r;

	if (c->t->foreign) {
		hps_foreign_rename(s, c, from_fd, from_at, to_fd, to_at);
		return;
	}
	if (!begin_two(&ch, s, c, from_fd, from_at, to_fd, to_at))
		return;
	r = (int)syscall(SYS_renameat2, from->target.base, from->target.path, to->target.base, to->target.path, flags);
	/* Two names of one file: nothing happens (rename(2)). */
	if (!r && !(to->exists && to->st.st_ino == from->st.st_ino && to->st.st_dev == from->st.st_dev))
		note_rename(s, from, to, flags & 2);
	end(&ch, r);
}

void hps_act_rename(struct hps_supervisor *s, struct hps_call *c)
{
	rename_any(s, c, AT_FDCWD, c->args[0], AT_FDCWD, c->args[1], 0);
}

void hps_act_renameat(struct hps_supervisor *s, struct hps_call *c)
{
	rename_any(s, c, (int)c->args[0], c->args[1], (int)c->args[2], c->args[3],
		   c->n->data.nr == SYS_renameat2 ? (unsigned)c->args[4] : 0);
}

/* ---- unlink, rmdir ---- */

static void remove_any(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, int flags)
{
	struct change ch;
	struct place *p = &ch.at[0];
	int r;

	if (!begin(&ch, s, c, dirfd, at))
		return;
	r = unlinkat(p->target.base, p->target.path, flags);
	if (!r)
		hps_file_removed(s->files, note_change(s, p), &p->st);
	end(&ch, r);
}

void hps_act_unlink(struct hps_supervisor *s, struct hps_call *c)
{
	remove_any(s, c, AT_FDCWD, c->args[0], 0);
}

void hps_act_unlinkat(struct hps_supervisor *s, struct hps_call *c)
{
	remove_any(s, c, (int)c->args[0], c->args[1], (int)c->args[2]);
}

void hps_act_rmdir(struct hps_supervisor *s, struct hps_call *c)
{
	remove_any(s, c, AT_FDCWD, c->args[0], AT_REMOVEDIR);
}

/* ---- mkdir, mknod ---- */

static void note_made(struct hps_supervisor *s, struct place *p)
{
	_cleanup_fd_ int fd = openat(p->target.base, p->target.path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct hps_file *file = note_change(s, p);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0)
		hps_file_made(s->files, file, fd, &st);
}

static void make_any(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, mode_t mode, bool directory, dev_t dev)
{
	struct change ch;
	struct place *p = &ch.at[0];
	int r, mask = hps_tracee_umask(c->t);

	if (!begin(&ch, s, c, dirfd, at))
		return;
	umask((mode_t)mask);
	s->current_umask = mask;
	r = directory ? mkdirat(p->target.base, p->target.path, mode) : mknodat(p->target.base, p->target.path, mode, dev);
	if (!r)
		note_made(s, p);
	else if (directory && errno == EEXIST && !hps_files_made(s->files, p->path.data)) /* a rerun must find it, too */
		hps_files_miss(s->files, p->path.data, EEXIST);
	end(&ch, r);
}

void hps_act_mkdir(struct hps_supervisor *s, struct hps_call *c)
{
	make_any(s, c, AT_FDCWD, c->args[0], (mode_t)c->args[1], true, 0);
}

void hps_act_mkdirat(struct hps_supervisor *s, struct hps_call *c)
{
	make_any(s, c, (int)c->args[0], c->args[1], (mode_t)c->args[2], true, 0);
}

void hps_act_mknod(struct hps_supervisor *s, struct hps_call *c)
{
	make_any(s, c, AT_FDCWD, c->args[0], (mode_t)c->args[1], false, c->args[2]);
}

void hps_act_mknodat(struct hps_supervisor *s, struct hps_call *c)
{
	make_any(s, c, (int)c->args[0], c->args[1], (mode_t)c->args[2], false, c->args[3]);
}

void hps_act_bind_path(struct hps_supervisor *s, struct hps_call *c, uint64_t at)
{
	struct place p;

	if (c->t->foreign) {
		hps_foreign_name(s, c, AT_FDCWD, at);
		return;
	}
	hps_tracees_settle(s, c->t);
	if (!place_get(s, c, AT_FDCWD, at, &p) && !p.exists)
		note_change(s, &p);
	place_release(&p);
}

/* ---- link, symlink ---- */

/* The file that gets another name: O_PATH, or -1. */
static int open_source(struct change *ch, int dirfd, int flags)
{
	const struct hps_target *t = &ch->at[0].target;
	char own[32];

	if (!(flags & AT_EMPTY_PATH) || t->len)
		return openat(t->base, t->path, O_PATH | O_CLOEXEC | (flags & AT_SYMLINK_FOLLOW ? 0 : O_NOFOLLOW));
	/* By descriptor: the program's, found through its /proc directory. */
	snprintf(own, sizeof own, "../fd/%d", dirfd);
	return openat(ch->c->t->task_fd, own, O_PATH | O_CLOEXEC);
}

/* The other name of an input is an input: it must be there to be linked. */
static void note_source(struct hps_supervisor *s, const struct place *from, int fd, const struct stat *st)
{
	struct hps_file *file;
	char real[HPS_PATH_CAP];

	hps_supervisor_path(s, fd, st, real);
	if (!st->st_nlink || !*real)
		return;
	file = hps_files_get(s->files, real);
	if (S_ISLNK(st->st_mode) && from->link)
		hps_file_symlink(file, st, from->link);
	else if (S_ISREG(st->st_mode))
		hps_file_use(s->files, file, fd, st, HPS_USE_READ);
}

static void link_any(struct hps_supervisor *s, struct hps_call *c, int from_fd, uint64_t from_at, int to_fd, uint64_t to_at, int flags)
{
	struct change ch;
	struct place *from = &ch.at[0], *to = &ch.at[1];
	_cleanup_fd_ int source = -1;
	char link[32];
	struct stat st;
	int r = -1;

	if (c->t->foreign) {
		hps_foreign_link(s, c, from_fd, from_at, to_fd, to_at);
		return;
	}
	if (!begin_two(&ch, s, c, flags & AT_EMPTY_PATH ? AT_FDCWD : from_fd, from_at, to_fd, to_at))
		return;
	source = open_source(&ch, from_fd, flags);
	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_FOLLOW)) {
		errno = EINVAL;
	} else if (flags & AT_EMPTY_PATH && from->target.len && from->target.given[0] != '/') {
		errno = ENOSYS; /* a relative name with AT_EMPTY_PATH: no program does it, and it would need another base */
	} else if (source >= 0 && fstat(source, &st) == 0) {
		snprintf(link, sizeof link, "self/fd/%d", source);
		r = linkat(s->proc_fd, link, to->target.base, to->target.path, AT_SYMLINK_FOLLOW);
	}
	if (!r) {
		note_source(s, from, source, &st);
		note_change(s, to);
	}
	end(&ch, r);
}

void hps_act_link(struct hps_supervisor *s, struct hps_call *c)
{
	link_any(s, c, AT_FDCWD, c->args[0], AT_FDCWD, c->args[1], 0);
}

void hps_act_linkat(struct hps_supervisor *s, struct hps_call *c)
{
	link_any(s, c, (int)c->args[0], c->args[1], (int)c->args[2], c->args[3], (int)c->args[4]);
}

static void symlink_any(struct hps_supervisor *s, struct hps_call *c, uint64_t target_at, int dirfd, uint64_t at)
{
	char target[4097];
	struct change ch;
	ssize_t n = hps_memory_string(s, c->t, target_at, target, sizeof target - 1);
	int r;

	if (n < 0 && !c->t->foreign) {
		answer(s, c, -1, (int)-n);
		return;
	}
	if (!begin(&ch, s, c, dirfd, at))
		return;
	r = symlinkat(target, ch.at[0].target.base, ch.at[0].target.path);
	if (!r) {
		note_change(s, &ch.at[0]);
		hps_files_forget_names(s->files);
	}
	end(&ch, r);
}

void hps_act_symlink(struct hps_supervisor *s, struct hps_call *c)
{
	symlink_any(s, c, c->args[0], AT_FDCWD, c->args[1]);
}

void hps_act_symlinkat(struct hps_supervisor *s, struct hps_call *c)
{
	symlink_any(s, c, c->args[0], (int)c->args[1], c->args[2]);
}

/* ---- truncate ---- */

static int truncate_at(struct hps_supervisor *s, const struct hps_target *target, off_t length)
{
	_cleanup_fd_ int fd = openat(target->base, target->path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct hps_file *file;
	char real[HPS_PATH_CAP];
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		if (errno == ENXIO)
			errno = EINVAL;
		return -1;
	}
	hps_supervisor_path(s, fd, &st, real);
	file = hps_files_get(s->files, real);
	hps_file_secure(s->files, file, fd, &st);
	hps_file_modify(s->files, file, fd, &st);
	hps_supervisor_wrote(s, st.st_ino);
	hps_file_forget_now(file);
	return ftruncate(fd, length);
}

void hps_act_truncate(struct hps_supervisor *s, struct hps_call *c)
{
	struct hps_target target;
	int r;

	if (c->t->foreign) {
		hps_foreign_write(s, c, AT_FDCWD, c->args[0]);
		return;
	}
	r = hps_target_get(s, c, AT_FDCWD, c->args[0], &target);
	if (r) {
		answer(s, c, -1, -r);
		return;
	}
	r = truncate_at(s, &target, (off_t)c->args[1]);
	answer(s, c, r, errno);
	hps_target_release(&target);
}
