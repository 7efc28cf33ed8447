// Package pace limits how often a host or a subnet is dialled, whatever the order of the targets. It has no clock and no lock: who
// owns it tells it the time, in nanoseconds of one monotonic clock.
//
// A bucket is one number, the moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371 annex A.1), and
// one that is full is the same as none: so only those that were dialled of late take memory, and there is a cap on them.
package pace

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sonde/internal/rate"
)

// Settings are what a Limiter works by.
type Settings struct {
	// PerSecond is how many dials a second each bucket allows, above 0, at most Max.
	PerSecond float64
	// Burst is how many may come at once; default 1.
	Burst int
	// Bits4 and Bits6 are the length of the prefixes (RFC 4632) that share a bucket, by the family of the address; 0 is the whole
	// address.
	Bits4, Bits6 int
	// Buckets is how many there may be at most; default 65,536, about 3 MiB.
	Buckets int
}

// Max is the highest rate, in dials a second.
const Max = 1e6

// defaultBuckets is many more than are dialled in the second that a bucket usually takes to fill.
const defaultBuckets = 1 << 16

// ParseSubnet reads the value of --subnet-rate: dials a second, as package rate reads them, and the length of an IPv4 prefix, as in
// "100/24". Of IPv6 a /64 shares a bucket: it is one network (RFC 4291 s.2.5.1).
func ParseSubnet(text string) (Settings, error) {
	number, bits, ok := strings.Cut(text, "/")
	if !ok {
		return Settings{}, errors.New(`want a rate and a prefix length, as in "100/24"`)
	}
	perSecond, err := rate.Parse(number)
	if err != nil {
		return Settings{}, err
	}
	length, err := strconv.Atoi(bits)
	if err != nil || length < 1 || length > 32 {
		return Settings{}, fmt.Errorf("/%s: want a prefix length of IPv4 from 1 to 32", bits)
	}
	s := Settings{PerSecond: perSecond, Bits4: length, Bits6: 64}
	return s, s.Check()
}

// Check says what is wrong with s.
func (s Settings) Check() error {
	switch {
	case !(s.PerSecond > 0) || s.PerSecond > Max:
		return fmt.Errorf("%v dials a second: want more than 0 and at most a million", s.PerSecond)
	case s.Burst < 0 || s.Buckets < 0:
		return errors.New("a burst or a number of buckets below 0")
	case s.Bits4 < 0 || s.Bits4 > 32 || s.Bits6 < 0 || s.Bits6 > 128:
		return errors.New("a prefix is longer than an address")
	}
	return nil
}

// Limiter has the buckets. It belongs to one goroutine. Make one with [New].
type Limiter struct {
	settings Settings
	gap      int64            // between two dials of a bucket
	slack    int64            // by how much a bucket may be ahead
	full     map[Bucket]int64 // when the bucket will be full; those that are, may be left out
	sweepAt  int64            // not before, buckets are looked through for those that are full
}

// New returns a Limiter without buckets. The settings must pass Check.
func New(s Settings) *Limiter {
	if s.Burst == 0 {
		s.Burst = 1
	}
	if s.Buckets == 0 {
		s.Buckets = defaultBuckets
	}
	gap := int64(float64(time.Second) / s.PerSecond)
	return &Limiter{settings: s, gap: gap, slack: gap * int64(s.Burst-1), full: make(map[Bucket]int64)}
}

// Take takes a turn for addr at the moment now. When there is none it takes nothing and returns how long to wait for one: a caller
// that comes then is not sure of it, if others of its subnet wait too. It also waits when there are as many buckets as may be.
func (l *Limiter) Take(addr netip.Addr, now int64) (wait time.Duration, ok bool) {
	key, full, wait := l.look(addr, now)
	if wait > 0 {
		return wait, false
	}
	l.full[key] = full + l.gap
	return 0, true
}

// Reserve takes the next turn for addr that nobody has yet, and returns how long it is until then. When there are as many buckets as may
// be it takes nothing, and returns how long to wait before the next try.
func (l *Limiter) Reserve(addr netip.Addr, now int64) (wait time.Duration, ok bool) {
	key, full, wait := l.look(addr, now)
	if full == 0 {
		return wait, false
	}
	l.full[key] = full + l.gap
	return wait, true
}

// look finds addr's bucket: when it will be full, not before now, and how long it is until its next turn. full is 0 if there is no room
// for the bucket.
func (l *Limiter) look(addr netip.Addr, now int64) (key Bucket, full int64, wait time.Duration) {
	key = l.Key(addr)
	full, known := l.full[key]
	if !known && len(l.full) >= l.settings.Buckets && !l.sweep(now) {
		return key, 0, time.Duration(max(l.sweepAt-now, 1))
	}
	full = max(full, now)
	return key, full, time.Duration(max(full-l.slack-now, 0))
}

// Give takes back the last turn of addr's bucket, which nobody used.
func (l *Limiter) Give(addr netip.Addr) {
	key := l.Key(addr)
	if full, known := l.full[key]; known {
		l.full[key] = full - l.gap
	}
}

// Buckets is how many there are now, some of which may be full.
func (l *Limiter) Buckets() int { return len(l.full) }

// Bucket names one: the first address of the prefix that shares it, of IPv4 as IPv6 maps it (RFC 4291 s.2.5.5.2). It holds no pointer,
// so the garbage collector does not look into the buckets.
type Bucket [16]byte

// Key names addr's bucket.
func (l *Limiter) Key(addr netip.Addr) Bucket {
	addr = addr.Unmap()
	bits := l.settings.Bits6
	if addr.Is4() {
		bits = l.settings.Bits4
	}
	if bits == 0 {
		bits = addr.BitLen()
	}
	prefix, _ := addr.Prefix(bits) // without its zone; Check has seen the length
	return prefix.Addr().As16()
}

// sweep throws away the buckets that are full, and reports whether there is room for another. It looks at them all no oftener than
// each gap: before, few can have filled.
func (l *Limiter) sweep(now int64) bool {
	if now < l.sweepAt {
		return false
	}
	for key, full := range l.full {
		if full <= now {
			delete(l.full, key)
		}
	}
	l.sweepAt = now + l.gap
	return len(l.full) < l.settings.Buckets
}
