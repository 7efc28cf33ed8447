package target

import (
	"iter"
	"net/netip"
	"strconv"
)

// Block is a CIDR block or a range of addresses, as one entry writes it.
type Block struct {
	// First and Last are of one family, and both are part of the block.
	First, Last netip.Addr
	// Port is 0 if the entry names none; Domain and Tag are empty likewise.
	Port        uint16
	Domain, Tag string
}

// ParseBlock reads an entry (white space around it, no comment) that is a block or a range, by itself or in the first field
// of the line form. It returns false for every other entry, good or bad.
func ParseBlock(text string) (Block, bool) {
	b := trimSpace([]byte(text))
	var e entry
	if len(b) == 0 || e.parse(b) != nil || !e.isBlock {
		return Block{}, false
	}
	return Block{First: e.first, Last: e.last, Port: e.port, Domain: string(e.domain), Tag: string(e.tag)}, true
}

// Size is how many addresses the block has; false if that does not fit 63 bits.
func (b Block) Size() (uint64, bool) {
	if b.First.Is4() {
		return span[num4]{number4(b.First), number4(b.Last)}.size()
	}
	return span[num6]{number6(b.First), number6(b.Last)}.size()
}

// Addrs yields the addresses of the block in order, but for those that no TCP connection can have as its peer (see
// [Routable]).
func (b Block) Addrs() iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for addr := b.First; addr.IsValid() && !b.Last.Less(addr); addr = addr.Next() {
			if Routable(addr) && !yield(addr) {
				return
			}
		}
	}
}

// Entry is how a list would name one address of the block alone: with the block's port, domain and tag.
func (b Block) Entry(addr netip.Addr) string {
	if b.Domain != "" || b.Tag != "" {
		port := ""
		if b.Port != 0 {
			port = strconv.Itoa(int(b.Port))
		}
		return addr.String() + "," + b.Domain + "," + b.Tag + "," + port
	}
	if b.Port != 0 {
		return netip.AddrPortFrom(addr, b.Port).String()
	}
	return addr.String()
}

// TrimLine cuts a line of a list, without its end, down to its entry: no comment, no white space around it. What it returns is
// part of line, and empty if that holds no entry.
func TrimLine(line []byte) []byte { return trimSpace(cutComment(line)) }
