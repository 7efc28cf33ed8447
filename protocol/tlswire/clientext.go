package tlswire

import "fmt"

// Extension is one extension of a ClientHello: one of the types below, or a [RawExtension] for any other, or for content
// that is to be wrong.
type Extension interface {
	// Type is the extension's number.
	Type() ExtensionType
	// write appends the content.
	write(w *writer)
}

// RawExtension is any extension, its content as it is sent (GREASE, RFC 8701 s.3: a type of [GREASE] and any content).
type RawExtension struct {
	ID   ExtensionType
	Data []byte
}

// The extensions with a form of their own.
type (
	// ServerName is the DNS name asked for (RFC 6066 s.3): ASCII, see [CheckServerName].
	ServerName string
	// MaxFragmentLength asks for small records: 1 to 4 for 2^9 to 2^12 bytes (RFC 6066 s.4).
	MaxFragmentLength uint8
	// StatusRequest asks for a stapled OCSP response from any responder (RFC 6066 s.8).
	StatusRequest struct{}
	// SupportedGroups are the groups offered, best first (RFC 8446 s.4.2.7, RFC 8422 s.5.1.1).
	SupportedGroups []Group
	// ECPointFormats are the point formats understood; 0 is uncompressed (RFC 8422 s.5.1.2).
	ECPointFormats []byte
	// SignatureAlgorithms are the signatures understood, best first (RFC 8446 s.4.2.3, RFC 5246 s.7.4.1.4.1).
	SignatureAlgorithms []SignatureScheme
	// SignatureAlgorithmsCert are the same for those in certificates (RFC 8446 s.4.2.3).
	SignatureAlgorithmsCert []SignatureScheme
	// ALPN are the application protocols offered, best first, of 1 to 255 bytes each (RFC 7301 s.3.1).
	ALPN []string
	// SignedCertTimestamp asks for certificate transparency timestamps (RFC 6962 s.3.3.1).
	SignedCertTimestamp struct{}
	// Padding is so many zero bytes (RFC 7685 s.3).
	Padding uint16
	// EncryptThenMAC offers the MAC outside of the encryption (RFC 7366 s.2).
	EncryptThenMAC struct{}
	// ExtendedMasterSecret binds the master secret to the handshake (RFC 7627 s.5.1).
	ExtendedMasterSecret struct{}
	// SessionTicket is a ticket of TLS 1.2, or empty to ask for one (RFC 5077 s.3.2).
	SessionTicket []byte
	// SupportedVersions are the versions offered, best first: 1 to 127 (RFC 8446 s.4.2.1).
	SupportedVersions []Version
	// Cookie is what a HelloRetryRequest said (RFC 8446 s.4.2.2).
	Cookie []byte
	// PSKKeyExchangeModes are how a ticket of TLS 1.3 may be used: 0 alone, 1 with a key agreement (RFC 8446 s.4.2.9).
	PSKKeyExchangeModes []byte
	// KeyShares are the keys offered, best first (RFC 8446 s.4.2.8). Empty asks for a HelloRetryRequest.
	KeyShares []KeyShare
	// RenegotiationInfo is the renegotiated_connection: empty on a first handshake (RFC 5746 s.3.4).
	RenegotiationInfo []byte
)

// Type implements [Extension].
func (e RawExtension) Type() ExtensionType { return e.ID }

// Type implements [Extension].
func (ServerName) Type() ExtensionType { return ExtServerName }

// Type implements [Extension].
func (MaxFragmentLength) Type() ExtensionType { return ExtMaxFragmentLength }

// Type implements [Extension].
func (StatusRequest) Type() ExtensionType { return ExtStatusRequest }

// Type implements [Extension].
func (SupportedGroups) Type() ExtensionType { return ExtSupportedGroups }

// Type implements [Extension].
func (ECPointFormats) Type() ExtensionType { return ExtECPointFormats }

// Type implements [Extension].
func (SignatureAlgorithms) Type() ExtensionType { return ExtSignatureAlgorithms }

// Type implements [Extension].
func (SignatureAlgorithmsCert) Type() ExtensionType { return ExtSignatureAlgorithmsCert }

// Type implements [Extension].
func (ALPN) Type() ExtensionType { return ExtALPN }

// Type implements [Extension].
func (SignedCertTimestamp) Type() ExtensionType { return ExtSignedCertTimestamp }

