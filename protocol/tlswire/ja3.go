package tlswire

import "strconv"

// JA3S returns the text whose MD5 is the server's JA3S fingerprint: the version field, the suite and the types of the
// extensions in order, all decimal and without GREASE ("771,49199,65281-0-11"). The digest is the caller's to make.
func (h *ServerHello) JA3S() string {
	b := make([]byte, 0, 64)
	b = strconv.AppendUint(b, uint64(h.LegacyVersion), 10)
	b = append(b, ',')
	b = strconv.AppendUint(b, uint64(h.CipherSuite), 10)
	b = append(b, ',')
	list := ja3List{buf: b}
	for t := range h.Extensions.All() {
		list.add(uint16(t))
	}
	return string(list.buf)
}

// JA3 returns the text whose MD5 is the client's JA3 fingerprint: version, suites, extensions, groups and point
// formats, all decimal and without GREASE ("771,4865-4866,0-10-11,29-23,0").
func (h *ClientHello) JA3() string {
	list := ja3List{buf: make([]byte, 0, 256)}
	list.buf = strconv.AppendUint(list.buf, uint64(h.legacyVersion()), 10)
	list.begin()
	for _, s := range h.CipherSuites {
		list.add(uint16(s))
	}
	list.begin()
	for _, e := range h.Extensions {
		list.add(uint16(e.Type()))
	}
	list.begin()
	if groups, ok := h.Extension(ExtSupportedGroups).(SupportedGroups); ok {
		for _, g := range groups {
			list.add(uint16(g))
		}
	}
	list.begin()
	if formats, ok := h.Extension(ExtECPointFormats).(ECPointFormats); ok {
		for _, f := range formats {
			list.add(uint16(f))
		}
	}
	return string(list.buf)
}

// ja3List appends lists of numbers, joined by "-" and divided by ",".
type ja3List struct {
	buf  []byte
	some bool // the list has a number already
}

func (l *ja3List) begin() {
	l.buf = append(l.buf, ',')
	l.some = false
}

// add appends a number unless it is GREASE.
func (l *ja3List) add(v uint16) {
	if IsGREASE(v) {
		return
	}
	if l.some {
		l.buf = append(l.buf, '-')
	}
	l.some = true
	l.buf = strconv.AppendUint(l.buf, uint64(v), 10)
}
