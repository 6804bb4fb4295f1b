/* Program files: libelf and what is read with it, and what is read by hand: interpreters, and the bytes of RDRAND. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/calls.h"
#include "recorder/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void interpreter(int fd)
{
	char name[HPS_PATH_CAP];
	enum hps_executable_kind kind = hps_executable_interpreter(fd, name);

	if (strlen(name) >= HPS_PATH_CAP || (kind == HPS_EXECUTABLE_SCRIPT) > (*name != '\0') || (kind == HPS_EXECUTABLE_UNKNOWN && *name))
		abort();
}

/* In one block or in many: what is found is the same. */
static void opcodes(int fd, const uint8_t *data, size_t size)
{
	bool found[2];

	for (int k = 0; k < 2; k++) {
		struct hps_opcodes *o = hps_opcodes_new(fd, (const char *)data, size < 4096 ? size : 4096);
		size_t step = k ? 7 : size + 1;

		for (size_t at = 0; o && at < size; at += step)
			hps_opcodes_block(o, data + at, size - at < step ? size - at : step, at);
		found[k] = hps_opcodes_end(o);
	}
	if (found[0] != found[1])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_fd_ int fd = memfd_create("elf", MFD_CLOEXEC);
	struct hps_elf elf;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	if (!hps_elf_read(fd, &elf) && (elf.soname || elf.build_id || elf.note))
		abort();
	if (elf.build_id && (strlen(elf.build_id) % 2 || strlen(elf.build_id) > 128))
		abort();
	hps_elf_release(&elf);
	interpreter(fd);
	opcodes(fd, data, size);
	return 0;
}
