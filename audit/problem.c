/* Which part of a ledger a problem is about, so that it counts under one rule. The verifier says it in words and by the file:
 * tests/e2e/52-audit-damage.t damages each part and pins the rule that fails. */
#include "audit/audit.h"

#include <string.h>

static bool starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

enum hps_area hps_problem_area(const struct hps_problem *p)
{
	if (p->file && starts(p->file, "objects"))
		return HPS_AREA_OBJECT;
	if (p->index < 0 || (p->file && !starts(p->file, "tiles/envelope")))
		return HPS_AREA_TREE;
	if (strstr(p->what, "does not verify") || strstr(p->what, "trust file does not name"))
		return HPS_AREA_SIGNATURE;
	return HPS_AREA_ENTRY;
}
