/* Kernel interfaces younger than the headers of Debian 12 (Linux 6.1). Each is probed at run time; none is needed. */
#ifndef HPS_RECORDER_KERNEL_H
#define HPS_RECORDER_KERNEL_H

#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

/* Linux 6.6: the notified thread and the listener wake each other on one CPU. */
#define HPS_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define HPS_NOTIF_SYNC_WAKE_UP 1ull

/* Linux 6.13 (exit status: 6.15). */
struct hps_pidfd_info {
	uint64_t mask, cgroup;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code; /* a wait status */
};
#define HPS_PIDFD_GET_INFO _IOWR(0xff, 11, struct hps_pidfd_info)
#define HPS_PIDFD_INFO_PID 1ull
#define HPS_PIDFD_INFO_EXIT 8ull

/* Linux 6.11: the mapping that holds one address, asked of an open /proc/PID/maps. */
struct hps_procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define HPS_PROCMAP_QUERY _IOWR('f', 17, struct hps_procmap_query)
#define HPS_PROCMAP_SHARED 8ull

/* Linux 6.12 (Landlock ABI 6): a domain without file or network rules that only fences signals in. */
struct hps_landlock_ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};
#define HPS_LANDLOCK_SCOPE_SIGNAL 2ull

#endif
