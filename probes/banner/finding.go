package banner

import (
	"strings"
	"unicode"

	"sonde/internal/jsonappend"
	"sonde/protocol"
)

// finding is what was heard. It owns its memory.
type finding struct {
	banner  []byte
	endedBy string
	match   []string // nil unless --expect has groups and matched
}

var _ protocol.Finding = (*finding)(nil)

// AppendJSON implements [protocol.Finding]; About documents the fields.
func (f *finding) AppendJSON(dst []byte) []byte {
	o := jsonappend.Begin(dst)
	o.Bytes("banner", f.banner)
	o.Int("bytes", int64(len(f.banner)))
	o.String("ended_by", f.endedBy)
	if f.match != nil {
		o.Strings("match", f.match)
	}
	return o.End()
}

// briefRunes is the most characters of a banner in a table.
const briefRunes = 60

// Brief implements [protocol.Finding]: the first line of the banner that has something to read. The peer chose these
// bytes, so nothing that a terminal could obey gets through.
func (f *finding) Brief() string {
	var b strings.Builder
	count := 0
	for _, r := range string(f.banner[:min(len(f.banner), 4*briefRunes)]) {
		if r == '\r' || r == '\n' {
			if count > 0 {
				break
			}
			continue
		}
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			r = '.'
		}
		if count == briefRunes {
			break
		}
		b.WriteRune(r)
		count++
	}
	return b.String()
}
