/* ELF files: libelf and what is read with it. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	return 0;
}
