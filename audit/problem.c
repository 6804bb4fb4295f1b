/* Which part of a ledger a problem is about, so that it counts under one rule. */
#include "audit/audit.h"

#include <string.h>

static bool starts(const char *s, const char *prefix)
{
	return s && !strncmp(s, prefix, strlen(prefix));
}

enum hps_area hps_problem_area(const struct hps_problem *p)
{
	if (starts(p->file, "objects"))
		return HPS_AREA_OBJECT;
	if (p->index < 0 && !p->id)
		return HPS_AREA_TREE;
	return strstr(p->what, "signature") || strstr(p->what, "not trusted") ? HPS_AREA_SIGNATURE : HPS_AREA_ENTRY;
}
