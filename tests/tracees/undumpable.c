/* Shuts its memory to others, then opens a file. usage: undumpable FILE */
#include <fcntl.h>
#include <sys/prctl.h>
int main(int c, char **v)
{
	prctl(PR_SET_DUMPABLE, 0);
	return open(v[1], O_RDONLY) < 0;
}
