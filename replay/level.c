/* How much of what a trial depends on was answered from its record. A level is what both records say was reached. */
#include "replay/replay.h"

#include <inttypes.h>
#include <string.h>

#define N_ALWAYS 99 /* a level that there is not */

static const struct {
	unsigned below; /* the first level that controls it */
	const char *what;
} uncontrolled[] = {
	{ 1, "files, environment, names and ids" },
	{ 2, "random numbers that the kernel gives" },
	{ 3, "clocks" },
	{ N_ALWAYS, "timers that interrupt, and what else depends on speed" },
	{ N_ALWAYS, "times that the kernel gives to files" },
	{ 4, "the order in which threads and processes run" },
	{ N_ALWAYS, "the random key that the kernel gives each program (AT_RANDOM)" },
	{ N_ALWAYS, "random numbers and clocks that a program takes from the processor itself (RDRAND, RDSEED, RDTSC)" },
	{ N_ALWAYS, "process ids but the first and its parent's" },
	{ N_ALWAYS, "where stacks begin in memory (HPS_RECORD_ID and HPS_SOCKET are the rerun's own)" },
	{ N_ALWAYS, "numbers that a file system chooses for what the trial made (inodes, free space)" },
	{ N_ALWAYS, "what a GPU computes in parallel" },
};

json_t *hps_level_uncontrolled(unsigned level)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(uncontrolled); i++)
		if (level < uncontrolled[i].below)
			hps_json_add(list, json_string(uncontrolled[i].what));
	return list;
}

static const json_t *entropy_of(const struct hps_entry *trial)
{
	return hps_json_at(trial->statement, "predicate", "entropy", NULL);
}

/* Asked for, and not answered from the stream; all that was asked for when there was none. */
static int64_t unanswered(const json_t *entropy, bool seeded)
{
	return hps_json_int(entropy, seeded ? "unanswered" : "calls", 0) + hps_json_int(entropy, seeded ? "devicesUnanswered" : "devices", 0);
}

static bool same_seed(const json_t *a, const json_t *b)
{
	const char *was = hps_json_text(a, "seedId"), *is = hps_json_text(b, "seedId");

	return was && is && !strcmp(was, is);
}

/* Places in memory are chosen at random, too. Few trials depend on them, but nobody can say which. */
static void name_places(const struct hps_original *o, const struct hps_entry *rerun, struct hps_holes *holes)
{
	const json_t *was = entropy_of(&o->trial), *is = entropy_of(rerun);
	int64_t chosen = hps_json_int(was, "placesUnanswered", 0) + hps_json_int(is, "placesUnanswered", 0);
	_cleanup_free_ char *why = NULL;

	if (!o->seeded_fully)
		why = hps_strdup("the kernel chose them (ASLR); --entropy-full records without that");
	else if (!json_is_true(hps_json_at(is, "full", NULL)))
		why = hps_strdup("the kernel chose those of the rerun");
	else if (chosen)
		why = hps_format("the kernel chose them for %" PRId64 " programs of both runs, --entropy-full or not", chosen);
	if (why)
		hps_hole_add(holes, "places in memory", why);
}

static bool entropy_answered(const struct hps_original *o, const struct hps_entry *rerun, struct hps_holes *holes)
{
	const json_t *was = entropy_of(&o->trial), *is = entropy_of(rerun);
	bool seeded = o->seeded && same_seed(was, is);
	int64_t open = unanswered(was, o->seeded) + unanswered(is, seeded);
	_cleanup_free_ char *why = NULL;

	if (!was)
		why = hps_strdup("the record is older than their recording");
	else if (o->seeded && !o->seed)
		why = hps_strdup("the seed that was kept for them is not here");
	else if (o->seeded && !seeded)
		why = hps_strdup("the rerun had another seed");
	else if (open)
		why = hps_format("%" PRId64 " requests of both runs were answered by the kernel%s", open,
				 hps_json_int(was, "devicesUnanswered", 0) ? " (of /dev/urandom; --entropy-full records those)" : "");
	if (why)
		hps_hole_add(holes, "random numbers", why);
	return !why;
}

/* ---- clocks ---- */

static const json_t *clocks_of(const struct hps_entry *trial)
{
	return hps_json_at(trial->statement, "predicate", "clocks", NULL);
}

/* Programs that read their clocks themselves; "" when there are none. */
static char *without(const json_t *was, const json_t *is)
{
	int64_t n = hps_json_int(was, "without", 0), m = hps_json_int(is, "without", 0);
	const json_t *names = hps_json_at(n ? was : is, "withoutNames", NULL);
	const char *first = json_string_value(json_array_get(names, 0));

	if (!n && !m)
		return hps_strdup("");
	return hps_format("%" PRId64 " programs of the trial and %" PRId64 " of the rerun did not load the library that answers them (static, privileged, or started without its "
			  "environment), first '%s'", n, m, first ? first : "?");
}

