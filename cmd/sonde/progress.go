package main

import (
	"fmt"
	"sync"
	"time"

	"sonde/report"
	"sonde/scan"
)

// monitor watches a running scan: once a second it writes a line to standard error, unless that is a terminal or told to be
// quiet, and one to the file of status updates.
type monitor struct {
	scan    *scan.Scan
	console *console
	lines   bool               // plain lines on the console
	updates *report.LineWriter // nil without --status-updates-file
	err     error              // the first of updates
	done    chan struct{}
	watch   sync.WaitGroup
}

func (o *scanOptions) newMonitor(s *scan.Scan) (*monitor, error) {
	m := &monitor{scan: s, console: o.p.stderr, lines: !o.quiet, done: make(chan struct{})}
	if o.statusUpdates == "" {
		return m, nil
	}
	var err error
	if m.updates, err = report.Create(o.statusUpdates, false); err != nil {
		return nil, fmt.Errorf("open the status updates: %w", err)
	}
	m.err = m.updates.WriteHeader(report.AppendStatusHeader(nil))
	return m, nil
}

func (m *monitor) start() {
	m.watch.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-m.done:
				return
			case now := <-ticker.C:
				m.tell(now, m.scan.Snapshot())
			}
		}
	})
}

func (m *monitor) tell(now time.Time, shot report.Snapshot) {
	if m.lines {
		fmt.Fprintln(m.console, report.ProgressLine(shot))
	}
	m.update(now, shot)
}

func (m *monitor) update(now time.Time, shot report.Snapshot) {
	if m.updates == nil || m.err != nil {
		return
	}
	if m.err = m.updates.WriteLine(report.AppendStatusUpdate(m.updates.AvailableBuffer(), now, &shot)); m.err == nil {
		m.err = m.updates.Flush()
	}
	if m.err != nil {
		m.console.warn("write the status updates: %v", m.err)
	}
}

// stop ends the watch after a last status update, and returns what kept the updates from being written.
func (m *monitor) stop() error {
	close(m.done)
	m.watch.Wait()
	if m.updates == nil {
		return nil
	}
	m.update(time.Now(), m.scan.Snapshot())
	if err := m.updates.Close(); m.err == nil {
		m.err = err
	}
	if m.err != nil {
		return fmt.Errorf("write the status updates: %w", m.err)
	}
	return nil
}
