/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wordpool.h - words that many objects share (label keys and values, namespaces, names of nodes,
 * owners and ports) are kept once in a process, and counted.
 *
 * Equal words are one pointer for as long as somebody holds them. The pool is of the one thread
 * that holds objects. Its hash has a key of the process: nobody outside can choose words that meet.
 */
#ifndef RIPSTOP_OBJECT_WORDPOOL_H
#define RIPSTOP_OBJECT_WORDPOOL_H

/* The pool's copy of s, to be given back; NULL gives NULL. Nobody writes to it. */
char *rs_word_take(const char *s);
void rs_word_drop(const char *word); /* NULL is legal */

#endif
