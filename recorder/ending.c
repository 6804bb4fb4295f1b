/* What others did to the command: signals that came for it, the kernel's count of processes killed for want of memory, disks without room. */
#include "recorder/recorder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COUNTERS_MAX 16384
#define ROOM_LEAST 65536 /* bytes: file systems keep a few blocks that nobody gets */
#define DEVICES_MAX 32

/* The number after "name " at the start of a line; false when there is none. */
static bool counter(const char *path, const char *name, uint64_t *ret)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *key = hps_format("\n%s ", name);
	const char *at;

	hps_buf_addc(&text, '\n');
	if (hps_file_read(AT_FDCWD, path, COUNTERS_MAX, &text, NULL) || !text.data)
		return false;
	at = strstr(text.data, key);
	if (at)
		*ret = strtoull(at + strlen(key), NULL, 10);
	return at != NULL;
}

/* Of our control group: the hierarchy of memory's own, or the unified one. */
static char *counters_of_group(void)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	const char *at;

	if (hps_file_read(AT_FDCWD, "/proc/self/cgroup", COUNTERS_MAX, &text, NULL) || !text.data)
		return NULL;
	at = strstr(text.data, ":memory:");
	if (at)
		return hps_format("/sys/fs/cgroup/memory%.*s/memory.oom_control", (int)strcspn(at + 8, "\n"), at + 8);
	at = strstr(text.data, "0::");
	return at ? hps_format("/sys/fs/cgroup%.*s/memory.events", (int)strcspn(at + 3, "\n"), at + 3) : NULL;
}

void hps_ending_begin(struct hps_ending *e)
{
	_cleanup_free_ char *group = counters_of_group();

	e->has_machine = counter("/proc/vmstat", "oom_kill", &e->machine);
	e->has_group = group && counter(group, "oom_kill", &e->group);
}

/* Most senders wait for what comes of it: kill does not, and may be gone. */
static void name_sender(struct hps_received *s)
{
	_cleanup_free_ char *path = hps_format("/proc/%d/comm", s->pid);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (s->pid && hps_file_read(AT_FDCWD, path, sizeof s->program, &text, NULL) == 0 && text.data)
		snprintf(s->program, sizeof s->program, "%.*s", (int)strcspn(text.data, "\n"), text.data);
}

void hps_ending_signal(struct hps_ending *e, const struct signalfd_siginfo *i, bool terminal)
{
	if (i->ssi_signo == SIGCHLD || i->ssi_signo == SIGWINCH || i->ssi_signo == SIGCONT)
		return;
	if (e->n_signals++ >= ARRAY_SIZE(e->signals))
		return;
	e->signals[e->n_signals - 1] = (struct hps_received){
		.number = (int)i->ssi_signo, .at_ns = hps_time_monotonic_ns(), .pid = (pid_t)i->ssi_pid, .uid = i->ssi_uid, .terminal = terminal };
	if (!terminal)
		name_sender(&e->signals[e->n_signals - 1]);
}

static json_t *signals_json(const struct hps_ending *e, int64_t started_ns)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->n_signals && i < ARRAY_SIZE(e->signals); i++) {
		const struct hps_received *s = &e->signals[i];
		json_t *item = json_object();

		hps_json_set_int(item, "signal", s->number);
		hps_shape_seconds(item, "at", s->at_ns - started_ns);
		hps_json_set_text(item, "from", s->terminal ? "terminal" : "process");
		if (!s->terminal) {
			hps_json_set_int(item, "pid", s->pid);
			hps_json_set_int(item, "uid", s->uid);
			if (*s->program)
				hps_json_set(item, "program", hps_path_json(s->program));
		}
		hps_json_add(list, item);
	}
	return list;
}

/* Is there no room for more where this directory is? Then how much is said. */
static void add_full(json_t *list, const char *directory)
{
	struct statvfs v;
	uint64_t bytes;
	json_t *item;

	if (statvfs(directory, &v) || !v.f_blocks || v.f_flag & ST_RDONLY) /* an image has never room, and nobody ran out of it */
		return;
	bytes = (geteuid() ? v.f_bavail : v.f_bfree) * v.f_frsize;
	if (bytes >= ROOM_LEAST && (!v.f_files || v.f_favail))
		return;
	item = json_object();
	hps_json_set(item, "path", hps_path_json(directory));
	hps_json_set_int(item, "freeBytes", (int64_t)bytes);
	hps_json_set_int(item, "freeFiles", (int64_t)v.f_favail);
	hps_json_add(list, item);
}

/* Of the file systems on which the trial started, or left something. */
static json_t *full_json(const struct hps_files *files)
{
	json_t *list = json_array();
	dev_t seen[DEVICES_MAX];
	size_t n = 0, k;
	struct stat s;

	if (stat(".", &s) == 0) {
		seen[n++] = s.st_dev;
		add_full(list, ".");
	}
	for (size_t i = 0; i < files->n && n < DEVICES_MAX; i++) {
		const struct hps_final *final = files->all[i]->product ? hps_file_rare(files->all[i])->final : NULL;
		_cleanup_free_ char *directory = NULL;

		if (!final || !final->exists)
			continue;
		for (k = 0; k < n && seen[k] != final->dev; k++)
			;
		if (k < n)
			continue;
		seen[n++] = final->dev;
		directory = hps_strdup(files->all[i]->path);
		*(strrchr(directory, '/') + (strrchr(directory, '/') == directory)) = '\0';
		add_full(list, directory);
	}
	return list;
}

void hps_ending_look(struct hps_ending *e, const struct hps_files *files)
{
	e->full = full_json(files);
}

json_t *hps_ending_json(const struct hps_ending *e, int64_t started_ns)
{
	struct hps_ending now = { 0 };
	json_t *ending = json_object(), *kills = json_object();

	hps_ending_begin(&now);
	if (e->has_group && now.has_group && now.group > e->group)
		hps_json_set_int(kills, "group", (int64_t)(now.group - e->group));
	if (e->has_machine && now.has_machine && now.machine > e->machine)
		hps_json_set_int(kills, "machine", (int64_t)(now.machine - e->machine));
	if (json_object_size(kills))
		hps_json_set(ending, "outOfMemory", json_incref(kills));
	json_decref(kills);
	if (json_array_size(e->full))
		hps_json_set(ending, "full", json_incref(e->full));
	hps_json_set(ending, "signals", signals_json(e, started_ns));
	return ending;
}
