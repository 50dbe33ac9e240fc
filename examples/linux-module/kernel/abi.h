/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What programs hand to /dev/x86-virt-demo. The same in Rust is ../abi/src/lib.rs; both assert the layout. */
#ifndef X86_VIRT_DEMO_ABI_H
#define X86_VIRT_DEMO_ABI_H

#include <linux/build_bug.h>
#include <linux/ioctl.h>
#include <linux/types.h>

/* One exit of the guest. */
struct demo_exit {
	__u64 rip;
	__u64 reason;
	char name[32];
};

/* A guest, how long it may run, and what came of it. */
struct demo_run {
	/* in */
	__u64 image;
	__u64 image_bytes;
	__u64 load_address;
	__u64 memory_bytes;
	__u64 most_exits;
	__u64 milliseconds;
	__u64 exits;
	__u32 exits_room;
	__s32 processor;
	__u64 argument;
	/* out */
	__u64 exit_count;
	__u64 host_interrupts;
	__u64 host_nmis;
	__u64 result;
	__u32 ending;
	__u32 last_processor;
	__u32 exits_stored;
	__u32 stack_bytes;
	char text[256];
};

/* What the module has of the kernel now, and whether it has had to give something up. */
struct demo_status {
	__u64 frames;
	__u64 heap_blocks;
	__u64 guest_pages;
	__u64 jobs;
	__u64 processors;
	__u64 panics;
};

static_assert(sizeof(struct demo_exit) == 48);
static_assert(offsetof(struct demo_run, exit_count) == 72);
static_assert(offsetof(struct demo_run, ending) == 104);
static_assert(sizeof(struct demo_run) == 376);
static_assert(sizeof(struct demo_status) == 48);

#define DEMO_IOCTL_RUN _IOWR('V', 1, struct demo_run)
#define DEMO_IOCTL_STATUS _IOR('V', 2, struct demo_status)

#endif
