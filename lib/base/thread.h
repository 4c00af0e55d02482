/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.h - a thread that waits for something on behalf of the loop: with a small stack, and all
 * signals left to the others.
 */
#ifndef RIPSTOP_BASE_THREAD_H
#define RIPSTOP_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* *out is to be joined; NULL: the thread is detached and ends by itself. False: there is none. */
bool rs_thread_start(pthread_t *out, void *(*run)(void *arg), void *arg);

#endif
