/* What the recorder did not see. Each kind is a row: what happened, why it could not be recorded, and what it may hide from whoever
 * relies on the record. */
#include "recorder/recorder.h"

#include <stdlib.h>
#include <string.h>

enum hides { HIDES_OUTPUTS, HIDES_INPUTS, HIDES_NOTHING };
static const char *const hides[] = { "outputs", "inputs", "nothing" };

static const struct {
	const char *what, *why;
	enum hides hides; /* files that the trial read, or files that it left; only for replay, blind says more */
	bool blind; /* false: said for honesty's sake, but nothing escaped the record */
} gaps[HPS_GAP_COUNT] = {
	[HPS_GAP_IO_URING] = { "io_uring was asked for and refused", "files opened through a ring are not seen; the program was told ENOSYS", HIDES_NOTHING, true },
	[HPS_GAP_HANDLE] = { "a file was to be opened by handle and this was refused", "a handle has no path; the program was told EPERM", HIDES_NOTHING, true },
	[HPS_GAP_ABI] = { "a call or program of another ABI (i386, x32) was refused", "its calls are not in the filter's table; the program was told ENOSYS or ENOEXEC", HIDES_NOTHING, true },
	[HPS_GAP_FOREIGN] = { "files were opened under another root, namespace or user", "no descriptor was handed out there: what was opened or changed is what the path named just before", HIDES_OUTPUTS, true },
	[HPS_GAP_OPAQUE] = { "a process could not be read", "it is not dumpable, or runs a program that we may not read: paths it opened are not known", HIDES_OUTPUTS, true },
	[HPS_GAP_SPECIAL] = { "a device, terminal or pipe was opened by a process with several threads", "the kernel read the name after us: another thread could have changed it", HIDES_OUTPUTS, true },
	[HPS_GAP_NETWORK] = { "a network connection was made", "what came over it is not in the record", HIDES_NOTHING, true },
	[HPS_GAP_SOCKET] = { "a socket of another program was connected to", "what that program did or sent is not in the record", HIDES_NOTHING, true },
	[HPS_GAP_DATAGRAM] = { "a socket that needs no connection was made", "sendmsg has its addresses in memory: where such a socket sent to and from whom it got something is not known", HIDES_NOTHING, true },
	[HPS_GAP_OFFERED] = { "a socket was bound to an address that other machines can reach", "who connected to it and what came is not in the record", HIDES_NOTHING, true },
	[HPS_GAP_VISITED] = { "a socket of the trial was connected to from outside", "who it was and what came is not in the record", HIDES_NOTHING, true },
	[HPS_GAP_FOLLOW] = { "connections to or from the trial's own sockets could not be followed", "the kernel did not tell of them, or tells of another network namespace: whether the other end is the trial itself is not known", HIDES_NOTHING, true },
	[HPS_GAP_CHANNEL] = { "a way to other programs besides files and sockets was used", "what came by it, or was left there, is not in the record", HIDES_NOTHING, true },
	[HPS_GAP_MOUNTS] = { "file systems were mounted or unmounted", "a name has led to different files; and the mounts outlive the trial", HIDES_OUTPUTS, true },
	[HPS_GAP_LIST] = { "a list of the record was too long", "what did not fit into 256 MiB, the most that is read again, was left out of it", HIDES_OUTPUTS, true },
	[HPS_GAP_CHANGED] = { "a file changed while it was read", "its digest is of one state, the program may have seen another", HIDES_INPUTS, true },
	[HPS_GAP_UNREADABLE] = { "a file could not be hashed", "it was opened for writing or execution only, or reading it failed", HIDES_OUTPUTS, true },
	[HPS_GAP_LISTING] = { "a directory has too many names", "its listing was not kept", HIDES_INPUTS, true },
	[HPS_GAP_STORE] = { "the content of a file could not be stored", "the content store could not be written; its digest is known", HIDES_NOTHING, true },
	[HPS_GAP_REPLACED] = { "a file had another content before what was read of it could be stored", "somebody else changed or removed it; its digest is known", HIDES_NOTHING, true },
	[HPS_GAP_RUNNING] = { "a process was still running when the record was closed", "it was killed (SIGKILL) after a grace time; --wait waits for it instead", HIDES_NOTHING, true },
	[HPS_GAP_METRICS] = { "a file of metrics could not be used", "it is no JSON object or JSON lines, or has no numbers", HIDES_OUTPUTS, true },
	[HPS_GAP_INTERRUPT] = { "a signal could interrupt an intercepted call", "the kernel is older than 5.19: a call may have been made twice", HIDES_NOTHING, true },
	[HPS_GAP_FENCE] = { "the trial could have sent signals to the recorder", "the kernel has no Landlock signal scope (6.12)", HIDES_NOTHING, false },
	[HPS_GAP_FACTS] = { "facts about the machine were not gathered", "the process that gathers them failed", HIDES_NOTHING, true },
	[HPS_GAP_ARGUMENTS] = { "an executed program's name or arguments are not certain", "other threads or processes could change them while they were read", HIDES_INPUTS, true },
	[HPS_GAP_DESCRIPTORS] = { "the recorder ran out of descriptors or memory", "calls went on without being looked at; a higher limit (ulimit -n) helps", HIDES_OUTPUTS, true },
	[HPS_GAP_LINKS] = { "a file was changed that has names outside of the record", "its link count is higher than the number of names seen: who opens another one sees the change, too", HIDES_OUTPUTS, true },
	[HPS_GAP_DEEP] = { "a file lies deeper than a path can say", "its directory's path is longer than 4,095 bytes: what was read there has a made-up path, what was left there none", HIDES_OUTPUTS, true },
	[HPS_GAP_KERNEL] = { "an open was left to the kernel", "a lease, a signal or a link of /proc stood in the way of ours: what was opened is not known", HIDES_OUTPUTS, true },
	[HPS_GAP_ENTROPY] = { "random numbers were not answered from the recorded stream", "the recorder may not write into the process: the kernel gave its own", HIDES_INPUTS, true },
	[HPS_GAP_CONNECTIONS] = { "more connections were made than are listed", "the list has a ceiling", HIDES_NOTHING, true },
	[HPS_GAP_CORE] = { "a process left a core file", "the kernel wrote it, by no call of the trial (core_pattern)", HIDES_OUTPUTS, true },
	[HPS_GAP_ENDS] = { "how a process ended was not seen", "the recorder had too few descriptors to watch it (ulimit -n)", HIDES_NOTHING, true },
	[HPS_GAP_PRIVILEGE] = { "a program ran without the privileges that its file gives", "no_new_privs is set: set-user-ID and set-group-ID bits and file capabilities have no effect", HIDES_NOTHING, false },
	[HPS_GAP_HELD_UP] = { "calls were let go on while the recorder was held up", "another call waited for a file system or memory that did not answer: what these did is not known", HIDES_OUTPUTS, true },
	[HPS_GAP_REFUSED] = { "calls were refused by the sandbox", "a rerun may not make them; the program was told EPERM or ENOSYS", HIDES_NOTHING, true },
	[HPS_GAP_LISTENER] = { "a program was refused a seccomp listener of its own", "the kernel allows one, and it is the recorder's: EBUSY", HIDES_NOTHING, false },
	[HPS_GAP_TRACER] = { "a tracer inside the trial is not told of the calls that are recorded", "it waits for a filter of its own (strace --seccomp-bpf, proot), and the kernel asks the recorder's alone", HIDES_NOTHING, false },
};

