/* What is in a file that is about to be stored: known secrets, shapes of tokens, URLs and headers anywhere in it, names of secrets in
 * files of settings and scripts. One pass over the bytes, which looks closer only where two of them begin something. */
#include "core/redact.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK ((size_t)1 << 20)
#define OVERLAP ((size_t)64 << 10) /* no shape and no known form is longer */
#define SETTINGS_MAX ((off_t)1 << 20)

struct scan {
	const struct hps_redactor *r;
	const uint8_t *pairs;
	enum hps_look look;
	enum hps_content_secret worst;
};

static void note(struct scan *s, bool opaque)
{
	enum hps_content_secret one = opaque ? HPS_CONTENT_HOLDS : HPS_CONTENT_GUESSABLE;

	s->worst = one > s->worst ? one : s->worst;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* In a program, in prose or in a table a password that somebody might guess may be an example. */
static void note_span(struct scan *s, const struct hps_span *span)
{
	bool opaque = hps_rule_opaque(span->s, span->len);

	if (opaque || s->look != HPS_LOOK_SHAPES)
		note(s, opaque);
}

/* The password alone: user:password@ is what manuals write. Bytes that are no text are no URL: among 200 MiB of numbers such a one is likely. */
static void look_at_url(struct scan *s, const char *data, const char *at)
{
	static const char *const examples[] = { "password", "pass", "passwd", "pwd", "secret", "token", "pw" };
	struct hps_span span;
	const char *colon;

	if (!hps_text_userinfo(data, at, &span) || !hps_is_text(span.s, span.len))
		return;
	colon = memchr(span.s, ':', span.len);
	if (colon)
		span = (struct hps_span){ .s = colon + 1, .len = (size_t)(span.s + span.len - colon - 1) };
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
		if (strlen(examples[i]) == span.len && !memcmp(examples[i], span.s, span.len))
			return;
	if (hps_rule_value(HPS_STRICT, span.s, span.len) && *span.s != '$' && !hps_rule_filled_in(span.s, span.len))
		note_span(s, &span);
}

static void look_closer(struct scan *s, const char *data, size_t at, size_t len)
{
	const struct hps_known_secret *known = NULL;
	const char *class = NULL;
	struct hps_span span;

	if (s->r && !hps_known_none(s->r->known) && hps_known_at(s->r->known, data + at, len - at, &known))
		note(s, known->opaque);
	if ((!at || !is_alnum(data[at - 1])) && hps_rule_token(data + at, len - at < OVERLAP ? len - at : OVERLAP, &class))
		note(s, strcmp(class, "private-key") != 0);
	if (data[at] == '/' && data[at + 1] == '/')
		look_at_url(s, data, data + at + 2);
	if (data[at] == ':' && data[at + 1] == ' ' && hps_text_header(data, data + at + 2, &span)) {
		size_t scheme = hps_scheme_length(span.s, span.len);
		const char *value = span.s + scheme;

		if (s->look == HPS_LOOK_SHELL ? !hps_rule_expansion(value, span.len - scheme) : *value != '$')
			note_span(s, &span);
	}
}

static void scan_block(struct scan *s, const char *data, size_t len)
{
	const uint8_t *pairs = s->pairs;
	unsigned pair = len ? (uint8_t)data[0] : 0;

	for (size_t i = 1; i < len; i++) {
		pair = (pair << 8 | (uint8_t)data[i]) & 0xffff;
		if (pairs[pair >> 3] >> (pair & 7) & 1)
			look_closer(s, data, i - 1, len);
	}
}

/* What begins a URL's middle, and what ends a header's name. */
static void add_pairs(uint8_t pairs[8192])
{
	static const char *const more[] = { "//", ": " };

	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		unsigned pair = (unsigned)more[i][0] << 8 | (unsigned)more[i][1];

		pairs[pair >> 3] |= (uint8_t)(1 << (pair & 7));
	}
}

enum hps_content_secret hps_redact_content(const struct hps_redactor *r, int fd)
{
	_cleanup_free_ char *block = hps_realloc(NULL, BLOCK + 1, 1), *path = hps_fd_path(fd);
	uint8_t pairs[8192] = { 0 };
	struct scan s = { .r = r, .pairs = pairs };
	size_t kept = 0;
	off_t at = 0;
	ssize_t n;

	if (r && r->known)
		memcpy(pairs, r->pairs, sizeof pairs);
	hps_rule_token_pairs(pairs);
	add_pairs(pairs);
	while (s.worst != HPS_CONTENT_GUESSABLE && (n = pread(fd, block + kept, BLOCK - kept, at)) > 0) {
		size_t len = kept + (size_t)n;

		block[len] = '\0';
		if (!at)
			s.look = hps_rule_look(path ? path : "", block, len);
		scan_block(&s, block, len);
		if (s.look >= HPS_LOOK_SETTINGS && at + n <= SETTINGS_MAX) {
			enum hps_content_secret named = hps_redact_find(r, block, s.look);

			s.worst = named > s.worst ? named : s.worst;
		}
		at += n;
		kept = len < OVERLAP ? len : OVERLAP;
		memmove(block, block + len - kept, kept);
	}
	return s.worst;
}
