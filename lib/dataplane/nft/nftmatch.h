/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nftmatch.h - the sentences of our rules: each call writes its expressions and its words in one
 * place.
 */
#ifndef RIPSTOP_DATAPLANE_NFT_NFTMATCH_H
#define RIPSTOP_DATAPLANE_NFT_NFTMATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/netfilter/nf_conntrack_tuple_common.h>

#include "dataplane/nft/rule.h"

#define ORIGINAL IP_CT_DIR_ORIGINAL
#define REPLY IP_CT_DIR_REPLY

/* family: 4 or 6 */
void rs_m_family(struct rs_nft_rule *r, int family);
void rs_m_plain4(struct rs_nft_rule *r);
/* IPv4, and of the header's byte at that offset the masked bits; says nothing. */
void rs_m_byte4(struct rs_nft_rule *r, uint32_t at, uint8_t mask, uint32_t op, uint8_t value);
void rs_m_options(struct rs_nft_rule *r);
void rs_m_pod_link(struct rs_nft_rule *r, uint32_t link_group, uint32_t key, uint32_t op);
void rs_m_from_pod(struct rs_nft_rule *r, uint32_t link_group);
void rs_m_to_pod(struct rs_nft_rule *r, uint32_t link_group);
void rs_m_iif(struct rs_nft_rule *r, uint32_t index);
void rs_m_state(struct rs_nft_rule *r, uint32_t bits, const char *words);
void rs_m_not_state(struct rs_nft_rule *r, uint32_t bits, const char *words);
void rs_m_direction(struct rs_nft_rule *r, uint8_t dir);
void rs_m_l4(struct rs_nft_rule *r, uint8_t proto, uint32_t op, const char *words);
void rs_m_icmp6_type(struct rs_nft_rule *r, uint8_t lo, uint8_t hi);
void rs_m_on_link(struct rs_nft_rule *r);
void rs_x_addr(struct rs_nft_rule *r, int family, bool dst, uint8_t reg);
void rs_x_end(struct rs_nft_rule *r, int family, int dir, uint8_t reg);
const char *rs_ip(int family);
void rs_m_end_in(struct rs_nft_rule *r, int family, int dir, const char *set);
void rs_m_source(struct rs_nft_rule *r, int family, const char *set);
void rs_m_guard(struct rs_nft_rule *r, int family, const char *set);
void rs_m_packet_in(struct rs_nft_rule *r, int family, bool dst, const char *set, bool inv);
void rs_v_goto(struct rs_nft_rule *r, const char *chain);
void rs_v_jump(struct rs_nft_rule *r, const char *chain);
void rs_v_accept(struct rs_nft_rule *r);
void rs_v_drop(struct rs_nft_rule *r, const char *counter);

#endif
