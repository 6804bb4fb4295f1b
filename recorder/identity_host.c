/* The machine's system: kernel, distribution, C library, memory, user, clock. */
#include "recorder/identity.h"

#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)1 << 20)

char *hps_field_next(const char **at, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = *at; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		const char *value = strncmp(line, key, len) ? NULL : line + len + strspn(line + len, " \t");

		if (!value || (*value != ':' && *value != '='))
			continue;
		value += 1 + strspn(value + 1, " \t\"");
		*at = value + strcspn(value, "\n");
		return hps_strndup(value, strcspn(value, "\"\n"));
	}
	return NULL;
}

static void add_field(json_t *rows, const char *root, const char *name, const char *path, const char *key)
{
	_cleanup_free_ char *full = hps_format("%s%s", root, path), *value = NULL, *why = hps_format("%s does not say '%s'", path, key);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	const char *at;

	hps_buf_init(&text, TEXT_MAX);
	if (hps_file_read(AT_FDCWD, full, TEXT_MAX, &text, NULL) == 0 && (at = text.data))
		value = hps_field_next(&at, key);
	if (value && *value)
		hps_identity_add(rows, name, value, path, HPS_OBSERVED);
	else
		hps_identity_missing(rows, name, why);
}

/* Facts that are one file each. */
static const char *const files[][2] = {
	{ "memory.hugepages", "/sys/kernel/mm/transparent_hugepage/enabled" },
	{ "host.bootId", "/proc/sys/kernel/random/boot_id" },
	{ "host.product", "/sys/class/dmi/id/product_name" },
	{ "kernel.addressRandomization", "/proc/sys/kernel/randomize_va_space" },
	{ "kernel.personality", "/proc/self/personality" },
	{ "kernel.tainted", "/proc/sys/kernel/tainted" },
	{ "clock.source", "/sys/devices/system/clocksource/clocksource0/current_clocksource" },
};

/* What the recorder was allowed when it started: the trial is allowed no more. */
static const char *const rights[][2] = {
	{ "process.noNewPrivileges", "NoNewPrivs" },
	{ "process.seccomp", "Seccomp" },
	{ "process.capabilities", "CapEff" },
};

/* Memory controllers that count flipped bits (EDAC): the names in the directory; none where the machine has no such memory, or hides it. */
static void add_memory_errors(json_t *rows, const char *root)
{
	static const char why[] = "no memory controller counts errors here (/sys/devices/system/edac/mc)";
	bool any = false;

	for (unsigned i = 0; i < 64; i++) {
		_cleanup_free_ char *name = hps_format("memory.ecc.%u", i), *base = hps_format("/sys/devices/system/edac/mc/mc%u", i), *value = NULL;
		_cleanup_free_ char *kind_path = hps_format("%s/mc_name", base), *ce_path = hps_format("%s/ce_count", base), *ue_path = hps_format("%s/ue_count", base);
		_cleanup_free_ char *kind = hps_identity_read_in(root, kind_path), *ce = hps_identity_read_in(root, ce_path), *ue = hps_identity_read_in(root, ue_path);

		if (!ce || !ue)
			break;
		value = hps_format("%s: corrected %s, uncorrected %s", kind ? kind : "?", ce, ue);
		hps_identity_add(rows, name, value, base, HPS_OBSERVED);
		any = true;
	}
	if (!any)
		hps_identity_missing(rows, "memory.ecc", why);
}

/* Boot parameters decide what the processor does; they may also hold keys. */
static void add_command_line(json_t *rows, const char *root)
{
	_cleanup_free_ char *line = hps_identity_read_in(root, "/proc/cmdline"), *clean = line ? hps_redact_text(NULL, line) : NULL;

	if (clean)
		hps_identity_add(rows, "kernel.commandLine", clean, "/proc/cmdline", HPS_OBSERVED);
	else
		hps_identity_missing(rows, "kernel.commandLine", "/proc/cmdline cannot be read");
}

static void add_system(json_t *rows, const char *root)
{
	struct utsname u;

	if (uname(&u) == 0) {
		hps_identity_add(rows, "kernel.release", u.release, "uname", HPS_OBSERVED);
		hps_identity_add(rows, "kernel.version", u.version, "uname", HPS_OBSERVED);
		hps_identity_add(rows, "kernel.machine", u.machine, "uname", HPS_OBSERVED);
		hps_identity_add(rows, "host.name", u.nodename, "uname", HPS_OBSERVED);
	}
	add_field(rows, root, "os.release", "/etc/os-release", "PRETTY_NAME");
	add_field(rows, root, "memory.total", "/proc/meminfo", "MemTotal");
	hps_identity_add(rows, "libc.version", gnu_get_libc_version(), "gnu_get_libc_version, of the recorder", HPS_OBSERVED);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		hps_identity_add_file(rows, root, files[i][0], files[i][1]);
	for (size_t i = 0; i < ARRAY_SIZE(rights); i++)
		add_field(rows, root, rights[i][0], "/proc/self/status", rights[i][1]);
	add_field(rows, root, "memory.swap", "/proc/meminfo", "SwapTotal");
	add_memory_errors(rows, root);
	add_command_line(rows, root);
}

static void add_user(json_t *rows)
{
	_cleanup_free_ char *ids = hps_format("%u:%u", (unsigned)getuid(), (unsigned)getgid());
	struct passwd *p = getpwuid(getuid());

	hps_identity_add(rows, "user.id", ids, "getuid", HPS_OBSERVED);
	if (p)
		hps_identity_add(rows, "user.name", p->pw_name, "passwd", HPS_OBSERVED);
	else
		hps_identity_missing(rows, "user.name", "this uid has no entry in the user database");
}

static void add_clock(json_t *rows)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);

	if (state < 0)
		hps_identity_missing(rows, "clock.synchronized", "adjtimex failed");
	else
		hps_identity_add(rows, "clock.synchronized", state == TIME_ERROR || (t.status & STA_UNSYNC) ? "false" : "true", "adjtimex", HPS_OBSERVED);
}

void hps_identity_host(json_t *rows, const char *root)
{
	add_system(rows, root);
	add_user(rows);
	add_clock(rows);
}
