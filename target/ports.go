package target

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// PortRange is a run of TCP ports, both ends included: 1 <= From <= To.
type PortRange struct{ From, To uint16 }

// String returns the range as ParsePorts reads it.
func (r PortRange) String() string {
	if r.From == r.To {
		return strconv.Itoa(int(r.From))
	}
	return fmt.Sprintf("%d-%d", r.From, r.To)
}

// ParsePorts reads a list of ports and port ranges, "80,443,8000-8100". White space around the parts is allowed. The answer
// is sorted and no port is in it twice. An error names the part that is wrong.
func ParsePorts(list string) ([]PortRange, error) {
	var ranges []PortRange
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, okFirst := parsePort([]byte(strings.TrimSpace(from)))
		last, okLast := parsePort([]byte(strings.TrimSpace(to)))
		switch {
		case part == "":
			return nil, fmt.Errorf("ports %q: an empty part; write a list such as 80,443,8000-8100", list)
		case !okFirst || !okLast:
			return nil, fmt.Errorf("ports %q: %q is not a port from 1 to 65535 or a range of them", list, part)
		case first > last:
			return nil, fmt.Errorf("ports %q: the range %q runs backwards", list, part)
		}
		ranges = append(ranges, PortRange{first, last})
	}
	return mergePorts(ranges), nil
}

// parsePort reads a port: 1 to 65535, for port 0 can't be dialled.
func parsePort(b []byte) (uint16, bool) {
	port, ok := parseNumber(b, 65535)
	return uint16(port), ok && port > 0
}

// mergePorts returns the ranges sorted and merged, in new memory.
func mergePorts(ranges []PortRange) []PortRange {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b PortRange) int { return cmp.Compare(a.From, b.From) })
	merged := sorted[:0]
	for _, next := range sorted {
		if len(merged) > 0 && int(next.From) <= int(merged[len(merged)-1].To)+1 {
			last := &merged[len(merged)-1]
			last.To = max(last.To, next.To)
			continue
		}
		merged = append(merged, next)
	}
	return merged
}

// portTable lists every port of the ranges, so that the k-th is found at once. At most 128 KiB.
func portTable(ranges []PortRange) ([]uint16, error) {
	var table []uint16
	for _, r := range mergePorts(ranges) {
		if r.From == 0 || r.From > r.To {
			return nil, fmt.Errorf("ports %v: want 1 to 65535, low to high", r)
		}
		for port := int(r.From); port <= int(r.To); port++ {
			table = append(table, uint16(port))
		}
	}
	return table, nil
}
