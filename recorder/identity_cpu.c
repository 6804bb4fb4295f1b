/* The processor: what it is, which instructions it has, and which of its cores the trial may use. */
#include "recorder/identity.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#define CPUINFO_MAX ((size_t)4 << 20)

/* The value of each "key<blanks>: value" line, when all agree; else the different ones, joined by " | ". Heap, or NULL. */
static char *agreed(const char *cpuinfo, const char *key)
{
	_cleanup_strv_ struct hps_strv values = HPS_STRV_INIT;
	struct hps_buf joined = HPS_BUF_INIT;
	const char *at = cpuinfo;
	char *value;

	while (values.n < 16 && (value = hps_field_next(&at, key))) {
		bool known = false;

		for (size_t i = 0; i < values.n; i++)
			known |= !strcmp(values.v[i], value);
		if (known)
			free(value);
		else
			hps_strv_add_take(&values, value);
	}
	for (size_t i = 0; i < values.n; i++) {
		hps_buf_adds(&joined, i ? " | " : "");
		hps_buf_adds(&joined, values.v[i]);
	}
	return values.n ? hps_buf_take(&joined) : NULL;
}

static void add_agreed(json_t *rows, const char *name, const char *cpuinfo, const char *key, const char *source)
{
	_cleanup_free_ char *value = agreed(cpuinfo, key), *why = hps_format("/proc/cpuinfo has no line '%s'", key);

	if (value && *value)
		hps_identity_add(rows, name, value, source, HPS_OBSERVED);
	else
		hps_identity_missing(rows, name, why);
}

static void add_isa(json_t *rows, const char *cpuinfo, const char *flags)
{
	const char *level = hps_cpu_level(flags), *at = cpuinfo;
	_cleanup_free_ char *features = *flags ? NULL : hps_field_next(&at, "Features");

	if (level)
		hps_identity_add(rows, "cpu.isa", level, "/proc/cpuinfo", HPS_OBSERVED);
	else if (features)
		hps_identity_add(rows, "cpu.isa", features, "/proc/cpuinfo (Features)", HPS_OBSERVED);
	else
		hps_identity_missing(rows, "cpu.isa", *flags ? "not even x86-64-v1 by its flags" : "/proc/cpuinfo has no line 'flags' or 'Features'");
}

/* "2 of 8": the cores of the affinity list out of those that are there. */
static void add_count(json_t *rows, const char *root, const char *cpuinfo)
{
	_cleanup_free_ char *status = hps_identity_read_in(root, "/proc/self/status"), *list = NULL, *count = NULL;
	const char *at = status;
	size_t n = 0, allowed;

	list = status ? hps_field_next(&at, "Cpus_allowed_list") : NULL;
	for (const char *line = cpuinfo; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		n += !strncmp(line, "processor", 9);
	allowed = list ? hps_list_count(list) : 0;
	if (!allowed || !n) {
		hps_identity_missing(rows, "cpu.count", "/proc/self/status or /proc/cpuinfo does not tell");
		return;
	}
	count = hps_format("%zu of %zu", allowed, n);
	hps_identity_add(rows, "cpu.count", count, "/proc/self/status", HPS_OBSERVED);
	hps_identity_add(rows, "cpu.allowed", list, "/proc/self/status", HPS_OBSERVED);
}

/* "0-3,8": 5; 0 for what is no list. */
size_t hps_list_count(const char *list)
{
	size_t n = 0;

	for (const char *at = list; *at;) {
		char first[12], last[12];
		size_t a = strspn(at, "0123456789"), b = at[a] == '-' ? strspn(at + a + 1, "0123456789") : 0;
		uint64_t from, to;

		snprintf(first, sizeof first, "%.*s", (int)(a < 11 ? a : 11), at);
		snprintf(last, sizeof last, "%.*s", (int)(b < 11 ? b : 11), at + a + 1);
		if (!a || hps_parse_u64(first, 1u << 20, &from) || (b && hps_parse_u64(last, 1u << 20, &to)))
			return 0;
		to = b ? to : from;
		at += a + (b ? b + 1 : 0);
		if (to < from || (*at && *at != ','))
			return 0;
		n += (size_t)(to - from + 1);
		at += *at == ',';
	}
	return n;
}

/* What the kernel works around in this processor, of those defects that it has: "meltdown: Mitigation: PTI; …". */
static void add_mitigations(json_t *rows, const char *root)
{
	static const char directory[] = "/sys/devices/system/cpu/vulnerabilities";
	_cleanup_free_ char *full = hps_format("%s%s", root, directory);
	_cleanup_strv_ struct hps_strv names = HPS_STRV_INIT;
	_cleanup_buf_ struct hps_buf value = HPS_BUF_INIT;
	DIR *dir = opendir(full);
	const struct dirent *e;

	while (dir && names.n < 256 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			hps_strv_add(&names, e->d_name);
	if (dir)
		closedir(dir);
	hps_strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *path = hps_format("%s/%s", directory, names.v[i]), *text = hps_identity_read_in(root, path);

		if (text && strncmp(text, "Not affected", 12) != 0)
			hps_buf_addf(&value, "%s%s: %s", value.len ? "; " : "", names.v[i], text);
	}
	if (names.n)
		hps_identity_add(rows, "cpu.mitigations", value.len ? value.data : "none needed", directory, HPS_OBSERVED);
	else
		hps_identity_missing(rows, "cpu.mitigations", "/sys/devices/system/cpu/vulnerabilities is not there");
}

void hps_identity_cpu(json_t *rows, const char *root)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *path = hps_format("%s/proc/cpuinfo", root), *flags = NULL, *family = NULL, *model = NULL, *step = NULL, *signature = NULL;
	const char *at;
	bool guest;

	hps_buf_init(&text, CPUINFO_MAX);
	if (hps_file_read(AT_FDCWD, path, CPUINFO_MAX, &text, NULL) || !text.data) {
		hps_identity_missing(rows, "cpu.model", "/proc/cpuinfo cannot be read");
		return;
	}
	at = text.data;
	flags = hps_field_next(&at, "flags");
	guest = flags && hps_cpu_has(flags, "hypervisor");
	family = agreed(text.data, "cpu family");
	model = agreed(text.data, "model");
	step = agreed(text.data, "stepping");
	signature = hps_format("%s/%s/%s", family ? family : "?", model ? model : "?", step ? step : "?");
	add_agreed(rows, "cpu.vendor", text.data, "vendor_id", "/proc/cpuinfo");
	add_agreed(rows, "cpu.model", text.data, "model name", "/proc/cpuinfo");
	if (family)
		hps_identity_add(rows, "cpu.signature", signature, "/proc/cpuinfo (family/model/stepping)", HPS_OBSERVED);
	else
		hps_identity_missing(rows, "cpu.signature", "/proc/cpuinfo has no line 'cpu family'");
	add_agreed(rows, "cpu.microcode", text.data, "microcode", guest ? "/proc/cpuinfo, as the hypervisor gives it" : "/proc/cpuinfo");
	add_isa(rows, text.data, flags ? flags : "");
	hps_identity_add(rows, "cpu.virtual", guest ? "true" : "false", "/proc/cpuinfo", HPS_OBSERVED);
	add_count(rows, root, text.data);
	hps_identity_add_file(rows, root, "cpu.smt", "/sys/devices/system/cpu/smt/active");
	hps_identity_add_file(rows, root, "cpu.governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
	hps_identity_add_file(rows, root, "cpu.boost", "/sys/devices/system/cpu/cpufreq/boost");
	add_mitigations(rows, root);
}
