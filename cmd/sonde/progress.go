package main

import (
	"fmt"
	"sync"
	"time"

	"sonde/report"
	"sonde/report/draw"
	"sonde/scan"
)

// How often is told what, where stderr is a terminal and where not.
const (
	barEvery  = 200 * time.Millisecond
	lineEvery = time.Second
)

// minBarWidth is the narrowest terminal that gets a bar, in columns.
const minBarWidth = 40

// monitor watches a running scan: it draws a bar on standard error or, where that is no terminal, writes a line a second;
// and it writes a line a second to the file of status updates.
type monitor struct {
	scan    *scan.Scan
	console *console
	bar     *draw.Block        // nil without one
	lines   bool               // plain lines on the console
	updates *report.LineWriter // nil without --status-updates-file
	err     error              // the first of updates
	rate    rateMeter
	done    chan struct{}
	watch   sync.WaitGroup
}

// rateMeter measures records a second over the last one to two seconds: shots come oftener than is good for a figure that a
// person can read.
type rateMeter struct {
	since report.Snapshot // where the figure is measured from
	last  report.Snapshot // where it will be measured from a second after that
}

// take returns shot with the rate set.
func (r *rateMeter) take(shot report.Snapshot) report.Snapshot {
	if shot.Elapsed-r.last.Elapsed >= lineEvery {
		r.since, r.last = r.last, shot
	}
	if span := shot.Elapsed - r.since.Elapsed; span > 0 && shot.Done >= r.since.Done {
		shot.Rate = float64(shot.Done-r.since.Done) / span.Seconds()
	}
	return shot
}

// newMonitor opens the file of status updates and, where there is to be a bar, puts it between the scan and the terminal.
func (o *scanOptions) newMonitor(s *scan.Scan) (*monitor, error) {
	m := &monitor{scan: s, console: o.p.stderr, bar: o.bar, done: make(chan struct{})}
	m.lines = !o.quiet && !o.typed() && m.bar == nil
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
		every := lineEvery
		if m.bar != nil {
			every = barEvery
		}
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		next := lineEvery
		for {
			select {
			case <-m.done:
				return
			case now := <-ticker.C:
				shot := m.rate.take(m.scan.Snapshot())
				if m.bar != nil {
					m.bar.Show(report.ProgressBar(shot, m.console.style()))
				}
				if shot.Elapsed+every/2 >= next {
					next += lineEvery
					m.tell(now, shot)
				}
			}
		}
	})
}

// tell is called once a second.
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
	if m.bar != nil {
		m.bar.Clear()
	}
	if m.updates == nil {
		return nil
	}
	m.update(time.Now(), m.rate.take(m.scan.Snapshot()))
	if err := m.updates.Close(); m.err == nil {
		m.err = err
	}
	if m.err != nil {
		return fmt.Errorf("write the status updates: %w", m.err)
	}
	return nil
}
