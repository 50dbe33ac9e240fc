// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The kernel's side of the module: what is made of macros, inline functions and structures of Linux, and so cannot be
 * called from Rust. All that concerns virtualization is in Rust.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cc_platform.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/syscore_ops.h>
#include <linux/uaccess.h>
#include <asm/desc.h>
#include <asm/perf_event.h>
#include <asm/tlbflush.h>

#include "shim.h"

#define MOST_MEMORY (64ull << 20)
#define MOST_STORED 4096u
#define MOST_MILLISECONDS (60u * 1000)
#define LARGEST_CHUNK_ORDER 9
/* What the unused part of a thread's stack is filled with, and how far below the frame that fills it. */
#define STACK_PATTERN 0x5aa55aa55aa55aa5ul
#define STACK_MARGIN 512

/* A guest that runs: what Rust sees, and what belongs to the thread. */
struct task {
	struct demo_job job;
	struct completion done;
	ktime_t deadline;
	bool must_end;
	bool is_pinned;
	bool has_panicked;
};

static DEFINE_PER_CPU(void *, slot);
static atomic64_t heap_blocks, frames, guest_pages, jobs, panics;
static atomic_t processors;

/* ---- what Rust calls ---- */

void shim_log(unsigned int level, const char *text, size_t length)
{
	int bytes = min_t(size_t, length, 900);

	if (level == 0)
		pr_err("%.*s\n", bytes, text);
	else
		pr_info("%.*s\n", bytes, text);
}

/* With a power of two the kernel's allocator aligns to the size. */
void *shim_allocate(size_t bytes)
{
	gfp_t flags = (preemptible() ? GFP_KERNEL : GFP_ATOMIC) | __GFP_NOWARN;
	void *block = kmalloc(roundup_pow_of_two(bytes), flags);

	if (block)
		atomic64_inc(&heap_blocks);
	return block;
}

void shim_free(void *block)
{
	atomic64_dec(&heap_blocks);
	kfree(block);
}

__u64 shim_allocate_frames(__u64 count)
{
	gfp_t flags = (preemptible() ? GFP_KERNEL : GFP_ATOMIC) | __GFP_NOWARN;
	struct page *page;

	if (count == 0 || count > 1 << LARGEST_CHUNK_ORDER)
		return ~0ull;
	page = alloc_pages(flags, get_order(count << PAGE_SHIFT));
	if (!page)
		return ~0ull;
	atomic64_add(count, &frames);
	return page_to_phys(page);
}

void shim_free_frames(__u64 physical, __u64 count)
{
	atomic64_sub(count, &frames);
	__free_pages(pfn_to_page(physical >> PAGE_SHIFT), get_order(count << PAGE_SHIFT));
}

__u64 shim_direct_map(void)
{
	return PAGE_OFFSET;
}

/* The thread's own task, or NULL in any other context. */
static struct task *own_task(void);

/*
 * Keeps the caller on its processor, with nothing but NMIs and machine checks between it and shim_unpin: no interrupt that
 * changes CR4, no scheduler that changes KERNEL_GS_BASE, no hotplug, no suspend.
 */
void *shim_pin(__u32 *processor)
{
	struct task *task = own_task();

	preempt_disable();
	local_irq_disable();
	if (task)
		task->is_pinned = true;
	*processor = smp_processor_id();
	return this_cpu_read(slot);
}

void shim_unpin(void)
{
	struct task *task = own_task();

	/* A VM exit leaves the limit of TR at 67H, which cuts off the bitmap for processes with ioperm(). */
	invalidate_tss_limit();
	if (task)
		task->is_pinned = false;
	local_irq_enable();
	preempt_enable();
	cond_resched();
}

/* Whether the guest must end: for its time, or since nobody waits for it any more. */
int shim_is_over(void)
{
	struct task *task = own_task();

	return !task || READ_ONCE(task->must_end) || ktime_after(ktime_get(), task->deadline);
}

/*
 * Ends the caller after a panic of Rust code, without running any more of it. The thread sleeps for ever: its stack, and what
 * the stack owns, stay as they are, so nothing that is borrowed from it dangles. The module stays for ever, too.
 */
