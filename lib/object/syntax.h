/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax.h - the names Kubernetes allows (k8s.io/apimachinery/pkg/util/validation). Each function
 * answers NULL when s is fine, else a phrase that says what is wrong with it.
 */
#ifndef RIPSTOP_OBJECT_SYNTAX_H
#define RIPSTOP_OBJECT_SYNTAX_H

const char *rs_syntax_dns_label(const char *s);	    /* namespaces */
const char *rs_syntax_dns_subdomain(const char *s); /* pods, policies, nodes */
const char *rs_syntax_label_key(const char *s);
const char *rs_syntax_label_value(const char *s);
const char *rs_syntax_port_name(const char *s); /* IANA_SVC_NAME */

#endif
