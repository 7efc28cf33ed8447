package report

import (
	"strconv"
	"time"

	"sonde/report/draw"
)

// Snapshot is a run at one moment.
type Snapshot struct {
	Elapsed  time.Duration
	Done     uint64 // targets with a record
	Total    uint64 // targets in all, 0 if it is not known
	Exact    bool   // Total is no estimate
	InFlight uint64 // between dial and verdict
	Rate     float64
	Statuses Counts
}

// ETA is how long the rest takes if it goes on as it went so far on average; false if that can't be told: no total, or
// nothing done yet, or more done than there should be, or all that is left is in flight. The last ones are those that
// answer slowly or never: the average of the others, "0s left", says nothing of them.
func (s *Snapshot) ETA() (time.Duration, bool) {
	if s.Done == 0 || s.Total == 0 || s.Done > s.Total || s.Elapsed <= 0 {
		return 0, false
	}
	if left := s.Total - s.Done; left > 0 && left <= s.InFlight {
		return 0, false
	}
	left := float64(s.Total-s.Done) / float64(s.Done) * float64(s.Elapsed)
	if left > float64(maxETA) {
		return maxETA, true
	}
	return time.Duration(left), true
}

// maxETA is as far as an ETA looks: nobody waits longer, and more would overflow.
const maxETA = 1000 * time.Hour

// progressShares is how many statuses a progress line names.
const progressShares = 4

// ProgressLine is s as one plain line without a newline, in ASCII and without colour, for a log:
//
//	12s: 34,567 of 100,000 (34.6%), 1,000 in flight, 2,880/s, 22s left: success 91.2%, connection-refused 8.8%
//
// It names the most frequent statuses. An estimated total has a tilde in front.
func ProgressLine(s Snapshot) string {
	line := draw.Elapsed(s.Elapsed) + ": " + draw.Count(s.Done)
	if s.Total > 0 {
		line += " of "
		if !s.Exact {
			line += "~"
		}
		line += draw.Count(s.Total)
		if s.Done <= s.Total {
			line += " (" + draw.Share(s.Done, s.Total) + ")"
		}
	}
	line += ", " + draw.Count(s.InFlight) + " in flight, " + draw.Rate(s.Rate)
	if eta, ok := s.ETA(); ok && s.Done < s.Total {
		line += ", " + draw.Elapsed(eta) + " left"
	}
	separator := ": "
	all := s.Statuses.Total()
	for _, status := range s.Statuses.top(progressShares) {
		line += separator + status.String() + " " + draw.Share(s.Statuses[status], all)
		separator = ", "
	}
	return line
}

// top returns the most frequent statuses that occurred, at most n, the most frequent first and equal ones in the order of
// the closed set.
func (c *Counts) top(n int) []Status {
	var list []Status
	for s := range NumStatuses {
		if c[s] == 0 {
			continue
		}
		at := len(list)
		for at > 0 && c[list[at-1]] < c[s] {
			at--
		}
		list = append(list, 0)
		copy(list[at+1:], list[at:])
		list[at] = s
	}
	return list[:min(n, len(list))]
}

// AppendStatusHeader appends the header line of a status-updates file, without a newline. After the first columns there is
// one for each status, in the order of the closed set.
func AppendStatusHeader(dst []byte) []byte {
	dst = append(dst, "timestamp,elapsed_s,done,total,total_exact,in_flight,rate_per_s,eta_s"...)
	for s := range NumStatuses {
		dst = append(append(dst, ','), s.String()...)
	}
	return dst
}

// AppendStatusUpdate appends s as a line of a status-updates file, without a newline. now is the wall time of s. An unknown
// total or ETA is an empty field.
func AppendStatusUpdate(dst []byte, now time.Time, s *Snapshot) []byte {
	dst = appendTimestamp(dst, now)
	dst = append(dst, ',')
	dst = strconv.AppendFloat(dst, s.Elapsed.Seconds(), 'f', 3, 64)
	dst = append(dst, ',')
	dst = strconv.AppendUint(dst, s.Done, 10)
	dst = append(dst, ',')
	if s.Total > 0 {
		dst = strconv.AppendUint(dst, s.Total, 10)
		dst = append(dst, ',')
		dst = strconv.AppendBool(dst, s.Exact)
	} else {
		dst = append(dst, ',')
	}
	dst = append(dst, ',')
	dst = strconv.AppendUint(dst, s.InFlight, 10)
	dst = append(dst, ',')
	dst = strconv.AppendFloat(dst, s.Rate, 'f', 1, 64)
	dst = append(dst, ',')
	if eta, ok := s.ETA(); ok {
		dst = strconv.AppendFloat(dst, eta.Seconds(), 'f', 0, 64)
	}
	for _, n := range s.Statuses {
		dst = append(dst, ',')
		dst = strconv.AppendUint(dst, n, 10)
	}
	return dst
}
