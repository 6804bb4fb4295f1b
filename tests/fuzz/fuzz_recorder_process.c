/* What /proc says of a process: the name in it is the process's own choice, and nothing that it says may pass for a line or an item. */
#include <stdlib.h>
#include <string.h>

#include "recorder/tracee.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As the kernel writes it: at most 15 bytes, in stat as they are. */
static void check_name(const char *text)
{
	_cleanup_free_ char *stat = hps_format("42 (%.15s) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 1000 10\n", text);

	if (hps_stat_start(stat) != 777)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		const char *name;
		int base;
	} numbers[] = { { "Tgid", 10 }, { "PPid", 10 }, { "Umask", 8 }, { "VmHWM", 10 } };
	_cleanup_free_ char *text = hps_strndup((const char *)data, size), *rights = hps_status_rights(text);

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (hps_status_number(text, numbers[i].name, numbers[i].base, 7) < 0)
			abort();
	if (rights && *rights && (*rights != '\n' || strlen(rights) > size))
		abort();
	(void)hps_stat_start(text);
	check_name(text);
	return 0;
}
