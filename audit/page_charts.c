/* Pictures of a study: the metric over the trials, and against each parameter. Closes its section and opens the next. */
#include "audit/audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_MAX 9 /* charts of parameters */

static char *point_label(const struct hps_trial *t, const char *metric)
{
	_cleanup_free_ char *how = hps_trial_exit(t);
	const char *value = hps_json_text(hps_trial_metrics(t), metric);

	if (t->state == HPS_STATE_COMPLETE && value)
		return hps_format("trial %lld: %s %s", (long long)t->number, metric, value);
	return hps_format("trial %lld: %s, %s", (long long)t->number, hps_state_name(t->state), t->state == HPS_STATE_COMPLETE ? "no value" : how);
}

static struct hps_point point_of(const struct hps_trial *t, double x, const char *metric, const struct hps_trial *best)
{
	struct hps_point p = { .x = x, .best = t == best, .label = point_label(t, metric) };

	p.failed = t->state != HPS_STATE_COMPLETE || !hps_trial_metric(t, metric, &p.y);
	return p;
}

static void points_release(struct hps_chart *c)
{
	for (size_t i = 0; i < c->n_points; i++)
		free(c->points[i].label);
	free(c->points);
}

static void key(struct hps_buf *out, bool line, bool failed)
{
	hps_buf_adds(out, "<ul class=\"key\" aria-hidden=\"true\"><li><svg viewBox=\"0 0 24 14\"><circle class=\"point\" cx=\"12\" cy=\"7\" r=\"4.5\"/>"
			  "</svg>a trial that finished</li>");
	if (line)
		hps_buf_adds(out, "<li><svg viewBox=\"0 0 24 14\"><path class=\"best-line\" d=\"M1 11H12V4H23\"/></svg>best so far</li>"
				  "<li><svg viewBox=\"0 0 24 14\"><circle class=\"point best\" cx=\"12\" cy=\"7\" r=\"4\"/>"
				  "<circle class=\"ring\" cx=\"12\" cy=\"7\" r=\"6.4\"/></svg>best of all</li>");
	if (failed)
		hps_buf_adds(out, "<li><svg viewBox=\"0 0 24 14\"><path class=\"failed\" d=\"M8 3l8 8m0 -8l-8 8\"/></svg>did not finish, or gave no value</li>");
	hps_buf_adds(out, "</ul>\n");
}

static void over_trials(struct hps_buf *out, const struct hps_study *s, const char *metric, enum hps_goal goal, size_t n)
{
	_cleanup_free_ char *id = hps_format("chart-%zu", n), *narrow_id = hps_format("chart-%zu-narrow", n), *title = hps_format("%s of each trial", metric);
	_cleanup_free_ char *text = hps_format("One point for each of %zu trials, in the order of their numbers; the table below has every value.", s->n_trials);
	struct hps_chart c = { .id = id, .title = title, .description = text, .x_label = "trial number", .y_label = metric, .goal = goal,
			       .x_integers = true };
	const struct hps_trial *best = hps_study_best(s);
	bool failed = false;

	c.points = hps_alloc(s->n_trials * sizeof(*c.points));
	for (size_t i = 0; i < s->n_trials; i++) {
		c.points[i] = point_of(s->trials[i], (double)(s->name ? s->trials[i]->number : (int64_t)i), metric, best);
		failed |= c.points[i].failed;
	}
	c.n_points = s->n_trials;
	if (!s->name)
		c.x_label = "run, in the order of the ledger";
	hps_html(out, "<figure><figcaption><bdi>%s</bdi> of each trial%s</figcaption>\n", metric,
		 goal == HPS_GOAL_UNKNOWN ? "" : goal == HPS_GOAL_MIN ? "; lower is better" : "; higher is better");
	hps_chart_svg(out, &c);
	c.shape = HPS_CHART_NARROW;
	c.id = narrow_id;
	hps_chart_svg(out, &c);
	key(out, goal != HPS_GOAL_UNKNOWN, failed);
	hps_buf_adds(out, "</figure>\n");
	points_release(&c);
}

