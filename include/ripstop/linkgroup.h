/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linkgroup.h - the link group that tells the kernel which links are pods' (IFLA_GROUP, if_link.h).
 *
 * The plugin sets it in the message that creates a link, the dataplane's guard matches it, and
 * both must agree before either has spoken to the other. The neighbouring number (xor 1) is for
 * condemned links; the guard matches both. An option of the agent (link-group) replaces it on a
 * node.
 */
#ifndef RIPSTOP_LINKGROUP_H
#define RIPSTOP_LINKGROUP_H

#define RS_LINK_GROUP 0x5249u

#endif
