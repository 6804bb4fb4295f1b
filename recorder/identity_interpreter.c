/* The Python interpreter that ran: where it is, its version, its environment. */
#include "recorder/identity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION_MAX 24
#define PIECE ((size_t)256 << 10)

/* "python", "python3", "python3.11": the length of what follows "python" in the name; -1 when it is another program. */
static int interpreter_suffix(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (strncmp(name, "python", 6) != 0 || name[6 + strspn(name + 6, "0123456789.")] != '\0')
		return -1;
	return (int)strlen(name + 6);
}

bool hps_python_is(const char *program)
{
	return interpreter_suffix(program) >= 0;
}

/* "3.11.2", "3.13.0rc2", "3.12.1+": a constant string of the interpreter. */
static bool is_version(const char *text, const char *minor)
{
	size_t n = strlen(minor), digits;

	if (strncmp(text, minor, n) != 0 || text[n] != '.')
		return false;
	digits = strspn(text + n + 1, "0123456789");
	text += n + 1 + digits;
	return digits && strlen(text) < 6 && text[strspn(text, "abrc0123456789+")] == '\0';
}

char *hps_python_version(const char *data, size_t len, const char *minor)
{
	const char *end = data + len, *at = data, *stop;

	for (; (at = memmem(at, (size_t)(end - at), minor, strlen(minor))); at++) {
		stop = (at == data || !at[-1]) ? memchr(at, '\0', (size_t)(end - at)) : NULL;
		if (stop && stop - at < VERSION_MAX && is_version(at, minor))
			return hps_strdup(at);
	}
	return NULL;
}

/* Piece by piece: interpreters have several megabytes. Each begins with the end of the one before it, where a version may have been cut. */
static char *version_in(const char *root, const char *path, const char *minor)
{
	_cleanup_free_ char *full = hps_format("%s%s", root, path), *piece = hps_alloc(PIECE), *version = NULL;
	_cleanup_fd_ int fd = *minor ? open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	size_t kept = 0;
	ssize_t n;

	while (fd >= 0 && !version && (n = read(fd, piece + kept, PIECE - kept)) > 0) {
		size_t len = kept + (size_t)n;

		version = hps_python_version(piece, len, minor);
		kept = len < VERSION_MAX + 1 ? len : VERSION_MAX + 1;
		memmove(piece, piece + len - kept, kept);
		if (len > kept)
			piece[0] = '?'; /* not the start of the file, nor of a string */
	}
	return hps_take(version);
}

/* In the program itself, or in the libpython that was loaded. */
static void add_version(json_t *rows, const char *root, const char *path, const char *minor, const struct hps_map *owners)
{
	_cleanup_free_ char *version = version_in(root, path, minor), *library = hps_format("/libpython%s.so", minor);

	for (size_t i = 0; !version && *minor && i < owners->n; i++)
		if (strstr(owners->items[i].key, library))
			version = version_in(root, owners->items[i].key, minor);
	if (version)
		hps_identity_add(rows, "python.version", version, "constant in the interpreter's file", HPS_GUESSED);
	else
		hps_identity_missing(rows, "python.version", "neither the interpreter's file nor a libpython has a version constant");
}

static void add_environment(json_t *rows, const struct hps_map *owners)
{
	for (size_t i = 0; i < owners->n; i++) {
		const char *path = owners->items[i].key;

		if (hps_python_ends_with(path, strlen(path), "/pyvenv.cfg")) {
			_cleanup_free_ char *directory = hps_strndup(path, strlen(path) - strlen("/pyvenv.cfg"));

			hps_identity_add(rows, "python.venv", directory, "pyvenv.cfg was read", HPS_OBSERVED);
		}
	}
}

void hps_identity_python(json_t *rows, const char *root, const struct hps_strv *programs, const struct hps_map *owners)
{
	bool any = false;

	for (size_t i = 0; i < programs->n; i++) {
		int n = interpreter_suffix(programs->v[i]);

		if (n < 0)
			continue;
		any = true;
		hps_identity_add(rows, "python.interpreter", programs->v[i], "executed", HPS_OBSERVED);
		add_version(rows, root, programs->v[i], programs->v[i] + strlen(programs->v[i]) - n, owners);
	}
	if (any)
		add_environment(rows, owners);
	else
		hps_identity_missing(rows, "python.interpreter", "no program named python was executed");
}