static bool clocks_answered(const struct hps_original *o, const struct hps_entry *rerun, struct hps_holes *holes)
{
	const json_t *was = clocks_of(&o->trial), *is = clocks_of(rerun);
	const char *log = hps_json_text(is, "log");
	_cleanup_free_ char *programs = without(was, is), *why = NULL;

	if (!is)
		return false; /* nobody asked for them */
	if (!*o->clocks)
		why = hps_strdup("they went on from when the trial started; what it read was not recorded (hps-record --level 3)");
	else if (!log || strcmp(log, o->clocks) != 0)
		why = hps_strdup("the rerun was given others than the trial read");
	else if (!json_is_true(hps_json_at(was, "whole", NULL)))
		why = hps_strdup("the trial read them more often than the recorder had room for");
	else if (*programs)
		why = hps_take(programs);
	else if (hps_json_int(is, "unanswered", 0))
		why = hps_format("the rerun read them %" PRId64 " times more than the trial had", hps_json_int(is, "unanswered", 0));
	else if (hps_json_int(was, "other", 0) + hps_json_int(is, "other", 0))
		why = hps_format("%" PRId64 " readings were of clocks that the library does not know", hps_json_int(was, "other", 0) + hps_json_int(is, "other", 0));
	if (why)
		hps_hole_add(holes, "clocks", why);
	return !why;
}

/* Who had the turn and did nothing with it; NULL: nobody. */
static char *stood_still(const json_t *clocks, const char *run)
{
	const json_t *stood = json_object_get(clocks, "stoodStill");
	const char *thread = hps_json_text(stood, "thread"), *call = hps_json_text(stood, "call"), *how = hps_json_text(stood, "how");

	if (!stood)
		return NULL;
	return hps_format("it was given up: thread '%s' of the %s had the turn for %" PRId64 " s without a call after '%s', and %s", thread ? thread : "?", run,
			  hps_json_int(stood, "seconds", 0), call ? call : "?", how && !strcmp(how, "spins") ? "waited in memory for what another one had to bring" : "computed");
}

/* Who made calls after whom; NULL: the same. */
static char *other_order(const json_t *was, const json_t *is)
{
	const char *then = hps_json_text(was, "orderDigest"), *now = hps_json_text(is, "orderDigest");

	if (!then || !now)
		return hps_format("one at a time in both runs, but the record of the %s does not say in which order", then ? "rerun" : "trial");
	if (!strcmp(then, now))
		return NULL;
	return hps_format("one at a time in both runs, but in another order: %" PRId64 " turns with calls in the trial, %" PRId64 " in the rerun", hps_json_int(was, "orderTurns", 0),
			  hps_json_int(is, "orderTurns", 0));
}

/* One thread at a time in both runs, to the end, nobody outside of it, and one after the other as they had been. */
static bool order_kept(const struct hps_original *o, const struct hps_entry *rerun, struct hps_holes *holes)
{
	const json_t *was = clocks_of(&o->trial), *is = clocks_of(rerun);
	int64_t taken = hps_json_int(was, "turnsTaken", -1), again = hps_json_int(is, "turnsTaken", -1);
	int64_t open = hps_json_int(was, "outOfTurn", 0) + hps_json_int(is, "outOfTurn", 0);
	const char *first = hps_json_text(hps_json_int(was, "outOfTurn", 0) ? was : is, "outOfTurnFirst");
	_cleanup_free_ char *why = NULL;

	if (taken < 0 && again < 0)
		return false; /* nobody asked for it */
	if (taken < 0 || again < 0)
		why = hps_format("only the %s ran one thread at a time", taken < 0 ? "rerun" : "trial");
	else if ((why = stood_still(was, "trial")) || (why = stood_still(is, "rerun")))
		;
	else if (taken + again)
		why = hps_format("%" PRId64 " times a program that does not keep it, or was killed, had the turn", taken + again);
	else if (open)
		why = hps_format("%" PRId64 " calls wait for what only others say (queues of the kernel, a FIFO's other end), first '%s'", open, first ? first : "?");
	else
		why = other_order(was, is);
	if (why)
		hps_hole_add(holes, "the order of threads and processes", why);
	return !why;
}

static void name_pid(const struct hps_original *o, const struct hps_entry *rerun, struct hps_holes *holes)
{
	int64_t is = hps_json_int(hps_json_at(rerun->statement, "predicate", "buildDefinition", "externalParameters", "surroundings", NULL), "pid", 0);
	_cleanup_free_ char *why = hps_format("the first was %d, in the rerun it is %" PRId64, o->pid, is);

	if (o->pid && is != o->pid)
		hps_hole_add(holes, "process ids", why);
}

/* What stood there is not here, but something does: what the trial opened has its numbers. */
static void name_descriptors(const struct hps_original *o, struct hps_holes *holes)
{
	_cleanup_buf_ struct hps_buf numbers = HPS_BUF_INIT;
	_cleanup_free_ char *why = NULL;
	const json_t *number;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)json_object_get(o->surroundings, "descriptors"), i, number)
		hps_buf_addf(&numbers, "%s%" JSON_INTEGER_FORMAT, i ? ", " : "", json_integer_value(number));
	if (!numbers.len)
		return;
	why = hps_format("the trial had inherited %s; in the rerun that is /dev/null", (const char *)numbers.data);
	hps_hole_add(holes, "descriptors", why);
}

unsigned hps_level_reached(const struct hps_original *o, const struct hps_entry *rerun, enum hps_blindness blindness, struct hps_holes *holes)
{
	bool answered = entropy_answered(o, rerun, holes), timed = clocks_answered(o, rerun, holes), ordered = order_kept(o, rerun, holes);

	name_places(o, rerun, holes);
	name_pid(o, rerun, holes);
	name_descriptors(o, holes);
	if (blindness > HPS_BLIND_NOTHING)
		return 0;
	return !answered ? 1 : !timed ? 2 : ordered ? 4 : 3;
}
