/* Opens a name relative to the current directory, and one relative to a directory changed to. usage: relative FILE DIR FILE2 */
#include <fcntl.h>
#include <unistd.h>
int main(int c, char **v)
{
	return open(v[1], O_RDONLY) < 0 || chdir(v[2]) || open(v[3], O_RDONLY) < 0;
}