// Type implements [Extension].
func (Padding) Type() ExtensionType { return ExtPadding }

// Type implements [Extension].
func (EncryptThenMAC) Type() ExtensionType { return ExtEncryptThenMAC }

// Type implements [Extension].
func (ExtendedMasterSecret) Type() ExtensionType { return ExtExtendedMasterSecret }

// Type implements [Extension].
func (SessionTicket) Type() ExtensionType { return ExtSessionTicket }

// Type implements [Extension].
func (SupportedVersions) Type() ExtensionType { return ExtSupportedVersions }

// Type implements [Extension].
func (Cookie) Type() ExtensionType { return ExtCookie }

// Type implements [Extension].
func (PSKKeyExchangeModes) Type() ExtensionType { return ExtPSKKeyExchangeModes }

// Type implements [Extension].
func (KeyShares) Type() ExtensionType { return ExtKeyShare }

// Type implements [Extension].
func (RenegotiationInfo) Type() ExtensionType { return ExtRenegotiationInfo }

func (e RawExtension) write(w *writer) { w.buf = append(w.buf, e.Data...) }

func (e ServerName) write(w *writer) {
	if err := CheckServerName(string(e)); err != nil {
		w.fail(e.Type().String(), err.Error())
	}
	list := w.open(2)
	w.uint8(0) // host_name, the only type there is
	name := w.open(2)
	w.buf = append(w.buf, e...)
	w.close(2, name, e.Type().String())
	w.close(2, list, e.Type().String())
}

func (e MaxFragmentLength) write(w *writer) { w.uint8(uint8(e)) }

func (StatusRequest) write(w *writer) { w.buf = append(w.buf, 1, 0, 0, 0, 0) } // ocsp; any responder; no extensions

func (e SupportedGroups) write(w *writer) { pairsOf(w, 2, e, e.Type()) }

func (e ECPointFormats) write(w *writer) { writeBytes(w, 1, e, e.Type()) }

func (e SignatureAlgorithms) write(w *writer) { pairsOf(w, 2, e, e.Type()) }

func (e SignatureAlgorithmsCert) write(w *writer) { pairsOf(w, 2, e, e.Type()) }

func (e ALPN) write(w *writer) {
	if len(e) == 0 {
		w.fail(e.Type().String(), "empty list")
	}
	list := w.open(2)
	for _, name := range e {
		if len(name) == 0 || len(name) > 255 {
			w.fail(e.Type().String(), fmt.Sprintf("name of %d bytes, want 1 to 255", len(name)))
		}
		begin := w.open(1)
		w.buf = append(w.buf, name...)
		w.close(1, begin, e.Type().String())
	}
	w.close(2, list, e.Type().String())
}

func (SignedCertTimestamp) write(*writer) {}

func (e Padding) write(w *writer) { w.buf = append(w.buf, make([]byte, e)...) }

func (EncryptThenMAC) write(*writer) {}

func (ExtendedMasterSecret) write(*writer) {}

func (e SessionTicket) write(w *writer) { w.buf = append(w.buf, e...) }

func (e SupportedVersions) write(w *writer) { pairsOf(w, 1, e, e.Type()) }

func (e Cookie) write(w *writer) { writeBytes(w, 2, e, e.Type()) }

func (e PSKKeyExchangeModes) write(w *writer) { writeBytes(w, 1, e, e.Type()) }

func (e KeyShares) write(w *writer) {
	list := w.open(2)
	for _, share := range e {
		if len(share.Key) == 0 {
			w.fail(e.Type().String(), share.Group.String()+": empty key")
		}
		w.uint16(uint16(share.Group))
		key := w.open(2)
		w.buf = append(w.buf, share.Key...)
		w.close(2, key, e.Type().String())
	}
	w.close(2, list, e.Type().String())
}

func (e RenegotiationInfo) write(w *writer) {
	begin := w.open(1)
	w.buf = append(w.buf, e...)
	w.close(1, begin, e.Type().String())
}

// writeBytes appends b, which must not be empty, with its length.
func writeBytes(w *writer, size int, b []byte, t ExtensionType) {
	if len(b) == 0 {
		w.fail(t.String(), "empty list")
	}
	begin := w.open(size)
	w.buf = append(w.buf, b...)
	w.close(size, begin, t.String())
}
