/* Where and with what a study ran, and what its records did not see. */
#include "audit/audit.h"

#include <string.h>

/* ---- what was not observed */

static void of_trials(struct hps_buf *out, size_t n, size_t n_trials)
{
	if (n == n_trials)
		hps_html(out, " <span class=\"note\">(%s)</span>", n_trials == 1 ? "the one trial" : "every trial");
	else
		hps_html(out, " <span class=\"note\">(%zu of %zu trials)</span>", n, n_trials);
}

static void bullets(struct hps_buf *out, const char *heading, const char *none, const struct hps_fact_list *list, bool only_missing, size_t n_trials)
{
	size_t n = 0;

	hps_html(out, "<h3>%s</h3>\n", heading);
	for (size_t i = 0; i < list->n; i++) {
		const struct hps_fact *f = &list->items[i];

		if (only_missing && !f->missing)
			continue;
		if (!n++)
			hps_buf_adds(out, "<ul class=\"list\">\n");
		hps_html(out, "<li><strong><bdi>%s</bdi></strong>: <bdi>%s</bdi>", f->name, f->value);
		of_trials(out, f->n_trials, n_trials);
		hps_buf_adds(out, "</li>\n");
	}
	if (n)
		hps_buf_adds(out, "</ul>\n");
	else
		hps_html(out, "<p>%s</p>\n", none);
}

static void reservations(struct hps_buf *out, const struct hps_facts *f)
{
	hps_buf_adds(out, "<h3>True of every record of this kind</h3>\n<ul class=\"list\">\n");
	if (f->n_unverified)
		hps_html(out, "<li>Files marked as unverified: %lu. The recorder saw the name that was asked for, but did not hand out the file itself.</li>\n",
			 (unsigned long)f->n_unverified);
	if (f->n_edited)
		hps_html(out, "<li>Files that are not what their package brought: %lu.</li>\n", (unsigned long)f->n_edited);
	if (f->n_changed)
		hps_html(out, "<li>Files that changed while they were read: %lu. Their digests are of one moment.</li>\n", (unsigned long)f->n_changed);
	if (f->n_unreadable)
		hps_html(out, "<li>Lists of files or software that are not at hand: %zu. This page says less than the records do.</li>\n", f->n_unreadable);
	hps_buf_adds(out, "<li>Instructions that touch no file leave no trace: random numbers and clocks read straight from the processor, for example.</li>\n"
			  "<li>Work that a trial asked another, already running program to do is not seen.</li>\n"
			  "<li>Runs that were never started under the recorder are not in the ledger, and nothing here speaks about them.</li>\n</ul>\n");
}

void hps_page_unseen(const struct hps_page *p, const struct hps_study *s, const struct hps_facts *f)
{
	(void)s;
	hps_buf_adds(p->out, "<h2>What was not observed</h2>\n");
	bullets(p->out, "Gaps that the recorder noticed", "None: within what it can see, the recorder missed nothing.", &f->gaps, false, f->n_trials);
	bullets(p->out, "Facts that could not be had", "None.", &f->identities, true, f->n_trials);
	bullets(p->out, "Switches for repeatable runs that were left unset", "None of those that this page knows and the trials' software would heed.", &f->unset,
		false, f->n_trials);
	reservations(p->out, f);
}

/* ---- environment */

static const struct {
	const char *prefix, *label;
} labels[] = {
	{ "cpu.model", "Processor" },	      { "cpu.count", "Processors" },	 { "cpu.isa", "Instruction sets" },
	{ "cpu.microcode", "Microcode" },     { "memory.total", "Memory" },	 { "gpu", "GPU" },
	{ "os.release", "Operating system" }, { "kernel.release", "Kernel" },	 { "kernel.version", "Kernel build" },
	{ "libc.version", "C library" },      { "container", "Container" },	 { "host.name", "Host" },
	{ "scheduler", "Scheduler" },	      { "user.name", "User" },		 { "clock.synchronized", "Clock synchronized" },
	{ "git.commit", "Git commit" },	      { "git.dirty", "Uncommitted changes" }, { "git.diff", "Digest of the changes" },
};

static bool has_label(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return !strncmp(name, prefix, len) && (!name[len] || name[len] == '.');
}

/* rest: what the fact's name has beyond the label's, such as "uuid" of "gpu.uuid"; may be empty. */
static void fact_line(struct hps_buf *out, const char *label, const char *rest, const struct hps_fact *f, const struct hps_facts *facts)
{
	hps_html(out, "<dt>%s%s%s</dt><dd><bdi>%s</bdi>", label, *rest ? ", " : "", rest, f->value);
	if (f->source)
		hps_html(out, " <small><bdi>%s</bdi>%s<bdi>%s</bdi></small>", f->source, f->strength ? ", " : "", f->strength);
	if (f->n_trials != facts->n_trials)
		of_trials(out, f->n_trials, facts->n_trials);
	hps_buf_adds(out, "</dd>\n");
}

static const char *rest_of(const char *name, const char *prefix)
{
	const char *rest = name + strlen(prefix);

	return *rest ? rest + 1 : rest;
}

static void identities(struct hps_buf *out, const struct hps_facts *facts)
{
	hps_buf_adds(out, "<dl class=\"facts\">\n");
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		for (size_t j = 0; j < facts->identities.n; j++) {
			const struct hps_fact *f = &facts->identities.items[j];

			if (!f->missing && has_label(f->name, labels[i].prefix))
				fact_line(out, labels[i].label, rest_of(f->name, labels[i].prefix), f, facts);
		}
	}
	for (size_t i = 0; i < facts->seeds.n; i++) {
		_cleanup_free_ char *value = hps_format("%s, from %s", facts->seeds.items[i].name, facts->seeds.items[i].value);
		struct hps_fact f = { .value = value, .n_trials = facts->seeds.items[i].n_trials };

		fact_line(out, "Seed", "", &f, facts);
	}
	hps_html(out, "<dt>Files used</dt><dd>%zu different, each with its digest</dd>\n<dt>Shared libraries</dt><dd>%zu different</dd>\n</dl>\n",
		 facts->n_materials, facts->n_libraries);
}

static void names(struct hps_buf *out, const char *summary, const struct hps_fact_list *list, bool open, size_t n_trials)
{
	if (!list->n)
		return;
	hps_html(out, "<details%s><summary>%s (%zu)</summary>\n<ul class=\"names\">\n", open ? " open" : "", summary, list->n);
	for (size_t i = 0; i < list->n; i++) {
		const struct hps_fact *f = &list->items[i];

		hps_html(out, "<li><b><bdi>%s</bdi></b> <span><bdi>%s</bdi></span>", f->name, f->value);
		if (f->n_trials < n_trials)
			of_trials(out, f->n_trials, n_trials);
		hps_buf_adds(out, "</li>\n");
	}
	hps_buf_adds(out, "</ul></details>\n");
}

void hps_page_environment(const struct hps_page *p, const struct hps_study *s, const struct hps_facts *facts)
{
	(void)s;
	hps_buf_adds(p->out, "<h2>Where it ran, and with what</h2>\n");
	if (!facts->n_trials) {
		hps_buf_adds(p->out, "<p>No trial has ended yet.</p>\n");
		return;
	}
	identities(p->out, facts);
	names(p->out, "Python distributions that were used", &facts->python, facts->python.n <= 40, facts->n_trials);
	names(p->out, "Debian packages that own the files", &facts->packages, facts->packages.n <= 20, facts->n_trials);
}
