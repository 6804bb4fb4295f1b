/* Calls that are not stopped: only those that are made from this piece of code. */
#include "shim/order.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#define PR_SYS_DISPATCH_ON 1
#endif

__asm__(".pushsection .text.hps_gate,\"ax\",@progbits\n"
	".hidden hps_gate\n.globl hps_gate\nhps_gate:\n"
	".hidden hps_gate_call\n.globl hps_gate_call\n.type hps_gate_call,@function\nhps_gate_call:\n"
	"	mov %rdi, %rax\n	mov %rsi, %rdi\n	mov %rdx, %rsi\n	mov %rcx, %rdx\n	mov %r8, %r10\n	mov %r9, %r8\n	mov 8(%rsp), %r9\n"
	"	syscall\n	ret\n"
	".hidden hps_gate_clone\n.globl hps_gate_clone\n.type hps_gate_clone,@function\nhps_gate_clone:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rcx, %r10\n	mov %r9, %rax\n"
	"	mov 32(%rax), %r12\n	mov 40(%rax), %r13\n	mov 48(%rax), %r14\n	mov 56(%rax), %r15\n	mov 80(%rax), %rbp\n	mov 88(%rax), %rbx\n"
	"	mov 128(%rax), %r9\n	mov $56, %eax\n	syscall\n	test %rax, %rax\n	jz 1f\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n	ret\n"
	"1:	jmp *%r9\n"
	".hidden hps_gate_restorer\n.globl hps_gate_restorer\n.type hps_gate_restorer,@function\nhps_gate_restorer:\n"
	"	mov $15, %eax\n	syscall\n	ud2\n"
	".hidden hps_gate_end\n.globl hps_gate_end\nhps_gate_end:\n"
	".popsection\n");
extern const char hps_gate[], hps_gate_end[];

void hps_gate_open(void)
{
	CALL(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0, 0);
}

void hps_gate_close(void)
{
	CALL(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, hps_gate, hps_gate_end - hps_gate, 0, 0);
}

pid_t hps_gate_getpid(void)
{
	return (pid_t)CALL(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

int64_t hps_gate_now(void)
{
	struct timespec t = { 0 };

	CALL(SYS_clock_gettime, CLOCK_MONOTONIC, &t, 0, 0, 0, 0);
	return t.tv_sec * NS + t.tv_nsec;
}
