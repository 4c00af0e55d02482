// SPDX-License-Identifier: Apache-2.0
/*
 * nognutls.c - GnuTLS is in the process because libraries of libcurl's are linked with it (LDAP,
 * RTMP), not because anybody here speaks TLS through it: the API source takes libcurl with OpenSSL.
 * Left alone it makes itself ready when it is loaded, fills tables and tests its ciphers, for
 * nothing. This is GnuTLS's own way of being asked not to; who does want it calls
 * gnutls_global_init(), which works as ever. Without GnuTLS in the process nobody looks here.
 */

/* As GNUTLS_SKIP_GLOBAL_INIT of <gnutls/gnutls.h> has it, which need not be installed here. */
int _gnutls_global_init_skip(void);

int _gnutls_global_init_skip(void)
{
	return 1;
}
