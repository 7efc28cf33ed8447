package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"sonde/report"
	"sonde/target"
)

// DryRun writes every target in scan order to w, a line each in the form `ip,domain,tag,port`, which a scan reads back. A
// comment names the probe where there are several, and where a URL chose another than the only one. It dials nothing and
// resolves nothing. Bad entries are told to bad. It returns how many targets there were.
func (s *Scan) DryRun(ctx context.Context, w *report.LineWriter, bad func(*target.InputError)) (uint64, error) {
	var t target.Target
	var line []byte
	first := s.catalogue.chosen[0]
	several := len(s.catalogue.chosen) > 1 || len(s.catalogue.tagged) > 0
	for n := uint64(0); ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		err := s.source.Next(&t)
		var input *target.InputError
		switch {
		case err == io.EOF:
			return n, w.Flush()
		case errors.As(err, &input):
			bad(input)
			n--
			continue
		case err != nil:
			return n, fmt.Errorf("read the targets: %w", err)
		}
		line = appendTarget(line[:0], &t)
		if several || t.Probe != first.Name || t.TLS != first.TLS {
			line = append(append(line, " # "...), t.Probe...)
			if t.TLS {
				line = append(line, " over TLS"...)
			}
		}
		if err := w.WriteLine(line); err != nil {
			return n, err
		}
	}
}

// appendTarget writes t as one line without its newline.
func appendTarget(dst []byte, t *target.Target) []byte {
	if t.Addr.IsValid() {
		dst = t.Addr.AppendTo(dst)
	}
	dst = append(dst, ',')
	dst = append(dst, t.Domain...)
	dst = append(dst, ',')
	dst = append(dst, t.Tag...)
	dst = append(dst, ',')
	return strconv.AppendUint(dst, uint64(t.Port), 10)
}
