// SPDX-License-Identifier: Apache-2.0
/* test_aside.c - base/aside.h: who was woken gets the processor, and nobody else moves us. */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/aside.h"

#define TRIES 50 /* the kernel moves a thread when it likes */

static cpu_set_t may;

/* Two of the processors that we may use; false: there is one only. */
static bool two(int cpu[2])
{
	int n = 0;

	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &may))
			cpu[n++] = i;
	return n == 2;
}

static void go_to(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void may_all(void)
{
	assert_int_equal(sched_setaffinity(0, sizeof(may), &may), 0);
}

/* Sleeps on that processor. */
static pid_t sleeper(int cpu)
{
	int ready[2];
	pid_t pid;
	char c = 0;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		go_to(cpu);
		if (write(ready[1], &c, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* How often of TRIES we were on the same processor after it. */
static int stays(int from, pid_t pid)
{
	int n = 0;

	for (int i = 0; i < TRIES; i++) {
		cpu_set_t after;

		go_to(from);
		may_all();
		rs_step_aside(pid);
		n += sched_getcpu() == from;
		assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
		assert_true(CPU_EQUAL(&after, &may));
	}
	return n;
}

static void who_is_on_our_processor_gets_it(void **state)
{
	int cpu[2];
	pid_t pid;

	(void)state;
	if (!two(cpu))
		skip();
	for (int i = 0; i < 2; i++) {
		pid = sleeper(cpu[i]);
		/* Moved back within microseconds: rare. */
		assert_true(stays(cpu[i], pid) < TRIES / 5);
		assert_true(stays(cpu[!i], pid) > TRIES * 4 / 5);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void nobody_known_moves_nobody(void **state)
{
	int cpu[2];
	pid_t pid;

	(void)state;
	if (!two(cpu))
		skip();
	pid = sleeper(cpu[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(stays(cpu[0], pid) > TRIES * 4 / 5);
	assert_true(stays(cpu[0], 0) > TRIES * 4 / 5);
	assert_true(stays(cpu[0], -1) > TRIES * 4 / 5);
}

static void one_processor_is_enough(void **state)
{
	int here = sched_getcpu();
	cpu_set_t after;

	(void)state;
	go_to(here);
	rs_step_aside(getpid());
	assert_int_equal(sched_getcpu(), here);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_int_equal(CPU_COUNT(&after), 1);
	may_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_on_our_processor_gets_it),
		cmocka_unit_test(nobody_known_moves_nobody),
		cmocka_unit_test(one_processor_is_enough),
	};

	if (sched_getaffinity(0, sizeof(may), &may) < 0)
		return 1;
	return cmocka_run_group_tests_name("aside", tests, NULL, NULL);
}
