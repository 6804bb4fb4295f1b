/* Which contents are stored: --capture, and what the name of a file says of it. */
#include "recorder/recorder.h"

#include <errno.h>
#include <string.h>

#include "core/redact.h"

static const char *const captures[] = {
	[HPS_CAPTURE_NONE] = "none", [HPS_CAPTURE_CODE] = "code", [HPS_CAPTURE_CLOSURE] = "closure", [HPS_CAPTURE_ALL] = "all",
};

const char *hps_capture_name(enum hps_capture c)
{
	return captures[c];
}

int hps_capture_parse(const char *name, enum hps_capture *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(captures); i++)
		if (!strcmp(captures[i], name ? name : "closure")) {
			*ret = (enum hps_capture)i;
			return 0;
		}
	return -EINVAL;
}

bool hps_path_code(const char *path)
{
	static const char *const endings[] = { ".R", ".Rmd", ".c", ".cc", ".cfg", ".conf", ".cpp", ".cu", ".cuh", ".cxx", ".f90", ".go", ".h", ".hpp",
					       ".ini", ".ipynb", ".java", ".jl", ".js", ".lua", ".m", ".mjs", ".pl", ".pm", ".py", ".pyi", ".pyx", ".r",
					       ".rb", ".rs", ".scala", ".sh", ".sql", ".toml", ".ts", ".yaml", ".yml", "/Dockerfile", "/Makefile" };
	size_t n = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		size_t len = strlen(endings[i]);

		if (n > len && !strcmp(path + n - len, endings[i]))
			return true;
	}
	return false;
}

/* Where nothing but packages put files: what is there can be had again from the package. */
bool hps_path_unpackaged(const char *path)
{
	static const char *const system_dirs[] = { "/usr/", "/lib", "/bin/", "/sbin/", "/etc/ld.so.", "/etc/ssl/", "/var/lib/dpkg/" };

	if (!strncmp(path, "/usr/local/", 11))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs); i++)
		if (!strncmp(path, system_dirs[i], strlen(system_dirs[i])))
			return false;
	return true;
}

bool hps_path_system(const char *path)
{
	static const char *const shared_dirs[] = { "/etc/", "/opt/", "/var/" }; /* of packages and administrators */

	for (size_t i = 0; i < ARRAY_SIZE(shared_dirs); i++)
		if (!strncmp(path, shared_dirs[i], strlen(shared_dirs[i])))
			return true;
	return !hps_path_unpackaged(path);
}

enum hps_keep hps_file_keep(const struct hps_file *file, bool store)
{
	return hps_rule_path(file->path) ? HPS_KEEP_SECRET : store ? HPS_KEEP_CONTENT : HPS_KEEP_DIGEST;
}
