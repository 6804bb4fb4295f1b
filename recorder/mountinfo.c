/* /proc/PID/mountinfo and /proc/PID/cgroup, line by line (proc(5)). */
#include "recorder/identity.h"

#include <string.h>

/* The kernel writes blank, tab, newline and backslash as \ooo. In place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *c = text; *c; to++) {
		bool octal = *c == '\\' && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' && c[2] <= '7' && c[3] >= '0' && c[3] <= '7';

		*to = octal ? (char)((c[1] - '0') << 6 | (c[2] - '0') << 3 | (c[3] - '0')) : *c;
		c += octal ? 4 : 1;
	}
	*to = '\0';
}

static char *next_line(char **at)
{
	char *line = *at, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	if (end)
		*end++ = '\0';
	*at = end;
	return line;
}

/* "36 35 98:0 /root /point options optional… - type source super,options" */
bool hps_mountinfo_next(char **at, struct hps_mount *ret)
{
	for (char *line; (line = next_line(at));) {
		char *dash = strstr(line, " - "), *rest = NULL, *words[5] = { NULL };

		if (!dash)
			continue;
		*dash = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = strtok_r(i ? NULL : line, " ", &rest);
		ret->type = strtok_r(dash + 3, " ", &rest);
		ret->source = strtok_r(NULL, " ", &rest);
		ret->options = strtok_r(NULL, " ", &rest);
		if (!words[4] || !ret->type)
			continue;
		ret->root = words[3];
		ret->point = words[4];
		ret->source = ret->source ? ret->source : "";
		ret->options = ret->options ? ret->options : "";
		unescape(words[3]);
		unescape(words[4]);
		return true;
	}
	return false;
}

/* A word of a list with commas. */
bool hps_list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == len && !memcmp(at, word, len))
			return true;
	return false;
}

/* "4:memory,hugetlb:/path"; version 2 is "0::/path". */
char *hps_cgroup_path(const char *text, const char *controller)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		const char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL, *end = line + strcspn(line, "\n");
		_cleanup_free_ char *names = NULL;

		if (!path || path > end)
			continue;
		names = hps_strndup(list + 1, (size_t)(path - list - 1));
		if (controller ? hps_list_has(names, controller) : !*names)
			return hps_strndup(path + 1, (size_t)(end - path - 1));
	}
	return NULL;
}
