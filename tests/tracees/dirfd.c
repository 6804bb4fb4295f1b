/* Opens a name relative to a directory descriptor. usage: dirfd DIR FILE */
#include <fcntl.h>
int main(int c, char **v)
{
	return openat(open(v[1], O_RDONLY | O_DIRECTORY), v[2], O_RDONLY) < 0;
}