void __noreturn shim_give_up(void)
{
	struct task *task = own_task();

	/* Not one of our threads: a hotplug callback, which the kernel ends as it ends whoever runs into a bug. */
	BUG_ON(!task);
	atomic64_inc(&panics);
	__module_get(THIS_MODULE);
	if (irqs_disabled())
		local_irq_enable();
	if (task->is_pinned)
		preempt_enable();
	WRITE_ONCE(task->has_panicked, true);
	complete(&task->done);
	for (;;)
		schedule_timeout_idle(MAX_SCHEDULE_TIMEOUT);
}

/* ---- processors ---- */

/* Interrupts are disabled: nobody writes CR4 between the library and the kernel's copy of it. */
static void enter(void)
{
	void *new = NULL;

	if (this_cpu_read(slot))
		return;
	intel_pt_handle_vmx(1);
	if (demo_enter(&new)) {
		intel_pt_handle_vmx(0);
		return;
	}
	/* The kernel writes CR4 from its copy; KVM looks at the copy to see whether VMX is in use. */
	if (native_read_cr4() & X86_CR4_VMXE)
		cr4_set_bits_irqsoff(X86_CR4_VMXE);
	this_cpu_write(slot, new);
	atomic_inc(&processors);
}

static void leave(void)
{
	void *old = this_cpu_read(slot);

	if (!old)
		return;
	this_cpu_write(slot, NULL);
	atomic_dec(&processors);
	demo_leave(old);
	if (!(native_read_cr4() & X86_CR4_VMXE))
		cr4_clear_bits_irqsoff(X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
}

/* Called on the processor, in its own thread. */
static int online(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	enter();
	local_irq_restore(flags);
	/* A processor that cannot is no reason to keep it from coming online: guests are refused there. */
	return 0;
}

static int offline(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	leave();
	local_irq_restore(flags);
	return 0;
}

/* The other processors are offline then, and interrupts disabled. Tests read the lines. */
static int suspend(void)
{
	leave();
	pr_info("%d processors run guests before the sleep\n", atomic_read(&processors));
	return 0;
}

static void resume(void)
{
	enter();
	pr_info("%d processors run guests after the sleep\n", atomic_read(&processors));
}

static struct syscore_ops syscore = {
	.suspend = suspend,
	.resume = resume,
};

static DEFINE_MUTEX(state_lock);
static int hotplug_state;

static int enter_all(void)
{
	int state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "x86-virt/demo:online", online, offline);

	if (state < 0)
		return state;
	hotplug_state = state;
	return 0;
}

static void leave_all(void)
{
	mutex_lock(&state_lock);
	if (hotplug_state)
		cpuhp_remove_state(hotplug_state);
	hotplug_state = 0;
	mutex_unlock(&state_lock);
}

/* A processor in VMX operation blocks INIT, by which firmware or the next kernel starts it. */
static int before_reboot(struct notifier_block *block, unsigned long action, void *data)
{
	leave_all();
	/* A test reads it. */
	pr_info("%d processors run guests from here on\n", atomic_read(&processors));
	return NOTIFY_OK;
}

static struct notifier_block reboot = {
	.notifier_call = before_reboot,
};

/* ---- guests ---- */

static int thread(void *data)
{
	struct task *task = data;
	unsigned long *top = (unsigned long *)(((unsigned long)__builtin_frame_address(0) - STACK_MARGIN) & ~7ul);
	unsigned long *bottom = end_of_stack(current) + 1;
	unsigned long *word;

	for (word = bottom; word < top; word++)
		WRITE_ONCE(*word, STACK_PATTERN);
	demo_run(&task->job);
	for (word = bottom; word < top && READ_ONCE(*word) == STACK_PATTERN; word++)
		;
	task->job.run.stack_bytes = (unsigned long)task_stack_page(current) + THREAD_SIZE - (unsigned long)word;
	kthread_complete_and_exit(&task->done, 0);
}

static struct task *own_task(void)
{
	if (!(current->flags & PF_KTHREAD) || in_interrupt() || kthread_func(current) != thread)
		return NULL;
	return kthread_data(current);
}