/* What no record of this mechanism has: said in each, so that nobody has to know the manual to read one. */
static const struct {
	const char *what, *why;
} limits[] = {
	{ "random numbers and clocks of the processor (RDRAND, RDSEED, RDTSC, the vDSO clock)", "no system call is made for them" },
	{ "reads and writes, and what comes through descriptors that were open before the start", "only opens are seen" },
	{ "looks that open nothing (stat, access, readlink, getxattr, statfs, inotify and kin)", "they are the commonest calls of all: to stop them would cost more than all the rest" },
	{ "memory shared with processes outside the tree", "no system call is made for it" },
	{ "queues and semaphores of System V whose number came from outside (msgsnd, msgrcv, semop)", "only who asks for one by its key is seen; to stop each use would cost more than the use" },
	{ "a call that was interrupted before the recorder heard of it", "a signal whose handler lacks SA_RESTART makes it fail with EINTR; it is not made then" },
};

void hps_gap_note(struct hps_gaps *g, enum hps_gap gap)
{
	atomic_fetch_add_explicit(&g->count[gap], 1, memory_order_relaxed);
}

bool hps_gaps_none(struct hps_gaps *g)
{
	for (size_t i = 0; i < HPS_GAP_COUNT; i++)
		if (gaps[i].blind && atomic_load(&g->count[i]))
			return false;
	return true;
}

void hps_gap_name(struct hps_gaps *g, enum hps_gap gap, const char *name)
{
	size_t i = 0;

	hps_gap_note(g, gap);
	while (i < HPS_GAP_NAMES && g->names[gap][i] && strcmp(g->names[gap][i], name) != 0)
		i++;
	if (i < HPS_GAP_NAMES && !g->names[gap][i])
		g->names[gap][i] = hps_strdup(name);
}

void hps_gaps_release(struct hps_gaps *g)
{
	for (size_t i = 0; i < HPS_GAP_COUNT; i++)
		for (size_t j = 0; j < HPS_GAP_NAMES; j++)
			free(g->names[i][j]);
}

static json_t *names_json(char *const names[HPS_GAP_NAMES])
{
	json_t *list = json_array();

	for (size_t i = 0; i < HPS_GAP_NAMES && names[i]; i++)
		hps_json_add(list, hps_path_json(names[i]));
	return list;
}

json_t *hps_gaps_json(struct hps_gaps *g)
{
	json_t *coverage = json_object(), *list = json_array(), *never = json_array();

	for (size_t i = 0; i < HPS_GAP_COUNT; i++) {
		uint64_t count = atomic_load(&g->count[i]);
		json_t *item;

		if (!count)
			continue;
		item = json_object();
		hps_json_set_text(item, "what", gaps[i].what);
		hps_json_set_text(item, "why", gaps[i].why);
		hps_json_set_text(item, "hides", hides[gaps[i].hides]);
		hps_json_set_int(item, "count", (int64_t)count);
		if (g->names[i][0])
			hps_json_set(item, "names", names_json(g->names[i]));
		hps_json_add(list, item);
	}
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		json_t *item = json_object();

		hps_json_set_text(item, "what", limits[i].what);
		hps_json_set_text(item, "why", limits[i].why);
		hps_json_add(never, item);
	}
	hps_json_set(coverage, "gaps", list);
	hps_json_set(coverage, "limits", never);
	return coverage;
}
