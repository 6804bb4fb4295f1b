/* Preloaded: a disk whose every flush takes so long, wherever the files are; 0: none at all, for what is made to be looked at later. */
#include <time.h>

#ifndef FLUSH_MS
#define FLUSH_MS 2
#endif

static int flush(void)
{
	struct timespec t = { 0, FLUSH_MS * 1000000 };

	return FLUSH_MS ? nanosleep(&t, 0) : 0;
}

int fdatasync(int fd) { (void)fd; return flush(); }
int fsync(int fd) { (void)fd; return flush(); }
int syncfs(int fd) { (void)fd; return flush(); }
