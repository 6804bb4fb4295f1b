/* Whether a program can take random numbers from the processor: the bytes of RDRAND and RDSEED in the executable segments of an x86-64
 * ELF file, looked for while it is hashed. They may stand inside another instruction or in a table between functions, and who has
 * them need not execute them: what is found is a fact about bytes. */
#include "recorder/recorder.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_SEGMENTS 16
#define N_HEADERS 256u

struct hps_opcodes {
	struct {
		uint64_t start, end; /* of bytes of the file */
	} segments[N_SEGMENTS];
	unsigned n;
	unsigned char last[2]; /* before the next block */
	bool found;
};

static void add_segment(struct hps_opcodes *o, const Elf64_Phdr *p)
{
	uint64_t end;

	if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || o->n == N_SEGMENTS || __builtin_add_overflow(p->p_offset, p->p_filesz, &end))
		return;
	o->segments[o->n].start = p->p_offset;
	o->segments[o->n++].end = end;
}

struct hps_opcodes *hps_opcodes_new(int fd, const char *head, size_t n)
{
	struct hps_opcodes *o;
	Elf64_Ehdr e;

	if (n < sizeof e || memcmp(head, ELFMAG, SELFMAG) != 0)
		return NULL;
	memcpy(&e, head, sizeof e);
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_machine != EM_X86_64 || e.e_phentsize != sizeof(Elf64_Phdr))
		return NULL;
	o = hps_alloc(sizeof *o);
	for (unsigned i = 0; i < e.e_phnum && i < N_HEADERS; i++) {
		Elf64_Phdr p;

		if (pread(fd, &p, sizeof p, (off_t)(e.e_phoff + i * sizeof p)) != sizeof p)
			break;
		add_segment(o, &p);
	}
	return o;
}

/* 0F C7 and a ModRM byte of a register (mod 11): /6 is RDRAND, /7 RDSEED (Intel SDM 2B); with a prefix F3, SENDUIPI and RDPID. C7 is looked for
 * because it is rarer than 0F, and memchr is fast. */
static bool search(const unsigned char *at, size_t n)
{
	const unsigned char *c7 = at + 1, *end = at + n - 1;

	for (; c7 < end && (c7 = memchr(c7, 0xc7, (size_t)(end - c7))); c7++)
		if (c7[-1] == 0x0f && c7[1] >= 0xf0)
			return true;
	return false;
}

static bool search_block(const struct hps_opcodes *o, const unsigned char *block, size_t n, uint64_t offset)
{
	for (unsigned i = 0; i < o->n; i++) {
		uint64_t start = o->segments[i].start, end = o->segments[i].end;
		size_t from = start > offset ? start - offset < n ? (size_t)(start - offset) : n : 0;
		size_t to = end > offset ? end - offset < n ? (size_t)(end - offset) : n : 0;

		if (to >= from + 3 && search(block + from, to - from))
			return true;
	}
	return false;
}

void hps_opcodes_block(struct hps_opcodes *o, const void *block, size_t n, uint64_t offset)
{
	unsigned char seam[4];
	size_t head = n < 2 ? n : 2;

	if (o->found || !n)
		return;
	if (offset >= 2) {
		memcpy(seam, o->last, 2);
		memcpy(seam + 2, block, head);
		o->found = search_block(o, seam, 2 + head, offset - 2);
	}
	o->found = o->found || search_block(o, block, n, offset);
	if (n == 1)
		o->last[0] = o->last[1];
	memcpy(o->last + 2 - head, (const char *)block + n - head, head);
}

bool hps_opcodes_end(struct hps_opcodes *o)
{
	bool found = o && o->found;

	free(o);
	return found;
}
