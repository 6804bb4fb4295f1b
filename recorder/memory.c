/* What a tracee says: strings and structures in its memory, and whether they can change under our eyes. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "recorder/kernel.h"

#define PAGE 4096u
#define STARTS_MAX 64u
#define ASSUME_THREADS 15 /* calls */
#define KEEP_OPEN_AFTER 4 /* reads: then opening /proc/PID/mem has paid for itself */

static int open_mem(struct hps_tracee *t)
{
	char path[32];

	snprintf(path, sizeof path, "%d/mem", t->caller);
	if (t->mem_fd < 0 && t->task_fd >= 0)
		t->mem_fd = openat(t->task_fd, path, O_RDONLY | O_CLOEXEC);
	return t->mem_fd;
}

ssize_t hps_memory_read(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, void *to, size_t len)
{
	struct iovec local = { to, len }, remote = { (void *)(uintptr_t)at, len };
	ssize_t n;

	if (t->launching) { /* between vfork and exec it has our memory */
		memcpy(to, (const void *)(uintptr_t)at, len);
		return (ssize_t)len;
	}
	if (t->mem_fd >= 0 || (++t->reads > KEEP_OPEN_AFTER && open_mem(t) >= 0))
		n = pread(t->mem_fd, to, len, (off_t)at);
	else
		n = process_vm_readv(t->caller, &local, 1, &remote, 1, 0);
	if (n > 0)
		return n;
	if (!n && len && t->mem_fd >= 0) { /* that memory is gone: of a program that it no longer runs */
		hps_tracee_forget_memory(t);
		return hps_memory_read(s, t, at, to, len);
	}
	if (n < 0 && (errno == EPERM || errno == EACCES) && !t->opaque) {
		t->opaque = true;
		hps_gap_note(s->gaps, HPS_GAP_OPAQUE);
	}
	return n < 0 && errno != EIO ? -errno : -EFAULT;
}

ssize_t hps_memory_string(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, char *to, size_t cap)
{
	size_t len = 0;

	if (t->launching) {
		len = strnlen((const char *)(uintptr_t)at, cap);
		if (len == cap)
			return -ENAMETOOLONG;
		memcpy(to, (const void *)(uintptr_t)at, len + 1);
		return (ssize_t)len;
	}
	/* A read never crosses a page that the string may not reach; the first is short, as most paths are. */
	while (len < cap) {
		size_t want = PAGE - (at + len) % PAGE;
		const char *end;
		ssize_t n;

		if (!len && want > 256)
			want = 256;
		if (want > cap - len)
			want = cap - len;
		n = hps_memory_read(s, t, at + len, to + len, want);
		if (n < 0)
			return n;
		end = memchr(to + len, '\0', (size_t)n);
		if (end)
			return end - to;
		len += (size_t)n;
	}
	return -ENAMETOOLONG;
}

void hps_memory_starts(struct hps_tracee *t, const uint64_t *at, size_t n, char (*to)[HPS_MEMORY_START], ssize_t *lens)
{
	struct iovec local[STARTS_MAX], remote[STARTS_MAX];
	ssize_t got;

	n = n < STARTS_MAX ? n : STARTS_MAX;
	for (size_t i = 0; i < n; i++) {
		size_t page = PAGE - at[i] % PAGE;

		remote[i] = (struct iovec){ (void *)(uintptr_t)at[i], page < HPS_MEMORY_START ? page : HPS_MEMORY_START };
		local[i] = (struct iovec){ to[i], remote[i].iov_len };
		lens[i] = -1;
	}
	got = t->launching ? -1 : process_vm_readv(t->caller, local, n, remote, n, 0);
	for (size_t i = 0; i < n && got >= (ssize_t)local[i].iov_len; i++) {
		const char *end = memchr(to[i], '\0', local[i].iov_len);

		lens[i] = end ? end - to[i] : -1;
		got -= (ssize_t)local[i].iov_len;
	}
}

/* ---- stability ---- */

/* A private mapping; of a file only while the trial has not written it. */
static bool private_mapping(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, uint64_t *ret_end)
{
	struct hps_procmap_query q = { .size = sizeof q, .query_addr = at };

	if (ioctl(t->maps_fd, HPS_PROCMAP_QUERY, &q)) {
		if (errno == ENOTTY)
			s->have_query = false;
		return false;
	}
	*ret_end = q.vma_end;
	return !(q.vma_flags & HPS_PROCMAP_SHARED) && (!q.inode || !hps_supervisor_written(s, q.inode));
}

/* Before Linux 6.11: the page is there, and neither of a file nor shared (pagemap bits 63 and 61). */
static bool anonymous_page(const struct hps_tracee *t, uint64_t at)
{
	uint64_t entry;

	return pread(t->maps_fd, &entry, sizeof entry, (off_t)(at / PAGE * sizeof entry)) == sizeof entry && entry >> 63 & 1 && !(entry >> 61 & 1);
}

static bool stable_range(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, uint64_t end)
{
	while (at < end) {
		uint64_t next = (at / PAGE + 1) * PAGE;

		if (s->have_query ? !private_mapping(s, t, at, &next) : !anonymous_page(t, at))
			return false;
		at = next;
	}
	return true;
}

/* Whoever starts a thread is heard of before there is one. */
static bool has_one_thread(const struct hps_supervisor *s, const struct hps_tracee *t)
{
	struct stat st;

	return (!t->threaded && !s->unseen) || (fstat(t->task_fd, &st) == 0 && st.st_nlink == s->task_links + 1);
}

/* Does the parent wait while its child uses its memory? A child that shares it otherwise has set `shares`. */
static bool lent(const struct hps_supervisor *s, const struct hps_tracee *t, const struct hps_tracee *parent)
{
	return !t->shares && !parent->launching && parent->own_memory == HPS_YES && !parent->shares && parent->task_fd >= 0 && has_one_thread(s, t) &&
	       (t->own_memory == HPS_NO || syscall(SYS_kcmp, t->pid, parent->pid, KCMP_VM, 0, 0) == 0);
}

struct hps_tracee *hps_memory_lender(const struct hps_supervisor *s, const struct hps_tracee *t)
{
	struct hps_tracee *parent = t->own_memory != HPS_YES && t->parent ? s->tracees.items[t->parent - 1] : NULL;

	return parent && lent(s, t, parent) ? parent : NULL;
}

struct hps_tracee *hps_memory_alone(struct hps_supervisor *s, struct hps_tracee *t)
{
	struct hps_tracee *parent = hps_memory_lender(s, t);

	if (t->launching)
		return t;
	if (parent)
		t = parent;
	if (t->own_memory != HPS_YES || t->shares || s->memory_untrusted || t->task_fd < 0)
		return NULL;
	if (t->threads_assumed) { /* it had threads a moment ago; to be wrong about that costs time alone */
		t->threads_assumed--;
		return NULL;
	}
	if (has_one_thread(s, t))
		return t;
	t->threads_assumed = ASSUME_THREADS;
	return NULL;
}

bool hps_memory_private(struct hps_supervisor *s, struct hps_tracee *alone, uint64_t at, size_t len)
{
	if (!alone || alone->launching)
		return alone;
	if (alone->maps_fd < 0)
		alone->maps_fd = openat(alone->task_fd, s->have_query ? "../maps" : "../pagemap", O_RDONLY | O_CLOEXEC);
	return alone->maps_fd >= 0 && stable_range(s, alone, at, at + len);
}
