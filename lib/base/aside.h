/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aside.h - let a process that was just woken run at once, beside the caller.
 *
 * A message over a socket wakes its receiver "in sync": the kernel expects the sender to sleep next
 * and, unless it sees an idle processor, puts the receiver behind it on the same one. A virtual
 * machine's idle processors have halted, count as preempted by the host and are not seen
 * (available_idle_cpu() of the scheduler), so a sender that has work of its own makes the receiver
 * wait for it while a processor sleeps.
 */
#ifndef RIPSTOP_BASE_ASIDE_H
#define RIPSTOP_BASE_ASIDE_H

#include <sys/types.h>

/* When the first thread of @pid was put on the caller's processor, the caller goes to another of
 * those it may use, which it keeps all. Costs some 10 us, and some 100 when it goes; where nothing
 * can be known, nothing is done. */
void rs_step_aside(pid_t pid);

#endif