static void free_chunks(struct demo_job *job)
{
	__u64 i;

	for (i = 0; i < job->chunk_count; i++) {
		atomic64_sub(job->chunks[i].bytes >> PAGE_SHIFT, &guest_pages);
		free_pages(job->chunks[i].address, get_order(job->chunks[i].bytes));
	}
	kvfree(job->chunks);
}

/* Zeroed memory for the guest, in as few parts as there are. */
static int allocate_chunks(struct demo_job *job)
{
	__u64 left = job->run.memory_bytes;
	unsigned int order = LARGEST_CHUNK_ORDER;

	job->chunks = kvcalloc(left >> PAGE_SHIFT, sizeof(*job->chunks), GFP_KERNEL_ACCOUNT);
	if (!job->chunks)
		return -ENOMEM;
	while (left) {
		struct demo_chunk *chunk = &job->chunks[job->chunk_count];
		unsigned long address = 0;

		while (order && (PAGE_SIZE << order) > left)
			order--;
		for (;;) {
			gfp_t hard = order ? __GFP_NORETRY | __GFP_NOWARN : 0;

			address = __get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO | hard, order);
			if (address || !order)
				break;
			order--;
		}
		if (!address || fatal_signal_pending(current)) {
			if (address)
				free_pages(address, order);
			return -ENOMEM;
		}
		chunk->address = address;
		chunk->physical = virt_to_phys((void *)address);
		chunk->bytes = PAGE_SIZE << order;
		job->chunk_count++;
		atomic64_add(chunk->bytes >> PAGE_SHIFT, &guest_pages);
		left -= chunk->bytes;
	}
	return 0;
}

static int copy_image(struct demo_job *job)
{
	const char __user *from = u64_to_user_ptr(job->run.image);
	__u64 to = job->run.load_address, left = job->run.image_bytes, start = 0, i;

	for (i = 0; i < job->chunk_count && left; i++) {
		struct demo_chunk *chunk = &job->chunks[i];

		if (to < start + chunk->bytes) {
			__u64 offset = to - start, bytes = min(left, chunk->bytes - offset);

			if (copy_from_user((char *)chunk->address + offset, from, bytes))
				return -EFAULT;
			from += bytes;
			to += bytes;
			left -= bytes;
		}
		start += chunk->bytes;
	}
	return 0;
}

static int check(const struct demo_run *run)
{
	if (run->memory_bytes == 0 || run->memory_bytes > MOST_MEMORY || run->memory_bytes % PAGE_SIZE)
		return -EINVAL;
	if (run->image_bytes == 0 || run->load_address > run->memory_bytes)
		return -EINVAL;
	if (run->image_bytes > run->memory_bytes - run->load_address)
		return -E2BIG;
	/* It starts in real mode. */
	if (run->load_address > 0xffff)
		return -EINVAL;
	if (run->exits_room > MOST_STORED || run->milliseconds > MOST_MILLISECONDS)
		return -EINVAL;
	if (run->processor >= 0 && (run->processor >= nr_cpu_ids || !cpu_online(run->processor)))
		return -ENXIO;
	return 0;
}

static int start(struct task *task)
{
	int processor = task->job.run.processor, error = 0;
	struct task_struct *kthread = kthread_create(thread, task, "x86-virt-demo");

	if (IS_ERR(kthread))
		return PTR_ERR(kthread);
	if (processor >= 0)
		error = set_cpus_allowed_ptr(kthread, cpumask_of(processor));
	if (error) {
		/* It has not run: this ends it without a call of `thread`. */
		kthread_stop(kthread);
		return error;
	}
	wake_up_process(kthread);
	return 0;
}

/* The guest ends with the process: when a signal comes, within a tick. */
static int run_thread(struct task *task)
{
	int error = start(task);

	if (error)
		return error;
	error = wait_for_completion_interruptible(&task->done);
	if (error) {
		WRITE_ONCE(task->must_end, true);
		wait_for_completion(&task->done);
	}
	return error ? -EINTR : 0;
}

