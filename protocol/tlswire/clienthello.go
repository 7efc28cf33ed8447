package tlswire

import (
	"fmt"
	"slices"
)

// ClientHello is a ClientHello of any version (RFC 8446 s.4.1.2, RFC 5246 s.7.4.1.2, RFC 6101 s.5.6.1.2), with everything
// settable and in any order, so that any client's hello can be spoken. The zero value needs CipherSuites to be a hello.
type ClientHello struct {
	// RecordVersion is the version in the record's header; 0 means TLS 1.0, or SSL 3.0 if LegacyVersion is that (RFC 8446
	// s.5.1). ParseClientHello, which sees no record, leaves it 0.
	RecordVersion Version
	// LegacyVersion is the highest version below TLS 1.3 that is offered; 0 means TLS 1.2. 1.3 is offered by
	// [SupportedVersions].
	LegacyVersion Version
	// Random is the client's random; where it comes from is the caller's business.
	Random [32]byte
	// SessionID has up to 32 bytes.
	SessionID []byte
	// CipherSuites are offered in this order: 1 to 32,767.
	CipherSuites []CipherSuite
	// Compression are the compression methods in order, up to 255; nil means the one method that is none, 0.
	Compression []byte
	// Extensions are sent in this order, each type once, pre_shared_key last (RFC 8446 s.4.2). Nil sends no block at
	// all, as SSL 3.0 wants; an empty list that is not nil sends an empty block.
	Extensions []Extension
}

// FieldError says which field of a ClientHello can't be sent.
type FieldError struct {
	Field  string // as in Go ("CipherSuites"), or the name of an extension ("server_name")
	Reason string // "33 bytes, at most 32"
}

// Error implements error.
func (e *FieldError) Error() string { return "client hello: " + e.Field + ": " + e.Reason }

// Append appends the hello in handshake records, as it is sent: in one, unless it is longer than [MaxPlaintext]. A
// *FieldError says what can't be sent; dst is then returned as it was.
func (h *ClientHello) Append(dst []byte) ([]byte, error) {
	message, err := h.AppendMessage(nil)
	if err != nil {
		return dst, err
	}
	version := h.RecordVersion
	if version == 0 {
		version = min(TLS10, h.legacyVersion())
	}
	return AppendRecords(dst, RecordHandshake, version, message), nil
}

// AppendMessage appends the handshake message without a record around it, as a transcript hash wants it. Errors are
// those of Append.
func (h *ClientHello) AppendMessage(dst []byte) ([]byte, error) {
	if err := h.check(); err != nil {
		return dst, err
	}
	w := writer{buf: append(dst, byte(HandshakeClientHello))}
	whole := w.open(3)
	w.uint16(uint16(h.legacyVersion()))
	w.buf = append(w.buf, h.Random[:]...)
	w.opaque(1, h.SessionID)
	suites := w.open(2)
	for _, s := range h.CipherSuites {
		w.uint16(uint16(s))
	}
	w.close(2, suites, "CipherSuites")
	compression := h.Compression
	if compression == nil {
		compression = []byte{0}
	}
	w.opaque(1, compression)
	if h.Extensions != nil {
		block := w.open(2)
		for _, e := range h.Extensions {
			w.uint16(uint16(e.Type()))
			content := w.open(2)
			e.write(&w)
			w.close(2, content, e.Type().String())
		}
		w.close(2, block, "Extensions")
	}
	w.close(3, whole, "ClientHello")
	if w.fault != nil {
		return dst, w.fault
	}
	return w.buf, nil
}

func (h *ClientHello) legacyVersion() Version {
	if h.LegacyVersion == 0 {
		return TLS12
	}
	return h.LegacyVersion
}

// check finds what can't be written, or what no server can be expected to read.
func (h *ClientHello) check() error {
	switch {
	case len(h.SessionID) > 32:
		return &FieldError{"SessionID", fmt.Sprintf("%d bytes, at most 32", len(h.SessionID))}
	case len(h.CipherSuites) == 0:
		return &FieldError{"CipherSuites", "empty"}
	case len(h.CipherSuites) > (1<<16-2)/2:
		return &FieldError{"CipherSuites", fmt.Sprintf("%d, at most %d", len(h.CipherSuites), (1<<16-2)/2)}
	case h.Compression != nil && len(h.Compression) == 0:
		return &FieldError{"Compression", "empty; nil means no compression"}
	case len(h.Compression) > 255:
		return &FieldError{"Compression", fmt.Sprintf("%d methods, at most 255", len(h.Compression))}
	case len(h.Extensions) > MaxExtensions:
		return &FieldError{"Extensions", fmt.Sprintf("%d, at most %d", len(h.Extensions), MaxExtensions)}
	}
	seen := make([]ExtensionType, 0, MaxExtensions)
	for i, e := range h.Extensions {
		if e == nil {
			return &FieldError{"Extensions", fmt.Sprintf("number %d is nil", i)}
		}
		t := e.Type()
		if slices.Contains(seen, t) {
			return &FieldError{t.String(), "comes twice"} // RFC 8446 s.4.2
		}
		if t == ExtPreSharedKey && i != len(h.Extensions)-1 {
			return &FieldError{t.String(), "not the last extension"} // RFC 8446 s.4.2.11
		}
		seen = append(seen, t)
	}
	return nil
}

// Extension returns the hello's extension of type t, or nil.
func (h *ClientHello) Extension(t ExtensionType) Extension {
	for _, e := range h.Extensions {
		if e.Type() == t {
			return e
		}
	}
	return nil
}
