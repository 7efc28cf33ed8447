// A probe must see what servers really have, old and odd as it may be. crypto/tls refuses some of it by settings of the
// whole program, not of a connection, which are lifted here; what a certificate is worth is judged apart from that:
//
//   - tlssha1: signatures with SHA-1 in handshakes of TLS 1.2 (RFC 9155), without which some servers make none;
//   - rsa1024min: RSA keys below 1,024 bits;
//   - x509negativeserial: certificates whose serial number is below zero (RFC 5280 s.4.1.2.2), as some appliances have.
//
// Certificates that are signed with SHA-1 stay untrusted: the setting x509sha1 is gone since Go 1.24.

//go:debug tlssha1=1
//go:debug rsa1024min=0
//go:debug x509negativeserial=1

package main
