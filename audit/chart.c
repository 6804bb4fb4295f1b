/* A scatter chart with a best-so-far line as inline SVG. Colours and sizes come from the page's style by class, so that one
 * drawing serves light, dark, narrow and paper. */
#include "audit/audit.h"

#include <math.h>
#include <string.h>

/* In units of the view box. */
struct frame {
	double width, height, left, right, top, bottom;
	double x_low, x_high, y_low, y_high;
	double lane; /* y of the marks of failed trials */
};

size_t hps_chart_ticks(double low, double high, size_t max_ticks, bool integers, double ret[16])
{
	static const double steps[] = { 1, 2, 5, 10 };
	double span = high - low, power, step = 0;
	size_t n = 0;

	/* Within a few steps of what a double can tell apart there is nothing to label. */
	if (!isfinite(span) || !(span > 1e-12 * fmax(fabs(low), fabs(high))) || max_ticks < 2)
		return 0;
	max_ticks = max_ticks > 16 ? 16 : max_ticks;
	power = pow(10, floor(log10(span / (double)max_ticks)));
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		step = steps[i] * power;
		if (integers && step < 1)
			step = 1;
		if (floor(high / step) - ceil(low / step) + 1 <= (double)max_ticks)
			break;
	}
	for (double k = ceil(low / step - 1e-9); k <= floor(high / step + 1e-9) && n < max_ticks; k++)
		ret[n++] = k * step;
	return n;
}

static double scale_x(const struct hps_chart *c, double x)
{
	return c->x_log ? log10(x) : x;
}

static double at_x(const struct frame *f, double x)
{
	return f->left + (x - f->x_low) / (f->x_high - f->x_low) * (f->width - f->left - f->right);
}

static double at_y(const struct frame *f, double y)
{
	return f->height - f->bottom - (y - f->y_low) / (f->y_high - f->y_low) * (f->height - f->top - f->bottom);
}

/* Widens so that no point lies on the edge, and so that a single value has a place. */
static void pad(double *low, double *high, double share)
{
	double room = (*high - *low) * share;

	if (!(*low <= *high)) {
		*low = 0;
		*high = 1;
		return;
	}
	if (!(room > 0))
		room = fabs(*low) > 0 ? fabs(*low) * 0.05 : 0.5;
	*low -= room;
	*high += room;
}

static struct frame frame_of(const struct hps_chart *c)
{
	static const struct frame shapes[] = {
		[HPS_CHART_WIDE] = { .width = 880, .height = 340, .left = 66, .right = 18, .top = 14, .bottom = 70 },
		[HPS_CHART_NARROW] = { .width = 350, .height = 290, .left = 54, .right = 12, .top = 14, .bottom = 66 },
		[HPS_CHART_SMALL] = { .width = 290, .height = 220, .left = 52, .right = 18, .top = 14, .bottom = 64 },
	};
	struct frame f = shapes[c->shape];

	f.x_low = f.y_low = INFINITY;
	f.x_high = f.y_high = -INFINITY;
	for (size_t i = 0; i < c->n_points; i++) {
		double x = scale_x(c, c->points[i].x);

		f.x_low = fmin(f.x_low, x);
		f.x_high = fmax(f.x_high, x);
		if (c->points[i].failed)
			continue;
		f.y_low = fmin(f.y_low, c->points[i].y);
		f.y_high = fmax(f.y_high, c->points[i].y);
	}
	pad(&f.x_low, &f.x_high, c->x_names ? 0.15 : 0.04);
	pad(&f.y_low, &f.y_high, 0.08);
	f.lane = f.height - f.bottom + 12;
	return f;
}

static void tick_label(struct hps_buf *out, double value, double step)
{
	int decimals = step > 0 && step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;

	if (fabs(value) < step * 1e-6)
		value = 0;
	if (decimals > 6 || fabs(value) >= 1e6)
		hps_buf_addf(out, "%.3g", value);
	else
		hps_buf_addf(out, "%.*f", decimals, value);
}

static void y_axis(struct hps_buf *out, const struct hps_chart *c, const struct frame *f)
{
	double ticks[16];
	size_t n = hps_chart_ticks(f->y_low, f->y_high, c->shape == HPS_CHART_SMALL ? 4 : 6, false, ticks);

	for (size_t i = 0; i < n; i++) {
		double y = at_y(f, ticks[i]);

		hps_buf_addf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", f->left, y, f->width - f->right, y);
		hps_buf_addf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" dy=\"0.32em\">", f->left - 8, y);
		tick_label(out, ticks[i], n > 1 ? ticks[1] - ticks[0] : 1);
		hps_buf_adds(out, "</text>\n");
	}
}

/* The marks of failed trials lie between the values and the axis. */
static double foot(const struct frame *f)
{
	return f->lane + 9;
}

static void x_tick(struct hps_buf *out, const struct frame *f, double at)
{
	double x = at_x(f, at);

	hps_buf_addf(out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x, foot(f), x, foot(f) + 4);
	hps_buf_addf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x, foot(f) + 17);
}

/* Within a few decades 1, 2 and 5 of each, if they fit; else powers of ten. */
static size_t log_ticks(double low, double high, size_t most, double ret[16])
{
	static const double parts[] = { 1, 2, 5 };
	size_t n = 0;

	if (high - low > 3)
		return hps_chart_ticks(low, high, most, true, ret);
	for (double decade = floor(low); decade <= high; decade++) {
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
			double at = decade + log10(parts[i]);

			if (at >= low && at <= high && n < 16)
				ret[n++] = at;
		}
	}
	return n <= most ? n : hps_chart_ticks(low, high, most, true, ret);
}

