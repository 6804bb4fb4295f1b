/* Loads a library late. usage: dlopen NAME */
#include <dlfcn.h>
int main(int c, char **v)
{
	return !dlopen(v[1], RTLD_NOW);
}
