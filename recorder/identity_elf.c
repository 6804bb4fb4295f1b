/* What a shared object calls itself: soname and build-id, by libelf. Only called on files that the trial itself had loaded. */
#include "recorder/identity.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

static void read_dynamic(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, struct hps_elf *ret)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t n = header->sh_entsize && data ? data->d_size / header->sh_entsize : 0;
	GElf_Dyn entry;

	for (size_t i = 0; i < n && !ret->soname; i++) {
		const char *name;

		if (!gelf_getdyn(data, (int)i, &entry) || entry.d_tag != DT_SONAME)
			continue;
		name = elf_strptr(elf, header->sh_link, entry.d_un.d_val);
		ret->soname = name ? hps_strdup(name) : NULL;
	}
}

#define PACKAGE_NOTE 0xcafe1a7eu

/* Owner "GNU", type 3 (NT_GNU_BUILD_ID): the linker's fingerprint of the content. Owner "FDO": the distribution's package. */
static void read_notes(Elf_Data *data, struct hps_elf *ret)
{
	size_t at = 0, name_at, text_at;
	GElf_Nhdr note;

	while (data && (at = gelf_getnote(data, at, &note, &name_at, &text_at)) > 0) {
		const char *name = (char *)data->d_buf + name_at, *text = (char *)data->d_buf + text_at;

		if (note.n_namesz != 4)
			continue;
		if (note.n_type == NT_GNU_BUILD_ID && !memcmp(name, "GNU", 4) && note.n_descsz <= 64 && !ret->build_id) {
			ret->build_id = hps_alloc(2 * (size_t)note.n_descsz + 1);
			hps_hex(ret->build_id, text, note.n_descsz);
		} else if (note.n_type == PACKAGE_NOTE && !memcmp(name, "FDO", 4) && note.n_descsz <= 4096 && !ret->note) {
			ret->note = hps_strndup(text, note.n_descsz);
		}
	}
}

/* Files stripped of their section table still have the note in a segment. */
static void read_segments(Elf *elf, struct hps_elf *ret)
{
	GElf_Phdr segment;
	size_t n = 0;

	if (elf_getphdrnum(elf, &n))
		return;
	for (size_t i = 0; i < n && i < 64; i++)
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_NOTE)
			read_notes(elf_getdata_rawchunk(elf, (int64_t)segment.p_offset, segment.p_filesz, ELF_T_NHDR), ret);
}

int hps_elf_read(int fd, struct hps_elf *ret)
{
	Elf_Scn *section = NULL;
	GElf_Ehdr header;
	GElf_Shdr table;
	Elf *elf;

	*ret = (struct hps_elf){ NULL, NULL, NULL };
	if (elf_version(EV_CURRENT) == EV_NONE)
		return 0;
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) || (header.e_type != ET_DYN && header.e_type != ET_EXEC)) {
		elf_end(elf);
		return 0;
	}
	while ((section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, &table) && table.sh_type == SHT_DYNAMIC)
			read_dynamic(elf, section, &table, ret);
	read_segments(elf, ret);
	elf_end(elf);
	return 1;
}

void hps_elf_release(struct hps_elf *e)
{
	free(e->soname);
	free(e->build_id);
	free(e->note);
	*e = (struct hps_elf){ NULL, NULL, NULL };
}