/* ---- the metric against a parameter */

struct scale {
	bool numbers, log, varies;
	struct hps_strv names; /* the different values, sorted, when they are not all numbers */
};

static size_t name_position(const struct hps_strv *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->v[i], name))
			return i;
	return names->n;
}

/* Positive numbers over more than a factor of 50 are read better as orders of magnitude. */
static struct scale scale_of(const struct hps_study *s, const char *param)
{
	struct scale scale = { .numbers = true, .names = HPS_STRV_INIT };
	double x, low = INFINITY, high = -INFINITY;

	for (size_t i = 0; i < s->n_trials; i++) {
		const char *value = hps_json_text(hps_trial_params(s->trials[i]), param);

		if (!value)
			continue;
		if (hps_parse_double(value, &x)) {
			scale.numbers = false;
		} else {
			low = fmin(low, x);
			high = fmax(high, x);
		}
		if (scale.names.n < 13 && name_position(&scale.names, value) == scale.names.n)
			hps_strv_add(&scale.names, value);
	}
	scale.varies = scale.names.n > 1;
	scale.log = scale.numbers && low > 0 && (high / low > 50 || hps_study_is_log(s, param));
	hps_strv_sort(&scale.names);
	return scale;
}

static bool place_on(const struct scale *scale, const char *value, double *ret)
{
	size_t position;

	if (!value)
		return false;
	if (scale->numbers)
		return hps_parse_double(value, ret) == 0;
	position = name_position(&scale->names, value);
	*ret = (double)position;
	return position < scale->names.n;
}

static void against(struct hps_buf *out, const struct hps_study *s, const char *metric, const char *param, const struct scale *scale, const char *id)
{
	_cleanup_free_ char *title = hps_format("%s against %s", metric, param);
	_cleanup_free_ char *label = hps_format("%s%s", param, scale->log ? " (logarithmic)" : "");
	struct hps_chart c = { .id = id, .title = title, .description = "One point for each trial that finished.", .x_label = label, .y_label = metric,
			       .shape = HPS_CHART_SMALL, .x_log = scale->log, .x_names = scale->numbers ? NULL : &scale->names };
	const struct hps_trial *best = hps_study_best(s);
	double x;

	c.points = hps_alloc(s->n_trials * sizeof(*c.points));
	for (size_t i = 0; i < s->n_trials; i++)
		if (place_on(scale, hps_json_text(hps_trial_params(s->trials[i]), param), &x))
			c.points[c.n_points++] = point_of(s->trials[i], x, metric, best);
	hps_chart_svg(out, &c);
	points_release(&c);
}

static void against_params(struct hps_buf *out, const struct hps_study *s, const char *metric, size_t n)
{
	_cleanup_strv_ struct hps_strv params = HPS_STRV_INIT;
	size_t shown = 0;

	hps_study_params(s, &params);
	for (size_t i = 0; i < params.n && shown < SMALL_MAX; i++) {
		struct scale scale = scale_of(s, params.v[i]);
		_cleanup_free_ char *id = hps_format("chart-%zu-%zu", n, i);

		if (scale.varies && scale.names.n <= (scale.numbers ? 13 : 12)) {
			if (!shown++)
				hps_html(out, "<figure><figcaption><bdi>%s</bdi> against each parameter</figcaption>\n<div class=\"charts\">\n", metric);
			against(out, s, metric, params.v[i], &scale, id);
		}
		hps_strv_release(&scale.names);
	}
	if (shown)
		hps_buf_adds(out, "</div></figure>\n");
}

void hps_page_charts(const struct hps_page *p, const struct hps_study *s, size_t n)
{
	enum hps_goal goal;
	const char *metric = hps_study_objective(s, &goal);

	if (!metric || s->n_trials < 2)
		return;
	hps_buf_adds(p->out, "<h2>How the search went</h2>\n");
	over_trials(p->out, s, metric, goal, n);
	against_params(p->out, s, metric, n);
	hps_buf_adds(p->out, "</section>\n<section>\n");
}
