package target

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
)

// Set is a set of addresses and host names: what must not be touched. The zero Set is empty, and so is a nil one. Adding is
// for one goroutine; once that is over, any number may ask. A question costs a binary search and no memory.
type Set struct {
	v4    spans[num4] // in order between calls
	v6    spans[num6] // in order between calls
	names map[string]struct{}
}

// Add adds what text names: an address, a CIDR block, a range (forms as for targets, without a port), or a host name. A name
// stands for itself alone, not for the names below it, and not for its addresses.
func (s *Set) Add(text string) error {
	if err := s.add(trimSpace([]byte(text))); err != nil {
		return fmt.Errorf("exclude %q: %w", text, err)
	}
	s.tidy()
	return nil
}

// AddFile adds what the file names: an entry a line as for Add, with comments and blank lines as in target lists. The first
// bad line is an error that names it and ends the reading: a scan must not begin with half of its exclusions.
func (s *Set) AddFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("blocklist: %w", err)
	}
	return errors.Join(s.AddFrom(name, file), file.Close())
}

// AddFrom is AddFile for what is open already; origin is its name for errors.
func (s *Set) AddFrom(origin string, r io.Reader) error {
	defer s.tidy()
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	number := 0
	for scanner.Scan() {
		number++
		line := scanner.Bytes()
		if number == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		line = trimSpace(cutComment(line))
		if len(line) == 0 {
			continue
		}
		if err := s.add(line); err != nil {
			return fmt.Errorf("blocklist %s:%d: %q: %w", origin, number, clip(line), err)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("blocklist %s, after line %d: %w", origin, number, err)
	}
	return nil
}

// AddPrefix adds every address of an IPv4 or IPv6 prefix, which must be valid. An IPv4-mapped prefix of 96 bits or more adds
// the IPv4 addresses.
func (s *Set) AddPrefix(prefix netip.Prefix) {
	if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	prefix = prefix.Masked()
	s.addRange(prefix.Addr(), lastOf(prefix))
	s.tidy()
}

// add adds one entry, without putting the lists in order.
func (s *Set) add(text []byte) error {
	if len(text) == 0 {
		return errors.New("empty")
	}
	var e entry
	if refused := e.parsePlace(text); refused != nil {
		if refused.hint != "" {
			return fmt.Errorf("%s (%s)", refused.reason, refused.hint)
		}
		return errors.New(refused.reason)
	}
	if e.port != 0 {
		return errors.New("an exclusion has no port; it holds for all of them")
	}
	if len(e.domain) > 0 {
		if s.names == nil {
			s.names = make(map[string]struct{})
		}
		s.names[foldName(string(e.domain))] = struct{}{}
		return nil
	}
	s.addRange(e.first, e.last)
	return nil
}

func (s *Set) addRange(first, last netip.Addr) {
	if first.Is4() {
		s.v4 = append(s.v4, span[num4]{number4(first), number4(last)})
		return
	}
	s.v6 = append(s.v6, span[num6]{number6(first), number6(last)})
}

func (s *Set) tidy() {
	s.v4 = s.v4.merge()
	s.v6 = s.v6.merge()
}

// Contains reports whether addr is in the set. An IPv4-mapped address counts as IPv4, and a zone does not count. A caller
// asks for each address that a name resolved to.
func (s *Set) Contains(addr netip.Addr) bool {
	addr = addr.Unmap()
	switch {
	case s == nil || !addr.IsValid():
		return false
	case addr.Is4():
		return contains4(s.v4, number4(addr))
	}
	n := number6(addr)
	return s.v6.contains(n, n)
}

// contains4 is spans.contains for one IPv4 address, written out: it is asked for every line of a list, and the calls through the
// type parameter take two thirds of the time (BenchmarkSetContains).
func contains4(list spans[num4], n num4) bool {
	low, high := 0, len(list)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if list[middle].last < n {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low < len(list) && list[low].first <= n
}

// ContainsName reports whether the host name is in the set: upper and lower case are one, and a dot at the end does not
// count.
func (s *Set) ContainsName(name string) bool {
	if !s.hasNames() {
		return false
	}
	_, ok := s.names[foldName(name)]
	return ok
}

func (s *Set) hasNames() bool { return s != nil && len(s.names) > 0 }

// spans returns the addresses of the set, which may be nil.
func (s *Set) spans() (spans[num4], spans[num6]) {
	if s == nil {
		return nil, nil
	}
	return s.v4, s.v6
}

// clip cuts an entry to what an error repeats of it.
func clip(b []byte) string { return string(b[:min(len(b), maxEntryText)]) }
