/* Changes a file that is there in one of the ways there are. usage: content HOW FILE; FILE holds "content\n". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>
static int by_mapping(const char *file, int close_first)
{
	int fd = open(file, O_RDWR);
	char *at = mmap(0, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (close_first)
		close(fd);
	if (at == MAP_FAILED)
		return 1;
	memcpy(at, "MAPPED", 6);
	return close_first ? 0 : msync(at, 8, MS_SYNC);
}
int main(int c, char **v)
{
	const char *how = v[1], *file = v[2];
	int fd, other;

	if (!strcmp(how, "mapping"))
		return by_mapping(file, 0);
	if (!strcmp(how, "late-mapping")) /* stored after the descriptor was closed, never synced */
		return by_mapping(file, 1);
	if (!strcmp(how, "append"))
		return write(open(file, O_WRONLY | O_APPEND), "more\n", 5) != 5;
	if (!strcmp(how, "ftruncate"))
		return ftruncate(open(file, O_RDWR), 3);
	if (!strcmp(how, "truncating-open"))
		return open(file, O_RDONLY | O_TRUNC) < 0;
	if (!strcmp(how, "fallocate"))
		return fallocate(open(file, O_WRONLY), 0, 0, 100);
	if (!strcmp(how, "pwrite"))
		return pwrite(open(file, O_RDWR), "x", 1, 2) != 1;
	fd = open(file, O_RDWR);
	other = open("/etc/passwd", O_RDONLY);
	if (!strcmp(how, "sendfile"))
		return sendfile(fd, other, 0, 5) != 5;
	if (!strcmp(how, "splice-proc")) { /* opened again through /proc */
		char own[64] = "/proc/self/fd/3";

		own[14] = (char)('0' + fd);
		return write(open(own, O_WRONLY), "proc", 4) != 4;
	}
	return 2;
}
