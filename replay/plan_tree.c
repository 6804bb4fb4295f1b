/* The tree of a plan: nodes by path, parents before their children. */
#include "replay/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int hps_plan_damaged(struct hps_error *err, const char *path, const char *what)
{
	return hps_error_set(err, HPS_E_FORMAT, "planning the view: '%s' %s", path, what);
}

size_t hps_plan_index(const struct hps_plan *plan, const char *path)
{
	return (size_t)hps_map_get(&plan->index, path); /* 0: none, else number + 1 */
}

const struct hps_plan_node *hps_plan_find(const struct hps_plan *p, const char *path)
{
	size_t i = hps_plan_index(p, path);

	return i ? &p->nodes[i - 1] : NULL;
}

size_t hps_plan_append(struct hps_plan *plan, const char *path, size_t parent, enum hps_plan_kind kind)
{
	plan->nodes = hps_grow(plan->nodes, plan->n, sizeof *plan->nodes);
	plan->nodes[plan->n] = (struct hps_plan_node){ .kind = kind, .path = hps_strdup(path), .parent = parent, .size = -1, .mtime_ns = -1, .beginning = -1, .rank = SIZE_MAX };
	*hps_map_slot(&plan->index, path) = (void *)(plan->n + 1);
	return plan->n++;
}

void hps_plan_add_ghost(struct hps_plan *p, const char *path, size_t parent, mode_t mode, int64_t size, int64_t mtime_ns)
{
	size_t i = hps_plan_append(p, path, parent, HPS_PLAN_GHOST);
	struct hps_plan_node *node = &p->nodes[i];

	node->known = mode;
	node->size = size;
	node->mtime_ns = mtime_ns;
}

/* A directory and all above it. *ret is its number. */
int hps_plan_add_directory(struct hps_plan *p, const char *path, size_t *ret, struct hps_error *err)
{
	_cleanup_free_ char *prefix = hps_strdup(path);
	size_t parent = 0, found;

	for (char *end = prefix + 1; *prefix && prefix[1];) {
		char after;

		end += strcspn(end, "/");
		after = *end;
		*end = '\0';
		found = hps_plan_index(p, prefix);
		parent = found ? found - 1 : hps_plan_append(p, prefix, parent, HPS_PLAN_DIRECTORY);
		if (p->nodes[parent].kind == HPS_PLAN_GHOST)
			p->nodes[parent].kind = HPS_PLAN_DIRECTORY;
		if (p->nodes[parent].kind != HPS_PLAN_DIRECTORY)
			return hps_plan_damaged(err, prefix, "is a directory and something else");
		*end = after;
		if (!after)
			break;
		end++;
	}
	*ret = parent;
	return 0;
}

static int add_parent(struct hps_plan *p, const char *path, size_t *ret, struct hps_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = hps_strndup(path, slash == path ? 1 : (size_t)(slash - path));

	return hps_plan_add_directory(p, parent, ret, err);
}

int hps_plan_add_node(struct hps_plan *p, const char *path, enum hps_plan_kind kind, struct hps_plan_node **ret, struct hps_error *err)
{
	size_t parent, found;
	int r;

	if (kind == HPS_PLAN_DIRECTORY) {
		r = hps_plan_add_directory(p, path, &found, err);
		*ret = r ? NULL : &p->nodes[found];
		return r;
	}
	r = add_parent(p, path, &parent, err);
	if (r)
		return r;
	found = hps_plan_index(p, path);
	if (!found)
		found = hps_plan_append(p, path, parent, kind) + 1;
	*ret = &p->nodes[found - 1];
	if ((*ret)->kind == HPS_PLAN_GHOST)
		(*ret)->kind = kind;
	return (*ret)->kind == kind ? 0 : hps_plan_damaged(err, path, "is two things");
}

bool hps_plan_is_made(const struct hps_plan *p, const char *path)
{
	return hps_map_get(&p->made, path) != NULL;
}

char *hps_plan_python_source(const char *path)
{
	static const char cache[] = "/__pycache__/";
	const char *at = strstr(path, cache), *name, *dot;
	size_t len = strlen(path);

	if (!at || len < 4 || strcmp(path + len - 4, ".pyc") != 0)
		return NULL;
	name = at + strlen(cache);
	dot = strchr(name, '.');
	return dot && !strchr(name, '/') ? hps_format("%.*s/%.*s.py", (int)(at - path), path, (int)(dot - name), name) : NULL;
}

int hps_plan_substitute(struct hps_plan *p, const char *path, const struct hps_digest *digest)
{
	size_t i = hps_plan_index(p, path);

	if (!i || p->nodes[i - 1].kind != HPS_PLAN_FILE)
		return -ENOENT;
	p->nodes[i - 1].digest = *digest;
	p->nodes[i - 1].size = p->nodes[i - 1].beginning = -1;
	p->nodes[i - 1].blank = false;
	return 0;
}

void hps_plan_release(struct hps_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->nodes[i].attributes);
		free(p->nodes[i].path);
		free(p->nodes[i].target);
	}
	free(p->nodes);
	hps_map_release(&p->index);
	hps_map_release(&p->made);
	for (size_t i = 0; i < ARRAY_SIZE(p->standard); i++)
		free(p->standard[i]);
	hps_holes_release(&p->problems);
	hps_holes_release(&p->holes);
	*p = (struct hps_plan){ 0 };
}
