/* Overwrites a file right after opening it for reading. usage: barrier FILE TEXT */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
int main(int c, char **v)
{
	int in = open(v[1], O_RDONLY), out = open(v[1], O_WRONLY | O_TRUNC);

	return in < 0 || out < 0 || write(out, v[2], strlen(v[2])) < 0;
}
