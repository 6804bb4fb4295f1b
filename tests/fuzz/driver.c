/* Runs a target without a fuzzer: over files, and over mutations of each. usage: TARGET [-n ROUNDS] [-s SEED] [-k KEEP] FILE…; KEEP gets each input
 * before it runs: what is in it after a crash caused it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Flips, cuts, repeats and overwrites with values that tend to break things. */
static size_t mutate(uint64_t *s, uint8_t *data, size_t size)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, '"', '[', '{', '\n' };

	for (size_t k = 1 + next(s) % 4; k-- && size;) {
		size_t i = next(s) % size, n = 1 + next(s) % (size - i < 8 ? size - i : 8);

		switch (next(s) % 5) {
		case 0:
			data[i] ^= (uint8_t)(1 << next(s) % 8);
			break;
		case 1:
			memset(data + i, edges[next(s) % sizeof edges], n);
			break;
		case 2:
			size = i ? i : 1;
			break;
		case 3:
			memmove(data + next(s) % (size - n + 1), data + i, n);
			break;
		default:
			data[i] = (uint8_t)next(s);
		}
	}
	return size;
}

static int run(const char *path, uint64_t rounds, uint64_t *seed, const char *kept)
{
	_cleanup_buf_ struct hps_buf content = HPS_BUF_INIT;
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;

	if (hps_file_read(AT_FDCWD, path, (size_t)64 << 20, &content, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	for (uint64_t i = 0; i <= rounds; i++) {
		uint8_t *copy = malloc(content.len ? content.len : 1); /* exact: an overrun is seen by a sanitizer */
		size_t size = content.len;

		if (!copy)
			return 1;
		memcpy(copy, content.data ? content.data : "", size);
		size = i ? mutate(seed, copy, size) : size;
		if (kept && hps_file_write(AT_FDCWD, kept, 0644, copy, size, &err))
			return 1;
		LLVMFuzzerTestOneInput(copy, size);
		free(copy);
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t rounds = 0, seed = 1;
	const char *kept = NULL;
	int c, r = 0;

	while ((c = getopt(argc, argv, "n:s:k:")) != -1)
		if (c == 'k')
			kept = optarg;
		else if (c == '?' || hps_parse_u64(optarg, UINT64_MAX, c == 'n' ? &rounds : &seed))
			return 2;
	for (int i = optind; i < argc; i++)
		r |= run(argv[i], rounds, &seed, kept);
	return r;
}
