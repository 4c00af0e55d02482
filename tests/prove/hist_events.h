/* SPDX-License-Identifier: Apache-2.0 */
/* hist_events.h - steps that change the state; see hist.h. */
#ifndef RIPSTOP_TESTS_PROVE_HIST_EVENTS_H
#define RIPSTOP_TESTS_PROVE_HIST_EVENTS_H

#include "tests/prove/hist.h"

int hist_pod_comes(struct hist *h);
int hist_pod_goes(struct hist *h);
int hist_pod_relabelled(struct hist *h);
int hist_pod_phase(struct hist *h);
int hist_pod_terminates(struct hist *h);
int hist_pod_addressed(struct hist *h);
int hist_pod_uid(struct hist *h);
int hist_add(struct hist *h);
int hist_del(struct hist *h);
int hist_add_before_status(struct hist *h);
int hist_address_goes_on(struct hist *h);
int hist_successor(struct hist *h);

int hist_ns_relabelled(struct hist *h);
int hist_ns_goes(struct hist *h);
int hist_ns_again(struct hist *h);
int hist_policy_comes(struct hist *h);
int hist_policy_goes(struct hist *h);
int hist_policy_edited(struct hist *h);
int hist_policy_ports(struct hist *h);
int hist_policy_block(struct hist *h);
int hist_policy_again(struct hist *h);
int hist_node_changed(struct hist *h);

int hist_elsewhere(struct hist *h);

#endif
