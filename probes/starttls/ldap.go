package starttls

import (
	"strconv"

	"sonde/probes/internal/conclude"
	"sonde/protocol"
)

// What is sent to an LDAP server, in BER: message 1, ExtendedRequest with the name of StartTLS (RFC 4511 s.4.14.1), and
// message 2, UnbindRequest (s.4.3), the farewell.
var (
	ldapStartTLS = [][]byte{[]byte("\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + ldapStartTLSName)}
	ldapUnbind   = [][]byte{[]byte("\x30\x05\x02\x01\x02\x42\x00")}
)

const ldapStartTLSName = "1.3.6.1.4.1.1466.20037"

// Tags of a response (RFC 4511 s.4.1.1, s.4.1.9, s.4.12, appendix B).
const (
	ldapMessage          = 0x30
	ldapInteger          = 0x02
	ldapEnumerated       = 0x0a
	ldapOctetString      = 0x04
	ldapExtendedResponse = 0x78
	ldapResponseName     = 0x8a
)

// Message IDs: that of our request, and that of a notice which answers none (RFC 4511 s.4.4).
const (
	ldapOurID    = 1
	ldapNoticeID = 0
)

// ldapMaxMessage is the most bytes of a message. A refusal is a text and perhaps some URLs to go to.
const ldapMaxMessage = 16 << 10

// ldap is the prelude of RFC 4511 s.4.14: one request, one response. LDAP has no greeting.
type ldap struct{ messages berMessages }

func (p *ldap) begin() protocol.Step { return protocol.Step{Send: ldapStartTLS} }

func (p *ldap) parser() protocol.FrameParser { return &p.messages }

func (p *ldap) awaited() string { return "the answer to StartTLS" }

func (p *ldap) onFrame(f protocol.Frame, a *account) protocol.Step {
	r, fault := parseLDAPResponse(f.Data)
	switch {
	case fault != "":
		return a.notSpoken("not ldap: "+fault, f.Data)
	case r.id == ldapNoticeID: // a notice of disconnection, RFC 4511 s.4.4.1
		return a.refuse("disconnected: "+r.String(), f.Data, nil)
	case r.id != ldapOurID:
		return a.notSpoken("not ldap: answer to a message that was not sent", f.Data)
	case r.code != 0:
		return a.refuse(refusedBy+r.String(), f.Data, ldapUnbind)
	case r.name != "" && r.name != ldapStartTLSName:
		return a.notSpoken("not ldap: answer to another request", f.Data)
	}
	return startTLS
}

// ldapResponse is an ExtendedResponse (RFC 4511 s.4.12).
type ldapResponse struct {
	id, code   int64
	diagnostic string
	name       string // "" if it has none: some servers leave it out
}

// String is the response for a reason, "52 unavailable: text".
func (r ldapResponse) String() string {
	s := strconv.FormatInt(r.code, 10)
	if name := ldapCodeName(r.code); name != "" {
		s += " " + name
	}
	if r.diagnostic != "" {
		s += ": " + r.diagnostic
	}
	return s
}

// ldapCodeName names the result codes that may answer StartTLS (RFC 4511 s.4.1.9, s.4.14.2; appendix A explains them).
func ldapCodeName(code int64) string {
	switch code {
	case 1:
		return "operationsError"
	case 2:
		return "protocolError"
	case 8:
		return "strongerAuthRequired"
	case 10:
		return "referral"
	case 11:
		return "adminLimitExceeded"
	case 13:
		return "confidentialityRequired"
	case 50:
		return "insufficientAccessRights"
	case 51:
		return "busy"
	case 52:
		return "unavailable"
	case 53:
		return "unwillingToPerform"
	case 80:
		return "other"
	}
	return ""
}

// parseLDAPResponse takes a message apart that [berMessages] gave. fault is "" for an ExtendedResponse, else what is wrong.
// Elements behind those that RFC 4511 names are well formed, or it is a fault, and mean nothing to us (s.4 has it so).
func parseLDAPResponse(message []byte) (r ldapResponse, fault string) {
	body := berElements{rest: message}
	_, content := body.next()
	outer := berElements{rest: content}
	r.id = outer.integer(ldapInteger)
	tag, content := outer.next()
	if outer.bad || r.id < 0 {
		return r, "no message ID or no response"
	}
	if tag != ldapExtendedResponse {
		return r, "not an ExtendedResponse"
	}
	inner := berElements{rest: content}
	r.code = inner.integer(ldapEnumerated)
	inner.want(ldapOctetString) // matchedDN
	r.diagnostic = conclude.Text(inner.want(ldapOctetString))
	for !inner.bad && len(inner.rest) > 0 {
		tag, content := inner.next()
		if tag == ldapResponseName {
			r.name = conclude.Text(content)
		}
	}
	for !outer.bad && len(outer.rest) > 0 {
		outer.next()
	}
	if inner.bad || outer.bad || r.code < 0 {
		return r, "malformed ExtendedResponse"
	}
	return r, ""
}
