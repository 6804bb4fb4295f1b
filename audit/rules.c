/* The rules as a table, and what their outcomes come to together. The ids and what they ask for are stable; what they
 * support evidence for is named, and no rule says that anything complies with anything. */
#include "audit/audit.h"

#include <stdlib.h>

const struct hps_rule hps_rules[] = {
	{ "ID-01", "every study and trial number is used once", "attributable records (ALCOA), AU-3", hps_rule_unique_numbers },
	{ "ID-02", "who ran it is recorded, and how that is known", "21 CFR 11.10(d), ALCOA", hps_rule_operator },
	{ "ID-03", "start and end in UTC, in order, clock state known", "AU-8, contemporaneous records (ALCOA)", hps_rule_times },
	{ "ID-04", "host, boot and scheduler job recorded or explained", "EU AI Act Art. 12", hps_rule_machine },
	{ "INT-01", "every entry is signed by a trusted key", "21 CFR 11.70, AU-10", hps_rule_signatures },
	{ "INT-02", "the tree is whole and no begin counter is missing", "21 CFR 11.10(e), AU-9(3)", hps_rule_tree },
	{ "INT-03", "the witnesses that the trust file asks for have cosigned", "AU-9(3), AU-10", hps_rule_witnessed },
	{ "INT-04", "no entry was altered", "21 CFR 11.10(e), original records (ALCOA)", hps_rule_unaltered },
	{ "INT-05", "every number handed out and every begin has its end", "NeurIPS checklist, complete records", hps_rule_ends },
	{ "INT-06", "failed, killed and lost trials are kept and counted", "complete records (ALCOA+)", hps_rule_retained },
	{ "INT-07", "everything that the records name is there and whole", "enduring, available records (ALCOA+)", hps_rule_objects },
	{ "INT-08", "recorder version, digest and self-test recorded", "21 CFR 11.10(a)", hps_rule_recorder },
	{ "CAP-01", "the recorder saw all that it can see", "accurate records (ALCOA)", hps_rule_coverage },
	{ "ENV-01", "the image of a container is known by its digest", "ISO/IEC 42001 A.4, ACM artifacts", hps_rule_container },
	{ "ENV-05", "no library or package was found changed", "integrity of software", hps_rule_software },
	{ "COD-03", "submodules and large files were there", "EU AI Act Annex IV", hps_rule_code },
	{ "HW-01", "cards that were opened are identified", "NeurIPS checklist, compute", hps_rule_cards },
	{ "HW-02", "no card had errors or was slowed down", "accurate records (ALCOA)", hps_rule_card_errors },
	{ "HW-03", "processor and limits are recorded or explained", "NeurIPS checklist, compute", hps_rule_processor },
};
const size_t hps_n_rules = ARRAY_SIZE(hps_rules);

void hps_rules_judge(const struct hps_model *m, const struct hps_verification *v, struct hps_findings *ret)
{
	*ret = (struct hps_findings){ .n = hps_n_rules, .damaged = v->n_problems || m->n_unread };
	ret->items = hps_alloc(hps_n_rules * sizeof(*ret->items));
	for (size_t i = 0; i < hps_n_rules; i++) {
		struct hps_finding *f = &ret->items[i];

		f->rule = &hps_rules[i];
		f->rule->judge(m, v, f);
		hps_finding_settle(f);
		ret->count[f->outcome]++;
	}
}

void hps_findings_release(struct hps_findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		hps_finding_release(&f->items[i]);
	free(f->items);
	*f = (struct hps_findings){ 0 };
}

int hps_findings_exit(const struct hps_findings *f, bool strict)
{
	if (f->damaged)
		return 3;
	if (f->count[HPS_OUTCOME_FAIL])
		return 1;
	return strict && f->count[HPS_OUTCOME_UNKNOWN] ? 4 : 0;
}

const char *hps_findings_word(const struct hps_findings *f)
{
	if (f->damaged)
		return "damaged";
	if (f->count[HPS_OUTCOME_FAIL])
		return "fail";
	return f->count[HPS_OUTCOME_UNKNOWN] ? "unknown" : "pass";
}
