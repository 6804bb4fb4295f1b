/* hps-audit: parse, ask, print, exit. */
#include "audit/audit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *ledger, *study, *trust, *html;
	bool json, strict;
};

#define OPT_LEDGER { "ledger", 0, HPS_OPT_STRING, offsetof(struct options, ledger), "DIR", "the ledger (default: HPS_LEDGER, or the user's own)", 0 }
#define OPT_STUDY { "study", 0, HPS_OPT_STRING, offsetof(struct options, study), "NAME", "only this study", 0 }

#define OPT_TRUST \
	{ "trust", 0, HPS_OPT_STRING, offsetof(struct options, trust), "FILE", "the keys to trust (default: the ledger's own trust.json)", 0 }

static const struct hps_option check_options[] = {
	{ "json", 0, HPS_OPT_FLAG, offsetof(struct options, json), NULL, "print one JSON object (hps.audit.check/1)", 0 },
	OPT_LEDGER,
	{ "strict", 0, HPS_OPT_FLAG, offsetof(struct options, strict), NULL, "exit 4 when a rule could not be decided", 0 },
	OPT_STUDY,
	OPT_TRUST,
};
static const struct hps_option report_options[] = {
	{ "html", 0, HPS_OPT_STRING, offsetof(struct options, html), "FILE", "write the page there; '-' is the standard output", 0 },
	OPT_LEDGER,
	OPT_STUDY,
	OPT_TRUST,
};

static int print_json(const json_t *answer, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_json_canonical(answer, &text, err);

	if (r < 0)
		return r;
	printf("%s\n", text.data);
	return 0;
}

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
	struct hps_progress *p = arg;

	p->total = total;
	hps_progress_update(p, done);
}

static int open_source(const struct options *o, struct hps_source *ret, struct hps_error *err)
{
	struct hps_progress progress;
	struct hps_verify_options verify = { .trust = o->trust, .progress = show_progress, .progress_arg = &progress };
	int r;

	hps_progress_start(&progress, "verifying the ledger", 0);
	r = hps_source_open(o->ledger, o->study, &verify, ret, err);
	hps_progress_end(&progress);
	return r;
}

static int run_check(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = options;
	struct hps_source source;
	struct hps_findings findings;
	int r = open_source(o, &source, err);

	(void)argc;
	(void)argv;
	if (r < 0)
		return r;
	hps_rules_judge(&source.model, &source.verification, &findings);
	if (o->json) {
		_cleanup_json_ json_t *answer = hps_check_json(&source, &findings);

		r = print_json(answer, err);
	} else {
		hps_check_text(&source, &findings, stdout);
	}
	if (r == 0)
		r = hps_findings_exit(&findings, o->strict);
	hps_findings_release(&findings);
	hps_source_release(&source);
	return r;
}

static int write_page(const char *file, const struct hps_buf *page, struct hps_error *err)
{
	if (page->full)
		return hps_error_set(err, HPS_E_LIMIT, "writing the report: it would be larger than 1 GiB; choose one study by --study");
	if (!strcmp(file, "-"))
		return fwrite(page->data, 1, page->len, stdout) == page->len ? 0 : hps_error_errno(err, "writing the report");
	return hps_file_output(file, 0644, page->data, page->len, err);
}

static int run_report(void *options, int argc, char **argv, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf page = HPS_BUF_INIT;
	const struct options *o = options;
	struct hps_source source;
	struct hps_findings findings;
	int r;

	(void)argc;
	(void)argv;
	if (!o->html)
		return hps_error_set(err, HPS_E_USAGE, "report: which file is missing; usage: hps-audit report --html FILE");
	r = open_source(o, &source, err);
	if (r < 0)
		return r;
	hps_rules_judge(&source.model, &source.verification, &findings);
	hps_page_write(&page, &source, &findings);
	r = write_page(o->html, &page, err);
	if (r == 0 && findings.damaged) {
		hps_note("the ledger is damaged; the report says so: 'hps-ledger verify' names each place");
		r = 3;
	}
	hps_findings_release(&findings);
	hps_source_release(&source);
	return r;
}

static const struct hps_command commands[] = {
	{ "check", "[--json] [--strict] [--ledger DIR] [--study NAME] [--trust FILE]", "verify the ledger and judge its records by the rules", check_options,
	  ARRAY_SIZE(check_options), sizeof(struct options), 0, 0, run_check },
	{ "report", "--html FILE [--ledger DIR] [--study NAME] [--trust FILE]", "write a page about the records, for people", report_options,
	  ARRAY_SIZE(report_options), sizeof(struct options), 0, 0, run_report },
};
static const struct hps_program program = { "hps-audit", "Answers from the ledger: do these records hold, and what do they say?", commands,
					    ARRAY_SIZE(commands) };

int main(int argc, char **argv)
{
	return hps_main(&program, argc, argv);
}