static long run(struct demo_run __user *argument)
{
	struct task *task = kzalloc(sizeof(*task), GFP_KERNEL_ACCOUNT);
	struct demo_job *job;
	long error;

	if (!task)
		return -ENOMEM;
	job = &task->job;
	init_completion(&task->done);
	atomic64_inc(&jobs);
	error = -EFAULT;
	if (copy_from_user(&job->run, argument, sizeof(job->run)))
		goto free;
	memset((char *)&job->run + offsetof(struct demo_run, exit_count), 0,
	       sizeof(job->run) - offsetof(struct demo_run, exit_count));
	error = check(&job->run);
	if (error)
		goto free;
	error = -ENOMEM;
	job->exits = kvcalloc(max(job->run.exits_room, 1u), sizeof(*job->exits), GFP_KERNEL_ACCOUNT);
	if (!job->exits)
		goto free;
	error = allocate_chunks(job);
	if (error)
		goto free;
	error = copy_image(job);
	if (error)
		goto free;
	task->deadline = ktime_add_ms(ktime_get(), job->run.milliseconds);
	error = run_thread(task);
	if (!error && (copy_to_user(argument, &job->run, sizeof(job->run)) ||
		       copy_to_user(u64_to_user_ptr(job->run.exits), job->exits,
				    (size_t)job->run.exits_stored * sizeof(*job->exits))))
		error = -EFAULT;
	if (READ_ONCE(task->has_panicked)) {
		/* The thread that sleeps for ever has all of it. */
		atomic64_dec(&jobs);
		return -EIO;
	}
free:
	if (job->chunks)
		free_chunks(job);
	kvfree(job->exits);
	kfree(task);
	atomic64_dec(&jobs);
	return error;
}

static long status(struct demo_status __user *argument)
{
	struct demo_status status = {
		.frames = atomic64_read(&frames),
		.heap_blocks = atomic64_read(&heap_blocks),
		.guest_pages = atomic64_read(&guest_pages),
		.jobs = atomic64_read(&jobs),
		.processors = atomic_read(&processors),
		.panics = atomic64_read(&panics),
	};

	return copy_to_user(argument, &status, sizeof(status)) ? -EFAULT : 0;
}

static long ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	switch (command) {
	case DEMO_IOCTL_RUN:
		return run((void __user *)argument);
	case DEMO_IOCTL_STATUS:
		return status((void __user *)argument);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "x86-virt-demo",
	.fops = &operations,
	.mode = 0600,
};

/* ---- loading and unloading ---- */

static int __init demo_init(void)
{
	int error;

	/* Entries of nested tables, and addresses in a VMCB, would need the encryption bit. */
	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT)) {
		pr_err("memory encryption is on: boot with mem_encrypt=off\n");
		return -EOPNOTSUPP;
	}
#ifdef X86_FEATURE_IBT
	/* rustc's code has no ENDBR64. */
	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT) && boot_cpu_has(X86_FEATURE_IBT)) {
		pr_err("indirect branch tracking is on: boot with ibt=off\n");
		return -EOPNOTSUPP;
	}
#endif
	error = demo_warm_up();
	if (error)
		return error;
	error = enter_all();
	if (error)
		return error;
	if (atomic_read(&processors) != num_online_cpus()) {
		pr_err("%d of %u processors cannot run guests\n", num_online_cpus() - atomic_read(&processors),
		       num_online_cpus());
		leave_all();
		return -EBUSY;
	}
	register_syscore_ops(&syscore);
	register_reboot_notifier(&reboot);
	error = misc_register(&device);
	if (error) {
		unregister_reboot_notifier(&reboot);
		unregister_syscore_ops(&syscore);
		leave_all();
	}
	return error;
}

static void __exit demo_exit(void)
{
	misc_deregister(&device);
	unregister_reboot_notifier(&reboot);
	unregister_syscore_ops(&syscore);
	leave_all();
	if (atomic64_read(&frames) || atomic64_read(&guest_pages))
		pr_err("%lld frames and %lld pages of guests are lost\n", atomic64_read(&frames),
		       atomic64_read(&guest_pages));
}

module_init(demo_init);
module_exit(demo_exit);

MODULE_DESCRIPTION("Runs guests with x86-virt");
MODULE_LICENSE("Dual MIT/GPL");
