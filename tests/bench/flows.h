/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows.h - traffic between two network namespaces, and its figures.
 *
 * One thread has both ends of every flow: it sends, and then takes what has arrived. Between namespaces a packet is
 * carried by the sender's processor in the sender's own call, so that a figure is the whole path and no wake-up of
 * another process. Sockets are made anew for every measurement.
 */
#ifndef RIPSTOP_TESTS_BENCH_FLOWS_H
#define RIPSTOP_TESTS_BENCH_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include <ripstop/addr.h>

struct fl_path {
	int client_ns, server_ns;
	struct rs_addr server;
	uint16_t port;
};

/* Whether one datagram gets there. */
bool fl_udp_passes(const struct fl_path *p);

/* Datagrams of 18 bytes received a second, on a flow that conntrack knows as established. *lost: the share of those
 * sent that did not arrive. Each of these is negative where nothing could be measured. */
double fl_udp_rate(const struct fl_path *p, double seconds, double *lost);

/* Connections a second: opened, one byte each way, closed by a reset. */
double fl_connect_rate(const struct fl_path *p, double seconds);

/* Gigabits a second over one TCP connection. */
double fl_bulk_rate(const struct fl_path *p, double seconds);

/* Microseconds from a datagram to its answer: the half and the 99th percentile of all. false: nothing answered. */
bool fl_latency(const struct fl_path *p, double seconds, double *p50, double *p99);

#endif
