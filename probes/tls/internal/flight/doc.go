// Package flight reads the first flight of a TLS server, from its ServerHello to its certificates, without making a
// handshake: the depths hello and certs of the tls probe.
//
//	hello   up to the ServerHello, or a HelloRetryRequest, of TLS 1.3; with TLS 1.2 and below, where the flight is in the
//	        clear, up to ServerHelloDone. No cryptography but hashes of what is reported.
//	certs   the same, but with TLS 1.3 on to the Certificate message: one key agreement, the handshake keys (package
//	        tls13) and a record or two decrypted.
//
// A [Client] is one for a scan. What it offers is made once: the random, the session ID and the key shares are the same in
// every ClientHello of a scan, and a whole hello is kept for each server name. That costs no security, since no secret is
// ever sent, and no connection outlives the server's first flight; it does let servers that compare notes tell that it
// is one scan.
//
// # What is proven
//
// Nothing. A server signs its handshake in ServerKeyExchange or CertificateVerify, and neither signature is checked: what
// is read is what somebody sent who may have copied the certificates of another. Chains are held against the roots, the
// time and the name all the same; only the depth full tells that the server has the key.
//
// # What is asked of a server
//
// What it chooses must have been offered: version, suite, group, protocol, extensions. Messages must come in their order,
// each once. Else the handshake is refused, with what was learned so far.
//
// # Ownership
//
// The exchange copies what it keeps. Buffers are borrowed when the first record arrives and go back at the end, so that an
// exchange that waits for its server costs a few hundred bytes.
package flight