static void log_label(struct hps_buf *out, double at)
{
	double value = pow(10, at);

	if (fabs(at) > 3)
		hps_buf_addf(out, "%.0fe%.0f", value / pow(10, floor(at + 1e-9)), floor(at + 1e-9));
	else
		hps_buf_addf(out, "%.4g", value);
}

static void x_axis(struct hps_buf *out, const struct hps_chart *c, const struct frame *f)
{
	double ticks[16];
	size_t n, most = c->shape == HPS_CHART_WIDE ? 12 : c->x_log ? 4 : c->shape == HPS_CHART_NARROW ? 7 : 5;

	if (c->x_names) {
		for (size_t i = 0; i < c->x_names->n && i < 12; i++) {
			x_tick(out, f, (double)i);
			hps_html(out, "%s</text>\n", c->x_names->v[i]);
		}
		return;
	}
	n = c->x_log ? log_ticks(f->x_low, f->x_high, most, ticks) : hps_chart_ticks(f->x_low, f->x_high, most, c->x_integers, ticks);
	for (size_t i = 0; i < n; i++) {
		x_tick(out, f, ticks[i]);
		if (c->x_log)
			log_label(out, ticks[i]);
		else
			tick_label(out, ticks[i], n > 1 ? ticks[1] - ticks[0] : 1);
		hps_buf_adds(out, "</text>\n");
	}
}

static void axes(struct hps_buf *out, const struct hps_chart *c, const struct frame *f)
{
	y_axis(out, c, f);
	x_axis(out, c, f);
	hps_buf_addf(out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", f->left, foot(f), f->width - f->right, foot(f));
	hps_buf_addf(out, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", (f->left + f->width - f->right) / 2, f->height - 4);
	hps_html(out, "%s</text>\n", c->x_label);
	if (c->shape != HPS_CHART_WIDE)
		return;
	hps_buf_addf(out, "<text class=\"label y\" transform=\"translate(14 %.1f) rotate(-90)\" text-anchor=\"middle\">",
		     (f->top + f->height - f->bottom) / 2);
	hps_html(out, "%s</text>\n", c->y_label);
}

static bool better(enum hps_goal goal, double a, double b)
{
	return goal == HPS_GOAL_MIN ? a < b : a > b;
}

/* The best value known after each trial, as steps. */
static void best_line(struct hps_buf *out, const struct hps_chart *c, const struct frame *f)
{
	double best = NAN;

	if (c->goal == HPS_GOAL_UNKNOWN)
		return;
	for (size_t i = 0; i < c->n_points; i++) {
		const struct hps_point *p = &c->points[i];

		if (p->failed)
			continue;
		if (isnan(best))
			hps_buf_addf(out, "<path class=\"best-line\" d=\"M%.1f %.1f", at_x(f, scale_x(c, p->x)), at_y(f, p->y));
		else if (better(c->goal, p->y, best))
			hps_buf_addf(out, "H%.1fV%.1f", at_x(f, scale_x(c, p->x)), at_y(f, p->y));
		if (isnan(best) || better(c->goal, p->y, best))
			best = p->y;
	}
	if (!isnan(best))
		hps_buf_addf(out, "H%.1f\"/>\n", at_x(f, scale_x(c, c->points[c->n_points - 1].x)));
}

#define LABELS_MAX 2000 /* beyond, hovering helps nobody and the page grows */

static void point(struct hps_buf *out, const struct hps_chart *c, const struct frame *f, const struct hps_point *p)
{
	double x = at_x(f, scale_x(c, p->x)), y = p->failed ? f->lane : at_y(f, p->y), r = (c->shape == HPS_CHART_WIDE ? 4.5 : 3.8) * (c->n_points > 100 ? 0.7 : 1);

	hps_buf_adds(out, "<g>");
	if (p->label && c->n_points <= LABELS_MAX)
		hps_html(out, "<title>%s</title>", p->label);
	if (p->failed)
		hps_buf_addf(out, "<path class=\"failed\" d=\"M%.1f %.1fl8 8m0 -8l-8 8\"/>", x - 4, y - 4);
	else
		hps_buf_addf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", p->best ? "point best" : "point", x, y, p->best ? r + 1 : r);
	if (p->best && !p->failed)
		hps_buf_addf(out, "<circle class=\"ring\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", x, y, r + 5);
	hps_buf_adds(out, "</g>\n");
}

void hps_chart_svg(struct hps_buf *out, const struct hps_chart *c)
{
	static const char *const classes[] = { "wide", "narrow", "small" };
	struct frame f = frame_of(c);

	hps_html(out, "<svg class=\"chart %s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-title %s-text\">\n", classes[c->shape],
		 f.width, f.height, c->id, c->id);
	hps_html(out, "<title id=\"%s-title\">%s</title>\n<desc id=\"%s-text\">%s</desc>\n", c->id, c->title, c->id, c->description);
	axes(out, c, &f);
	best_line(out, c, &f);
	for (size_t i = 0; i < c->n_points; i++)
		if (!c->points[i].best)
			point(out, c, &f, &c->points[i]);
	for (size_t i = 0; i < c->n_points; i++) /* on top */
		if (c->points[i].best)
			point(out, c, &f, &c->points[i]);
	hps_buf_adds(out, "</svg>\n");
}
