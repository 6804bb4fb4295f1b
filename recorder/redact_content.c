/* What is in a file that is about to be stored: known secrets and shapes of tokens anywhere in it, names of secrets in files of
 * settings. One pass over the bytes, which looks closer only where two of them begin something. */
#include "recorder/redact.h"

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

static void look_closer(struct scan *s, const char *data, size_t at, size_t len)
{
	const struct hps_known_secret *known = NULL;
	const char *class = NULL;

	if (s->r && !hps_known_none(s->r->known) && hps_known_at(s->r->known, data + at, len - at, &known))
		note(s, known->opaque);
	if ((!at || !is_alnum(data[at - 1])) && hps_rule_token(data + at, len - at < OVERLAP ? len - at : OVERLAP, &class))
		note(s, strcmp(class, "private-key") != 0);
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

static bool is_settings(int fd)
{
	_cleanup_free_ char *path = hps_fd_path(fd);
	struct stat st;

	return path && fstat(fd, &st) == 0 && st.st_size <= SETTINGS_MAX && hps_rule_settings(path);
}

enum hps_content_secret hps_redact_content(const struct hps_redactor *r, int fd)
{
	_cleanup_free_ char *block = hps_realloc(NULL, BLOCK + 1, 1);
	uint8_t own[8192] = { 0 };
	struct scan s = { .r = r, .pairs = r && r->known ? r->pairs : own };
	bool settings = is_settings(fd);
	size_t kept = 0;
	off_t at = 0;
	ssize_t n;

	hps_rule_token_pairs(own);
	while (s.worst != HPS_CONTENT_GUESSABLE && (n = pread(fd, block + kept, BLOCK - kept, at)) > 0) {
		size_t len = kept + (size_t)n;

		scan_block(&s, block, len);
		if (settings && at + n <= SETTINGS_MAX) {
			enum hps_content_secret named;

			block[len] = '\0';
			named = hps_redact_find(r, block);
			s.worst = named > s.worst ? named : s.worst;
		}
		at += n;
		kept = len < OVERLAP ? len : OVERLAP;
		memmove(block, block + len - kept, kept);
	}
	return s.worst;
}
