/* The package databases: every reader on the same bytes. Whatever they say, an owner has a manager, and nobody gets a package who has no path. */
#include "recorder/package.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const paths[] = { "/usr/lib/x.so", "/usr/bin/a", "/etc/c.conf", "/p/lib/x.so", "/s/site-packages/m.py" };

static void check(struct hps_map *owners)
{
	for (size_t i = 0; i < owners->n; i++) {
		const struct hps_owner *o = owners->items[i].value;

		if ((o->package != NULL) != (o->manager != NULL) || o->kind > HPS_CHECKSUM_SHA256)
			abort();
	}
	if (owners->n != ARRAY_SIZE(paths))
		abort();
	hps_owners_release(owners);
	*owners = (struct hps_map)HPS_MAP_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		(void)hps_owner_slot(owners, paths[i]);
}

static void dpkg(struct hps_map *owners, const char *text)
{
	struct hps_dpkg d = { HPS_MAP_INIT, HPS_MAP_INIT };
	struct hps_map versions = HPS_MAP_INIT;
	_cleanup_free_ char *diversions = hps_strdup(text), *list = hps_strdup(text), *sums = hps_strdup(text), *status = hps_strdup(text);

	hps_dpkg_diversions(&d, diversions);
	hps_dpkg_list(&d, owners, list, "a");
	hps_dpkg_md5sums(&d, owners, sums, "b:amd64", true);
	*hps_map_slot(&d.packages, "a") = &d;
	hps_dpkg_status(&d, owners, &versions, status);
	for (size_t i = 0; i < versions.n; i++)
		free(versions.items[i].value);
	hps_map_release(&versions);
	hps_dpkg_release(&d);
}

static void wheel(const char *text)
{
	_cleanup_free_ char *copy = hps_strdup(text);
	char *rest = NULL;

	for (char *line = strtok_r(copy, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
		_cleanup_free_ char *path = NULL;
		struct hps_digest digest;
		bool hashed;

		if (hps_python_record_line(line, &path, &digest, &hashed) && (!path || !*path))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = hps_strndup((const char *)data, size), *apk = hps_strdup(text);
	struct hps_map owners = HPS_MAP_INIT;

	free(hps_python_version((const char *)data, size, "3.11"));
	free(hps_blas_constant((const char *)data, size, size, "OpenBLAS "));

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		(void)hps_owner_slot(&owners, paths[i]);
	dpkg(&owners, text);
	check(&owners);
	hps_rpm_header(&owners, data, size);
	check(&owners);
	hps_apk_installed(&owners, apk);
	check(&owners);
	hps_conda_package(&owners, "/p", (const char *)data, size);
	check(&owners);
	wheel(text);
	hps_owners_release(&owners);
	return 0;
}
