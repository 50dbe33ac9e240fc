/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What C and Rust of the module call of each other. The same in Rust is ../src/kernel.rs. */
#ifndef X86_VIRT_DEMO_SHIM_H
#define X86_VIRT_DEMO_SHIM_H

#include "abi.h"

/* A physically contiguous part of a guest's memory. */
struct demo_chunk {
	__u64 address;
	__u64 physical;
	__u64 bytes;
};

/* What a thread gets to run. */
struct demo_job {
	struct demo_run run;
	struct demo_chunk *chunks;
	__u64 chunk_count;
	struct demo_exit *exits;
};

static_assert(sizeof(struct demo_chunk) == 24);
static_assert(sizeof(struct demo_job) == sizeof(struct demo_run) + 24);

/* Rust. They return 0 or a negative error number, and are called in the way that kernel.rs says. */
int demo_warm_up(void);
int demo_enter(void **slot);
void demo_leave(void *slot);
void demo_run(struct demo_job *job);

/* C. */
void shim_log(unsigned int level, const char *text, size_t length);
void *shim_allocate(size_t bytes);
void shim_free(void *block);
__u64 shim_allocate_frames(__u64 count);
void shim_free_frames(__u64 physical, __u64 count);
__u64 shim_direct_map(void);
void *shim_pin(__u32 *processor);
void shim_unpin(void);
int shim_is_over(void);
void __noreturn shim_give_up(void);

#endif
